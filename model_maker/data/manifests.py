"""Manifests as a source: CSV, TSV and JSON Lines that name each photo, its label and, if they like, its part."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from model_maker.data import images
from model_maker.data.entries import PART_NAMES, Entry, class_name
from model_maker.data.web import Address, is_address
from model_maker.errors import DataError

SUFFIXES = (".csv", ".tsv", ".jsonl")
# What manifests in the wild call their columns, in the order of preference; "file_name" is Hugging Face's.
_COLUMNS = {
    "path": ("path", "file_name", "filename", "file", "image", "image_path", "filepath", "url"),
    "label": ("label", "class", "category", "class_name", "target"),
    "part": ("split", "part", "subset", "set", "partition"),
}
# What Hugging Face's image folders call theirs.
_IN_FOLDERS = ("metadata.csv", "metadata.jsonl")
_SEPARATORS = re.compile(r"\s*[|;]\s*")
_Row = tuple[str, str, str]  # path, label, part


def accepts(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES if path.is_file() else bool(_in_folder(path))


def entries(path: Path, notes: list[str]) -> Iterator[Entry]:
    """Lists what a manifest names, in its order; paths are relative to its folder, or absolute, or http(s) addresses.

    Args:
      path: the manifest, or a folder with a `metadata.csv` or `metadata.jsonl`, at its top or in each part's folder.
      notes: receives what was passed over.

    Raises:
      DataError: a line that cannot be read; the message names it.
    """
    if path.is_file():
        yield from _entries(path, "")
        return
    for manifest in _in_folder(path):
        part = "" if manifest.parent == path else PART_NAMES[manifest.parent.name.lower()]
        yield from _entries(manifest, part)


def _in_folder(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    parts = (part for part in folder.iterdir() if part.name.lower() in PART_NAMES and part.is_dir())
    homes = [folder, *sorted(parts, key=lambda part: part.name)]
    found = [home / name for home in homes for name in _IN_FOLDERS if (home / name).is_file()]
    return [manifest for manifest in found if manifest.parent == folder] or found


def _entries(manifest: Path, part: str) -> Iterator[Entry]:
    reader = _json_rows if manifest.suffix.lower() == ".jsonl" else _table_rows
    lines: dict[str, int] = {}  # where each label comes first
    try:
        with open(manifest, encoding="utf-8-sig", newline="") as file:
            for number, (path, label, stated) in reader(manifest, file):
                yield _entry(manifest, number, (path, label, stated or part))
                lines.setdefault(label.strip(), number)
        _check_single(manifest, lines)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{manifest} cannot be read as text in UTF-8 ({error}). Save it as UTF-8.") from error


def _check_single(manifest: Path, lines: dict[str, int]) -> None:
    """Refuses labels like "cat|dog" whose parts are labels themselves, or parts of others."""
    parts = {label: set(_SEPARATORS.split(label)) for label in lines}
    common = Counter(part for found in parts.values() for part in found)
    for label, found in parts.items():
        if len(found) > 1 and any(common[part] > 1 for part in found):
            raise _several(f"{manifest}, line {lines[label]}", label)


def _several(where: str, label: object) -> DataError:
    return DataError(
        f"{where}: {label!r} looks like several labels. Here a photo has one: keep one of them, or make a class "
        "of each combination, or one model for each label."
    )


def _entry(manifest: Path, number: int, row: _Row) -> Entry:
    path, label, part = (cell.strip() for cell in row)
    where = f"{manifest}, line {number}"
    if not path or not label:
        raise DataError(f"{where}: no {'label' if path else 'path'}. Each line names a photo and its label.")
    if part and part.lower() not in PART_NAMES:
        raise DataError(f"{where}: the part {part!r} is none of train, validation, test. Correct it.")
    name, part = class_name(label, where), PART_NAMES.get(part.lower(), "")
    if is_address(path):
        return Entry(Address(path), name, part)
    return Entry(manifest.parent / path, name, part, images.obstacle(Path(path).suffix))


def _table_rows(manifest: Path, file) -> Iterator[tuple[int, _Row]]:
    reader = csv.reader(file, delimiter="\t" if manifest.suffix.lower() == ".tsv" else ",")
    columns: dict[str, int] | None = None
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if columns is None:
            columns = _header(manifest, cells)
            if columns is not None:
                continue
            columns = {"path": 0, "label": 1, "part": 2}
        path, label, part = (cells[n] if (n := columns.get(kind, len(cells))) < len(cells) else "" for kind in _COLUMNS)
        yield reader.line_num, (path, label, part)


def _header(manifest: Path, cells: list[str]) -> dict[str, int] | None:
    """Returns where each column stands, or None where the first line is a photo already."""
    names = [cell.strip().lower() for cell in cells]
    found = {kind: names.index(name) for kind, known in _COLUMNS.items() for name in reversed(known) if name in names}
    if "path" in found and "label" in found:
        return found
    if not found and len(cells) >= 2:
        return None
    raise DataError(
        f"{manifest} begins with {', '.join(cells[:4])!r}: there is no column "
        f"{'path' if 'label' in found else 'label'}. Name the columns path,label or path,label,split."
    )


def _json_rows(manifest: Path, file) -> Iterator[tuple[int, _Row]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{manifest}, line {number}: not JSON ({error}). Each line is one object.") from error
        if not isinstance(content, dict):
            raise DataError(f"{manifest}, line {number}: {line.strip()[:60]!r} is no object with path and label.")
        cells = []
        for known in _COLUMNS.values():
            value = next((content[name] for name in known if name in content), "")
            if isinstance(value, list):
                raise _several(f"{manifest}, line {number}", value)
            if isinstance(value, bool | float | dict) or value is None:
                raise DataError(f"{manifest}, line {number}: {known[0]} is {value!r}; give one text.")
            cells.append(str(value))
        yield number, (cells[0], cells[1], cells[2])
