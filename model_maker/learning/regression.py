"""Logistic regression, of one label a photo or several: its loss and gradient, in pieces on every core.

scikit-learn's wants all embeddings in memory at once, and takes 45 MB; tests compare the two.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import numpy as np

from model_maker.learning.features import FeatureRows
from model_maker.learning.lbfgs import minimize
from model_maker.learning.likelihoods import SOFTMAX, Likelihood
from model_maker.learning.spectrum import Spectrum

Array = np.ndarray

# Rows of one piece of work: long enough for BLAS, short enough to spread over cores.
_CHUNK = 1024
# Pieces of work under way at a time.
_AHEAD = 16
# Share of a photo's weight that its plain view has; the augmented ones divide the rest.
_PLAIN_SHARE = 0.75
# Of a loss that float32 takes for 0.
_LEAST_CURVATURE = 1e-12


@dataclass(frozen=True)
class Solution:
    """Where a search ended.

    Attributes:
      parameters: float32 [C, D + 1].
      loss, gradient: there, without the penalty; so a search of another strength can begin with them.
      curvature: of the loss in each logit, roughly: where scores are calibrated, the mean square of their errors.
    """

    parameters: Array
    loss: float
    gradient: Array
    curvature: float


class Problem:
    """Weighted logistic regression with an L2 penalty on the kernel, in float32.

    Parameters are [C, D + 1]: the kernel, and the bias as the coefficient of a constant feature.

    Args:
      rows: the photos' features, K views each.
      truth: of the photos, as the likelihood takes it.
      weights: float [C].
      spectrum: of these photos' features, or of more such photos, to precondition by.
      offsets: float32 [N, K, C], what is added to the logits; nothing where not given.
    """

    def __init__(
        self,
        rows: FeatureRows,
        truth: Array,
        weights: Array,
        spectrum: Spectrum | None,
        pool: ThreadPoolExecutor,
        offsets: Array | None = None,
        likelihood: Likelihood = SOFTMAX,
    ):
        self._rows, self._spectrum, self._pool, self._likelihood = rows, spectrum, pool, likelihood
        self._offsets = None if offsets is None else offsets.reshape(-1, len(weights))
        views = len(rows) // len(truth)
        self._truth = np.repeat(truth, views, axis=0)
        share = likelihood.shares(self._truth, weights) * np.tile(_shares(views), len(truth))
        self._share = (share / share.sum()).astype(np.float32)[:, None]

    def solve(
        self, strength: float, start: Array | Solution, iterations: int, report: Callable[[int], None]
    ) -> Solution:
        """Minimizes the loss, from parameters or from an earlier solution for these photos; reports each step."""
        steps, known, curvature = count(1), None, 0.0
        if isinstance(start, Solution):
            penalty, slope = _penalty(strength, start.parameters)
            known, curvature = (start.loss + penalty, start.gradient + slope), start.curvature
            start = start.parameters

        def loss(parameters: Array) -> tuple[float, Array]:
            nonlocal curvature
            (value, gradient), squares = _penalty(strength, parameters), 0.0
            for share, slope, square in self._shares_of_loss(parameters):
                value += share
                gradient += slope
                squares += square
            curvature = max(squares / len(parameters), _LEAST_CURVATURE)
            report(min(next(steps), iterations))
            return value, gradient

        spectrum = self._spectrum
        precondition = (lambda slope: spectrum.precondition(slope, curvature, strength)) if spectrum else None
        parameters, value, gradient = minimize(loss, start, iterations, precondition, known)
        penalty, slope = _penalty(strength, parameters)
        return Solution(parameters, value - penalty, gradient - slope, curvature)

    def _shares_of_loss(self, parameters: Array) -> Iterator[tuple[float, Array, float]]:
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

    def _share_of_loss(self, parameters: Array, rows: slice) -> tuple[float, Array, float]:
        features, share = self._rows[rows], self._share[rows]
        logits = features @ parameters.T
        if self._offsets is not None:
            logits += self._offsets[rows]
        losses, residual = self._likelihood.residual(logits, self._truth[rows])
        value = float(np.vdot(losses, share[:, 0]))
        weighted = residual * share
        return value, weighted.T @ features, float(np.vdot(weighted, residual))


def _penalty(strength: float, parameters: Array) -> tuple[float, Array]:
    """Returns the penalty of the kernel and its gradient."""
    gradient = parameters * np.float32(strength)
    gradient[:, -1] = 0
    return 0.5 * float(np.vdot(gradient, parameters)), gradient


def _shares(views: int) -> Array:
    """Returns what each view of a photo weighs, of sum 1."""
    if views == 1:
        return np.ones(1)
    return np.array([_PLAIN_SHARE] + [(1 - _PLAIN_SHARE) / (views - 1)] * (views - 1))
