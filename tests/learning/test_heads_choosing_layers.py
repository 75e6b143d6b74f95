"""Which layers a head sees."""

import numpy as np
import pytest
from reference_fit import (
    LAYERS,
    clusters,
    held_out_logits,
    layered,
    mean_loss,
    round_robin,
    softmax,
    standardized,
)
from scipy import optimize

from model_maker.learning import features, heads, lbfgs
from model_maker.learning.features import FeatureTable
from model_maker.tflite.network_layers import Layer

COLUMNS = {"last": slice(11, 15), "top": slice(6, 15), "all": slice(0, 15)}


def standardized_by_layer(embeddings, name):
    parts = [standardized(embeddings[:, columns]) for columns in (slice(0, 6), slice(6, 11), slice(11, 15))]
    return np.concatenate(parts[{"last": 2, "top": 1, "all": 0}[name] :], axis=1)


@pytest.mark.parametrize(
    ("signals", "chosen"),
    [((2, 0, 0), "all"), ((0, 2, 0), "top"), ((0, 0, 1), "last"), ((1, 1, 0.3), "all")],
)
def test_a_head_sees_the_layers_that_tell_classes_apart(signals, chosen):
    embeddings, labels = layered(signals)
    found = heads.fit(FeatureTable(embeddings, LAYERS), labels, classes=3)
    assert found.chosen == chosen and set(found.candidates) == {"last", "top", "all"}
    assert found.layers == {"last": LAYERS[2:], "top": LAYERS[1:], "all": LAYERS}[chosen]
    assert found.head.kernel.shape == (3, {"last": 4, "top": 9, "all": 15}[chosen])
    # The head is the one of that set alone.
    alone = heads.fit(FeatureTable(embeddings, LAYERS), labels, classes=3, layers=chosen)
    np.testing.assert_array_equal(alone.head.kernel, found.head.kernel)
    np.testing.assert_array_equal(alone.held_out, found.held_out)
    assert list(alone.candidates) == [chosen] and alone.candidates[chosen].behind == 0


def test_of_layers_that_say_the_same_the_last_is_enough():
    random = np.random.default_rng(1)
    labels = np.repeat(np.arange(3), 60)
    shown = random.normal(size=(3, 4))[labels] + random.normal(size=(180, 4))
    copies = np.concatenate([3 * shown, shown[:, :2], 0.5 * shown[:, 2:], shown, shown], axis=1).astype(np.float16)
    layers = (Layer("low", 4, 14), Layer("middle", 4, 14), Layer("high", 4, 7), Layer("embedding", 4, 1))
    found = heads.fit(FeatureTable(copies, layers), labels, classes=3)
    assert found.chosen == "last"
    losses = [one.loss for one in found.candidates.values()]
    assert max(losses) - min(losses) < 0.02


@pytest.mark.parametrize("counts", [(60, 60, 60), (90, 20, 25)])
def test_candidates_are_judged_as_scikit_learn_judges_them(counts):
    embeddings, labels = layered((0.5, 0.4, 0.5), per_class=90)
    kept = np.concatenate([np.flatnonzero(labels == label)[:count] for label, count in enumerate(counts)])
    embeddings, labels = embeddings[kept], labels[kept]
    folds = round_robin(labels)
    found = heads.fit(FeatureTable(embeddings, LAYERS), labels, classes=3, folds=folds)
    weights = found.class_weights[labels]
    single = {}
    for name, candidate in found.candidates.items():
        features = standardized_by_layer(embeddings, name)
        logits = [held_out_logits(features, labels, weights, one, folds) for one in heads.REGULARIZATION]
        best = min(logits, key=lambda each: mean_loss(each, labels, weights))
        inverse = optimize.minimize_scalar(
            lambda inverse, best=best: mean_loss(inverse * best, labels, weights), bounds=(0.05, 20), method="bounded"
        ).x
        single[name] = weights * -np.log(softmax(inverse * best)[np.arange(len(labels)), labels])
        # Ten iterations a step of the path stop a little short of the minimum.
        assert candidate.loss == pytest.approx(single[name].mean(), rel=0.01)
        assert candidate.top1 == pytest.approx((best.argmax(1) == labels).mean(), abs=2.5 / len(labels))
    best = min(single, key=lambda name: single[name].mean())
    for name, candidate in found.candidates.items():
        behind = single[name] - single[best]
        assert candidate.behind == pytest.approx(behind.mean(), abs=0.005)
        assert candidate.behind_error == pytest.approx(behind.std(ddof=1) / np.sqrt(len(labels)), abs=0.003)
    assert found.candidates[best].behind == 0 and found.top1 == found.candidates[found.chosen].top1


@pytest.mark.parametrize("seed", range(6))
def test_the_simplest_set_within_a_standard_error_is_taken(seed):
    embeddings, labels = layered((0.3, 0.3, 0.5), seed=seed)
    found = heads.fit(FeatureTable(embeddings, LAYERS), labels, classes=3)
    within = [
        name for name in ("last", "top", "all") if found.candidates[name].behind <= found.candidates[name].behind_error
    ]
    assert found.chosen == within[0]


def test_a_head_sees_no_layer_but_those_it_is_among():
    embeddings, labels = layered((2, 0.1, 0.1))
    given = FeatureTable(embeddings, LAYERS)
    found = heads.fit(given, labels, classes=3, among=LAYERS[1:])
    assert set(found.candidates) == {"last", "top"}  # all of them are those of the smallest maps
    assert found.layers in (LAYERS[1:], LAYERS[2:]) and found.top1 < 0.6
    forced = heads.fit(given, labels, classes=3, layers="all", among=LAYERS[1:])
    assert forced.layers == LAYERS[1:] and forced.head.kernel.shape == (3, 9)
    alone = heads.fit(FeatureTable(embeddings[:, 6:], LAYERS[1:]), labels, classes=3, layers="all")
    np.testing.assert_array_equal(forced.head.kernel, alone.head.kernel)


def test_of_one_layer_there_is_nothing_to_choose():
    embeddings, labels = clusters((30, 30, 30), features=8)
    found = heads.fit(embeddings, labels, classes=3)
    assert found.chosen == "last" and list(found.candidates) == ["last"]
    assert [(layer.size, layer.side) for layer in found.layers] == [(8, 1)]
    for name in ("last", "top", "all"):
        again = heads.fit(embeddings, labels, classes=3, layers=name)
        np.testing.assert_array_equal(again.head.kernel, found.head.kernel)


def test_integers_are_as_good_as_what_they_stand_for():
    embeddings, labels = layered((0.7, 0.7, 0.7))
    step = np.abs(embeddings.astype(float)).max() / 127
    integers = np.rint(embeddings.astype(float) / step).astype(np.int8)
    whole = heads.fit(FeatureTable(integers, LAYERS, step), labels, classes=3, layers="all")
    real = heads.fit(FeatureTable((integers * step).astype(np.float32), LAYERS), labels, classes=3, layers="all")
    # Powers of two apart, the same numbers: only their rounding differs.
    np.testing.assert_allclose(
        whole.head.scores(integers * np.float32(step)), real.head.scores(integers * np.float32(step)), atol=0.005
    )


@pytest.mark.parametrize("name", ["auto", "last", "top", "all"])
def test_a_streamed_fit_chooses_as_in_memory(stored, monkeypatch, name):
    monkeypatch.setattr(features, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(lbfgs, "TOLERANCE", 0)
    embeddings, labels = layered((0, 1.5, 0.2), per_class=400)
    integers = np.rint(embeddings.astype(float)).clip(-128, 127).astype(np.int8)
    folds = round_robin(labels)
    there = heads.fit(FeatureTable(stored(integers, step=0.25), LAYERS), labels, classes=3, folds=folds, layers=name)
    monkeypatch.setattr(features, "IN_MEMORY_BYTES", 1 << 30)
    here = heads.fit(FeatureTable(integers, LAYERS, 0.25), labels, classes=3, folds=folds, layers=name)
    assert there.chosen == here.chosen == {"auto": "top"}.get(name, name)
    assert there.regularization == here.regularization
    for one, other in zip(there.candidates.values(), here.candidates.values(), strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-3) and one.layers == other.layers
    seen = integers[:, COLUMNS[there.chosen]] * np.float32(0.25)
    np.testing.assert_allclose(there.head.scores(seen), here.head.scores(seen), atol=1e-3)
