"""The engines inside the phones' sample apps, asked for scores: CLIENTS, each in a process of its own.

Their compiled parts cannot live beside TensorFlow's, and what a foreign file does to them must not end ours.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_maker.errors import ModelError
from model_maker.system import extras, limited_process
from model_maker.tflite.client_rules import MEDIAPIPE, TASK_LIBRARY

Array = np.ndarray

# Name to the module that runs it.
CLIENTS = {
    TASK_LIBRARY: "model_maker.verification.clients.task_library",
    MEDIAPIPE: "model_maker.verification.clients.mediapipe_tasks",
}
# What must be installed for it to start.
PACKAGES = {TASK_LIBRARY: ("tflite_support", "libusb_package"), MEDIAPIPE: ("mediapipe",)}
# MediaPipe takes 10 seconds to import, on a busy machine some times as long.
_START_SECONDS, _PHOTO_SECONDS = 120, 2
_BETWEEN = "--"
# Ways to leave the network: with no rights but where user namespaces are allowed; as root, also where they are not.
_OFFLINE = ("unshare", "--map-root-user", "--net"), ("unshare", "--net")
_NOT_ALONE = (
    f"{MEDIAPIPE} is not here: its runtime may send usage metrics to its makers, and the system does not let it "
    "leave the network. Allow user namespaces, or run this as root on Linux, so that `unshare --net` works."
)


class NotHere(ModelError):
    """A client that cannot be asked here; the message says what it lacks and how to get it."""


@dataclass(frozen=True)
class Category:
    """One label of a client's answer."""

    index: int
    label: str
    score: float


@dataclass(frozen=True)
class Answer:
    """What a client made of one model.

    Attributes:
      photos: for each its labels as the client ranks them; those below the file's threshold are left out.
      refusal: why the client does not run the file; empty where it does.
    """

    photos: tuple[tuple[Category, ...], ...] = ()
    refusal: str = ""

    def scores(self, classes: int) -> Array:
        """Returns float32 [N, classes], not a number where the client left a label out."""
        found = np.full((len(self.photos), classes), np.nan, np.float32)
        for row, photo in zip(found, self.photos, strict=True):
            for category in photo:
                row[category.index] = category.score
        return found


def ask(
    client: str, models: Sequence[str | os.PathLike[str]], photos: Sequence[str | os.PathLike[str]]
) -> list[Answer]:
    """Runs models in a client, which decodes and resizes the photos for itself.

    Args:
      client: a key of CLIENTS.
      models: `.tflite` files.
      photos: JPEG or PNG files.

    Returns:
      One answer for each model.

    Raises:
      NotHere: it is not installed, or would report to its makers, from which nothing keeps it here.
      ModelError: its process crashed or took too long.
    """
    if why := missing(client):
        raise NotHere(why)
    seconds = _START_SECONDS + _PHOTO_SECONDS * len(models) * len(photos)
    names = [*(os.fspath(path) for path in models), _BETWEEN, *(os.fspath(path) for path in photos)]
    what = f"The model in {client}"
    found = json.loads(
        limited_process.run(CLIENTS[client], *names, what=what, limit_s=seconds, error=ModelError, within=offline())
    )
    if "missing" in found:
        raise NotHere(f"{client} is not here ({found['missing']}). {found['advice']}")
    return [_answer(entry) for entry in found["models"]]


def missing(client: str) -> str:
    """Returns why a client cannot be asked here, as far as it is known before it starts; empty where nothing is."""
    if line := extras.lacking(*PACKAGES[client], what=f"{client} was skipped: it"):
        return line
    return _NOT_ALONE if client == MEDIAPIPE and not offline() else ""


@functools.cache
def offline() -> tuple[str, ...]:
    """Returns the words that run a command without a network; none where the system does not allow it."""
    try:
        return next(filter(_works, _OFFLINE), ())
    except OSError:  # no such command
        return ()


def _works(within: Sequence[str]) -> bool:
    return subprocess.run([*within, "true"], capture_output=True, check=False).returncode == 0


def _answer(entry: dict[str, Any]) -> Answer:
    photos = tuple(tuple(Category(*category) for category in photo) for photo in entry.get("photos", ()))
    return Answer(photos, entry.get("refusal", ""))


# In the child: opens a model, and gives what makes a photo's file into the client's categories.
Opener = Callable[[str], AbstractContextManager[Callable[[str], Sequence[Any]]]]


def reply(opener: Opener, names: Sequence[str]) -> bytes:
    """In the child: runs every model on every photo, and packs what `ask` reads."""
    split = names.index(_BETWEEN)
    models = [_run(opener, model, names[split + 1 :]) for model in names[:split]]
    return json.dumps({"models": models}).encode()


def reply_missing(error: Exception, advice: str) -> bytes:
    """In the child: packs that the client is not here."""
    return json.dumps({"missing": str(error), "advice": advice}).encode()


def _run(opener: Opener, model: str, photos: Sequence[str]) -> dict[str, Any]:
    try:
        with opener(model) as classify:
            return {"photos": [list(_categories(classify(photo))) for photo in photos]}
    except Exception as error:  # MediaPipe turns its status codes into nearly any, FileNotFoundError among them
        return {"refusal": _in_words(error)}


def _categories(found: Sequence[Any]) -> Iterator[tuple[int, str, float]]:
    return ((entry.index, entry.category_name or "", entry.score) for entry in found)


def _in_words(error: Exception) -> str:
    """The first line that is a sentence: some only say that one follows, and traces of C++ sources end the message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.endswith(":")), type(error).__name__)
