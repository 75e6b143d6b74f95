"""Our text and image towers against transformers, with the same random weights of the published shapes."""

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from model_maker.clip import image, image_network, tensors, text_network
from model_maker.clip.records import TOWERS
from model_maker.tflite.interpreter import LiteRTRunner

torch = pytest.importorskip("torch", reason="torch is not installed: make parity")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: make parity")

BEGIN, END = 49406, 49407


def config_of(blocks, **rest):
    return {
        "hidden_size": blocks.width,
        "num_hidden_layers": blocks.layers,
        "num_attention_heads": blocks.heads,
        "intermediate_size": blocks.hidden,
        **rest,
    }


def reference(tower):
    """transformers' model of a record's shapes."""
    activation = {"gelu_tanh": "gelu_pytorch_tanh"}.get(tower.activation, tower.activation)
    shared = {"hidden_act": activation, "layer_norm_eps": tower.epsilon}
    siglip = tower.layout == "siglip"
    text = config_of(
        tower.text, vocab_size=tower.vocabulary, max_position_embeddings=tower.context, **shared,
        **({} if siglip else {"bos_token_id": BEGIN, "eos_token_id": END}),
    )  # fmt: skip
    vision = config_of(tower.image, image_size=tower.image_size, patch_size=tower.patch, **shared)
    if siglip:
        config = transformers.SiglipConfig(text_config=text, vision_config=vision)
        return transformers.SiglipModel(config).eval()
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=tower.embedding_size)
    return transformers.CLIPModel(config).eval()


def scatter(model):
    """Random weights under which attention is far from even and nothing vanishes."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in model.state_dict().items():
        if not tensor.dtype.is_floating_point:
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if "embedding" in name or name.endswith("probe"):
            tensor.copy_(noise)
        elif tensor.ndim > 1:
            tensor.copy_(noise * (2 / tensor.shape[1:].numel()) ** 0.5)
        elif "norm" in name and name.endswith("weight"):
            tensor.copy_(1 + 0.2 * noise)
        else:
            tensor.copy_(0.2 * noise)


def open_clip_names(state):
    """The state dict as open_clip writes it: queries, keys and values in one layer, projections transposed."""
    found = {"logit_scale": state["logit_scale"], "text_projection": state["text_projection.weight"].T}
    found["visual.proj"] = state["visual_projection.weight"].T
    moved = {
        "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
        "text_model.embeddings.position_embedding.weight": "positional_embedding",
        "text_model.final_layer_norm.": "ln_final.",
        "text_model.encoder.layers.": "transformer.resblocks.",
        "vision_model.embeddings.class_embedding": "visual.class_embedding",
        "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
        "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
        "vision_model.pre_layrnorm.": "visual.ln_pre.",
        "vision_model.post_layernorm.": "visual.ln_post.",
        "vision_model.encoder.layers.": "visual.transformer.resblocks.",
        "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
        "self_attn.out_proj": "attn.out_proj",
    }  # fmt: skip
    for name, array in state.items():
        if name.endswith("_projection.weight") or ".k_proj." in name or ".v_proj." in name:
            continue
        if ".q_proj." in name:
            array = np.concatenate([state[name.replace("q_proj", f"{letter}_proj")] for letter in "qkv"])
            name = name.replace("self_attn.q_proj.", "attn.in_proj_")
        for theirs, ours in moved.items():
            name = name.replace(theirs, ours)
        found[name] = array
    return found


# The other one is compared in `test_mobileclip.py`.
@pytest.fixture(scope="module", params=[name for name, tower in TOWERS.items() if tower.layout != "mobileclip"])
def pair(request, tmp_path_factory):
    """(record, the published file with random weights, transformers' model in float64)."""
    tower = TOWERS[request.param]
    theirs = reference(tower)
    with torch.no_grad():
        scatter(theirs)
    state = {name: tensor.numpy().copy() for name, tensor in theirs.state_dict().items()}
    if tower.layout == "open_clip":
        state = {name: np.ascontiguousarray(array) for name, array in open_clip_names(state).items()}
    path = tmp_path_factory.mktemp("weights") / tower.weights.file
    save_file(state, path)
    return tower, path, theirs.double()  # so that what differs is our rounding, not that of both


def deviation(found, expected):
    """The largest difference, as a share of the largest value."""
    assert found.shape == expected.shape
    assert expected.std() > 0.1  # random weights must not let it vanish
    assert np.abs(np.corrcoef(expected)[0, -1]) < 0.9  # nor may all inputs give the same
    return np.abs(found - expected).max() / np.abs(expected).max()


def test_the_text_embeddings_are_transformers(pair):
    tower, path, theirs = pair
    generator, siglip = np.random.default_rng(1), tower.layout == "siglip"
    lengths = np.array([2, 3, 9, tower.context])
    tokens = np.full((4, tower.context), 1 if siglip else END)
    for row, length in zip(tokens, lengths, strict=True):
        row[:length] = generator.integers(2, 1000, length)
        if not siglip:
            row[0], row[length - 1] = BEGIN, END
    with torch.no_grad():
        expected = theirs.get_text_features(torch.from_numpy(tokens)).pooler_output.numpy()
    network = text_network.TextNetwork(tower, tensors.read(path, tower))
    # Float32 against float64: 3e-6 was measured.
    assert deviation(network.run(tokens, lengths), expected) <= 1e-5
    if not siglip:  # what stands behind a text changes nothing
        assert deviation(network.run(tokens[:3, :9], lengths[:3]), expected[:3]) <= 1e-5


def test_the_image_embeddings_are_transformers(pair):
    tower, path, theirs = pair
    generator = np.random.default_rng(2)
    coarse, fine = (generator.integers(0, 256, (side, side, 3), np.uint8) for side in (7, tower.image_size))
    pixels = np.stack([np.kron(coarse, np.ones((32, 32, 1), np.uint8)), fine])
    normalized = (pixels / 255 - np.array(tower.image_mean)) / np.array(tower.image_std)
    with torch.no_grad():
        expected = theirs.get_image_features(torch.from_numpy(normalized.transpose(0, 3, 1, 2))).pooler_output.numpy()
    runner = LiteRTRunner(image_network.build(tower, tensors.read(path, tower)))
    found = np.concatenate([runner.run(image_network.NORMALIZATION(photo[None])) for photo in pixels])
    # Float32 against float64: 2e-6 was measured.
    assert deviation(found, expected) <= 1e-5


@pytest.mark.parametrize("name", ["tinyclip_vit_40m_32", "siglip_base_patch16_224"])
@pytest.mark.parametrize("size", [(640, 480), (333, 500), (224, 224), (100, 61), (37, 900), (4000, 225)])
def test_the_pixels_are_transformers(name, size):
    tower = TOWERS[name]
    kind = "SiglipImageProcessorPil" if tower.layout == "siglip" else "CLIPImageProcessorPil"
    theirs = getattr(transformers, kind)(do_rescale=False, do_normalize=False)
    noise = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), np.uint8)
    photo = Image.fromarray(noise)
    expected = theirs(photo, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
    found = image.prepare(photo, tower.image_size, crop=tower.crop)
    assert found.shape == expected.shape == (224, 224, 3)
    # Pillow keeps the edges of what it resizes in float32, so some values of noise are rounded the other way.
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert np.mean(found == expected) > 0.99


@pytest.mark.parametrize("name", ["tinyclip_vit_40m_32", "siglip_base_patch16_224"])
def test_mean_and_deviation_are_transformers(name):
    tower = TOWERS[name]
    theirs = getattr(transformers, "SiglipImageProcessorPil" if tower.layout == "siglip" else "CLIPImageProcessorPil")()
    assert (tuple(theirs.image_mean), tuple(theirs.image_std)) == (tower.image_mean, tower.image_std)


def test_the_parameters_are_counted_alike(pair):
    tower, _, theirs = pair
    assert sum(parameter.numel() for parameter in theirs.parameters()) == tower.parameters
