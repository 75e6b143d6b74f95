"""Manifests as a source: CSV, TSV and JSON Lines with path, label and optional split of each photo."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from model_maker.data import images, manifest_columns, object_stores, skipped_files
from model_maker.data.entries import PART_NAMES, Entry, class_name, is_name
from model_maker.data.web import Address, is_address
from model_maker.errors import DataError
from model_maker.system import files

SUFFIXES = (".csv", ".tsv", ".jsonl")
# File names of Hugging Face's image folders, and of Roboflow's one-hot tables.
_IN_FOLDERS = ("metadata.csv", "metadata.jsonl", "_classes.csv")
# Number of lines for detecting the columns.
_FIRST_LINES = 20
# Number of rows to search below the manifest's folder.
_TRIES = 50
_DEEPEST = 64
# A list with this number of rows is an error if none of a sample of its photos exists.
_LONG, _SAMPLED = 10_000, 1000
# A path that is the same on all systems, below the manifest's folder.
_PLAIN = re.compile(r"[^\\/:][^\\:]*\Z")
_SEPARATORS = re.compile(r"\s*[|;]\s*")
_Row = tuple[str, str, str]  # path, label, part


def accepts(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES if path.is_file() else bool(_in_folder(path))


def entries(path: Path, notes: list[str]) -> Iterator[Entry]:
    """Lists the photos of a manifest in its order; paths are relative to its folder, absolute, or http(s) addresses.

    Args:
      path: the manifest, or a folder with a `metadata.csv` or `metadata.jsonl`, at its top or in each part's folder.
      notes: receives what was skipped.

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
    found = [manifest for manifest in found if _lists_photos(manifest)]
    return [manifest for manifest in found if manifest.parent == folder] or found


def _lists_photos(manifest: Path) -> bool:
    """Returns whether a file with a usual name is a manifest, and not another file in a folder of class folders."""
    if any(path.is_dir() and not skipped_files.is_passed_over(path.name) for path in manifest.parent.iterdir()):
        try:
            next(_entries(manifest, ""), None)
        except DataError:
            return False
    return True


def _text(manifest: Path) -> str:
    content = files.read_regular(manifest)
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    return content.decode(encoding)


def _entries(manifest: Path, part: str) -> Iterator[Entry]:
    reader = _json_rows if manifest.suffix.lower() == ".jsonl" else _table_rows
    lines: dict[str, int] = {}  # where each label comes first
    locate = _Locator(manifest.parent)
    try:
        rows = list(reader(manifest, io.StringIO(_text(manifest), newline="")))
        _check_there(manifest, rows, locate)
        for number, (path, label, stated) in rows:
            yield _entry(manifest, number, (path, label, stated or part), locate)
            lines.setdefault(label.strip(), number)
        _check_single(manifest, lines)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{manifest} cannot be read as text in UTF-8 ({error}). Save it as UTF-8.") from error


class _Locator:
    """Finds photos by paths of another machine: with backslashes, or absolute paths of a moved folder."""

    def __init__(self, home: Path) -> None:
        self.home, self.dropped, self.failures = home, 0, 0

    def __call__(self, path: str) -> Path:
        plain = self.home / path
        if _PLAIN.match(path):  # most are, and there may be a million
            return plain
        windows = PureWindowsPath(path)
        if os.sep == "/" and "\\" in path and not _is_there(plain):
            plain = self.home / windows.as_posix()
        foreign = bool(windows.drive) or windows.root != "" or Path(path).is_absolute()
        if not foreign or self.failures > _TRIES or _is_there(plain):
            return plain
        parts = windows.parts[1:]
        places = () if ".." in parts else dict.fromkeys((self.dropped, *range(min(len(parts), _DEEPEST))))
        for dropped in places:
            if dropped < len(parts) and _is_there(found := self.home.joinpath(*parts[dropped:])):
                self.dropped = dropped
                return found
        self.failures += 1
        return plain


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # for example a name that is too long: opening the photo reports it
        return False


def _check_there(manifest: Path, rows: list[tuple[int, _Row]], locate: _Locator) -> None:
    """Raises an error for a long list of missing photos, before a million of them are searched one by one."""
    if len(rows) < _LONG:
        return
    for _, (path, *_) in rows[:: len(rows) // _SAMPLED]:
        path = path.strip()
        if not is_name(path) or is_address(path) or object_stores.is_url(path) or _is_there(locate(path)):
            return
    number, (path, *_) = rows[0]
    raise DataError(
        f"{manifest} lists {len(rows):,} photos, but none of {_SAMPLED} sampled ones exists, for example "
        f"{locate(path.strip())} in line {number}. "
        "Paths are relative to the folder of the list: move it there, or correct them."
    )


def _check_single(manifest: Path, lines: dict[str, int]) -> None:
    """Raises an error for labels like "cat|dog" whose parts are labels themselves, or parts of others."""
    parts = {label: set(_SEPARATORS.split(label)) for label in lines}
    common = Counter(part for found in parts.values() for part in found)
    for label, found in parts.items():
        if len(found) > 1 and any(common[part] > 1 for part in found):
            raise _several(f"{manifest}, line {lines[label]}", label)


def _several(where: str, label: object) -> DataError:
    return DataError(
        f"{where}: {label!r} looks like several labels. Multi-label classification is not supported: keep one label, "
        "make a class of each combination, or train one model per label."
    )


def _entry(manifest: Path, number: int, row: _Row, locate: _Locator) -> Entry:
    path, label, part = (cell.strip() for cell in row)
    where = f"{manifest}, line {number}"
    if not path or not label:
        raise DataError(f"{where}: no {'label' if path else 'path'}. Each line names a photo and its label.")
    if not is_name(path):
        raise DataError(f"{where}: {path!r} is not a valid path. Correct it.")
    if part and part.lower() not in PART_NAMES:
        raise DataError(f"{where}: the split {part!r} is not train, validation or test. Correct it.")
    name, part = class_name(label, where), PART_NAMES.get(part.lower(), "")
    if is_address(path):
        return Entry(Address(path), name, part)
    if object_stores.is_url(path):
        return Entry(object_stores.StoredPhoto(path), name, part)
    return Entry(locate(path), name, part, images.obstacle(os.path.splitext(path)[1]))


def _table_rows(manifest: Path, file: io.StringIO) -> Iterator[tuple[int, _Row]]:
    usual = "\t" if manifest.suffix.lower() == ".tsv" else ","
    mark = manifest_columns.delimiter(manifest, file.getvalue()[:100_000], usual)
    reader = csv.reader(file, delimiter=mark)
    rows = ((reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells))
    first = list(itertools.islice(rows, _FIRST_LINES))
    if not first:
        return
    columns = manifest_columns.find(manifest, [cells for _, cells in first])
    for number, cells in itertools.chain(first[1:] if columns.has_names else first, rows):
        yield number, columns.read(f"{manifest}, line {number}", cells)


def _json_rows(manifest: Path, file) -> Iterator[tuple[int, _Row]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{manifest}, line {number}: not JSON ({error}). Each line is one object.") from error
        if not isinstance(content, dict):
            raise DataError(f"{manifest}, line {number}: {line.strip()[:60]!r} is not an object with path and label.")
        cells = []
        for known in manifest_columns.COLUMNS.values():
            value = next((content[name] for name in known if name in content), "")
            if isinstance(value, list):
                raise _several(f"{manifest}, line {number}", value)
            if isinstance(value, bool | float | dict) or value is None:
                raise DataError(f"{manifest}, line {number}: {known[0]} is {value!r}; it must be a single text.")
            cells.append(str(value))
        yield number, (cells[0], cells[1], cells[2])
