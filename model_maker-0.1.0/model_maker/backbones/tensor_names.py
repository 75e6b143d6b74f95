"""From torch's tensors to the weights of Keras layers, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from model_maker.errors import BackboneError

Array = np.ndarray

_STATISTICS = ("weight", "bias", "running_mean", "running_var")


def fill(
    model, tensors: Mapping[str, Array], path: Path, *, names: Callable[[str], str], fixed: tuple[str, ...] = ()
) -> None:
    """Gives each layer that has weights its own; none keeps random ones.

    Args:
      model: keras.Model of convolutions without bias and batch normalizations.
      tensors: by torch's names; convolutions [out, in, height, width], depthwise [channels, 1, height, width].
      path: where they come from, for messages.
      names: from a layer's name to the name that its tensors begin with.
      fixed: layers that have their weights already.

    Raises:
      BackboneError: a tensor is missing or has another shape: it is another network.
    """
    for layer in model.layers:
        if not layer.weights or layer.name in fixed:
            continue
        name, kind = names(layer.name), type(layer).__name__
        parts = _STATISTICS if kind == "BatchNormalization" else ("weight",)
        try:
            values = [tensors[f"{name}.{part}"] for part in parts]
            if kind != "BatchNormalization":
                # torch [out, in, h, w] -> Keras [h, w, in, out]; depthwise [channels, 1, h, w] -> [h, w, channels, 1]
                values = [values[0].transpose((2, 3, 0, 1) if kind == "DepthwiseConv2D" else (2, 3, 1, 0))]
            layer.set_weights(values)
        except (KeyError, ValueError) as error:
            raise BackboneError(
                f"{path} does not hold the weights of this network: {name} is missing or has another shape."
            ) from error
