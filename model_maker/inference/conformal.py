"""Label sets by split conformal prediction: they contain the right label as often as promised.

The rule is the least ambiguous one (LAC): a label is shown if its score reaches a limit, which is a quantile of the
scores of held-out photos for their true labels. A class with enough photos has a limit of its own; the promise then
holds for that class and not only on average.

Sources:
  Vovk, Gammerman & Shafer 2005, "Algorithmic Learning in a Random World" (split and class-conditional prediction sets).
  Sadinle, Lei & Wasserman 2019, "Least Ambiguous Set-Valued Classifiers With Bounded Error Levels" (the rule).
  Romano, Sesia & Candès 2020, "Classification with Valid and Adaptive Coverage" (APS, whose sets are larger).
"""

import math
from typing import Any

import numpy as np

from model_maker import evaluation
from model_maker.tflite.label_sets import LabelSets

Array = np.ndarray[Any, Any]

# Minimum number of a class's photos below its limit: with one, a single mislabeled photo would determine it.
_BELOW = 2
# Limits are rounded down to this many digits: enough for steps of 1/256, and never above the quantile.
_DIGITS = 6


def choose(scores: Array, labels: Array, coverage: float) -> LabelSets:
    """Chooses the limit of each label.

    Among n held-out photos and an exchangeable new one, the new photo's rank by the score of its true label is uniform.
    So its score is below the floor((1 - coverage) (n + 1))-th lowest with probability at most 1 - coverage.

    Args:
      scores: float [N, C], outputs of the file for photos that it was not trained on.
      labels: int [N].
      coverage: above 0 and below 1.
    """
    labels = np.asarray(labels)
    own = scores[np.arange(len(labels)), labels]
    shared = _quantile(own, coverage) or 0.0
    limits, photos, by_class = [], [], []
    for label in range(scores.shape[1]):
        of_class = own[labels == label]
        enough = _rank(len(of_class), coverage) >= _BELOW
        limits.append((_quantile(of_class, coverage) or 0.0) if enough else shared)
        photos.append(len(of_class) if enough else len(own))
        by_class.append(enough)
    return LabelSets(coverage, tuple(limits), tuple(photos), tuple(by_class))


def fewest(coverage: float) -> int:
    """Returns the number of held-out photos that a class needs for its own limit."""
    return math.ceil(_BELOW / (1 - coverage) - 1e-9) - 1


def measure(sets: LabelSets, scores: Array, labels: Array, classes: tuple[str, ...]) -> evaluation.LabelSetMetrics:
    """Measures coverage and set size on labeled photos: scores are float [N, C], labels int [N]."""
    labels, shown = np.asarray(labels), sets.members(scores)
    covered, sizes = shown[np.arange(len(labels)), labels], shown.sum(axis=1)

    def part(rows: Array, name: str = "") -> evaluation.SetMetrics:
        count, held = int(rows.sum()), int(covered[rows].sum())
        interval = evaluation.wilson(held, count)
        return evaluation.SetMetrics(count, held / count, interval, float(sizes[rows].mean()), name)

    per_class = tuple(part(labels == index, name) for index, name in enumerate(classes) if (labels == index).any())
    single = float((sizes == 1).mean())
    return evaluation.LabelSetMetrics(sets.coverage, part(np.ones(len(labels), bool)), single, per_class)


def _rank(count: int, coverage: float) -> int:
    # The tolerance: 0.05 * 20 is 1, not a little less.
    return math.floor((1 - coverage) * (count + 1) + 1e-9)


def _quantile(own: Array, coverage: float) -> float | None:
    """Returns the limit; None if there are too few photos for one above 0."""
    rank = _rank(len(own), coverage)
    if rank < 1:
        return None
    return math.floor(float(np.sort(own)[rank - 1]) * 10**_DIGITS) / 10**_DIGITS
