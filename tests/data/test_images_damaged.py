"""Pictures that are damaged, too large, or none: refused in a line, in bounded memory."""

import concurrent.futures
import io
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import encode, noise, pixels, png, turned
from PIL import Image

from model_maker.data import bit_depth, images
from model_maker.errors import DataError
from model_maker.system import files

RED, GREEN = (255, 0, 0), (0, 255, 0)


def refusal(photo):
    with pytest.raises(DataError) as caught:
        images.load(photo, 8)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("kept", [0.5, 0.95])
def test_truncated_photos_are_refused_by_name(tmp_path, form, kept):
    path = tmp_path / "half.jpg"
    content = encode(noise(40, 40), form)
    path.write_bytes(content[: int(len(content) * kept)])
    assert refusal(path).startswith(f"{path}: damaged (")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (
            b"\0\0\0\x18ftypheic\0\0\0\0",
            "HEIC needs the extra: pip install 'model-maker[heif]', or save it as JPEG",
        ),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "damaged (a file of the kind 'avif')"),
        (b"<html>not found</html>", "not a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture"),
        (b"\xff\xd8", "not a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture"),
        (encode(Image.new("RGB", (4, 4)), "TGA"), "not a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture"),
        (encode(Image.new("RGB", (16, 16)), "ICO"), "not a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture"),
    ],
)
def test_what_is_no_photo_is_refused_with_the_reason(tmp_path, monkeypatch, content, reason):
    monkeypatch.setattr(images, "reads_heif", lambda: False)
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    assert refusal(path) == f"{path}: {reason}"
    assert refusal(content) == f"the picture: {reason}"


def test_a_missing_file_is_named(tmp_path):
    assert refusal(tmp_path / "no.jpg") == f"{tmp_path / 'no.jpg'}: no such file"


def test_a_folder_is_not_a_damaged_photo(tmp_path):
    assert refusal(tmp_path) == f"{tmp_path}: Is a directory"


def test_a_photo_without_permission_is_not_a_damaged_one(tmp_path, monkeypatch):
    def deny(*_, **__):
        raise PermissionError(13, "Permission denied", "photo.jpg")

    monkeypatch.setattr(files, "open_regular", deny)  # the superuser may read all, so the system's answer is played
    assert refusal("photo.jpg") == "photo.jpg: Permission denied"


def test_decompression_bombs_are_refused_before_they_unfold():
    # A hundred bytes that claim 20,000 x 10,000 pixels (600 MB); Pillow's limit is 2 x 89,478,485.
    content = png(20_000, 10_000, depth=8, colour=2, rows=[])
    assert len(content) < 100
    assert refusal(content) == "the picture: more than 178 megapixels; make it smaller"


PHOTOS = [
    encode(noise(), "JPEG", exif=turned(6)),
    encode(noise(), "PNG", exif=turned(6)),
    encode(noise(), "WEBP", exif=turned(6)),
    encode(noise(), "TIFF", exif=turned(6)),
    encode(noise(), "TIFF", compression="tiff_lzw"),
    encode(noise(), "GIF"),
    encode(noise(), "BMP"),
    encode(noise()[..., 0].astype(np.uint16) * 257, "PNG", exif=turned(6)),
]


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damaged metadata
@settings(max_examples=200)
@given(
    photo=st.sampled_from(PHOTOS),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
    length=st.floats(0, 1) | st.just(1.0),
)
def test_damage_is_a_data_error_or_a_picture_and_nothing_else(photo, changes, length):
    content = bytearray(photo)
    for place, value in changes:
        content[int(place**2 * (len(content) - 1))] = value  # more of them in the headers
    try:
        loaded = images.load(bytes(content[: int(length * len(content))]), 4)
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert loaded.shape == (4, 4, 3) and loaded.dtype == np.uint8


def test_every_shared_photo_is_read(shared_data):
    for path in sorted((shared_data / "photos").glob("*.jpg")):
        assert images.load(path, 64).std() > 10  # a photo, not a flat surface


def test_an_avif_whose_pixels_are_lost_is_refused():
    content = encode(noise(40, 40), "AVIF")
    start = content.index(b"mdat") + 4
    with pytest.raises(RuntimeError):  # as Pillow reports it, unlike all other damage
        Image.open(io.BytesIO(content[:start] + bytes(len(content) - start))).load()
    assert refusal(content[:start] + bytes(len(content) - start)).startswith("the picture: damaged (Failed to decode")


def scans(count, height=64, width=64):
    """A progressive JPEG whose last scan is repeated until there are so many."""
    content = encode(Image.new("RGB", (width, height), RED), "JPEG", progressive=True)
    start = content.rfind(b"\xff\xda")
    last = content[start : content.rfind(b"\xff\xd9")]
    return content[:start] + last * (count - content[:start].count(b"\xff\xda")) + b"\xff\xd9"


def test_a_jpeg_of_a_thousand_scans_is_refused_before_it_is_decoded():
    # 64 x 64 pixels of it take milliseconds, but 178 megapixels would take minutes, out of 30 kB.
    np.testing.assert_allclose(pixels(scans(100)), np.full((64, 64, 3), RED), atol=3)  # 3: YCbCr rounding
    assert refusal(scans(1000)) == "the picture: damaged (1000 scans, more than 100)"


def test_a_bmp_of_runs_that_are_left_out_is_refused():
    # Each end of a line fills four million pixels, one by one.
    header = struct.pack("<IiiHHIIiiII", 40, 4_000_000, 16, 1, 8, 1, 0, 0, 0, 256, 0)
    start = 14 + len(header) + 1024
    content = struct.pack("<2sIHHI", b"BM", 0, 0, 0, start) + header + bytes(1024) + bytes([1, 1, 0, 0]) * 16
    assert refusal(content) == f"the picture: damaged (4000000 x 16 pixels from {len(content)} bytes)"


def peak_bytes(content):
    """By how much a process grows at most that decodes a photo."""
    code = (
        "import io, resource, sys; from model_maker.data import images; content = sys.stdin.buffer.read();"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; images.load(PNG, 8); before = peak();"
        "images.load(content, 8); print((peak() - before) * 1024)"
    ).replace("PNG", repr(encode(noise(), "PNG")))
    done = subprocess.run([sys.executable, "-c", code], input=content, stdout=subprocess.PIPE, check=True)
    return int(done.stdout)


@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16"])
def test_pngs_take_12_bytes_a_pixel_at_most(mode):
    # 25 megapixels; before pictures were converted in bands, it was 13 to 26 bytes.
    image = Image.new(mode, (5000, 5000))
    if mode == "P":
        image.putpalette([*RED, *GREEN])
    content = encode(image, "PNG", **{"transparency": 1} if mode == "P" else {})
    assert peak_bytes(content) < 12 * 25_000_000


def test_pictures_in_bands_are_those_at_once(monkeypatch):
    rgba = np.random.default_rng(0).integers(0, 256, (9, 7, 4), np.uint8)
    grey = np.random.default_rng(0).integers(0, 1 << 16, (9, 7), np.uint16)
    whole = [pixels(encode(rgba, "PNG")), pixels(encode(grey, "PNG", exif=turned(6)))]
    monkeypatch.setattr(bit_depth, "BAND_PIXELS", 14)  # two rows
    for content, expected in zip((encode(rgba, "PNG"), encode(grey, "PNG", exif=turned(6))), whole, strict=True):
        np.testing.assert_array_equal(pixels(content), expected)
    alpha = rgba[..., 3:].astype(int)
    np.testing.assert_allclose(whole[0], rgba[..., :3] * alpha / 255, atol=1)  # 1 for rounding


def test_an_open_picture_that_is_damaged_is_a_data_error():
    content = encode(noise(40, 40), "PNG")
    assert refusal(Image.open(io.BytesIO(content[: len(content) // 2]))).startswith("the picture: damaged (")


def test_large_pictures_are_decoded_one_at_a_time(monkeypatch):
    inside, most = [], []
    monkeypatch.setattr(images, "LARGE_PIXELS", 10)
    monkeypatch.setattr(images, "converted", lambda image: busy(image, inside, most))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(images.decode, [encode(noise(), "PNG")] * 8))
    assert most == [1] * 8


def busy(image, inside, most):
    inside.append(image)
    time.sleep(0.01)
    most.append(len(inside))
    inside.remove(image)
    return image
