"""Parquet files as a source, as Hugging Face `datasets` writes them: a column of images and one of labels."""

import functools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_maker.data.entries import PART_NAMES, ListedPhoto, class_name
from model_maker.errors import DataError
from model_maker.system import extras

_IMAGES = ("image", "img", "picture", "photo")
_LABELS = ("label", "labels", "class", "category", "target")
# Row groups are decompressed whole and read in order, so only the last few are needed again.
_KEPT_GROUPS = 2
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Cell:
    """An image in a row of a Parquet file: its column, the row group, and the row in it."""

    file: str
    column: str
    group: int
    row: int

    def __str__(self) -> str:
        return f"{self.file}[{self.group}:{self.row}]"

    def read_bytes(self) -> bytes:
        """Returns the encoded image; if the cell holds only a path, the file there."""
        with _lock:  # else each thread would read the same group
            cell = _group(self.file, self.column, self.group)[self.row].as_py()
        content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
        if content is None and path:
            return (Path(self.file).parent / path).read_bytes()
        if content is None:
            raise DataError(f"{self}: empty cell")
        return content


def accepts(path: Path) -> bool:
    return bool(files_in(path))


def entries(path: Path, notes: list[str]) -> Iterator[ListedPhoto]:
    """Lists the rows of one file, or of all files in a folder; names of files and folders state the split.

    Args:
      path: a `.parquet` file, or a folder of them as the Hugging Face Hub lays them out.

    Raises:
      DataError: pyarrow is missing, a file is damaged, or has no such columns.
    """
    unlabelled = 0
    for cell, value, names, part in _rows(path):
        if value is None or (names and value == -1):  # `datasets` writes -1 for no label
            unlabelled += 1
            continue
        yield ListedPhoto(cell, class_name(_name(value, names, str(cell)), cell), part)
    if unlabelled:
        notes.append(f"{unlabelled} rows have no label and are not used.")


def sets(path: Path, notes: list[str]) -> Iterator[ListedPhoto]:
    """Lists rows with a column of label lists: an entry per label, one without a class name for rows without labels."""
    for cell, value, names, part in _rows(path):
        labels = [] if value is None else value if isinstance(value, list) else [value]
        found = [class_name(_name(label, names, str(cell)), cell) for label in labels]
        for name in dict.fromkeys(found) or [""]:
            yield ListedPhoto(cell, name, part)


def _rows(path: Path) -> Iterator[tuple[Cell, Any, list[str], str]]:
    """Yields the photo of each row, its label, the names of numeric labels, and its split."""
    for file in files_in(path):
        opened = _opened(str(file))
        image, label, names = _columns(file, opened.schema_arrow)
        part = PART_NAMES.get(file.parent.name.lower(), "") or PART_NAMES.get(file.name.split("-")[0].split(".")[0], "")
        for group in range(opened.num_row_groups):
            values = opened.read_row_group(group, columns=[label])[label].to_pylist()
            for row, value in enumerate(values):
                yield Cell(str(file), image, group, row), value, names, part


def files_in(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".parquet" else []
    found = [*path.glob("*.parquet"), *path.glob("data/*.parquet"), *path.glob("default/*/*.parquet")]
    for folder in path.iterdir():
        if folder.name.lower() in PART_NAMES:
            found += folder.glob("*.parquet")
    return sorted(filter(Path.is_file, found), key=lambda file: file.parts)


def _name(value: Any, names: list[str], where: str) -> str:
    if isinstance(value, list | dict):
        raise DataError(
            f"{where} has the label {value!r}; each photo needs exactly one label. If photos may have several labels, "
            "train with `multi_label=True`."
        )
    if not names or not isinstance(value, int):
        return str(value)
    if not 0 <= value < len(names):
        raise DataError(f"{where} has the label {value}, but there are only {len(names)} names.")
    return names[value]


def _columns(file: Path, schema: Any) -> tuple[str, str, list[str]]:
    """Returns the image column, the label column, and the class names, if the file states them."""
    features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    stated = {name: entry for name, entry in features.items() if isinstance(entry, dict)}
    images = [name for name in schema.names if stated.get(name, {}).get("_type") == "Image"]
    labels = [name for name in schema.names if stated.get(name, {}).get("_type") == "ClassLabel"]
    image = next((name for name in (*images, *_IMAGES) if name in schema.names), None)
    label = next((name for name in (*_LABELS, *labels) if name in (labels or schema.names)), None)
    if image is None or label is None:
        raise DataError(
            f"{file} has the columns {', '.join(schema.names)}: none is {'an image' if image is None else 'a label'}. "
            "Name them image and label."
        )
    feature = stated.get(label, {})
    return image, label, (feature.get("feature") or feature).get("names") or []


@functools.lru_cache(maxsize=8)
def _opened(file: str) -> Any:
    extras.require("pyarrow", what=file, error=DataError)
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(file)
    except pyarrow.ArrowException as error:
        raise DataError(f"{file} is damaged ({str(error).splitlines()[0]}). Download it again.") from error


@functools.lru_cache(maxsize=_KEPT_GROUPS)
def _group(file: str, column: str, group: int) -> Any:
    return _opened(file).read_row_group(group, columns=[column])[column]
