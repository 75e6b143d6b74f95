"""Score thresholds that guarantee a precision."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Label of a photo for which no score reaches its threshold.
UNKNOWN = "unknown"
# Candidate coverages, from all photos down to few; single labels have too few photos to try as many.
_COVERAGES = tuple(share / 20 for share in range(20, 0, -1))
_COVERAGES_OF_A_LABEL = (1.0, 0.8, 0.6, 0.4, 0.2)
# Most photos do not have a given label, so the label is predicted for few.
_ANSWERS_OF_A_LABEL = (1.0, 0.6, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01)
# Probability of choosing a threshold that does not reach the precision, over all candidates (Bonferroni).
_RISK = 0.05
# With thresholds per label, the second best label must not replace a best one below its threshold: only one label can
# score above one half.
_MAJORITY = 0.5


@dataclass(frozen=True)
class Threshold:
    """A minimum score above which predictions are right often enough.

    Attributes:
      precision: the requested precision.
      score: the minimum score; 0 for none.
      bound: lower bound of its precision, with 95 % confidence.
      photos: number of photos used to choose it.
      answered: number of them that reach the score.
      right: number of these with the right label.
    """

    precision: float
    score: float
    bound: float
    photos: int
    answered: int
    right: int

    @property
    def kept(self) -> bool:
        """Whether the bound reaches the requested precision."""
        return self.bound >= self.precision

    def as_dict(self) -> dict[str, Any]:
        """Returns JSON types."""
        return asdict(self) | {"kept": self.kept}


def choose(scores: Array, labels: Array, precision: float) -> Threshold:
    """Chooses the lowest threshold that guarantees a precision, over all predictions.

    A threshold guarantees it if the Clopper-Pearson lower bound of its precision is not below the requested one; the
    error probability of the bound is divided among all candidates.

    Args:
      scores: float [N, C], of photos that the scorer has not learned from.
      labels: int [N].
      precision: required share of right predictions, above 0 and below 1.

    Returns:
      The threshold; if none guarantees the precision, the one with the highest bound.
    """
    right = scores.argmax(axis=1) == np.asarray(labels)
    return _choose(scores.max(axis=1), right, precision, _COVERAGES)


def choose_by_label(scores: Array, labels: Array, precision: float, *, least: float = 0.0) -> list[Threshold]:
    """Chooses a threshold for each label that guarantees the precision of predictions of this label.

    Each guarantee separately holds with 95 % confidence.

    Args:
      scores: float [N, C], of photos that the scorer has not learned from.
      labels: int [N].
      least: minimum threshold; at least one half is used.

    Returns:
      C thresholds; the minimum, without a guarantee, for labels that are never predicted.
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
    """Chooses a threshold for one label of a multi-label model.

    Args:
      scores: float [N], of photos that the model was not trained on.
      truth: bool [N], whether they have the label.
    """
    return _choose(scores, np.asarray(truth), precision, _ANSWERS_OF_A_LABEL, least)


def in_bytes(scores: Array) -> Array:
    """Returns scores rounded as in a uint8 output: in steps of 1/256, at most 255/256."""
    stated: Array = np.minimum(np.round(scores * 256), 255) / 256
    return stated


def _choose(best: Array, right: Array, precision: float, coverages: tuple[float, ...], least: float = 0.0) -> Threshold:
    ranked = np.sort(best)[::-1]
    tried = []
    for coverage in coverages if len(ranked) else ():
        count = max(1, round(coverage * len(ranked)))
        # Three digits are precise enough, and readable; full coverage needs no threshold.
        score = least if coverage == 1 else max(least, math.floor(1000 * float(ranked[count - 1])) / 1000)
        reached = best >= score
        hits, total = int(right[reached].sum()), int(reached.sum())
        bound = _lower_bound(hits, total, _RISK / len(coverages))
        tried.append(Threshold(precision, score, bound, len(best), total, hits))
        if bound >= precision:
            break
    return max(tried, key=lambda entry: entry.bound, default=Threshold(precision, least, 0.0, 0, 0, 0))


def _lower_bound(hits: int, total: int, risk: float) -> float:
    """Returns the lower confidence bound of a proportion with error probability `risk`.

    Source: Clopper & Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the binomial".
    """
    from scipy.special import betaincinv  # imported here, because `predict` imports this module but does not need scipy

    return float(betaincinv(hits, total - hits + 1, risk)) if hits else 0.0
