"""Thresholds of models of several labels a photo: from which score on each label is an answer."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model_maker.inference import precision_thresholds

Array = np.ndarray[Any, Any]

# Of a label that is nowhere right: what a calibrated score has to exceed to be more likely than not.
_EVEN = 0.5
# Phone clients take 0 for no threshold.
_LEAST = 1 / 256


@dataclass(frozen=True)
class LabelThreshold:
    """A score from which on a label is an answer.

    Attributes:
      score: answers need as much.
      f1: of the photos that it was chosen on, from there on.
      precision, recall: likewise.
      photos: how many of these have the label.
    """

    score: float
    f1: float
    precision: float
    recall: float
    photos: int

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        return asdict(self)


def choose_by_f1(scores: Array, targets: Array) -> list[LabelThreshold]:
    """Chooses a threshold with a good F1 for each label.

    The F1 of photos at hand is nearly the same for many thresholds, so the best one is often chance. Of those within
    one standard error of it, the one nearest to half the best F1 is taken, which is the best one for calibrated scores.
    It lies halfway between two scores that occur, because new photos have other scores.

    Args:
      scores: float [N, C], of photos that the scorer has not learned from.
      targets: bool [N, C].

    Returns:
      C thresholds.

    Source: Lipton et al. 2014, "Optimal Thresholding of Classifiers to Maximize F1 Measure".
    """
    return [_best(scores[:, label], targets[:, label]) for label in range(scores.shape[1])]


def limits(scores: Array, targets: Array) -> Array:
    """Returns the scores of `choose_by_f1`, float32 [C]."""
    return np.array([entry.score for entry in choose_by_f1(scores, targets)], np.float32)


def choose_by_precision(scores: Array, targets: Array, precision: float) -> list[precision_thresholds.Threshold]:
    """Chooses for each label the lowest threshold that provably keeps a precision; see `precision_thresholds.choose`.

    Args:
      scores, targets: as in `choose_by_f1`.
      precision: above 0 and below 1.
    """
    return [
        precision_thresholds.choose_for_label(scores[:, label], targets[:, label], precision, least=_LEAST)
        for label in range(scores.shape[1])
    ]


def _best(scores: Array, truth: Array) -> LabelThreshold:
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    hits, having = np.cumsum(truth[order])[ends], int(truth.sum())
    f1 = 2 * hits / (ends + 1 + having)
    if not f1.max() > 0:
        return LabelThreshold(_EVEN, 0.0, 0.0, 0.0, having)
    below = np.append(ranked[ends[1:]], 0.0)
    middles = np.clip((ranked[ends] + below) / 2, _LEAST, 1 - _LEAST)
    best = float(f1.max())
    near = np.flatnonzero(f1 >= best - math.sqrt(best * (1 - best) / having) - 1e-12)
    place = near[np.abs(middles[near] - best / 2).argmin()]
    # Three digits are enough to read and to say.
    score = max(round(float(middles[place]), 3), _LEAST)
    said = scores >= score
    right, answers = int((said & truth).sum()), int(said.sum())
    return LabelThreshold(
        score, 2 * right / (answers + having), right / answers if answers else 0.0, right / having, having
    )
