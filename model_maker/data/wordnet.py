"""What words mean among ImageNet's 1000 classes: their names, and those of all kinds above them in WordNet.

The table beside this module is made by `python -m benchmarks.wordnet_names` from WordNet 3.0, whose licence lies beside
it, too. Each line is a meaning: its names, then the lines of the kinds right above it. The first 1000 are ImageNet's
classes, in order. `name#3` says that this is the third meaning of the name in WordNet; the first is the most frequent.
"""

from __future__ import annotations

import difflib
import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model_maker.data import imagenet

TABLE = Path(__file__).with_name("wordnet_names.tsv")
LICENCE = Path(__file__).with_name("wordnet_licence.txt")
# WordNet's own rules for plurals of nouns, see morphy(7WN).
_PLURALS = (
    ("s", ""),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
    ("ves", "f"),
)


@dataclass(frozen=True)
class Meaning:
    """What a word means here.

    Attributes:
      names: all names of the meaning, as WordNet spells them.
      classes: indices of the ImageNet classes that are of this kind, in order.
      sense: which of all meanings of the word in WordNet it is, the most frequent being 1.
      others: names of its other meanings that have ImageNet classes below them.
    """

    names: tuple[str, ...]
    classes: tuple[int, ...]
    sense: int = 1
    others: tuple[str, ...] = ()


def find(word: str, classes: int = 1000) -> Meaning | None:
    """Returns what a word means, singular or plural; its most frequent meaning of those that are known.

    ImageNet's own labels, such as "crane (machine)", mean their class. Among the 11,221 classes of ImageNet-21K, which
    hold kinds themselves, a word means the class of that name alone.

    Examples:
      >>> from model_maker.data import wordnet
      >>> len(wordnet.find("dogs").classes), wordnet.find("gryphon")
      (118, None)
    """
    if classes == imagenet.CLASSES_21K:
        row = next((_rows_21k()[name] for name in forms(word) if name in _rows_21k()), None)
        return None if row is None else Meaning((imagenet.labels(classes)[row],), (row,))
    table = _table()
    for name in forms(word):
        if rows := table.rows.get(name):
            (sense, row), *others = rows
            told = tuple(_told_apart(name, one, table.names[one]) for _, one in others)
            return Meaning(table.names[row], table.classes[row], sense, told)
    return None


def own_class(label: str) -> Meaning | None:
    """Returns the meaning of a label of ImageNet's, whatever else the word means more often."""
    if label not in imagenet.labels():
        return None
    index, table = imagenet.labels().index(label), _table()
    sense = next((sense for sense, row in table.rows[normalized(label)] if row == index), 1)
    return Meaning(table.names[index], (index,), sense)


def nearest(word: str, number: int = 5, classes: int = 1000) -> list[str]:
    """Returns known names that are spelled most like a word, or have it as one of their words, best first."""
    word, names = normalized(word), list(_rows_21k() if classes == imagenet.CLASSES_21K else _table().rows)
    close = difflib.get_close_matches(word, names, n=number, cutoff=0.75)
    having = [name for name in names if word in name.split() or name in word.split()]
    having.sort(key=lambda name: (abs(len(name) - len(word)), name))
    return list(dict.fromkeys((*close, *having)))[:number]


def names_of_class(index: int) -> tuple[str, ...]:
    """Returns the names of an ImageNet class, the label of it first."""
    return tuple(dict.fromkeys((imagenet.labels()[index], *_table().names[index])))


def kinds(most: int) -> dict[str, tuple[int, ...]]:
    """Returns one name of each meaning with up to so many ImageNet classes, and these; the classes themselves first.

    Of a name that several meanings share only the first is there.
    """
    table, found = _table(), dict[str, tuple[int, ...]]()
    for row, (names, classes) in enumerate(zip(table.names, table.classes, strict=True)):
        name = imagenet.labels()[row] if row < len(imagenet.labels()) else names[0]
        if len(classes) <= most:
            found.setdefault(name, classes)
    return found


def count(classes: int = 1000) -> int:
    """Returns how many names are known."""
    return len(_rows_21k() if classes == imagenet.CLASSES_21K else _table().rows)


def normalized(word: str) -> str:
    """Returns a word as names are compared: lower case, underscores and hyphens as spaces."""
    return " ".join(word.lower().replace("_", " ").replace("-", " ").split())


def forms(word: str) -> Iterator[str]:
    """Yields what a word may stand as among names: itself, then what it may be the plural of."""
    word = normalized(word)
    yield word
    for ending, singular in _PLURALS:
        if word.endswith(ending) and len(word) > len(ending) + 1:
            yield word.removesuffix(ending) + singular


@functools.cache
def _rows_21k() -> dict[str, int]:
    """Returns the class of each name; what tells a label from others in parentheses may be left out if one remains."""
    labels = imagenet.labels(imagenet.CLASSES_21K)
    found = {normalized(label): row for row, label in enumerate(labels)}
    bare = [normalized(label.partition(" (")[0]) for label in labels]
    once = Counter(bare)
    return found | {name: row for row, name in enumerate(bare) if once[name] == 1}


@dataclass(frozen=True)
class _Table:
    names: list[tuple[str, ...]]
    classes: list[tuple[int, ...]]
    rows: dict[str, list[tuple[int, int]]]  # normalized name -> (sense, line), the most frequent first


@functools.cache
def _table() -> _Table:
    names, parents, found = [], [], []
    for row, line in enumerate(TABLE.read_text(encoding="utf-8").splitlines()):
        spelled, above = line.split("\t")
        parents.append([int(parent) for parent in above.split()])
        parts = [name.partition("#") for name in spelled.split(",")]
        names.append(tuple(name for name, _, _ in parts))
        found += [(normalized(name), int(sense or 1), row) for name, _, sense in parts]
    below: list[set[int]] = [set() for _ in names]
    for index in range(len(imagenet.labels())):
        for row in _upward(index, parents):
            below[row].add(index)
    rows: dict[str, list[tuple[int, int]]] = {}
    for name, sense, row in sorted(found, key=lambda one: one[1]):
        rows.setdefault(name, []).append((sense, row))
    for index, label in enumerate(imagenet.labels()):
        if "(" in label:
            rows[normalized(label)] = [(1, index)]
    return _Table(names, [tuple(sorted(classes)) for classes in below], rows)


def _upward(row: int, parents: list[list[int]]) -> set[int]:
    found, waiting = set(), [row]
    while waiting:
        if (one := waiting.pop()) not in found:
            found.add(one)
            waiting += parents[one]
    return found


def _told_apart(word: str, row: int, names: tuple[str, ...]) -> str:
    """Returns a name of a meaning that is another than the word, if it has one."""
    labels = imagenet.labels()
    every = (labels[row], *names) if row < len(labels) else names
    return next((name for name in every if normalized(name) != word), names[0])
