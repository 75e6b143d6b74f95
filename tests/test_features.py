import tracemalloc

import numpy as np
import pytest

from model_maker.learning import features
from model_maker.learning.store import EmbeddingStore, FeatureMaps


@pytest.fixture
def stored(tmp_path):
    """Puts views, float16 [N, K, D], into a store in a random order, as runs on growing data leave them."""

    def put(views):
        number, count, depth = views.shape
        store = EmbeddingStore(tmp_path / "store.f16", depth)
        order = np.random.default_rng(1).permutation(number * count)
        names = np.frombuffer(np.arange(4 * number * count, dtype="<u8").tobytes(), "V32")
        store.append(names[order], views.reshape(-1, depth)[order])
        return FeatureMaps(store, store.find(names).reshape(number, count), (depth,))

    return put


@pytest.fixture
def streamed(monkeypatch):
    """Nothing is small enough for memory, and blocks are small."""
    monkeypatch.setattr(features, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(features, "_BLOCK", 7)


def views_of(number, count, depth):
    return np.random.default_rng(0).normal(3, 2, size=(number, count, depth)).astype(np.float16)


def test_what_is_small_is_taken_into_memory(stored):
    maps = stored(views_of(20, 1, 4))
    assert not features.standardize(maps).streamed
    assert not features.standardize(np.ones((3, 4), np.float16)).streamed


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_features_are_centred_and_divided_by_one_number(stored, monkeypatch, count, limit):
    monkeypatch.setattr(features, "IN_MEMORY_BYTES", limit)
    views = views_of(40, count, 5)
    plain = views[:, 0].astype(float)
    center, scale = plain.mean(axis=0), np.sqrt(((plain - plain.mean(axis=0)) ** 2).mean())
    found = features.standardize(stored(views))
    assert found.streamed is (limit == 0)
    # float32 of values about 3: some units of its 24 bits.
    np.testing.assert_allclose(found.center, center, rtol=1e-6)
    assert found.scale == pytest.approx(scale, rel=1e-6)
    photos = np.arange(40) % 3 == 0
    rows = found.rows(photos)
    expected = ((views[photos].astype(float) - center) / scale).reshape(-1, 5)
    assert len(rows) == len(expected)
    for some in (slice(0, len(rows)), slice(4, 11), slice(len(rows) - 2, len(rows) + 9)):
        np.testing.assert_allclose(rows[some], np.c_[expected, np.ones(len(expected))][some], atol=1e-5)
        assert rows[some].dtype == np.float32
    assert len(found.rows(slice(None))) == 40 * count
    parameters = np.random.default_rng(2).normal(size=(4, 6)).astype(np.float32)
    logits = expected.reshape(-1, count, 5)[:, 0] @ parameters[:, :5].T + parameters[:, 5]
    np.testing.assert_allclose(found.logits(photos, parameters), logits, atol=1e-4)


def test_features_that_are_all_alike_are_divided_by_one(stored, streamed):
    for value in (0.5, 0.0, -3.0):
        found = features.standardize(stored(np.full((9, 1, 3), value, np.float16)))
        assert found.scale == 1.0 and (found.rows(slice(None))[0:9] == [0, 0, 0, 1]).all()


def test_a_stream_holds_little_in_memory(stored, streamed):
    maps = stored(views_of(4000, 1, 500))  # 8 MB as float32
    tracemalloc.start()
    rows = features.standardize(maps).rows(slice(None))
    for start in range(0, 4000, 100):
        rows[start : start + 100]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20
