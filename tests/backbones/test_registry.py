import subprocess
import sys

import numpy as np
import pytest

from model_maker import backbones
from model_maker.backbones import embedder
from model_maker.backbones.efficientnet_lite import HEAD, STEM, MBConv, blocks
from model_maker.backbones.weights import read_tensors
from model_maker.data import images
from model_maker.data.streaming import stream
from model_maker.errors import BackboneError
from model_maker.tflite import graph, inspection
from model_maker.tflite.interpreter import LiteRTRunner

NAMES = ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]


def variant(name):
    return dict(backbones.get(name).variant)


def test_the_registry_states_what_is_published():
    # tensorflow/tpu, efficientnet/lite/README.md: parameters, MACs, top-1 float and int8, input size.
    published = {
        "efficientnet_lite0": (4_652_008, 407e6, 75.1, 74.4, 224),
        "efficientnet_lite1": (5_416_680, 631e6, 76.7, 75.9, 240),
        "efficientnet_lite2": (6_092_072, 899e6, 77.6, 77.0, 260),
        "efficientnet_lite3": (8_197_096, 1440e6, 79.8, 79.0, 280),
        "efficientnet_lite4": (13_006_568, 2640e6, 81.5, 80.2, 300),
    }
    for name, figures in published.items():
        b = backbones.BACKBONES[name]
        assert (b.parameters, b.macs, b.top1, b.top1_int8, b.image_size) == figures
        assert b.embedding_size == 1280 and (b.normalization.mean, b.normalization.std) == (127, 128)
        assert b.top5 is None  # that page has none
    # tensorflow/models, research/slim/nets: mobilenet_v1.md and mobilenet/README.md; the cards of timm's weights.
    top5 = {"mobilenet_v1": 89.9, "mobilenet_v1_0.25": 74.2, "mobilenet_v2_1.4": 92.5, "mobilenet_v2_0.35": 82.9}
    top5 |= {"mobilenet_v4_conv_small": 91.4, "mobilenet_v4_conv_medium": 95.2, "mobilenet_v3_large": None}
    assert {name: backbones.BACKBONES[name].top5 for name in top5} == top5
    assert (
        backbones.get("mobilenet_v1_0.5", image_size=160).top5,
        backbones.get("mobilenet_v2", image_size=96).top5,
    ) == (
        81.9,
        83.2,
    )
    for name, backbone in backbones.BACKBONES.items():
        assert backbone.top5 is None or backbone.top1 < backbone.top5 < 100
        assert backbone.name == name and backbone.licence == "Apache-2.0"


def test_a_backbone_is_found_by_name_and_resized():
    assert backbones.get("efficientnet_lite1") is backbones.BACKBONES["efficientnet_lite1"]
    resized = backbones.get("efficientnet_lite0", image_size=192)
    assert resized.image_size == 192 and backbones.get("efficientnet_lite0").image_size == 224
    assert backbones.DEFAULT in backbones.BACKBONES


@pytest.mark.parametrize(("name", "suggestion"), [("efficientnet-lite0", "efficientnet_lite0"), ("lite2", "lite2")])
def test_an_unknown_model_suggests_the_nearest(name, suggestion):
    with pytest.raises(BackboneError, match=f"Unknown model '{name}'. Did you mean .*{suggestion}"):
        backbones.get(name)


def test_a_name_near_is_unknown_where_names_are():
    with pytest.raises(BackboneError, match="Unknown model 'zzz'. There is no such file .* `model_maker models` lists"):
        backbones.get("zzz")


@pytest.mark.parametrize("size", [32, 1024])
def test_sizes_at_the_bounds_are_taken(size):
    assert backbones.get("efficientnet_lite0", image_size=size).image_size == size


@pytest.mark.parametrize("size", [-1, 0, 31, 1025])
def test_sizes_that_the_network_cannot_take_are_refused(size):
    with pytest.raises(BackboneError, match=f"`image_size={size}`: .* from 32 to 1024"):
        backbones.get("efficientnet_lite0", image_size=size)


def test_the_blocks_of_lite0_are_those_of_the_paper():
    # Kernel, expansion, inputs, outputs, stride of every block, written out from table 1 with the Lite changes.
    expected = [
        (3, 1, 32, 16, 1),
        (3, 6, 16, 24, 2),
        (3, 6, 24, 24, 1),
        (5, 6, 24, 40, 2),
        (5, 6, 40, 40, 1),
        (3, 6, 40, 80, 2),
        (3, 6, 80, 80, 1),
        (3, 6, 80, 80, 1),
        (5, 6, 80, 112, 1),
        (5, 6, 112, 112, 1),
        (5, 6, 112, 112, 1),
        (5, 6, 112, 192, 2),
        (5, 6, 192, 192, 1),
        (5, 6, 192, 192, 1),
        (5, 6, 192, 192, 1),
        (3, 6, 192, 320, 1),
    ]
    found = list(blocks(**variant("efficientnet_lite0")))
    assert found == [MBConv(*row) for row in expected]
    assert [index for index, block in enumerate(found) if block.residual] == [2, 4, 6, 7, 9, 10, 12, 13, 14]


@pytest.mark.parametrize(
    ("name", "channels", "repeats"),
    [
        # Depth 1.1 rounds up inside and leaves the first and last stage alone; width 1.1 rounds to eights, and never
        # down by more than 10 %: 17.6, 26.4, 44, 88, 123.2, 211.2, 352.
        ("efficientnet_lite1", [16, 24, 40, 80, 112, 192, 320], [1, 3, 3, 4, 4, 5, 1]),
        ("efficientnet_lite2", [16, 24, 48, 88, 120, 208, 352], [1, 3, 3, 4, 4, 5, 1]),
    ],
)
def test_larger_variants_scale_the_table(name, channels, repeats):
    found = [block.outputs for block in blocks(**variant(name))]
    assert found == [out for out, count in zip(channels, repeats, strict=True) for _ in range(count)]


def test_channels_are_never_rounded_down_by_more_than_a_tenth():
    # 0.28 of the table: 4.48, 6.72, 11.2, 22.4, 31.36, 53.76, 89.6. The nearest eight below 11.2 is 8, 29 % less: 16.
    outputs = dict.fromkeys(block.outputs for block in blocks(width=0.28, depth=1.0))
    assert list(outputs) == [8, 16, 24, 32, 56, 88]  # the first two stages both have 8


@pytest.mark.parametrize("name", NAMES)
def test_the_stage_table_has_the_published_number_of_parameters(name):
    def convolution(weights, channels):
        return weights + 2 * channels  # each is followed by a batch normalization: scale and offset

    total = convolution(3 * 3 * 3 * STEM, STEM)
    for block in blocks(**variant(name)):
        inside = block.inputs * block.expand
        if block.expand > 1:
            total += convolution(block.inputs * inside, inside)
        total += convolution(block.kernel**2 * inside, inside) + convolution(inside * block.outputs, block.outputs)
    total += convolution(block.outputs * HEAD, HEAD) + HEAD * 1000 + 1000
    assert total == backbones.get(name).parameters


def embedding_of(content, pixels, backbone):
    return LiteRTRunner(content).run(backbone.normalization(pixels[None]))[0]


def numpy_lite0(image, tensors):
    """EfficientNet-Lite0 in plain numpy, from the torch weights: a second implementation to compare with."""

    def convolve(x, weight, stride, groups):
        kernel, (height, width) = weight.shape[-1], x.shape[:2]
        outputs = [-(-side // stride) for side in (height, width)]
        pads = [max((out - 1) * stride + kernel - side, 0) for out, side in zip(outputs, (height, width), strict=True)]
        x = np.pad(
            x, [(pad // 2, pad - pad // 2) for pad in pads] + [(0, 0)]
        )  # TensorFlow's "same": the odd one behind
        total = 0
        for row in range(kernel):
            for column in range(kernel):
                window = x[row : row + (outputs[0] - 1) * stride + 1 : stride]
                window = window[:, column : column + (outputs[1] - 1) * stride + 1 : stride]
                part = weight[:, :, row, column]
                total = total + (window * part[:, 0] if groups else window @ part.T)
        return total

    def layer(x, convolution, norm, *, stride=1, groups=False, relu6=True):
        x = convolve(x, tensors[f"{convolution}.weight"], stride, groups)
        scale, offset, mean, variance = (
            tensors[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        x = (x - mean) / np.sqrt(variance + 1e-3) * scale + offset
        return np.clip(x, 0, 6) if relu6 else x

    x = layer(image, "_conv_stem", "_bn0", stride=2)
    strides = {1: 2, 3: 2, 5: 2, 11: 2}  # table 1: the first block of stages 2, 3, 4 and 6
    for index in range(16):
        name, shortcut = f"_blocks.{index}", x
        if index:
            x = layer(x, f"{name}._expand_conv", f"{name}._bn0")
        x = layer(x, f"{name}._depthwise_conv", f"{name}._bn1", stride=strides.get(index, 1), groups=True)
        x = layer(x, f"{name}._project_conv", f"{name}._bn2", relu6=False)
        x = x + shortcut if x.shape == shortcut.shape else x
    return layer(x, "_conv_head", "_bn1").mean((0, 1))


def test_lite0_computes_what_the_published_weights_say(lite0):
    backbone = backbones.get("efficientnet_lite0")
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    expected = numpy_lite0((pixels.astype(np.float32) - 127) / 128, read_tensors(backbone.weights.path()))
    # Fifty float32 layers summed in another order; features lie between 0 and 6, so 1e-3 is 2e-4 of their range.
    np.testing.assert_allclose(embedding_of(lite0, pixels, backbone), expected, atol=1e-3)
    assert expected.std() > 0.05  # and there is something to compare


@pytest.mark.parametrize("name", NAMES)
def test_the_embedder_has_its_published_size_in_macs(name):
    backbone = backbones.get(name)
    kernel, bias = backbone.classifier()
    assert kernel.shape == (1000, 1280) and bias.shape == (1000,)
    facts = inspection.inspect(graph.attach_head(embedder.embedder(backbone).content, kernel, bias))
    # 6 %: the published counts hold more than convolutions (TensorFlow counts 386M in Lite0 where 407M are published).
    assert facts.macs == pytest.approx(backbone.macs, rel=0.06)


@pytest.mark.parametrize("name", NAMES)
def test_imagenet_photos_are_recognized(name, shared_data):
    backbone = backbones.get(name)
    kernel, bias = backbone.classifier()
    content = embedder.embedder(backbone).content
    paths = sorted((shared_data / "imagenet_samples").iterdir())
    assert len(paths) == 36

    def worker():
        runner = LiteRTRunner(content)
        return lambda pixels: runner.run(backbone.normalization(pixels))[0]

    embeddings = np.stack(list(stream(paths, backbone.image_size, worker)))
    found = (embeddings @ kernel.T + bias).argmax(-1)
    right = sum(int(path.name[:4]) == index for path, index in zip(paths, found, strict=True))
    # Published top-1 is 75 to 78 %, which is 27 to 28 of 36.
    assert right >= 27


def test_a_macaw_is_a_macaw(shared_data, lite0):
    backbone = backbones.get("efficientnet_lite0")
    kernel, bias = backbone.classifier()
    logits = kernel @ embedding_of(lite0, images.load(shared_data / "photos" / "parrot.jpg", 224), backbone) + bias
    scores = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    labels = (shared_data / "photos" / "imagenet_labels.txt").read_text().splitlines()[1:]  # the first is background
    assert labels[scores.argmax()] == "macaw"
    # Keras with the same weights says 0.853; the way of shrinking the photo moves single scores by up to 0.27.
    assert scores.max() == pytest.approx(0.853, abs=0.27)


@pytest.mark.parametrize(
    "module",
    ["model_maker", "model_maker.data.dataset", "model_maker.data.streaming", "model_maker.backbones.embedder"]
    + ["model_maker.embeddings.computing"],
)
def test_importing_loads_no_tensorflow(module):
    check = f"import sys, {module}; print(*sorted({{'tensorflow', 'keras', 'torch', 'sklearn'}} & set(sys.modules)))"
    child = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert (child.stdout, child.stderr) == ("\n", "")
