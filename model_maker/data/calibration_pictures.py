"""Calibration images for use without photos: drawn flowers, and noise with the spectrum of photos."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from model_maker.data import sample_data
from model_maker.data.drawn_flowers import SPECIES

_SIDE = 256
# Mixes three independent noise fields into red, green and blue, which are correlated in photos.
_COLOURS = np.array([[1, 1, 1], [0.5, 0, -0.5], [0.3, -0.3, 0.3]])


def pictures(number: int = 50) -> Iterator[Image.Image]:
    """Yields a number of drawings and as many noise images, deterministically.

    The drawings have edges and objects; the noise has every scale and color. On ImageNet photos, int8 models calibrated
    on these are as close to their float models as if calibrated on photos; see docs/MEASUREMENTS.md.
    """
    for index, drawing in enumerate(drawings(number)):
        yield drawing
        yield _clouds(index)


def drawings(number: int) -> Iterator[Image.Image]:
    """Yields a number of drawings, deterministically."""
    species = list(SPECIES)
    for index in range(number):
        yield sample_data.picture(species[index % len(species)], index // len(species))


def _clouds(seed: int) -> Image.Image:
    """Noise whose amplitude falls as one over the frequency, as that of photos does (Field 1987)."""
    random = np.random.default_rng(seed)
    along = np.fft.fftfreq(_SIDE)
    frequency = np.hypot(along[:, None], along[None])
    frequency[0, 0] = 1 / _SIDE
    falling = frequency ** random.uniform(0.8, 1.3)
    fields = [np.fft.ifft2(np.fft.fft2(random.normal(size=(_SIDE, _SIDE))) / falling).real for _ in range(3)]
    picture = np.stack(fields, axis=-1) @ (_COLOURS * random.uniform(0.5, 1, (3, 1)))
    picture = (picture - picture.mean()) / picture.std()
    levels = random.uniform(80, 170) + random.uniform(30, 80) * picture
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
