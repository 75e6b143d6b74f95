"""Conditions that phones meet, as functions of a photo: CONDITIONS.

Strengths are those of 224 x 224 pixels, at which the benchmark that most come from corrupts photos, and scale with the
input. Chance is seeded by the photo's content, so a photo always becomes the same.

Source: Hendrycks & Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations"
(ImageNet-C; "severity" is theirs, from 1 to 5).
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage

from model_maker.data import augment

Array = np.ndarray
Rng = np.random.Generator
# What makes uint8 [size, size, 3] of the photo, RGB at its own size, and of its pixels as the model takes them.
Change = Callable[[Image.Image, Array, Rng], Array]

_SIZE = 224
_GRAY = 127
_SKIN = (176, 112, 92)
PLAIN = "as they are"
COVERED = "object covered"


@dataclass(frozen=True)
class Condition:
    """What it does to a photo, in a few words; its source, empty for our own; and the function that applies it."""

    what: str
    source: str
    change: Change

    def apply(self, name: str, photo: Image.Image, pixels: Array, digest: str) -> Array:
        """Returns a photo, RGB at its own size, in this condition: uint8 [size, size, 3].

        Args:
          pixels: uint8 [size, size, 3], the same as the model takes it.
          digest: sha256 of its content, hexadecimal; chance is seeded by it and the name.
        """
        seed = hashlib.sha256(f"{digest} {name}".encode()).digest()
        return self.change(photo, pixels, np.random.default_rng(int.from_bytes(seed[:8], "big")))


def _dusk(_: Image.Image, pixels: Array, rng: Rng) -> Array:
    """A third of the light, and shot noise of severity 1, 60 photons at white."""
    photons = 60
    return _bytes(rng.poisson(0.35 * photons * _shares(pixels)) / photons)


def _backlight(_: Image.Image, pixels: Array, rng: Rng) -> Array:
    """The middle in shadow, light from behind that washes out towards the borders."""
    across = np.linspace(-1, 1, len(pixels))
    distance = np.sqrt(across[:, None] ** 2 + across**2)[..., None]
    light = np.clip(distance - 0.4, 0, 0.7)
    return _bytes(0.4 * _shares(pixels) * (1 - light) + light)


def _motion_blur(_: Image.Image, pixels: Array, rng: Rng) -> Array:
    """Severity 2: 15 pixels, weights of a normal distribution of 5, in a direction up to 45 degrees from level."""
    reach, angle = _scaled(pixels, 15), math.radians(rng.uniform(-45, 45))
    weights = np.exp(-np.square(np.arange(round(reach)) / (reach / 3)) / 2)
    padding = math.ceil(reach)
    wide = np.pad(_shares(pixels), ((padding, padding), (padding, padding), (0, 0)), "edge")
    blurred = np.zeros(pixels.shape)
    for step, weight in enumerate(weights / weights.sum()):
        down, right = (padding + round(step * way) for way in (math.sin(angle), math.cos(angle)))
        blurred += weight * wide[down : down + len(pixels), right : right + len(pixels)]
    return _bytes(blurred)


def _focus_blur(_: Image.Image, pixels: Array, rng: Rng) -> Array:
    """Severity 2: a disk of 4 pixels, its edge smoothed by half a pixel."""
    radius = _scaled(pixels, 4)
    line = np.arange(-math.ceil(radius) - 1, math.ceil(radius) + 2)
    disk = ndimage.gaussian_filter((np.hypot(line[:, None], line) <= radius).astype(float), 0.5)
    return _bytes(ndimage.convolve(_shares(pixels), disk[..., None] / disk.sum(), mode="nearest"))


def _farther(_: Image.Image, pixels: Array, rng: Rng) -> Array:
    """Half as large, in front of its own blur, for what lies around a photo is not known."""
    side, picture = len(pixels), Image.fromarray(pixels)
    half = picture.resize((side // 2, side // 2), Image.Resampling.BILINEAR)
    around = picture.filter(ImageFilter.GaussianBlur(side / 8))
    around.paste(half, ((side - half.width) // 2, (side - half.height) // 2))
    return np.asarray(around)


def _nearer(photo: Image.Image, pixels: Array, rng: Rng) -> Array:
    """The middle, 60 % of each side."""
    return np.asarray(augment.sample(photo, len(pixels), shares=(0.6, 0.6)))


def _rotated(photo: Image.Image, pixels: Array, rng: Rng) -> Array:
    """Turned by 20 degrees, one way or the other, and cut so that no corner is empty."""
    return np.asarray(augment.sample(photo, len(pixels), degrees=20 * _sign(rng)))


def _compressed(_: Image.Image, pixels: Array, rng: Rng) -> Array:
    """JPEG of quality 30; severity 1 has 25."""
    return np.asarray(augment.compress(Image.fromarray(pixels), 30))


def _white_balance(_: Image.Image, pixels: Array, rng: Rng) -> Array:
    """Too warm or too cold: red and blue times 1.35 and 0.7, or the other way round."""
    gains = np.array([1.35, 1.0, 0.7])[:: int(_sign(rng))]
    return _bytes(_shares(pixels) * gains)


def _finger(_: Image.Image, pixels: Array, rng: Rng) -> Array:
    """A blurred disk of skin over one corner, about a fifth of the photo."""
    side = len(pixels)
    middle = rng.integers(0, 2, 2) * side
    lines = np.arange(side) + 0.5
    distance = np.hypot(lines[:, None] - middle[0], lines - middle[1])
    cover = np.clip((0.55 * side - distance) / (0.1 * side), 0, 1)[..., None]
    return _bytes(_shares(pixels) * (1 - cover) + np.array(_SKIN) / 255 * cover)


def _covered(_: Image.Image, pixels: Array, rng: Rng) -> Array:
    """The middle in gray, 70 % of each side: half of the photo."""
    margin, covered = round(0.15 * len(pixels)), pixels.copy()
    covered[margin : len(pixels) - margin, margin : len(pixels) - margin] = _GRAY
    return covered


_C = "ImageNet-C (Hendrycks and Dietterich 2019)"
# In the order of the table.
CONDITIONS = {
    PLAIN: Condition("not changed", "", lambda photo, pixels, rng: pixels),
    "dusk": Condition("a third of the light, shot noise", f"{_C}, shot noise of severity 1, darkened", _dusk),
    "backlight": Condition("middle in shadow, borders washed out", "", _backlight),
    "motion blur": Condition("15 pixels of 224", f"{_C}, severity 2", _motion_blur),
    "focus blur": Condition("a disk of 4 pixels of 224", f"{_C}, severity 2", _focus_blur),
    "farther": Condition("half as large, in front of its own blur", "", _farther),
    "nearer": Condition("the middle, 60 % of each side", "", _nearer),
    "rotated": Condition("by 20 degrees", "", _rotated),
    "JPEG": Condition("quality 30", f"{_C}, milder than severity 1", _compressed),
    "white balance": Condition("too warm or too cold", "after Afifi and Brown 2019", _white_balance),
    "finger": Condition("on the lens, over one corner", "", _finger),
    COVERED: Condition("middle in gray, half of the photo", "after occlusion, Zeiler and Fergus 2014", _covered),
}


def _shares(pixels: Array) -> Array:
    return pixels.astype(np.float64) / 255


def _bytes(shares: Array) -> Array:
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def _scaled(pixels: Array, length: float) -> float:
    return max(1.0, length * len(pixels) / _SIZE)


def _sign(rng: Rng) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0
