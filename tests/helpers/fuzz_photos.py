"""Small pictures in every format that is read, with all that files carry beside pixels: what is damaged."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def pixels(mode="RGB", height=23, width=17):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 4), np.uint8)
    smooth = np.linspace(0, 255, height * width * 4).reshape(noise.shape)
    image = Image.fromarray((smooth * 0.8 + noise * 0.2).astype(np.uint8), "RGBA")
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return image.convert("RGB").convert(mode) if mode not in ("RGBA", "LA") else image.convert(mode)


def exif():
    found = Image.Exif()
    found[0x0112] = 6
    found[0x010F] = "Make"
    found[0x011A] = IFDRational(72, 1)
    found[0x9286] = b"ASCII\0\0\0a comment"
    inner = found.get_ifd(0x8769)
    inner[0x829A] = IFDRational(1, 0)  # not a number
    inner[0x9204] = IFDRational(-1, 0)
    found.get_ifd(0x8825)[2] = (IFDRational(52, 1), IFDRational(0, 0), IFDRational(3, 1))
    return found


def encode(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def mended(content):
    """A damaged PNG with checksums that fit again, so that what is behind them is reached too; others as they are."""
    found, at = bytearray(content), 8
    while content.startswith(b"\x89PNG") and at + 12 <= len(found):
        end = at + 8 + int.from_bytes(found[at : at + 4], "big")
        found[end : end + 4] = struct.pack(">I", zlib.crc32(found[at + 4 : end]))[: max(0, len(found) - end)]
        at = end + 4
    return bytes(found)


# How wide the rows of 8 x 8 pixels are when Adam7's seven passes take them apart.
INTERLACED = [1, 1, 2, 2, 2, *[4] * 6, *[8] * 4]


def png(colour, depth, *, extra=b"", interlaced=False):
    """8 x 8 pixels by hand, for what Pillow does not write."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    header = struct.pack(">IIBBBBB", 8, 8, depth, colour, 0, 0, interlaced)
    rows = b"".join(bytes(range(1 + width * depth * samples // 8)) for width in (INTERLACED if interlaced else [8] * 8))
    parts = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def bmp_rle(bits, data, *, width=16, height=16):
    """A run-length BMP, which Pillow reads and does not write; bits 4 or 8."""
    colours = 1 << bits
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, {8: 1, 4: 2}[bits], len(data), 0, 0, colours, 0)
    start = 14 + len(header) + 4 * colours
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + header + bytes(range(4)) * colours + data


def frames():
    return {"save_all": True, "append_images": [pixels().rotate(180)]}


def photos():
    """{what it is: content}"""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("a", "b" * 300, zip=True)
    text.add_itxt("c", "d" * 300, zip=True)
    # A run, the end of a line, a leap, four numbers as they are, lines, the end.
    runs = bytes([5, 1, 0, 0, 2, 3, 0, 2, 1, 1, 0, 4, 1, 2, 3, 4, 5, 2, *[16, 1, 0, 0] * 14, 0, 1])
    palette = chunk(b"PLTE", bytes(range(48))) + chunk(b"tRNS", bytes(range(0, 160, 10)))
    tiffs = {
        f"tiff {mode} {compression}": encode(pixels(mode), "TIFF", compression=compression)
        for mode, compression in [
            *(("RGB", kind) for kind in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")),
            *(("1", "group4"), ("1", "group3"), ("YCbCr", "jpeg"), ("CMYK", "tiff_lzw"), ("I;16", "tiff_lzw")),
            *(("P", "packbits"), ("F", None), ("LAB", None), ("RGBA", "tiff_adobe_deflate")),
        ]
    }
    return tiffs | {
        "jpeg": encode(pixels(), "JPEG", exif=exif(), icc_profile=profile, xmp=XMP, comment=b"words"),
        "jpeg progressive": encode(pixels(), "JPEG", progressive=True, exif=exif()),
        "jpeg grey": encode(pixels("L"), "JPEG"),
        "jpeg CMYK": encode(pixels("CMYK"), "JPEG", icc_profile=profile),
        "jpeg restarts": encode(pixels(), "JPEG", restart_marker_blocks=1, subsampling=2),
        "mpo": encode(pixels(), "MPO", exif=exif(), **frames()),
        "png": encode(pixels(), "PNG", exif=exif(), icc_profile=profile, pnginfo=text),
        "png RGBA": encode(pixels("RGBA"), "PNG"),
        "png grey and alpha": encode(pixels("LA"), "PNG"),
        "png 16 bit": encode(pixels("I;16"), "PNG", exif=exif()),
        "png bits": encode(pixels("1"), "PNG"),
        "png palette": png(3, 4, extra=palette),
        "png 16 bit RGBA": png(6, 16),
        "png interlaced": png(2, 8, interlaced=True),
        "png transparent colour": png(2, 8, extra=chunk(b"tRNS", bytes(6))),
        "apng": encode(pixels(), "PNG", exif=exif(), duration=9, **frames()),
        "webp": encode(pixels(), "WEBP", exif=exif(), icc_profile=profile, xmp=XMP),
        "webp lossless": encode(pixels("RGBA"), "WEBP", lossless=True),
        "webp animated": encode(pixels(), "WEBP", duration=9, exif=exif(), **frames()),
        "gif": encode(pixels("P"), "GIF", transparency=3, comment=b"words"),
        "gif animated": encode(pixels(), "GIF", duration=9, loop=3, **frames()),
        "bmp": encode(pixels(), "BMP"),
        "bmp palette": encode(pixels("P"), "BMP"),
        "bmp runs": bmp_rle(8, runs),
        "bmp runs of 4 bits": bmp_rle(4, runs),
        "tiff": encode(pixels(), "TIFF", exif=exif(), icc_profile=profile),
        "tiff pages": encode(pixels(), "TIFF", **frames()),
        "avif": encode(pixels(), "AVIF", exif=exif(), icc_profile=profile, xmp=XMP),
        "avif animated": encode(pixels(), "AVIF", **frames()),
    }
