"""The regularization path, which finds the regularization and temperature of a head by cross-validation."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np

from model_maker.inference.training_report import Tried
from model_maker.learning.features import Features
from model_maker.learning.likelihoods import Likelihood
from model_maker.learning.regression import Problem, Solution

Array = np.ndarray

# On the path a start is near; held-out loss is flat around its minimum long before the fit is exact.
# Preconditioned, fewer iterations get as near.
PATH_ITERATIONS, _PRECONDITIONED = 10, 6


@dataclass(frozen=True)
class Walk:
    """The best step of a regularization path on some features, on which it was walked.

    Attributes:
      strength: whose held-out loss is least; `walked` has each strength with its loss, from strong to weak.
      logits: float [n, C] of photos held out, there, and `temperature` that suits them.
      parameters: of the head of each fold, there.
    """

    features: Features
    strength: float
    logits: Array
    temperature: float
    parameters: tuple[Array, ...]
    walked: tuple[Tried, ...]


@dataclass(frozen=True)
class RegularizationPath:
    """Regularizations from strong to weak, judged on photos that heads have not learned from.

    Attributes:
      labels, weights: as in `regression.Problem`.
      held_out: the parts, bool [N] each.
      strengths: of regularization, from strong to weak.
      offsets: float32 [N, K, C], added to the logits, or None.
    """

    labels: Array
    weights: Array
    held_out: Sequence[Array]
    pool: ThreadPoolExecutor
    strengths: Sequence[float]
    offsets: Array | None
    likelihood: Likelihood

    def walk(self, features: Features, report: Callable[[int], None]) -> Walk:
        """Walks the regularization path in all folds side by side and stops behind the best step.

        Args:
          features: of all photos.
          report: receives the number of steps done.
        """
        zeros = np.zeros((len(self.weights), features.size + 1), np.float32)
        starts: Sequence[Array | Solution] = [zeros for _ in self.held_out]
        judged = np.any(self.held_out, axis=0)
        truth = self.labels[judged]
        share = self.likelihood.shares(truth, self.weights)
        least, solved, walked = np.inf, count(), []
        for strength in self.strengths:
            logits, found = self._solve(features, strength, starts, report, solved)
            loss = self.likelihood.loss_at(1.0, logits, truth, share)
            walked.append(Tried(strength, loss))
            if loss >= least:
                break
            least, best, starts = loss, (strength, logits, found), found
        strength, logits, found = best
        temperature = self.likelihood.temperature(logits, truth, share)
        return Walk(features, strength, logits, temperature, tuple(one.parameters for one in found), tuple(walked))

    def _solve(
        self,
        features: Features,
        strength: float,
        starts: Sequence[Array | Solution],
        report: Callable[[int], None],
        solved: Iterator[int],
    ) -> tuple[Array, list[Solution]]:
        """Returns the logits of photos held out, float32 [n, C], and each fold's head."""
        judged = np.any(self.held_out, axis=0)
        logits = np.empty((int(judged.sum()), len(self.weights)), np.float32)
        found, iterations = [], _PRECONDITIONED if features.spectrum else PATH_ITERATIONS
        for held, start in zip(self.held_out, starts, strict=True):
            step = partial(offset_progress, report, next(solved) * PATH_ITERATIONS)
            # Made anew for each strength, because each may hold a copy of nearly all features.
            given = None if self.offsets is None else self.offsets[~held]
            rows, labels = features.rows(~held), self.labels[~held]
            problem = Problem(rows, labels, self.weights, features.spectrum, self.pool, given, self.likelihood)
            found.append(problem.solve(strength, start, iterations, step))
            logits[held[judged]] = features.logits(held, found[-1].parameters)
            if self.offsets is not None:
                logits[held[judged]] += self.offsets[held, 0]
        return logits, found


def offset_progress(report: Callable[[int], None], before: int, step: int) -> None:
    """Reports a step of what began after so many others."""
    report(before + step)
