"""Calls of a `Classifier` as a transformers pipeline, which return [{"label": ..., "score": ...}].

Names, defaults and shapes follow `pipeline("image-classification")`; `answer` documents the differences. `Classifier`
computes the scores.
"""

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
# A uint8 output has steps of 1/256, and 0 means anything below half a step.
LEAST = 1 / 512


def each(photos: Photo | Iterable[Photo]) -> Iterable[Photo]:
    """Returns a single photo as a list of one."""
    return [cast(Photo, photos)] if in_memory.is_one(photos) else cast(Iterable[Photo], photos)


def is_lazy(photos: object) -> bool:
    """Whether transformers' pipelines would read these photos lazily: a generator or a dataset."""
    if in_memory.is_array(photos) or isinstance(photos, str | bytes | bytearray | memoryview | list | tuple):
        return False
    if isinstance(photos, Iterator):  # a file is an iterator, too, over its lines
        return not isinstance(photos, in_memory.Stream)
    return _is_data_set(photos)


def is_single(photos: object) -> bool:
    """Whether this is a single photo."""
    return in_memory.is_one(photos)


def items(photos: Any) -> Iterator[Photo]:
    """Yields the photos of a lazy source; PyTorch's datasets have a length and are indexed."""
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
    """Yields photos for `images.load`, or a DataError if one is unavailable.

    Args:
      photos: also http(s) addresses, which are downloaded, `data:` URLs, and streams, which are read in the calling
        thread.
      channels: color order of arrays, one of `in_memory.CHANNELS`.
      timeout: seconds, see `web.fetch`.

    Raises:
      DataError: `channels` is invalid.
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
    """Returns the bytes in a `data:` URL."""
    try:
        return base64.b64decode(address.partition(",")[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"{address[:40]}...: this data: address holds no base64 ({error}).") from error


def check(top_k: int | None, function_to_apply: str | None) -> tuple[int, str]:
    """Returns both arguments, with defaults instead of None.

    Raises:
      DataError: one of them is invalid.
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
    """Returns the best labels of one photo, best first; ignores score thresholds in the model.

    Args:
      scores: float32 [C], the output of the model, whose last operator is a softmax or a sigmoid.
      function: "softmax" (default) for the model's probabilities; "none" for logits; "sigmoid" of the logits. For
        multi-label models, "sigmoid" is the default and returns the model's probabilities.

    A softmax determines logits only up to a constant per photo. It is chosen so that their mean is 0, as for all heads
    fitted on frozen features. A probability that was rounded to 0 counts as half a step of a uint8 output, or half of
    the smallest one, so the logits of a uint8 file have a lower limit.
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
    """Returns the logits of softmax scores, with mean 0."""
    found: Array = np.log(np.where(scores > 0, scores, min(LEAST, scores[scores > 0].min() / 2)))
    centered: Array = found - found.mean()
    return centered


def _odds(scores: Array) -> Array:
    """Returns the logits of sigmoid scores; scores rounded to 0 or 1 count as half a step away from it."""
    inside = np.clip(scores.astype(np.float64), LEAST, 1 - LEAST)
    found: Array = np.log(inside / (1 - inside))
    return found
