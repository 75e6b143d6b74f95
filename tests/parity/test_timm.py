"""Our networks against timm's, a second implementation, with the same random weights."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from model_maker.backbones import BACKBONES, get
from model_maker.backbones.mobilenet_v4 import IMAGENET_MEAN, IMAGENET_STD
from model_maker.tflite import graph
from model_maker.tflite.interpreter import LiteRTRunner

torch = pytest.importorskip("torch", reason="torch is not installed: make parity")

# timm's own padding for weights that came from TensorFlow, and its name for each of our backbones.
THEIRS = {
    **{f"efficientnet_lite{number}": f"tf_efficientnet_lite{number}" for number in range(5)},
    "mobilenet_v4_conv_small": "mobilenetv4_conv_small",
    "mobilenet_v4_conv_medium": "mobilenetv4_conv_medium",
    "mobilenetv3_large_100.miil_in21k": "mobilenetv3_large_100.miil_in21k",
}
SIZE = 96  # pixels; weights do not depend on it


def scatter(model):
    """Random weights under which activations keep their spread."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
            tensor.copy_(0.8 + 0.4 * torch.rand(tensor.shape, generator=generator))
        elif tensor.ndim > 1:
            inputs = tensor[0].numel()
            # Gates are kept from their ends, where nothing would change them any more.
            gain = 0.01 if ".se." in name else 2**0.5
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * gain * inputs**-0.5)
        elif tensor.dtype == torch.float32:
            tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))


def deviation(found, expected):
    """The largest difference, as a share of the largest value."""
    assert expected.std() > 0.1  # random weights must not let it vanish
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.fixture(scope="module", params=THEIRS)
def pair(request, timm, tmp_path_factory):
    """(our model, pixels normalized our way, timm's embedding of them, (timm's classifier, ours))."""
    backbone = get(request.param, image_size=SIZE)
    theirs = timm.create_model(THEIRS[request.param], pretrained=False).eval()
    with torch.no_grad():
        scatter(theirs)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_file({name: tensor.numpy() for name, tensor in theirs.state_dict().items()}, path)
    theirs.double()  # so that what differs is our rounding, not that of both
    pixels = np.random.default_rng(1).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    if "v4" in request.param:
        normalized = (pixels / 255 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
    else:
        normalized = backbone.normalization(pixels)
    with torch.no_grad():
        image = torch.from_numpy(normalized.transpose(0, 3, 1, 2).astype(np.float64))
        expected = theirs.forward_head(theirs.forward_features(image), pre_logits=True).numpy()
        logits = theirs(image).numpy()
    return backbone, path, backbone.normalization(pixels), expected, logits


def test_the_embedding_is_timms(pair):
    backbone, path, image, expected, logits = pair
    content = backbone.build(path)
    found = embed(content, image)
    assert found.shape == (2, backbone.embedding_size)
    # Float32 against float64; errors grow with the depth, which is twice as large in the last two.
    deep = backbone.name in ("efficientnet_lite3", "efficientnet_lite4")
    assert deviation(found, expected) <= (1e-4 if deep else 1e-5)
    kernel, bias = backbone.family.classifier(path)
    assert np.abs(found @ kernel.T + bias - logits).max() <= 1e-4 * np.abs(logits).max()
    # Twice a single weight in the middle, and it is another network.
    model = graph.parse(content)
    # Not of a gate, which all weights of its layer share.
    maps = [op for op in model.subgraphs[0].operators if model.subgraphs[0].tensors[op.outputs[0]].shape[1] > 1]
    convolution = [op for op in maps if "CONV_2D" in graph.operator_name(model, op)][12]
    tensor = model.subgraphs[0].tensors[convolution.inputs[1]]
    values = graph.constant(model, tensor).copy()
    values[np.unravel_index(np.abs(values).argmax(), values.shape)] *= 2
    graph.set_constant(model, tensor, values)
    assert deviation(embed(graph.pack(model), image), expected) > 2e-4


def embed(content, images):
    runner = LiteRTRunner(content)
    return np.concatenate([runner.run(image[None]) for image in images])


def test_the_parameters_are_the_published_ones(pair, timm):
    backbone = pair[0]
    theirs = timm.create_model(THEIRS[backbone.name], pretrained=False)
    count = sum(parameter.numel() for parameter in theirs.parameters())
    assert count == pytest.approx(backbone.parameters, rel=0 if backbone.name.startswith("eff") else 2e-3)


def test_every_backbone_of_timms_weights_is_compared():
    assert {name for name, backbone in BACKBONES.items() if "timm/" in backbone.weights.identity} <= set(THEIRS)
