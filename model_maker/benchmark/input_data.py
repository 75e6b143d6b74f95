"""Input for timing: random bytes of the input type, or photos."""

from collections.abc import Sequence

import numpy as np

from model_maker.data import images
from model_maker.data.entries import Location
from model_maker.errors import DataError
from model_maker.fitting import Fit
from model_maker.normalization import Normalization, to_input

Array = np.ndarray


def random_input(shape: tuple[int, ...], dtype: np.dtype, *, seed: int = 0) -> Array:
    """Makes an input: random bytes for 8-bit types, -1 to 1 for floats, zeros for wider integers, possibly indices."""
    random = np.random.default_rng(seed)
    if dtype.kind == "f":
        return random.uniform(-1, 1, shape).astype(dtype)
    if dtype in (np.uint8, np.int8):
        limits = np.iinfo(dtype)
        return random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return np.zeros(shape, dtype)


def photo_inputs(
    photos: Sequence[Location], shape: tuple[int, ...], dtype: np.dtype, normalization: Normalization | None
) -> list[Array]:
    """Makes inputs of a shape and type from photos; skips unreadable ones. Float input is normalized.

    Returns:
      One input per photo; none if the model does not take photos, or its file does not state how.
    """
    an_image = len(shape) == 4 and shape[0] == 1 and shape[3] == 3
    if not an_image or dtype not in (np.uint8, np.int8, np.float32) or (dtype == np.float32 and not normalization):
        return []
    found = []
    for photo in photos:
        try:
            pixels = images.load(photo, Fit.to(shape))[None]
        except DataError:
            continue
        found.append(to_input(pixels, dtype, normalization))
    return found
