"""What a source lists: where a photo lies, its class, how that is spelled, and the part that the source states."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePath
from typing import NamedTuple, Protocol

from model_maker.errors import DataError

# Names of parts, as data sets in the wild spell them.
PART_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


class Location(Protocol):
    """Where a photo lies: a Path, or what reads as one. It is hashable, and a process can hand it to another."""

    def read_bytes(self) -> bytes:
        """Returns the file; raises OSError or DataError where it cannot be read."""

    def __str__(self) -> str: ...


class Entry(NamedTuple):
    """One photo that a source lists.

    Attributes:
      path: where it lies.
      class_name: its class.
      part: one of `dataset.PARTS` where the source states it, else "".
      reason: why it cannot be used, where that is known without opening it.
    """

    path: Location
    class_name: str
    part: str = ""
    reason: str = ""


def is_name(text: str) -> bool:
    """Whether a text can be a file's name, as the system takes it: no NUL, nothing that has no bytes."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def spelled(place: object) -> str:
    """Returns what a location is called, the same on all systems: with slashes."""
    return place.as_posix() if isinstance(place, PurePath) else str(place)


def class_name(name: str, where: object) -> str:
    """Returns a class's name in composed Unicode, since labels are compared and shown, not only listed.

    Args:
      name: as the source spells it.
      where: what the message names.

    Raises:
      DataError: it cannot be a line of a label file.
    """
    name = unicodedata.normalize("NFC", name)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{where!r}: the folder's name is not valid Unicode. Rename it.") from None
    if any(unicodedata.category(letter) == "Cc" or letter in "\u2028\u2029" for letter in name):
        raise DataError(f"{str(where)!r}: a class name cannot hold line breaks or control characters. Rename it.")
    return name


def spelling_notes(names: Iterable[str]) -> list[str]:
    """Returns notes on classes whose names hardly differ, or which, like "unknown", a score threshold stands for."""
    alike: dict[str, list[str]] = defaultdict(list)
    notes = []
    for name in sorted(names):
        alike[_key(name)].append(name)
    for group in alike.values():
        if len(group) > 1:
            spelled = " and ".join(map(repr, group))
            notes.append(
                f"The classes {spelled} differ in spelling only and are learned as different ones; merge them."
            )
    for key in ("unknown", "unlabeled", "unlabelled", "unsorted", "untitled folder", "new folder"):
        for name in alike.get(key, ()):
            notes.append(
                f"{name!r} is learned as a class like the others. If its photos have no label yet, move them out; for "
                "photos of something else, answer by a threshold."
            )
    return notes


def same_but_for_spelling(name: str, names: Iterable[str]) -> str | None:
    """Returns the name among others that differs from one in spelling only."""
    return next((other for other in names if other != name and _key(other) == _key(name)), None)


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()
