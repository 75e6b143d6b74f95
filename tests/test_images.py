import concurrent.futures
import io
import re
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model_maker.data import images
from model_maker.errors import DataError

RED, GREEN, BLUE, BLACK, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)
# Four corners that tell every turn and mirror apart, each large enough to survive JPEG.
CORNERS = np.repeat(np.repeat(np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8), 16, 0), 24, 1)
LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}, "BMP": {}, "TIFF": {}}


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


@pytest.mark.parametrize(("form", "options"), LOSSLESS.items())
def test_lossless_formats_are_read_exactly(form, options):
    np.testing.assert_array_equal(pixels(encode(noise(), form, **options)), noise())


@pytest.mark.parametrize(
    ("form", "options"), [("JPEG", {"quality": 95}), ("JPEG", {"progressive": True}), ("WEBP", {})]
)
def test_lossy_formats_are_read(form, options):
    # A flat colour loses only to the rounding of YCbCr: within 3 of 255.
    flat = np.full((16, 16, 3), (200, 90, 40), np.uint8)
    np.testing.assert_allclose(pixels(encode(flat, form, **options)), flat, atol=3)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiffs_are_read(compression):
    np.testing.assert_array_equal(pixels(encode(noise(), "TIFF", compression=compression)), noise())


@pytest.mark.parametrize(("form", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("PNG", {})])
def test_the_first_frame_of_many_is_taken(form, options):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE, GREEN)]
    content = encode(frames[0], form, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(content)).n_frames == 3
    assert (pixels(content) == RED).all()


def test_pictures_with_a_preview_inside_are_read():
    # Phones write JPEGs that carry a second picture; Pillow calls them MPO.
    content = encode(
        Image.new("RGB", (16, 16), RED), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8), BLUE)]
    )
    assert Image.open(io.BytesIO(content)).format == "MPO"
    np.testing.assert_allclose(pixels(content), np.full((16, 16, 3), RED), atol=3)  # 3: YCbCr rounding


# EXIF 2.32, 4.6.4 A, Orientation: the side of the upright picture where the stored row 0 and column 0 lie.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def as_stored(upright, orientation):
    row, column = SIDES[orientation]
    stored = upright.transpose(1, 0, 2) if row in ("left", "right") else upright
    stored = stored[::-1] if row in ("bottom", "right") else stored
    return np.ascontiguousarray(stored[:, ::-1] if column in ("bottom", "right") else stored)


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", SIDES)
def test_exif_orientation_is_honoured(form, orientation):
    content = encode(as_stored(CORNERS, orientation), form, exif=turned(orientation), **LOSSLESS.get(form, {}))
    found = pixels(content)
    assert found.shape == CORNERS.shape
    centres = found[8::16, 12::24]
    np.testing.assert_allclose(centres, CORNERS[8::16, 12::24], atol=4)  # JPEG's YCbCr rounding


def test_orientation_of_an_open_image_is_honoured_and_the_image_left_as_it_is():
    image = Image.open(io.BytesIO(encode(as_stored(CORNERS, 6), "PNG", exif=turned(6))))
    np.testing.assert_array_equal(np.asarray(images.to_rgb(image)), CORNERS)
    assert image.size == (32, 48)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_senseless_orientations_change_nothing(orientation):
    np.testing.assert_array_equal(pixels(encode(noise(), "PNG", exif=turned(orientation))), noise())


def test_a_16_bit_photo_can_be_turned_too():
    upright = np.arange(12, dtype=np.uint16).reshape(3, 4) * 257
    stored = as_stored(upright[..., None], 8)[..., 0]
    np.testing.assert_array_equal(pixels(encode(stored, "PNG", exif=turned(8)))[..., 0], np.arange(12).reshape(3, 4))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_grey_has_equal_channels(form):
    grey = np.repeat(np.repeat(np.array([[0, 90], [180, 255]], np.uint8), 8, 0), 8, 1)
    np.testing.assert_allclose(pixels(encode(grey, form)), np.stack([grey] * 3, -1), atol=1)  # JPEG rounds


def test_black_and_white_pictures_are_read():
    bits = np.array([[True, False], [False, True]])
    np.testing.assert_array_equal(pixels(encode(bits, "PNG"))[..., 0], bits * 255)


def test_16_bit_grey_keeps_its_upper_byte():
    # Plain conversion clips at 255: all but the darkest 0.4 % would be white.
    values = [0, 255, 256, 257 * 100, 32768, 65535]
    content = png(6, 1, depth=16, colour=0, rows=[struct.pack(">6H", *values)])
    assert pixels(content)[0].tolist() == [[value // 256] * 3 for value in values]
    assert pixels(encode(np.array([values], np.uint16), "TIFF"))[0, :, 0].tolist() == [v // 256 for v in values]


def test_16_bit_colour_keeps_its_upper_byte():
    content = png(2, 1, depth=16, colour=2, rows=[struct.pack(">6H", 0, 25600, 65535, 256, 512, 32768)])
    assert pixels(content)[0].tolist() == [[0, 100, 255], [1, 2, 128]]


def test_16_bit_alpha_lies_on_black():
    content = png(2, 1, depth=16, colour=6, rows=[struct.pack(">8H", 65535, 65535, 0, 65535, 65535, 65535, 65535, 0)])
    assert pixels(content)[0].tolist() == [[255, 255, 0], [0, 0, 0]]


@pytest.mark.parametrize(("form", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})])
def test_alpha_lies_on_black(form, options):
    rgba = np.array([[(255, 0, 0, 255), (200, 100, 50, 128), (9, 99, 255, 0)]], np.uint8)
    # 200 * 128 / 255 = 100.4, 100 -> 50.2, 50 -> 25.1; 1 for rounding
    np.testing.assert_allclose(pixels(encode(rgba, form, **options))[0], [RED, (100, 50, 25), BLACK], atol=1)


def test_grey_with_alpha_lies_on_black():
    content = png(3, 1, depth=8, colour=4, rows=[bytes([200, 255, 200, 128, 200, 0])])
    np.testing.assert_allclose(pixels(content)[0, :, 0], [200, 100, 0], atol=1)  # 200 * 128 / 255 = 100.4


def test_a_palette_is_resolved_and_its_transparent_entries_lie_on_black():
    palette = chunk(b"PLTE", bytes([*RED, *GREEN, *BLUE])) + chunk(b"tRNS", bytes([255, 128, 0]))
    content = png(3, 1, depth=8, colour=3, rows=[bytes([0, 1, 2])], extra=palette)
    np.testing.assert_allclose(pixels(content)[0], [RED, (0, 128, 0), BLACK], atol=1)


def test_a_palette_of_few_bits_is_resolved():
    palette = chunk(b"PLTE", bytes([*RED, *GREEN, *BLUE, *WHITE]))
    content = png(4, 1, depth=2, colour=3, rows=[bytes([0b00011011])], extra=palette)
    assert pixels(content)[0].tolist() == [list(colour) for colour in (RED, GREEN, BLUE, WHITE)]


def test_a_transparent_gif_lies_on_black():
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putpixel((1, 0), 1)
    assert pixels(encode(image, "GIF", transparency=1))[0].tolist() == [list(RED), list(BLACK)]


def test_a_transparent_colour_lies_on_black():
    key = chunk(b"tRNS", struct.pack(">3H", *GREEN))
    content = png(2, 1, depth=8, colour=2, rows=[bytes([*RED, *GREEN])], extra=key)
    assert pixels(content)[0].tolist() == [list(RED), list(BLACK)]


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
@pytest.mark.parametrize(
    ("cmyk", "rgb"),
    # 255 (1 - ink) (1 - black)
    [((0, 255, 255, 0), RED), ((255, 255, 0, 0), BLUE), ((0, 0, 0, 255), BLACK), ((0, 0, 0, 0), WHITE)]
    + [((51, 102, 0, 51), (163, 122, 204))],
)
def test_cmyk_becomes_rgb(form, cmyk, rgb):
    options = {"quality": 100} if form == "JPEG" else {}
    found = pixels(encode(Image.new("CMYK", (16, 16), cmyk), form, **options))
    np.testing.assert_allclose(found, np.full((16, 16, 3), rgb), atol=2)  # rounding of the product, and of JPEG


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "LA", "PA", "I;16"]
)
def test_any_open_image_is_taken(mode):
    loaded = images.load(Image.new(mode, (5, 4)), 3)
    assert loaded.shape == (3, 3, 3) and loaded.dtype == np.uint8
    if mode not in ("CMYK", "YCbCr", "LAB"):  # in which zeros are not black
        assert not loaded.any()


def test_a_path_its_bytes_an_image_and_an_array_give_the_same_pixels(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(noise()).save(path)
    loaded = images.load(path, 12)
    assert loaded.shape == (12, 12, 3) and loaded.dtype == np.uint8
    for other in (str(path), path.read_bytes(), Image.open(path), Image.fromarray(noise()), noise()):
        np.testing.assert_array_equal(images.load(other, 12), loaded)


def test_the_content_decides_not_the_suffix(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(encode(noise(), "PNG"))
    np.testing.assert_array_equal(np.asarray(images.decode(path)), noise())


def test_a_photo_of_the_right_size_is_left_as_it_is():
    np.testing.assert_array_equal(images.load(noise(9, 9), 9), noise(9, 9))


def test_enlarging_follows_half_pixel_centres():
    # From 2 to 4, output centres 0.5, 1.5, 2.5, 3.5 lie at 0.25, 0.75, 1.25, 1.75 in the source, whose own centres are
    # 0.5 and 1.5: weights of the right pixel 0 (clamped), 0.25, 0.75, 1 (clamped). Tolerance: one level of rounding.
    source = np.zeros((2, 2, 3), np.uint8)
    source[:, 1, 0] = 200  # red grows to the right
    source[1, :, 1] = 100  # green grows downwards
    ramp = np.array([0, 0.25, 0.75, 1])
    expected = np.zeros((4, 4, 3))
    expected[..., 0], expected[..., 1] = 200 * ramp[None], 100 * ramp[:, None]
    np.testing.assert_allclose(images.load(source, 4), expected, atol=1)


def bilinear(source, size):
    """The textbook formula, in numpy: valid for enlarging, where antialiasing has nothing to do."""
    result = source.astype(float)
    for axis in (0, 1):
        length = source.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
        low = np.floor(place).astype(int)
        share = (place - low).reshape([-1 if axis == a else 1 for a in range(3)])
        high = np.minimum(low + 1, length - 1)
        result = result.take(low, axis) * (1 - share) + result.take(high, axis) * share
    return result


@settings(max_examples=50)
@given(height=st.integers(1, 12), width=st.integers(1, 12), more=st.integers(0, 20), seed=st.integers(0, 999))
def test_enlarging_is_bilinear(height, width, more, seed):
    source = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    size = max(height, width) + more
    # Tolerance: both axes round or truncate, one level each at most, less than 2 together.
    np.testing.assert_allclose(images.load(source, size), bilinear(source, size), atol=1.5)


@pytest.mark.parametrize(("height", "width"), [(16, 160), (160, 16), (300, 200), (8, 8)])
def test_photos_are_stretched_not_cropped(height, width):
    source = np.zeros((height, width, 3), np.uint8)
    source[:, width // 2 :, 0] = 255
    source[height // 2 :, :, 1] = 255
    loaded = images.load(source, 32)
    # Away from the middle, where the filter mixes the halves, and up to the very edges.
    for rows, green in ((slice(0, 12), 0), (slice(20, 32), 255)):
        for columns, red in ((slice(0, 12), 0), (slice(20, 32), 255)):
            assert (loaded[rows, columns] == (red, green, 0)).all()


@settings(max_examples=30)
@given(height=st.integers(1, 60), width=st.integers(1, 60), size=st.integers(1, 40), level=st.integers(0, 255))
def test_a_flat_colour_stays_what_it_is(height, width, size, level):
    assert (images.load(np.full((height, width, 3), level, np.uint8), size) == level).all()


def test_normalization_is_exact_for_powers_of_two():
    # (0 - 127) / 128 = -0.9921875, (255 - 127) / 128 = 1: no rounding in float32.
    values = images.Normalization(mean=127.0, std=128.0)(np.array([0, 127, 255], np.uint8))
    assert values.dtype == np.float32 and values.tolist() == [-0.9921875, 0.0, 1.0]


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(array):
    received = re.escape(f"received {array.dtype} {list(array.shape)}")
    with pytest.raises(DataError, match=r"An array must be uint8 \[H, W, 3\]; " + received):
        images.load(array, 8)


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
        (encode(Image.new("RGB", (4, 4)), "PPM"), "not a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture"),
        (encode(Image.new("RGB", (16, 16)), "ICO"), "not a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture"),
    ],
)
def test_what_is_no_photo_is_refused_with_the_reason(tmp_path, monkeypatch, content, reason):
    monkeypatch.setattr(images, "_reads_heif", lambda: False)
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

    monkeypatch.setattr(Image, "open", deny)  # the superuser may read all, so the system's answer is played
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
    monkeypatch.setattr(images, "_BAND_PIXELS", 14)  # two rows
    for content, expected in zip((encode(rgba, "PNG"), encode(grey, "PNG", exif=turned(6))), whole, strict=True):
        np.testing.assert_array_equal(pixels(content), expected)
    alpha = rgba[..., 3:].astype(int)
    np.testing.assert_allclose(whole[0], rgba[..., :3] * alpha / 255, atol=1)  # 1 for rounding


def test_an_open_picture_that_is_damaged_is_a_data_error():
    content = encode(noise(40, 40), "PNG")
    assert refusal(Image.open(io.BytesIO(content[: len(content) // 2]))).startswith("the picture: damaged (")


def test_large_pictures_are_decoded_one_at_a_time(monkeypatch):
    inside, most = [], []
    monkeypatch.setattr(images, "_LARGE_PIXELS", 10)
    monkeypatch.setattr(images, "_converted", lambda image: busy(image, inside, most))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(images.decode, [encode(noise(), "PNG")] * 8))
    assert most == [1] * 8


def busy(image, inside, most):
    inside.append(image)
    time.sleep(0.01)
    most.append(len(inside))
    inside.remove(image)
    return image
