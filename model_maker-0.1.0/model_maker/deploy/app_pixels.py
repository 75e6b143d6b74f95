"""What published apps make of a photo before a model sees it: PREPARATIONS, emulated with Pillow.

Training stretches bilinearly, as the phones' engines do; an app that does otherwise shows the same model other pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from model_maker.data import images

Array = np.ndarray


@dataclass(frozen=True)
class Preparation:
    """One way to a square.

    Attributes:
      used_by: which apps go it.
      prepare: makes an upright RGB photo into uint8 [size, size, 3].
    """

    used_by: str
    prepare: Callable[[Image.Image, int], Array]


def _crop(photo: Image.Image) -> Image.Image:
    """The largest square in the middle, as TFLite Support's ResizeWithCropOrPadOp."""
    width, height = photo.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return photo.crop((left, top, left + side, top + side))


def _nearest(photo: Image.Image, size: int) -> Array:
    return np.asarray(photo.resize((size, size), Image.Resampling.NEAREST))


def _antialiased(photo: Image.Image, size: int) -> Array:
    return np.asarray(photo.resize((size, size), Image.Resampling.BILINEAR))


PREPARATIONS = {
    "stretched, bilinear": Preparation("our apps, most samples", images.resize),
    "stretched, nearest": Preparation("some apps", _nearest),
    "centre crop, nearest": Preparation("a LiteRT sample", lambda photo, size: _nearest(_crop(photo), size)),
    "centre crop, bilinear": Preparation("apps that crop first", lambda photo, size: images.resize(_crop(photo), size)),
    "stretched, antialiased": Preparation("canvas, Core Graphics", _antialiased),
}
