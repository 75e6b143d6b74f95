"""The layout of class folders, wherever they lie: what is hidden, what is a part, and what is passed over, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from model_maker.data.entries import PART_NAMES


def is_hidden(name: str) -> bool:
    """Tells whether a file or folder of that name is not meant to be seen."""
    return name.startswith(".") or name == "__MACOSX"


def are_parts(home: object, names: Sequence[str], notes: list[str]) -> bool:
    """Tells whether the folders in a data set are its parts, with classes below; no part stands beside a class.

    Args:
      home: what the note names.
      names: of the folders.
      notes: is told where some are named like parts and others are not.
    """
    parts = [name for name in names if name.lower() in PART_NAMES]
    if names and len(parts) == len(names):
        return True
    if len(parts) > 1:
        notes.append(f"{home} has {' and '.join(parts)} beside other folders, so all of them are taken as classes.")
    return False


def note_hidden(folder: object, notes: list[str]) -> None:
    """Tells of a folder of photos that is passed over because of its name."""
    notes.append(f"{folder} is hidden (its name starts with a dot) and is not used; rename it to make it a class.")


def note_loose(count: int, home: object, notes: list[str]) -> None:
    """Tells of photos beside the class folders."""
    notes.append(f"{counted(count, 'photo')} directly in {home}, outside any class folder: not used.")


def note_empty(folder: object, notes: list[str]) -> None:
    """Tells of a class folder without photos."""
    notes.append(f"{folder} holds no photos, so there is no such class.")


def note_others(others: Counter[str], notes: list[str]) -> None:
    """Tells of files that are no photos, counted by suffix."""
    if others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
        notes.append(f"{counted(others.total(), 'other file')} not used, being no photos ({kinds}).")


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
