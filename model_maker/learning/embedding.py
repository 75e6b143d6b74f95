"""Photos to embeddings: LiteRT on every core, streaming, remembered by content.

The cache is one append-only file of fixed-size records for each backbone and preprocessing. A record carries the
sha256 that names the photo, or a view of it, and a checksum, so a kill in the middle of a write costs one record, and
the file is mapped instead of read, however many photos it holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import math
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np

from model_maker import files
from model_maker.data import augment, images
from model_maker.data.augment import PRESETS, Augmentation
from model_maker.data.dataset import Dataset, Skipped
from model_maker.data.images import Normalization
from model_maker.data.streaming import stream
from model_maker.errors import DataError, OutputError
from model_maker.learning.engines import LOCAL, Engine, Wanted, Work
from model_maker.tflite.interpreter import Runner

Array = np.ndarray
Progress = Callable[[int, int], None]

# Records written in one go: a kill loses at most this many embeddings.
_FLUSH = 64


class EmbeddingStore:
    """Embeddings by the sha256 of their photo or view, in one file that only grows.

    Args:
      path: the file; made on the first write.
      size: length of an embedding.
    """

    def __init__(self, path: Path, size: int):
        self.path = path
        self._record = np.dtype([("digest", "V32"), ("check", "<u4"), ("vector", "<f2", (size,))])
        self._records = self._map()

    def find(self, digests: Sequence[str]) -> Array:
        """Returns the record of each digest, int [N], -1 where there is none or it is damaged."""
        wanted = np.frombuffer(bytes.fromhex("".join(digests)), "V32")
        if not len(self._records) or not len(wanted):
            return np.full(len(wanted), -1)
        # A quarter of the digest to sort by, the whole to be sure.
        keys = np.ascontiguousarray(self._records["digest"]).view("<u8")[::4]
        order = np.argsort(keys, kind="stable")
        last = np.searchsorted(keys, wanted.view("<u8")[::4], side="right", sorter=order) - 1
        rows = order[np.maximum(last, 0)]
        intact = [
            self._records["digest"][row].tobytes() == digest.tobytes()
            and self._records["check"][row] == zlib.crc32(self._records["vector"][row])
            for row, digest in zip(rows, wanted, strict=True)
        ]
        return np.where(intact, rows, -1)

    def read(self, rows: Array) -> Array:
        """Returns float16 [N, size]."""
        return np.asarray(self._records["vector"][rows])

    def append(self, digests: Sequence[str], vectors: Array) -> None:
        """Adds embeddings; several processes may do so at once.

        Args:
          digests: sha256, hexadecimal.
          vectors: float16 [N, size].
        """
        records = np.empty(len(digests), self._record)
        for record, digest, vector in zip(records, digests, vectors, strict=True):
            record["digest"], record["vector"] = np.void(bytes.fromhex(digest)), vector
            record["check"] = zlib.crc32(record["vector"])
        with files.explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                torn = os.fstat(file.fileno()).st_size % self._record.itemsize
                if torn:
                    file.truncate(os.fstat(file.fileno()).st_size - torn)
                file.write(records.tobytes())

    def refresh(self) -> None:
        """Maps the file again, with what was appended since."""
        self._records = self._map()

    def _map(self) -> Array:
        count = self.path.stat().st_size // self._record.itemsize if self.path.exists() else 0
        return np.memmap(self.path, self._record, "r", shape=(count,)) if count else np.empty(0, self._record)


class FeatureMaps:
    """What an embedder gives for photos and their views; it stays in the mapped cache until it is asked for.

    Args:
      store: where it is.
      rows: int [N, K], the record of each view of each photo.
      shape: of one, as (14, 14, 112).
    """

    def __init__(self, store: EmbeddingStore, rows: Array, shape: tuple[int, ...]):
        self._store, self._rows, self.shape = store, rows, shape

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def views(self) -> int:
        """K; view 0 is the plain photo."""
        return self._rows.shape[1]

    def batch(self, photos: Array, views: Array | int = 0) -> Array:
        """Reads one view of each of some photos.

        Args:
          photos: int [B], from 0 to N - 1.
          views: int [B], from 0 to K - 1, or one number for all.

        Returns:
          float32 [B, *shape].
        """
        return self._store.read(self._rows[photos, views]).astype(np.float32).reshape(-1, *self.shape)

    def read(self) -> Array:
        """Reads everything: float16 [N, K, *shape]."""
        return self._store.read(self._rows).reshape(*self._rows.shape, *self.shape)


def embed(dataset: Dataset, embedder: bytes, normalization: Normalization, **options) -> tuple[Array, list[Skipped]]:
    """Returns the embedding of every photo, computing only those not seen before.

    Args:
      dataset: the photos.
      embedder: a float `.tflite`, float32 [1, H, H, 3] to [1, D].
      normalization: what it expects.
      **options: as for `feature_maps`.

    Returns:
      float16 [N, D] of the photos that can be read, in order, or [N, K, D] where K views are asked for; and the photos
      that cannot be read.
    """
    found, skipped = feature_maps(dataset, embedder, normalization, **options)
    vectors = found.read()
    return vectors if found.views > 1 else vectors[:, 0], skipped


def compute(
    dataset: Dataset, embedder: bytes, normalization: Normalization, *, threads: int | None = None
) -> tuple[Array, list[Skipped]]:
    """Does what `embed` does with plain photos, and keeps nothing: for embedders that are not met again."""
    size = Runner(embedder).input_shape[1]
    results = stream((s.path for s in dataset.samples), size, Work(embedder, normalization).worker, threads=threads)
    vectors, skipped = [], []
    for sample, result in zip(dataset.samples, results, strict=True):
        if isinstance(result, DataError):
            skipped.append(Skipped(sample.path, str(result).removeprefix(f"{sample.path}: "), sample.part))
        else:
            vectors.append(result[0])
    return np.stack(vectors), skipped


def feature_maps(
    dataset: Dataset,
    embedder: bytes,
    normalization: Normalization,
    *,
    views: int = 1,
    augmentation: Augmentation = PRESETS["none"],
    seed: int = 0,
    threads: int | None = None,
    engine: Engine = LOCAL,
    progress: Progress | None = None,
) -> tuple[FeatureMaps, list[Skipped]]:
    """Computes what an embedder gives for every photo, unless seen before, and leaves it in the cache to read from.

    Args:
      dataset: the photos.
      embedder: a float `.tflite`, float32 [1, H, H, 3] to [1, ...].
      normalization: what it expects.
      views: K, how many of each photo; the first is the plain photo, which all augmentations share.
      augmentation, seed: what makes the others.
      threads: photos at a time; all cores unless told.
      engine: where they are embedded; on this machine unless told.
      progress: called with (done, total) photos, known ones counted as done.

    Returns:
      FeatureMaps of the photos that can be read, in order, and the photos that cannot.
    """
    probe = Runner(embedder)
    size, shape = probe.input_shape[1], probe.output_shape[1:]
    path = cache_path(embedder)
    store = EmbeddingStore(path, math.prod(shape))
    names = {
        digest: [augment.identity(digest, augmentation, seed=seed, number=number) for number in range(views)]
        for digest in (sample.digest for sample in dataset.samples)
    }
    missing = _missing(dataset, names, store)

    work = Work(embedder, normalization, augmentation, seed, name=path.stem)
    with contextlib.closing(engine.embed(missing, work, size, threads=threads)) as results:
        unreadable = _compute(missing, results, store, total=len(dataset), progress=progress)
    store.refresh()
    skipped = [Skipped(s.path, unreadable[s.digest], s.part) for s in dataset.samples if s.digest in unreadable]
    rows = store.find([name for s in dataset.samples if s.digest not in unreadable for name in names[s.digest]])
    if (rows < 0).any():
        raise OutputError(f"The cache {store.path} was removed or damaged while in use. Run the command again.")
    return FeatureMaps(store, rows.reshape(-1, views), shape), skipped


def cache_path(embedder: bytes) -> Path:
    """Names the store by all that an embedding depends on besides the photo."""
    recipe = (
        f"{hashlib.sha256(embedder).hexdigest()} {images.PREPROCESSING} litert-{metadata.version('ai-edge-litert')}"
    )
    return files.cache_directory() / "embeddings" / f"{hashlib.sha256(recipe.encode()).hexdigest()[:24]}.f16"


def _missing(dataset: Dataset, names: dict[str, list[str]], store: EmbeddingStore) -> list[Wanted]:
    """Lists what the store lacks, copies of a photo once."""
    photos = {sample.digest: sample for sample in dataset.samples}
    rows = iter(store.find([name for digest in photos for name in names[digest]]))
    lacking = [
        (sample, {number: name for number, name in enumerate(names[digest]) if next(rows) < 0})
        for digest, sample in photos.items()
    ]
    return [entry for entry in lacking if entry[1]]


def _compute(
    missing: list[Wanted],
    results: Iterator[Array | DataError],
    store: EmbeddingStore,
    *,
    total: int,
    progress: Progress | None,
) -> dict[str, str]:
    """Puts results into the store as they come; returns digest -> reason of photos that cannot be read."""
    unreadable: dict[str, str] = {}
    fresh: list[tuple[str, Array]] = []

    def flush() -> None:
        if fresh:
            store.append([name for name, _ in fresh], np.stack([vector for _, vector in fresh]))
            fresh.clear()

    done = total - len(missing)
    try:
        for (sample, names), result in zip(missing, results, strict=True):
            if isinstance(result, DataError):
                unreadable[sample.digest] = str(result).removeprefix(f"{sample.path}: ")
            else:
                fresh.extend(zip(names.values(), result, strict=True))
            if len(fresh) >= _FLUSH:
                flush()
            done += 1
            if progress:
                progress(done, total)
    finally:
        flush()
    return unreadable
