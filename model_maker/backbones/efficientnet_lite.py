"""EfficientNet-Lite: stage table, network and names of the published weights.

Source:
  Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", table 1; the Lite variants
  (ReLU6, no squeeze-and-excitation, stem and head not scaled) as published in tensorflow/tpu, 2020.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model_maker.backbones.layer_weights import LayerWeights, TorchTensors
from model_maker.backbones.network import ConvolutionalNetwork, round_channels
from model_maker.backbones.weights import read_classifier, read_tensors

Array = np.ndarray


class MBConvStage(NamedTuple):
    """One row of table 1."""

    kernel: int
    expand: int
    out: int
    repeats: int
    stride: int


STAGES = (
    MBConvStage(kernel=3, expand=1, out=16, repeats=1, stride=1),
    MBConvStage(kernel=3, expand=6, out=24, repeats=2, stride=2),
    MBConvStage(kernel=5, expand=6, out=40, repeats=2, stride=2),
    MBConvStage(kernel=3, expand=6, out=80, repeats=3, stride=2),
    MBConvStage(kernel=5, expand=6, out=112, repeats=3, stride=1),
    MBConvStage(kernel=5, expand=6, out=192, repeats=4, stride=2),
    MBConvStage(kernel=3, expand=6, out=320, repeats=1, stride=1),
)
STEM = 32
HEAD = 1280
EPSILON = 1e-3  # of every batch normalization, as in the published code


class MBConv(NamedTuple):
    """One inverted residual block: expand 1x1, depthwise, project 1x1."""

    kernel: int
    expand: int
    inputs: int
    outputs: int
    stride: int

    @property
    def residual(self) -> bool:
        return self.stride == 1 and self.inputs == self.outputs


def staged_blocks(width: float, depth: float) -> Iterator[tuple[int, int, MBConv]]:
    """Yields (stage, index in it, block) of a variant: table 1, scaled; the first and last stage keep their repeats."""
    inputs = STEM
    for index, stage in enumerate(STAGES):
        outputs = round_channels(stage.out * width)
        scaled = 0 < index < len(STAGES) - 1
        for repeat in range(math.ceil(stage.repeats * depth) if scaled else stage.repeats):
            yield index, repeat, MBConv(stage.kernel, stage.expand, inputs, outputs, stage.stride if repeat == 0 else 1)
            inputs = outputs


def blocks(width: float, depth: float) -> Iterator[MBConv]:
    """Yields the blocks of a variant."""
    for _, _, block in staged_blocks(width, depth):
        yield block


def build(image_size: int, weights: LayerWeights, *, width: float, depth: float) -> bytes:
    """Writes the feature extractor.

    Returns:
      A float `.tflite`: [1, image_size, image_size, 3], normalized, to [1, 1280].

    Raises:
      BackboneError: the weights belong to another network.
    """
    net = ConvolutionalNetwork(image_size, weights, epsilon=EPSILON)
    x = net.convolve(net.photo, "stem", 3, STEM, stride=2, norm="stem_bn", activation="RELU6")
    for index, block in enumerate(blocks(width, depth)):
        shortcut, name = x, f"block{index}"
        if block.expand > 1:
            wide = block.inputs * block.expand
            x = net.convolve(x, f"{name}_expand", 1, wide, norm=f"{name}_expand_bn", activation="RELU6")
        x = net.convolve(
            x,
            f"{name}_depthwise",
            block.kernel,
            None,
            stride=block.stride,
            norm=f"{name}_depthwise_bn",
            activation="RELU6",
        )
        x = net.convolve(x, f"{name}_project", 1, block.outputs, norm=f"{name}_project_bn")
        if block.residual:
            x = net.add(x, shortcut, f"{name}_add")
    x = net.convolve(x, "head", 1, HEAD, norm="head_bn", activation="RELU6")
    return net.finish(net.pool(x, "embedding"))


def read(path: Path, *, width: float, depth: float) -> LayerWeights:
    """Reads a weights file with the names of the torch packages or of timm.

    Raises:
      BackboneError: another format, or a damaged file.
    """
    tensors = read_tensors(path)
    names = _timm_names(width, depth) if "conv_stem.weight" in tensors else _package_names(width, depth)
    return TorchTensors(tensors, path, names.__getitem__)


def _package_names(width: float, depth: float) -> dict[str, str]:
    """Maps layers to names in the torch packages."""
    names = {"stem": "_conv_stem", "stem_bn": "_bn0", "head": "_conv_head", "head_bn": "_bn1"}
    for index, _ in enumerate(blocks(width, depth)):
        ours, theirs = f"block{index}", f"_blocks.{index}"
        names |= {
            f"{ours}_expand": f"{theirs}._expand_conv",
            f"{ours}_expand_bn": f"{theirs}._bn0",
            f"{ours}_depthwise": f"{theirs}._depthwise_conv",
            f"{ours}_depthwise_bn": f"{theirs}._bn1",
            f"{ours}_project": f"{theirs}._project_conv",
            f"{ours}_project_bn": f"{theirs}._bn2",
        }
    return names


def _timm_names(width: float, depth: float) -> dict[str, str]:
    """Maps layers to names in timm, which counts blocks by stage; a block without expansion has one layer fewer."""
    names = {"stem": "conv_stem", "stem_bn": "bn1", "head": "conv_head", "head_bn": "bn2"}
    for index, (stage, place, block) in enumerate(staged_blocks(width, depth)):
        layers = ("expand", "depthwise", "project") if block.expand > 1 else ("depthwise", "project")
        theirs = ("conv_pw", "conv_dw", "conv_pwl") if block.expand > 1 else ("conv_dw", "conv_pw")
        for number, (layer, their) in enumerate(zip(layers, theirs, strict=True), start=1):
            names[f"block{index}_{layer}"] = f"blocks.{stage}.{place}.{their}"
            names[f"block{index}_{layer}_bn"] = f"blocks.{stage}.{place}.bn{number}"
    return names


def classifier(path: Path) -> tuple[Array, Array]:
    """Returns the published ImageNet classifier: kernel float32 [1000, 1280] and bias float32 [1000]."""
    return read_classifier(path, "_fc", "classifier")
