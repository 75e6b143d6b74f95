"""Each condition does to a picture what it says, measured by hand, and always the same."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from model_maker.assessment.conditions import CONDITIONS, COVERED, PLAIN

SIDE = 224


def apply(name, pixels, digest="ab"):
    return CONDITIONS[name].apply(name, Image.fromarray(pixels), pixels, digest)


@pytest.fixture(scope="module")
def scene():
    """A smooth picture with some detail."""
    noise = np.random.default_rng(0).uniform(0, 255, (SIDE, SIDE, 3))
    smooth = ndimage.gaussian_filter(noise, (2, 2, 0))
    return np.clip((smooth - smooth.mean()) * 4 + 128, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_photo_always_becomes_the_same_and_keeps_its_form(name, scene):
    kept = scene.copy()
    first, again = apply(name, scene), apply(name, scene)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(scene, kept)
    assert (first.shape, first.dtype) == (scene.shape, np.uint8)
    assert (name == PLAIN) == np.array_equal(first, scene)


def test_dusk_is_a_third_as_bright_and_has_the_noise_of_its_photons():
    gray = np.full((SIDE, SIDE, 3), 128, np.uint8)
    dark = apply("dusk", gray) / 255
    expected = 0.35 * 128 / 255
    assert dark.mean() == pytest.approx(expected, abs=0.003)
    # Poisson: the variance of a count is its mean, here of 60 photons at white; rounding to bytes adds little.
    assert dark.std() == pytest.approx(np.sqrt(expected / 60), rel=0.05)


def test_backlight_darkens_the_middle_and_brightens_the_corners():
    gray = np.full((SIDE, SIDE, 3), 100, np.uint8)
    found = apply("backlight", gray)
    assert found[SIDE // 2, SIDE // 2, 0] == 40 and found[0, 0, 0] > 180


@pytest.mark.parametrize("name", ["motion blur", "focus blur"])
def test_blur_keeps_the_light_and_takes_the_detail(name, scene):
    found = apply(name, scene).astype(float)
    assert found.mean() == pytest.approx(scene.mean(), abs=1.5)
    assert found.std() < 0.8 * scene.std()  # in motion only along one direction


def test_motion_blur_smears_along_one_line():
    point = np.zeros((SIDE, SIDE, 3), np.uint8)
    point[SIDE // 2, SIDE // 2] = 255
    rows, columns = np.nonzero(apply("motion blur", point)[..., 0])
    assert np.ptp(columns) >= 8 and len(rows) <= 15  # 15 pixels, at most 45 degrees from level
    assert abs(np.corrcoef(columns, rows)[0, 1]) > 0.9 if np.ptp(rows) > 3 else True


def test_focus_blur_makes_a_disk_of_a_point():
    point = np.zeros((SIDE, SIDE, 3), np.uint8)
    point[SIDE // 2, SIDE // 2] = 255
    found = apply("focus blur", point)[..., 0]
    assert np.count_nonzero(found) == pytest.approx(np.pi * 4.5**2, rel=0.3)


def test_white_balance_moves_red_and_blue_apart():
    gray = np.full((8, 8, 3), 100, np.uint8)
    seen = {tuple(apply("white balance", gray, digest)[0, 0]) for digest in map(str, range(20))}
    assert seen == {(135, 100, 70), (70, 100, 135)}


def test_covered_is_half_of_the_photo_in_gray(scene):
    found = apply(COVERED, scene)
    assert (found == 127).all(axis=2).mean() == pytest.approx(0.49, abs=0.01)
    np.testing.assert_array_equal(found[:30], scene[:30])


def test_a_finger_covers_about_a_fifth():
    black = np.zeros((SIDE, SIDE, 3), np.uint8)
    covered = (apply("finger", black)[..., 0] > 88).mean()
    assert 0.15 < covered < 0.25


def test_farther_and_nearer_show_the_middle_smaller_and_larger():
    square = np.zeros((SIDE, SIDE, 3), np.uint8)
    square[82:142, 82:142] = 255  # 60 pixels
    smaller, larger = (apply(name, square)[SIDE // 2, :, 0] > 200 for name in ("farther", "nearer"))
    assert smaller.sum() == pytest.approx(30, abs=2) and larger.sum() == pytest.approx(100, abs=2)
