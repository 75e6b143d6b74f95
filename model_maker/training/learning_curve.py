"""Learning curve of a head on frozen features: accuracy by number of photos, and forecasts for more photos.

Heads are fitted on growing shares of the training photos and evaluated on held-out ones. The error approximately
follows a power law in the number of photos; the exponent is estimated here, and the forecast extrapolates from the
accuracy of the model.

Sources:
  Cortes et al. 1993, "Learning Curves: Asymptotic Values and Rate of Convergence" (the power law).
  Hestness et al. 2017, "Deep Learning Scaling is Predictable, Empirically" (its exponents, by task).
"""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from model_maker.data.streaming import cores
from model_maker.forecasts import Estimate
from model_maker.learning.features import Features, FeatureTable
from model_maker.learning.regression import Problem
from model_maker.tflite.network_layers import Layer

Array = np.ndarray[Any, Any]

# Shares of the photos of the other folds on which heads are fitted.
SHARES = (0.25, 0.5, 0.75, 1.0)
FOLDS = 5
# With fewer photos of a class, the smallest share would be less than one photo.
FEWEST = 4
# Every fit except the first of a fold starts from the previous one, so few steps suffice.
_ITERATIONS = 25
# Maximum exponent: the error cannot fall faster than in proportion to the number of photos.
_STEEPEST = 1.0
_RESAMPLED = 400
_Z95 = 1.959964


@dataclass(frozen=True)
class Curve:
    """How often photos are classified correctly by heads that were not trained on them.

    Attributes:
      labels: int [N], labels of the photos.
      right: float [N, S], share of rounds in which a photo is classified correctly, by share of training photos.
      moved: share of the photos whose correctness changes from the second share to the last, a doubling.
      halved: by class, float [N]: like the last column of `right`, but with half of that class's photos.
    """

    labels: Array
    right: Array
    moved: float
    halved: dict[int, Array]

    @functools.cached_property
    def exponents(self) -> Array:
        """The exponents of curves of resampled photos, float [R]."""
        random, count = np.random.default_rng(0), len(self.labels)
        rounds = (random.integers(0, count, count) for _ in range(_RESAMPLED))
        return _exponent(np.array([self.right[chosen].mean(axis=0) for chosen in rounds]))

    @property
    def accuracy(self) -> list[float]:
        """Accuracy by share, 0 to 1."""
        return [float(value) for value in self.right.mean(axis=0)]


def measure(
    table: FeatureTable,
    layers: Sequence[Layer],
    labels: Array,
    *,
    weights: Array,
    strength: float,
    halve: Sequence[int] = (),
    repeats: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Curve:
    """Fits heads on shares of photos, in folds, and evaluates them on the photos left out.

    Args:
      table: features of N photos.
      labels: int [N].
      weights: float [C], class weights.
      halve: classes to evaluate also with half of their photos.
      repeats: number of repetitions with other folds.
      progress: called with (done, total) fits.
    """
    random = np.random.default_rng(0)
    right = np.zeros((len(labels), len(SHARES)))
    halved = {label: np.zeros(len(labels)) for label in halve}
    moved, done, total = 0, 0, repeats * FOLDS * (len(SHARES) + len(halve))

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as pool:
        features = table.standardize(layers)

        def fit(chosen: Array, start: Array, held: Array) -> tuple[Array, Array]:
            nonlocal done
            problem = Problem(features.rows(chosen), labels[chosen], weights, features.spectrum, pool)
            found = problem.solve(strength, start, _ITERATIONS, lambda step: None).parameters
            done += 1
            if progress:
                progress(done, total)
            return found, features.logits(held, found).argmax(axis=1) == labels[held]

        for _ in range(repeats):
            folds, ranks = _ranks(labels, random, FOLDS), _ranks(labels, random, None)
            for fold in range(FOLDS):
                held, parameters, judged = folds == fold, _zeros(features, weights), []
                order = _order(ranks, labels, ~held)
                for share in SHARES:
                    parameters, correct = fit(~held & (order < share), parameters, held)
                    judged.append(correct)
                right[held] += np.stack(judged, axis=1)
                moved += int((judged[1] != judged[-1]).sum())
                for label, found in halved.items():
                    found[held] += fit(~held & ((order < 0.5) | (labels != label)), parameters, held)[1]
    halved = {label: found / repeats for label, found in halved.items()}
    return Curve(labels, right / repeats, moved / (repeats * len(labels)), halved)


def forecast(curve: Curve, now: float, test_photos: int, factor: float) -> Estimate:
    """Forecasts the accuracy with `factor` times the photos of each class.

    The interval is for accuracy on the same test photos: it includes the uncertainty of the curve, and chance for
    single test photos.

    Args:
      now: accuracy of the model on test photos.
      factor: photos of each class relative to the current number.
    """
    drawn = curve.exponents
    then = 1 - (1 - now) * factor ** -float(_exponent(curve.right.mean(axis=0)))
    spread = float(np.std(1 - (1 - now) * factor**-drawn))
    return _estimate(now, then, spread, curve.moved * np.log2(factor), test_photos)


def forecast_class(curve: Curve, label: int, now: float, test_photos: int, factor: float) -> Estimate:
    """Forecasts the accuracy on all photos with `factor` times the photos of one class; see `forecast`.

    `halved` was measured with half of them; the part of the error that depends on them falls with the curve's exponent.
    """
    random, count = np.random.default_rng(1), len(curve.labels)
    lost = curve.right[:, -1] - curve.halved[label]
    rows = random.integers(0, count, (_RESAMPLED, count))
    scale = np.array([_passed_on(exponent, factor) for exponent in curve.exponents])
    drawn = lost[rows].mean(axis=1) * scale
    gain = max(0.0, float(lost.mean()) * _passed_on(float(_exponent(curve.right.mean(axis=0))), factor))
    moved = float(np.abs(lost).mean()) * np.log2(factor)
    return _estimate(now, now + gain, float(np.std(drawn)), moved, test_photos)


def _estimate(now: float, then: float, spread: float, moved: float, photos: int) -> Estimate:
    then = min(1.0, then)
    half = _Z95 * np.sqrt(spread**2 + max(0.0, moved - (then - now) ** 2) / photos)
    return Estimate(float(then), float(max(0.0, then - half)), float(min(1.0, then + half)))


def _passed_on(exponent: float, factor: float) -> float:
    """Returns the gain from `factor` times the photos, relative to the gain of the last doubling."""
    exponent = max(exponent, 0.05)  # close to the limit 0, where the error falls with the logarithm of the number
    return float((1 - factor**-exponent) / (2**exponent - 1))


def _exponent(accuracy: Array) -> Array:
    """Fits error = a * photos ** -exponent by least squares of logarithms, for each row of [..., S]."""
    # Avoids the logarithm of zero for curves without errors.
    errors = np.log(np.maximum(1 - accuracy, 1e-4))
    shares = np.log(SHARES) - np.log(SHARES).mean()
    return np.asarray(np.clip(-(errors @ shares) / (shares @ shares), 0.0, _STEEPEST))


def _ranks(labels: Array, random: np.random.Generator, modulus: int | None) -> Array:
    """Numbers the photos of each class in random order, int [N]; with a modulus, for even folds."""
    ranks = np.empty(len(labels), int)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        ranks[random.permutation(members)] = np.arange(len(members))
    return ranks if modulus is None else ranks % modulus


def _order(ranks: Array, labels: Array, pool: Array) -> Array:
    """Returns the relative rank of each photo of a pool within its class, float [N] in [0, 1)."""
    order = np.zeros(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(pool & (labels == label))
        order[members[np.argsort(ranks[members])]] = np.arange(len(members)) / max(1, len(members))
    return order


def _zeros(features: Features, weights: Array) -> Array:
    return np.zeros((len(weights), features.size + 1), np.float32)
