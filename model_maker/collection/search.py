"""search(): finds the photos of a folder that are most similar to a photo, or that match words."""

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_maker.collection import photos, vectors
from model_maker.collection.vectors import Vectors
from model_maker.data.dataset import Dataset
from model_maker.data.entries import Location
from model_maker.data.web import fetch, is_address
from model_maker.errors import DataError
from model_maker.progress import Progress
from model_maker.zero_shot_learning import head, tiers, towers
from model_maker.zero_shot_learning.text_vectors import TEMPLATE, TextVectors, check_template

Array = np.ndarray[Any, Any]

TOP_K = 10


@dataclass(frozen=True)
class Match:
    """A search result.

    The score is the cosine similarity of both photos' embeddings, from -1 to 1; for words the tier's own score for
    ranking. It is not a probability.
    """

    path: Location
    score: float


@dataclass(frozen=True)
class Found:
    """The results of a query.

    Attributes:
      kind: "photo" or "words".
      tier: of `tiers.TIERS`, for words; empty for a photo.
      meaning: the interpretation of words.
      model: the backbone or towers that were used.
      matches: results, best first.
      searched: number of photos compared.
      skipped: number of photos that could not be read.
    """

    query: str
    kind: str
    tier: str
    meaning: str
    model: str
    matches: tuple[Match, ...]
    searched: int
    skipped: int

    def as_dict(self) -> dict[str, Any]:
        """Returns JSON types."""
        return {
            "query": self.query,
            "kind": self.kind,
            "tier": self.tier or None,
            "meaning": self.meaning or None,
            "model": self.model,
            "searched": self.searched,
            "skipped": self.skipped,
            "matches": [{"photo": str(match.path), "score": round(match.score, 6)} for match in self.matches],
        }


def search(
    data: str | os.PathLike[str],
    query: str | os.PathLike[str],
    *,
    top_k: int = TOP_K,
    model: str = "efficientnet_lite0",
    tier: str | None = None,
    text_vectors: str | os.PathLike[str] | None = None,
    tower: str | None = None,
    accept_licence: str | None = None,
    hypothesis_template: str = TEMPLATE,
    progress: Progress | None = None,
) -> Found:
    """Finds the photos of a folder that are most similar to a photo, or that match words.

    Embeddings are cached by content hash, so only new photos are embedded.

    Args:
      data: the folder; photos may lie in folders of any depth.
      query: the path or the http(s) address of a photo, or words.
      top_k: maximum number of results.
      model: the backbone to use; not used by the tier "pictures".
      tier: for words, a key of `tiers.TIERS`; "known" by default.
      text_vectors: a folder with `names.txt` and `vectors.npy`, for the tier "words".
      tower: which CLIP towers; the default ones where not given.
      accept_licence: the licence that you accept, for towers that are not for every use.
      hypothesis_template: the sentence that a text tower reads, with {} for the words.
      progress: receives stages, steps and notes.

    Returns:
      Found.

    Raises:
      DataError: the folder holds no photos, the query cannot be read, or the words are unknown to the tier.

    Examples:
      >>> import model_maker
      >>> len(model_maker.search("flowers", "rose.jpg", top_k=3).matches)
      3
    """
    if not isinstance(top_k, int) or top_k < 1:
        raise DataError(f"`top_k={top_k}`: give a whole number from 1 on.")
    report, text = Progress(progress), os.fspath(query)
    known_vectors = tiers.read_vectors(text_vectors)
    is_photo, chosen = is_address(text) or Path(text).is_file(), ""
    if is_photo and (tier or known_vectors or tower or accept_licence):
        raise DataError(f"{text} is a photo, which is compared with photos: leave out what is about words.")
    if not is_photo:
        check_template(hypothesis_template)
        chosen = _tier(text, tier, known_vectors, head.classes_of(model))
        if chosen in tiers.WITH_TOWERS and known_vectors is None:
            towers.check(tower, accept_licence=accept_licence)
    with report.stage("List photos"):
        pile = photos.read(data, progress=report)
    if is_photo:
        compared = _with_photo(text, pile, model, report)
    elif chosen == tiers.PICTURES:
        compared = _with_towers(hypothesis_template.replace("{}", text), pile, tower, accept_licence, report)
    else:
        if chosen == tiers.WORDS and known_vectors is None:
            known_vectors = tiers.tower(tower, hypothesis_template, accept_licence=accept_licence, progress=report)
        compared = _with_words(text, pile, model, known_vectors, report)
    for one in (*pile.skipped, *compared.vectors.skipped):
        report.note(f"{one.path}: {one.reason}; it is not searched.")
    with report.stage("Compare"):
        scores = compared.vectors.compare(compared.direction, cosine=compared.cosine)
    found = compared.vectors.photos
    matches = tuple(Match(found.samples[row].path, float(scores[row])) for row in best(scores, top_k))
    kind, skipped = "photo" if is_photo else "words", len(pile) + len(pile.skipped) - len(found)
    return Found(text, kind, chosen, compared.meaning, compared.model, matches, len(found), skipped)


@dataclass(frozen=True)
class _Compared:
    """Vectors of photos, and the query to compare them with, float [E]; `cosine` is whether to ignore lengths."""

    vectors: Vectors
    direction: Array
    cosine: bool
    model: str
    meaning: str = ""


def _tier(text: str, tier: str | None, known_vectors: TextVectors | None, classes: int) -> str:
    """Returns the tier for a text query."""
    if not text.strip():
        raise DataError("The query is empty. Give the path of a photo, or words.")
    try:
        return tiers.choose([text], tier, known_vectors, classes=classes)
    except DataError as error:
        raise DataError(f"{text} is not a photo, and as words: {error}") from error


def _with_photo(text: str, pile: Dataset, model: str, report: Progress) -> _Compared:
    with report.stage(f"Prepare {model}"):
        backbone = vectors.prepared(model, progress=report)
        direction = vectors.of_photo(fetch(text) if is_address(text) else Path(text), backbone)
    with report.stage("Embed new photos"):
        found = vectors.by_backbone(pile, backbone, progress=report)
    return _Compared(found, direction, True, backbone.name)


def _with_words(text: str, pile: Dataset, model: str, known_vectors: TextVectors | None, report: Progress) -> _Compared:
    with report.stage(f"Prepare {model}"):
        published = head.published(model, progress=report)
        backbone = vectors.prepared(model, progress=report)
        direction, meaning = tiers.direction(text, published, known_vectors, progress=report)
    with report.stage("Embed new photos"):
        found = vectors.by_backbone(pile, backbone, progress=report)
    return _Compared(found, direction, False, backbone.name, meaning)


def _with_towers(sentence: str, pile: Dataset, tower: str | None, accepted: str | None, report: Progress) -> _Compared:
    name = tower or towers.default()
    with report.stage(f"Prepare {name}"):
        [direction] = towers.open_text(tower, accept_licence=accepted, progress=report).embed([sentence])
    with report.stage("Embed new photos"):
        opened = functools.partial(towers.open_image, tower, accept_licence=accepted, progress=report)
        found = vectors.by_tower(pile, opened, name=name, size=len(direction), progress=report)
    return _Compared(found, direction, True, name, sentence)


def best(scores: Array, count: int) -> Array:
    """Returns the indices of the highest scores, the highest first, ties by index."""
    if count < len(scores):
        threshold = np.partition(scores, -count)[-count]
        candidates = np.flatnonzero(scores >= threshold)
    else:
        candidates = np.arange(len(scores))
    ranked: Array = candidates[np.argsort(-scores[candidates], kind="stable")][:count]
    return ranked
