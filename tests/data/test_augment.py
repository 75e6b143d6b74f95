import hashlib
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from model_maker.data import augment, images
from model_maker.data.augment import PRESETS, Augmentation
from model_maker.errors import DataError

DIGEST = hashlib.sha256(b"a photo").hexdigest()
STANDARD = PRESETS["standard"]


def noise(width, height, *, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def smooth(width, height, *, seed=0):
    """Without hard edges, so that half a pixel more or less changes little."""
    return noise(6, 5, seed=seed).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def photo():
    return smooth(90, 60)


def views(photo, *, numbers=range(6), size=24, augmentation=STANDARD, digest=DIGEST, seed=0):
    return augment.views(photo, size, augmentation, digest=digest, seed=seed, numbers=numbers)


# --- views ---


@pytest.mark.parametrize("name", PRESETS)
def test_view_0_is_the_plain_photo(photo, name, tmp_path):
    photo.save(tmp_path / "photo.png")
    for source in (tmp_path / "photo.png", photo, np.asarray(photo), (tmp_path / "photo.png").read_bytes()):
        [plain] = views(source, numbers=[0], augmentation=PRESETS[name])
        np.testing.assert_array_equal(plain, images.load(source, 24))


def test_views_are_pixels_of_the_size_asked_for(photo):
    made = views(photo, size=31)
    assert made.shape == (6, 31, 31, 3) and made.dtype == np.uint8


def test_a_view_depends_on_nothing_but_photo_strengths_seed_and_number(photo):
    made = views(photo)
    np.testing.assert_array_equal(views(photo), made)
    np.testing.assert_array_equal(views(photo, numbers=[5, 0, 3]), made[[5, 0, 3]])


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"digest": "00" * 32}, {"augmentation": PRESETS["strong"]}, {"numbers": range(6, 11)}]
)
def test_each_of_them_makes_other_views(photo, change):
    made = views(photo, numbers=range(1, 6))
    others = views(photo, **{"numbers": range(1, 6)} | change)
    assert all((one != other).any() for one, other in zip(made, others, strict=True))


def test_views_of_a_photo_differ_among_themselves(photo):
    assert len({view.tobytes() for view in views(photo, numbers=range(20))}) == 20


def test_a_photo_is_decoded_once(tmp_path, photo, monkeypatch):
    photo.save(tmp_path / "photo.jpg")
    opened, decode = [], images.decode
    monkeypatch.setattr(images, "decode", lambda source: opened.append(source) or decode(source))
    views(tmp_path / "photo.jpg", augmentation=PRESETS["light"])  # which compresses nothing
    assert opened == [tmp_path / "photo.jpg"]


def test_an_identity_names_the_photo_or_one_view_of_it():
    made = {
        augment.identity(digest, augmentation, seed=seed, number=number)
        for digest in (DIGEST, "00" * 32)
        for augmentation in (STANDARD, PRESETS["strong"])
        for seed in (0, 1)
        for number in (1, 2, 12)
    }
    assert len(made) == 24 and all(re.fullmatch("[0-9a-f]{64}", name) for name in made)
    assert augment.identity(DIGEST, STANDARD, seed=7, number=0) == DIGEST


def test_a_photo_that_cannot_be_read_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        views(tmp_path / "none.jpg")


def test_no_strength_changes_nothing(photo):
    made = views(photo, augmentation=Augmentation()).astype(int)
    # The plain photo is sampled by the same formula, added up in another order: a half may round either way.
    assert np.abs(made - made[0]).max() <= 1


def test_strengths_are_drawn_in_their_ranges():
    grey = Image.new("RGB", (8, 8), (100, 100, 100))
    made = views(grey, size=8, numbers=range(1, 400), augmentation=Augmentation(brightness=0.2))
    levels = made[:, 0, 0, 0]
    assert levels.min() >= 80 and levels.max() <= 120  # 100 plus or minus a fifth
    # 399 uniform draws: both ends of the range come within a twentieth of it but once in 1e8.
    assert levels.min() <= 82 and levels.max() >= 118
    assert abs(levels.mean() - 100) < 4 * 40 / np.sqrt(12 * 399)  # four standard errors


def test_as_many_are_flipped_as_said():
    ramp = Image.fromarray(np.tile(np.arange(0, 240, 30, dtype=np.uint8)[None, :, None], (8, 1, 3)))
    made = views(ramp, size=8, numbers=range(1, 400), augmentation=Augmentation(flip=0.25)).astype(int)
    share = (made[:, 0, 0, 0] > made[:, 0, -1, 0]).mean()
    assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 399)


def test_blur_lowers_the_spread_of_noise_and_keeps_its_mean():
    photo = noise(32, 32)
    made = views(photo, size=32, numbers=range(1, 40), augmentation=Augmentation(blurred=1, blur_pixels=2)).astype(int)
    spread = made.reshape(39, -1).std(axis=1)
    assert (spread <= np.asarray(photo).std() + 1).all()  # a radius near 0 only rounds
    # At the largest radius 25 pixels are averaged, which takes noise to a fifth, and the edges to a little more.
    assert spread.min() < 0.3 * np.asarray(photo).std()
    assert np.abs(made.mean(axis=(1, 2, 3)) - np.asarray(photo).mean()).max() < 3


def test_only_compressed_views_carry_the_marks_of_jpeg():
    # Noise in colour does not survive JPEG, whose chroma is halved; what is not compressed is the photo.
    photo = noise(32, 32)
    made = views(photo, size=32, numbers=range(1, 200), augmentation=Augmentation(compressed=0.3, least_quality=30))
    changed = np.abs(made.astype(int) - np.asarray(photo)).max(axis=(1, 2, 3)) > 20
    assert abs(changed.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 199)


def test_an_unknown_preset_is_told_with_the_choices():
    with pytest.raises(DataError, match="^`augment='wild'`: choose one of none, light, standard, strong.$"):
        augment.preset("wild")
    assert augment.preset("light") is PRESETS["light"]


# --- sampling ---


def test_the_whole_box_is_the_plain_photo(photo):
    for size in (7, 24, 100):
        whole = np.asarray(augment.sample(photo, size)).astype(int)
        assert np.abs(whole - images.resize(photo, size)).max() <= 1  # the same sum in another order


@pytest.mark.parametrize("size", [24, 25])
def test_a_flip_is_pillows(photo, size):
    made = np.asarray(augment.sample(photo, size, flip=True)).astype(int)
    mirrored = np.asarray(ImageOps.mirror(augment.sample(photo, size))).astype(int)
    assert np.abs(made - mirrored).max() <= 1


def test_a_quarter_turn_goes_against_the_clock():
    square = smooth(40, 40)
    made = np.asarray(augment.sample(square, 40, degrees=90)).astype(int)
    assert np.abs(made - np.rot90(np.asarray(square).astype(int))).max() <= 1


def test_a_small_turn_is_pillows():
    square = smooth(80, 80)
    made = np.asarray(augment.sample(square, 40, shares=(0.5, 0.5), degrees=15)).astype(int)
    turned = square.rotate(15, Image.Resampling.BILINEAR).crop((20, 20, 60, 60))
    assert np.abs(made - np.asarray(turned)).max() <= 1


def test_a_box_lies_where_it_is_put():
    # Two by two blocks of one colour each: every quarter of the photo is seen alone.
    blocks = np.array([[[250, 0, 0], [0, 250, 0]], [[0, 0, 250], [250, 250, 250]]], np.uint8)
    photo = Image.fromarray(blocks.repeat(20, axis=0).repeat(30, axis=1))
    for row in (0, 1):
        for column in (0, 1):
            made = np.asarray(augment.sample(photo, 5, shares=(0.4, 0.4), place=(column, row)))
            assert (made == blocks[row, column]).all()


def test_a_box_is_as_large_as_its_shares():
    # A ramp of one level a pixel: the box's width is what its colours span, less the two half steps at the ends.
    ramp = Image.fromarray(np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (50, 1, 3)))
    made = np.asarray(augment.sample(ramp, 10, shares=(0.5, 1), place=(0.5, 0.5))).astype(int)
    step = 100 / 10
    assert made[0, -1, 0] - made[0, 0, 0] == pytest.approx(100 - step, abs=1)
    assert made.mean() == pytest.approx(99.5, abs=0.5)  # the ramp's middle


@given(
    degrees=st.floats(-180, 180),
    shares=st.tuples(st.floats(0.1, 1), st.floats(0.1, 1)),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    sides=st.tuples(st.integers(8, 60), st.integers(8, 60)),
    flip=st.booleans(),
)
def test_no_corner_is_ever_empty(degrees, shares, place, sides, flip):
    white = Image.new("RGB", sides, (255, 255, 255))
    made = augment.sample(white, 12, shares=shares, place=place, degrees=degrees, flip=flip)
    assert np.asarray(made).min() == 255  # Pillow leaves black what lies outside


# --- colour ---

enhancers = pytest.mark.parametrize(
    ("name", "enhancer"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)],
)


@enhancers
@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.3])
def test_colour_factors_are_pillows(photo, name, enhancer, factor):
    made = np.asarray(augment.recolour(photo, **{name: factor})).astype(int)
    # Pillow rounds grey and mean to whole levels first, and cuts the result off where we round.
    assert np.abs(made - np.asarray(enhancer(photo).enhance(factor))).max() <= 2


def test_unit_factors_and_a_full_turn_change_nothing(photo):
    made = np.asarray(augment.recolour(photo, hue_degrees=360)).astype(int)
    assert np.abs(made - np.asarray(photo)).max() <= 1  # the NTSC matrix is given to three digits


@given(degrees=st.floats(-180, 180), saturation=st.floats(0, 1.5))
def test_grey_has_no_hue_and_no_saturation(degrees, saturation):
    grey = Image.new("RGB", (2, 2), (90, 90, 90))
    made = np.asarray(augment.recolour(grey, hue_degrees=degrees, saturation=saturation)).astype(int)
    assert np.abs(made - 90).max() <= 1


@given(degrees=st.floats(-180, 180), colour=st.tuples(*[st.integers(110, 145)] * 3))
def test_a_turn_of_the_hue_keeps_brightness(degrees, colour):
    photo = Image.new("RGB", (2, 2), colour)  # near grey, so that nothing is clipped
    made = augment.recolour(photo, hue_degrees=degrees)
    assert abs(made.convert("L").getpixel((0, 0)) - photo.convert("L").getpixel((0, 0))) <= 1  # rounding, twice


def test_a_third_of_a_turn_moves_red_towards_another_primary():
    made = np.asarray(augment.recolour(Image.new("RGB", (1, 1), (150, 100, 100)), hue_degrees=120))[0, 0].astype(int)
    back = np.asarray(augment.recolour(Image.new("RGB", (1, 1), (150, 100, 100)), hue_degrees=-120))[0, 0].astype(int)
    assert made.argmax() != 0 and back.argmax() != 0 and made.argmax() != back.argmax()


def test_colours_are_clipped_and_not_wrapped():
    bright = Image.new("RGB", (2, 2), (200, 10, 255))
    made = np.asarray(augment.recolour(bright, brightness=1.5, contrast=1.5))
    assert made[0, 0, 2] == 255 and made[0, 0, 0] >= 200 and made[0, 0, 1] <= 15


def test_compression_is_a_jpeg_of_that_quality(photo, tmp_path):
    photo.save(tmp_path / "photo.jpg", quality=30)
    with Image.open(tmp_path / "photo.jpg") as saved:
        np.testing.assert_array_equal(np.asarray(augment.compress(photo, 30)), np.asarray(saved))


# --- erasing ---


@given(area=st.floats(0, 1), seed=st.integers(0, 10_000))
def test_erasing_covers_one_box_of_its_area(area, seed):
    pixels = np.full((40, 60, 3), 255, np.uint8)
    made = augment.erase(pixels, area, np.random.default_rng(seed))
    changed = (made != 255).any(axis=2)
    assert (pixels == 255).all()  # what was given is left alone
    if not changed.any():
        assert area * 2400 < 2  # a box of less than a pixel and a half each way rounds to nothing
        return
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    # A pixel of noise is white in all three channels once in 16 million.
    assert changed.sum() == height * width
    if height < 40 and width < 60:
        # Each side is rounded to the nearest pixel.
        assert (height - 0.5) * (width - 0.5) <= area * 2400 <= (height + 0.5) * (width + 0.5)


def test_nothing_is_erased_at_no_area():
    pixels = np.full((9, 9, 3), 255, np.uint8)
    np.testing.assert_array_equal(augment.erase(pixels, 0.0, np.random.default_rng(0)), pixels)
