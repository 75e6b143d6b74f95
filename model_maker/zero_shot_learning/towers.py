"""The towers of CLIP as the tiers use them: opened when they are needed, and what their similarities are worth."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np

from model_maker.data.images import Photo
from model_maker.errors import DataError
from model_maker.progress import SILENT, Progress

Array = np.ndarray[Any, Any]

# Photos that a tower is given at once.
BATCH = 64


class TowerRecord(Protocol):
    """What is known of a pair of towers.

    Attributes:
      scores: "softmax" over the labels, or "sigmoid" of each.
      terms: what a licence that is not for every use says, with its `notice`; None of others.
    """

    @property
    def scores(self) -> str: ...

    @property
    def terms(self) -> Any: ...


class TextTowerLike(Protocol):
    """From texts to vectors.

    Attributes:
      record: of the pair.
      logit_scale, logit_bias: `similarity * logit_scale + logit_bias` is what scores are made of.
    """

    @property
    def record(self) -> TowerRecord: ...

    @property
    def logit_scale(self) -> float: ...

    @property
    def logit_bias(self) -> float: ...

    def embed(self, texts: Sequence[str]) -> Array:
        """Returns float32 [N, E], rows of length 1."""


class ImageTowerLike(Protocol):
    """From photos to vectors of the same space."""

    def embed(self, photos: Iterable[Photo]) -> Array:
        """Returns float32 [N, E], rows of length 1.

        Raises:
          DataError: a photo cannot be read.
        """


def embed_each(photos: Iterable[Photo | DataError], tower: ImageTowerLike) -> Iterator[Array | DataError]:
    """Yields the vector of each photo in order, or the DataError that says why there is none.

    A tower takes long to be made ready, so it is given many photos at once; fewer only to find one it cannot read.
    """
    waiting = iter(photos)
    while some := list(islice(waiting, BATCH)):
        found = iter(_embedded([photo for photo in some if not isinstance(photo, DataError)], tower))
        yield from (photo if isinstance(photo, DataError) else next(found) for photo in some)


def _embedded(photos: Sequence[Photo], tower: ImageTowerLike) -> list[Array | DataError]:
    if not photos:
        return []
    try:
        return list(tower.embed(photos))
    except DataError as error:
        if len(photos) == 1:
            return [error]
    half = len(photos) // 2
    return [*_embedded(photos[:half], tower), *_embedded(photos[half:], tower)]


def scores(similarities: Array, text: TextTowerLike) -> Array:
    """Returns the scores of similarities of a photo and texts, float32 [C]."""
    logits = similarities.astype(np.float64) * text.logit_scale + text.logit_bias
    if text.record.scores == "sigmoid":
        found: Array = 1 / (1 + np.exp(-logits))
    else:
        shifted = np.exp(logits - logits.max())
        found = shifted / shifted.sum()
    return found.astype(np.float32)


def default() -> str:
    """Returns the name of the towers that answer where none are named."""
    from model_maker.clip import records

    name: str = records.DEFAULT
    return name


def check(name: str | None = None, *, accept_licence: str | None = None) -> None:
    """Checks before any work that towers can be opened.

    Raises:
      BackboneError: there are none of that name, or their licence has to be accepted first.
    """
    from model_maker.clip import records

    records.get(name or default(), accept_licence=accept_licence)


def open_text(
    name: str | None = None, *, accept_licence: str | None = None, progress: Progress = SILENT
) -> TextTowerLike:
    """Opens a text tower.

    Raises:
      ModelMakerError: its weights cannot be had, or their licence has to be accepted first.
    """
    from model_maker.clip import text

    found: TextTowerLike = text.TextTower(name or default(), accept_licence=accept_licence, progress=progress)
    return found


def open_image(
    name: str | None = None, *, accept_licence: str | None = None, progress: Progress = SILENT
) -> ImageTowerLike:
    """Opens an image tower; see `open_text`."""
    from model_maker.clip import image

    found: ImageTowerLike = image.ImageTower(name or default(), accept_licence=accept_licence, progress=progress)
    return found


def open_both(
    name: str | None = None, *, accept_licence: str | None = None, progress: Progress = SILENT
) -> tuple[TextTowerLike, ImageTowerLike]:
    """Opens a pair of towers; see `open_text`."""
    text = open_text(name, accept_licence=accept_licence, progress=progress)
    return text, open_image(name, accept_licence=accept_licence, progress=progress)
