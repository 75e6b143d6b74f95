import numpy as np
import pytest
from PIL import Image

from model_maker.apps.preprocessing import AS_TRAINED, PREPARATIONS
from model_maker.data import images
from model_maker.fitting import RESIZES, Fit


@pytest.fixture
def strip():
    """Six columns of grey, 0 to 250 in steps of 50, two rows high: the middle square are columns 2 and 3."""
    row = np.arange(6, dtype=np.uint8) * 50
    return Image.fromarray(np.repeat(np.tile(row, (2, 1))[:, :, None], 3, axis=2))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Three columns to each pixel; its center lies in the middle of the second, or of the fifth.
        ("stretched, bilinear", [50, 200]),
        ("stretched, nearest", [50, 200]),
        ("center crop, nearest", [100, 150]),
        ("center crop, bilinear", [100, 150]),
        # The strip is 2/3 of a pixel high, which makes one; above or below it the input is black.
        ("letterboxed, bilinear", [[50, 200], [0, 0]]),
        # A triangle of three columns to each side, cut off at the edge and divided by the weight that is left:
        # (2/3 * 0 + 1 * 50 + 2/3 * 100 + 1/3 * 150) / (8/3) = 62.5, and its mirror image.
        ("stretched, antialiased", [62.5, 187.5]),
    ],
)
def test_a_strip_becomes_what_is_computed_by_hand(strip, name, expected):
    pixels = PREPARATIONS[name].prepare(strip, Fit.of(2))
    assert (pixels.shape, pixels.dtype) == ((2, 2, 3), np.uint8)
    # Pillow rounds halves either way.
    assert np.abs(pixels - np.broadcast_to(expected, (2, 2))[..., None]).max() <= 0.5


def test_nearest_takes_pixels_as_they_are(strip):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8))
    for name, ways in PREPARATIONS.items():
        if "nearest" in name:
            known = {tuple(pixel) for pixel in np.asarray(photo).reshape(-1, 3)}
            assert {tuple(pixel) for pixel in ways.prepare(photo, Fit.of(8)).reshape(-1, 3)} <= known


@pytest.mark.parametrize("resize", RESIZES)
def test_ours_is_what_training_does(resize):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8))
    made = PREPARATIONS[AS_TRAINED[resize]].prepare(photo, Fit.of(8))
    assert (made == images.load(photo, Fit(8, 8, resize))).all()
