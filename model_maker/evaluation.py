"""Metrics from scores: accuracy, confidence intervals, calibration, and comparison of two classifiers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model_maker import json_records
from model_maker.errors import DataError

Array = np.ndarray[Any, Any]
Interval = tuple[float, float]

_Z95 = 1.959964  # two-sided 95 % of the normal distribution
# Photos per batch of the ranking.
_BLOCK = 8192
# Maximum number of classes in a displayed confusion matrix: 1000 would make a page of 4 MB and a huge image.
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
    """The effect of answering only if the best score reaches its threshold.

    Attributes:
      photos: number of scored photos.
      answered: number of photos with an answer.
      precision: share of the answers that are correct; 0 without answers.
      precision_interval: 95 %, Wilson.
    """

    photos: int
    answered: int
    precision: float
    precision_interval: Interval

    @property
    def coverage(self) -> float:
        """Share of the photos with an answer."""
        return self.answered / self.photos

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        facts = {"photos": self.photos, "answered": self.answered, "coverage": self.coverage}
        return facts | {"precision": self.precision, "precision_interval": list(self.precision_interval)}


@dataclass(frozen=True)
class SetMetrics:
    """The label sets of some photos.

    Attributes:
      photos: their number.
      coverage: share whose label is in its set.
      coverage_interval: 95 %, Wilson.
      size: mean number of labels in a set.
      label: the class of the photos; empty for all.
    """

    photos: int
    coverage: float
    coverage_interval: Interval
    size: float
    label: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        held = {"photos": self.photos, "coverage": self.coverage, "coverage_interval": list(self.coverage_interval)}
        return held | {"size": self.size}


@dataclass(frozen=True)
class LabelSetMetrics:
    """Whether label sets hold what they promise.

    Attributes:
      promised: the coverage that was asked for.
      whole: all photos.
      single: share of the photos with one label only.
      per_class: of each class that has photos.
    """

    promised: float
    whole: SetMetrics = field(metadata=json_records.FLAT)
    single: float
    per_class: tuple[SetMetrics, ...]

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        per_class = {entry.label: entry.as_dict() for entry in self.per_class}
        return {"promised": self.promised, **self.whole.as_dict(), "single": self.single, "per_class": per_class}


@dataclass(frozen=True)
class LearnedFrom:
    """How many of the photos a model was trained on, and its accuracy on the others.

    Attributes:
      photos: number of training photos; None if unknown.
      others: number of other photos.
      top1, top1_interval: on those; None if there are none.
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
        """Returns a note, given the total number of photos."""
        if self.photos is None:
            return "The model may have been trained on these photos: no split.json beside it lists its training photos."
        if self.others and self.top1 is None:  # measured in another way, see `multi_label_metrics`
            return f"The model was trained on {self.photos} of these {photos} photos, which inflates metrics."
        if self.top1 is None or self.top1_interval is None:
            return "The model was trained on all of these photos, so the metrics do not apply to new photos."
        low, high = self.top1_interval
        return (
            f"The model was trained on {self.photos} of these {photos} photos, which inflates metrics. On the other "
            f"{self.others}: top-1 {100 * self.top1:.1f} % (95 % interval {100 * low:.1f} % to {100 * high:.1f} %)."
        )


@dataclass(frozen=True)
class Metrics:
    """The metrics of scores.

    Attributes:
      photos: number of scored photos.
      top1, top5: share of photos whose label has the best score, or one of the best five.
      top1_interval: 95 %, Wilson.
      balanced_accuracy: mean recall of the classes that have photos.
      ece: expected calibration error, 15 bins of equal width.
      per_class: in the order of the labels.
      confusion: int [C, C], true label by predicted label.
      answered: effect of the model's own thresholds; None if it has none.
      label_sets: coverage and size of the model's label sets; None if it has none.
      learned_from: number of photos that the model was trained on; None if none, or for third-party models.
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
    label_sets: LabelSetMetrics | None = None

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
            **({"label_sets": self.label_sets.as_dict()} if self.label_sets else {}),
            **({"learned_from": self.learned_from.as_dict()} if self.learned_from else {}),
        }


@dataclass(frozen=True)
class Reliability:
    """Photos in bins of equal width by their best score, from 0 to 1.

    Attributes:
      photos: int [B], number in each bin.
      confidence: float [B], the sum of their best scores.
      right: float [B], number of correct predictions.
    """

    photos: Array
    confidence: Array
    right: Array


@dataclass(frozen=True)
class Agreement:
    """Two sets of scores on the same photos.

    Attributes:
      photos: number of photos.
      same_top1: share with the same best label.
      largest_difference: of any single score.
      accuracy_change: top-1 of the second minus top-1 of the first.
      accuracy_change_interval: 95 %, paired.
    """

    photos: int
    same_top1: float
    largest_difference: float
    accuracy_change: float
    accuracy_change_interval: Interval

    @property
    def same(self) -> float:
        """Share of the photos with the same answer."""
        return self.same_top1


def measure(scores: Array, labels: Array, classes: tuple[str, ...]) -> Metrics:
    """Computes metrics.

    Args:
      scores: float [N, C], one row a photo.
      labels: int [N].
      classes: C names.

    Raises:
      DataError: there are no photos.
    """
    labels = np.asarray(labels)
    if not len(labels):
        raise DataError("There are no photos to evaluate on.")
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
    """Measures the effect of thresholds: a photo is answered if its best label reaches its own threshold.

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
    """Returns the displayed part of a confusion matrix: MOST_SHOWN classes with the most errors, in order.

    Args:
      confusion: [C, C], a row a true class.
    """
    counts = np.array(confusion)
    mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    shown = np.sort(np.argsort(-mistakes, kind="stable")[:MOST_SHOWN])
    return [labels[index] for index in shown], counts[np.ix_(shown, shown)].tolist()


def wilson(right: int, total: int) -> Interval:
    """Returns the 95 % confidence interval of a share.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    share, z2 = right / total, _Z95**2 / total
    center = (share + z2 / 2) / (1 + z2)
    half = _Z95 / (1 + z2) * math.sqrt(share * (1 - share) / total + z2 / (4 * total))
    return max(0.0, center - half), min(1.0, center + half)


def paired(won: int, lost: int, total: int) -> Interval:
    """Returns the 95 % confidence interval of the difference of two shares on the same photos.

    Args:
      won: photos that only the second classified correctly.
      lost: photos that only the first classified correctly.
      total: all photos.
    Source:
      Agresti & Min 2005, "Simple improved confidence intervals for comparing matched proportions" (half a photo added
      to each cell).
    """
    gains, losses, pairs = won + 0.5, lost + 0.5, total + 2
    change = (gains - losses) / pairs
    half = _Z95 * math.sqrt(gains + losses - (gains - losses) ** 2 / pairs) / pairs
    return max(-1.0, change - half), min(1.0, change + half)


def mcnemar(one: Sequence[bool], other: Sequence[bool]) -> float:
    """Returns the p-value of the difference of two models on the same photos (exact, two-sided).

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated proportions".
    """
    only_one = sum(a and not b for a, b in zip(one, other, strict=True))
    only_other = sum(b and not a for a, b in zip(one, other, strict=True))
    total, fewer = only_one + only_other, min(only_one, only_other)
    return min(1.0, float(2 * sum(math.comb(total, k) for k in range(fewer + 1)) / 2**total))


def reliability(confidence: Array, right: Array) -> Reliability:
    """Bins photos by their best score.

    Args:
      confidence: float [N], from 0 to 1.
      right: bool [N], whether the prediction is correct.
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
