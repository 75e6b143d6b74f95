"""Part of a photo to classify, and allowed labels: the options of MediaPipe's classifier."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from model_maker.data import images
from model_maker.errors import DataError
from model_maker.fitting import Fit

Array = np.ndarray[Any, Any]
Item = TypeVar("Item")
Region = tuple[float, float, float, float]


@dataclass(frozen=True)
class View:
    """A part of each photo, rotated.

    Attributes:
      region: left, top, right and bottom, as fractions of the upright photo's width and height; None for the whole
        photo.
      rotation: clockwise rotation of that part in degrees, a multiple of 90.

    Raises:
      DataError: the region or rotation is invalid.
    """

    region: Region | None = None
    rotation: int = 0

    def __post_init__(self) -> None:
        if self.region is not None:
            sides = tuple(self.region)
            if len(sides) != 4 or not (0 <= sides[0] < sides[2] <= 1 and 0 <= sides[1] < sides[3] <= 1):
                raise DataError(
                    f"region={sides!r}: give left, top, right and bottom as shares from 0 to 1, left before right and "
                    "top before bottom."
                )
        if self.rotation % 90:
            raise DataError(f"rotation={self.rotation!r}: give degrees clockwise, a multiple of 90.")

    def load(self, photo: Any, size: int | Fit) -> Array:
        """Returns uint8 [1, H, W, 3]; crops first, then rotates, as MediaPipe does."""
        return images.resize(self.part(images.picture(photo)), size)[None]

    def part(self, picture: Image.Image) -> Image.Image:
        """Returns that part of an image, rotated; the image itself if it is the whole."""
        if self.region is not None:
            left, top, right, bottom = self.region
            width, height = picture.size
            # At least one pixel, however small the region.
            x, y = min(int(left * width), width - 1), min(int(top * height), height - 1)
            picture = picture.crop((x, y, max(round(right * width), x + 1), max(round(bottom * height), y + 1)))
        if self.rotation % 360:
            picture = picture.rotate(-self.rotation, expand=True)
        return picture


WHOLE = View()


def candidates(labels: Sequence[str], allow: Collection[str] | None, deny: Collection[str] | None) -> Array:
    """Returns which labels may be predicted, bool [C]: only those to allow, or all but those to deny.

    Raises:
      DataError: both are given, one contains an unknown label, or no label is left.
    """
    if allow is not None and deny is not None:
        raise DataError("allow and deny exclude each other. Pass only one of them.")
    given = allow if allow is not None else deny
    if given is None:
        return np.ones(len(labels), bool)
    named = {given} if isinstance(given, str) else set(given)
    if unknown := sorted(named - set(labels)):
        raise DataError(f"The model has no label {unknown[0]!r}. `model_maker inspect MODEL` lists its labels.")
    found = np.array([(label in named) == (allow is not None) for label in labels], bool)
    if not found.any():
        raise DataError("The choice of labels excludes every label. Allow one, or deny fewer.")
    return found


def smoothed(rows: Iterable[tuple[Item, Any]], source: Callable[[Item], str], count: int) -> Iterator[tuple[Item, Any]]:
    """Yields scores averaged over the last `count` frames of the same video.

    Args:
      rows: each image with its scores, or with an error, which is passed on.
      source: returns the video of an image; empty for a photo, which is passed on, too.
    """
    recent: deque[Array] = deque(maxlen=count)
    last = ""
    for item, scores in rows:
        if (name := source(item)) != last:
            recent.clear()
            last = name
        if name and isinstance(scores, np.ndarray):
            recent.append(scores)
            scores = np.mean(recent, axis=0, dtype=np.float32)
        yield item, scores
