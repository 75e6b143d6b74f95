"""The only image decoder: decode, orient, convert, resize.

Training, calibration, evaluation and prediction all call `load`, so they use the same pixels, which are as close as
possible to those of phone clients.
"""

import contextlib
import functools
import io
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import BmpImagePlugin, Image, JpegImagePlugin, UnidentifiedImageError
from PIL import __version__ as pillow_version

from model_maker.data import bit_depth, in_memory, png
from model_maker.data.entries import Location
from model_maker.errors import DataError, first_line
from model_maker.fitting import STRETCH, Fit
from model_maker.system import extras, files

Array = np.ndarray[Any, Any]
# Input of `load`.
Photo = str | os.PathLike[str] | Location | Image.Image | in_memory.Given

# Suffix to Pillow's name of the format. The content decides, not the suffix.
FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pbm": "PPM",
    ".pnm": "PPM",
}
_PLUGINS = tuple(dict.fromkeys(FORMATS.values()))
# The format of iPhones, which needs the extra `heif`.
HEIF = (".heic", ".heif")
_NO_HEIF = f"HEIC needs the extra: {extras.command('pillow_heif')}, or save it as JPEG"
_ORIENTATION = 0x0112  # the EXIF tag; 1 is upright
# EXIF 2.32, 4.6.4 A: the operation that makes an image of each orientation upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Part of cache keys, see `preprocessing`; increment it when the result of `load` changes.
PREPROCESSING = f"stretch-bilinear-3/pillow-{pillow_version}"
# Pillow rejects larger images as decompression bombs; defined here for the message. Decoding to upright RGB takes up to
# 12 bytes of memory per pixel for JPEG, PNG, TIFF, GIF and BMP, up to 20 for WebP and AVIF, which have their own
# decoders: 3.6 GB for the largest.
MAX_PIXELS = 2 * 89_478_485
# Larger images than cameras take are decoded one at a time, whatever the number of threads.
LARGE_PIXELS = 64_000_000
_one_large = threading.Lock()
# Encoders write about ten scans. Each is a pass over the whole image for some 30 bytes of file, so a file of a megabyte
# could keep a core busy for an hour.
_MAX_SCANS = 100
_BMP_RUNS = (1, 2)  # BMP's run-length compression, 8 and 4 bits
# Magic bytes; those of WebP and HEIC follow a few bytes later.
_BEGINNINGS = (b"\xff\xd8\xff", png.MARK, b"GIF8", b"II*\0", b"MM\0*")
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])", re.DOTALL)
# Brands of HEIC and AVIF; other brands of this container are videos.
_STILL = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")
# Exceptions of Pillow's decoders for damaged files.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, RuntimeError)


def is_photo(suffix: str) -> bool:
    """Returns whether a suffix, with its dot, is that of a photo, even if the format cannot be decoded here."""
    return suffix.lower() in FORMATS or suffix.lower() in HEIF


def begins_as_photo(path: Path) -> bool:
    """Returns whether a regular file has the magic bytes of one of FORMATS, or of HEIC."""
    try:
        with files.open_regular(path) as file:
            start = _start(file)
    except OSError:
        return False
    return start.startswith(_BEGINNINGS) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP") or _is_heif(start)


def obstacle(suffix: str) -> str:
    """Returns why photos of a suffix cannot be read here, or an empty string."""
    return _NO_HEIF if suffix.lower() in HEIF and not reads_heif() else ""


def preprocessing(resize: str) -> str:
    """Returns the part of cache keys that identifies the preprocessing of `load` with one of RESIZES."""
    return PREPROCESSING if resize == STRETCH else f"{resize} {PREPROCESSING}"


def load(photo: Photo, size: int | Fit) -> Array:
    """Returns the pixels of a photo at the input size of a model.

    Args:
      photo: a path, the bytes of a file, an open file, anything with `read_bytes`, a Pillow image, or an array or
        tensor as `in_memory.read` takes it.
      size: the input and how the photo is fitted to it; a number is height and width, and the photo is stretched, as
        phone clients do.

    Returns:
      uint8 [H, W, 3], RGB.

    Raises:
      DataError: the photo cannot be read; the message states its name and the reason.
    """
    return resize(picture(photo), size)


def picture(photo: Photo) -> Image.Image:
    """Returns a photo, as `load` takes it, in upright RGB at its original size.

    Raises:
      DataError: the photo cannot be read.
    """
    plain = in_memory.read(photo)
    image = Image.fromarray(plain) if isinstance(plain, np.ndarray) else plain
    if isinstance(image, Image.Image) and 0 in image.size:
        raise DataError(f"The image has no pixels: it is {image.width} x {image.height}.")
    return to_rgb(image) if isinstance(image, Image.Image) else decode(image)


def decode(photo: str | os.PathLike[str] | bytes | Location) -> Image.Image:
    """Reads a file's first frame as upright RGB.

    Raises:
      DataError: missing, empty, truncated, too large, or not in FORMATS.
    """
    with opened(photo) as image:
        return _upright_rgb(image)


@contextlib.contextmanager
def opened(photo: str | os.PathLike[str] | bytes | Location) -> Iterator[Image.Image]:
    """Opens a file as a lazy Pillow image with its metadata.

    Raises:
      DataError: as `decode`, from opening and from the block.
    """
    name = "the picture" if isinstance(photo, bytes) else str(photo)
    with _explained(name):
        source = _source(photo)
    with source, _explained(name, source), _opened(source) as image:
        _refuse_time_bomb(image)
        yield image


def orientation(exif: Image.Exif) -> int:
    """Returns the EXIF orientation, from 1, upright, to 8."""
    value = exif.get(_ORIENTATION, 1)
    return value if isinstance(value, int) else 1


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts any Pillow image to upright RGB; transparent pixels become black, as on phones.

    Raises:
      DataError: it is lazy, and its file is damaged.
    """
    with _explained("the picture"):
        return _upright_rgb(image)


def resize(image: Image.Image, size: int | Fit) -> Array:
    """Fits a photo to an input, uint8 [H, W, 3].

    Bilinear between the four nearest pixels, half-pixel centers, no antialiasing.
    """
    fit = Fit.of(size)
    image = used(image, fit)
    left, top, width, height = fit.target(*image.size)
    return framed(stretched(image, width, height), fit, left, top)


def used(image: Image.Image, fit: Fit) -> Image.Image:
    """Returns the part of a photo that is used."""
    left, top, width, height = fit.source(*image.size)
    return image if (width, height) == image.size else image.crop((left, top, left + width, top + height))


def stretched(image: Image.Image, width: int, height: int) -> Array:
    """Stretches a whole photo to uint8 [height, width, 3]."""
    if image.size == (width, height):
        return np.asarray(image)
    box = (0, 0, *image.size)
    return np.asarray(image.transform((width, height), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR))


def framed(pixels: Array, fit: Fit, left: int, top: int) -> Array:
    """Places pixels in the input; the rest is black."""
    height, width = pixels.shape[:2]
    if (width, height) == (fit.width, fit.height):
        return pixels
    whole = np.zeros((fit.height, fit.width, 3), np.uint8)
    whole[top : top + height, left : left + width] = pixels
    return whole


@contextlib.contextmanager
def _explained(name: str, source: BinaryIO | None = None) -> Iterator[None]:
    """Converts exceptions of Pillow to a DataError with the reason."""
    try:
        yield
    except UnidentifiedImageError:
        raise DataError(f"{name}: {_not_a_photo(source) if source else 'not a picture'}") from None
    except Image.DecompressionBombError:
        raise DataError(f"{name}: more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller") from None
    except FileNotFoundError:
        raise DataError(f"{name}: no such file") from None
    except _DAMAGE as error:
        # Operating system errors have a number and a message.
        reason = getattr(error, "strerror", None) or f"damaged ({first_line(error, 120)})"
        raise DataError(f"{name}: {reason}") from error


def _refuse_time_bomb(image: Image.Image) -> None:
    """Raises an error if decoding would take far more time than size and pixels explain."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        scans = _scans(bit_depth.content(image))
        if scans > _MAX_SCANS:
            raise ValueError(f"{scans} scans, more than {_MAX_SCANS}")
    elif image.info.get("compression") in _BMP_RUNS and isinstance(image, BmpImagePlugin.BmpImageFile):
        # A run has at most 255 pixels; Pillow fills pixels that no run covers one by one.
        size = len(bit_depth.content(image))
        if image.width * image.height > 255 * size:
            raise ValueError(f"{image.width} x {image.height} pixels from {size} bytes")


def _scans(content: bytes) -> int:
    """Counts the scans of a JPEG up to its end; phones append a video, which may contain any bytes."""
    place, scans = 2, 0
    # In scan data, 255 is followed by 0 or a restart marker; any other byte begins a segment.
    while (found := _MARKER.search(content, place)) and found[1] != b"\xd9":
        scans += found[1] == b"\xda"
        place = found.end() + int.from_bytes(content[found.end() : found.end() + 2], "big")
    return scans


def _upright_rgb(image: Image.Image) -> Image.Image:
    with _one_large if image.width * image.height > LARGE_PIXELS else contextlib.nullcontext():
        return converted(bit_depth.loaded(image))


def converted(image: Image.Image) -> Image.Image:
    turn = _TURNS.get(orientation(image.getexif()))
    if image.mode.startswith("I") or image.mode == "F":
        image = bit_depth.eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = _on_black(image)
    image = image if image.mode == "RGB" else image.convert("RGB")
    return image if turn is None else image.transpose(turn)


def _on_black(image: Image.Image) -> Image.Image:
    result = Image.new("RGB", image.size)
    for top, band in bit_depth.bands(image):
        black = Image.new("RGBA", band.size, (0, 0, 0, 255))
        result.paste(Image.alpha_composite(black, band.convert("RGBA")).convert("RGB"), (0, top))
    return result


def _source(photo: str | os.PathLike[str] | bytes | Location) -> BinaryIO:
    if isinstance(photo, str | os.PathLike):
        return files.open_regular(photo)
    return io.BytesIO(photo if isinstance(photo, bytes) else photo.read_bytes())


def _opened(source: BinaryIO) -> Image.Image:
    source = png.without_texts(source)
    try:
        return Image.open(source, formats=_PLUGINS)
    except UnidentifiedImageError:
        if not (_is_heif(_start(source)) and reads_heif()):
            raise
        import pillow_heif

        pillow_heif.register_heif_opener()
        return Image.open(source, formats=["HEIF"])


def _start(file: BinaryIO) -> bytes:
    file.seek(0)
    start = file.read(12)
    file.seek(0)
    return start


def _is_heif(start: bytes) -> bool:
    return start[4:8] == b"ftyp" and start[8:12] in _STILL


@functools.cache
def reads_heif() -> bool:
    return extras.is_here("pillow_heif")


def _not_a_photo(source: BinaryIO) -> str:
    start = _start(source)
    if not start:
        return "empty file"
    if _is_heif(start):
        brand = start[8:].decode("ascii", "replace")
        return f"damaged (a file of the kind {brand!r})" if reads_heif() or brand == "avif" else _NO_HEIF
    if start[4:8] == b"ftyp":
        return f"a video ({'MOV' if start[8:10] == b'qt' else 'MP4'}), not a photo"
    if start[:4] in (b"II*\0", b"MM\0*"):
        return "a TIFF with bands or samples that cannot be read here; save it as RGB with 8 bits"
    return "not a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture"
