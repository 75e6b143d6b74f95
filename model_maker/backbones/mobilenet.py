"""MobileNet V1, V2 and V3: tables and networks as in Keras Applications, with its published weights.

Source:
  Howard et al. 2017, "MobileNets"; Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks";
  Howard et al. 2019, "Searching for MobileNetV3".
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from model_maker.backbones.layer_weights import KerasFile, LayerWeights
from model_maker.backbones.network import ConvolutionalNetwork, round_channels
from model_maker.errors import BackboneError

Array = np.ndarray

WEIGHTS = "https://storage.googleapis.com/tensorflow/keras-applications"
EPSILON = 1e-3  # of every batch normalization, in Keras Applications
_CLASSES = 1000

# Filters and stride of the depthwise separable convolutions of V1, table 1.
V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *5 * [(512, 1)], (1024, 2), (1024, 1))


class BottleneckStage(NamedTuple):
    """One row of V2's table 2."""

    expand: int
    out: int
    repeats: int
    stride: int


V2 = (
    BottleneckStage(expand=1, out=16, repeats=1, stride=1),
    BottleneckStage(expand=6, out=24, repeats=2, stride=2),
    BottleneckStage(expand=6, out=32, repeats=3, stride=2),
    BottleneckStage(expand=6, out=64, repeats=4, stride=2),
    BottleneckStage(expand=6, out=96, repeats=3, stride=1),
    BottleneckStage(expand=6, out=160, repeats=3, stride=2),
    BottleneckStage(expand=6, out=320, repeats=1, stride=1),
)


class Bottleneck(NamedTuple):
    """One row of V3's tables 1 and 2; minimalistic variants use 3x3 kernels, no squeeze-and-excitation and no hard
    swish.
    """

    kernel: int
    expanded: int
    out: int
    gated: bool
    swish: bool
    stride: int


V3 = {
    "large": (
        Bottleneck(3, 16, 16, gated=False, swish=False, stride=1),
        Bottleneck(3, 64, 24, gated=False, swish=False, stride=2),
        Bottleneck(3, 72, 24, gated=False, swish=False, stride=1),
        Bottleneck(5, 72, 40, gated=True, swish=False, stride=2),
        Bottleneck(5, 120, 40, gated=True, swish=False, stride=1),
        Bottleneck(5, 120, 40, gated=True, swish=False, stride=1),
        Bottleneck(3, 240, 80, gated=False, swish=True, stride=2),
        Bottleneck(3, 200, 80, gated=False, swish=True, stride=1),
        Bottleneck(3, 184, 80, gated=False, swish=True, stride=1),
        Bottleneck(3, 184, 80, gated=False, swish=True, stride=1),
        Bottleneck(3, 480, 112, gated=True, swish=True, stride=1),
        Bottleneck(3, 672, 112, gated=True, swish=True, stride=1),
        Bottleneck(5, 672, 160, gated=True, swish=True, stride=2),
        Bottleneck(5, 960, 160, gated=True, swish=True, stride=1),
        Bottleneck(5, 960, 160, gated=True, swish=True, stride=1),
    ),
    "small": (
        Bottleneck(3, 16, 16, gated=True, swish=False, stride=2),
        Bottleneck(3, 72, 24, gated=False, swish=False, stride=2),
        Bottleneck(3, 88, 24, gated=False, swish=False, stride=1),
        Bottleneck(5, 96, 40, gated=True, swish=True, stride=2),
        Bottleneck(5, 240, 40, gated=True, swish=True, stride=1),
        Bottleneck(5, 240, 40, gated=True, swish=True, stride=1),
        Bottleneck(5, 120, 48, gated=True, swish=True, stride=1),
        Bottleneck(5, 144, 48, gated=True, swish=True, stride=1),
        Bottleneck(5, 288, 96, gated=True, swish=True, stride=2),
        Bottleneck(5, 576, 96, gated=True, swish=True, stride=1),
        Bottleneck(5, 576, 96, gated=True, swish=True, stride=1),
    ),
}


def weights_url(architecture: str, alpha: float, image_size: int) -> str:
    """Returns the URL of the weights in Keras Applications, classifier included, for a published alpha and size."""
    if architecture == "v1":
        text = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}[alpha]
        return f"{WEIGHTS}/mobilenet/mobilenet_{text}_{image_size}_tf.h5"
    if architecture == "v2":
        return f"{WEIGHTS}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{image_size}.h5"
    _, size, *minimalistic = architecture.split("_")
    middle = "_minimalistic" if minimalistic else ""
    return f"{WEIGHTS}/mobilenet_v3/weights_mobilenet_v3_{size}{middle}_{image_size}_{alpha}_float.h5"


def build(image_size: int, weights: LayerWeights, *, architecture: str, alpha: float) -> bytes:
    """Writes the feature extractor, up to the input of the ImageNet classifier.

    Args:
      weights: in the order of Keras Applications' layers.
      architecture: "v1", "v2", "v3_large", "v3_small", or the latter two with "_minimalistic".

    Returns:
      A float `.tflite`: [1, image_size, image_size, 3], normalized, to [1, D].

    Raises:
      BackboneError: the weights belong to another network.
    """
    net = ConvolutionalNetwork(image_size, weights, epsilon=EPSILON)
    if architecture.startswith("v3"):
        # V3 has a layer between the pooling and the classifier.
        return net.finish(net.flatten(v3(net, alpha, architecture)))
    x = _v1(net, alpha) if architecture == "v1" else _v2(net, alpha)
    return net.finish(net.pool(x, "embedding"))


def read(path: Path, *, architecture: str, alpha: float) -> LayerWeights:
    """Reads `.h5` of Keras 2 or `.weights.h5` of Keras 3, with the classifier or without.

    Raises:
      BackboneError: the file is not a weights file.
    """
    return KerasFile(path, f"MobileNet {architecture} with alpha {alpha}")


def classifier(path: Path) -> tuple[Array, Array]:
    """Returns the published ImageNet classifier: kernel float32 [1000, D] and bias float32 [1000].

    Raises:
      BackboneError: the file has no classifier.
    """
    import h5py

    found: list[tuple[Array, Array]] = []

    def visit(_, group) -> None:
        if not isinstance(group, h5py.Group):
            return
        arrays = [item[()] for item in group.values() if isinstance(item, h5py.Dataset)]
        kernels = [array for array in arrays if array.ndim > 1 and array.shape[-1] == _CLASSES]
        biases = [array for array in arrays if array.shape == (_CLASSES,)]
        if len(kernels) == len(biases) == 1:
            found.append((kernels[0].reshape(-1, _CLASSES).T, biases[0]))

    try:
        with h5py.File(path) as file:
            file.visititems(visit)
    except OSError as error:
        raise BackboneError(f"{path} cannot be read as HDF5 ({error}).") from error
    if len(found) != 1:
        raise BackboneError(f"{path} holds no classifier of {_CLASSES} classes, only the network before it.")
    return found[0]


def _v1(net: ConvolutionalNetwork, alpha: float) -> int:
    x = net.convolve(net.photo, "conv1", 3, int(32 * alpha), stride=2, norm="conv1_bn", activation="RELU6")
    for index, (filters, stride) in enumerate(V1, start=1):
        # Keras pads explicitly before a stride of 2, only at the right and bottom.
        padding, norm = (0, 1) if stride > 1 else None, f"conv_dw_{index}_bn"
        x = net.convolve(x, f"conv_dw_{index}", 3, None, stride=stride, norm=norm, activation="RELU6", padding=padding)
        x = net.convolve(x, f"conv_pw_{index}", 1, int(filters * alpha), norm=f"conv_pw_{index}_bn", activation="RELU6")
    return x


def _v2(net: ConvolutionalNetwork, alpha: float) -> int:
    x = net.convolve(net.photo, "Conv1", 3, round_channels(32 * alpha), stride=2, norm="bn_Conv1", activation="RELU6")
    index = 0
    for stage in V2:
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            x = _inverted_residual(
                net,
                x,
                f"block_{index}",
                wide=stage.expand * net.shape(x)[3] if stage.expand > 1 else None,
                outputs=round_channels(int(stage.out * alpha)),
                stride=stride,
            )
            index += 1
    filters = round_channels(1280 * alpha) if alpha > 1 else 1280
    return net.convolve(x, "Conv_1", 1, filters, norm="Conv_1_bn", activation="RELU6")


def v3(net: ConvolutionalNetwork, alpha: float, architecture: str, *, symmetric: bool = False) -> int:
    """Adds V3 up to the input of its classifier, [1, 1, 1, D].

    With `symmetric`, strided layers pad equally on all sides, as torch does, instead of TensorFlow's "same".
    """
    _, size, *minimalistic = architecture.split("_")
    swish, published = "RELU" if minimalistic else "HARD_SWISH", 16
    padding = (1, 1) if symmetric else None
    x = net.convolve(net.photo, "conv", 3, 16, stride=2, norm="conv_bn", activation=swish, padding=padding)
    for index, block in enumerate(V3[size]):
        inputs = net.shape(x)[3]
        # Keras scales the expansion factor of a block, not the expanded channels of the paper's table.
        wide = round_channels(inputs * (block.expanded / published))
        published = block.out
        x = _inverted_residual(
            net,
            x,
            f"block_{index}",
            wide=wide if index else None,
            outputs=round_channels(block.out * alpha),
            stride=block.stride,
            kernel=3 if minimalistic else block.kernel,
            activation=swish if block.swish else "RELU",
            reduced=round_channels((wide if index else inputs) / 4) if block.gated and not minimalistic else None,
            symmetric=symmetric,
        )
    x = net.convolve(x, "conv_1", 1, round_channels(net.shape(x)[3] * 6), norm="conv_1_bn", activation=swish)
    x = net.pool(x, "pool", keep=True)
    return net.convolve(x, "conv_2", 1, {"small": 1024, "large": 1280}[size], activation=swish)


def _inverted_residual(
    net: ConvolutionalNetwork,
    x: int,
    name: str,
    *,
    wide: int | None,
    outputs: int,
    stride: int,
    kernel: int = 3,
    activation: str = "RELU6",
    reduced: int | None = None,
    symmetric: bool = False,
) -> int:
    """Adds expand 1x1 (if `wide` is given), depthwise, squeeze and excite (if `reduced` is given), project 1x1."""
    shortcut, inputs = x, net.shape(x)[3]
    if wide is not None:
        x = net.convolve(x, f"{name}_expand", 1, wide, norm=f"{name}_expand_bn", activation=activation)
    x = net.convolve(
        x,
        f"{name}_depthwise",
        kernel,
        None,
        stride=stride,
        norm=f"{name}_depthwise_bn",
        activation=activation,
        padding=(kernel // 2, kernel // 2) if symmetric and stride > 1 else None,
    )
    if reduced is not None:
        x = net.squeeze_excite(x, reduced, f"{name}_squeeze_excite")
    x = net.convolve(x, f"{name}_project", 1, outputs, norm=f"{name}_project_bn")
    return net.add(shortcut, x, f"{name}_add") if stride == 1 and inputs == outputs else x
