import numpy as np
import pytest
from PIL import Image

from model_maker.data import proportions, sources
from model_maker.fitting import Fit


def write(folder, sizes, *, orientation=None):
    folder.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    random = np.random.default_rng(len(list(folder.iterdir())))
    for number, (width, height) in enumerate(sizes):
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}_{orientation}.png", exif=exif)


@pytest.mark.parametrize(
    ("size", "fit", "extreme"),
    [
        ((400, 300), None, False),
        ((1920, 1080), None, False),
        ((200, 100), None, False),  # just 2 to 1, as screens are
        ((201, 100), None, True),
        ((100, 201), None, True),
        ((400, 100), Fit(100, 300), False),  # the input is oblong, too
        ((100, 100), Fit(100, 300), True),
    ],
)
def test_what_is_extreme_depends_on_the_input(size, fit, extreme):
    assert proportions.is_extreme(*size, fit) == extreme


def test_many_are_noted_with_the_alternatives(tmp_path):
    write(tmp_path / "flowers/a", [(30, 10)] * 2 + [(40, 30)] * 9)
    write(tmp_path / "flowers/b", [(40, 30)] * 9)
    found = proportions.note(sources.read(tmp_path / "flowers"), Fit(224, 224))
    assert found.startswith("2 of 20 photos have extreme proportions, more than 2 to 1 beside the input's: stretching")
    assert "`letterbox` shows" in found and "`crop` shows" in found and "`stretch` shows" not in found
    assert "cropping cuts off" in proportions.note(sources.read(tmp_path / "flowers"), Fit(224, 224, "crop"))


def test_few_are_not_noted(tmp_path):
    write(tmp_path / "flowers/a", [(30, 10)] * 1 + [(40, 30)] * 10)
    write(tmp_path / "flowers/b", [(40, 30)] * 9)
    assert proportions.note(sources.read(tmp_path / "flowers"), Fit(224, 224)) == ""


def test_photos_count_upright(tmp_path):
    """On an input of 3:1, photos of 30 x 10 are extreme once EXIF turns them."""
    write(tmp_path / "flowers/a", [(30, 10)] * 5, orientation=6)
    write(tmp_path / "flowers/b", [(30, 10)] * 5)
    assert proportions.note(sources.read(tmp_path / "flowers"), Fit(10, 30)).startswith("5 of 10 photos")


def test_a_part_of_a_large_dataset_is_looked_at(tmp_path):
    write(tmp_path / "flowers/a", [(9, 3)] * 70)
    write(tmp_path / "flowers/b", [(3, 9)] * 70)
    found = proportions.note(sources.read(tmp_path / "flowers"), Fit(224, 224))
    assert found.startswith("128 of 128 photos that were looked at have")
