"""Names that people give, or that files bring along: what a class and a photo may be called on any system."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePath

from model_maker.data import images, skipped_files, split_names
from model_maker.data.entries import class_name, same_but_for_spelling
from model_maker.errors import DataError

# Most file systems end at 255 bytes; a number may still come behind.
MOST_BYTES = 200
# What Windows takes in no name; slashes lead elsewhere on all systems.
_FORBIDDEN = '/\\:*?"<>|'
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def new_class(text: object, others: Iterable[str]) -> str:
    """Checks the name of a new class, as the user wrote it, against the names of other classes.

    Raises:
      DataError: it cannot be the name of a folder or a label everywhere, or hardly differs from another one.
    """
    if not isinstance(text, str):
        raise DataError(f"{text!r} is not a class name: enter some text.")
    name = class_name(text.strip(), text)
    if not name:
        raise DataError("A class needs a name: write one.")
    if found := next((letter for letter in name if letter in _FORBIDDEN), None):
        raise DataError(f"{name!r} holds {found!r}, which no folder can have on all systems: leave it out.")
    if skipped_files.is_passed_over(name) or name.endswith(".") or _DEVICES.fullmatch(name):
        raise DataError(f"{name!r} is not a valid folder name: choose another one.")
    if split_names.read([name]):
        raise DataError(f"{name!r} is taken for a part of the data, not for a class: choose another name.")
    if len(name.encode()) > MOST_BYTES:
        raise DataError(f"{name[:30]!r}… is longer than {MOST_BYTES} bytes: choose a shorter name.")
    if name in others or (similar := same_but_for_spelling(name, others)):
        raise DataError(f"There is a class {(name if name in others else similar)!r} already: choose another name.")
    return name


def photo_file(text: str) -> str:
    """Makes a file name of what a photo is called elsewhere; nothing in it leads out of a folder."""
    last = re.split(r"[/\\]", text)[-1]
    kept = "".join("_" if letter in _FORBIDDEN or _is_unseen(letter) else letter for letter in last)
    kept = unicodedata.normalize("NFC", kept).strip(" .")
    stem, suffix = PurePath(kept).stem, PurePath(kept).suffix
    if not images.is_photo(suffix):
        stem, suffix = kept, ".jpg"  # content decides what it is; a suffix makes it seen as a photo
    while len((stem + suffix).encode()) > MOST_BYTES:
        stem = stem[:-1]
    if not stem or _DEVICES.fullmatch(stem):
        stem = "photo"
    return stem + suffix


def _is_unseen(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")
