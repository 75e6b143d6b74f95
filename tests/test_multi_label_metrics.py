"""Metrics of several labels a photo, against scikit-learn and numbers that were worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from model_maker import multi_label_metrics
from model_maker.errors import DataError
from model_maker.evaluation import LearnedFrom

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def case():
    """Scores in steps of 1/256, so that many are equal, of photos with about one label in three."""
    random = np.random.default_rng(3)
    targets = random.random((120, 3)) < 0.35
    scores = np.clip(0.45 * targets + random.normal(0.3, 0.25, (120, 3)), 0, 1)
    return np.round(scores * 40) / 40, targets


def test_they_are_those_of_scikit_learn(case):
    scores, targets = case
    limits = np.array([0.5, 0.4, 0.6])
    found, said = multi_label_metrics.measure(scores, targets, NAMES, limits), scores >= limits
    precise = reference.average_precision_score(targets, scores, average=None)
    assert [entry.average_precision for entry in found.per_class] == pytest.approx(precise.tolist())
    assert found.mean_average_precision == pytest.approx(precise.mean())
    expected = reference.precision_recall_fscore_support(targets, said, average=None)
    for index, key in enumerate(("precision", "recall", "f1", "photos")):
        assert [getattr(entry, key) for entry in found.per_class] == pytest.approx(expected[index].tolist())
    assert found.macro_f1 == pytest.approx(reference.f1_score(targets, said, average="macro"))
    assert found.micro_f1 == pytest.approx(reference.f1_score(targets, said, average="micro"))
    assert found.exact_match == pytest.approx(reference.accuracy_score(targets, said))


def test_the_interval_is_that_of_resampled_photos(case):
    scores, targets = case
    low, high = multi_label_metrics.measure(scores, targets, NAMES, np.full(3, 0.5)).mean_average_precision_interval
    random = np.random.default_rng(99)
    rows = (random.integers(0, len(scores), len(scores)) for _ in range(600))
    values = [reference.average_precision_score(targets[row], scores[row], average="macro") for row in rows]
    # Ends of 1000 and of 600 resamples differ by less than a point.
    assert (low, high) == pytest.approx(tuple(np.percentile(values, (2.5, 97.5))), abs=0.012)


def test_a_case_by_hand():
    # Label a: ranked right, wrong, right: precision 1 at the first, 2/3 at the third: (1 + 2/3) / 2.
    scores = np.array([[0.9, 0.8], [0.7, 0.1], [0.6, 0.3], [0.1, 0.9]])
    targets = np.array([[1, 1], [0, 0], [1, 0], [0, 1]], bool)
    found = multi_label_metrics.measure(scores, targets, ("a", "b"), np.array([0.65, 0.5]))
    assert found.per_class[0].average_precision == pytest.approx(5 / 6)
    assert found.mean_average_precision == pytest.approx((5 / 6 + 1) / 2)
    # a is said of the first two photos: one right, one missed; b of the first and last, both right.
    assert (found.per_class[0].precision, found.per_class[0].recall, found.per_class[0].f1) == (0.5, 0.5, 0.5)
    assert (found.macro_f1, found.micro_f1) == (0.75, pytest.approx(2 * 3 / (4 + 4)))
    assert found.exact_match == 0.5


def test_labels_without_photos_do_not_count(case):
    scores, targets = case
    targets = targets & [True, True, False]
    found = multi_label_metrics.measure(scores, targets, NAMES, np.full(3, 0.5))
    assert found.per_class[2].average_precision is None and found.per_class[2].photos == 0
    assert found.mean_average_precision == pytest.approx(
        reference.average_precision_score(targets[:, :2], scores[:, :2], average="macro")
    )


def test_scores_of_photos_without_any_label_are_refused():
    for count in (0, 3):
        with pytest.raises(DataError, match="no photos with labels to evaluate on"):
            multi_label_metrics.measure(np.zeros((count, 2)), np.zeros((count, 2), bool), ("a", "b"), np.ones(2))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_equal_scores_count_as_one_step(pairs):
    scores, truth = (np.array(column) for column in zip(*pairs, strict=True))
    if truth.any():
        expected = reference.average_precision_score(truth, scores)
        assert multi_label_metrics.average_precision(scores / 5, truth) == pytest.approx(expected)


def test_weights_are_repeated_photos(case):
    scores, targets = case[0][:, 0], case[1][:, 0]
    weights = np.random.default_rng(0).integers(0, 3, (2, len(scores))).astype(float)
    for row, found in zip(weights, multi_label_metrics.average_precision(scores, targets, weights), strict=True):
        again = np.repeat(np.arange(len(scores)), row.astype(int))
        assert found == pytest.approx(reference.average_precision_score(targets[again], scores[again]))


def test_the_curve_is_that_of_scikit_learn(case):
    scores, targets = case[0][:, 1], case[1][:, 1]
    precision, recall = multi_label_metrics.precision_recall(scores, targets)
    expected = reference.precision_recall_curve(targets, scores)
    np.testing.assert_allclose(precision[::-1], expected[0][:-1])
    np.testing.assert_allclose(recall[::-1], expected[1][:-1])


def test_two_files_are_compared_by_their_labels():
    targets = np.array([[1, 0], [0, 1]], bool)
    first, second = np.array([[0.9, 0.2], [0.1, 0.4]]), np.array([[0.8, 0.1], [0.1, 0.6]])
    found = multi_label_metrics.compare(first, second, targets, np.array([0.5, 0.5]))
    assert (found.photos, found.same_labels, found.exact_match_change) == (2, 0.5, 0.5)
    assert found.largest_difference == pytest.approx(0.2)


def test_photos_that_were_learned_from_are_said():
    known = LearnedFrom(3, 2).describe(5)
    assert known == "The model was trained on 3 of these 5 photos, which inflates metrics."
