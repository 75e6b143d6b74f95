"""Augmented views of a photo: random crop, rotation, flip, color, blur, compression and erasing.

A view is a pure function of the photo's content, the strengths, a seed and the view's number, and view 0 is always the
original photo. `mixing` augments whole batches. Augmentation libraries do not guarantee identical views across
versions, which cached embeddings and byte-identical models need, and most depend on OpenCV or torch.
"""

import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from model_maker.data import images
from model_maker.errors import DataError
from model_maker.fitting import Fit

Array = np.ndarray
Rng = np.random.Generator

# Part of each view's identity; increase the number when the result of `view` changes.
_VERSION = "views-1"
# RGB to luma and two color axes, NTSC standard; Pillow's "L" uses the same first row.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_RGB = np.linalg.inv(_YIQ)
# Minimum and maximum aspect ratio of the erased box; Zhong et al. 2020 use a range about twice as wide, from 0.3.
_ERASED_ASPECT = (0.5, 2.0)


@dataclass(frozen=True)
class Augmentation:
    """The strength of augmentation; the defaults disable it.

    Attributes:
      least_area: minimum share of the photo that a crop keeps.
      stretch: maximum factor by which a crop's aspect ratio changes, either way.
      flip: share of views that are mirrored, left to right.
      degrees: maximum rotation, either way.
      brightness, contrast, saturation: maximum deviation of each factor from 1.
      hue_degrees: maximum rotation of the hue, either way.
      blurred, blur_pixels: share of views that are blurred, and the largest radius in pixels of the view.
      compressed, least_quality: share of views that are compressed as JPEG, and the lowest quality, up to 95.
      erased, erased_area: share of views with an erased box, and the box's maximum share of the view.
    """

    least_area: float = 1.0
    stretch: float = 1.0
    flip: float = 0.0
    degrees: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue_degrees: float = 0.0
    blurred: float = 0.0
    blur_pixels: float = 0.0
    compressed: float = 0.0
    least_quality: int = 95
    erased: float = 0.0
    erased_area: float = 0.0


# Their effect was measured, see docs/MEASUREMENTS.md.
PRESETS = {
    "none": Augmentation(),
    "light": Augmentation(least_area=0.7, stretch=1.1, flip=0.5, brightness=0.1, contrast=0.1, saturation=0.1),
    "standard": Augmentation(
        least_area=0.3,
        stretch=4 / 3,
        flip=0.5,
        degrees=15,
        brightness=0.3,
        contrast=0.3,
        saturation=0.3,
        hue_degrees=10,
        blurred=0.1,
        blur_pixels=1.5,
        compressed=0.2,
        least_quality=40,
        erased=0.25,
        erased_area=0.2,
    ),
    "strong": Augmentation(
        least_area=0.2,
        stretch=4 / 3,
        flip=0.5,
        degrees=20,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue_degrees=15,
        blurred=0.2,
        blur_pixels=2.0,
        compressed=0.3,
        least_quality=30,
        erased=0.3,
        erased_area=0.2,
    ),
}


def preset(name: str, *, parameter: str = "augment") -> Augmentation:
    """Looks up PRESETS.

    Raises:
      DataError: there is no preset of that name.
    """
    if name not in PRESETS:
        raise DataError(f"`{parameter}={name!r}`: choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def identity(digest: str, augmentation: Augmentation, *, seed: int, number: int) -> str:
    """Returns the identity of a view, sha256 in hexadecimal; of view 0 it is the digest of the photo."""
    if number == 0:
        return digest
    return hashlib.sha256(f"{_VERSION} {digest} {augmentation} {seed} {number}".encode()).hexdigest()


def views(
    photo, size: int | Fit, augmentation: Augmentation, *, digest: str, seed: int = 0, numbers: Sequence[int]
) -> Array:
    """Makes views of one photo, which is decoded once.

    The fixed crop of the resize comes first; a letterboxed photo is augmented within its frame.

    Args:
      photo: whatever `images.load` takes.
      size: the input, as `images.load` takes it.
      digest: sha256 of the photo's content, hexadecimal.
      numbers: numbers of the views; 0 is the original photo.

    Returns:
      uint8 [len(numbers), H, W, 3].

    Raises:
      DataError: the photo cannot be read.

    Examples:
      >>> views("rose.jpg", 224, PRESETS["standard"], digest="ab" * 32, numbers=range(4)).shape
      (4, 224, 224, 3)
    """
    fit = Fit.of(size)
    image = images.used(images.picture(photo), fit)
    left, top, width, height = fit.target(*image.size)
    made = np.empty((len(numbers), fit.height, fit.width, 3), np.uint8)
    for row, number in zip(made, numbers, strict=True):
        if number == 0:
            pixels = images.stretched(image, width, height)
        else:
            name = identity(digest, augmentation, seed=seed, number=number)
            pixels = view(image, Fit(height, width), augmentation, np.random.default_rng(int(name, 16)))
        row[:] = images.framed(pixels, fit, left, top)
    return made


def view(image: Image.Image, size: int | Fit, augmentation: Augmentation, rng: Rng) -> Array:
    """Makes one view of an RGB photo at full resolution, uint8 [H, W, 3], drawing every strength at random."""
    image = _sampled(image, size, augmentation, rng)
    image = recolour(
        image,
        brightness=1 + _about_zero(rng, augmentation.brightness),
        contrast=1 + _about_zero(rng, augmentation.contrast),
        saturation=1 + _about_zero(rng, augmentation.saturation),
        hue_degrees=_about_zero(rng, augmentation.hue_degrees),
    )
    if rng.random() < augmentation.blurred:
        image = image.filter(ImageFilter.BoxBlur(rng.uniform(0, augmentation.blur_pixels)))
    if rng.random() < augmentation.compressed:
        image = compress(image, int(rng.integers(augmentation.least_quality, 96)))
    pixels = np.asarray(image)
    if rng.random() < augmentation.erased:
        pixels = erase(pixels, rng.uniform(0, augmentation.erased_area), rng)
    return pixels


def _about_zero(rng: Rng, most: float) -> float:
    return float(rng.uniform(-most, most))


def _sampled(image: Image.Image, size: int | Fit, augmentation: Augmentation, rng: Rng) -> Image.Image:
    """Applies a random crop, rotation and flip in a single transform."""
    area = rng.uniform(augmentation.least_area, 1)
    ratio = augmentation.stretch ** _about_zero(rng, 1)
    # Shares of the photo's sides, so that a crop is stretched like the whole photo.
    shares = min(1.0, math.sqrt(area * ratio)), min(1.0, math.sqrt(area / ratio))
    degrees = _about_zero(rng, augmentation.degrees)
    place = rng.uniform(0, 1, 2)
    return sample(
        image, size, shares=shares, place=tuple(place), degrees=degrees, flip=rng.random() < augmentation.flip
    )


def sample(
    image: Image.Image,
    size: int | Fit,
    *,
    shares: tuple[float, float] = (1.0, 1.0),
    place: tuple[float, float] = (0.5, 0.5),
    degrees: float = 0.0,
    flip: bool = False,
) -> Image.Image:
    """Crops, rotates and flips a photo, and stretches the result as `images.resize` does: no antialiasing.

    Args:
      shares: width and height of the box, relative to the photo. A rotated box is shrunk to fit inside the photo,
        because phone cameras never show empty corners.
      place: position of the box, across and down: 0 is the left or upper edge, 1 the right or lower one.
      degrees: counterclockwise rotation of the object.

    Returns:
      RGB, [H, W].
    """
    made = Fit.of(size)
    width, height = shares[0] * image.width, shares[1] * image.height
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    across = width * abs(cosine) + height * abs(sine)
    down = width * abs(sine) + height * abs(cosine)
    shrink = min(1.0, image.width / across, image.height / down)
    centre = [
        (side - shrink * extent) * where + shrink * extent / 2
        for side, extent, where in ((image.width, across, place[0]), (image.height, down, place[1]))
    ]
    step_x, step_y = shrink * width / made.width * (-1 if flip else 1), shrink * height / made.height
    rows = ((cosine * step_x, -sine * step_y), (sine * step_x, cosine * step_y))
    # Pillow adds the half pixel of pixel centers itself.
    matrix = [
        value for (a, b), middle in zip(rows, centre, strict=True) for value in (a, b, middle - _middle(a, b, made))
    ]
    return image.transform((made.width, made.height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def _middle(a: float, b: float, size: Fit) -> float:
    """Maps the middle of the result by a row of the matrix; keeps the rounding of earlier versions for squares."""
    return (a + b) * (size.width / 2) if size.width == size.height else a * size.width / 2 + b * size.height / 2


def recolour(
    image: Image.Image,
    *,
    brightness: float = 1.0,
    contrast: float = 1.0,
    saturation: float = 1.0,
    hue_degrees: float = 0.0,
) -> Image.Image:
    """Rotates the hue, then scales saturation, brightness, and contrast about the mean; rounds and clips once.

    All four are linear in RGB, so they are one matrix.

    Source: Haeberli 1993, "Matrix Operations for Image Processing".
    """
    turn = math.radians(hue_degrees)
    cosine, sine = saturation * math.cos(turn), saturation * math.sin(turn)
    mixing = brightness * (_RGB @ np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]) @ _YIQ)
    mean = brightness * float(_YIQ[0] @ np.array(image.resize((1, 1), Image.Resampling.BOX)).ravel())
    matrix = np.column_stack([contrast * mixing, np.full(3, (1 - contrast) * mean)])
    return image.convert("RGB", tuple(matrix.ravel().tolist()))


def compress(image: Image.Image, quality: int) -> Image.Image:
    """Compresses as JPEG, quality 1 to 95, and decodes the result."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return images.decode(file.getvalue())


def erase(pixels: Array, area: float, rng: Rng) -> Array:
    """Fills a box of about this share of the pixels, uint8 [H, W, 3], with noise; one that does not fit is clipped.

    Source: Zhong et al. 2020, "Random Erasing Data Augmentation".
    """
    sides = np.array(pixels.shape[:2])
    aspect = math.exp(rng.uniform(*np.log(_ERASED_ASPECT)))
    box = np.minimum(np.rint(sides * np.sqrt([area * aspect, area / aspect])).astype(int), sides)
    top, left = rng.integers(0, sides - box + 1)
    made = pixels.copy()
    made[top : top + box[0], left : left + box[1]] = rng.integers(0, 256, (*box, 3), np.uint8)
    return made
