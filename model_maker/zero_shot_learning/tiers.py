"""TIERS: how labels without photos become a classifier, and which of them answers."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from model_maker.errors import DataError
from model_maker.progress import SILENT, Progress
from model_maker.zero_shot_learning import known, towers, words
from model_maker.zero_shot_learning.head import PublishedHead, ZeroShotHead
from model_maker.zero_shot_learning.text_vectors import TEMPLATE, PromptedTower, TextVectors, VectorFile

Array = np.ndarray[Any, Any]

WORDS, PICTURES = words.NAME, "pictures"
# Name to what it needs.
TIERS = {
    known.NAME: "nothing but the weights of the backbone; labels are ImageNet classes or kinds of them in WordNet",
    words.NAME: "a text tower, or a folder of text vectors; any words",
    PICTURES: "a text tower and an image tower; any words, the towers answer themselves",
}
WITH_TOWERS = (WORDS, PICTURES)


def choose(labels: Sequence[str], tier: str | None, vectors: TextVectors | None = None, *, classes: int = 1000) -> str:
    """Returns the tier that is to answer.

    Args:
      tier: a key of TIERS; None for "words" where vectors are given, else for "known".
      classes: of the published classifier, see `head.classes_of`.

    Raises:
      DataError: there is no such tier, or a label is not known and nothing says where its meaning is to come from.
    """
    if tier is not None and tier not in TIERS:
        raise DataError(f"There is no tier {tier!r}: choose one of {', '.join(TIERS)}.")
    chosen = tier or (words.NAME if vectors else known.NAME)
    if chosen == known.NAME:
        if vectors:
            raise DataError('Text vectors belong to the tier "words": leave them out, or choose that tier.')
        if lacking := known.unknown(labels, classes):
            raise DataError(
                f"{known.refusal(lacking, classes)} Other words need a text tower: `tier=words`, or `tier=pictures`."
            )
    return chosen


def fit(
    labels: tuple[str, ...],
    published: PublishedHead,
    tier: str,
    vectors: TextVectors | None = None,
    *,
    progress: Progress = SILENT,
) -> ZeroShotHead:
    """Makes a head for labels by a tier that was chosen; "words" without vectors asks the default text tower.

    Raises:
      DataError: the tier cannot make one of these labels.
    """
    if tier == known.NAME:
        return known.fit(labels, published)
    if tier == words.NAME:
        return words.fit(labels, published, vectors or tower(progress=progress), progress=progress)
    raise DataError('The tier "pictures" answers from two towers and gives no head: use `tier=known` or `tier=words`.')


def direction(
    text: str, published: PublishedHead, vectors: TextVectors | None = None, *, progress: Progress = SILENT
) -> tuple[Array, str]:
    """Returns the direction in which embeddings show what words mean, float64 [D], and what they were taken for.

    It leads away from the mean of all ImageNet classes; without vectors the words have to be known.

    Raises:
      DataError: the words have no meaning here.
    """
    if vectors is not None:
        return words.kernels([text], published, vectors, progress=progress)[0], f"by a text vector ({vectors.name})"
    return known.direction(text, published)


def read_vectors(folder: str | os.PathLike[str] | None) -> TextVectors | None:
    """Returns the text vectors in a folder; None for none."""
    return None if folder is None else VectorFile(folder)


def tower(
    name: str | None = None,
    template: str = TEMPLATE,
    *,
    accept_licence: str | None = None,
    progress: Progress = SILENT,
) -> TextVectors:
    """Opens a text tower.

    Args:
      name: a key of `model_maker.clip.records.TOWERS`; its default where not given.
      template: see `PromptedTower`.
      accept_licence: the licence that the user accepts, of a tower that is not for every use.

    Raises:
      ModelMakerError: its weights cannot be had, or their licence has to be accepted first.
    """
    opened = towers.open_text(name, accept_licence=accept_licence, progress=progress)
    terms = opened.record.terms
    licence = f"{terms}: {terms.notice}" if terms else ""
    return PromptedTower(opened.embed, name or towers.default(), template, licence=licence)
