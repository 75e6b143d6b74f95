"""Heat maps: the shares of the cells of a photo in an answer, drawn over the photo."""

import io
from typing import Any

import numpy as np
from PIL import Image

from model_maker.data import images
from model_maker.fitting import STRETCH, Fit

Array = np.ndarray[Any, Any]

# What speaks for an answer and what against it: two colors that any color vision tells apart, over a photo in gray.
FOR, AGAINST = (255, 140, 0), (40, 90, 255)
_STRONGEST = 0.8  # opacity of the largest share
_LIGHT, _DARK = 0.75, 40  # the gray photo below: its contrast, and what black becomes


def draw(photo: Any, shares: Array, side: int, fit: Fit | None = None) -> Image.Image:
    """Returns a photo in gray with the shares in color, orange for the answer and blue against it.

    Args:
      photo: as `images.load` takes it, or a picture.
      shares: float [n, n], over the whole input of the model; the largest has the strongest color.
      side: of the longer edge at most, pixels.
      fit: how the photo was fitted to the input; None if it was stretched. Else the picture is the input itself.
    """
    picture = images.picture(photo).copy()
    if fit and fit.resize != STRETCH:
        picture = Image.fromarray(images.resize(picture, fit))
    picture.thumbnail((side, side))
    gray = np.asarray(picture.convert("L"), np.float32)[..., None] * _LIGHT + _DARK
    values = Image.fromarray((shares / (np.abs(shares).max() or 1.0)).astype(np.float32))
    smooth = np.asarray(values.resize(picture.size, Image.Resampling.BILINEAR))[..., None]
    color = np.where(smooth > 0, np.array(FOR, np.float32), np.array(AGAINST, np.float32))
    opacity = np.abs(smooth) * _STRONGEST
    return Image.fromarray(np.clip(gray * (1 - opacity) + color * opacity, 0, 255).astype(np.uint8))


def png(photo: Any, shares: Array, side: int, fit: Fit | None = None) -> bytes:
    """Returns the drawing as a PNG."""
    file = io.BytesIO()
    draw(photo, shares, side, fit).save(file, "PNG")
    return file.getvalue()
