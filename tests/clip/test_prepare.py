"""What the image tower sees of a photo."""

import numpy as np
import pytest
from PIL import Image

from model_maker.clip.image import prepare


def halves(width, height, *, across):
    """A photo, one half of it red, the other one blue."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = 255
    half = pixels[:, width // 2 :] if across else pixels[height // 2 :]
    half[:] = (0, 0, 255)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("crop", [True, False])
def test_a_photo_of_the_size_is_left_alone(crop):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(prepare(Image.fromarray(pixels), 32, crop=crop), pixels)


def test_the_ends_of_a_long_photo_are_cut_off():
    pixels = np.zeros((16, 64, 3), np.uint8)
    pixels[:, 24:40] = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    # Nothing is resized: the shorter side is right, and of the longer one the middle remains.
    np.testing.assert_array_equal(prepare(Image.fromarray(pixels), 16, crop=True), pixels[:, 24:40])
    upright = Image.fromarray(pixels.transpose(1, 0, 2))
    np.testing.assert_array_equal(prepare(upright, 16, crop=True), pixels[:, 24:40].transpose(1, 0, 2))


def test_a_stretched_photo_keeps_its_ends():
    pixels = np.zeros((16, 64, 3), np.uint8)
    pixels[:, :8], pixels[:, -8:] = 100, 200
    found = prepare(Image.fromarray(pixels), 16, crop=False).astype(int)
    # Bicubic weights reach over the next pixels, which moves these by less than a twentieth.
    assert found[8, 0, 0] == pytest.approx(100, rel=0.05) and found[8, -1, 0] == pytest.approx(200, rel=0.05)
    assert found[8, 8, 0] == 0
    assert prepare(Image.fromarray(pixels), 16, crop=True)[8, 0, 0] == 0


@pytest.mark.parametrize("crop", [True, False])
@pytest.mark.parametrize("across", [True, False])
def test_the_middle_stays_the_middle(crop, across):
    found = prepare(halves(300, 200, across=across), 20, crop=crop).astype(int)
    if not across:
        found = found.transpose(1, 0, 2)
    assert (found[:, :8, 0] > 250).all() and (found[:, 12:, 2] > 250).all()
    assert np.abs(found[:, 9] - found[:, 10, ::-1]).max() <= 1  # mirrored around the middle


def test_a_very_long_photo_takes_little_memory():
    """Resized as a whole it would be 3 x 224 x 6,720,000 bytes."""
    found = prepare(Image.new("RGB", (30000, 1), (10, 20, 30)), 224, crop=True)
    assert found.shape == (224, 224, 3) and (found == (10, 20, 30)).all()
