"""The head: multinomial logistic regression on frozen embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from model_maker.data.streaming import cores
from model_maker.errors import DataError
from model_maker.learning.lbfgs import minimize

Array = np.ndarray

# From strong to weak, relative to the mean loss of a photo, on embeddings of unit variance. Half decades: between two
# neighbours cross-validated accuracy moves by less than its own noise.
REGULARIZATION = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
# Above this ratio of the largest class to the smallest, classes weigh alike instead of by their count.
UNEVEN = 2.0
# Photos x classes above which three folds stand for five: the estimate is then good enough, and time counts.
_LARGE = 100_000
# On the path a start is near; held-out loss is flat around its minimum long before the fit is exact.
_PATH_ITERATIONS = 10
_FINAL_ITERATIONS = 200
# Rows of one piece of work: long enough for BLAS, short enough to spread over cores.
_CHUNK = 1024
# Share of a photo's weight that its plain view has; the augmented ones divide the rest.
_PLAIN_SHARE = 0.75


@dataclass(frozen=True)
class Head:
    """A linear classifier on embeddings, temperature folded in.

    Attributes:
      kernel: float32 [C, D].
      bias: float32 [C].
    """

    kernel: Array
    bias: Array

    def logits(self, embeddings: Array) -> Array:
        """Maps [N, D] to float32 [N, C]."""
        return embeddings.astype(np.float32) @ self.kernel.T + self.bias

    def scores(self, embeddings: Array) -> Array:
        """Maps [N, D] to probabilities, float32 [N, C]."""
        return softmax(self.logits(embeddings))


@dataclass(frozen=True)
class Fit:
    """A head and how it came about.

    Attributes:
      head: fitted on all photos that were given.
      regularization: the chosen one of REGULARIZATION.
      temperature: what logits were divided by.
      class_weights: float [C]; all 1 where classes are even.
      top1: cross-validated accuracy, 0 to 1.
      held_out: float [M, C], calibrated scores of photos by heads that have not learned from them.
      held_out_labels: int [M].
    """

    head: Head
    regularization: float
    temperature: float
    class_weights: Array
    top1: float
    held_out: Array
    held_out_labels: Array


def fit(
    embeddings: Array, labels: Array, *, classes: int, folds: Sequence[int] | None = None, balance: bool = True
) -> Fit:
    """Fits a softmax head on frozen embeddings.

    Regularization and temperature come from cross-validated logits of the plain photos; the head itself is then fitted
    on all photos, in all their views.

    Args:
      embeddings: float16 [N, D], as the backbone emits them, or [N, K, D]: K views of each photo, the plain one first.
      labels: int [N], values in [0, classes).
      classes: C.
      folds: the fold of each photo; five, stratified in the given order, unless told.
      balance: whether uneven classes weigh alike.

    Returns:
      Fit; its head's probabilities are calibrated.

    Raises:
      DataError: a class has fewer than two photos.
    Source:
      Guo et al. 2017, "On Calibration of Modern Neural Networks" (temperature).
    """
    labels = np.asarray(labels)
    counts = np.bincount(labels, minlength=classes)
    if (fewest := counts.min()) < 2:
        found = "1 photo" if fewest else "no photo"
        raise DataError(f"Class {int(counts.argmin())} has {found} to learn from; each needs two.")
    count = min(5 if len(labels) * classes < _LARGE else 3, int(counts.min()))
    assigned = _stratified(labels, count) if folds is None else np.asarray(folds)
    weights = class_weights(counts) if balance else np.ones(classes)
    views = embeddings if embeddings.ndim == 3 else embeddings[:, None]
    features, center, scale = _standardize(views)
    # One BLAS thread for each of ours: BLAS's own wait for each other in busy loops, which is many times slower
    # whenever another process wants a core.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as pool:
        strength, logits, start = _cross_validate(features, labels, weights, assigned, pool)
        temperature = _temperature(logits, labels, weights[labels])
        parameters = _Problem(features, labels, weights, pool).solve(strength, start, _FINAL_ITERATIONS)
    kernel = parameters[:, :-1] / (scale * temperature)
    bias = parameters[:, -1] / temperature - kernel @ center
    head = Head(kernel.astype(np.float32), bias.astype(np.float32))
    top1 = float((logits.argmax(1) == labels).mean())
    return Fit(head, strength, temperature, weights, top1, softmax(logits / temperature), labels)


def calibrate(logits: Array, labels: Array) -> tuple[float, float]:
    """Finds the temperature that suits logits best.

    Args:
      logits: float [N, C].
      labels: int [N].

    Returns:
      What to divide the logits by, and the mean loss that is left.
    """
    share = np.ones(len(labels))
    temperature = _temperature(logits, labels, share)
    return temperature, _loss_at(temperature, logits, labels, share)


def class_weights(counts: Array) -> Array:
    """Returns a weight for each class, mean 1 over photos: equal unless counts differ by more than UNEVEN."""
    if counts.max() <= UNEVEN * counts.min():
        return np.ones(len(counts))
    return counts.sum() / (len(counts) * counts)


def softmax(logits: Array) -> Array:
    """Maps logits [N, C] to probabilities [N, C]."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


class _Problem:
    """Weighted multinomial logistic regression with an L2 penalty on the kernel, in float32.

    Parameters are [C, D + 1]: the kernel, and the bias as the coefficient of a constant feature.

    Args:
      features: float32 [N, K, D], the plain view of each photo first.
      labels: int [N].
      weights: float [C].
      pool: does the work.
    """

    def __init__(self, features: Array, labels: Array, weights: Array, pool: ThreadPoolExecutor):
        self._pool = pool
        number, views, depth = features.shape
        self._features = np.ones((number * views, depth + 1), np.float32)
        self._features[:, :-1] = features.reshape(-1, depth)
        labels = np.repeat(labels, views)
        self._target = np.zeros((len(labels), len(weights)), np.float32)
        self._target[np.arange(len(labels)), labels] = 1
        share = weights[labels] * np.tile(_shares(views), number)
        self._share = (share / share.sum()).astype(np.float32)[:, None]

    def solve(self, strength: float, start: Array | None, iterations: int) -> Array:
        """Returns the parameters of least loss, searched from a start of the same shape."""
        if start is None:
            start = np.zeros((self._target.shape[1], self._features.shape[1]), np.float32)
        return minimize(partial(self._loss, strength), start, iterations)

    def _loss(self, strength: float, parameters: Array) -> tuple[float, Array]:
        # Chunks of a fixed size, summed in order: the result does not depend on the number of cores.
        chunks = [slice(start, start + _CHUNK) for start in range(0, len(self._features), _CHUNK)]
        share = partial(self._share_of_loss, parameters)
        parts = list(self._pool.map(share, chunks)) if len(chunks) > 1 else [share(chunks[0])]
        penalized = parameters * np.float32(strength)
        penalized[:, -1] = 0
        value = sum(value for value, _ in parts) + 0.5 * float(np.vdot(penalized, parameters))
        return value, sum((gradient for _, gradient in parts), penalized)

    def _share_of_loss(self, parameters: Array, rows: slice) -> tuple[float, Array]:
        features, target, share = self._features[rows], self._target[rows], self._share[rows]
        logits = features @ parameters.T
        logits -= logits.max(axis=1, keepdims=True)
        own = np.einsum("nc,nc->n", logits, target)
        residual = np.exp(logits, out=logits)
        total = residual.sum(axis=1, keepdims=True)
        value = float(np.vdot(np.log(total[:, 0]) - own, share[:, 0]))
        residual /= total
        residual -= target
        residual *= share
        return value, residual.T @ features


def _cross_validate(
    features: Array, labels: Array, weights: Array, folds: Array, pool: ThreadPoolExecutor
) -> tuple[float, Array, Array]:
    """Walks the regularization path in all folds side by side and stops behind the best step.

    Returns:
      The strength whose held-out loss is least, the held-out logits [N, C] there, and the mean of the folds'
      parameters, from which a fit on all photos has not far to go.
    """
    held_out = [folds == number for number in np.unique(folds)]
    problems = [_Problem(features[~held], labels[~held], weights, pool) for held in held_out]
    best: tuple[float, float, Array, Array] = (np.inf, 0.0, np.empty(0), np.empty(0))
    found: list[Any] = [None] * len(problems)
    for strength in REGULARIZATION:
        logits = np.empty((len(labels), len(weights)), np.float32)
        for index, (held, problem) in enumerate(zip(held_out, problems, strict=True)):
            found[index] = parameters = problem.solve(strength, found[index], _PATH_ITERATIONS)
            logits[held] = features[held, 0] @ parameters[:, :-1].T + parameters[:, -1]
        loss = _loss_at(1.0, logits, labels, weights[labels])
        if loss >= best[0]:
            break
        best = (loss, strength, logits, np.mean(found, axis=0))
    return best[1:]


def _temperature(logits: Array, labels: Array, share: Array) -> float:
    """Minimizes the held-out loss over the temperature: Newton's method on its inverse, in which it is convex."""
    own = logits[np.arange(len(labels)), labels]
    inverse = 1.0
    for _ in range(50):
        scores = softmax(inverse * logits.astype(np.float64))
        mean = (scores * logits).sum(axis=1)
        spread = (scores * logits**2).sum(axis=1) - mean**2
        slope, curvature = np.average(mean - own, weights=share), np.average(spread, weights=share)
        step = slope / max(curvature, 1e-12)
        # A held-out set without a single mistake has no minimum: the walk is bounded.
        inverse = float(np.clip(inverse - np.clip(step, -0.5 * inverse, inverse), 0.05, 20.0))
        if abs(step) < 1e-6:
            break
    return 1.0 / inverse


def losses(logits: Array, labels: Array) -> Array:
    """Returns the loss of each photo, float64 [N], of logits [N, C]: minus the log of its class's probability."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]


def _loss_at(temperature: float, logits: Array, labels: Array, share: Array) -> float:
    return float(np.average(losses(logits / temperature, labels), weights=share))


def _standardize(embeddings: Array) -> tuple[Array, Array, float]:
    """Centers features, [N, K, D], and divides all by one number; relative sizes carry information and stay.

    Both numbers are those of the plain photos, which are what the phone sees.
    """
    features = embeddings.astype(np.float32)
    center = features[:, 0].mean(axis=0)
    features -= center
    scale = float(np.sqrt(np.mean(features[:, 0] ** 2))) or 1.0
    return features / np.float32(scale), center, scale


def _shares(views: int) -> Array:
    """Returns what each view of a photo weighs, of sum 1."""
    if views == 1:
        return np.ones(1)
    return np.array([_PLAIN_SHARE] + [(1 - _PLAIN_SHARE) / (views - 1)] * (views - 1))


def _stratified(labels: Array, count: int) -> Array:
    folds = np.empty(len(labels), int)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        folds[members] = np.arange(len(members)) % count
    return folds
