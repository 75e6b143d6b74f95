"""Photos to embeddings: LiteRT on every core, streaming, remembered by content.

The cache is one append-only file of fixed-size records for each backbone and preprocessing. A record carries the
photo's sha256 and a checksum, so a kill in the middle of a write costs one record, and the file is mapped instead of
read, however many photos it holds.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import zlib
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np

from model_maker import files
from model_maker.data import images
from model_maker.data.dataset import Dataset, Sample, Skipped
from model_maker.data.images import Normalization
from model_maker.data.streaming import stream
from model_maker.errors import DataError, OutputError
from model_maker.tflite.interpreter import Runner

Array = np.ndarray
Progress = Callable[[int, int], None]

# Records written in one go: a kill loses at most this many embeddings.
_FLUSH = 64


class EmbeddingStore:
    """Embeddings by the sha256 of their photo, in one file that only grows.

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


def embed(
    dataset: Dataset,
    embedder: bytes,
    normalization: Normalization,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[Array, list[Skipped]]:
    """Returns the embedding of every photo, computing only those not seen before.

    Args:
      dataset: the photos.
      embedder: a float `.tflite`, float32 [1, H, H, 3] to [1, D].
      normalization: what it expects.
      threads: photos at a time; all cores unless told.
      progress: called with (done, total) photos, known ones counted as done.

    Returns:
      float16 [N, D] of the photos that can be read, in order, and the photos that cannot.
    """
    probe = Runner(embedder)
    size, length = probe.input_shape[1], probe.output_shape[-1]
    store = EmbeddingStore(cache_path(embedder), length)
    known = store.find([sample.digest for sample in dataset.samples]) >= 0
    missing = list({s.digest: s for s, found in zip(dataset.samples, known, strict=True) if not found}.values())
    total = len(dataset)
    unreadable = _compute(missing, store, lambda: _worker(embedder, normalization), size, threads, progress, total)
    store.refresh()
    skipped = [Skipped(s.path, unreadable[s.digest], s.part) for s in dataset.samples if s.digest in unreadable]
    rows = store.find([s.digest for s in dataset.samples if s.digest not in unreadable])
    if (rows < 0).any():
        raise OutputError(f"The cache {store.path} was removed or damaged while in use. Run the command again.")
    return store.read(rows), skipped


def cache_path(embedder: bytes) -> Path:
    """Names the store by all that an embedding depends on besides the photo."""
    recipe = (
        f"{hashlib.sha256(embedder).hexdigest()} {images.PREPROCESSING} litert-{metadata.version('ai-edge-litert')}"
    )
    return files.cache_directory() / "embeddings" / f"{hashlib.sha256(recipe.encode()).hexdigest()[:24]}.f16"


def _compute(
    missing: list[Sample], store: EmbeddingStore, make_worker, size, threads, progress, total
) -> dict[str, str]:
    """Embeds photos into the store; returns digest -> reason of those that cannot be read."""
    unreadable: dict[str, str] = {}
    fresh: list[tuple[str, Array]] = []

    def flush() -> None:
        if fresh:
            store.append([digest for digest, _ in fresh], np.stack([vector for _, vector in fresh]))
            fresh.clear()

    done = total - len(missing)
    try:
        results = stream((sample.path for sample in missing), size, make_worker, threads=threads)
        for sample, result in zip(missing, results, strict=True):
            if isinstance(result, DataError):
                unreadable[sample.digest] = str(result).removeprefix(f"{sample.path}: ")
            else:
                fresh.append((sample.digest, result))
            if len(fresh) >= _FLUSH:
                flush()
            done += 1
            if progress:
                progress(done, total)
    finally:
        flush()
    return unreadable


def _worker(embedder: bytes, normalization: Normalization):
    runner = Runner(embedder)
    return lambda pixels: runner.run(normalization(pixels))[0].astype(np.float16)
