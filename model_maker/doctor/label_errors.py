"""Label errors and outliers: compares each photo's label with the embeddings of the other photos.

Near duplicates of a photo are excluded, because they repeat its label, correct or wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from model_maker.data import multi_label
from model_maker.errors import DataError
from model_maker.learning import heads

Array = np.ndarray

FOLDS = 5
# Minimum number of different photos of a class for assessing its labels.
LEAST = 4
# Repetitions of cross-validation that are averaged: with few photos, a single one ranks by luck.
_DIVISIONS, _MANY = (0, 1, 2), 20_000
_NEIGHBOURS = 10
# Lower scores differ by chance.
_FLOOR = 1e-3
# Maximum number of photos to search for neighbors: time grows with this times the number of photos.
_AMONG = 20_000
_CHUNK = 1024


@dataclass(frozen=True)
class LabelErrors:
    """Scores of each photo's label, from embeddings.

    Attributes:
      scores: float [N, C], of each class: the mean of held-out probabilities and votes of neighbors.
      margins: float [N], log score of its own class minus that of the best other class; below 0 if another class is
      more likely, NaN if its own class has too few photos.
      confident: bool [N], whether the other class scores as high as is usual for photos of that class.
      distances: float [N], distance of its nearest neighbors, in robust standard deviations from the median.
    """

    scores: Array
    margins: Array
    confident: Array
    distances: Array


def find(vectors: Array, labels: Array, numbers: Array, *, classes: int) -> LabelErrors:
    """Assesses all labels.

    Args:
      vectors: float [N, D], embeddings.
      numbers: int [N], equal for near duplicates.

    Source:
      Northcutt et al. 2021, "Confident Learning" (thresholds by the mean self-confidence of a class). The neighbours'
      votes are ours: the two make different errors and rank better together, see docs/MEASUREMENTS.md.
    """
    kept = assessable(labels, numbers)
    votes, distances = _votes(vectors, labels, numbers, classes), _distances(vectors, numbers)
    scores, margins = np.full((len(labels), classes), np.nan), np.full(len(labels), np.nan)
    confident = np.zeros(len(labels), bool)
    named = np.unique(labels[kept])
    if len(named) > 1:
        own = np.searchsorted(named, labels[kept])
        seeds = divisions(len(own))
        held = sum(held_out(vectors[kept], own, folds(own, numbers[kept], seed=seed)) for seed in seeds)
        mixed = (held / len(seeds) + _shares(votes[kept][:, named])) / 2
        rows = np.arange(len(own))
        others = mixed.copy()
        others[rows, own] = -1
        best = others.argmax(1)
        usual = np.array([mixed[own == label, label].mean() for label in range(len(named))])
        margins[kept] = np.log((mixed[rows, own] + _FLOOR) / (mixed[rows, best] + _FLOOR))
        confident[kept] = (margins[kept] < 0) & (mixed[rows, best] >= usual[best])
        scores[np.ix_(kept, named)] = mixed
    return LabelErrors(scores, margins, confident, distances)


def find_several(vectors: Array, targets: Array, numbers: Array) -> LabelErrors:
    """Assesses the labels of photos that may have several, bool [N, C]: each for itself, by held-out probabilities.

    Returns:
      Scores as in `find`; margins and `confident` are [N, C], of each label: below 0 if the contrary is more likely. A
      label that fewer than LEAST different photos have, or lack, is NaN.
    """
    scores = np.full(targets.shape, np.nan)
    _, first, group = np.unique(numbers, return_index=True, return_inverse=True)
    union = np.zeros((len(first), targets.shape[1]), bool)
    np.logical_or.at(union, group, targets)
    having = union.sum(axis=0)
    kept = (having >= LEAST) & (len(first) - having >= LEAST)
    if kept.any():
        assigned = multi_label.deal(union[:, kept], FOLDS)[group]
        fit = heads.fit(vectors, targets[:, kept], classes=int(kept.sum()), folds=assigned.tolist())
        scores[:, kept] = fit.held_out
    own = np.where(targets, scores, 1 - scores)
    margins = np.log((own + _FLOOR) / (1 - own + _FLOOR))
    confident = np.zeros(targets.shape, bool)
    for label in np.flatnonzero(kept):
        has, score = targets[:, label], scores[:, label]
        usual, usual_without = score[has].mean(), score[~has].mean()
        confident[:, label] = np.where(has, score <= usual_without, score >= usual)
    return LabelErrors(scores, margins, confident, _distances(vectors, numbers))


def divisions(photos: int) -> tuple[int, ...]:
    """Returns the seeds of the repetitions of cross-validation for a number of photos."""
    return _DIVISIONS if photos <= _MANY else _DIVISIONS[:1]


def assessable(labels: Array, numbers: Array) -> Array:
    """Returns which photos, bool [N], belong to classes with enough different photos."""
    enough = [label for label in np.unique(labels) if len(np.unique(numbers[labels == label])) >= LEAST]
    return np.isin(labels, enough)


def folds(labels: Array, numbers: Array, *, seed: int) -> Array:
    """Returns the fold of each photo, int [N]: stratified by the first of each group, near duplicates together."""
    _, first, group = np.unique(numbers, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(first))
    leading = labels[first][order]
    assigned = np.empty(len(first), int)
    # Near duplicates may have different classes, so a fold could otherwise hold all photos of a class.
    count = min(FOLDS, *(len(np.unique(numbers[labels == label])) for label in np.unique(labels)))
    for label in np.unique(leading):
        members = order[leading == label]
        assigned[members] = np.arange(len(members)) % count
    return assigned[group]


def held_out(vectors: Array, labels: Array, assigned: Array) -> Array:
    """Returns calibrated probabilities, float [N, C], of each photo by a head trained on the other folds."""
    scores = np.zeros((len(labels), int(labels.max()) + 1))
    for number in np.unique(assigned):
        learns = assigned != number
        try:
            scores[~learns] = fit(vectors[learns], labels[learns], assigned[learns]).scores(vectors[~learns])
        except DataError:  # this fold has all but one photo of a class, with near duplicates in other classes
            scores[~learns] = 1 / scores.shape[1]
    return scores


def fit(vectors: Array, labels: Array, assigned: Array | None = None) -> heads.Head:
    """Fits a head as training does; `assigned` are the folds for choosing its regularization."""
    own = None if assigned is None else assigned.tolist()
    return heads.fit(vectors, labels, classes=int(labels.max()) + 1, folds=own).head


def directions(vectors: Array, *, centre: bool = True) -> Array:
    """Returns embeddings as float32 [N, D] of unit length, whose products are cosine similarities.

    Centering removes what all photos have in common: then cosines distinguish photos of the dataset. Without
    centering they show whether a photo has that common part at all.
    """
    units = vectors.astype(np.float32)
    if centre and len(units):
        units -= units.mean(axis=0)
    units /= np.maximum(np.linalg.norm(units, axis=1, keepdims=True), 1e-12)
    return units


def _votes(vectors: Array, labels: Array, numbers: Array, classes: int) -> Array:
    """Returns the votes of the nearest neighbors of each photo, weighted by similarity: float [N, C]."""
    votes = np.zeros((len(vectors), classes))
    for rows, nearest, alike in _nearest(directions(vectors), numbers):
        for column, weight in zip(nearest.T, alike.T, strict=True):
            np.add.at(votes, (rows, labels[column]), weight.clip(0))
    return votes


def _distances(vectors: Array, numbers: Array) -> Array:
    """Returns the distance of each photo's nearest neighbors, see LabelErrors: float [N]."""
    far = np.zeros(len(vectors))
    for rows, _, alike in _nearest(directions(vectors, centre=False), numbers):
        far[rows] = -alike.mean(axis=1)
    if len(far):
        far -= np.median(far)
    # 1.4826 median absolute deviations are one standard deviation of a normal distribution.
    deviation = 1.4826 * np.median(np.abs(far)) if len(far) else 0.0
    return far / deviation if deviation > 0 else np.zeros(len(far))


def _nearest(units: Array, numbers: Array) -> Iterator[tuple[Array, Array, Array]]:
    """Yields batches of rows with their nearest neighbors, int [B, K], and the cosines; skips near duplicates."""
    among = np.arange(len(units))
    if len(among) > _AMONG:
        among = np.sort(np.random.default_rng(0).choice(among, _AMONG, replace=False))
    count = min(_NEIGHBOURS, len(among))
    for start in range(0, len(units), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(units)))
        alike = units[rows] @ units[among].T
        alike[numbers[rows, None] == numbers[among]] = -1
        nearest = np.argpartition(-alike, count - 1, axis=1)[:, :count]
        yield rows, among[nearest], np.take_along_axis(alike, nearest, axis=1)


def _shares(votes: Array) -> Array:
    total = votes.sum(axis=1, keepdims=True)
    return np.divide(votes, total, out=np.full_like(votes, 1 / votes.shape[1]), where=total > 0)
