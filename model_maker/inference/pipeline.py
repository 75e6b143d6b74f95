"""What `Classifier(...)` answers when it is called as a pipeline of transformers is: [{"label": ..., "score": ...}].

It follows `pipeline("image-classification")` in names, defaults and shapes; where the two have to differ stands in
`answer`. What photos are worth is `Classifier`'s own matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import numpy as np

from model_maker.data import in_memory
from model_maker.data.images import Photo
from model_maker.data.web import fetch, is_address
from model_maker.errors import DataError

Array = np.ndarray[Any, Any]
Answer = dict[str, Any]

FUNCTIONS = ("softmax", "none", "sigmoid")
TOP_K = 5
# A uint8 output has steps of 1/256, and 0 stands for anything below half of one.
LEAST = 1 / 512


def each(photos: Photo | Iterable[Photo]) -> Iterable[Photo]:
    """Takes one photo alone as a list of one."""
    return [cast(Photo, photos)] if in_memory.is_one(photos) else cast(Iterable[Photo], photos)


def read(photos: Iterable[Photo], *, channels: str = "rgb") -> Iterator[Photo | DataError]:
    """Yields photos as `images.load` takes them, or the DataError that says why one cannot be had.

    Args:
      photos: also http(s) addresses, which are fetched, and streams, which are read here, by one thread.
      channels: the order of colours in arrays, one of `given.CHANNELS`.

    Raises:
      DataError: there is no such order.
    """
    if channels not in in_memory.CHANNELS:
        raise DataError(f"channels={channels!r}: choose one of {', '.join(in_memory.CHANNELS)}.")
    for photo in photos:
        try:
            if isinstance(photo, str) and is_address(photo):
                yield fetch(photo)
            else:
                yield in_memory.read(photo, channels=channels)
        except DataError as error:
            yield error


def check(top_k: int | None, function_to_apply: str | None) -> tuple[int, str]:
    """Returns both with their defaults, which None means, too.

    Raises:
      DataError: one of them means nothing.
    """
    function = str(function_to_apply or "softmax").lower()
    if function not in FUNCTIONS:
        raise DataError(f"function_to_apply={function_to_apply!r}: choose one of {', '.join(FUNCTIONS)}.")
    if top_k is not None and (not isinstance(top_k, int | np.integer) or top_k < 0):
        raise DataError(
            f"top_k={top_k!r}: pass a whole number from 0 on; more than there are labels gives all of them."
        )
    return TOP_K if top_k is None else top_k, function


def answer(scores: Array, labels: Sequence[str], *, top_k: int, function: str) -> list[Answer]:
    """Returns the best labels of one photo, best first; score thresholds in the model play no part.

    Args:
      scores: float32 [C], what the model gives: its last operator is a softmax.
      labels: C names.
      top_k: how many, as `check` returns it.
      function: "softmax" for the probabilities as they are; "none" for logits; "sigmoid" of these.

    A softmax leaves logits but for one number, the same for all labels of a photo. Here their mean is 0, as it is of
    the logits of every head that is fitted on frozen features. A probability that was rounded to 0 counts as half a
    step of a uint8 output, or half of the least one, so the logits of a uint8 file have a floor.
    """
    values = scores
    if function != "softmax":
        logarithms = np.log(np.where(scores > 0, scores, min(LEAST, scores[scores > 0].min() / 2)))
        values = logarithms - logarithms.mean()
    if function == "sigmoid":
        values = 1 / (1 + np.exp(-values))
    ranked = np.argsort(-scores, kind="stable")[:top_k]
    return [{"label": labels[index], "score": float(values[index])} for index in ranked]
