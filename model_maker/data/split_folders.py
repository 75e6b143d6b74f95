"""One folder per split, with any names: `--train-dir`, `--val-dir`, `--test-dir`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from model_maker.data import folders
from model_maker.data.entries import ListedPhoto
from model_maker.errors import DataError

# Their address in a single text, for example in run.json: parts://?train=/a&test=/b
SCHEME = "parts://?"
# Parameter of each split.
PARAMETERS = {"train": "train_dir", "validation": "val_dir", "test": "test_dir"}


@dataclass(frozen=True, slots=True)
class PartFolders:
    """Folders by split; can replace a Path of a dataset."""

    places: tuple[tuple[str, Path], ...]

    def __str__(self) -> str:
        return SCHEME + urlencode({part: str(path) for part, path in self.places})

    @property
    def name(self) -> str:
        """The name of their common parent folder, or of the first."""
        around = {path.parent for _, path in self.places}
        return (around.pop() if len(around) == 1 else self.places[0][1]).name

    def resolve(self) -> PartFolders:
        return PartFolders(tuple((part, path.resolve()) for part, path in self.places))

    def is_dir(self) -> bool:
        return True

    def exists(self) -> bool:
        return all(path.exists() for _, path in self.places)


def address(
    train: str | os.PathLike[str],
    *,
    validation: str | os.PathLike[str] | None = None,
    test: str | os.PathLike[str] | None = None,
) -> str:
    """Returns the location of a dataset with one folder per split, each with a folder for each class.

    Raises:
      DataError: one of them does not exist, or contains another.
    """
    given = {"train": train, "validation": validation, "test": test}
    named = {part: Path(path) for part, path in given.items() if path is not None}
    for part, path in named.items():
        if not path.is_dir():
            raise DataError(f"{_stated(part, path)} is not a folder. Pass one with a folder of photos for each class.")
    real = {part: path.resolve() for part, path in named.items()}
    for part, path in real.items():
        for other, place in real.items():
            if part != other and place.is_relative_to(path):
                raise DataError(
                    f"{_stated(other, named[other])} is inside or the same as {_stated(part, named[part])}. "
                    "Pass folders with different photos."
                )
    return str(PartFolders(tuple(real.items())))


def parse(text: str) -> PartFolders:
    """Reads what `address` wrote.

    Raises:
      DataError: it is not that.
    """
    found = dict(parse_qsl(text.removeprefix(SCHEME)))
    if "train" not in found or not found.keys() <= PARAMETERS.keys():
        raise DataError(f"{text} has no split folders: write {SCHEME}train=DIR&test=DIR.")
    return PartFolders(tuple((part, Path(path)) for part, path in found.items()))


def accepts(place: object) -> bool:
    return isinstance(place, PartFolders)


def entries(parts: PartFolders, notes: list[str]) -> Iterator[ListedPhoto]:
    """Lists the photos of all splits, by split, class, then path.

    Raises:
      OSError: a folder cannot be opened.
      DataError: as `folders.entries`; or a folder has no classes, or contains splits itself.
    """
    for part, path in parts.places:
        found = list(folders.entries(folders.within(path), notes))
        if not found:
            raise DataError(
                f"{_stated(part, path)} has no photos in class folders. Pass a folder with one folder for each class."
            )
        if others := {entry.part for entry in found} - {"", part}:
            raise DataError(
                f"{_stated(part, path)} contains splits itself ({', '.join(sorted(others))}). Pass it as `data`, or "
                "pass its split folders."
            )
        yield from (entry._replace(part=part) for entry in found)


def _stated(part: str, path: Path) -> str:
    return f"`{PARAMETERS[part]}='{path}'`"
