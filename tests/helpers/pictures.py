"""Pictures made by hand and by Pillow, as files that tests open."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from model_maker.data import images


def encode(image, form, **options):
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, *, depth, colour, rows, extra=b""):
    """A PNG by hand; colour types: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def noise(height=9, width=7):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def pixels(content):
    return np.asarray(images.decode(content)).astype(int)


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif
