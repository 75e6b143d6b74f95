"""Manifests as a source: CSV, TSV and JSON Lines with path, label and optional split of each photo."""

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
from model_maker.data.entries import PART_NAMES, ListedPhoto, class_name, is_name
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
# In multi-label datasets, a comma inside a cell also separates labels.
_LABEL_SEPARATORS = re.compile(r"\s*[|;,]\s*")
_Row = tuple[str, str | tuple[str, ...], str]  # path; label, or labels in separate cells; split


def accepts(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES if path.is_file() else bool(_in_folder(path))


def entries(path: Path, notes: list[str]) -> Iterator[ListedPhoto]:
    """Lists the photos of a manifest in its order; paths are relative to its folder, absolute, or http(s) addresses.

    Args:
      path: the manifest, or a folder with a `metadata.csv` or `metadata.jsonl`, at its top or in each part's folder.

    Raises:
      DataError: a line that cannot be read; the message names it.
    """
    for manifest, part in _manifests(path):
        yield from _entries(manifest, part)


def sets(path: Path, notes: list[str]) -> Iterator[ListedPhoto]:
    """Lists photos that may have several labels: an entry per label, one without a class name for photos without
    labels.
    """
    for manifest, part in _manifests(path):
        yield from _entries(manifest, part, several=True)


def _manifests(path: Path) -> Iterator[tuple[Path, str]]:
    """Yields the manifests at a path, each with the split of its folder."""
    if path.is_file():
        yield path, ""
        return
    for manifest in _in_folder(path):
        yield manifest, "" if manifest.parent == path else PART_NAMES[manifest.parent.name.lower()]


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
            next(_entries(manifest, "", several=True), None)  # its labels are checked when it is read
        except DataError:
            return False
    return True


def _text(manifest: Path) -> str:
    content = files.read_regular(manifest)
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    return content.decode(encoding)


def _entries(manifest: Path, part: str, *, several: bool = False) -> Iterator[ListedPhoto]:
    reader = _json_rows if manifest.suffix.lower() == ".jsonl" else _table_rows
    lines: dict[str, int] = {}  # where each label comes first
    locate = _Locator(manifest.parent)
    try:
        rows = list(reader(manifest, io.StringIO(_text(manifest), newline=""), several))
        _check_there(manifest, rows, locate)
        for number, (path, label, stated) in rows:
            where = f"{manifest}, line {number}"
            names = labels_in(label, where) if several else [_single(label, where)]
            for name in names or [""]:
                yield _entry(where, (path, name, stated or part), locate, labeled=bool(name) or not several)
                lines.setdefault(name.strip(), number)
        if not several:
            _check_single(manifest, lines)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{manifest} cannot be read as text in UTF-8 ({error}). Save it as UTF-8.") from error


class _Locator:
    """Finds photos by paths of another machine: with backslashes, or absolute paths of a moved folder."""

    def __init__(self, home: Path) -> None:
        self.home, self.dropped, self.failures = home, 0, 0

    def __call__(self, path: str) -> Path:
        plain = self.home / path
        if _PLAIN.match(path):  # the usual case, and there may be a million
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


def labels_in(label: str | tuple[str, ...], where: str) -> list[str]:
    """Returns the labels of a photo, each once: a cell separates them by | or ; or commas, or is a JSON list.

    Raises:
      DataError: the cell begins as a JSON list and is not a list of strings.
    """
    if isinstance(label, str) and label.strip().startswith("["):
        try:
            found = json.loads(label)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise DataError(f"{where}: {label.strip()[:60]!r} is not a JSON list. Separate labels by | instead.")
        label = tuple(found)
    names = _LABEL_SEPARATORS.split(label) if isinstance(label, str) else label
    return list(dict.fromkeys(name.strip() for name in names if name.strip()))


def _single(label: str | tuple[str, ...], where: str) -> str:
    """Returns the only label of a photo."""
    if isinstance(label, str):
        return label
    if len(label) == 1:
        return label[0]
    raise _several(where, list(label))


def _several(where: str, label: object) -> DataError:
    return DataError(
        f"{where}: {label!r} looks like several labels. If photos may have several labels, train with "
        "`multi_label=True`; otherwise keep one label."
    )


def _entry(where: str, row: tuple[str, str, str], locate: _Locator, *, labeled: bool = True) -> ListedPhoto:
    path, label, part = (cell.strip() for cell in row)
    if not path or (labeled and not label):
        raise DataError(f"{where}: no {'label' if path else 'path'}. Each line names a photo and its label.")
    if not is_name(path):
        raise DataError(f"{where}: {path!r} is not a valid path. Correct it.")
    if part and part.lower() not in PART_NAMES:
        raise DataError(f"{where}: the split {part!r} is not train, validation or test. Correct it.")
    name, part = class_name(label, where), PART_NAMES.get(part.lower(), "")
    if is_address(path):
        return ListedPhoto(Address(path), name, part)
    if object_stores.is_url(path):
        return ListedPhoto(object_stores.StoredPhoto(path), name, part)
    return ListedPhoto(locate(path), name, part, images.obstacle(os.path.splitext(path)[1]))


def _table_rows(manifest: Path, file: io.StringIO, several: bool) -> Iterator[tuple[int, _Row]]:
    usual = "\t" if manifest.suffix.lower() == ".tsv" else ","
    mark = manifest_columns.delimiter(manifest, file.getvalue()[:100_000], usual)
    reader = csv.reader(file, delimiter=mark)
    rows = ((reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells))
    first = list(itertools.islice(rows, _FIRST_LINES))
    if not first:
        return
    columns = manifest_columns.find(manifest, [cells for _, cells in first])
    for number, cells in itertools.chain(first[1:] if columns.has_names else first, rows):
        yield number, columns.read(f"{manifest}, line {number}", cells, several=several)


def _json_rows(manifest: Path, file: io.StringIO, several: bool) -> Iterator[tuple[int, _Row]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{manifest}, line {number}: not JSON ({error}). Each line is one object.") from error
        if not isinstance(content, dict):
            raise DataError(f"{manifest}, line {number}: {line.strip()[:60]!r} is not an object with path and label.")
        where = f"{manifest}, line {number}"
        cells: list[str | tuple[str, ...]] = []
        for kind, known in manifest_columns.COLUMNS.items():
            value = next((content[name] for name in known if name in content), "")
            if several and kind == "label" and not any(name in content for name in known):
                raise DataError(f"{where}: no label. A photo without labels has an empty list.")
            if isinstance(value, list) and kind == "label":
                cells.append(tuple(_text_of(one, known[0], where) for one in value))
            else:
                cells.append(_text_of(value, known[0], where))
        yield number, (str(cells[0]), cells[1], str(cells[2]))


def _text_of(value: object, name: str, where: str) -> str:
    if isinstance(value, bool | float | dict | list) or value is None:
        raise DataError(f"{where}: {name} is {value!r}; it must be a single text.")
    return str(value)
