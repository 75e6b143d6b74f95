"""Shards: files with the embeddings of finished batches, in a folder that all machines of a cluster can reach.

A shard is written atomically and describes its content, so this run, or the next one if this is killed, can use it. It
is a `.npz` with checksums; a damaged shard counts as missing.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_maker.data.object_stores import open_store, reason
from model_maker.errors import OutputError
from model_maker.system import files

Array = np.ndarray

_SUFFIX = ".shard.npz"
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class Unreadable:
    """A photo without an embedding, and why.

    `opened` is whether its bytes could be read, so that the photo is at fault and not the machine.
    """

    reason: str
    opened: bool


Result = Array | Unreadable


@dataclass(frozen=True)
class Shards:
    """The shards of one embedder in one folder, a path or an fsspec address."""

    url: str

    def name(self, keys: Sequence[str]) -> str:
        """Returns the file of a batch; the name depends only on its keys."""
        return f"{self.url}/{hashlib.sha256(' '.join(keys).encode()).hexdigest()[:32]}{_SUFFIX}"

    def index(self) -> dict[str, str]:
        """Returns the file of each embedding that earlier runs finished; removes damaged files."""
        found: dict[str, str] = {}
        store, folder = open_store(self.url)
        if not store.exists(folder):
            return found
        store.invalidate_cache()
        for path in sorted(store.find(folder)):
            if not path.endswith(_SUFFIX):
                continue
            name = f"{self.url}/{path.rpartition('/')[2]}"
            try:
                with store.open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
                    # Photos that were unreadable may be readable now.
                    usable = content["keys"][content["reasons"] == ""]
                found |= dict.fromkeys((key.decode() for key in usable), name)
            except _DAMAGED:
                remove([name])
        return found


def write(name: str, keys: Sequence[str], results: Sequence[Result]) -> None:
    """Writes a shard: for each key of a photo and its views, 64 characters, its views [K, D], or why there is none.

    Raises:
      OutputError: it cannot be written.
    """
    vectors = [result for result in results if not isinstance(result, Unreadable)]
    failures = [result if isinstance(result, Unreadable) else Unreadable("", True) for result in results]
    content = io.BytesIO()
    np.savez(
        content,
        keys=np.array(keys, "S64"),
        counts=np.array([0 if isinstance(result, Unreadable) else len(result) for result in results]),
        reasons=np.array([failure.reason for failure in failures]),
        opened=np.array([failure.opened for failure in failures]),
        vectors=np.concatenate(vectors) if vectors else np.empty((0, 0), np.float16),
    )
    write_bytes(name, content.getvalue())


def write_bytes(name: str, content: bytes) -> None:
    """Writes a file atomically: by renaming on a disk, in one request to an object store.

    Raises:
      OutputError: it cannot be written.
    """
    store, path = open_store(name)
    if _is_disk(store):
        files.write(Path(path), content)
        return
    try:
        store.pipe_file(path, content)
    except Exception as error:  # each store's client has its own exceptions
        raise OutputError(f"Cannot write {name} ({reason(error)}). Choose another folder with `shards`.") from error


def read(name: str) -> dict[str, Result]:
    """Returns the content of a shard, by key.

    Raises:
      OutputError: it is missing or damaged.
    """
    store, path = open_store(name)
    try:
        with store.open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
            counts = content["counts"]
            rows = np.split(content["vectors"], np.cumsum(counts)[:-1])
            failures = map(Unreadable, content["reasons"].tolist(), content["opened"].tolist())
            keys = [key.decode() for key in content["keys"]]
            return {
                key: failure if failure.reason else vectors
                for key, vectors, failure in zip(keys, rows, failures, strict=True)
            }
    except _DAMAGED as error:
        raise OutputError(f"The shard {name} was removed or damaged while in use. Run the command again.") from error


def remove(names: Iterable[str]) -> None:
    """Removes used shards; ignores missing ones."""
    for name in names:
        store, path = open_store(name)
        if store.exists(path):
            store.rm_file(path)


def _is_disk(store: object) -> bool:
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(store, LocalFileSystem)
