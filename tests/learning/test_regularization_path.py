"""The regularization path, walked whole and from any of its steps."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from model_maker.learning import heads
from model_maker.learning.features import FeatureTable
from model_maker.learning.likelihoods import SOFTMAX
from model_maker.learning.regularization_path import RegularizationPath, Start
from model_maker.tflite.network_layers import Layer

MAPS, LAST = Layer("maps", 8, 7), Layer("embedding", 4, 1)


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(8)
    signal = 0.5 * random.normal(size=(3, 12))[np.arange(240) % 3]
    return FeatureTable((signal + random.normal(size=(240, 12))).astype(np.float16), (MAPS, LAST))


@pytest.fixture
def search():
    labels = np.arange(240) % 3
    held_out = [np.arange(240) % 5 == fold for fold in range(5)]
    with ThreadPoolExecutor(1) as pool:
        yield RegularizationPath(labels, np.ones(3), held_out, pool, heads.REGULARIZATION, None, SOFTMAX)


def strengths(walk):
    return [tried.regularization for tried in walk.walked]


def least(walk):
    return min(tried.loss for tried in walk.walked)


def test_a_whole_path_ends_behind_its_best_step(search, table):
    walk = search.walk(table.standardize([MAPS, LAST]), lambda step: None)
    losses = [tried.loss for tried in walk.walked]
    assert strengths(walk) == list(heads.REGULARIZATION[: len(losses)])
    assert losses.index(min(losses)) == len(losses) - 2 and walk.strength == strengths(walk)[-2]


@pytest.mark.parametrize("near", heads.REGULARIZATION)
def test_from_any_step_it_finds_the_same_one(search, table, near):
    features = table.standardize([MAPS, LAST])
    whole = search.walk(features, lambda step: None)
    zeros = np.zeros((3, 13), np.float32)
    found = search.walk(features, lambda step: None, Start(near, (zeros,) * 5, (MAPS, LAST)))
    assert found.strength == whole.strength
    # Ten iterations a step of the path stop a little short of the minimum, wherever they began.
    assert least(found) == pytest.approx(least(whole), rel=0.01)
    assert strengths(found) == sorted(strengths(found), reverse=True)
    # It goes from one step before that one up to one beyond the best, on either side.
    asked, best = heads.REGULARIZATION.index(near), heads.REGULARIZATION.index(whole.strength)
    first = max(0, asked - 1)
    assert strengths(found)[0] == heads.REGULARIZATION[first if first < best else max(0, best - 1)]


def test_heads_on_more_layers_ignore_what_is_new(table):
    random = np.random.default_rng(3)
    parameters = random.normal(size=(3, 5)).astype(np.float32)
    less, more = table.standardize([LAST]), table.standardize([MAPS, LAST])
    start = Start(0.1, (parameters,), (LAST,)).on([MAPS, LAST], more)
    every = np.ones(240, bool)
    np.testing.assert_allclose(more.logits(every, start.parameters[0]), less.logits(every, parameters), atol=1e-5)
    assert start.strength == 0.1 and start.layers == (MAPS, LAST)


def test_in_a_basis_of_the_photos_own_there_is_no_start(table):
    few = FeatureTable(np.random.default_rng(4).normal(size=(5, 12)), (MAPS, LAST))
    own = few.standardize([MAPS, LAST])
    assert own.size == 5
    assert Start(0.1, (np.zeros((3, 5), np.float32),), (LAST,)).on([MAPS, LAST], own) is None
    assert (
        Start(0.1, (np.zeros((3, 6), np.float32),), (MAPS, LAST)).on([MAPS, LAST], table.standardize([MAPS, LAST]))
        is None
    )
