"""FileProperties: format, size, EXIF and hashes of a photo; each file is opened once for all of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image
from scipy import fft

from model_maker.data import bit_depth, images, photo_facts
from model_maker.data.entries import Location
from model_maker.data.photo_facts import PhotoFacts
from model_maker.data.streaming import stream
from model_maker.errors import DataError

Progress = Callable[[int, int], None]

# Side of the image that hash and colors are computed from, pixels.
_GLANCE = 128
# Side of the image that a hash is computed from, and of the low frequencies that it keeps.
_HASHED, _FREQUENCIES = 32, 8
_BASE, _CAMERA = ExifTags.Base, ExifTags.IFD.Exif
# EXIF tags with personal data: those of the image, and those of the Exif IFD.
_PERSONAL = {
    _BASE.Artist: "author",
    _BASE.XPAuthor: "author",
    _BASE.HostComputer: "computer",
}
_PERSONAL_CAMERA = {
    _BASE.CameraOwnerName: "camera owner",
    _BASE.BodySerialNumber: "camera serial number",
    _BASE.LensSerialNumber: "lens serial number",
}


@dataclass(frozen=True, slots=True)
class FileProperties:
    """The properties of one photo.

    Attributes:
      format: Pillow's name of the format by content, for example JPEG.
      width, height: pixels, as stored.
      orientation: the EXIF tag; 1 is upright.
      personal: kinds of personal data in EXIF, for example "GPS position"; the data itself is not kept.
      spread: standard deviation of the channel that varies most, 0 to 127.
      hash, mirrored: perceptual hashes of the upright photo and of its mirror image, 64 bits.
      facts: what it is like apart from what it shows.
      bits: bit depth of the file and number of bits in use, if lower.
    """

    format: str
    width: int
    height: int
    orientation: int
    personal: tuple[str, ...]
    spread: float
    hash: int
    mirrored: int
    facts: PhotoFacts
    bits: tuple[int, int] | None = None


def collect(
    paths: Sequence[Location], *, threads: int | None = None, progress: Progress | None = None
) -> Iterator[FileProperties | DataError]:
    """Yields, for each photo in order, its FileProperties, or the DataError with the reason it cannot be read."""
    results = stream(paths, 0, lambda: read, threads=threads, load=lambda path, _: _content(path))
    for done, result in enumerate(results, 1):
        yield result
        if progress:
            progress(done, len(paths))


def read(content: bytes) -> FileProperties | DataError:
    """Returns the properties of a photo, given the bytes of its file, or why it cannot be decoded."""
    try:
        with images.opened(content) as image:
            form, (width, height) = image.format or "", image.size
            upright = images.to_rgb(image)
            exif = image.getexif()
            bits = image.info.get(bit_depth.BITS)
            facts = photo_facts.of(image, upright)
    except DataError as error:
        return error
    upright.thumbnail((_GLANCE, _GLANCE))
    mirrored = upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return FileProperties(
        form,
        width,
        height,
        images.orientation(exif),
        _personal(exif),
        float(np.asarray(upright).std(axis=(0, 1)).max()),
        perceptual_hash(upright),
        perceptual_hash(mirrored),
        facts,
        bits,
    )


def perceptual_hash(image: Image.Image) -> int:
    """Returns a 64-bit hash that differs in few bits between sizes and encodings of the same image.

    Each bit states whether one of the 8 x 8 lowest frequencies of the 32 x 32 grayscale image exceeds their median.

    Source: Krawetz 2011, "Looks Like It"; the bits are those of `imagehash.phash`, which would bring PyWavelets for
      these three lines.
    """
    grey = image.convert("L").resize((_HASHED, _HASHED), Image.Resampling.LANCZOS)
    low = fft.dctn(np.asarray(grey, np.float64))[:_FREQUENCIES, :_FREQUENCIES]
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")


def _content(path: Location) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or 'unreadable'}") from None


def _personal(exif: Image.Exif) -> tuple[str, ...]:
    found = {name for tag, name in _PERSONAL.items() if exif.get(tag)}
    try:
        camera, position = exif.get_ifd(_CAMERA), exif.get_ifd(ExifTags.IFD.GPSInfo)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError):  # damaged EXIF in an intact image
        return tuple(sorted(found))
    found |= {name for tag, name in _PERSONAL_CAMERA.items() if camera.get(tag)}
    if position.get(ExifTags.GPS.GPSLatitude):
        found.add("GPS position")
    return tuple(sorted(found))
