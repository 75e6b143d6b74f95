"""Learning curves by hand, and on clouds of points whose law is known."""

import numpy as np
import pytest

from model_maker.learning.features import FeatureTable
from model_maker.training import learning_curve
from model_maker.training.learning_curve import Curve, forecast, forecast_class

SHARES = np.array(learning_curve.SHARES)


def law(exponent, photos=4000, last_error=0.2):
    """A curve whose error is `last_error` at the last share and falls with that exponent, without any noise."""
    errors = last_error * SHARES**-exponent
    right = np.linspace(0, 1, photos)[:, None] >= errors  # so that means are exact to one photo
    return Curve(np.zeros(photos, int), right.astype(float), 0.1, {0: right[:, 1].astype(float)})


@pytest.mark.parametrize("exponent", [0.25, 0.5, 0.9])
def test_the_forecast_carries_a_power_law_on(exponent):
    found = forecast(law(exponent), 0.9, 1000, 2.0)
    # From 10 % of the test photos wrong, by hand; a photo in 4000 is the precision of the curve.
    assert found.value == pytest.approx(1 - 0.1 * 2**-exponent, abs=5e-4)
    assert found.low < found.value < found.high


def test_a_flat_curve_gains_nothing_and_a_falling_one_loses_nothing():
    assert forecast(law(0.0), 0.9, 1000, 2.0).value == pytest.approx(0.9)
    assert forecast(law(-0.5, last_error=0.4), 0.9, 1000, 2.0).value == pytest.approx(0.9)


def test_a_class_alone_gains_what_its_half_lost_and_less_each_time():
    """With exponent 1, 1/n falls from 2 to 1 by the doubling that was measured, and by 1/3 with 1.5 times as many."""
    curve = law(1.0, last_error=0.1)  # half of the photos: 20 % wrong
    assert forecast_class(curve, 0, 0.8, 500, 1.5).value == pytest.approx(0.8 + 0.1 / 3, abs=1e-3)


def test_the_interval_takes_in_the_test_photos():
    """Of few test photos as many go either way, so the same forecast is less certain."""
    wide, narrow = (forecast(law(0.5), 0.9, photos, 2.0) for photos in (50, 5000))
    assert wide.value == narrow.value and wide.high - wide.low > 2 * (narrow.high - narrow.low)
    # 10 % of the photos move with each doubling: a standard error of sqrt((0.1 - gain^2) / 50), by hand.
    gain = wide.value - 0.9
    assert wide.value - wide.low == pytest.approx(1.96 * np.sqrt((0.1 - gain**2) / 50), rel=0.1)


def clouds(per_class, classes=3, size=40, apart=2.0, seed=0):
    """Normal clouds around centers `apart`; far fewer photos than features suffice to learn from."""
    random = np.random.default_rng(seed)
    labels = np.arange(classes * per_class) % classes
    centers = random.normal(size=(classes, size)) * apart / np.sqrt(size)
    return (centers[labels] + random.normal(size=(len(labels), size))).astype(np.float16), labels


def measured(values, labels, **more):
    table = FeatureTable(values)
    return learning_curve.measure(table, table.layers, labels, weights=np.ones(3), strength=0.1, **more)


def test_accuracy_rises_with_photos_and_is_that_of_unseen_photos():
    curve = measured(*clouds(60), halve=(1,))
    accuracy = curve.accuracy
    assert accuracy[-1] > accuracy[0] + 0.03 and curve.right.shape == (180, 4)
    # A second implementation, on all photos but a fold: scikit-learn's, whose penalty is ours times the photos.
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    values, labels = clouds(60)
    scaled = (values - values.mean(axis=0)) / np.sqrt(np.mean((values - values.mean(axis=0)) ** 2))
    expected = cross_val_score(LogisticRegression(C=1 / (0.1 * 144)), scaled.astype(float), labels, cv=5).mean()
    assert accuracy[-1] == pytest.approx(expected, abs=0.05)  # other folds: 180 photos, a standard error of 3 points
    assert 0 < curve.moved < 0.5 and set(curve.halved) == {1}


def test_what_cannot_be_learned_stays_at_chance():
    values, labels = clouds(80)
    curve = measured(values, np.random.default_rng(3).permutation(labels), repeats=4)
    assert all(abs(value - 1 / 3) < 0.11 for value in curve.accuracy)  # 240 photos: three standard errors


def test_the_same_photos_give_the_same_curve():
    once, again = (measured(*clouds(20), halve=(0, 2)) for _ in range(2))
    np.testing.assert_array_equal(once.right, again.right)
    np.testing.assert_array_equal(once.halved[2], again.halved[2])
    assert once.moved == again.moved


def test_progress_counts_every_fit():
    told = []
    measured(*clouds(10), halve=(0,), progress=lambda done, total: told.append((done, total)))
    assert told == [(number, 50) for number in range(1, 51)]  # two repeats, five folds, four shares and a half
