"""Entries of a source: location, class and split of a photo."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePath
from typing import NamedTuple, Protocol

from model_maker.errors import DataError

# Common spellings of split names.
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
    """The location of a photo: a Path or a similar object. It is hashable and can be pickled."""

    def read_bytes(self) -> bytes:
        """Returns the file; raises OSError or DataError if it cannot be read."""

    def __str__(self) -> str: ...


class ListedPhoto(NamedTuple):
    """One photo of a source.

    Attributes:
      part: its split, one of `dataset.PARTS`, if the source states it, else "".
      reason: why it cannot be used, if known without opening it.
    """

    path: Location
    class_name: str
    part: str = ""
    reason: str = ""


def is_name(text: str) -> bool:
    """Whether a text is a valid file name: no NUL, encodable as bytes."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def spelled(place: object) -> str:
    """Returns the name of a location with slashes, the same on all systems."""
    return place.as_posix() if isinstance(place, PurePath) else str(place)


def class_name(name: str, where: object) -> str:
    """Returns a class's name in composed Unicode, since labels are compared and shown, not only listed.

    Raises:
      DataError: it is not valid in a label file; the message says where it is.
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
    """Returns notes on classes with similar names, and on classes such as "unknown" that a threshold replaces."""
    alike: dict[str, list[str]] = defaultdict(list)
    notes = []
    for name in sorted(names):
        alike[_key(name)].append(name)
    for group in alike.values():
        if len(group) > 1:
            spelled = " and ".join(map(repr, group))
            notes.append(
                f"The classes {spelled} differ only in spelling and are used as different classes; merge them."
            )
    for key in ("unknown", "unlabeled", "unlabelled", "unsorted", "untitled folder", "new folder"):
        for name in alike.get(key, ()):
            notes.append(
                f"{name!r} is used as a class like the others. If its photos have no label yet, move them out; to "
                "reject photos of other things, use a score threshold."
            )
    return notes


def same_but_for_spelling(name: str, names: Iterable[str]) -> str | None:
    """Returns the name that differs from another one only in spelling."""
    return next((other for other in names if other != name and _key(other) == _key(name)), None)


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()
