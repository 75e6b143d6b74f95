"""Metrics from scores: what a classifier got right, how sure that figure is, and how two classifiers differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_maker.errors import DataError

Array = np.ndarray[Any, Any]
Interval = tuple[float, float]

_Z95 = 1.959964  # two-sided 95 % of the normal distribution
# Photos that are ranked in one go.
_BLOCK = 8192
# Classes of a confusion matrix that is shown: 1000 would be a page of 4 MB, and a picture too large to open.
MOST_SHOWN = 150
_BINS = 15  # of the calibration error, as in Guo et al. 2017


@dataclass(frozen=True)
class ClassMetrics:
    """One class: shares from 0 to 1, and its number of photos."""

    label: str
    precision: float
    recall: float
    f1: float
    photos: int


@dataclass(frozen=True)
class Answered:
    """What comes of giving an answer only where the best score suffices.

    Attributes:
      photos: how many were scored.
      answered: how many got an answer.
      precision: share of the answers that are right; 0 without any.
      precision_interval: 95 %, Wilson.
    """

    photos: int
    answered: int
    precision: float
    precision_interval: Interval

    @property
    def coverage(self) -> float:
        """Share of the photos that got an answer."""
        return self.answered / self.photos

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        facts = {"photos": self.photos, "answered": self.answered, "coverage": self.coverage}
        return facts | {"precision": self.precision, "precision_interval": list(self.precision_interval)}


@dataclass(frozen=True)
class LearnedFrom:
    """How many of the photos a model learned from, and what it is worth on the others.

    Attributes:
      photos: how many; None where that cannot be told.
      others: how many it did not learn from.
      top1, top1_interval: on those; None where there are none.
    """

    photos: int | None
    others: int = 0
    top1: float | None = None
    top1_interval: Interval | None = None

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        interval = self.top1_interval
        others = {"photos": self.others, "top1": self.top1, "top1_interval": list(interval)} if interval else None
        return {"photos": self.photos, "others": others}

    def describe(self, photos: int) -> str:
        """Says it in words, of so many photos in all."""
        if self.photos is None:
            return (
                "The model may have learned from these photos: there is no split.json beside it that lists those it "
                "learned from."
            )
        if self.top1 is None or self.top1_interval is None:
            return "All of these photos were learned from, so the figures say nothing of others."
        low, high = self.top1_interval
        return (
            f"{self.photos} of these {photos} photos were learned from, which flatters the figures. On the other "
            f"{self.others}: top-1 {100 * self.top1:.1f} % (95 % interval {100 * low:.1f} % to {100 * high:.1f} %)."
        )


@dataclass(frozen=True)
class Metrics:
    """What scores are worth.

    Attributes:
      photos: how many were scored.
      top1, top5: share whose label is the best score, or among the best five.
      top1_interval: 95 %, Wilson.
      balanced_accuracy: mean recall of the classes that have photos.
      ece: expected calibration error, 15 bins of equal width.
      per_class: in the order of the labels.
      confusion: int [C, C], true label by predicted label.
      answered: what comes of the model's own thresholds; None where it has none.
      learned_from: how many of the photos the model learned from; None where it is none, or of models of others.
    """

    photos: int
    top1: float
    top5: float
    top1_interval: Interval
    balanced_accuracy: float
    ece: float
    per_class: tuple[ClassMetrics, ...]
    confusion: Array
    answered: Answered | None = None
    learned_from: LearnedFrom | None = None

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        return {
            "photos": self.photos,
            "top1": self.top1,
            "top1_interval": list(self.top1_interval),
            "top5": self.top5,
            "balanced_accuracy": self.balanced_accuracy,
            "ece": self.ece,
            "per_class": {
                entry.label: {
                    "precision": entry.precision,
                    "recall": entry.recall,
                    "f1": entry.f1,
                    "photos": entry.photos,
                }
                for entry in self.per_class
            },
            "confusion": self.confusion.tolist(),
            **({"answered": self.answered.as_dict()} if self.answered else {}),
            **({"learned_from": self.learned_from.as_dict()} if self.learned_from else {}),
        }


@dataclass(frozen=True)
class Reliability:
    """Photos in bins of equal width by their best score, from 0 to 1.

    Attributes:
      photos: int [B], how many are in each bin.
      confidence: float [B], the sum of their best scores.
      right: float [B], how many of them were rightly named.
    """

    photos: Array
    confidence: Array
    right: Array


@dataclass(frozen=True)
class Agreement:
    """Two sets of scores on the same photos.

    Attributes:
      photos: how many.
      same_top1: share with the same best label.
      largest_difference: of any single score.
      accuracy_change: top-1 of the second less top-1 of the first.
      accuracy_change_interval: 95 %, paired.
    """

    photos: int
    same_top1: float
    largest_difference: float
    accuracy_change: float
    accuracy_change_interval: Interval


def measure(scores: Array, labels: Array, classes: tuple[str, ...]) -> Metrics:
    """Computes metrics.

    Args:
      scores: float [N, C], one row a photo.
      labels: int [N].
      classes: C names.

    Raises:
      DataError: there is no photo.
    """
    labels = np.asarray(labels)
    if not len(labels):
        raise DataError("There is no photo to evaluate on.")
    best = scores.argmax(axis=1)
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (labels, best), 1)
    right = int(np.trace(confusion))
    per_class = tuple(_class_metrics(name, confusion, index) for index, name in enumerate(classes))
    return Metrics(
        photos=len(labels),
        top1=right / len(labels),
        top5=float((_ranks(scores, labels) < 5).mean()),
        top1_interval=wilson(right, len(labels)),
        balanced_accuracy=float(np.mean([entry.recall for entry in per_class if entry.photos])),
        ece=_calibration_error(scores.max(axis=1), best == labels),
        per_class=per_class,
        confusion=confusion,
    )


def answered(scores: Array, labels: Array, limits: Array) -> Answered:
    """Measures what comes of thresholds: a photo is answered where its best label reaches its own.

    Args:
      scores: float [N, C].
      labels: int [N].
      limits: float [C], the threshold of each label.
    """
    best = scores.argmax(axis=1)
    said = scores.max(axis=1) >= limits[best]
    right, count = int((said & (best == labels)).sum()), int(said.sum())
    interval = wilson(right, count) if count else (0.0, 1.0)
    return Answered(len(scores), count, right / count if count else 0.0, interval)


def compare(first: Array, second: Array, labels: Array) -> Agreement:
    """Compares two classifiers' scores, float [N, C], on the same photos."""
    labels = np.asarray(labels)
    ours, theirs = first.argmax(axis=1), second.argmax(axis=1)
    lost = int(((ours == labels) & (theirs != labels)).sum())
    won = int(((ours != labels) & (theirs == labels)).sum())
    return Agreement(
        photos=len(labels),
        same_top1=float((ours == theirs).mean()),
        largest_difference=float(np.abs(first - second).max()),
        accuracy_change=(won - lost) / len(labels),
        accuracy_change_interval=paired(won, lost, len(labels)),
    )


def most_confused(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> tuple[list[str], list[list[int]]]:
    """Returns the part of a confusion matrix that can be shown: MOST_SHOWN classes with the most mistakes, in order.

    Args:
      labels: C names.
      confusion: [C, C], a row a true class.
    """
    counts = np.array(confusion)
    mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    shown = np.sort(np.argsort(-mistakes, kind="stable")[:MOST_SHOWN])
    return [labels[index] for index in shown], counts[np.ix_(shown, shown)].tolist()


def wilson(right: int, total: int) -> Interval:
    """Returns the 95 % interval of a share.

    Source:
      Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    share, z2 = right / total, _Z95**2 / total
    center = (share + z2 / 2) / (1 + z2)
    half = _Z95 / (1 + z2) * math.sqrt(share * (1 - share) / total + z2 / (4 * total))
    return max(0.0, center - half), min(1.0, center + half)


def paired(won: int, lost: int, total: int) -> Interval:
    """Returns the 95 % interval of the difference of two shares on the same photos.

    Args:
      won: photos that only the second got right.
      lost: photos that only the first got right.
      total: all photos.
    Source:
      Agresti & Min 2005, "Simple improved confidence intervals for comparing matched proportions" (half a photo added
      to each cell).
    """
    gains, losses, pairs = won + 0.5, lost + 0.5, total + 2
    change = (gains - losses) / pairs
    half = _Z95 * math.sqrt(gains + losses - (gains - losses) ** 2 / pairs) / pairs
    return max(-1.0, change - half), min(1.0, change + half)


def reliability(confidence: Array, right: Array) -> Reliability:
    """Bins photos by their best score.

    Args:
      confidence: float [N], from 0 to 1.
      right: bool [N], whether the best label is the true one.
    """
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    counts = (np.bincount(bins, weights, _BINS) for weights in (confidence, right))
    return Reliability(np.bincount(bins, minlength=_BINS), *counts)


def _ranks(scores: Array, labels: Array) -> Array:
    """Returns how many scores are better than that of each photo's label, int [N]; ties by index, as argmax does."""
    ranks = np.empty(len(labels), int)
    for start in range(0, len(labels), _BLOCK):
        block, truth = scores[start : start + _BLOCK], labels[start : start + _BLOCK, None]
        own = np.take_along_axis(block, truth, axis=1)
        before = (block == own) & (np.arange(block.shape[1]) < truth)
        ranks[start : start + _BLOCK] = (~(block <= own) | before).sum(axis=1)
    return ranks


def _class_metrics(name: str, confusion: Array, index: int) -> ClassMetrics:
    hit, truth, said = confusion[index, index], confusion[index].sum(), confusion[:, index].sum()
    precision = float(hit / said) if said else 0.0
    recall = float(hit / truth) if truth else 0.0
    total = precision + recall
    return ClassMetrics(name, precision, recall, 2 * precision * recall / total if total else 0.0, int(truth))


def _calibration_error(confidence: Array, right: Array) -> float:
    found = reliability(confidence, right)
    return float(np.abs(found.confidence - found.right).sum() / found.photos.sum())
