"""What apps make of a photo before a model sees it: PREPARATIONS, emulated with Pillow.

Training stretches bilinearly, as the phones' engines do; an app that does otherwise shows the same model other pixels.
Which app of `apps.APPS` goes which way stands there.
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
      others: who goes it beside the apps of `apps.APPS`; empty for nobody worth showing.
      prepare: makes an upright RGB photo into uint8 [size, size, 3].
    """

    others: str
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


# As training does.
OURS = "stretched, bilinear"
PREPARATIONS = {
    OURS: Preparation("", images.resize),
    "stretched, nearest": Preparation("apps that take the nearest pixel", _nearest),
    # TensorFlow's sample for Play services, and its older one in Java.
    "centre crop, nearest": Preparation(
        "apps that crop, as older samples", lambda photo, size: _nearest(_crop(photo), size)
    ),
    "centre crop, bilinear": Preparation("apps that crop", lambda photo, size: images.resize(_crop(photo), size)),
    "stretched, antialiased": Preparation("apps on canvas, Core Graphics", _antialiased),
}
