"""The engines of the sample apps for phones: CLIENTS, each run in a separate process.

Their compiled modules conflict with TensorFlow's, and a crash on an untrusted file must not end our process.
"""

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
# Packages that it needs.
PACKAGES = {TASK_LIBRARY: ("tflite_support", "libusb_package"), MEDIAPIPE: ("mediapipe",)}
# MediaPipe takes 10 seconds to import, and several times as long on a busy machine.
_START_SECONDS, _PHOTO_SECONDS = 120, 2
_BETWEEN = "--"
# Ways to cut off the network: without privileges if user namespaces are allowed; as root in any case.
_OFFLINE = ("unshare", "--map-root-user", "--net"), ("unshare", "--net")
_NOT_ALONE = (
    f"{MEDIAPIPE} was skipped: its runtime may send usage metrics to its vendor, and this system cannot cut off its "
    "network. Allow user namespaces, or run this as root on Linux, so that `unshare --net` works."
)


class NotHere(ModelError):
    """A client that cannot run here; the message says what is missing and how to install it."""


@dataclass(frozen=True)
class Category:
    """One label of a client's answer."""

    index: int
    label: str
    score: float


@dataclass(frozen=True)
class Answer:
    """The results of a client for one model.

    Attributes:
      heads: of each head the ranked labels of each photo; those below the file's threshold are omitted.
      refusal: why the client rejects the file; empty if it runs.
    """

    heads: tuple[tuple[tuple[Category, ...], ...], ...] = ()
    refusal: str = ""

    @property
    def photos(self) -> tuple[tuple[Category, ...], ...]:
        """Those of the first head."""
        return self.heads[0] if self.heads else ()

    def scores(self, classes: int, head: int = 0) -> Array:
        """Returns float32 [N, classes] of one head, NaN for omitted labels."""
        found = np.full((len(self.heads[head]), classes), np.nan, np.float32)
        for row, photo in zip(found, self.heads[head], strict=True):
            for category in photo:
                row[category.index] = category.score
        return found


def ask(
    client: str, models: Sequence[str | os.PathLike[str]], photos: Sequence[str | os.PathLike[str]]
) -> list[Answer]:
    """Runs models in one of CLIENTS, which decodes and resizes photos (JPEG, PNG) itself; returns an answer per model.

    Raises:
      NotHere: it is not installed, or would report to its vendor because the network cannot be cut off.
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
        raise NotHere(f"{client} is not available ({found['missing']}). {found['advice']}")
    return [_answer(entry) for entry in found["models"]]


def missing(client: str) -> str:
    """Returns why a client cannot run here, as far as known before it starts; empty if there is no reason."""
    if line := extras.lacking(*PACKAGES[client], what=f"{client} was skipped: it"):
        return line
    return _NOT_ALONE if client == MEDIAPIPE and not offline() else ""


@functools.cache
def offline() -> tuple[str, ...]:
    """Returns the command prefix that cuts off the network; empty if the system does not allow it."""
    try:
        return next(filter(_works, _OFFLINE), ())
    except OSError:  # no such command
        return ()


def _works(within: Sequence[str]) -> bool:
    return subprocess.run([*within, "true"], capture_output=True, check=False).returncode == 0


def _answer(entry: dict[str, Any]) -> Answer:
    photos = [[tuple(Category(*category) for category in head) for head in photo] for photo in entry.get("photos", ())]
    return Answer(tuple(zip(*photos, strict=True)), entry.get("refusal", ""))


# In the child: opens a model and returns a function from the file of a photo to the client's answer of each head.
Opener = Callable[[str], AbstractContextManager[Callable[[str], Sequence[Any]]]]


def reply(opener: Opener, names: Sequence[str]) -> bytes:
    """In the child: runs every model on every photo, and packs what `ask` reads."""
    split = names.index(_BETWEEN)
    models = [_run(opener, model, names[split + 1 :]) for model in names[:split]]
    return json.dumps({"models": models}).encode()


def reply_missing(error: Exception, advice: str) -> bytes:
    """In the child: packs that the client is not available."""
    return json.dumps({"missing": str(error), "advice": advice}).encode()


def _run(opener: Opener, model: str, photos: Sequence[str]) -> dict[str, Any]:
    try:
        with opener(model) as classify:
            return {"photos": [[list(_categories(head.categories)) for head in classify(photo)] for photo in photos]}
    except Exception as error:  # MediaPipe turns its status codes into nearly any exception, also FileNotFoundError
        return {"refusal": _in_words(error)}


def _categories(found: Sequence[Any]) -> Iterator[tuple[int, str, float]]:
    return ((entry.index, entry.category_name or "", entry.score) for entry in found)


def _in_words(error: Exception) -> str:
    """Returns the first complete sentence: some lines only announce one, and C++ traces end the message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.endswith(":")), type(error).__name__)
