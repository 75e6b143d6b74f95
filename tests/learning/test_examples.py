import dataclasses
import itertools

import numpy as np
import pytest
from heard import Heard
from tiny_network import FUSED, TinyNetwork

from model_maker.data.augment import PRESETS
from model_maker.data.sources import read
from model_maker.learning import examples
from model_maker.learning.examples import Photos
from model_maker.normalization import Normalization
from model_maker.progress import SILENT, Progress


@pytest.fixture(scope="module")
def embedder():
    random = np.random.default_rng(0)
    network = TinyNetwork(16).conv(0.3 * random.normal(size=(8, 3, 3, 3)), stride=2, fused=FUSED.RELU6)
    return network.depthwise(0.3 * random.normal(size=(1, 3, 3, 8)), stride=2).mean().content()


@pytest.fixture(scope="module")
def photos(make_photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    make_photos(folder, {"red": 12, "green": 12, "blue": 12}, side=16)
    split = read(folder).split(validation=0.2, test=0.1)
    return Photos(split.train, split.validation, Normalization(127.5, 127.5), PRESETS["light"], views=3)


@pytest.fixture
def part(embedder):
    from model_maker.tflite import trunk

    return trunk.seam(embedder)


def in_time(embedder, part, photos, seconds, tick, progress=SILENT):
    """On a clock that goes on by `tick` seconds whenever it is asked."""
    clock = itertools.count(0, tick).__next__
    return examples.activations_in_time(embedder, part, photos, photos.train, progress, seconds=seconds, clock=clock)


def test_with_enough_time_all_views_are_computed(embedder, part, photos, monkeypatch):
    monkeypatch.setattr(examples, "CHUNK", 10)
    found, chosen = in_time(embedder, part, photos, 1e9, 1)
    whole = examples.activations(embedder, part, photos, photos.train, SILENT)
    number = len(photos.train)
    assert found.views == 3 and chosen.tolist() == list(range(number))
    for view in range(3):
        np.testing.assert_array_equal(found.batch(chosen, view), whole.batch(chosen, view))


def test_with_less_time_views_are_fewer(embedder, part, photos, monkeypatch):
    monkeypatch.setattr(examples, "CHUNK", 10)
    heard = Heard()
    number = len(photos.train)
    # Three views of ten photos take 1 s, so two of all take `number / 15`, three `number / 10`.
    found, chosen = in_time(embedder, part, photos, number / 12, 1, Progress(heard))
    assert found.views == 2 and len(chosen) <= number
    assert any("Time allows 2 views" in note for note in heard.notes)


def test_with_little_time_photos_are_fewer(embedder, part, photos, monkeypatch):
    monkeypatch.setattr(examples, "CHUNK", 10)
    found, chosen = in_time(embedder, part, photos, 1.5, 1)
    assert found.views == 1 and len(chosen) == 10 < len(photos.train)
    # They are those that it names, and not the first of the list, which are of one class.
    plain = examples.activations(embedder, part, photos, photos.train, SILENT, views=1)
    np.testing.assert_array_equal(found.batch(np.arange(10)), plain.batch(chosen))
    assert len({photos.train.labels[index] for index in chosen}) == 3


def test_more_seeds_choose_others(embedder, part, photos, monkeypatch):
    monkeypatch.setattr(examples, "CHUNK", 10)
    _, one = in_time(embedder, part, photos, 1.5, 1)
    _, other = in_time(embedder, part, dataclasses.replace(photos, seed=1), 1.5, 1)
    assert one.tolist() != other.tolist()
