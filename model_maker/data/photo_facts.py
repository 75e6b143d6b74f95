"""PhotoFacts: technical properties of a photo: brightness, sharpness, size, aspect ratio, format, camera."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image

from model_maker.data import images
from model_maker.data.entries import Location
from model_maker.data.streaming import stream
from model_maker.errors import DataError

# Photos are scaled to this longer side, pixels, to measure brightness and sharpness.
_SIDE = 256


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """Technical properties of a photo.

    Attributes:
      brightness: mean gray value, 0 to 255.
      sharpness: logarithm of the variance of the Laplacian over that of the gray values; lower for blurred photos.
      megapixels: as stored.
      aspect: width / height, upright.
      format: Pillow's name of the format by content, for example JPEG.
      camera: make and model from EXIF, or empty.
    """

    brightness: float
    sharpness: float
    megapixels: float
    aspect: float
    format: str
    camera: str


# Numeric facts: name in sentences, and adjectives for low and high values.
NUMBERS = {
    "brightness": ("brightness", "dark", "bright"),
    "sharpness": ("sharpness", "blurred", "sharp"),
    "megapixels": ("size", "small", "large"),
    "aspect": ("aspect", "upright", "wide"),
}
# Categorical facts.
NAMES = {"format": "file format", "camera": "camera"}


def of(image: Image.Image, upright: Image.Image) -> PhotoFacts:
    """Returns the facts of a photo, given as opened and as upright RGB."""
    width, height = upright.size
    small = upright.copy()
    small.thumbnail((_SIDE, _SIDE))
    gray = np.asarray(small.convert("L"), np.float64)
    exif = image.getexif()
    named = (str(exif.get(tag, "")).replace("\0", "").strip() for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
    return PhotoFacts(
        float(gray.mean()),
        _sharpness(gray),
        image.width * image.height / 1e6,
        width / height,
        image.format or "",
        " ".join(filter(None, named)),
    )


def collect(
    paths: Sequence[Location], *, threads: int | None = None, progress: Callable[[int, int], None] | None = None
) -> Iterator[PhotoFacts | DataError]:
    """Yields, for each photo in order, its facts, or the DataError with the reason it cannot be read."""
    results = stream(paths, 0, lambda: _read, threads=threads, load=lambda path, _: path)
    for done, result in enumerate(results, 1):
        yield result
        if progress:
            progress(done, len(paths))


def _read(path: Location) -> PhotoFacts | DataError:
    try:
        with images.opened(path) as image:
            return of(image, images.to_rgb(image))
    except DataError as error:
        return error


def _sharpness(gray: np.ndarray) -> float:
    if min(gray.shape) < 3 or gray.std() < 1:
        return 0.0  # uniform, so nothing can be sharp
    edges = gray[1:-1, :-2] + gray[1:-1, 2:] + gray[:-2, 1:-1] + gray[2:, 1:-1] - 4 * gray[1:-1, 1:-1]
    return float(np.log(edges.var() + 1e-3) - np.log(gray.var()))
