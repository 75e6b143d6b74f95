"""The 1000 classes of ImageNet (ILSVRC 2012), which published classifiers know."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from importlib import resources


@functools.cache
def labels() -> tuple[str, ...]:
    """Returns one unique English name a class, in the order of published classifiers: by WordNet's number.

    Source: the first word of each synset in WordNet 3.0; four that would be alike carry what tells them apart.
    """
    return _lines("imagenet_labels.txt")


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
