"""Thumbnails: small JPEGs of photos, also as `data:` URLs for self-contained pages."""

import base64
import io

from PIL import Image

from model_maker.data import images
from model_maker.data.entries import Location
from model_maker.errors import DataError


def address(photo: Location, side: int) -> str:
    """Returns the result of `jpeg` as a `data:` URL; an empty string if the photo cannot be read."""
    content = jpeg(photo, side)
    return _address(content) if content else ""


def address_of(picture: Image.Image, side: int) -> str:
    """Returns a `data:` URL for an RGB image in memory."""
    return _address(encoded(picture, side))


def jpeg(photo: Location, side: int) -> bytes:
    """Returns a JPEG without EXIF, its longer side at most `side` pixels; empty bytes if the photo cannot be read."""
    try:
        with images.opened(photo) as image:
            image.draft("RGB", (2 * side, 2 * side))  # decodes a JPEG no larger than needed
            small = images.to_rgb(image)
    except DataError:
        return b""
    return encoded(small, side)


def encoded(picture: Image.Image, side: int) -> bytes:
    """Returns a JPEG without EXIF of a picture, RGB; `side` is of the longer edge at most, pixels."""
    small = picture.copy()
    small.thumbnail((side, side))
    bare = Image.frombytes("RGB", small.size, small.tobytes())  # pixels and nothing else
    file = io.BytesIO()
    bare.save(file, "JPEG", quality=75)
    return file.getvalue()


def _address(content: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
