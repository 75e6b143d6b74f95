"""Processes photos with workers: on every core, in order, with few in memory."""

import collections
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from model_maker.data import images
from model_maker.errors import DataError
from model_maker.fitting import Fit

Array = np.ndarray
Item = TypeVar("Item")
Result = TypeVar("Result")

# Items in flight for each thread: enough to keep it busy, few enough that memory stays flat.
_AHEAD = 4


def plain(photo, size: int | Fit) -> Array:
    """Loads a photo as its only view: uint8 [1, H, W, 3]."""
    return images.load(photo, size)[None]


def stream(
    photos: Iterable,
    size: int | Fit,
    make_worker: Callable[[], Callable[[Any], Result]],
    *,
    threads: int | None = None,
    load: Callable[..., Any] = plain,
) -> Iterator[Result | DataError]:
    """Loads each photo and passes its pixels to a worker.

    Args:
      photos: whatever `load` takes; a DataError in the place of a photo is passed on.
      size: the input, as `images.load` takes it.
      make_worker: called once in each thread; returns a function from uint8 [K, H, W, 3] to a result. Decoding and
        LiteRT release the global interpreter lock, so threads use all cores.
      threads: number of threads; all cores by default.
      load: returns the K views of a photo, given the photo and the size; by default one view, of anything that
        `images.load` takes.

    Yields:
      For each photo in order, the worker's result, or the DataError with the reason the photo cannot be read.
    """
    own = threading.local()

    def work(photo) -> Result | DataError:
        if isinstance(photo, DataError):
            return photo
        try:
            pixels = load(photo, size)
        except DataError as error:
            return error
        if not hasattr(own, "worker"):
            own.worker = make_worker()
        return own.worker(pixels)

    yield from in_order(work, photos, threads=threads or cores())


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int
) -> Generator[Result, None, None]:
    """Calls a function in threads, a few items ahead; yields what it returns for each item, in order."""
    pool = ThreadPoolExecutor(threads)
    waiting: collections.deque = collections.deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= threads * _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # Also on ctrl-C or when the caller stops early: cancels tasks that have not started.
        pool.shutdown(wait=True, cancel_futures=True)


def cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
