"""Heads that are regularized towards what the names of classes say."""

import numpy as np
import pytest
from scipy import optimize

from model_maker.errors import DataError
from model_maker.learning import heads
from model_maker.learning.heads import Prior


def photos(per_class, *, classes=3, size=20, seed=0):
    """Classes around centers of their own; the kernel of a center is a good prior."""
    random = np.random.default_rng(seed)
    centers = random.normal(size=(classes, size))
    labels = np.repeat(np.arange(classes), per_class)
    return (centers[labels] + random.normal(size=(len(labels), size))).astype(np.float32), labels, centers


def test_the_minimum_is_the_one_that_scipy_finds():
    values, labels, centers = photos(6)
    prior = Prior(centers, np.zeros(3))
    fit = heads.fit(values, labels, classes=3, prior=prior)
    center, scale = values.mean(axis=0), np.sqrt(np.mean((values - values.mean(axis=0)) ** 2))
    rows = (values - center) / scale
    offsets = fit.prior_scale * values @ centers.T

    def loss(flat):
        kernel, bias = flat[: 3 * 20].reshape(3, 20), flat[3 * 20 :]
        logits = offsets + rows @ kernel.T + bias
        logits -= logits.max(axis=1, keepdims=True)
        right = logits[np.arange(len(labels)), labels] - np.log(np.exp(logits).sum(axis=1))
        return -right.mean() + 0.5 * fit.regularization * np.square(kernel).sum()

    flat = optimize.minimize(loss, np.zeros(3 * 21), method="L-BFGS-B", options={"maxiter": 5000}).x
    kernel, bias = flat[: 3 * 20].reshape(3, 20) / scale, flat[3 * 20 :]
    logits = offsets + (values - center) @ kernel.T + bias
    expected = (logits - logits.mean(axis=1, keepdims=True)) / fit.temperature
    found = fit.head.logits(values)
    np.testing.assert_allclose(found - found.mean(axis=1, keepdims=True), expected, atol=0.02)


def test_a_good_prior_helps_where_photos_are_few():
    values, labels, centers = photos(2, classes=8, size=60, seed=1)
    unseen, truth, _ = photos(40, classes=8, size=60, seed=1)  # the same centers, drawn first
    without = heads.fit(values, labels, classes=8).head
    having = heads.fit(values, labels, classes=8, prior=Prior(centers, np.zeros(8))).head
    right = [(head.logits(unseen[16:]).argmax(1) == truth[16:]).mean() for head in (without, having)]
    assert right[1] > right[0]


def test_a_prior_that_says_nothing_changes_nothing_of_what_is_learned():
    values, labels, _ = photos(30)
    plain = heads.fit(values, labels, classes=3)
    nothing = heads.fit(values, labels, classes=3, prior=Prior(np.zeros((3, 20)), np.zeros(3)))
    assert nothing.regularization == plain.regularization
    np.testing.assert_allclose(nothing.head.kernel, plain.head.kernel, atol=0.01)


def test_one_photo_of_each_class_is_enough_beside_a_prior():
    values, labels, centers = photos(1)
    with pytest.raises(DataError, match="each needs two"):
        heads.fit(values, labels, classes=3)
    fit = heads.fit(values, labels, classes=3, prior=Prior(centers, np.zeros(3)))
    assert (fit.head.logits(values).argmax(1) == labels).all()


def test_no_photo_is_not_enough():
    values, _, centers = photos(2)
    with pytest.raises(DataError, match="no photo to learn from; each needs one"):
        heads.fit(values, np.array([0, 0, 1, 1, 1, 1]), classes=3, prior=Prior(centers, np.zeros(3)))
