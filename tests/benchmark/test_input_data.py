import numpy as np
import pytest

from model_maker.benchmark.input_data import photo_inputs, random_input
from model_maker.data import images
from model_maker.normalization import Normalization

SHAPE = (1, 8, 8, 3)


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_eight_bits_take_every_value(kind):
    found = random_input((1, 100, 100, 3), np.dtype(kind))
    assert found.dtype == kind
    assert set(np.unique(found)) == set(range(np.iinfo(kind).min, np.iinfo(kind).max + 1))


def test_floats_are_plain_numbers():
    found = random_input(SHAPE, np.dtype(np.float32))
    assert found.dtype == np.float32
    assert -1 <= found.min() < -0.9 and 0.9 < found.max() <= 1


def test_wider_integers_are_zero():
    assert not random_input((3,), np.dtype(np.int32)).any()


def test_a_seed_is_an_input():
    one, again, other = (random_input(SHAPE, np.dtype(np.uint8), seed=seed) for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_photos_become_what_the_classifier_would_feed(make_photos, tmp_path):
    paths = make_photos(tmp_path, {"red": 2})
    pixels = [images.load(path, 8) for path in paths]
    normalization = Normalization(127.0, 128.0)
    raw = photo_inputs(paths, SHAPE, np.dtype(np.uint8), None)
    signed = photo_inputs(paths, SHAPE, np.dtype(np.int8), None)
    real = photo_inputs(paths, SHAPE, np.dtype(np.float32), normalization)
    for index, photo in enumerate(pixels):
        assert (raw[index] == photo[None]).all()
        assert (signed[index].astype(int) == photo[None].astype(int) - 128).all()
        np.testing.assert_allclose(real[index], (photo[None] - 127.0) / 128, atol=1e-6)


def test_what_takes_no_photos_gets_none(make_photos, tmp_path):
    paths = make_photos(tmp_path, {"red": 1})
    assert photo_inputs(paths, (1, 500), np.dtype(np.float32), Normalization(0, 1)) == []
    assert photo_inputs(paths, SHAPE, np.dtype(np.float32), None) == []


def test_a_photo_that_cannot_be_read_is_left_out(make_photos, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    assert len(photo_inputs([broken, *make_photos(tmp_path, {"red": 1})], SHAPE, np.dtype(np.uint8), None)) == 1
