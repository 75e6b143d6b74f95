"""The classes that published classifiers know: ImageNet's 1000 (ILSVRC 2012), or 11,221 of ImageNet-21K."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

# Number in WordNet 3.0 and name of each class, in order; `python -m benchmarks.imagenet21k_names` makes it.
TABLE_21K = Path(__file__).with_name("imagenet21k_labels.tsv")
CLASSES_21K = 11221


@functools.cache
def labels(classes: int = 1000) -> tuple[str, ...]:
    """Returns one unique English name a class, in the order of published classifiers: by WordNet's number.

    Args:
      classes: of the classifier, 1000 or 11221.

    Source: the first word of each synset in WordNet 3.0; those that would be alike carry what tells them apart.
    """
    if classes == CLASSES_21K:
        return tuple(line.split("\t")[1] for line in _lines_21k())
    return _lines("imagenet_labels.txt")


@functools.cache
def synsets_21k() -> tuple[int, ...]:
    """Returns the number in WordNet 3.0 of each of the 11,221 classes, in the same order."""
    return tuple(int(line.split("\t")[0]) for line in _lines_21k())


def described(classes: int) -> str:
    """Returns what a classifier of so many classes knows, for texts."""
    return "11,221 classes of ImageNet-21K" if classes == CLASSES_21K else "ImageNet's 1000 classes"


def _lines_21k() -> list[str]:
    return TABLE_21K.read_text(encoding="utf-8").splitlines()


@functools.cache
def synsets() -> tuple[str, ...]:
    """Returns WordNet 3.0's number of each class, n01440764 first, as folders of ImageNet are called."""
    return _lines("imagenet_synsets.txt")


def first_class(labels: Sequence[str]) -> int | None:
    """Returns where ImageNet's classes begin among labels: 0, or 1 behind "background"; None if these are others.

    The first of them is the tench, however the labels spell the rest.
    """
    first = len(labels) - len(synsets())
    is_imagenet = first in (0, 1) and labels[first].lower().startswith("tench")
    return first if is_imagenet else None


def class_of(folder: str) -> int | None:
    """Returns the class that a folder stands for, n01534433 or n01534433_junco; None where it is no such name."""
    found = re.match(r"n\d{8}(?![0-9a-zA-Z])", folder)
    return synsets().index(found[0]) if found and found[0] in synsets() else None


def _lines(file: str) -> tuple[str, ...]:
    return tuple(resources.files("model_maker.data").joinpath(file).read_text(encoding="utf-8").splitlines())
