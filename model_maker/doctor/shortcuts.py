"""Shortcuts: classes and splits that can be told by how photos were taken or stored, not by what they show.

Each fact of a photo alone (brightness, sharpness, size, aspect, file format, camera) predicts whether the photo is of a
class, in cross-validation; near duplicates are in the same fold. A model learns such a fact as readily as the content,
is right in tests that share it, and fails in the app.

Source: Geirhos et al. 2020, "Shortcut Learning in Deep Neural Networks".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model_maker.data.photo_facts import NAMES, NUMBERS, PhotoFacts
from model_maker.doctor import label_errors

Array = np.ndarray

FACTS = (*NUMBERS, *NAMES)
# Content and facts go together a little (the night is dark), so chance must be exceeded by this much, beyond doubt.
LEAST = 0.65
# The chance that any class is reported although the fact says nothing of it, over all that were tried (Bonferroni).
_RISK = 0.05
_Z95 = 1.959964
# Numbers are judged by tenths of the training folds.
_BINS = 10
# A group with fewer photos has no share that could be judged.
FEWEST = 8


@dataclass(frozen=True)
class Shortcut:
    """A fact that tells one group of photos from the others.

    Attributes:
      fact: one of FACTS.
      share: of the photos that it puts on the right side in cross-validation, both sides weighing alike; by chance 0.5.
      interval: of that share, 95 %.
      how: what the group has, and the others.
    """

    fact: str
    share: float
    interval: tuple[float, float]
    how: str


@dataclass(frozen=True)
class Together:
    """How many photos all facts together put into their class, classes weighing alike; chance is 1 in C."""

    share: float
    interval: tuple[float, float]
    chance: float


def find(facts: Sequence[PhotoFacts], member: Array, folds: Array, *, tried: int) -> Iterator[Shortcut]:
    """Yields the facts that tell a group of photos, bool [N], from the others beyond doubt, the most accurate first.

    `folds` are those of the cross-validation, int [N]; `tried` is how many groups are tried, for the correction.
    """
    if min(member.sum(), (~member).sum()) < FEWEST:
        return
    from scipy.special import ndtri

    z = float(ndtri(1 - _RISK / (2 * tried * len(FACTS))))
    found = []
    for name in FACTS:
        values = np.array([getattr(one, name) for one in facts])
        said = np.empty(len(values), bool)
        for held in (folds == number for number in np.unique(folds)):
            rates = _log_rates(values, member.astype(int), held, 2)
            said[held] = rates[:, 1] > rates[:, 0]
        share, error = _balanced(said == member, member.astype(int))
        if share - z * error > LEAST:
            interval = (max(0.0, share - _Z95 * error), min(1.0, share + _Z95 * error))
            found.append(Shortcut(name, share, interval, _how(name, values, member)))
    yield from sorted(found, key=lambda one: -one.share)


def together(facts: Sequence[PhotoFacts], labels: Array, folds: Array) -> Together | None:
    """Predicts the class from all facts, as if they did not depend on each other; None for a single class."""
    classes = np.unique(labels)
    if len(classes) < 2:
        return None
    own, scores = np.searchsorted(classes, labels), np.zeros((len(labels), len(classes)))
    for name in FACTS:
        values = np.array([getattr(one, name) for one in facts])
        for held in (folds == number for number in np.unique(folds)):
            scores[held] += _log_rates(values, own, held, len(classes))
    share, error = _balanced(scores.argmax(axis=1) == own, own)
    return Together(share, (max(0.0, share - _Z95 * error), min(1.0, share + _Z95 * error)), 1 / len(classes))


def folds(labels: Array, numbers: Array) -> Array:
    """Returns the fold of each photo, int [N]; near duplicates share one."""
    return label_errors.folds(labels, numbers, seed=0)


def _log_rates(values: Array, labels: Array, held: Array, count: int) -> Array:
    """Returns the log rate of the values of held-out photos in each group of the others, float [n, count]."""
    if values.dtype.kind == "f":
        edges = np.unique(np.quantile(values[~held], np.arange(1, _BINS) / _BINS))
        codes, kinds = np.searchsorted(edges, values, side="right"), len(edges) + 1
    else:
        names, codes = np.unique(values, return_inverse=True)
        kinds = len(names)
    counts = np.zeros((count, kinds))
    np.add.at(counts, (labels[~held], codes[~held]), 1)
    # One photo is spread over the kinds that a group lacks.
    rates = (counts + 1 / kinds) / (counts.sum(axis=1, keepdims=True) + 1)
    found: Array = np.log(rates)[:, codes[held]].T
    return found


def _balanced(right: Array, groups: Array) -> tuple[float, float]:
    """Returns the mean share of right photos of each group, and its standard error (Agresti and Coull's)."""
    names = np.unique(groups)
    hits = np.array([right[groups == name].sum() for name in names])
    counts = np.array([(groups == name).sum() for name in names])
    softened = (hits + 2) / (counts + 4)
    error = np.sqrt((softened * (1 - softened) / (counts + 4)).sum()) / len(names)
    return float((hits / counts).mean()), float(error)


def _how(name: str, values: Array, member: Array) -> str:
    if name in NUMBERS:
        inside, outside = np.median(values[member]), np.median(values[~member])
        return f"median {inside:.3g}, of the others {outside:.3g}"
    names = np.unique(values)
    shares = [((values[member] == one).mean(), (values[~member] == one).mean()) for one in names]
    most = int(np.argmax([abs(inside - outside) for inside, outside in shares]))
    inside, outside = shares[most]
    return f"{names[most] or 'none'} in {100 * inside:.0f} % of them and {100 * outside:.0f} % of the others"


def noun(fact: str) -> str:
    """Returns what a fact is called in sentences."""
    return NUMBERS[fact][0] if fact in NUMBERS else NAMES[fact]
