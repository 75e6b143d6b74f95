"""The preconditioner of L-BFGS."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import optimize

from model_maker.learning import features
from model_maker.learning.features import MANY, FeatureTable
from model_maker.learning.regression import Problem
from model_maker.learning.spectrum import Spectrum


def uneven(photos=200, size=40, seed=0):
    """Features of which each varies 0.8 times as much as the one before, in a random basis, and a constant 1."""
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.normal(size=(size, size)))[0]
    features = random.normal(size=(photos, size)) * 0.8 ** np.arange(size) @ basis
    return np.column_stack([features, np.ones(photos)]).astype(np.float32)


def test_directions_are_orthonormal_and_have_the_variances_that_numpy_finds():
    rows = uneven()
    found = Spectrum.of(rows[:, :-1])
    np.testing.assert_allclose(found.directions.T @ found.directions, np.eye(len(found.variances)), atol=1e-3)
    exact = np.linalg.eigvalsh(rows[:, :-1].astype(float).T @ rows[:, :-1] / len(rows))
    # What varies by less than a millionth of the most is left out.
    np.testing.assert_allclose(found.variances, exact[-len(found.variances) :], rtol=2e-2, atol=1e-6 * exact[-1])
    assert 25 < len(found.variances) <= 40


@pytest.mark.parametrize("limit", [0, 1 << 30], ids=["stream", "memory"])
def test_features_of_few_photos_have_none(stored, monkeypatch, limit):
    monkeypatch.setattr(features, "IN_MEMORY_BYTES", limit)
    values = uneven(MANY, 8)[:, None, :-1].astype(np.float16)
    few, many = (FeatureTable(stored(some)) for some in (values[1:], values))
    assert few.standardize(few.layers).spectrum is None
    found = many.standardize(many.layers).spectrum
    exact = np.linalg.eigvalsh(np.cov((values[:, 0] / values[:, 0].std(axis=0).mean()).astype(float).T))
    assert found.variances[-1] / found.variances[-2] == pytest.approx(exact[-1] / exact[-2], rel=0.2)


def test_a_gradient_is_divided_by_the_hessian():
    rows, random = uneven(size=12), np.random.default_rng(1)
    gradient = random.normal(size=(3, 13)).astype(np.float32)
    features = rows[:, :-1].astype(float)
    hessian = 0.2 * features.T @ features / len(features) + 0.01 * np.eye(12)
    expected = np.column_stack([np.linalg.solve(hessian, gradient[:, :-1].T).T, gradient[:, -1] / 0.2])
    np.testing.assert_allclose(
        Spectrum.of(rows[:, :-1]).precondition(gradient, 0.2, 0.01), expected, rtol=1e-3, atol=1e-3
    )


def test_features_that_never_vary_have_no_direction():
    rows = np.ones((5, 4), np.float32) * np.array([0, 0, 0, 1], np.float32)
    found = Spectrum.of(rows[:, :-1])
    gradient = np.full((2, 4), 0.5, np.float32)
    np.testing.assert_allclose(found.precondition(gradient, 0.25, 0.1)[:, -1], 2)
    assert np.isfinite(found.precondition(gradient, 0.25, 0.1)).all()


@pytest.mark.parametrize("distance", [0.3, 1.5])
def test_the_path_ends_near_the_minimum(distance):
    """Of features that fall as those of photos do; without it six iterations a step end 42 and 10 % above."""
    random, labels = np.random.default_rng(3), np.arange(1000) % 20
    basis = np.linalg.qr(random.normal(size=(400, 400)))[0]
    drawn = random.normal(size=(1000, 400)) + distance * random.normal(size=(20, 400))[labels]
    table = FeatureTable((drawn / np.arange(1, 401) @ basis).astype(np.float32))
    rows = table.standardize(table.layers).rows(slice(None))

    def loss(flat, strength):
        parameters = flat.reshape(20, 401).astype(float)
        logits = rows @ parameters.T
        logits -= logits.max(axis=1, keepdims=True)
        scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        own = (np.arange(1000), labels)
        value = -np.log(scores[own]).mean()
        scores[own] -= 1
        parameters[:, -1] = 0
        return value + strength / 2 * (parameters**2).sum(), (scores.T @ rows / 1000 + strength * parameters).ravel()

    with ThreadPoolExecutor(1) as pool:
        problem = Problem(rows, labels, np.ones(20), Spectrum.of(rows[:, :-1]), pool)
        found = np.zeros((20, 401), np.float32)
        for strength in (0.3, 0.1, 0.03, 0.01):
            found = problem.solve(strength, found, 6, lambda step: None)
    best = optimize.minimize(loss, np.zeros(20 * 401), 0.01, jac=True, method="L-BFGS-B", options={"maxiter": 5000}).fun
    assert best < loss(found.parameters.ravel(), 0.01)[0] < 1.01 * best


def test_a_search_of_another_strength_begins_where_the_last_ended():
    """The solution's loss and gradient are of the photos alone, as at a strength of 0."""
    labels = np.arange(200) % 3
    rows = uneven()
    with ThreadPoolExecutor(1) as pool:
        problem = Problem(rows, labels, np.ones(3), Spectrum.of(rows[:, :-1]), pool)
        found = problem.solve(0.1, np.zeros((3, 41), np.float32), 6, lambda step: None)
        steps = []
        again = problem.solve(0.03, found, 6, steps.append)
        anew = problem.solve(0.03, found.parameters, 6, lambda step: None)
    logits = rows.astype(float) @ found.parameters.T
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found.loss == pytest.approx(-np.log(scores[np.arange(200), labels]).mean(), rel=1e-5)
    scores[np.arange(200), labels] -= 1
    np.testing.assert_allclose(found.gradient, scores.T @ rows / 200, atol=1e-5)
    assert found.curvature == pytest.approx((scores**2).mean(), rel=1e-4)
    np.testing.assert_allclose(again.parameters, anew.parameters, atol=1e-4)
    assert again.loss < found.loss and 1 <= len(steps) <= 8
