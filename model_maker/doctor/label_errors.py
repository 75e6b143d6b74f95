"""LabelErrors: whether a photo's label agrees with what the others teach, and whether it belongs to them at all.

Labels are judged only by photos that are no twins of the judged one, for a twin repeats a label, right or wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from model_maker.errors import DataError
from model_maker.learning import heads

Array = np.ndarray

FOLDS = 5
# Different photos of a class without which nothing is said of its labels.
LEAST = 4
# Divisions into folds that are averaged: one alone ranks a few photos by luck. Of many photos one has to do.
_DIVISIONS, _MANY = (0, 1, 2), 20_000
_NEIGHBOURS = 10
# Scores below differ by chance.
_FLOOR = 1e-3
# Neighbours are looked for among so many photos at most: time goes by this times the number of photos.
_AMONG = 20_000
_CHUNK = 1024


@dataclass(frozen=True)
class LabelErrors:
    """What embeddings tell of each photo.

    Attributes:
      scores: float [N, C], the class it looks like: held-out probabilities and neighbours' votes, in equal shares.
      margins: float [N], log of its own class's score less that of the best other's; below 0 where another class is
        likelier, nan where its own class has too few photos to tell.
      confident: bool [N], whether the other class scores as high as is usual for photos of that class.
      distances: float [N], how far its nearest neighbours are, in robust standard deviations from the median.
    """

    scores: Array
    margins: Array
    confident: Array
    distances: Array


def find(vectors: Array, labels: Array, numbers: Array, *, classes: int) -> LabelErrors:
    """Judges all photos.

    Args:
      vectors: float [N, D], embeddings.
      labels: int [N].
      numbers: int [N], equal for twins.
      classes: C.

    Source:
      Northcutt et al. 2021, "Confident Learning" (thresholds by the mean self-confidence of a class). The neighbours'
      votes are ours: errors of the two differ, and together they rank better, as docs/MEASUREMENTS.md tells.
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


def divisions(photos: int) -> tuple[int, ...]:
    """Returns the seeds of the divisions into folds that are averaged for so many photos."""
    return _DIVISIONS if photos <= _MANY else _DIVISIONS[:1]


def assessable(labels: Array, numbers: Array) -> Array:
    """Returns the photos, bool [N], of classes that have enough different ones."""
    enough = [label for label in np.unique(labels) if len(np.unique(numbers[labels == label])) >= LEAST]
    return np.isin(labels, enough)


def folds(labels: Array, numbers: Array, *, seed: int) -> Array:
    """Returns the fold of each photo, int [N]: stratified by the first of each group, twins together."""
    _, first, group = np.unique(numbers, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(first))
    leading = labels[first][order]
    assigned = np.empty(len(first), int)
    # Fewer groups lead in a class than it has, where twins are of several classes; hence no fold may hold all of one.
    count = min(FOLDS, *(len(np.unique(numbers[labels == label])) for label in np.unique(labels)))
    for label in np.unique(leading):
        members = order[leading == label]
        assigned[members] = np.arange(len(members)) % count
    return assigned[group]


def held_out(vectors: Array, labels: Array, assigned: Array) -> Array:
    """Returns calibrated probabilities, float [N, C], of each photo by a head that learned from the other folds."""
    scores = np.zeros((len(labels), int(labels.max()) + 1))
    for number in np.unique(assigned):
        learns = assigned != number
        try:
            scores[~learns] = fit(vectors[learns], labels[learns], assigned[learns]).scores(vectors[~learns])
        except DataError:  # all but one photo of a class lie in this fold, beside twins of other classes
            scores[~learns] = 1 / scores.shape[1]
    return scores


def fit(vectors: Array, labels: Array, assigned: Array | None = None) -> heads.Head:
    """Fits a head as training would; `assigned` are folds for its own choices."""
    own = None if assigned is None else assigned.tolist()
    return heads.fit(vectors, labels, classes=int(labels.max()) + 1, folds=own).head


def directions(vectors: Array, *, centre: bool = True) -> Array:
    """Returns embeddings as float32 [N, D] of length one, whose products are cosines.

    Without what all photos have in common, which centring takes away, cosines tell photos of a data set apart; with it
    they tell whether a photo has that at all.
    """
    units = vectors.astype(np.float32)
    if centre and len(units):
        units -= units.mean(axis=0)
    units /= np.maximum(np.linalg.norm(units, axis=1, keepdims=True), 1e-12)
    return units


def _votes(vectors: Array, labels: Array, numbers: Array, classes: int) -> Array:
    """Returns what the nearest neighbours of each photo vote for, weighed by likeness: float [N, C]."""
    votes = np.zeros((len(vectors), classes))
    for rows, nearest, alike in _nearest(directions(vectors), numbers):
        for column, weight in zip(nearest.T, alike.T, strict=True):
            np.add.at(votes, (rows, labels[column]), weight.clip(0))
    return votes


def _distances(vectors: Array, numbers: Array) -> Array:
    """Returns how far the nearest neighbours of each photo are, as LabelErrors says: float [N]."""
    far = np.zeros(len(vectors))
    for rows, _, alike in _nearest(directions(vectors, centre=False), numbers):
        far[rows] = -alike.mean(axis=1)
    if len(far):
        far -= np.median(far)
    # 1.4826 median deviations are a standard deviation in a normal distribution.
    deviation = 1.4826 * np.median(np.abs(far)) if len(far) else 0.0
    return far / deviation if deviation > 0 else np.zeros(len(far))


def _nearest(units: Array, numbers: Array) -> Iterator[tuple[Array, Array, Array]]:
    """Yields rows, some at a time, with their nearest neighbours, int [B, K], and the cosines; twins are none."""
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
