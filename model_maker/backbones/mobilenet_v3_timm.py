"""MobileNetV3-Large with timm's weights: the network of `mobilenet`, with torch's padding and timm's names.

Source: Ridnik et al. 2021, "ImageNet-21K Pretraining for the Masses"; weights and padding as in timm.
"""

import re
from itertools import accumulate
from pathlib import Path

import numpy as np

from model_maker.backbones import mobilenet
from model_maker.backbones.layer_weights import LayerWeights, TorchTensors
from model_maker.backbones.network import ConvolutionalNetwork
from model_maker.backbones.weights import read_classifier, read_tensors

Array = np.ndarray

EPSILON = 1e-5  # of every batch normalization, torch's default
# Blocks of the table per stage of timm.
_STAGES = (1, 2, 3, 4, 2, 3)
_OUTSIDE = {
    "conv": "conv_stem",
    "conv_bn": "bn1",
    "conv_1": "blocks.6.0.conv",
    "conv_1_bn": "blocks.6.0.bn1",
    "conv_2": "conv_head",
}
_INSIDE = {
    "expand": "conv_pw",
    "expand_bn": "bn1",
    "depthwise": "conv_dw",
    "depthwise_bn": "bn2",
    "squeeze_excite_conv": "se.conv_reduce",
    "squeeze_excite_conv_1": "se.conv_expand",
    "project": "conv_pwl",
    "project_bn": "bn3",
}
# The first block does not expand.
_FIRST = {"depthwise": "conv_dw", "depthwise_bn": "bn1", "project": "conv_pw", "project_bn": "bn2"}


def build(image_size: int, weights: LayerWeights) -> bytes:
    """Writes the feature extractor, up to the input of the published classifier.

    Returns:
      A float `.tflite`: [1, image_size, image_size, 3], pixel / 255, to [1, 1280].

    Raises:
      BackboneError: the weights belong to another network.
    """
    net = ConvolutionalNetwork(image_size, weights, epsilon=EPSILON)
    return net.finish(net.flatten(mobilenet.v3(net, 1.0, "v3_large", symmetric=True)))


def read(path: Path) -> LayerWeights:
    """Reads `.safetensors` with timm's names.

    Raises:
      BackboneError: another format, or a damaged file.
    """
    return TorchTensors(read_tensors(path), path, _timm_name)


def classifier(path: Path) -> tuple[Array, Array]:
    """Returns the published classifier: kernel float32 [C, 1280] and bias float32 [C]."""
    return read_classifier(path, "classifier")


def _timm_name(layer: str) -> str:
    """Returns timm's name for a layer of `mobilenet.v3`."""
    found = re.fullmatch(r"block_(\d+)_(\w+)", layer)
    if found is None:
        return _OUTSIDE[layer]
    index, part = int(found[1]), found[2]
    ends = list(accumulate(_STAGES))
    stage = next(stage for stage, end in enumerate(ends) if index < end)
    inside = index - (ends[stage] - _STAGES[stage])
    return f"blocks.{stage}.{inside}.{(_INSIDE if index else _FIRST)[part]}"
