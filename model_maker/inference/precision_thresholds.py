"""When to answer: score thresholds that keep a stated precision."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# What is said of a photo that no label's score suffices for.
UNKNOWN = "unknown"
# Shares of photos to answer, tried from all down to few; for a single label there are too few photos to try as many.
_COVERAGES = tuple(share / 20 for share in range(20, 0, -1))
_COVERAGES_OF_A_LABEL = (1.0, 0.8, 0.6, 0.4, 0.2)
# Most photos lack a label, so few of all photos are its answers.
_ANSWERS_OF_A_LABEL = (1.0, 0.6, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01)
# The chance that a threshold is taken which does not keep the precision, over all that were tried (Bonferroni).
_RISK = 0.05
# Where labels have thresholds of their own, the second best must not step in for a best one that was left out: only
# one label can have more than half.
_MAJORITY = 0.5


@dataclass(frozen=True)
class Threshold:
    """A score from which on answers are right often enough.

    Attributes:
      precision: what was asked for.
      score: answers need as much; 0 for any.
      bound: what the photos prove of its precision, with 95 % confidence.
      photos: how many it was chosen on.
      answered: how many of them reach the score.
      right: how many of these answers are right.
    """

    precision: float
    score: float
    bound: float
    photos: int
    answered: int
    right: int

    @property
    def kept(self) -> bool:
        """Whether the photos prove that the precision is kept."""
        return self.bound >= self.precision

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        return asdict(self) | {"kept": self.kept}


def choose(scores: Array, labels: Array, precision: float) -> Threshold:
    """Chooses the lowest threshold that provably keeps a precision, over all answers.

    A threshold is proven when the Clopper-Pearson bound of its precision is not below what was asked for; the bound's
    confidence is divided among all thresholds that are tried.

    Args:
      scores: float [N, C], of photos that the scorer has not learned from.
      labels: int [N].
      precision: share of answers that are to be right, above 0 and below 1.

    Returns:
      Threshold; where none is proven, the one that the most is proven of.
    """
    right = scores.argmax(axis=1) == np.asarray(labels)
    return _choose(scores.max(axis=1), right, precision, _COVERAGES)


def choose_by_label(scores: Array, labels: Array, precision: float, *, least: float = 0.0) -> list[Threshold]:
    """Chooses a threshold for each label, so that of the photos that are given this label the share is right.

    Each of these promises holds with 95 % confidence, taken for itself.

    Args:
      scores: float [N, C], of photos that the scorer has not learned from.
      labels: int [N].
      precision: above 0 and below 1.
      least: no threshold is lower, nor than one half.

    Returns:
      C thresholds. Of a label that is nowhere the answer nothing is proven, and the least one stays.
    """
    least = max(least, _MAJORITY)
    best, said = scores.max(axis=1), scores.argmax(axis=1)
    found = []
    for label in range(scores.shape[1]):
        given = (said == label) & (best >= least)
        right = np.asarray(labels)[given] == label
        found.append(_choose(best[given], right, precision, _COVERAGES_OF_A_LABEL, least))
    return found


def choose_for_label(scores: Array, truth: Array, precision: float, *, least: float) -> Threshold:
    """Chooses a threshold for a label that does not compete with others.

    Args:
      scores: float [N], of photos that the scorer has not learned from.
      truth: bool [N], whether they have the label.
      precision: above 0 and below 1.
      least: no threshold is lower.
    """
    return _choose(scores, np.asarray(truth), precision, _ANSWERS_OF_A_LABEL, least)


def in_bytes(scores: Array) -> Array:
    """Returns scores as an output of uint8 states them: in steps of 1/256, and never more than 255/256."""
    stated: Array = np.minimum(np.round(scores * 256), 255) / 256
    return stated


def _choose(best: Array, right: Array, precision: float, coverages: tuple[float, ...], least: float = 0.0) -> Threshold:
    ranked = np.sort(best)[::-1]
    tried = []
    for coverage in coverages if len(ranked) else ():
        count = max(1, round(coverage * len(ranked)))
        # Three digits are enough to read and to say; all photos need no threshold.
        score = least if coverage == 1 else max(least, math.floor(1000 * float(ranked[count - 1])) / 1000)
        reached = best >= score
        hits, total = int(right[reached].sum()), int(reached.sum())
        bound = _lower_bound(hits, total, _RISK / len(coverages))
        tried.append(Threshold(precision, score, bound, len(best), total, hits))
        if bound >= precision:
            break
    return max(tried, key=lambda entry: entry.bound, default=Threshold(precision, least, 0.0, 0, 0, 0))


def _lower_bound(hits: int, total: int, risk: float) -> float:
    """Returns what a share exceeds but for that risk.

    Source:
      Clopper & Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the binomial".
    """
    from scipy.special import betaincinv  # here, for every `predict` imports this module and none needs it

    return float(betaincinv(hits, total - hits + 1, risk)) if hits else 0.0
