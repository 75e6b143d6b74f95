"""Provides a network's weights layer by layer, in the order of its definition, from torch tensors or a Keras file."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from model_maker.errors import BackboneError, first_line

Array = np.ndarray

_KINDS = ("conv2d", "depthwise_conv2d", "batch_normalization")


class BatchNorm(NamedTuple):
    """A batch normalization: float [C] each."""

    gamma: Array
    beta: Array
    mean: Array
    variance: Array


class LayerWeights(Protocol):
    """Source of the weights of a network's layers, requested in order.

    Both methods raise KeyError, ValueError or StopIteration if there is no such layer.
    """

    def kernel(
        self, layer: str, shape: tuple[int, ...], *, depthwise: bool, biased: bool
    ) -> tuple[Array, Array | None]:
        """Returns the weights of a convolution: the kernel in the layout of `shape`, and the bias, float [out].

        Args:
          layer: its name in the definition.
          shape: [out, height, width, in], or [1, height, width, channels] of a depthwise one, as in a `.tflite`.
          biased: whether it has a bias of its own.
        """

    def normalization(self, layer: str, channels: int) -> BatchNorm:
        """Returns the batch normalization of a layer."""

    def refusal(self, layer: str) -> BackboneError:
        """Returns the error to raise if a layer is missing or has another shape."""


class TorchTensors:
    """Weights by torch's names.

    Args:
      tensors: convolutions [out, in, height, width], depthwise ones [channels, 1, height, width].
      names: maps layer names to prefixes of tensor names.
    """

    def __init__(self, tensors: Mapping[str, Array], path: Path, names: Callable[[str], str] = str):
        self._tensors, self._path, self._names = tensors, path, names

    def kernel(
        self, layer: str, shape: tuple[int, ...], *, depthwise: bool, biased: bool
    ) -> tuple[Array, Array | None]:
        name = self._names(layer)
        kernel = self._tensors[f"{name}.weight"]
        kernel = kernel.transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
        return kernel, self._tensors[f"{name}.bias"] if biased else None

    def normalization(self, layer: str, channels: int) -> BatchNorm:
        name = self._names(layer)
        return BatchNorm(
            *(self._tensors[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))
        )

    def refusal(self, layer: str) -> BackboneError:
        return BackboneError(
            f"{self._path} does not hold the weights of this network: {self._names(layer)} is missing or has another "
            "shape."
        )


class KerasFile:
    """Weights of a Keras file in the order of its layers: `.h5` of Keras 2, or `.weights.h5` of Keras 3.

    Raises:
      BackboneError: it is not such a file; the message names the expected network.
    """

    def __init__(self, path: Path, network: str):
        import h5py

        self._path, self._network = path, network
        try:
            with h5py.File(path) as file:
                self._layers = _read_layers(file)
        except (OSError, KeyError, ValueError, RuntimeError, AttributeError, TypeError) as error:
            raise self._error(first_line(error)) from error

    def kernel(
        self, layer: str, shape: tuple[int, ...], *, depthwise: bool, biased: bool
    ) -> tuple[Array, Array | None]:
        kernel, *bias = next(self._layers["depthwise_conv2d" if depthwise else "conv2d"])
        if bool(bias) != biased:
            raise ValueError("bias")
        height, width = kernel.shape[:2]
        kernel = kernel.reshape(1, height, width, -1) if depthwise else kernel.transpose(3, 0, 1, 2)
        return kernel, bias[0] if biased else None

    def normalization(self, layer: str, channels: int) -> BatchNorm:
        return BatchNorm(*next(self._layers["batch_normalization"]))

    def refusal(self, layer: str) -> BackboneError:
        return self._error(f"the layer {layer} is missing or has another shape")

    def _error(self, reason: str) -> BackboneError:
        return BackboneError(f"{self._path} does not hold the weights of {self._network} ({reason}).")


def _read_layers(file) -> dict[str, Iterator[list[Array]]]:
    """Returns the arrays of layers by kind; Keras 2 stores one order for all layers, Keras 3 one per kind."""
    root = file.get("model_weights", file)
    if "layer_names" in root.attrs:
        groups = [root[_text(name)] for name in root.attrs["layer_names"]]
        arrays = [[group[_text(key)][()] for key in group.attrs["weight_names"]] for group in groups]
        return dict.fromkeys(_KINDS, iter([layer for layer in arrays if layer]))
    layers = file["layers"]
    return {kind: iter(list(_numbered(layers, kind))) for kind in _KINDS}


def _numbered(layers, kind: str) -> Iterator[list[Array]]:
    """Yields the arrays of the layers that Keras 3 names conv2d, conv2d_1, conv2d_2 and so on."""
    number, name = 0, kind
    while name in layers:
        variables = layers[name]["vars"]
        yield [variables[str(index)][()] for index in range(len(variables))]
        number += 1
        name = f"{kind}_{number}"


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
