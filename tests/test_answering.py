import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import binomtest

from model_maker.inference import evaluation
from model_maker.inference.answering import choose, limits

CLASSES = ("a", "b")


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
    found = choose(*ranked(1000, [999]), CLASSES, precision=0.95)
    assert (found.score, found.kept, found.held_out.answered) == (0.0, True, 1000)
    # One side of scipy's two-sided interval, at a twentieth of 5 %.
    expected = binomtest(999, 1000).proportion_ci(1 - 2 * 0.05 / 20, "exact").low
    assert found.bound == pytest.approx(expected, rel=1e-9)


def test_without_a_mistake_the_bound_is_the_root_of_the_risk():
    found = choose(*ranked(100, []), CLASSES, precision=0.9)
    assert found.bound == pytest.approx((0.05 / 20) ** (1 / 100))  # 0.942
    assert found.kept and found.score == 0.0


def test_the_threshold_parts_what_is_sure_from_what_is_not():
    # The better half is right, the other half is right every second time.
    found = choose(*ranked(1000, range(501, 1000, 2)), CLASSES, precision=0.95)
    assert found.kept and found.held_out.precision >= 0.95
    # 550 photos with 25 mistakes are 95.5 % right but prove 92.6 %; 500 without one prove 98.8 %.
    assert found.held_out.answered == 501  # the threshold has three digits, which lets one more in
    assert found.score == pytest.approx(0.999 - 0.399 * 499 / 999, abs=1e-3)


def test_what_cannot_be_proven_is_said_and_the_most_that_can_be_is_taken():
    found = choose(*ranked(20, []), CLASSES, precision=0.95)
    assert not found.kept and found.bound == pytest.approx((0.05 / 20) ** (1 / 20))  # 0.741
    assert found.held_out.answered == 20
    hopeless = choose(*scored([0.9, 0.8], [False, False]), CLASSES, precision=0.5)
    assert not hopeless.kept and hopeless.bound == 0


def test_the_promise_is_kept_on_photos_that_were_not_seen():
    """Of many draws from one source, at most one in twenty may break the promise; this source is at the limit."""
    broken, random = 0, np.random.default_rng(0)
    for _ in range(200):
        top = random.uniform(0.5, 1, 400)
        found = choose(*scored(top, random.uniform(size=400) < top), CLASSES, precision=0.9)
        # Above t the truth is right on the mean of t and 1.
        broken += found.kept and (max(found.score, 0.5) + 1) / 2 < 0.9
    assert broken <= 10


def test_labels_have_thresholds_of_their_own_where_their_photos_allow_it():
    random = np.random.default_rng(1)
    top = random.uniform(0.6, 1, 600)
    scores = np.zeros((600, 3))
    said = np.arange(600) % 3
    scores[np.arange(600), said] = top
    right = np.where(said == 0, True, random.uniform(size=600) < 0.5)
    labels = np.where(right, said, (said + 1) % 3)
    found = choose(scores, labels, ("sure", "half", "other"), precision=0.9)
    assert found.labels == {"sure": 0.0}
    np.testing.assert_array_equal(
        limits(("sure", "half", "other"), found.score, {"thresholds": found.as_dict()}), [0, found.score, found.score]
    )


def test_answers_are_counted_by_hand():
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
    found = evaluation.answered(scores, np.array([0, 1, 1, 0]), np.array([0.8, 0.75]))
    assert (found.photos, found.answered, found.coverage, found.precision) == (4, 2, 0.5, 0.5)
    nobody = evaluation.answered(scores, np.array([0, 1, 1, 0]), np.array([1.1, 1.1]))
    assert (nobody.answered, nobody.precision, nobody.precision_interval) == (0, 0.0, (0.0, 1.0))


@pytest.mark.parametrize(
    "provenance",
    [{}, [], {"thresholds": None}, {"thresholds": {"labels": 3}}, {"thresholds": {"labels": {"a": "high"}}}],
)
def test_what_others_write_beside_a_model_is_passed_over(provenance):
    assert limits(CLASSES, 0.25, provenance).tolist() == [0.25, 0.25]


def test_using_a_model_loads_no_scipy():
    # It would take a third of the time of a `predict`, which needs none of it.
    check = (
        "import sys, model_maker.inference.classifier; print(sorted(m for m in sys.modules if m.startswith('scipy')))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
