"""Images with more than eight bits per channel, scaled to eight by the range of their format or their own range.

Cameras, microscopes and scanners store 10, 12 or 14 bits in 16; their upper byte alone would be nearly black.
"""

import io
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageFile

Array = np.ndarray[Any, Any]

# Bit depths of cameras and scanners; files may have more bits.
_USUAL = (8, 10, 12, 14, 16, 24)
# Images are converted in bands of about this many pixels, to limit memory.
BAND_PIXELS = 4_000_000
# TIFF 6.0: tag of the sample format, its value for signed integers, and tag of the bits per sample.
_SAMPLE_FORMAT, _SIGNED, _BITS = 339, 2, 258
# Pillow's raw modes for 16-bit samples in native byte order, and in the other order.
_NATIVE, _FOREIGN = (";16L", ";16B") if sys.byteorder == "little" else (";16B", ";16L")
_SWAPPED = {";16B": ";16L", ";16L": ";16B", ";16N": _FOREIGN}
# Key of `Image.info` for the bits per sample in the file and the bits in use, if fewer.
BITS = "bits_in_file_and_used"
# If the brightest upper byte is below this, 14 or fewer of 16 bits are used.
_DARK = 64


def loaded(image: Image.Image) -> Image.Image:
    """Loads an image; scales 16-bit colors, of which Pillow keeps only the upper byte, by the bits in use."""
    if not isinstance(image, ImageFile.ImageFile) or not (raw := _raw_mode(image)):
        image.load()
        return image
    file = content(image)
    image.load()
    brightest = max(int(high) for _, high in _colours(image).getextrema())  # type: ignore[misc]
    if raw == "ppm":
        if brightest not in range(1, _DARK + 1):
            return image
        # Pillow has scaled 16 bits to 8, with rounding: 14 end at 64 of 255, 12 at 16, 10 at 4.
        bits = next((bits for bits, end in ((8, 1), (10, 4), (12, 16)) if brightest <= end), 14)
        result = _ppm(file, bits)
    elif brightest >= _DARK:
        return image
    else:
        bits = usual_bits(brightest * 256 + 255, 16) if brightest else 8
        result = _joined(image, _low_bytes(file, raw), bits)
    image.info[BITS] = 16, bits
    # A transparent color is given in the file's bit depth.
    result.info = {name: value for name, value in image.info.items() if name != "transparency"}
    result.getexif()[ExifTags.Base.Orientation] = image.getexif().get(ExifTags.Base.Orientation, 1)
    return result


def eight_bits(image: Image.Image) -> Image.Image:
    """Converts a gray image with more bits, or floats, to mode L; Pillow's conversion would clip or blacken it.

    Raises:
      ValueError: a pixel is not a finite number.
    """
    low, high = _extremes(image)
    if low < 0:  # outside every format's range
        scale = 255 / ((high - low) or 1)
    elif image.mode == "F":
        # Programs write 0 to 1 or 0 to 255; values slightly above 1, or above 255, are scaled by their maximum.
        low, scale = 0.0, 255.0 if high <= 1 else 1.0 if 8 <= high <= 255 else 255 / high
    else:
        room = _room(image)
        used = usual_bits(high, room)
        low, scale = 0.0, 256 / 2**used
        if used < room:
            image.info[BITS] = room, used
    result = Image.new("L", image.size)
    for top, values in _values(image):
        scaled = np.clip((values.astype(np.float64) - low) * scale, 0, 255)
        # Integers are truncated, as in other readers; floats are rounded.
        scaled = np.rint(scaled) if image.mode == "F" else scaled
        result.paste(Image.fromarray(scaled.astype(np.uint8)), (0, top))
    return result


def bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yields the first row of each band, and the band."""
    rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def content(image: ImageFile.ImageFile) -> bytes:
    """Returns the whole file of an opened image."""
    assert image.fp is not None
    place = image.fp.tell()
    image.fp.seek(0)
    found = image.fp.read()
    image.fp.seek(place)
    return found


def _extremes(image: Image.Image) -> tuple[float, float]:
    found = []
    for _, values in _values(image):
        if not np.isfinite(values).all():
            raise ValueError("pixels that are no numbers")
        found.append((float(values.min()), float(values.max())))
    return min(low for low, _ in found), max(high for _, high in found)


def _values(image: Image.Image) -> Iterator[tuple[int, Array]]:
    """Yields the first row of each band, and its values; Pillow only has signed 32-bit integers."""
    unsigned = image.mode == "I" and _room(image) == 32
    for top, band in bands(image):
        values = np.asarray(band)
        yield top, values.view(np.uint32) if unsigned else values


def _room(image: Image.Image) -> int:
    """Returns the number of bits of a gray integer image, without the sign."""
    tags = getattr(image, "tag_v2", {})
    if not tags:
        return 16 if image.mode != "I" or image.format == "PPM" else 31
    bits, form = tags.get(_BITS, 16), tags.get(_SAMPLE_FORMAT, 1)
    bits, form = (value[0] if isinstance(value, tuple) else value for value in (bits, form))
    return max(bits, 8) - (form == _SIGNED)


def usual_bits(high: float, room: int) -> int:
    """Returns the smallest usual bit depth for values up to `high`, at most `room`."""
    return next((bits for bits in _USUAL if high < 2**bits and bits < room), room)


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Returns Pillow's raw mode of 16-bit colors in a file, "ppm" for that format; empty for other images."""
    modes = set()
    for tile in image.tile:
        arguments = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        if tile.codec_name in ("ppm", "ppm_plain") and image.mode == "RGB":
            return "ppm" if isinstance(arguments[-1], int) and arguments[-1] > 255 else ""
        modes.add(next((part for part in arguments if isinstance(part, str)), ""))
    [raw] = modes if len(modes) == 1 else [""]
    return raw if raw[-4:] in _SWAPPED and not raw.startswith(("I", "CMYK")) else ""


def _colours(image: Image.Image) -> Image.Image:
    """Returns an image's color bands, without transparency."""
    return image if image.mode == "RGB" else image.convert("RGB")


def _low_bytes(file: bytes, raw: str) -> Image.Image:
    """Reads an image's lower bytes, by decoding it with the other byte order."""
    with Image.open(io.BytesIO(file)) as image:
        assert isinstance(image, ImageFile.ImageFile)
        swapped = "RGBA" if raw == "LA;16B" else raw[:-4] + _SWAPPED[raw[-4:]]
        image.tile = [tile._replace(args=_replaced(tile.args, raw, swapped)) for tile in image.tile]
        image.load()
        if raw != "LA;16B":
            return image.copy()
        # Read as 8-bit RGBA, gray and alpha have two bytes each, the upper one first.
        _, grey, _, alpha = image.split()
        return Image.merge("RGBA", (grey, grey, grey, alpha))


def _replaced(arguments: Any, raw: str, swapped: str) -> Any:
    if isinstance(arguments, tuple):
        return tuple(swapped if part == raw else part for part in arguments)
    return swapped


def _joined(upper: Image.Image, lower: Image.Image, bits: int) -> Image.Image:
    """Combines upper and lower bytes, and scales them by the bits in use."""
    opaque = upper.mode == "RGBA" and int(np.asarray(upper.getchannel("A")).max()) >= _DARK
    result = Image.new(upper.mode, upper.size)
    for (top, high), (_, low) in zip(bands(upper), bands(lower), strict=True):
        values = np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)
        narrow = values >> bits - 8
        if opaque:  # transparency has all 16 bits
            narrow[..., 3] = values[..., 3] >> 8
        result.paste(Image.fromarray(np.minimum(narrow, 255).astype(np.uint8), upper.mode), (0, top))
    return result


def _ppm(file: bytes, bits: int) -> Image.Image:
    """Reads a PPM again, scaled by the bits in use instead of the maximum in its header."""
    # If the maximum is 256 or more, a sample has two bytes.
    with Image.open(io.BytesIO(file), formats=["PPM"]) as image:
        assert isinstance(image, ImageFile.ImageFile)
        image.tile = [tile._replace(args=_stated(tile.args, max(2**bits - 1, 256))) for tile in image.tile]
        image.load()
        return image.copy()


def _stated(arguments: Any, most: int) -> Any:
    return (*arguments[:-1], most) if isinstance(arguments, tuple) else most
