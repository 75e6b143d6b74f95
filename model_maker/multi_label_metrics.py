"""Metrics of scores where photos have several labels, or none: average precision, F1, exact match."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from model_maker.errors import DataError
from model_maker.evaluation import ClassMetrics, Interval, LearnedFrom, wilson

Array = np.ndarray[Any, Any]

# Resamples of the interval, fewer where many scores make each of them slow.
_RESAMPLES, _FEWEST_RESAMPLES, _SCORES = 1000, 100, 20_000_000


@dataclass(frozen=True)
class LabelMetrics(ClassMetrics):
    """One label: shares from 0 to 1; precision, recall and F1 are those of the answers from its threshold on.

    Attributes:
      average_precision: area under its precision-recall curve; None without photos of it.
      threshold: the score from which on it is an answer.
    """

    average_precision: float | None
    threshold: float


@dataclass(frozen=True)
class MultiLabelMetrics:
    """The metrics of scores of several labels.

    Attributes:
      photos: number of scored photos.
      mean_average_precision: mAP, the mean over the labels that have photos.
      mean_average_precision_interval: 95 %, by resampling the photos.
      macro_f1: mean F1 of the labels that have photos.
      micro_f1: F1 of all pairs of photo and label.
      exact_match: share of photos with exactly the true labels.
      exact_match_interval: 95 %, Wilson.
      per_class: in the order of the labels.
      learned_from: number of photos that the model was trained on; None if none, or for third-party models.
    """

    photos: int
    mean_average_precision: float
    mean_average_precision_interval: Interval
    macro_f1: float
    micro_f1: float
    exact_match: float
    exact_match_interval: Interval
    per_class: tuple[LabelMetrics, ...]
    learned_from: LearnedFrom | None = None

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        return {
            "photos": self.photos,
            "mean_average_precision": self.mean_average_precision,
            "mean_average_precision_interval": list(self.mean_average_precision_interval),
            "macro_f1": self.macro_f1,
            "micro_f1": self.micro_f1,
            "exact_match": self.exact_match,
            "exact_match_interval": list(self.exact_match_interval),
            "per_class": {
                entry.label: {
                    "average_precision": entry.average_precision,
                    "precision": entry.precision,
                    "recall": entry.recall,
                    "f1": entry.f1,
                    "photos": entry.photos,
                    "threshold": entry.threshold,
                }
                for entry in self.per_class
            },
            **({"learned_from": {"photos": self.learned_from.photos}} if self.learned_from else {}),
        }


@dataclass(frozen=True)
class LabelAgreement:
    """Two sets of scores on the same photos.

    Attributes:
      photos: number of photos.
      same_labels: share with the same labels.
      largest_difference: of any single score.
      exact_match_change: exact match of the second minus that of the first.
    """

    photos: int
    same_labels: float
    largest_difference: float
    exact_match_change: float

    @property
    def same(self) -> float:
        """Share of the photos with the same answer."""
        return self.same_labels


def measure(scores: Array, targets: Array, classes: tuple[str, ...], limits: Array) -> MultiLabelMetrics:
    """Computes metrics.

    Args:
      scores: float [N, C], one row a photo.
      targets: bool [N, C], the true labels.
      classes: C names.
      limits: float [C], the score from which on each label is an answer; or [N, C], for each photo its own.

    Raises:
      DataError: there are no photos, or none of them has a label.
    """
    having = targets.sum(axis=0)
    if not having.any():
        raise DataError("There are no photos with labels to evaluate on.")
    said = scores >= limits
    per_class = []
    for index, name in enumerate(classes):
        precise = float(average_precision(scores[:, index], targets[:, index])) if having[index] else None
        shares = _shares(targets[:, index], said[:, index])
        per_class.append(LabelMetrics(name, *shares, int(having[index]), precise, float(limits[..., index].mean())))
    precisions = [entry.average_precision for entry in per_class if entry.average_precision is not None]
    exact = int((said == targets).all(axis=1).sum())
    return MultiLabelMetrics(
        photos=len(scores),
        mean_average_precision=float(np.mean(precisions)),
        mean_average_precision_interval=_interval(scores, targets),
        macro_f1=float(np.mean([entry.f1 for entry in per_class if entry.photos])),
        micro_f1=_shares(targets, said)[2],
        exact_match=exact / len(scores),
        exact_match_interval=wilson(exact, len(scores)),
        per_class=tuple(per_class),
    )


def compare(first: Array, second: Array, targets: Array, limits: Array) -> LabelAgreement:
    """Compares two classifiers' scores, float [N, C], on the same photos, by the labels that reach their limits."""
    ours, theirs = first >= limits, second >= limits
    matches = [(said == targets).all(axis=1).mean() for said in (ours, theirs)]
    return LabelAgreement(
        photos=len(targets),
        same_labels=float((ours == theirs).all(axis=1).mean()),
        largest_difference=float(np.abs(first - second).max()),
        exact_match_change=float(matches[1] - matches[0]),
    )


def average_precision(scores: Array, truth: Array, weights: Array | None = None) -> Array:
    """Returns the area under the precision-recall curve, without interpolation; equal scores count as one step.

    Args:
      scores: float [N].
      truth: bool [N], with at least one photo.
      weights: float [B, N], how often each photo counts, in B cases; once by default.

    Returns:
      float64 [B], or a single number without weights; NaN where no photo counts.
    """
    order = np.argsort(-scores, kind="stable")
    counts = np.ones((1, len(scores))) if weights is None else weights[:, order]
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(counts * truth[order], axis=1)[:, ends]
    every = np.cumsum(counts, axis=1)[:, ends]
    gained = np.diff(hits, axis=1, prepend=0)
    precision = np.divide(hits, every, out=np.zeros_like(hits), where=every > 0)
    with np.errstate(invalid="ignore"):
        found: Array = (gained * precision).sum(axis=1) / hits[:, -1]
    return found[0] if weights is None else found


def precision_recall(scores: Array, truth: Array) -> tuple[Array, Array]:
    """Returns precision and recall at each score that occurs, from the highest on: float64 [K] each."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(truth[order])[ends]
    return hits / (ends + 1), hits / max(1, int(hits[-1]))


def _interval(scores: Array, targets: Array) -> Interval:
    """Returns the 95 % interval of mAP by the percentiles of resampled photos; the same for the same scores.

    Source: Efron 1979, "Bootstrap Methods: Another Look at the Jackknife".
    """
    count = int(np.clip(_SCORES // scores.size, _FEWEST_RESAMPLES, _RESAMPLES))
    random = np.random.default_rng(0)
    weights = random.multinomial(len(scores), np.full(len(scores), 1 / len(scores)), size=count).astype(float)
    seen = np.flatnonzero(targets.any(axis=0))
    values = np.array([average_precision(scores[:, index], targets[:, index], weights) for index in seen])
    # A resample may lack a rare label; one without any label has no value.
    known = ~np.isnan(values).all(axis=0)
    low, high = np.percentile(np.nanmean(values[:, known], axis=0), (2.5, 97.5))
    return float(low), float(high)


def _shares(truth: Array, said: Array) -> tuple[float, float, float]:
    """Returns precision, recall and F1; 0 where there is nothing to divide by."""
    hits, answers, having = int((truth & said).sum()), int(said.sum()), int(truth.sum())
    precision, recall = hits / answers if answers else 0.0, hits / having if having else 0.0
    return precision, recall, 2 * hits / (answers + having) if answers + having else 0.0
