"""Dataset formats: SOURCES, each with a function that lists entries, and `read`, which returns a Dataset."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model_maker.data import (
    archives,
    folders,
    manifests,
    named_datasets,
    object_stores,
    parquet,
    skipped_files,
    split_folders,
    tfrecords,
)
from model_maker.data.dataset import Dataset, Sample, Skipped
from model_maker.data.entries import ListedPhoto, Location, spelling_notes
from model_maker.data.multi_label import NO_LABEL, MultiLabelDataset
from model_maker.data.named_datasets import NamedDataset
from model_maker.data.object_stores import StoredFolder, place
from model_maker.data.split_folders import PartFolders
from model_maker.data.web import Address
from model_maker.errors import DataError
from model_maker.system import files

Progress = Callable[[int, int], None]
# Hashes photos: yields (digest, "") or ("", reason) for each entry, in order.
Hasher = Callable[[Iterable[ListedPhoto]], Iterator[tuple[str, str]]]

# pathlib collapses two slashes into one.
_OF_THE_WEB = re.compile(r"(https?):/+", re.IGNORECASE)

# Photos per progress report, and in the queue of the hashing threads.
_SLICE = 1024
# Photos per task of a thread: scheduling one takes as long as detecting that it is missing.
_PART = 16
# Maximum number of notes in an error; any of them may explain it.
_MOST_NOTES = 6


@dataclass(frozen=True)
class Source:
    """A dataset format.

    Attributes:
      accepts: whether a path has this format.
      entries: lists its photos in the order of the Dataset; the second argument receives notes.
      sets: the same where photos may have several labels: an entry for each of them, one without a class name for a
        photo without labels. None if the format has one label per photo; copies of a photo may still have others.
    """

    accepts: Callable[[Any], bool]
    entries: Callable[[Any, list[str]], Iterator[ListedPhoto]]
    layout: str
    sets: Callable[[Any, list[str]], Iterator[ListedPhoto]] | None = None


_FOLDERS = "one folder of photos for each class, such as roses/ and tulips/"
# The first that accepts a path reads it; the last is a folder of class folders.
SOURCES = {
    "published": Source(named_datasets.accepts, named_datasets.entries, _FOLDERS),
    "parts": Source(split_folders.accepts, split_folders.entries, f"in each part {_FOLDERS}"),
    "object store": Source(object_stores.accepts, object_stores.entries, _FOLDERS),
    "manifest": Source(
        manifests.accepts, manifests.entries, "a line with path and label for each photo", manifests.sets
    ),
    "archive": Source(archives.accepts, archives.entries, f"in the archive {_FOLDERS}"),
    "parquet": Source(parquet.accepts, parquet.entries, "a column of images and one of labels", parquet.sets),
    "tfrecord": Source(tfrecords.accepts, tfrecords.entries, "tf.Examples with an image and a label"),
    "folder": Source(Path.is_dir, folders.entries, _FOLDERS),
}


def read(
    data: str | os.PathLike[str],
    *,
    least_classes: int = 2,
    multi_label: bool = False,
    hasher: Hasher | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Reads a dataset: `DIR/<class>/**`, `DIR/{train,val,test}/<class>/**`, or any other of SOURCES.

    Args:
      data: the folder or file, or the name of a published dataset, see `named_datasets.NAMED`.
      least_classes: minimum number of classes: two for training, one for evaluation.
      multi_label: whether photos may have several labels, or none; copies of a photo then have the labels of all.
      hasher: reads and hashes photos; threads of this process by default.
      progress: called with (done, total) photos.

    Returns:
      The photos with digests of their content; they are not decoded yet. With `multi_label`, a MultiLabelDataset.

    Raises:
      DataError: the dataset does not exist, cannot be opened, or has too few classes with photos.

    Examples:
      >>> from model_maker import load_dataset
      >>> load_dataset("flowers").classes
      ('daisy', 'dandelion', 'rose', 'sunflower', 'tulip')
    """
    path, notes = place(data), list[str]()
    if isinstance(path, NamedDataset):
        path.fetch(notes, progress)
    source = source_of(path)
    try:
        listed = source.sets if multi_label and source.sets else source.entries
        entries = list(listed(path, notes))
    except OSError as error:
        raise DataError(f"{path} cannot be opened ({error.strerror}). Check its name and permissions.") from error
    skipped_files.refuse_mask_files(entries)
    classes = tuple(sorted({entry.class_name for entry in entries if entry.class_name}))
    notes += spelling_notes(classes)
    _check_classes(path, source, classes, least_classes, notes)
    _note_downloads(entries, notes)
    index = {name: label for label, name in enumerate(classes)}
    if multi_label:
        return _merged(entries, index, hasher or hash_all, notes, progress)
    hashed, skipped = _hashed(entries, hasher or hash_all, progress)
    samples = tuple(Sample(entry.path, index[entry.class_name], digest, entry.part) for entry, digest in hashed)
    dataset = Dataset(samples, classes, tuple(skipped))
    return replace(dataset, notes=tuple(notes) + conflict_notes(dataset))


def _hashed(
    entries: list[ListedPhoto], hasher: Hasher, progress: Progress | None
) -> tuple[list[tuple[ListedPhoto, str]], list[Skipped]]:
    """Returns the entries that can be read with their digests, and the others."""
    found, skipped = [], [Skipped(entry.path, entry.reason, entry.part) for entry in entries if entry.reason]
    entries = [entry for entry in entries if not entry.reason]
    for done, (entry, (digest, reason)) in enumerate(zip(entries, hasher(entries), strict=True), 1):
        if digest:
            found.append((entry, digest))
        else:
            skipped.append(Skipped(entry.path, reason, entry.part))
        if progress and (done % _SLICE == 0 or done == len(entries)):
            progress(done, len(entries))
    return found, skipped


def _merged(
    entries: list[ListedPhoto], index: dict[str, int], hasher: Hasher, notes: list[str], progress: Progress | None
) -> MultiLabelDataset:
    """Returns each photo once in each split, with the labels of all entries of its path and of its copies."""
    named: dict[Location, set[int]] = {}
    for entry in entries:
        named.setdefault(entry.path, set()).update([index[entry.class_name]] if entry.class_name else [])
    hashed, skipped = _hashed(list({entry.path: entry for entry in reversed(entries)}.values())[::-1], hasher, progress)
    sets: dict[str, set[int]] = {}
    samples: dict[tuple[str, str], Sample] = {}
    for entry, digest in hashed:
        sets.setdefault(digest, set()).update(named[entry.path])
        samples.setdefault((digest, entry.part), Sample(entry.path, NO_LABEL, digest, entry.part))
    frozen = {digest: frozenset(labels) for digest, labels in sets.items()}
    several, none = sum(len(labels) > 1 for labels in frozen.values()), sum(not labels for labels in frozen.values())
    counts = f"{several} of {skipped_files.counted(len(frozen), 'photo')} have several labels"
    notes.append(f"{counts}, and {none} have none." if none else f"{counts}.")
    if copies := len(hashed) - len(samples):
        notes.append(f"Exact copies of photos: {copies}. Each photo is used once, with the labels of its copies.")
    return MultiLabelDataset(tuple(samples.values()), tuple(index), tuple(skipped), tuple(notes), sets=frozen)


def read_to_judge(data: str | os.PathLike[str], *, multi_label: bool = False) -> tuple[Dataset, list[str]]:
    """Reads labeled photos for evaluation, and notes: the test split of a dataset that has one; errors as in `read`."""
    dataset = read(data, least_classes=1, multi_label=multi_label)
    notes, stated = list(dataset.notes), dataset.stated("test")
    if len(stated):
        return stated, [*notes, f"{data} has a test split, which is used."]
    counts = {part: len(dataset.stated(part)) for part in ("train", "validation")}
    if any(counts.values()):
        named = " and ".join(f"{count} of its {part} split" for part, count in counts.items() if count)
        notes.append(f"{data} has no labeled test split: {named} are used, which a model may have been trained on.")
    return dataset, notes


def places(dataset: Dataset, data: str | os.PathLike[str]) -> set[Path]:
    """Returns the local paths of a dataset: itself and the folders of its photos."""
    paths = (entry.path for entries in (dataset.samples, dataset.skipped) for entry in entries)
    return {path.parent for path in paths if isinstance(path, Path)} | homes(data)


def homes(data: str | os.PathLike[str]) -> set[Path]:
    """Returns the local paths of a dataset as passed."""
    home = place(data)
    if isinstance(home, PartFolders):
        return {path for _, path in home.places}
    return {home} if isinstance(home, Path) else set()


def title(data: str | os.PathLike[str]) -> str:
    """Returns the name of a dataset: that of its folder, or of its file without the suffix."""
    path = place(data).resolve()
    if isinstance(path, StoredFolder | PartFolders | NamedDataset) or not path.is_file():
        return path.name
    suffixes = (*archives.SUFFIXES, *manifests.SUFFIXES, ".parquet")
    suffix = max((suffix for suffix in suffixes if path.name.lower().endswith(suffix)), key=len, default="")
    return path.name[: len(path.name) - len(suffix)] or path.name


def source_of(path: Path | StoredFolder | PartFolders | NamedDataset) -> Source:
    """Returns the first of SOURCES that accepts a path.

    Raises:
      DataError: the path does not exist, or has an unknown format.
    """
    advice = f"Pass a folder that holds {_FOLDERS.replace(', such as roses/ and tulips/', '')}."
    try:
        if not (files.exists(path) if isinstance(path, Path) else path.exists()):
            if isinstance(path, Path) and (address := _OF_THE_WEB.match(path.as_posix())):
                url = f"{address[1].lower()}://{path.as_posix()[address.end() :]}"
                raise DataError(
                    f"{url} is a web address, and datasets are not downloaded. Download it, and give the file."
                )
            raise DataError(f"{path} does not exist. {advice}{named_datasets.like(str(path))}")
        if isinstance(path, Path) and not path.is_dir() and not path.is_file():
            raise DataError(f"{path} is neither a file nor a folder, but a pipe or a device. Save it as a file.")
        for source in SOURCES.values():
            if source.accepts(path):
                return source
    except OSError as error:
        raise DataError(f"{path} cannot be opened ({error.strerror}). Check its name and permissions.") from error
    kinds = ", ".join([*manifests.SUFFIXES, *archives.SUFFIXES, ".parquet"])
    raise DataError(f"{path} is a file. {advice} Of files, {kinds} and TFRecord can be read.")


def _check_classes(
    path: Path | StoredFolder | PartFolders | NamedDataset,
    source: Source,
    classes: tuple[str, ...],
    least: int,
    notes: list[str],
) -> None:
    # Skipped files may be why classes are missing.
    layout = " ".join([f"Expected {source.layout}.", *notes[:_MOST_NOTES]])
    if not classes:
        what = "photos (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF) in class folders" if path.is_dir() else "labeled photos"
        raise DataError(f"{path} holds no {what}. {layout}")
    if len(classes) < least:
        raise DataError(f"{path} holds one class only, {classes[0]!r}; a classifier needs at least two. {layout}")


def _note_downloads(entries: list[ListedPhoto], notes: list[str]) -> None:
    addresses = [entry.path for entry in entries if isinstance(entry.path, Address)]
    if addresses:
        missing = sum(not address.cached.exists() for address in addresses)
        notes.append(f"{len(addresses)} photos are at http(s) addresses; {missing} of them had to be downloaded.")


def hash_all(entries: Iterable[ListedPhoto]) -> Iterator[tuple[str, str]]:
    """Yields the result of `hash_photo` for each entry, in order, using threads of this process."""
    paths = [entry.path for entry in entries]
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) * 2)) as pool:
        try:
            # In slices, so that a million photos do not queue a million results.
            for start in range(0, len(paths), _SLICE):
                parts = [paths[part : part + _PART] for part in range(start, min(start + _SLICE, len(paths)), _PART)]
                for found in pool.map(lambda part: [hash_photo(path) for path in part], parts):
                    yield from found
        finally:
            pool.shutdown(cancel_futures=True)


def hash_photo(path: Location) -> tuple[str, str]:
    """Returns (sha256 of a photo's bytes, ""), or ("", reason) if they cannot be read."""
    try:
        if isinstance(path, Path):
            with files.open_regular(path) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                return (digest, "") if file.tell() else ("", "empty file")
        content = path.read_bytes()
    except OSError as error:
        return "", error.strerror or "unreadable"
    except DataError as error:
        return "", str(error).removeprefix(f"{path}: ")
    return (hashlib.sha256(content).hexdigest(), "") if content else ("", "empty file")


def conflict_notes(dataset: Dataset) -> tuple[str, ...]:
    """Returns the note on photos that lie in more than one class, if there are any."""
    count = dataset.conflicts
    return (f"{skipped_files.counted(count, 'photo')} in more than one class (exact copies).",) if count else ()
