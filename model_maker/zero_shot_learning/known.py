"""The tier "known": labels that are ImageNet classes, or kinds of them in WordNet, from published kernels alone."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from model_maker.data import imagenet, wordnet
from model_maker.data.wordnet import Meaning
from model_maker.errors import DataError
from model_maker.zero_shot_learning import head
from model_maker.zero_shot_learning.head import PublishedHead, ZeroShotHead
from model_maker.zero_shot_learning.label_names import listed

Array = np.ndarray[Any, Any]

NAME = "known"
SOURCE = "WordNet 3.0"
_FEW = 3


def unknown(labels: Sequence[str], classes: int = 1000) -> list[str]:
    """Returns the labels that have no meaning here."""
    return [label for label in labels if wordnet.find(label, classes) is None]


def fit(labels: tuple[str, ...], published: PublishedHead, *, distinct: bool = True) -> ZeroShotHead:
    """Gives each label the mean kernel of the ImageNet classes that are of its kind.

    Raises:
      DataError: a label is not known, or two labels mean the same classes and have to be distinct.
    """
    classes = len(published.kernel)
    if lacking := unknown(labels, classes):
        raise DataError(refusal(lacking, classes))
    found = _meanings(labels, classes)
    if distinct:
        _check_different(labels, found, classes)
    kernel = np.stack([published.kernel[list(one.classes)].astype(np.float64).mean(axis=0) for one in found])
    bias = np.array([published.bias[list(one.classes)].astype(np.float64).mean() for one in found])
    told = tuple(describe(label, one, classes) for label, one in zip(labels, found, strict=True))
    return head.centered(labels, kernel, bias, tier=NAME, meanings=told, source=SOURCE)


def direction(text: str, published: PublishedHead) -> tuple[Array, str]:
    """Returns the mean kernel of the classes that a text means, less that of all, and what it was taken for.

    Raises:
      DataError: it has no meaning here.
    """
    classes = len(published.kernel)
    meaning = wordnet.find(text, classes)
    if meaning is None:
        raise DataError(refusal([text], classes))
    return published.centered[list(meaning.classes)].mean(axis=0), describe(text, meaning, classes)


def refusal(lacking: Sequence[str], classes: int = 1000) -> str:
    """Says which labels are not known, and what is known that is near."""
    near = []
    for label in lacking[:_FEW]:
        names = wordnet.nearest(label, classes=classes)
        near.append(f"{label} (nearest: {', '.join(names)})" if names else label)
    more = f" and {len(lacking) - _FEW} more" if len(lacking) > _FEW else ""
    return f"Unknown labels: {'; '.join(near)}{more}. The tier known has {wordnet.count(classes):,} names: " + (
        "ImageNet's classes and their hypernyms in WordNet." if classes == 1000 else "the classes of ImageNet-21K."
    )


def describe(label: str, meaning: Meaning, classes: int = 1000) -> str:
    """Says what a label was taken for."""
    names = [imagenet.labels(classes)[index] for index in meaning.classes]
    if len(names) == 1:
        text = f"ImageNet's class {names[0]}"
    else:
        text = f"{meaning.names[0]}: {len(names)} ImageNet classes, {listed(names, _FEW)}"
    if meaning.sense > 1:
        text += f"; not the most common meaning of {label}"
    if meaning.others:
        text += f"; another meaning: {listed(meaning.others, _FEW)}"
    return text


def _meanings(labels: Sequence[str], classes: int) -> list[Meaning]:
    """Returns what each label means: its most common meaning, or the ImageNet class of that name beside another label.

    So "pot" is a cooking pot, but beside the label of that class it is the flowerpot that ImageNet calls pot.
    """
    found = [meaning for label in labels if (meaning := wordnet.find(label, classes)) is not None]
    if classes != 1000:
        return found
    counts = Counter(meaning.classes for meaning in found)
    return [
        wordnet.own_class(label) or meaning if counts[meaning.classes] > 1 else meaning
        for label, meaning in zip(labels, found, strict=True)
    ]


def _check_different(labels: Sequence[str], meanings: Sequence[Meaning], classes: int) -> None:
    seen: dict[tuple[int, ...], str] = {}
    for label, meaning in zip(labels, meanings, strict=True):
        if (other := seen.setdefault(meaning.classes, label)) != label:
            raise DataError(
                f"{other} and {label} mean the same here ({describe(label, meaning, classes)}), so no photo can tell "
                "them apart. Leave one out."
            )
