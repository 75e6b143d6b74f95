"""The engine `ray`: hashes and embeds photos on a Ray cluster, with byte-identical results.

Each worker reads its photos itself, and returns embeddings through shards. So losing a worker costs only its batch, and
a killed run continues from the finished shards.
"""

import contextlib
import hashlib
import math
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from model_maker.data.object_stores import is_url, open_store
from model_maker.data.sources import hash_all, hash_photo
from model_maker.data.streaming import in_order
from model_maker.embeddings import shards
from model_maker.embeddings.cluster import Cluster, check_installed, connected
from model_maker.embeddings.shards import Shards, Unreadable
from model_maker.embeddings.work import Results, Wanted, Work, stored_type
from model_maker.errors import ClusterError, DataError
from model_maker.fitting import Fit
from model_maker.progress import Progress
from model_maker.system import files
from model_maker.tflite.interpreter import LiteRTRunner

Array = np.ndarray
Item = TypeVar("Item")

# Photos in a batch, if there are many: seconds of work, so that the overhead of a batch is negligible.
MOST_EMBEDDED, MOST_HASHED, LEAST = 256, 1024, 16
# Maximum size of a shard: feature maps are large.
_SHARD_BYTES = 32 << 20
# Batches per core: enough to keep all cores busy to the end.
_BATCHES_A_CORE = 4
# Read-ahead threads of a worker, because object stores are slow to answer.
_READERS = 4


class Ray:
    """An `Engine` on a Ray cluster.

    Args:
      address: see `cluster.connected`.
      folder: folder of shards, a path or fsspec address that all machines can reach; the cache by default.
    """

    def __init__(self, address: str | None, folder: str | None, progress: Progress):
        check_installed()
        self._address, self._progress = address, progress
        folder = folder or str(files.cache_directory() / "shards")
        self._folder = folder.rstrip("/") if is_url(folder) else os.path.abspath(folder)
        self._logged_notes: set[str] = set()

    def hash(self, entries: Iterable[Any]) -> Iterator[tuple[str, str]]:
        """Implements `Engine.hash`."""
        entries = list(entries)
        if len(entries) <= MOST_HASHED:  # faster than joining a cluster
            yield from hash_all(entries)
            return
        paths = [entry.path for entry in entries]
        waiting: dict[int, list] = {}
        with contextlib.ExitStack() as stack:
            cluster = stack.enter_context(self._cluster())
            batches = _batches(paths, cluster.cpus, most=MOST_HASHED)
            finished = stack.enter_context(contextlib.closing(cluster.run(batches, _Hasher, (), most=None)))
            for number, batch in enumerate(batches):
                while number not in waiting:
                    done, hashes = next(finished)
                    waiting[done] = hashes
                for path, (digest, reason) in zip(batch, waiting.pop(number), strict=True):
                    yield (digest, "") if digest else self._agreed(path, reason)

    def embed(self, photos: Sequence[Wanted], work: Work, size: Fit, *, threads: int | None = None) -> Results:
        """Implements `Engine.embed`; `threads` limits the number of workers."""
        folder = Shards(f"{self._folder}/{work.name}")
        found = folder.index()
        rest = [photo for photo in photos if _key(photo) not in found]
        with contextlib.ExitStack() as stack:
            batches: list[list[Wanted]] = []
            finished: Iterator[tuple[int, str]] = iter(())
            if rest:
                cluster = stack.enter_context(self._cluster())
                batches = _batches(rest, cluster.cpus, most=_photos_in_a_shard(work, photos))
                run = cluster.run(batches, _Embedder, (work, size, folder), most=threads)
                finished = stack.enter_context(contextlib.closing(run))
            yield from self._results(photos, found, batches, finished)

    def _results(
        self,
        photos: Sequence[Wanted],
        found: dict[str, str],
        batches: list[list[Wanted]],
        finished: Iterator[tuple[int, str]],
    ) -> Results:
        """Yields results in the order of photos, reading shards as needed; removes the shards at the end."""
        held: dict[str, dict[str, shards.Result]] = {}
        served = set()
        for photo in photos:
            key, path = _key(photo), photo[0].path
            while key not in found:
                number, name = next(finished)
                found |= dict.fromkeys(map(_key, batches[number]), name)
            if (name := found[key]) not in held:
                held[name] = shards.read(name)
                served.add(name)
            result = held[name].pop(key)
            if not held[name]:
                del held[name]
            if isinstance(result, Unreadable):
                reason = result.reason if result.opened else self._agreed(path, result.reason)[1]
                yield DataError(f"{path}: {reason}")
            else:
                yield result
        shards.remove(served)

    @contextlib.contextmanager
    def _cluster(self) -> Iterator[Cluster]:
        """Joins the cluster, and checks that every node can read a file written by this machine."""
        mark = f"{self._folder}/{uuid.uuid4().hex}.mark"
        with connected(self._address) as cluster:
            shards.write_bytes(mark, mark.encode())
            try:
                notes = cluster.compare(mark, _see)
            finally:
                shards.remove([mark])
            for note in notes:
                if note not in self._logged_notes:
                    self._logged_notes.add(note)
                    self._progress.note(note)
            yield cluster

    def _agreed(self, path: Any, reason: str) -> tuple[str, str]:
        """Returns why a photo cannot be read, if this machine cannot read it either; else they see different photos."""
        digest, here = hash_photo(path)
        if digest:
            raise ClusterError(
                f"A node of the cluster cannot read {path} ({reason}), and this machine can. All machines must reach "
                "the photos under the same name: share the folder, or use an address as s3://bucket/photos."
            )
        return "", here or reason


class _Hasher:
    """Hashes a batch of photos in a worker."""

    def __call__(self, paths: list) -> list[tuple[str, str]]:
        return list(in_order(hash_photo, paths, threads=_READERS))


class _Embedder:
    """Embeds a batch of photos in a worker, and writes them as a shard to the shared folder."""

    def __init__(self, work: Work, size: Fit, folder: Shards):
        self._work, self._size, self._folder = work, size, folder
        self._run = work.worker()

    def __call__(self, photos: list[Wanted]) -> str:
        keys = [_key(photo) for photo in photos]
        name = self._folder.name(keys)
        store, path = open_store(name)
        # It may exist if the worker that wrote it was lost before it could report.
        if not store.exists(path):
            contents = in_order(_content, photos, threads=_READERS)
            results = [self._embed(photo, content) for photo, content in zip(photos, contents, strict=True)]
            shards.write(name, keys, results)
        return name

    def _embed(self, photo: Wanted, content: bytes | None) -> shards.Result:
        sample = photo[0]
        if content is not None and hashlib.sha256(content).hexdigest() != sample.digest:
            raise DataError(
                f"{sample.path} is another file for a node of the cluster than it was when the photos were listed. All "
                "machines must reach the same photos under the same name, and none may change during a run."
            )
        try:
            return self._run(self._work.views(photo, self._size, content))
        except DataError as error:
            named = str(sample.path) if content is None else "the picture"
            return Unreadable(str(error).removeprefix(f"{named}: "), opened=content is not None)


def _content(photo: Wanted) -> bytes | None:
    """Returns a photo's bytes; None if they cannot be read, so that `Work.views` reports why."""
    try:
        return photo[0].path.read_bytes()
    except (OSError, DataError):
        return None


def _key(photo: Wanted) -> str:
    """Returns a key for a photo and its requested views."""
    return hashlib.sha256(" ".join(photo[1].values()).encode()).hexdigest()


def _batches(items: Sequence[Item], cores: int, *, most: int) -> list[list[Item]]:
    size = min(most, max(LEAST, math.ceil(len(items) / (cores * _BATCHES_A_CORE))))
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def _photos_in_a_shard(work: Work, photos: Sequence[Wanted]) -> int:
    views = max(len(names) for _, names in photos)
    runner = LiteRTRunner(work.embedder)
    photo_bytes = stored_type(runner).itemsize * views * math.prod(runner.output_shape)
    return max(1, min(MOST_EMBEDDED, _SHARD_BYTES // photo_bytes))


def _see(mark: str) -> str:
    """Returns the problem of a node with the folder of shards."""
    folder = mark.rpartition("/")[0]
    try:
        store, path = open_store(mark)
        if store.cat_file(path) == mark.encode():
            return ""
        trouble = "another file lies there"
    except Exception as error:  # each store's client has its own exceptions
        trouble = str(error) or type(error).__name__
    return (
        f"does not reach the shards in {folder} ({trouble}). Pass `shards` with a folder, or an address as "
        "s3://bucket/shards, that all machines reach."
    )
