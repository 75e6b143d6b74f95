"""What `Classifier(...)` answers when it is called as a pipeline of transformers is: [{"label": ..., "score": ...}].

It follows `pipeline("image-classification")` in names, defaults and shapes; where the two have to differ stands in
`answer`. What photos are worth is `Classifier`'s own matter.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import numpy as np

from model_maker.data import in_memory
from model_maker.data.images import Photo
from model_maker.data.web import TIMEOUT_S, fetch, is_address
from model_maker.errors import DataError

Array = np.ndarray[Any, Any]
Answer = dict[str, Any]

__all__ = ["TIMEOUT_S", "Answer", "answer", "check", "each", "is_lazy", "is_single", "items", "read"]

FUNCTIONS = ("default", "softmax", "none", "sigmoid")
TOP_K = 5
# A uint8 output has steps of 1/256, and 0 stands for anything below half of one.
LEAST = 1 / 512


def each(photos: Photo | Iterable[Photo]) -> Iterable[Photo]:
    """Takes one photo alone as a list of one."""
    return [cast(Photo, photos)] if in_memory.is_one(photos) else cast(Iterable[Photo], photos)


def is_lazy(photos: object) -> bool:
    """Whether these are photos that transformers' pipelines read as they are asked: a generator or a dataset."""
    if in_memory.is_array(photos) or isinstance(photos, str | bytes | bytearray | memoryview | list | tuple):
        return False
    if isinstance(photos, Iterator):  # a file is one, too, of its lines
        return not isinstance(photos, in_memory.Stream)
    return _is_data_set(photos)


def is_single(photos: object) -> bool:
    """Whether this is one photo, not several."""
    return in_memory.is_one(photos)


def items(photos: Any) -> Iterator[Photo]:
    """Yields the photos of what `is_lazy`; PyTorch's datasets have a length and are asked by number."""
    yield from (photos[index] for index in range(len(photos))) if _is_data_set(photos) else photos


def _is_data_set(photos: object) -> bool:
    return (
        hasattr(photos, "__getitem__")
        and hasattr(photos, "__len__")
        and not isinstance(photos, str | bytes | bytearray | memoryview | list | tuple | dict)
        and not in_memory.is_array(photos)
    )


def read(
    photos: Iterable[Photo], *, channels: str = "rgb", timeout: float | None = None
) -> Iterator[Photo | DataError]:
    """Yields photos as `images.load` takes them, or the DataError that says why one cannot be had.

    Args:
      photos: also http(s) addresses, which are fetched, `data:` ones, and streams, which are read here, by one thread.
      channels: the order of colours in arrays, one of `in_memory.CHANNELS`.
      timeout: seconds, see `web.fetch`.

    Raises:
      DataError: there is no such order.
    """
    if channels not in in_memory.CHANNELS:
        raise DataError(f"channels={channels!r}: choose one of {', '.join(in_memory.CHANNELS)}.")
    for photo in photos:
        try:
            if isinstance(photo, str) and is_address(photo):
                yield fetch(photo, timeout=timeout)
            elif isinstance(photo, str) and photo[:11].lower() == "data:image/":
                yield _inline(photo)
            else:
                yield in_memory.read(photo, channels=channels)
        except DataError as error:
            yield error


def _inline(address: str) -> bytes:
    """Returns the bytes in a `data:` address."""
    try:
        return base64.b64decode(address.partition(",")[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"{address[:40]}...: this data: address holds no base64 ({error}).") from error


def check(top_k: int | None, function_to_apply: str | None) -> tuple[int, str]:
    """Returns both with their defaults, which None means, too.

    Raises:
      DataError: one of them means nothing.
    """
    function = str(function_to_apply or "default").lower()
    if function not in FUNCTIONS:
        raise DataError(f"function_to_apply={function_to_apply!r}: choose one of {', '.join(FUNCTIONS)}.")
    if top_k is not None and (not isinstance(top_k, int | np.integer) or top_k < 0):
        raise DataError(
            f"top_k={top_k!r}: pass a whole number from 0 on; more than there are labels gives all of them."
        )
    return TOP_K if top_k is None else top_k, function


def answer(
    scores: Array, labels: Sequence[str], *, top_k: int, function: str, multi_label: bool = False
) -> list[Answer]:
    """Returns the best labels of one photo, best first; score thresholds in the model play no part.

    Args:
      scores: float32 [C], what the model gives: its last operator is a softmax, or a sigmoid.
      labels: C names.
      top_k: how many, as `check` returns it.
      function: "softmax" for the probabilities as they are, which is also the default; "none" for logits; "sigmoid" of
        these. Of a model of several labels, "sigmoid" gives the probabilities as they are, and is the default.
      multi_label: whether the model gives several labels.

    A softmax leaves logits but for one number, the same for all labels of a photo. Here their mean is 0, as it is of
    the logits of every head that is fitted on frozen features. A probability that was rounded to 0 counts as half a
    step of a uint8 output, or half of the least one, so the logits of a uint8 file have a floor.
    """
    values = scores
    if function not in ("default", "sigmoid" if multi_label else "softmax"):
        values = _odds(scores) if multi_label else _logits(scores)
        if function == "sigmoid":
            values = 1 / (1 + np.exp(-values))
        if function == "softmax":
            values = np.exp(values - values.max())
            values = values / values.sum()
    ranked = np.argsort(-scores, kind="stable")[:top_k]
    return [{"label": labels[index], "score": float(values[index])} for index in ranked]


def _logits(scores: Array) -> Array:
    """Returns what a softmax made the scores of, with the mean 0."""
    found: Array = np.log(np.where(scores > 0, scores, min(LEAST, scores[scores > 0].min() / 2)))
    centered: Array = found - found.mean()
    return centered


def _odds(scores: Array) -> Array:
    """Returns what a sigmoid made the scores of; those that were rounded to 0 or 1 count as half a step from there."""
    inside = np.clip(scores.astype(np.float64), LEAST, 1 - LEAST)
    found: Array = np.log(inside / (1 - inside))
    return found
