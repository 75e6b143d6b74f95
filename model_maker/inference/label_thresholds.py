"""Thresholds of multi-label models: the minimum score at which each label is predicted."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_maker.inference import precision_thresholds

Array = np.ndarray[Any, Any]

# For labels without positives: above it, a calibrated score means more likely than not.
_EVEN = 0.5
# Phone clients treat 0 as no threshold.
_LEAST = 1 / 256


@dataclass(frozen=True)
class LabelThreshold:
    """The minimum score at which a label is predicted.

    Attributes:
      score: the minimum score.
      f1: F1 at this threshold, on the photos used to choose it.
      precision, recall: likewise.
      photos: number of these photos with the label.
    """

    score: float
    f1: float
    precision: float
    recall: float
    photos: int


def choose_by_f1(scores: Array, targets: Array) -> list[LabelThreshold]:
    """Chooses a threshold with a good F1 for each label.

    Many thresholds have nearly the same F1, so the best one is often chance. Of those within one standard error of the
    best F1, the one nearest to half the best F1 is chosen, which is optimal for calibrated scores. It lies halfway
    between two observed scores, because new photos have other scores.

    Args:
      scores: float [N, C], of photos that the model was not trained on.
      targets: bool [N, C].

    Source: Lipton et al. 2014, "Optimal Thresholding of Classifiers to Maximize F1 Measure".
    """
    return [_best(scores[:, label], targets[:, label]) for label in range(scores.shape[1])]


def limits(scores: Array, targets: Array) -> Array:
    """Returns the minimum scores of `choose_by_f1`, float32 [C]."""
    return np.array([entry.score for entry in choose_by_f1(scores, targets)], np.float32)


def choose_by_precision(scores: Array, targets: Array, precision: float) -> list[precision_thresholds.Threshold]:
    """Chooses for each label the lowest threshold that provably keeps a precision; see `precision_thresholds`."""
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
    # Three digits are precise enough, and readable.
    score = max(round(float(middles[place]), 3), _LEAST)
    said = scores >= score
    right, answers = int((said & truth).sum()), int(said.sum())
    return LabelThreshold(
        score, 2 * right / (answers + having), right / answers if answers else 0.0, right / having, having
    )
