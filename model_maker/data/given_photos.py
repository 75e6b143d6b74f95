"""In-memory photos with labels: arrays, generators, and datasets of PyTorch, Hugging Face and TensorFlow.

They are saved in the cache, as PNG by content hash with a manifest, so that models trained on them can be evaluated,
exported and reproduced later as with files.
"""

import hashlib
import io
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np

from model_maker.data import images
from model_maker.data.images import Photo
from model_maker.errors import DataError
from model_maker.system import files

Progress = Callable[[int, int], None]
Value = TypeVar("Value", covariant=True)

LIST = "images.jsonl"
_SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}
_PAIRS = (
    "give pairs of a photo and its label, or `images` and `labels`; of Hugging Face a Dataset with a column of images "
    "and one of labels."
)


@runtime_checkable
class Indexed(Protocol[Value]):
    """Interface of PyTorch's map-style datasets."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Value: ...


class _Labelled(NamedTuple):
    photo: Any
    label: Any
    part: str = ""


def keep(
    data: object = None,
    *,
    images: Iterable[Photo] | None = None,
    labels: Iterable[Any] | None = None,
    class_names: Sequence[str] | None = None,
    multi_label: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Writes photos to the cache, and returns their manifest, which is a dataset.

    Args:
      data: an iterable of pairs (photo, label); a dataset of PyTorch or TensorFlow with such pairs; or a Dataset or
        DatasetDict of Hugging Face, whose splits are kept.
      images, labels: photos and as many labels, instead of `data`.
      class_names: names of numeric labels; those of the dataset by default.
      multi_label: whether each label is a list of names or numbers, or an array of 0 and 1 for each class.
      progress: called with (done, total) photos, if their number is known.

    Raises:
      DataError: a photo or label is invalid; the message states its number.
    """
    if images is not None or labels is not None:
        if data is not None or images is None or labels is None:
            raise DataError("Pass `images` and `labels` together, without `data`.")
        rows: Iterator[_Labelled] = _zipped(images, labels)
        total, stated = _length(images), None
    else:
        rows, total, stated = _rows(data)
    names = tuple(class_names) if class_names is not None else stated
    kept, numbered = [], False
    for number, row in enumerate(rows):
        given = _several(row.label, number) if multi_label else [row.label]
        found = [_label(label, names, number) for label in given]
        numbered |= any(is_number for _, is_number in found)
        kept.append((str(_photo(row.photo, number)), [label for label, _ in found], row.part))
        if progress and total:
            progress(number + 1, total)
    if not kept:
        raise DataError("The given dataset contains no photos.")
    width = max(len(label) for _, found, _ in kept for label in found) if numbered and names is None else 0
    return _list([(path, [label.zfill(width) for label in found], part) for path, found, part in kept], multi_label)


def is_given(data: object) -> bool:
    """Whether `data` contains photos and is not the name of a dataset."""
    if data is None or isinstance(data, str | bytes | os.PathLike):
        return False
    return isinstance(data, Iterable | Indexed)


def _list(rows: list[tuple[str, list[str], str]], multi_label: bool) -> Path:
    lines = [
        json.dumps(
            {"path": path, "label": found if multi_label else found[0]} | ({"split": part} if part else {}),
            ensure_ascii=False,
        )
        for path, found, part in rows
    ]
    content = ("\n".join(lines) + "\n").encode()
    path = files.cache_directory() / "given" / hashlib.sha256(content).hexdigest()[:16] / LIST
    files.write(path, content)
    return path


def _photo(photo: Any, number: int) -> Path:
    """Returns the path of a photo; writes it losslessly under the hash of its pixels if it is not a file."""
    if isinstance(photo, str | os.PathLike):
        return Path(photo).absolute()
    try:
        picture = images.picture(photo)
    except DataError as error:
        raise DataError(f"Photo {number}: {error}") from error
    digest = hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).hexdigest()
    path = files.cache_directory() / "given" / "photos" / digest[:2] / f"{digest}.png"
    if not path.exists():
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", compress_level=1)
        files.write(path, buffer.getvalue())
    return path


def _several(labels: Any, number: int) -> list[Any]:
    """Returns the labels of a photo: a list as it is, or the classes that are not 0 in an array."""
    if isinstance(labels, list | tuple | set | frozenset):
        return sorted(labels) if isinstance(labels, set | frozenset) else list(labels)
    values = np.asarray(labels) if hasattr(labels, "__array__") else np.zeros(())
    if values.ndim == 1 and np.isin(values, (0, 1)).all():
        return np.flatnonzero(values).tolist()
    raise DataError(
        f"Photo {number} has the labels {labels!r}: with `multi_label=True`, give a list of names or numbers, or an "
        "array of 0 and 1 for each class."
    )


def _label(label: Any, names: Sequence[str] | None, number: int) -> tuple[str, bool]:
    """Returns the name of a photo's class, and whether it is a number without a name."""
    plain = np.asarray(label).item() if hasattr(label, "__array__") and np.asarray(label).size == 1 else label
    if isinstance(plain, bytes):
        plain = plain.decode(errors="replace")
    if isinstance(plain, str) and plain.strip():
        return plain.strip(), False
    if not isinstance(plain, int | np.integer) or isinstance(plain, bool) or plain < 0:
        raise DataError(f"Photo {number} has the label {plain!r}: give the name of its class, or its number from 0 on.")
    if names is None:
        return str(int(plain)), True
    if plain >= len(names):
        raise DataError(f"Photo {number} has the label {plain}, and there are {len(names)} class names.")
    return str(names[int(plain)]), False


def _zipped(photos: Iterable[Any], labels: Iterable[Any]) -> Iterator[_Labelled]:
    missing = object()
    for number, (photo, label) in enumerate(itertools.zip_longest(photos, labels, fillvalue=missing)):
        if photo is missing or label is missing:
            what = "labels" if photo is missing else "photos"
            raise DataError(f"There are more {what} than {number}: give a label for each photo.")
        yield _Labelled(photo, label)


def _rows(data: Any) -> tuple[Iterator[_Labelled], int | None, tuple[str, ...] | None]:
    """Returns the photos of a dataset, their number and the names of its labels, if known."""
    home = type(data).__module__.partition(".")[0]
    if home == "datasets":
        return _of_hugging_face(data)
    if home == "tensorflow" and hasattr(data, "as_numpy_iterator"):
        return _of_tensorflow(data), None, None
    if isinstance(data, Mapping):
        raise DataError(f"{type(data).__name__} holds no photos in an order: {_PAIRS}")
    names = getattr(data, "classes", None)
    stated = tuple(map(str, names)) if isinstance(names, list | tuple) else None
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return _paired(data[index] for index in range(len(data))), len(data), stated
    return _paired(data), _length(data), stated


def _paired(rows: Iterable[Any]) -> Iterator[_Labelled]:
    for number, row in enumerate(rows):
        if not isinstance(row, tuple | list) or len(row) != 2:
            raise DataError(f"Photo {number} is {type(row).__name__}: {_PAIRS}")
        yield _Labelled(*row)


def _of_tensorflow(data: Any) -> Iterator[_Labelled]:
    for row in _paired(data.as_numpy_iterator()):
        if row.photo.ndim == 4:  # a batch
            yield from (_Labelled(*one) for one in zip(row.photo, row.label, strict=True))
        else:
            yield row


def _of_hugging_face(data: Any) -> tuple[Iterator[_Labelled], int | None, tuple[str, ...] | None]:
    parts = dict(data) if isinstance(data, Mapping) else {"": data}
    features = next(iter(parts.values())).features
    kinds = {name: type(feature).__name__ for name, feature in features.items()}
    photos = [name for name, kind in kinds.items() if kind == "Image"]
    labels = [name for name, kind in kinds.items() if kind == "ClassLabel"] or [
        name for name in ("label", "labels", "class") if name in kinds
    ]
    if len(photos) != 1 or len(labels) != 1:
        raise DataError(f"The columns {', '.join(kinds)} do not name one of images and one of labels: {_PAIRS}")
    stated = getattr(features[labels[0]], "names", None) or getattr(
        getattr(features[labels[0]], "feature", None), "names", None
    )
    rows = (
        _Labelled(row[photos[0]], row[labels[0]], _SPLITS.get(part.lower(), ""))
        for part, rows in parts.items()
        for row in rows
    )
    return rows, sum(len(part) for part in parts.values()), tuple(stated) if stated else None


def _length(photos: object) -> int | None:
    return len(photos) if hasattr(photos, "__len__") else None
