"""Object stores as a source: `s3://bucket/flowers` and other stores of fsspec, with the layout of a folder.

fsspec provides the stores and finds their credentials (`s3://` needs s3fs, `gs://` gcsfs).
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

from model_maker.data import images, layout, named_datasets, skipped_files, split_folders
from model_maker.data.entries import ListedPhoto, class_name, is_name
from model_maker.data.named_datasets import NamedDataset
from model_maker.data.split_folders import PartFolders
from model_maker.errors import DataError

# Read by `web`, photo by photo, because they cannot be listed.
_OF_THE_WEB = ("http", "https")


@dataclass(frozen=True, slots=True, order=True)
class _Stored:
    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        return PurePosixPath(self.url).name


class StoredPhoto(_Stored):
    """A photo in an object store; its credentials are those of the process that reads it."""

    __slots__ = ()

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.url).suffix

    def read_bytes(self) -> bytes:
        store, path = open_store(self.url)
        with _explained(f"{self}: cannot be read"):
            try:
                return store.cat_file(path)
            except FileNotFoundError:
                raise DataError(f"{self}: no such file") from None


class StoredFolder(_Stored):
    """A folder in an object store; can replace a Path of a dataset."""

    __slots__ = ()

    def resolve(self) -> StoredFolder:
        return self

    def is_dir(self) -> bool:
        return self.exists()

    def exists(self) -> bool:
        """Returns whether it exists.

        Raises:
          DataError: the store cannot be reached.
        """
        store, path = open_store(self.url)
        with _explained(f"{self} cannot be reached", ". Check the credentials."):
            return store.exists(path)


def place(data: str | os.PathLike[str]) -> Path | StoredFolder | PartFolders | NamedDataset:
    """Returns the location of a dataset: a path, a published dataset, a folder in a store, or one folder per split.

    Raises:
      DataError: it is empty or invalid.
    """
    if not data or not isinstance(data, str | os.PathLike | StoredFolder | PartFolders | NamedDataset):
        raise DataError(f"{data!r} is not a dataset: pass a folder with one folder of photos for each class.")
    if named := data if isinstance(data, NamedDataset) else named_datasets.find(data):
        return named
    if str(data).startswith(split_folders.SCHEME):
        return split_folders.parse(str(data))
    if not is_name(str(data)):
        raise DataError(f"{str(data)!r} is not a valid path. Pass a folder with one folder of photos for each class.")
    return StoredFolder(str(data).rstrip("/")) if is_url(data) else Path(data)


def is_url(name: object) -> bool:
    """Returns whether a name is the address of a folder in a store."""
    protocol, mark, _ = str(name).partition("://")
    # A single letter is a Windows drive.
    return bool(mark) and len(protocol) > 1 and protocol.lower() not in _OF_THE_WEB


def open_store(url: str) -> tuple[Any, str]:
    """Returns fsspec's file system for an address, and the path in it.

    Raises:
      DataError: the kind of store is unknown, or its package is missing.
    """
    from fsspec.core import url_to_fs

    with _explained(f"{url} cannot be opened", ". Check the address and the credentials."):
        try:
            return url_to_fs(url)
        except ImportError as error:
            raise DataError(
                f"{url}: {reason(error)}. Install that package here, and on every machine of a cluster."
            ) from error


def accepts(path: object) -> bool:
    return isinstance(path, StoredFolder)


def entries(folder: StoredFolder, notes: list[str]) -> Iterator[ListedPhoto]:
    """Lists the photos below class folders as `folders.entries` does, by class, then path.

    Raises:
      DataError: it cannot be listed, or a class name is not a valid label.
    """
    url = folder.url
    every = [place for place in _places(url) if place]
    places = _visible(url, every, notes)
    found: list[tuple[ListedPhoto, tuple[str, ...]]] = []
    for each in layout.arrange(layout.ListedFolder.of(url, places), notes):
        name = class_name(each.name, each.folder)
        for parts in cast(layout.ListedFolder, each.folder).photos():
            obstacle = images.obstacle(PurePosixPath(parts[-1]).suffix)
            found.append((ListedPhoto(StoredPhoto("/".join((url, *parts))), name, each.part, obstacle), parts))
    suffixes = (PurePosixPath(parts[-1]).suffix for parts in places if len(parts) > 1)
    skipped_files.note_passed_over(skipped_files.passed_over_in(PurePosixPath(*parts) for parts in every), notes)
    skipped_files.note_others(Counter(s.lower() or "no suffix" for s in suffixes if not images.is_photo(s)), notes)
    for entry, _ in sorted(found, key=lambda item: (item[0].class_name, item[1])):
        yield entry


def reason(error: Exception) -> str:
    """Returns the error message of a store's client in one line."""
    text = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200].rstrip(".")


@contextlib.contextmanager
def _explained(what: str, advice: str = "") -> Iterator[None]:
    """Converts exceptions of a store's client to a DataError; DataErrors stay unchanged."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # each client has its own exceptions
        raise DataError(f"{what} ({reason(error)}){advice}") from error


def _places(url: str) -> list[tuple[str, ...]]:
    """Lists every file below the folder, as parts of its path from there."""
    store, root = open_store(url)
    with _explained(f"{url} cannot be listed", ". Check its name and permissions."):
        paths = store.find(root)
        store.invalidate_cache()  # listings are large and no longer needed
    above = len(PurePosixPath(root).parts)
    return [PurePosixPath(path).parts[above:] for path in paths]


def _visible(url: str, places: list[tuple[str, ...]], notes: list[str]) -> list[tuple[str, ...]]:
    hidden = {
        parts[0]
        for parts in places
        if len(parts) == 2
        and parts[0].startswith(".")
        and not skipped_files.is_leftover(parts[0])
        and images.is_photo(PurePosixPath(parts[1]).suffix)
    }
    for name in sorted(hidden):
        skipped_files.note_hidden(f"{url}/{name}", notes)
    return [parts for parts in places if parts and not any(map(skipped_files.is_passed_over, parts))]
