"""The regularization path."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from model_maker.learning import heads
from model_maker.learning.features import FeatureTable
from model_maker.learning.likelihoods import SOFTMAX
from model_maker.learning.regularization_path import RegularizationPath


def test_it_ends_behind_its_best_step():
    random, labels = np.random.default_rng(8), np.arange(240) % 3
    table = FeatureTable((0.5 * random.normal(size=(3, 12))[labels] + random.normal(size=(240, 12))).astype(np.float16))
    held_out = [np.arange(240) % 5 == fold for fold in range(5)]
    with ThreadPoolExecutor(1) as pool:
        search = RegularizationPath(labels, np.ones(3), held_out, pool, heads.REGULARIZATION, None, SOFTMAX)
        walk = search.walk(table.standardize(table.layers), lambda step: None)
    losses = [tried.loss for tried in walk.walked]
    assert [tried.regularization for tried in walk.walked] == list(heads.REGULARIZATION[: len(losses)])
    assert 1 < len(losses) < len(heads.REGULARIZATION)
    assert losses.index(min(losses)) == len(losses) - 2 and walk.strength == heads.REGULARIZATION[len(losses) - 2]
    assert [parameters.shape for parameters in walk.parameters] == 5 * [(3, 13)]
    assert (walk.logits.argmax(axis=1) == labels).mean() > 0.5
