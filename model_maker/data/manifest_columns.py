"""Detects the columns of path, label and split in a table."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PureWindowsPath

from model_maker.data import images, object_stores
from model_maker.data.entries import PART_NAMES
from model_maker.data.web import is_address
from model_maker.errors import DataError

# Common column names in order of preference; "file_name" is Hugging Face's.
COLUMNS = {
    "path": (
        "path", "file_name", "filename", "file", "image", "image_path", "filepath", "file_path", "url", "image_file",
        "image_name", "imagename", "img_path", "img", "image_url", "uri", "gcs_uri", "photo", "picture", "images",
        "image_id", "relative_path", "imagepath", "img_name", "img_file", "imgpath",
    ),
    "label": (
        "label", "class", "category", "class_name", "target", "labels", "classes", "label_name", "classname",
        "species", "class_label", "category_name", "image_label", "tag", "tags",
    ),
    "part": ("split", "part", "subset", "set", "partition", "ml_use", "data_set", "dataset"),
}  # fmt: skip
# Google's AutoML and Vertex AI put the split first; UNASSIGNED leaves it to the program.
_VERTEX_PARTS = ("train", "training", "validation", "validate", "test", "unassigned")
# Splits, as `entries.PART_NAMES` spells them, or Vertex AI.
_PARTS = frozenset({*PART_NAMES, *_VERTEX_PARTS})
_DELIMITERS = (",", ";", "\t", "|")
# Values of one-hot columns.
_YES, _NO = ("1", "1.0", "true"), ("0", "0.0", "false", "")


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    Attributes:
      path, label, part: numbers of columns; label is None for one-hot columns.
      classes: the name of each class that has a column, by its number.
      has_names: whether the first line names the columns.
    """

    path: int
    label: int | None
    part: int | None
    classes: dict[int, str]
    has_names: bool

    def read(
        self, where: str, cells: Sequence[str], *, several: bool = False
    ) -> tuple[str, str | tuple[str, ...], str]:
        """Returns path, label and split of a line; several labels in separate cells are a tuple.

        Raises:
          DataError: the one-hot columns do not select one class.
        """

        def cell(column: int | None) -> str:
            return cells[column].strip() if column is not None and column < len(cells) else ""

        part, label = cell(self.part), self._label(where, cells, several=several)
        if several and isinstance(label, tuple) and self.part is not None and self.label is not None:
            part = part if part.lower() in _PARTS or self.part < self.label else ""
        return cell(self.path), label, "" if part.lower() == "unassigned" else part

    def _label(self, where: str, cells: Sequence[str], *, several: bool) -> str | tuple[str, ...]:
        if self.label is None:
            found = self._hot(where, cells)
            return found if several else self._one(where, found)
        if several and not self.has_names and self.label > self.path:
            # Vertex AI and AutoML put each label into its own cell, after the path.
            rest = [cell.strip() for cell in cells[self.label :]]
            if self.part == self.label + 1 and len(rest) > 1 and rest[1].lower() in _PARTS:
                del rest[1]
            if len(rest) != 1:
                return tuple(rest)
        return cells[self.label].strip() if self.label < len(cells) else ""

    def _hot(self, where: str, cells: Sequence[str]) -> tuple[str, ...]:
        """Returns the classes whose columns are 1."""
        found = []
        for column, name in self.classes.items():
            value = cells[column].strip().lower() if column < len(cells) else ""
            if value in _YES:
                found.append(name)
            elif value not in _NO:
                raise DataError(f"{where}: column {name} has the value {value[:40]!r}; one-hot columns are 0 or 1.")
        return tuple(found)

    def _one(self, where: str, found: Sequence[str]) -> str:
        if len(found) == 1:
            return found[0]
        what = f"is 1 in {', '.join(found)}" if found else "has no class that is 1"
        raise DataError(
            f"{where}: {what}. Each photo needs exactly one label: correct the line, or remove it. If photos may have "
            "several labels, train with `multi_label=True`."
        )


def delimiter(manifest: object, text: str, usual: str) -> str:
    """Detects the separator of cells from the first line."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    for mark in (usual, *_DELIMITERS):
        cells = _cells(line, mark)
        if len(cells) > 1 and (_named(cells) or any(is_photo(cell) for cell in cells)):
            return mark
    return usual


def find(manifest: object, lines: Sequence[Sequence[str]]) -> Columns:
    """Detects the columns of a table by their names, else by the content of its first non-empty lines.

    Raises:
      DataError: the column of paths or labels is missing or ambiguous.
    """
    first, rest = lines[0], lines[1:]
    if any(map(is_photo, first)):
        return _without_names(manifest, first)
    found = _named(first)
    names = [cell.strip() for cell in first]
    if "path" not in found:
        holding = [n for n in range(len(names)) if rest and all(n < len(row) and is_photo(row[n]) for row in rest)]
        if len(holding) == 1 and holding[0] not in found.values():
            found["path"] = holding[0]
    if "path" in found and "label" not in found and (classes := _one_hot(names, found, rest)):
        return Columns(found["path"], None, found.get("part"), classes, True)
    if "path" in found and "label" in found:
        return Columns(found["path"], found["label"], found.get("part"), {}, True)
    if not found and len(first) >= 2 and not rest:
        return _without_names(manifest, first)
    shown = ", ".join(cell.strip()[:40] for cell in first[:6])
    if not found and len(first) >= 2:
        raise DataError(
            f"{manifest} begins with {shown!r}: neither known column names, nor a photo and its "
            "label. Name the columns path,label or path,label,split."
        )
    missing = "path" if "label" in found else "label"
    raise DataError(
        f"{manifest} begins with {shown!r}: there is no column {missing}. "
        "Name the columns path,label or path,label,split."
    )


def is_photo(cell: str) -> bool:
    """Returns whether a cell has the path or address of a photo."""
    cell = cell.strip()
    if is_address(cell) or object_stores.is_url(cell):
        return True
    return images.is_photo(PureWindowsPath(cell).suffix)  # which takes slashes, too


def _named(cells: Sequence[str]) -> dict[str, int]:
    names = [cell.strip().lower().replace(" ", "_") for cell in cells]
    return {kind: names.index(name) for kind, known in COLUMNS.items() for name in reversed(known) if name in names}


def _without_names(manifest: object, first: Sequence[str]) -> Columns:
    if len(first) < 2:
        raise DataError(
            f"{manifest} begins with {first[0].strip()[:60]!r}: there is no column label. "
            "Name the columns path,label or path,label,split."
        )
    if first[0].strip().lower() in _VERTEX_PARTS and len(first) > 2:
        return Columns(1, 2, 0, {}, False)
    if not is_photo(first[0]) and is_photo(first[1]):
        return Columns(1, 0, 2, {}, False)
    return Columns(0, 1, 2, {}, False)


def _one_hot(names: Sequence[str], found: dict[str, int], rest: Sequence[Sequence[str]]) -> dict[int, str]:
    """Returns the one-hot columns, if all remaining columns are 0 or 1, and some line has a 1."""
    others = [n for n in range(len(names)) if n not in found.values() and names[n]]
    values = [[row[n].strip().lower() if n < len(row) else "" for n in others] for row in rest]
    if len(others) < 2 or not values or not all(value in (*_YES, *_NO) for row in values for value in row):
        return {}
    return {n: names[n] for n in others} if any(value in _YES for row in values for value in row) else {}


def _cells(line: str, mark: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(line), delimiter=mark), [])
    except csv.Error:
        return []
