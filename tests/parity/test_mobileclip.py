"""MobileCLIP's towers against timm's FastViT and torch's transformer, with random weights of the published shapes."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from model_maker.clip import image_network, tensors, text_network
from model_maker.clip.records import TOWERS
from model_maker.tflite.interpreter import LiteRTRunner

torch = pytest.importorskip("torch", reason="torch is not installed: make parity")

TOWER = TOWERS["mobileclip2_s0"]
# timm's name for the image tower, as open_clip's configuration of MobileCLIP2-S0 has it.
TRUNK = "fastvit_mci0"


def scatter(state):
    """Random weights under which attention is far from even, nothing vanishes, and no branch is lost in the others."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in state.items():
        if not tensor.dtype.is_floating_point:
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            # Blocks add up, and attention would see one place only if this did not hold them back.
            grown = 40 if name.startswith("stages.3.blocks") and name.endswith(".norm.running_var") else 1
            tensor.copy_(grown * (0.8 + 0.4 * torch.rand(tensor.shape, generator=generator)))
        elif name.endswith("gamma"):
            tensor.copy_(0.15 + 0.03 * noise)
        elif "embedding" in name:
            tensor.copy_(noise)
        elif tensor.ndim > 1:
            tensor.copy_(noise * (1.5 / tensor.shape[1:].numel()) ** 0.5)
        elif tensor.ndim == 1 and name.endswith("weight"):
            tensor.copy_(1 + 0.2 * noise)
        else:
            tensor.copy_(0.2 * noise)


class Text(torch.nn.Module):
    """The text tower of torch's own layers: a transformer without a mask, the normalized end of the text, projected."""

    def __init__(self):
        super().__init__()
        blocks = TOWER.text
        self.token_embedding = torch.nn.Embedding(TOWER.vocabulary, blocks.width)
        self.positional_embedding = torch.nn.Parameter(torch.zeros(TOWER.context, blocks.width))
        layer = torch.nn.TransformerEncoderLayer(
            blocks.width, blocks.heads, blocks.hidden, 0.0, "gelu", TOWER.epsilon, batch_first=True, norm_first=True
        )
        self.transformer = torch.nn.TransformerEncoder(layer, blocks.layers, enable_nested_tensor=False)
        self.ln_final = torch.nn.LayerNorm(blocks.width, TOWER.epsilon)
        self.text_projection = torch.nn.Parameter(torch.zeros(blocks.width, TOWER.embedding_size))

    def forward(self, tokens):
        x = self.ln_final(self.transformer(self.token_embedding(tokens) + self.positional_embedding))
        return x[torch.arange(len(x)), tokens.argmax(-1)] @ self.text_projection  # the end has the greatest number


def open_clip_names(state):
    """The text tower's state dict as open_clip writes it."""
    moved = {
        "transformer.layers.": "transformer.resblocks.", "norm1": "ln_1", "norm2": "ln_2", "linear1": "mlp.c_fc",
        "linear2": "mlp.c_proj", "self_attn": "attn",
    }  # fmt: skip
    found = {}
    for name, array in state.items():
        for theirs, ours in moved.items():
            name = name.replace(theirs, ours)
        found[f"text.{name}"] = array
    return found


@pytest.fixture(scope="module")
def towers(timm, tmp_path_factory):
    """(the published file with random weights, timm's image tower and torch's text tower in float64)."""
    image = timm.create_model(TRUNK, pretrained=False, num_classes=TOWER.embedding_size, global_pool="avg").eval()
    text = Text().eval()
    with torch.no_grad():
        for one in (image, text):
            scatter(one.state_dict())
    state = {f"visual.trunk.{name}": tensor.numpy().copy() for name, tensor in image.state_dict().items()}
    state |= open_clip_names({name: tensor.numpy().copy() for name, tensor in text.state_dict().items()})
    path = tmp_path_factory.mktemp("weights") / TOWER.weights.file
    save_file(state | {"logit_scale": np.array(4.6, np.float32)}, path)
    return path, image.double(), text.double()  # so that what differs is our rounding, not that of both


def deviation(found, expected):
    """The largest difference, as a share of the largest value; inputs have to differ by far more."""
    assert found.shape == expected.shape
    assert np.abs(expected[0] - expected[-1]).max() > 0.1 * np.abs(expected).max()
    return np.abs(found - expected).max() / np.abs(expected).max()


def test_the_image_embeddings_are_timms(towers):
    path, theirs, _ = towers
    generator = np.random.default_rng(2)
    coarse, fine = (generator.integers(0, 256, (side, side, 3), np.uint8) for side in (8, TOWER.image_size))
    pixels = np.stack([np.kron(coarse, np.ones((32, 32, 1), np.uint8)), fine])
    with torch.no_grad():
        expected = theirs(torch.from_numpy(pixels.transpose(0, 3, 1, 2) / 255)).numpy()
    runner = LiteRTRunner(image_network.build(TOWER, tensors.read(path, TOWER)))
    found = np.concatenate([runner.run(image_network.NORMALIZATION(photo[None])) for photo in pixels])
    # Float32 against float64: 1e-6 was measured.
    assert deviation(found, expected) <= 1e-5


def test_the_text_embeddings_are_torchs(towers):
    path, _, theirs = towers
    generator = np.random.default_rng(1)
    lengths = np.array([2, 3, 9, TOWER.context])
    tokens = np.zeros((4, TOWER.context), np.int64)
    for row, length in zip(tokens, lengths, strict=True):
        row[:length] = generator.integers(2, 1000, length)
        row[0], row[length - 1] = 49406, 49407
    with torch.no_grad():
        expected = theirs(torch.from_numpy(tokens)).numpy()
    network = text_network.TextNetwork(TOWER, tensors.read(path, TOWER))
    # Float32 against float64: 1e-6 was measured.
    assert deviation(network.run(tokens, lengths), expected) <= 1e-5


def test_the_parameters_are_counted_alike(towers):
    _, image, text = towers
    scale = 1
    assert sum(one.numel() for part in (image, text) for one in part.parameters()) + scale == TOWER.parameters
