"""Every mode and depth that Pillow writes, and others by hand, against the picture they were made of and OpenCV."""

import io
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pictures import chunk, encode, pixels, png
from PIL import Image

from model_maker.data.dataset import Dataset, Sample
from model_maker.doctor import file_properties
from model_maker.doctor.checks import CHECKS
from model_maker.errors import DataError

_Y, _X = np.mgrid[0:48, 0:64]
# Every channel from black to white, in another direction each.
COLOURS = np.stack([_X * 255 / 63, _Y * 255 / 47, (_X + _Y) * 255 / 110], -1).astype(np.uint8)
GREY = np.asarray(Image.fromarray(COLOURS).convert("L"))
ALPHA = np.clip(_X * 4 + 20, 0, 255).astype(np.uint8)
# Rounding, quantization to few colours, dithering, and compression: in the mean.
LIMIT = 2.0

MODES = ("1", "L", "P", "PA", "LA", "La", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "I", "F")
TRANSPARENT = ("RGBA", "RGBa", "LA", "La", "PA")
DEEP = ("I;16", "I;16B", "I;16L")


# Formats that hold more than 8 bits; into others Pillow writes what is greater than 255 as 255.
DEEP_FORMATS = ("PNG", "TIFF", "PPM")


def in_mode(mode):
    """Pictures of a mode with the values that were put in."""
    picture = Image.fromarray(COLOURS)
    see_through = picture.copy()
    see_through.putalpha(Image.fromarray(ALPHA))
    if mode in DEEP:
        order = ">u2" if mode.endswith("B") else "<u2"
        for factor in (1, 4, 16, 64, 257):
            values = GREY.astype(np.uint16) * factor
            yield f"{mode} x {factor}", Image.frombytes(mode, (64, 48), values.astype(order).tobytes()), values
    elif mode == "I":
        for factor in (1, 4, 16, 257, 2**23):
            yield f"I x {factor}", Image.fromarray(GREY.astype(np.int32) * factor), GREY.astype(np.int64) * factor
    elif mode == "F":
        for most in (1, 255, 65535):
            yield f"F to {most}", Image.fromarray((GREY / 255 * most).astype(np.float32)), GREY / 255 * most
    elif mode in TRANSPARENT:
        values = (GREY[..., None] if mode[0] == "L" else COLOURS) * (ALPHA[..., None] / 255)
        yield mode, (see_through.convert("LA") if mode == "La" else see_through).convert(mode), values
    else:
        yield mode, picture.convert(mode), GREY if mode in ("1", "L") else COLOURS


def written():
    """Every file that Pillow writes of them, with what it is to look like."""
    Image.init()
    # HEIF is of a plugin, which another test of the same process may have loaded.
    for form in sorted(set(Image.SAVE) & set(Image.OPEN) - {"HEIF"}):
        for options in [{}] + [{"compression": name} for name in ("tiff_lzw", "packbits") if form == "TIFF"]:
            for mode in (*MODES, *DEEP):
                for name, picture, values in in_mode(mode):
                    file = io.BytesIO()
                    try:
                        picture.save(file, form, **options)
                    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError):
                        continue  # of what Pillow does not write
                    expected = shown(form, mode, values)
                    yield f"{form} {options.get('compression', '')} {name}", file.getvalue(), expected


def shown(form, mode, values):
    """What a viewer makes of the values that a format holds."""
    if mode in ("I", "F", *DEEP):
        if form == "PPM" and values.max() > 65535 or form not in DEEP_FORMATS:
            return np.full_like(GREY, 255) * (values > 255) + np.where(values > 255, 0, np.floor(values))
        return GREY
    if mode in TRANSPARENT and form in ("BMP", "PPM"):  # which drop transparency
        return COLOURS
    return values


def distance(found, expected):
    expected = np.broadcast_to(expected[..., None] if expected.ndim == 2 else expected, found.shape)
    return abs(found.mean() - expected.mean()), np.abs(found - expected).mean()


def test_whatever_pillow_writes_is_decoded_or_refused_in_a_line():
    wrong, decoded = [], 0
    for name, content, expected in written():
        if name.startswith("GIF") and name.split()[-1] in TRANSPARENT:
            continue  # which it has all of or none
        try:
            found = pixels(content)
        except DataError as error:
            assert "\n" not in str(error)
            continue
        decoded += 1
        brightness, each = distance(found, expected)
        # Pixel by pixel, dithering and palettes differ by more than the picture as a whole does.
        if brightness > LIMIT or each > (110 if name.split()[-1] == "1" else 16):
            wrong.append(f"{name}: {brightness:.1f} in the mean, {each:.1f} a pixel")
    assert not wrong
    # PNG, TIFF, JPEG, WebP, GIF, BMP, PPM, AVIF: several modes each.
    assert decoded > 100


def test_opencv_reads_the_same():
    cv2 = pytest.importorskip("cv2", reason="OpenCV comes with the extra verify")
    wrong, compared = [], 0
    for name, content, _ in written():
        mode = name.split()[1 if name.split()[1] in (*MODES, *DEEP) else 2]
        # OpenCV reads transparency and CIELAB by rules of its own, and does not look at the bits that are used.
        if mode in ("LAB", "I", "F", *TRANSPARENT) or (mode in DEEP and not name.endswith("257")):
            continue
        found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        try:
            ours = pixels(content)
        except DataError:
            continue
        if found is not None:
            compared += 1
            if np.abs(ours - found[..., ::-1].astype(int)).mean() > LIMIT:
                wrong.append(name)
    assert not wrong
    assert compared > 30


def deep_png(colour, channels, factor, alpha=None):
    """A 16-bit PNG by hand of a ramp from 0 to 255 times a factor."""
    row = []
    for value in range(256):
        row += [value * factor] * channels + ([alpha] if alpha is not None else [])
    return png(256, 1, depth=16, colour=colour, rows=[struct.pack(f">{len(row)}H", *row)])


@pytest.mark.parametrize("factor", [1, 4, 16, 64, 257])
@pytest.mark.parametrize(
    ("colour", "channels", "alpha"),
    [(0, 1, None), (2, 3, None), (4, 1, 65535), (6, 3, 65535)],
)
def test_png_of_16_bits_is_scaled_by_the_bits_that_it_uses(colour, channels, alpha, factor):
    found = pixels(deep_png(colour, channels, factor, alpha))
    np.testing.assert_allclose(found[0], np.repeat(np.arange(256)[:, None], 3, 1), atol=1)  # bits are cut off


def test_transparency_may_use_as_few_bits():
    found = pixels(deep_png(6, 3, 16, 4095))
    np.testing.assert_allclose(found[0], np.repeat(np.arange(256)[:, None], 3, 1), atol=1)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".ppm"])
@pytest.mark.parametrize("factor", [1, 4, 16, 64, 257])
def test_colours_that_opencv_writes_with_16_bits(suffix, factor):
    cv2 = pytest.importorskip("cv2", reason="OpenCV comes with the extra verify")
    done, content = cv2.imencode(suffix, COLOURS[..., ::-1].astype(np.uint16) * factor)
    assert done
    np.testing.assert_allclose(pixels(content.tobytes()), COLOURS, atol=2)


def test_a_dark_picture_of_8_bits_stays_dark():
    dark = COLOURS // 20
    for form in ("PNG", "TIFF", "PPM", "BMP"):
        assert (pixels(encode(dark, form)) == dark).all()


def test_a_turned_picture_of_12_bits_is_turned():
    cv2 = pytest.importorskip("cv2", reason="OpenCV comes with the extra verify")
    content = cv2.imencode(".png", COLOURS[..., ::-1].astype(np.uint16) * 16)[1].tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    end = 8 + 25  # behind the header's chunk
    found = pixels(content[:end] + chunk(b"eXIf", block) + content[end:])
    np.testing.assert_allclose(found, np.rot90(COLOURS, -1), atol=1)


def tiff(values, *, form, order="<"):
    """An uncompressed grey TIFF by hand; form: 1 unsigned, 2 signed, 3 floats."""
    height, width = values.shape
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    tags = {256: width, 257: height, 258: 8 * values.itemsize, 259: 1, 262: 1, 277: 1, 278: height, 339: form}
    long = {273: 8 + 2 + 12 * 10 + 4, 279: len(data)}
    entries = b""
    for tag, value in sorted((tags | long).items()):
        entries += struct.pack(f"{order}HHI", tag, 4 if tag in long else 3, 1)
        entries += struct.pack(f"{order}I", value) if tag in long else struct.pack(f"{order}HH", value, 0)
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}IH", 8, 10)
    return head + entries + struct.pack(f"{order}I", 0) + data


RAMP = np.tile(np.arange(256), (3, 1))


@pytest.mark.parametrize(
    ("values", "form", "order"),
    [
        ((RAMP * 2**24 + RAMP).astype(np.uint32), 1, "<"),  # the upper half is negative where a sign is read
        ((RAMP * 2**23).astype(np.int32), 2, "<"),
        ((RAMP * 2**23).astype(np.int32), 2, ">"),
        ((RAMP * 2**7).astype(np.int16), 2, "<"),
        ((RAMP * 2**4).astype(np.int16), 2, "<"),
        ((RAMP * 2**4).astype(np.uint16), 1, ">"),
        ((RAMP / 255).astype(np.float32), 3, ">"),
        ((RAMP / 254).astype(np.float32), 3, "<"),  # a little beyond 1, as sharpening leaves it
        ((RAMP / 127.5 - 1).astype(np.float32), 3, "<"),
        ((RAMP * 1.04).astype(np.float32), 3, "<"),
    ],
)
def test_numbers_in_a_tiff_fill_the_range(values, form, order):
    np.testing.assert_allclose(pixels(tiff(values, form=form, order=order))[..., 0], RAMP, atol=1)


def test_doctor_lists_the_files():
    paths = [Path("a.png"), Path("b.png")]
    read = [file_properties.read(deep_png(0, 1, factor)) for factor in (16, 257)]
    samples = tuple(Sample(path, 0, str(path)) for path in paths)
    evidence = SimpleNamespace(dataset=Dataset(samples, ("a",)), facts=read)
    found = [(finding.text, finding.photos) for finding in CHECKS["depth"].find(evidence)]
    assert found == [("12 bits used of 16", (Path("a.png"),))]


def test_facts_tell_how_many_bits_are_used():
    for content in (deep_png(2, 3, 16), deep_png(0, 1, 16), deep_png(6, 3, 16, 65535)):
        assert file_properties.read(content).bits == (16, 12)
    for content in (deep_png(2, 3, 257), deep_png(0, 1, 257), encode(COLOURS // 20, "PNG")):
        assert file_properties.read(content).bits is None
