import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from model_maker import evaluation
from model_maker.errors import DataError

CLASSES = ("a", "b", "c")


@pytest.fixture(scope="module")
def random_scores():
    """400 photos, 7 classes; the scores lean towards the label."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, 400)
    logits = random.normal(size=(400, 7)) + 1.5 * np.eye(7)[labels]
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return scores.astype(np.float32), labels


# Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3; four published digits.
@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_matches_published_intervals(right, total, low, high):
    assert evaluation.wilson(right, total) == pytest.approx((low, high), abs=5e-5)


def test_wilson_worked_by_hand():
    # z2 = 3.841459; center (0.8 + 0.192073) / 1.384146 = 0.716740;
    # half 1.959964 / 1.384146 * sqrt(0.016 + 0.009604) = 0.226578
    assert evaluation.wilson(8, 10) == pytest.approx((0.490162, 0.943318), abs=2e-6)


@given(st.integers(1, 5000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_wilson_holds_its_share_and_mirrors(case):
    right, total = case
    low, high = evaluation.wilson(right, total)
    assert 0 <= low <= right / total + 1e-12 and right / total - 1e-12 <= high <= 1
    mirrored = evaluation.wilson(total - right, total)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-9)


def test_paired_interval_worked_by_hand():
    # Half a photo in each of four cells: 4.5 won, 10.5 lost of 102; change -6 / 102 = -0.058824;
    # half 1.959964 * sqrt(15 - 36 / 102) / 102 = 0.073540
    assert evaluation.paired(4, 10, 100) == pytest.approx((-0.132363, 0.014716), abs=2e-6)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 2000))
def test_paired_interval_mirrors_and_stays_within_one(won, lost, both):
    if won + lost + both == 0:
        return
    low, high = evaluation.paired(won, lost, won + lost + both)
    assert -1 <= low < high <= 1
    mirrored = evaluation.paired(lost, won, won + lost + both)
    assert (-mirrored[1], -mirrored[0]) == pytest.approx((low, high), abs=1e-12)


def test_paired_interval_of_no_change_holds_zero_and_narrows():
    widths = []
    for total in (10, 100, 1000):
        low, high = evaluation.paired(0, 0, total)
        assert low < 0 < high
        widths.append(high - low)
    assert widths[0] > widths[1] > widths[2]


def test_measure_worked_by_hand():
    scores = np.array(
        [
            [0.95, 0.03, 0.02],  # a as a
            [0.95, 0.03, 0.02],  # b as a
            [0.25, 0.55, 0.20],  # b as b
            [0.35, 0.33, 0.32],  # a as a
        ]
    )
    found = evaluation.measure(scores, np.array([0, 1, 1, 0]), CLASSES)
    assert found.photos == 4
    assert found.top1 == 0.75
    assert found.confusion.tolist() == [[2, 0, 0], [1, 1, 0], [0, 0, 0]]
    a, b, c = found.per_class
    assert (a.label, a.photos, a.recall) == ("a", 2, 1.0)
    assert (a.precision, a.f1) == pytest.approx((2 / 3, 0.8))
    assert (b.precision, b.recall, b.photos) == (1.0, 0.5, 2)
    assert b.f1 == pytest.approx(2 / 3)
    assert (c.precision, c.recall, c.f1, c.photos) == (0.0, 0.0, 0.0, 0)  # neither seen nor said: no division by zero
    # Bin 14 holds 0.95 twice, one right: |1.9 - 1|; bin 8 holds 0.55, right: 0.45; bin 5 holds 0.35, right: 0.65.
    assert found.ece == pytest.approx((0.9 + 0.45 + 0.65) / 4)


def test_calibration_error_lets_gaps_of_one_bin_cancel():
    # Ten photos at 0.9, nine right: calibrated, though every single photo is off by 0.1 or 0.9.
    scores = np.tile([0.9, 0.1], (10, 1))
    assert evaluation.measure(scores, np.array([0] * 9 + [1]), ("a", "b")).ece == pytest.approx(0)


def test_certain_scores_fall_into_the_last_bin():
    assert evaluation.measure(np.eye(3), np.arange(3), CLASSES).ece == 0
    assert evaluation.measure(np.eye(3), np.array([1, 2, 0]), CLASSES).ece == 1


def test_measure_matches_scikit_learn(random_scores):
    scores, labels = random_scores
    found = evaluation.measure(scores, labels, tuple("abcdefg"))
    best = scores.argmax(1)
    assert found.top1 == pytest.approx(sklearn_metrics.accuracy_score(labels, best))
    assert found.top5 == pytest.approx(sklearn_metrics.top_k_accuracy_score(labels, scores, k=5))
    assert (found.confusion == sklearn_metrics.confusion_matrix(labels, best)).all()
    expected = np.transpose(sklearn_metrics.precision_recall_fscore_support(labels, best))
    np.testing.assert_allclose([[e.precision, e.recall, e.f1, e.photos] for e in found.per_class], expected)


def test_ties_go_to_the_lowest_index_in_top1_and_top5():
    scores = np.full((2, 7), 1 / 7)
    found = evaluation.measure(scores, np.array([0, 5]), tuple("abcdefg"))
    assert found.top1 == 0.5  # index 0 wins the tie
    assert found.top5 == 0.5  # indices 0 to 4 are the best five; 5 is not among them


def test_top5_is_one_with_five_classes_or_fewer():
    assert evaluation.measure(np.eye(3), np.array([1, 2, 0]), CLASSES).top5 == 1


def test_measure_without_photos_is_refused():
    with pytest.raises(DataError, match="no photo"):
        evaluation.measure(np.empty((0, 3)), np.empty(0, int), CLASSES)


def test_metrics_become_plain_json(random_scores):
    scores, labels = random_scores
    found = evaluation.measure(scores, labels, tuple("abcdefg"))
    read = json.loads(json.dumps(found.as_dict()))
    assert read == found.as_dict()
    assert read["top1"] == found.top1
    assert read["per_class"]["c"]["recall"] == found.per_class[2].recall
    assert np.sum(read["confusion"]) == 400


def test_compare_worked_by_hand():
    first = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    second = np.array([[0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.4, 0.6]])
    # Photo 1: both say a. 2: right becomes wrong. 3: both say b. 4: wrong becomes right.
    found = evaluation.compare(first, second, np.array([0, 0, 1, 1]))
    assert (found.photos, found.same_top1, found.accuracy_change) == (4, 0.5, 0.0)
    assert found.largest_difference == pytest.approx(0.8)
    # One won, one lost: 1.5 and 1.5 of 6; half 1.959964 * sqrt(3) / 6
    assert found.accuracy_change_interval == pytest.approx((-0.565793, 0.565793), abs=2e-6)


def test_compare_counts_the_change_of_accuracy(random_scores):
    scores, labels = random_scores
    other = np.random.default_rng(1).permuted(scores, axis=1)
    found = evaluation.compare(scores, other, labels)
    change = evaluation.measure(other, labels, tuple("abcdefg")).top1
    change -= evaluation.measure(scores, labels, tuple("abcdefg")).top1
    assert found.accuracy_change == pytest.approx(change)
    low, high = found.accuracy_change_interval
    assert low < found.accuracy_change < high < 0  # it is much worse, and the interval says so


def test_compare_with_itself_is_agreement(random_scores):
    scores, labels = random_scores
    found = evaluation.compare(scores, scores, labels)
    assert (found.same_top1, found.largest_difference, found.accuracy_change) == (1, 0, 0)
