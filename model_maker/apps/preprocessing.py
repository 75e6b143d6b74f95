"""What apps make of a photo before a model sees it: PREPARATIONS, emulated with Pillow.

Training stretches bilinearly by default, as the phones' engines do; an app that does otherwise than training shows the
same model other pixels.
Which app of `apps.APPS` goes which way stands there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from model_maker.data import images
from model_maker.fitting import CROP, LETTERBOX, STRETCH, Fit

Array = np.ndarray


@dataclass(frozen=True)
class Preparation:
    """One way from a photo to the input.

    Attributes:
      others: who goes it beside the apps of `apps.APPS`; empty for nobody worth showing.
      prepare: makes an upright RGB photo into uint8 [H, W, 3], whatever the `resize` of the input.
    """

    others: str
    prepare: Callable[[Image.Image, Fit], Array]


def _fitted(resize: str) -> Callable[[Image.Image, Fit], Array]:
    return lambda photo, fit: images.resize(photo, replace(fit, resize=resize))


def _nearest(photo: Image.Image, fit: Fit) -> Array:
    return np.asarray(photo.resize((fit.width, fit.height), Image.Resampling.NEAREST))


def _cropped_nearest(photo: Image.Image, fit: Fit) -> Array:
    """The middle of the photo, as TFLite Support's ResizeWithCropOrPadOp."""
    return _nearest(images.used(photo, replace(fit, resize=CROP)), fit)


def _antialiased(photo: Image.Image, fit: Fit) -> Array:
    return np.asarray(photo.resize((fit.width, fit.height), Image.Resampling.BILINEAR))


# What training does, by `resize`.
AS_TRAINED = {
    STRETCH: "stretched, bilinear",
    LETTERBOX: "letterboxed, bilinear",
    CROP: "center crop, bilinear",
}
STRETCHED = AS_TRAINED[STRETCH]
PREPARATIONS = {
    STRETCHED: Preparation("", _fitted(STRETCH)),
    "stretched, nearest": Preparation("apps that take the nearest pixel", _nearest),
    # TensorFlow's sample for Play services, and its older one in Java.
    "center crop, nearest": Preparation("apps that crop, as older samples", _cropped_nearest),
    AS_TRAINED[CROP]: Preparation("apps that crop", _fitted(CROP)),
    AS_TRAINED[LETTERBOX]: Preparation("apps that letterbox", _fitted(LETTERBOX)),
    "stretched, antialiased": Preparation("apps on canvas, Core Graphics", _antialiased),
}
