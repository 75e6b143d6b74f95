"""Inputs of `predict`: photos, and also patterns, lists, videos, cameras and streams."""

from __future__ import annotations

import glob
import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model_maker.data import images, video
from model_maker.data.web import is_address
from model_maker.errors import DataError
from model_maker.inference import addresses
from model_maker.inference.views import WHOLE, View, smoothed
from model_maker.progress import SILENT, Progress

if TYPE_CHECKING:
    from model_maker.inference.classifier import FileClassifier

Array = np.ndarray[Any, Any]

_LIST = ".txt"


@dataclass(frozen=True)
class Item:
    """One image to classify.

    Attributes:
      photo: input of `images.load`, or the error.
      frame: number and time of a video frame; empty for a photo.
      live: whether it comes from a camera or a stream.
    """

    name: str
    photo: Any
    frame: dict[str, Any] = field(default_factory=dict)
    live: bool = False


def expand(names: Iterable[str]) -> Iterator[str]:
    """Yields one name for each photo, video, camera and stream.

    A pattern (`photos/*.jpg`, quoted so that the shell does not expand it) expands to the photos, videos and folders
    that match it; a `.txt` to the files and addresses in its lines, relative to it or to the current folder.

    Raises:
      DataError: a pattern or a folder without photos, or a list that cannot be read.
    """
    for name in names:
        if os.path.lexists(name):
            # A file whose name looks like a camera's must not be opened as a camera.
            name = os.path.join(".", name) if video.is_live(name) else name
            yield from _listed(name) if name.lower().endswith(_LIST) and os.path.isfile(name) else [name]
        elif glob.has_magic(name) and not is_address(name):
            yield from _matches(name)
        else:
            yield name


def _matches(pattern: str) -> Iterator[str]:
    found = sorted(glob.glob(pattern, recursive=True))
    wanted = [name for name in found if _is_wanted(name)]
    if not wanted:
        what = f"what {pattern} matches, {len(found)} in all, is not a photo" if found else f"{pattern} matches nothing"
        raise DataError(f"{what}. Pass a pattern of photos, as 'photos/*.jpg', or their folder.")
    yield from wanted


def _is_wanted(name: str) -> bool:
    path = Path(name)
    return path.is_dir() or images.is_photo(path.suffix) or video.is_file(name) or images.begins_as_photo(path)


def _listed(name: str) -> Iterator[str]:
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DataError(f"{name} cannot be read as a list of photos: {reason}.") from error
    lines = [line.strip() for line in text.splitlines()]
    if not any(lines):
        raise DataError(f"{name} is empty; a list holds the path of a photo in each line.")
    for line in filter(None, lines):
        beside = path.parent / line
        yield line if is_address(line) or (not beside.exists() and Path(line).exists()) else str(beside)


def scored(
    classifier: FileClassifier,
    names: Sequence[str],
    *,
    every: int | None = None,
    frames: int | None = None,
    view: View = WHOLE,
    smooth: int | None = None,
    progress: Progress = SILENT,
) -> Iterator[tuple[Item, Array | DataError]]:
    """Classifies all inputs, in order; cameras and streams have no end.

    Args:
      names: as `expand` takes them.
      every: use every n-th frame of a video; `video.EVERY` by default.
      frames: maximum number of frames of a video, camera or stream; all by default.
      view: the part of each image that is classified.
      smooth: number of frames over which scores of a video, camera or stream are averaged; 1 by default.
      progress: receives the number of finished inputs.

    Yields:
      Each image with its scores, float32 [C], or with a DataError.

    Raises:
      DataError: see `expand`; or `every`, `frames` or `smooth` has no effect.
    """
    places = [place for name in expand(names) for place in addresses.expand([name])]
    _check(places, every=every, frames=frames, smooth=smooth)
    counted = enumerate(places)
    for live, group in itertools.groupby(counted, lambda each: video.is_live(each[1])):
        items = _items_of(group, progress, len(places), every or video.EVERY, frames)
        rows = _at_once(classifier, items, view) if live else _ahead(classifier, items, view)
        yield from smoothed(rows, _video, smooth or 1)


def _items_of(
    group: Iterable[tuple[int, str]], progress: Progress, total: int, every: int, frames: int | None
) -> Iterator[Item]:
    for done, place in group:
        progress.step(done, total)
        yield from _items(place, every, frames)


def _video(item: Item) -> str:
    return item.name.rpartition("#")[0] if item.frame else ""


def _check(places: Iterable[str], **stated: int | None) -> None:
    videos = any(video.is_live(place) or video.is_file(place) for place in places)
    for name, value in stated.items():
        if value is not None and value < 1:
            raise DataError(f"--{name} {value}: pass 1 or more.")
        if value is not None and not videos:
            raise DataError(f"--{name} {value} is about videos, cameras and streams, and none is given: leave it out.")


def _items(place: str, every: int, most: int | None) -> Iterator[Item]:
    live = video.is_live(place)
    if not live and (is_address(place) or not video.is_file(place)):
        yield Item(place, addresses.open_photo(place))
        return
    name = video.shown(place)
    try:
        for frame in itertools.islice(video.frames(place, every=every), most):
            told = {"frame": frame.number, "seconds": None if frame.seconds is None else round(frame.seconds, 3)}
            yield Item(f"{name}#{frame.number}", frame.pixels, told, live)
    except DataError as error:
        yield Item(name, error, live=live)


def _ahead(classifier: FileClassifier, items: Iterable[Item], view: View) -> Iterator[tuple[Item, Array | DataError]]:
    """Classifies on every core, reading a few images ahead."""
    waiting: deque[Item] = deque()

    def photos() -> Iterator[Any]:
        for item in items:
            waiting.append(item)
            yield item.photo

    for scores in classifier.scores(photos(), view=view):
        yield waiting.popleft(), scores


def _at_once(classifier: FileClassifier, items: Iterable[Item], view: View) -> Iterator[tuple[Item, Array | DataError]]:
    """Classifies each image immediately, because the next may be a second away."""
    for item in items:
        yield from ((item, scores) for scores in classifier.scores([item.photo], view=view))
