"""Fit: how a photo of any shape becomes the input of a model; `images.resize` does it.

Everything here is arithmetic of whole numbers, so that apps in any language place photos at the same pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STRETCH, LETTERBOX, CROP = "stretch", "letterbox", "crop"
# What each does to a photo of another shape than the input's.
RESIZES = {
    STRETCH: "stretched to {width} x {height} pixels",
    LETTERBOX: "letterboxed to {width} x {height} pixels: scaled as a whole, centered on black",
    CROP: "cropped in the center to the shape of {width} x {height} pixels, and scaled to that size",
}
# Left, top, width and height, pixels.
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Fit:
    """The input of a model, and how photos are fitted to it.

    Attributes:
      height, width: of the input, pixels.
      resize: a key of RESIZES.
    """

    height: int
    width: int
    resize: str = STRETCH

    @classmethod
    def of(cls, size: int | Fit) -> Fit:
        """Returns a Fit as it is, and for a number the square of that size, to which photos are stretched."""
        return size if isinstance(size, Fit) else cls(size, size)

    @classmethod
    def to(cls, shape: Sequence[int], resize: str = STRETCH) -> Fit:
        """Returns the Fit to an input of shape [1, H, W, 3]."""
        return cls(int(shape[1]), int(shape[2]), resize)

    @property
    def size(self) -> str:
        """The input size, for people: "224", or "192 x 256" (width x height) if it is not square."""
        return str(self.height) if self.height == self.width else f"{self.width} x {self.height}"

    @property
    def description(self) -> str:
        """What happens to a photo, for people."""
        return RESIZES[self.resize].format(width=self.width, height=self.height)

    def source(self, width: int, height: int) -> Box:
        """Returns the part of a photo that is used: all of it, except for "crop"."""
        if self.resize != CROP:
            return 0, 0, width, height
        return _centered(width, height, *_within(width, height, self.width, self.height))

    def target(self, width: int, height: int) -> Box:
        """Returns the part of the input that shows the photo: all of it, except for "letterbox"; the rest is black."""
        if self.resize != LETTERBOX:
            return 0, 0, self.width, self.height
        return _centered(self.width, self.height, *_within(self.width, self.height, width, height))


def _within(width: int, height: int, shape_width: int, shape_height: int) -> tuple[int, int]:
    """Returns the largest size of a shape that fits into a box; halves round up, and a side has a pixel at least."""
    if width * shape_height > height * shape_width:
        return max(1, (2 * height * shape_width + shape_height) // (2 * shape_height)), height
    return width, max(1, (2 * width * shape_height + shape_width) // (2 * shape_width))


def _centered(width: int, height: int, inner_width: int, inner_height: int) -> Box:
    return (width - inner_width) // 2, (height - inner_height) // 2, inner_width, inner_height
