"""MobileNetV4 (convolutional): stage tables and network, with timm's weights.

Source:
  Qin et al. 2024, "MobileNetV4: Universal Models for the Mobile Ecosystem", appendix D; weights and padding as in timm.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from model_maker.backbones.layer_weights import LayerWeights, TorchTensors
from model_maker.backbones.network import ConvolutionalNetwork
from model_maker.backbones.weights import read_classifier, read_tensors

Array = np.ndarray

STEM = 32
HEAD = 1280
EPSILON = 1e-5  # of every batch normalization, torch's default
# Mean and standard deviation of ImageNet's channels, for pixels from 0 to 1.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Conv(NamedTuple):
    """A convolution with batch normalization and ReLU."""

    kernel: int
    stride: int
    out: int


class Fused(NamedTuple):
    """FusedIB: one convolution expands, one projects."""

    kernel: int
    stride: int
    expand: int
    out: int


class Universal(NamedTuple):
    """UIB: start depthwise, expand 1x1, middle depthwise, project 1x1; 0 omits a depthwise layer."""

    start: int
    middle: int
    stride: int
    expand: int
    out: int


Block = Conv | Fused | Universal

# Stages as in the paper's tables, without the head's row at the end.
STAGES: dict[str, tuple[tuple[Block, ...], ...]] = {
    "conv_small": (
        (Conv(3, 2, 32), Conv(1, 1, 32)),
        (Conv(3, 2, 96), Conv(1, 1, 64)),
        (Universal(5, 5, 2, 3, 96), *4 * [Universal(0, 3, 1, 2, 96)], Universal(3, 0, 1, 4, 96)),
        (
            Universal(3, 3, 2, 6, 128),
            Universal(5, 5, 1, 4, 128),
            Universal(0, 5, 1, 4, 128),
            Universal(0, 5, 1, 3, 128),
            *2 * [Universal(0, 3, 1, 4, 128)],
        ),
        (Conv(1, 1, 960),),
    ),
    "conv_medium": (
        (Fused(3, 2, 4, 48),),
        (Universal(3, 5, 2, 4, 80), Universal(3, 3, 1, 2, 80)),
        (
            Universal(3, 5, 2, 6, 160),
            *2 * [Universal(3, 3, 1, 4, 160)],
            Universal(3, 5, 1, 4, 160),
            Universal(3, 3, 1, 4, 160),
            Universal(3, 0, 1, 4, 160),
            Universal(0, 0, 1, 2, 160),
            Universal(3, 0, 1, 4, 160),
        ),
        (
            Universal(5, 5, 2, 6, 256),
            Universal(5, 5, 1, 4, 256),
            *2 * [Universal(3, 5, 1, 4, 256)],
            Universal(0, 0, 1, 4, 256),
            Universal(3, 0, 1, 4, 256),
            Universal(3, 5, 1, 2, 256),
            Universal(5, 5, 1, 4, 256),
            *2 * [Universal(0, 0, 1, 4, 256)],
            Universal(5, 0, 1, 2, 256),
        ),
        (Conv(1, 1, 960),),
    ),
}


def build(image_size: int, weights: LayerWeights, *, stages: str) -> bytes:
    """Writes the feature extractor.

    The published weights expect channels normalized by ImageNet's statistics per channel. Phone metadata cannot state
    that, so the graph begins with this scaling.

    Returns:
      A float `.tflite`: [1, image_size, image_size, 3], (pixel - 127.5) / 127.5, to [1, 1280].

    Raises:
      BackboneError: the weights belong to another network.
    """
    net = ConvolutionalNetwork(image_size, weights, epsilon=EPSILON)
    # Not folded into the stem: after a separate layer, zero padding is the mean color, as in training.
    scale, offset = 0.5 / np.array(IMAGENET_STD), (0.5 - np.array(IMAGENET_MEAN)) / IMAGENET_STD
    x = net.scale(net.photo, "imagenet_scaling", scale, offset)
    x = _convolve(net, x, STEM, 3, 2, "conv_stem", "bn1")
    for stage, blocks in enumerate(STAGES[stages]):
        for index, block in enumerate(blocks):
            x = _block(net, x, block, f"blocks.{stage}.{index}")
    x = _convolve(net, net.pool(x, "pool", keep=True), HEAD, 1, 1, "conv_head", "norm_head")
    return net.finish(net.flatten(x))


def read(path: Path, **variant: str) -> LayerWeights:
    """Reads `.safetensors` with timm's names.

    Raises:
      BackboneError: another format, or a damaged file.
    """
    return TorchTensors(read_tensors(path), path)


def classifier(path: Path) -> tuple[Array, Array]:
    """Returns the published ImageNet classifier: kernel float32 [1000, 1280] and bias float32 [1000]."""
    return read_classifier(path, "classifier")


def _block(net: ConvolutionalNetwork, x: int, block: Block, name: str) -> int:
    shortcut, inputs = x, net.shape(x)[3]
    if isinstance(block, Conv):
        return _convolve(net, x, block.out, block.kernel, block.stride, f"{name}.conv", f"{name}.bn1")
    expanded = _round_channels(inputs * block.expand)
    if isinstance(block, Fused):
        x = _convolve(net, x, expanded, block.kernel, block.stride, f"{name}.conv_exp", f"{name}.bn1")
        x = _convolve(net, x, block.out, 1, 1, f"{name}.conv_pwl", f"{name}.bn2", activation="NONE")
    else:
        # The middle depthwise layer has the stride, if there is one.
        strides = (1, block.stride) if block.middle else (block.stride, 1)
        if block.start:
            x = _universal(net, x, None, block.start, strides[0], f"{name}.dw_start", activation="NONE")
        x = _universal(net, x, expanded, 1, 1, f"{name}.pw_exp")
        if block.middle:
            x = _universal(net, x, None, block.middle, strides[1], f"{name}.dw_mid")
        x = _universal(net, x, block.out, 1, 1, f"{name}.pw_proj", activation="NONE")
    return net.add(x, shortcut, f"{name}.add") if block.stride == 1 and inputs == block.out else x


def _universal(
    net: ConvolutionalNetwork,
    x: int,
    filters: int | None,
    kernel: int,
    stride: int,
    name: str,
    activation: str = "RELU",
) -> int:
    return _convolve(net, x, filters, kernel, stride, f"{name}.conv", f"{name}.bn", activation)


def _convolve(
    net: ConvolutionalNetwork,
    x: int,
    filters: int | None,
    kernel: int,
    stride: int,
    name: str,
    norm: str,
    activation: str = "RELU",
) -> int:
    """Adds convolution, batch normalization and ReLU; padded equally on all sides, as torch does, unlike "same"."""
    padding = (kernel // 2, kernel // 2) if stride > 1 else None
    return net.convolve(x, name, kernel, filters, stride=stride, norm=norm, activation=activation, padding=padding)


def _round_channels(channels: float) -> int:
    """Rounds to a multiple of 8."""
    return max(8, int(channels + 4) // 8 * 8)
