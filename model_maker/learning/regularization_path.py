"""The regularization path, which finds the regularization and temperature of a head by cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np

from model_maker.inference.training_report import Tried
from model_maker.learning.features import Features
from model_maker.learning.likelihoods import Likelihood
from model_maker.learning.regression import Problem
from model_maker.tflite import network_layers
from model_maker.tflite.network_layers import Layer

Array = np.ndarray

# On the path a start is near; held-out loss is flat around its minimum long before the fit is exact.
PATH_ITERATIONS = 10


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
class Start:
    """Where a search may begin: the regularization that suits some layers, and the parameters of each fold's head."""

    strength: float
    parameters: tuple[Array, ...]
    layers: tuple[Layer, ...]

    def on(self, more: Sequence[Layer], features: Features) -> Start | None:
        """Returns the same heads on the features of more layers, which they ignore.

        None where either are in a basis of the photos' own, see `features`: there a whole path takes no time.
        """
        classes, size = self.parameters[0].shape
        if size != 1 + sum(layer.size for layer in self.layers) or features.size != sum(layer.size for layer in more):
            return None
        places = np.append(network_layers.features(more, self.layers), -1)
        wider = [np.zeros((classes, features.size + 1), np.float32) for _ in self.parameters]
        for parameters, own in zip(wider, self.parameters, strict=True):
            parameters[:, places] = own
        return Start(self.strength, tuple(wider), tuple(more))


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

    def walk(self, features: Features, report: Callable[[int], None], near: Start | None = None) -> Walk:
        """Walks the regularization path in all folds side by side and stops behind the best step.

        Args:
          features: of all photos.
          report: receives the number of steps done.
          near: begins one step before it, and turns round where that one is the best.
        """
        first = max(0, self.strengths.index(near.strength) - 1) if near else 0
        zeros = np.zeros((len(self.weights), features.size + 1), np.float32)
        parameters: Sequence[Array] = near.parameters if near else [zeros for _ in self.held_out]
        judged = np.any(self.held_out, axis=0)
        truth = self.labels[judged]
        share = self.likelihood.shares(truth, self.weights)
        best, solved, walked = (np.inf, 0.0, np.empty(0)), count(), []
        for direction in (self.strengths[first:], self.strengths[:first][::-1]):
            for strength in direction:
                logits, found = self._solve(features, strength, parameters, report, solved)
                loss = self.likelihood.loss_at(1.0, logits, truth, share)
                walked.append(Tried(strength, loss))
                if loss >= best[0]:
                    break
                best, parameters = (loss, strength, logits), found
            if best[1] != self.strengths[first]:
                break
        _, strength, logits = best
        temperature = self.likelihood.temperature(logits, truth, share)
        walked.sort(key=lambda tried: -tried.regularization)
        return Walk(features, strength, logits, temperature, tuple(parameters), tuple(walked))

    def _solve(
        self,
        features: Features,
        strength: float,
        starts: Sequence[Array],
        report: Callable[[int], None],
        solved: count[int],
    ) -> tuple[Array, list[Array]]:
        """Returns the logits of photos held out, float32 [n, C], and the parameters of each fold's head."""
        judged = np.any(self.held_out, axis=0)
        logits = np.empty((int(judged.sum()), len(self.weights)), np.float32)
        found = []
        for held, start in zip(self.held_out, starts, strict=True):
            step = partial(offset_progress, report, next(solved) * PATH_ITERATIONS)
            # Made anew for each strength, because each may hold a copy of nearly all features.
            given = None if self.offsets is None else self.offsets[~held]
            rows, labels = features.rows(~held), self.labels[~held]
            problem = Problem(rows, labels, self.weights, self.pool, given, self.likelihood)
            parameters = problem.solve(strength, start, PATH_ITERATIONS, step)
            found.append(parameters)
            logits[held[judged]] = features.logits(held, parameters)
            if self.offsets is not None:
                logits[held[judged]] += self.offsets[held, 0]
        return logits, found


def offset_progress(report: Callable[[int], None], before: int, step: int) -> None:
    """Reports a step of what began after so many others."""
    report(before + step)
