import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import binomtest

from model_maker import evaluation
from model_maker.inference import precision_thresholds
from model_maker.inference.precision_thresholds import choose, choose_by_label


def scored(top, right):
    """Photos of class a or b with the given best score; each is taken for a, rightly or not."""
    top = np.asarray(top, np.float64)
    return np.stack([top, 1 - top], axis=1), np.where(right, 0, 1)


def ranked(total, wrong):
    """Best scores from 0.999 down; the photos at the given ranks are wrong."""
    right = np.ones(total, bool)
    right[list(wrong)] = False
    return scored(np.linspace(0.999, 0.6, total), right)


def test_all_photos_are_answered_where_all_of_them_prove_the_precision():
    found = choose(*ranked(1000, [999]), 0.95)
    assert (found.score, found.kept, found.answered, found.right) == (0.0, True, 1000, 999)
    # One side of scipy's two-sided interval, at a twentieth of 5 %.
    expected = binomtest(999, 1000).proportion_ci(1 - 2 * 0.05 / 20, "exact").low
    assert found.bound == pytest.approx(expected, rel=1e-9)


def test_without_a_mistake_the_bound_is_the_root_of_the_risk():
    found = choose(*ranked(100, []), 0.9)
    assert found.bound == pytest.approx((0.05 / 20) ** (1 / 100))  # 0.942
    assert found.kept and found.score == 0.0


def test_the_threshold_parts_what_is_sure_from_what_is_not():
    # The better half is right, the other half is right every second time.
    found = choose(*ranked(1000, range(501, 1000, 2)), 0.95)
    assert found.kept
    # 550 photos with 25 mistakes are 95.5 % right but prove 92.6 %; 500 without one prove 98.8 %.
    assert (found.answered, found.right) == (501, 501)  # the threshold has three digits, which lets one more in
    assert found.score == pytest.approx(0.999 - 0.399 * 499 / 999, abs=1e-3)


def test_what_cannot_be_proven_is_said_and_the_most_that_can_be_is_taken():
    found = choose(*ranked(20, []), 0.95)
    assert not found.kept and found.bound == pytest.approx((0.05 / 20) ** (1 / 20))  # 0.741
    assert found.answered == 20
    hopeless = choose(*scored([0.9, 0.8], [False, False]), 0.5)
    assert not hopeless.kept and hopeless.bound == 0


def test_the_promise_is_kept_on_photos_that_were_not_seen():
    """Of many draws from one source, at most one in twenty may break the promise; this source is at the limit."""
    broken, kept, random = 0, 0, np.random.default_rng(0)
    for _ in range(200):
        top = random.uniform(0.5, 1, 400)
        found = choose(*scored(top, random.uniform(size=400) < top), 0.9)
        kept += found.kept
        # Above t the truth is right on the mean of t and 1.
        broken += found.kept and (max(found.score, 0.5) + 1) / 2 < 0.9
    assert broken <= 10 and kept > 20


def three_labels():
    """200 photos are taken for each of three labels: for the first always rightly, else as a coin falls."""
    random = np.random.default_rng(1)
    said = np.arange(600) % 3
    scores = np.zeros((600, 3))
    scores[np.arange(600), said] = random.uniform(0.6, 1, 600)
    right = np.where(said == 0, True, random.uniform(size=600) < 0.5)
    return scores, np.where(right, said, (said + 1) % 3)


def test_each_label_has_a_threshold_by_its_own_photos():
    sure, half, other = choose_by_label(*three_labels(), 0.9)
    # Five thresholds are tried; without a mistake the bound is the root of a fifth of the risk.
    assert (sure.score, sure.kept, sure.answered) == (0.5, True, 200)
    assert sure.bound == pytest.approx((0.05 / 5) ** (1 / 200))
    assert not half.kept and not other.kept and half.bound < 0.6
    assert [entry.photos for entry in (sure, half, other)] == [200, 200, 200]


def test_no_label_has_a_lower_threshold_than_the_least():
    scores, labels = three_labels()
    found = choose_by_label(scores, labels, 0.9, least=0.8)
    assert found[0].score == 0.8 and min(entry.score for entry in found) >= 0.8
    assert found[0].photos == found[0].answered == (scores[:, 0] >= 0.8).sum()


def test_nothing_is_proven_of_a_label_that_is_never_the_answer():
    scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])
    found = choose_by_label(scores, np.array([0, 2]), 0.5)[2]
    assert (found.score, found.bound, found.photos, found.kept) == (0.5, 0.0, 0, False)


def test_bytes_state_scores_in_steps():
    np.testing.assert_array_equal(precision_thresholds.in_bytes(np.array([0, 0.5, 0.99, 1])) * 256, [0, 128, 253, 255])


def test_answers_are_counted_by_hand():
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
    found = evaluation.answered(scores, np.array([0, 1, 1, 0]), np.array([0.8, 0.75]))
    assert (found.photos, found.answered, found.coverage, found.precision) == (4, 2, 0.5, 0.5)
    nobody = evaluation.answered(scores, np.array([0, 1, 1, 0]), np.array([1.1, 1.1]))
    assert (nobody.answered, nobody.precision, nobody.precision_interval) == (0, 0.0, (0.0, 1.0))


def test_using_a_model_loads_no_scipy():
    # It would take a third of the time of a `predict`, which needs none of it.
    check = (
        "import sys, model_maker.inference.classifier; print(sorted(m for m in sys.modules if m.startswith('scipy')))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
