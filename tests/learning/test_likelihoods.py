"""Heads of several labels, against scikit-learn's logistic regressions, one for each label."""

import numpy as np
import pytest
from scipy import optimize
from sklearn.linear_model import LogisticRegression

from model_maker.errors import DataError
from model_maker.learning import heads
from model_maker.learning.likelihoods import SIGMOID, SOFTMAX, sigmoid


@pytest.fixture(scope="module")
def case():
    """400 photos of 12 features and four labels, one of them rare."""
    random = np.random.default_rng(7)
    embeddings = random.normal(size=(400, 12)).astype(np.float32)
    kernel, bias = random.normal(size=(4, 12)), np.array([-0.5, 0.0, -1.0, -2.5])
    return embeddings, random.random((400, 4)) < sigmoid(embeddings @ kernel.T + bias)


def test_each_label_is_a_logistic_regression_of_its_own(case):
    embeddings, targets = case
    found = heads.fit(embeddings, targets, classes=4)
    assert found.head.multi_label and found.regularization in heads.REGULARIZATION
    # Features are centered and divided by one number; the penalty is relative to the mean loss of a photo.
    center = embeddings.mean(axis=0)
    scale = np.sqrt(np.mean((embeddings - center) ** 2))
    for label in range(4):
        reference = LogisticRegression(C=1 / (found.regularization * len(embeddings)), tol=1e-8, max_iter=2000)
        reference.fit((embeddings - center) / scale, targets[:, label])
        expected = reference.decision_function((embeddings - center) / scale) / found.temperature
        # Our search stops where the loss of float32 falls no more, which moves no score by one step of a uint8 output.
        np.testing.assert_allclose(found.head.scores(embeddings)[:, label], sigmoid(expected), atol=1 / 128)


def test_scores_do_not_add_up_and_are_probabilities(case):
    embeddings, targets = case
    found = heads.fit(embeddings, targets, classes=4)
    scores = found.head.scores(embeddings)
    assert scores.sum(axis=1).std() > 0.1 and scores.min() >= 0 and scores.max() <= 1
    # Held-out scores are calibrated: their mean is the share of photos that have the label, within its noise.
    np.testing.assert_allclose(found.held_out.mean(axis=0), targets.mean(axis=0), atol=0.03)
    assert found.held_out.shape == found.held_out_labels.shape == (400, 4)


def test_gradients_are_those_of_the_losses():
    random = np.random.default_rng(1)
    logits = random.normal(size=(5, 3)).astype(np.float32)
    for likelihood, truth in ((SIGMOID, random.random((5, 3)) < 0.5), (SOFTMAX, np.array([0, 1, 2, 1, 0]))):
        losses, residual = likelihood.residual(logits.copy(), truth)
        np.testing.assert_allclose(losses, likelihood.losses(logits, truth), rtol=1e-5)

        def total(flat, likelihood=likelihood, truth=truth):
            return likelihood.losses(flat.reshape(5, 3), truth).sum()

        expected = optimize.approx_fprime(logits.astype(float).ravel(), total, 1e-6).reshape(5, 3)
        np.testing.assert_allclose(residual, expected, atol=1e-4)  # float32 against a difference quotient


def test_the_temperature_is_the_best_one():
    random = np.random.default_rng(2)
    logits = random.normal(0, 2, (500, 3))
    truth = random.random((500, 3)) < sigmoid(logits / 2.5)  # too sure of themselves by 2.5
    share = np.ones(500)
    found = SIGMOID.temperature(logits, truth, share)
    best = optimize.minimize_scalar(
        lambda t: SIGMOID.loss_at(t, logits, truth, share), bounds=(0.1, 10), method="bounded"
    )
    assert found == pytest.approx(best.x, abs=1e-3)


def test_large_logits_do_not_overflow():
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0, 0.5, 1]
    assert SIGMOID.losses(np.array([[-1e4, 1e4]]), np.array([[True, True]])).tolist() == [1e4]


def test_labels_need_photos_with_and_without_them(case):
    embeddings, targets = case
    for column, message in (
        (np.ones(400, bool), "400 photos with it and 0 without"),
        (np.eye(400, dtype=bool)[0], "1 "),
    ):
        changed = targets.copy()
        changed[:, 2] = column
        with pytest.raises(DataError, match=f"Label 2 has {message}"):
            heads.fit(embeddings, changed, classes=4)


def test_a_stream_gives_the_same_head(case, stored, monkeypatch):
    from model_maker.learning import features

    embeddings, targets = case
    folds = np.arange(400) % 4
    monkeypatch.setattr(features, "IN_MEMORY_BYTES", 0)
    there = heads.fit(stored(embeddings), targets, classes=4, folds=folds)
    here = heads.fit(embeddings, targets, classes=4, folds=folds)
    np.testing.assert_allclose(there.head.scores(embeddings), here.head.scores(embeddings), atol=2e-3)
