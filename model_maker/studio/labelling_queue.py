"""Which photos to label first: typical ones that a head is unsure about and that differ from what is labeled."""

from dataclasses import dataclass

import numpy as np

from model_maker.doctor.label_errors import directions
from model_maker.learning import heads

Array = np.ndarray

# Labeled photos of a class without which it cannot be guessed.
LEAST = 2
# Centres whose distances are computed in one go.
_CHUNK = 512
_NEIGHBOURS = 10
# Neighbours are looked for among so many photos at most: time goes by this times the number of photos.
_AMONG = 20_000
# What typicality is at least: the least typical photo comes late, not never.
_FLOOR = 0.3


@dataclass(frozen=True)
class Queue:
    """Photos in the order in which to label them.

    Attributes:
      order: int [K], indices into the pile, the first to label first.
      guesses: int [K], the class that each looks like; -1 where nothing can be guessed.
      scores: float [K], of these guesses; 0 where there is none.
    """

    order: Array
    guesses: Array
    scores: Array


def queue(vectors: Array, labels: Array, pile: Array, *, count: int) -> Queue:
    """Puts a pile of photos into an order.

    Each next photo is the one whose uncertainty times typicality times distance is the largest. Uncertainty is how near
    the head's second best class comes to its best, 1 for all without enough labels for a head; typicality how like its
    nearest neighbours in the pile it is, for what is like nothing teaches nothing of others; distance that to the
    nearest photo labeled or chosen before.

    Args:
      vectors: float [N, D], embeddings of labeled photos; N may be 0.
      pile: float [M, D], embeddings of the others.

    Source:
      Sener and Savarese 2018, "Active Learning for Convolutional Neural Networks" (greedy k-centre);
      Settles and Craven 2008, "An Analysis of Active Learning Strategies for Sequence Labeling Tasks" (information
      density). Their product is ours.
    """
    guesses, scores, uncertainty = _guess(vectors, labels, pile)
    units = directions(np.concatenate([vectors, pile])) if len(vectors) else directions(pile)
    known, rest = units[: len(vectors)], units[len(vectors) :]
    order = _centres(known, rest, uncertainty * _typicality(rest), min(count, len(pile)))
    return Queue(order, guesses[order], scores[order])


def _guess(vectors: Array, labels: Array, pile: Array) -> tuple[Array, Array, Array]:
    """Returns the class of each photo of the pile, its score, and how uncertain that is, from 0 to 1."""
    known, counts = np.unique(labels, return_counts=True)
    known = known[counts >= LEAST]
    if len(known) < 2 or not len(pile):
        return np.full(len(pile), -1), np.zeros(len(pile)), np.ones(len(pile))
    usable = np.isin(labels, known)
    head = heads.fit(vectors[usable], np.searchsorted(known, labels[usable]), classes=len(known)).head
    found = head.scores(pile)
    ranked = np.sort(found, axis=1)
    return known[found.argmax(axis=1)], ranked[:, -1], 1 - (ranked[:, -1] - ranked[:, -2])


def _typicality(units: Array) -> Array:
    """Returns how like its nearest neighbours each photo is, from a floor for the least to 1 and that for the most."""
    among = units[:: max(1, -(-len(units) // _AMONG))]
    count = min(_NEIGHBOURS + 1, len(among))  # itself is the nearest
    alike = np.zeros(len(units))
    for start in range(0, len(units), _CHUNK):
        cosines = units[start : start + _CHUNK] @ among.T
        alike[start : start + _CHUNK] = np.partition(cosines, -count, axis=1)[:, -count:].mean(axis=1)
    spread = np.ptp(alike) if len(alike) else 0.0
    return _FLOOR + (alike - alike.min()) / spread if spread > 0 else np.ones(len(units))


def _centres(centres: Array, units: Array, worth: Array, count: int) -> Array:
    """Chooses by worth times distance to the nearest centre; what is chosen is a centre from then on."""
    near = np.full(len(units), 2.0)
    for start in range(0, len(centres), _CHUNK):
        near = np.minimum(near, _distances(units, centres[start : start + _CHUNK]).min(axis=1))
    chosen: list[int] = []
    left = np.ones(len(units), bool)
    for _ in range(count):
        best = int(np.argmax(np.where(left, worth * near, -1)))
        chosen.append(best)
        left[best] = False
        near = np.minimum(near, _distances(units, units[best : best + 1])[:, 0])
    return np.array(chosen, int)


def _distances(units: Array, centres: Array) -> Array:
    return np.sqrt(np.clip(2 - 2 * units @ centres.T, 0, None))
