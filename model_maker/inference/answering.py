"""When to answer: score thresholds that keep a stated precision, and how many photos they leave without an answer."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model_maker.inference import evaluation
from model_maker.inference.evaluation import Answered

Array = np.ndarray

# What is said of a photo that no label's score suffices for.
UNKNOWN = "unknown"
# Shares of photos to answer, tried from all down to few; for a single label there are too few photos to try as many.
_COVERAGES = tuple(share / 20 for share in range(20, 0, -1))
_COVERAGES_OF_A_LABEL = (1.0, 0.8, 0.6, 0.4, 0.2)
# The chance that a threshold is taken which does not keep the precision, over all that were tried (Bonferroni).
_RISK = 0.05


@dataclass(frozen=True)
class Thresholds:
    """Scores from which on a label is an answer.

    Attributes:
      precision: what was asked for.
      score: of every label that has none of its own.
      labels: of those that have one.
      kept: whether the photos prove that `score` keeps the precision.
      bound: what they prove of its precision, with 95 % confidence.
      held_out: how `score` alone does on the photos that it was chosen on.
    """

    precision: float
    score: float
    labels: dict[str, float]
    kept: bool
    bound: float
    held_out: Answered

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        return asdict(self) | {"held_out": self.held_out.as_dict()}


def choose(scores: Array, labels: Array, classes: tuple[str, ...], *, precision: float) -> Thresholds:
    """Chooses the lowest threshold that provably keeps a precision, and likewise one for each label that allows it.

    A threshold is proven when the Clopper-Pearson bound of its precision is not below what was asked for; the bound's
    confidence is divided among all thresholds that are tried.

    Args:
      scores: float [N, C], of photos that the scorer has not learned from.
      labels: int [N].
      classes: C names.
      precision: share of answers that are to be right, above 0 and below 1.

    Returns:
      Thresholds; where none is proven, `score` is the one that the most is proven of.
    """
    labels = np.asarray(labels)
    best, right = scores.max(axis=1), scores.argmax(axis=1) == labels
    found = _candidates(best, right, _COVERAGES)
    score, bound = next((entry for entry in found if entry[1] >= precision), max(found, key=lambda entry: entry[1]))
    own = {}
    for index, name in enumerate(classes):
        said = scores.argmax(axis=1) == index
        tried = _candidates(best[said], right[said], _COVERAGES_OF_A_LABEL) if said.any() else []
        threshold = next((entry[0] for entry in tried if entry[1] >= precision), None)
        if threshold is not None:
            own[name] = threshold
    held_out = evaluation.answered(scores, labels, np.full(len(classes), score))
    return Thresholds(precision, score, own, bound >= precision, bound, held_out)


def limits(labels: tuple[str, ...], score: float, provenance: dict[str, Any]) -> Array:
    """Returns the threshold of each label, float [C], as a model's metadata tells: one for all, and our own of each.

    Args:
      labels: C names.
      score: the metadata's score threshold.
      provenance: what `train` wrote beside it; whatever else stands there is passed over.
    """
    own = provenance.get("thresholds") if isinstance(provenance, dict) else None
    own = own.get("labels") if isinstance(own, dict) else None
    own = own if isinstance(own, dict) else {}
    values = (own.get(label, score) for label in labels)
    return np.array([value if isinstance(value, int | float) else score for value in values], np.float64)


def _candidates(best: Array, right: Array, coverages: tuple[float, ...]) -> list[tuple[float, float]]:
    """Returns (threshold, lower bound of its precision) for each share of photos to answer, most photos first."""
    ranked = np.sort(best)[::-1]
    found = []
    for coverage in coverages:
        count = max(1, round(coverage * len(ranked)))
        # Three digits are enough to read and to say; all photos need no threshold.
        threshold = 0.0 if coverage == 1 else min(math.floor(1000 * float(ranked[count - 1])) / 1000, 0.999)
        said = best >= threshold
        found.append((threshold, _lower_bound(int(right[said].sum()), int(said.sum()), _RISK / len(coverages))))
    return found


def _lower_bound(hits: int, total: int, risk: float) -> float:
    """Returns what a share exceeds but for that risk.

    Source:
      Clopper & Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the binomial".
    """
    from scipy.special import betaincinv  # here, for every `predict` imports this module and none needs it

    return float(betaincinv(hits, total - hits + 1, risk)) if hits else 0.0
