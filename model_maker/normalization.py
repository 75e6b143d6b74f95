"""Normalization: the mapping from pixels to a network's float input."""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Normalization:
    """x = (pixel - mean) / std, the same in all channels (phone metadata cannot say more)."""

    mean: float
    std: float

    def __call__(self, pixels: Array) -> Array:
        """Maps uint8 pixels to the float32 that a network was trained on."""
        return (pixels.astype(np.float32) - np.float32(self.mean)) * np.float32(1 / self.std)


def to_input(pixels: Array, kind: np.dtype[Any], normalization: Normalization | None) -> Array:
    """Converts uint8 pixels to the type of an input: normalized floats, int8 from -128 on, or as they are."""
    if kind == np.float32 and normalization:
        return normalization(pixels)
    return (pixels.astype(np.int16) - 128).astype(np.int8) if kind == np.int8 else pixels
