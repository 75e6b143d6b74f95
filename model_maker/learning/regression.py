"""Logistic regression, of one label a photo or several: its loss and gradient, in pieces on every core.

scikit-learn's wants all embeddings in memory at once, and takes 45 MB; tests compare the two.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np

from model_maker.learning.features import FeatureRows
from model_maker.learning.lbfgs import minimize
from model_maker.learning.likelihoods import SOFTMAX, Likelihood

Array = np.ndarray

# Rows of one piece of work: long enough for BLAS, short enough to spread over cores.
_CHUNK = 1024
# Pieces of work under way at a time.
_AHEAD = 16
# Share of a photo's weight that its plain view has; the augmented ones divide the rest.
_PLAIN_SHARE = 0.75


class Problem:
    """Weighted logistic regression with an L2 penalty on the kernel, in float32.

    Parameters are [C, D + 1]: the kernel, and the bias as the coefficient of a constant feature.

    Args:
      rows: the photos' features, K views each.
      truth: of the photos, as the likelihood takes it.
      weights: float [C].
      offsets: float32 [N, K, C], what is added to the logits; nothing where not given.
    """

    def __init__(
        self,
        rows: FeatureRows,
        truth: Array,
        weights: Array,
        pool: ThreadPoolExecutor,
        offsets: Array | None = None,
        likelihood: Likelihood = SOFTMAX,
    ):
        self._rows, self._pool, self._likelihood = rows, pool, likelihood
        self._offsets = None if offsets is None else offsets.reshape(-1, len(weights))
        views = len(rows) // len(truth)
        self._truth = np.repeat(truth, views, axis=0)
        share = likelihood.shares(self._truth, weights) * np.tile(_shares(views), len(truth))
        self._share = (share / share.sum()).astype(np.float32)[:, None]

    def solve(self, strength: float, start: Array, iterations: int, report: Callable[[int], None]) -> Array:
        """Returns the parameters of least loss, searched from a start of the same shape; tells of each step."""
        steps = count(1)

        def loss(parameters: Array) -> tuple[float, Array]:
            found = self._loss(strength, parameters)
            report(min(next(steps), iterations))
            return found

        return minimize(loss, start, iterations)

    def _loss(self, strength: float, parameters: Array) -> tuple[float, Array]:
        gradient, value = parameters * np.float32(strength), 0.0
        gradient[:, -1] = 0
        penalty = 0.5 * float(np.vdot(gradient, parameters))
        for share, slope in self._shares_of_loss(parameters):
            value += share
            gradient += slope
        return value + penalty, gradient

    def _shares_of_loss(self, parameters: Array) -> Iterator[tuple[float, Array]]:
        """Yields loss and gradient of chunks of a fixed size, in order, so that no sum depends on the number of cores.

        Few are under way at a time: with many classes a gradient is large.
        """
        if len(self._rows) <= _CHUNK:  # handing a single piece over would take longer than it does
            yield self._share_of_loss(parameters, slice(None))
            return
        waiting: deque = deque()
        for start in range(0, len(self._rows), _CHUNK):
            waiting.append(self._pool.submit(self._share_of_loss, parameters, slice(start, start + _CHUNK)))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        yield from (future.result() for future in waiting)

    def _share_of_loss(self, parameters: Array, rows: slice) -> tuple[float, Array]:
        features, share = self._rows[rows], self._share[rows]
        logits = features @ parameters.T
        if self._offsets is not None:
            logits += self._offsets[rows]
        losses, residual = self._likelihood.residual(logits, self._truth[rows])
        value = float(np.vdot(losses, share[:, 0]))
        residual *= share
        return value, residual.T @ features


def _shares(views: int) -> Array:
    """Returns what each view of a photo weighs, of sum 1."""
    if views == 1:
        return np.ones(1)
    return np.array([_PLAIN_SHARE] + [(1 - _PLAIN_SHARE) / (views - 1)] * (views - 1))
