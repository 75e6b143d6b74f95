import numpy as np
import pytest
from sklearn.metrics import f1_score

from model_maker.inference import label_thresholds


@pytest.fixture(scope="module")
def case():
    """Calibrated scores: each photo has a label with the probability that is its score."""
    random = np.random.default_rng(5)
    scores = random.beta(0.5, 1.0, (3000, 2))
    return scores, random.random((3000, 2)) < scores


def test_they_are_near_the_best_for_calibrated_scores(case):
    scores, targets = case
    for label, found in enumerate(label_thresholds.choose_by_f1(scores, targets)):
        tried = np.linspace(0.01, 0.99, 99)
        values = [f1_score(targets[:, label], scores[:, label] >= limit) for limit in tried]
        # Half the best F1 (Lipton et al. 2014); one standard error of it allows for the sampling.
        assert found.score == pytest.approx(max(values) / 2, abs=0.03)
        assert found.f1 == pytest.approx(f1_score(targets[:, label], scores[:, label] >= found.score))
        assert found.photos == targets[:, label].sum()


def test_labels_that_are_told_apart_get_a_threshold_in_between():
    scores = np.array([[0.1], [0.2], [0.7], [0.9]])
    [found] = label_thresholds.choose_by_f1(scores, np.array([[0], [0], [1], [1]], bool))
    assert found.score == 0.45 and (found.f1, found.precision, found.recall) == (1, 1, 1)


def test_a_label_of_which_nothing_is_known_needs_more_than_one_half():
    scores = np.array([[0.3, 0.9], [0.1, 0.2]])
    found = label_thresholds.choose_by_f1(scores, np.array([[0, 1], [0, 0]], bool))
    assert (found[0].score, found[0].f1, found[0].photos) == (0.5, 0.0, 0)


def test_a_precision_is_proven(case):
    scores, targets = case
    low, high = (label_thresholds.choose_by_precision(scores, targets, share) for share in (0.7, 0.9))
    for label in range(2):
        said = scores[:, label] >= high[label].score
        assert high[label].kept and targets[said, label].mean() >= 0.9
        assert high[label].score > low[label].score and high[label].answered == said.sum()
