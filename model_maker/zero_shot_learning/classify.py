"""zero_shot(): photos classified by labels that are given with them, as transformers' zero-shot pipeline does."""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from model_maker.data import in_memory
from model_maker.data.images import Photo
from model_maker.errors import DataError
from model_maker.inference import pipeline_answers
from model_maker.inference.classifier import FileClassifier, Prediction
from model_maker.inference.pipeline_answers import Answer
from model_maker.inference.precision_thresholds import UNKNOWN
from model_maker.progress import Progress
from model_maker.zero_shot_learning import head, int8_model, label_names, tiers, towers
from model_maker.zero_shot_learning.text_vectors import TEMPLATE, check_template
from model_maker.zero_shot_learning.towers import ImageTowerLike, TextTowerLike

Array = np.ndarray[Any, Any]

_BACKBONE = "efficientnet_lite0"


class Answering(Protocol):
    """What scores photos by labels."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the scores."""

    def scores(self, photos: Iterable[Photo | DataError]) -> Iterator[Array | DataError]:
        """Yields float32 [C] for each photo in order, or the DataError that says why it cannot be read."""

    def rank(self, scores: Array, *, top_k: int | None = ..., threshold: float | None = ...) -> list[Prediction]:
        """Returns the best labels of a row of scores."""


@dataclasses.dataclass(frozen=True)
class ZeroShot:
    """A scorer of photos, its tier of `tiers.TIERS`, the source of the words that it knows, and what labels mean."""

    classifier: Answering
    tier: str
    source: str
    meanings: dict[str, str]


def zero_shot(
    images: Photo | Iterable[Photo],
    candidate_labels: Sequence[str] | str,
    *,
    hypothesis_template: str = TEMPLATE,
    model: str = _BACKBONE,
    tier: str | None = None,
    text_vectors: str | os.PathLike[str] | None = None,
    tower: str | None = None,
    accept_licence: str | None = None,
    progress: Progress | None = None,
) -> list[Answer] | list[list[Answer]]:
    """Classifies photos by labels that no model was trained on, as `pipeline("zero-shot-image-classification")` does.

    Args:
      images: one photo or several, as `Classifier.predict` takes them.
      candidate_labels: two or more, as a list or in one text with commas.
      hypothesis_template: the sentence that a text tower reads, with {} for the label; the tier "known" reads none.
      model: the backbone of the tiers "known" and "words".
      tier: "known" where every label is known (the default), "words" or "pictures".
      text_vectors: a folder with `names.txt` and `vectors.npy`, for the tier "words".
      tower: which CLIP towers; the default ones where not given.
      accept_licence: the licence that you accept, for towers that are not for every use.
      progress: receives stages, and a note of the tier that answers.

    Returns:
      [{"label": str, "score": float}], best first, for one photo; a list of such lists for several.

    Raises:
      DataError: a photo cannot be read, or labels and tier do not go together.

    Examples:
      >>> import model_maker
      >>> model_maker.zero_shot("rose.jpg", candidate_labels=["flower", "dog"])[0]["label"]
      'flower'
    """
    labels = label_names.parse(candidate_labels) if isinstance(candidate_labels, str) else candidate_labels
    found = prepare(
        labels,
        hypothesis_template=hypothesis_template,
        model=model,
        tier=tier,
        text_vectors=text_vectors,
        tower=tower,
        accept_licence=accept_licence,
        progress=Progress(progress),
    )
    rows = []
    for scores in found.classifier.scores(pipeline_answers.read(pipeline_answers.each(images))):
        if isinstance(scores, DataError):
            raise scores
        rows.append(pipeline_answers.answer(scores, found.classifier.labels, top_k=len(labels), function="softmax"))
    return rows[0] if in_memory.is_one(images) else rows


def prepare(
    labels: Sequence[str],
    *,
    hypothesis_template: str = TEMPLATE,
    model: str = _BACKBONE,
    tier: str | None = None,
    text_vectors: str | os.PathLike[str] | None = None,
    tower: str | None = None,
    accept_licence: str | None = None,
    progress: Progress,
) -> ZeroShot:
    """Makes ready what answers; see `zero_shot`."""
    check_template(hypothesis_template)
    checked, vectors = label_names.check(labels), tiers.read_vectors(text_vectors)
    chosen = tiers.choose(checked, tier, vectors, classes=head.classes_of(model))
    if chosen == tiers.PICTURES:
        text, image = towers.open_both(tower, accept_licence=accept_licence, progress=progress)
        found = by_pictures(checked, text, image, template=hypothesis_template, name=tower or towers.default())
    else:
        if chosen == tiers.WORDS and vectors is None:
            vectors = tiers.tower(tower, hypothesis_template, accept_licence=accept_licence, progress=progress)
        made = int8_model.build(checked, model=model, tier=chosen, vectors=vectors, progress=progress)
        meanings = dict(zip(checked, made.head.meanings, strict=True))
        found = ZeroShot(FileClassifier(made.file()), chosen, made.head.source, meanings)
    progress.note(f"The tier {found.tier} answers ({found.source}).")
    return found


def by_pictures(
    labels: tuple[str, ...], text: TextTowerLike, image: ImageTowerLike, *, template: str = TEMPLATE, name: str
) -> ZeroShot:
    """Makes ready the two towers, which compare photos with sentences themselves."""
    sentences = [template.replace("{}", label) for label in labels]
    meanings = dict(zip(labels, sentences, strict=True))
    return ZeroShot(_Towers(labels, text.embed(sentences), text, image), tiers.PICTURES, name, meanings)


class _Towers:
    """Scores photos by their similarity to the sentences of C labels, whose vectors are float32 [C, E].

    The text tower knows what similarities are worth.
    """

    def __init__(self, labels: tuple[str, ...], vectors: Array, text: TextTowerLike, image: ImageTowerLike):
        self.labels, self._vectors, self._text, self._image = labels, vectors, text, image

    def scores(self, photos: Iterable[Photo | DataError]) -> Iterator[Array | DataError]:
        for vector in towers.embed_each(photos, self._image):
            yield vector if isinstance(vector, DataError) else towers.scores(self._vectors @ vector, self._text)

    def rank(self, scores: Array, *, top_k: int | None = 5, threshold: float | None = None) -> list[Prediction]:
        ranked = np.argsort(-scores, kind="stable")[:top_k]
        kept = [index for index in ranked if threshold is None or scores[index] >= threshold]
        if not kept:
            return [Prediction(UNKNOWN, float(scores.max()), -1)]
        return [Prediction(self.labels[index], float(scores[index]), int(index)) for index in kept]
