import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import chunk, encode, noise, pixels, png, turned
from PIL import Image

from model_maker.data import images
from model_maker.normalization import Normalization

RED, GREEN, BLUE, BLACK, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)
# Four corners that tell every turn and mirror apart, each large enough to survive JPEG.
CORNERS = np.repeat(np.repeat(np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8), 16, 0), 24, 1)
LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}, "BMP": {}, "TIFF": {}}


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
    upright = np.arange(12, dtype=np.uint16).reshape(3, 4) * 257 * 23  # up to all 16 bits
    stored = as_stored(upright[..., None], 8)[..., 0]
    np.testing.assert_array_equal(
        pixels(encode(stored, "PNG", exif=turned(8)))[..., 0], 23 * np.arange(12).reshape(3, 4)
    )


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
    values = Normalization(mean=127.0, std=128.0)(np.array([0, 127, 255], np.uint8))
    assert values.dtype == np.float32 and values.tolist() == [-0.9921875, 0.0, 1.0]
