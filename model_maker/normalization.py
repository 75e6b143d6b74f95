"""Normalization: the mapping from pixels to a network's float input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Normalization:
    """x = (pixel - mean) / std, the same in all channels (phone metadata cannot say more)."""

    mean: float
    std: float

    def __call__(self, pixels: Array) -> Array:
        """Maps uint8 pixels to the float32 that a network was trained on."""
        return (pixels.astype(np.float32) - np.float32(self.mean)) * np.float32(1 / self.std)
