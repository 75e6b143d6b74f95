"""Stores embeddings on disk, keyed by the sha256 of their photo or view, in two append-only files.

Row i of the index has the name and checksum of row i of the vectors. A lookup reads only the index; vectors are mapped
only while they are copied, so that they do not stay in memory. A vector is written before its row of the index: the
next writer truncates incomplete rows after a kill.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from model_maker.errors import OutputError
from model_maker.system import files, locks

Array = np.ndarray

# Part of the name of each cache; increase the number when the file format changes.
FORMAT = "store-3"
_ROW = np.dtype([("name", "V32"), ("check", "<u4")])
_EVERY = slice(None)
# Names packed, and bytes of vectors checked, per step.
_NAMES, _BYTES = 4096, 4 << 20
# Photos in a block of `FeatureMaps.blocks`.
BLOCK = 1024


def pack(names: Iterable[str]) -> Array:
    """Converts hexadecimal sha256 digests to a store's keys, "V32" [N]."""
    names, packed = iter(names), bytearray()
    while some := "".join(islice(names, _NAMES)):
        packed += bytes.fromhex(some)
    return np.frombuffer(packed, "V32")


def _together(rows: Array) -> slice | None:
    """Returns the slice that equals the indices, int [N]; None if they are not contiguous."""
    if rows.ndim != 1 or rows[0] < 0 or (np.diff(rows) != 1).any():
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1)


def names_in(path: Path) -> Array:
    """Returns the name of each row of the store at a path, "V32" [N]."""
    return np.fromfile(path.with_suffix(".index"), _ROW)["name"]


def stores(folder: Path) -> Iterator[EmbeddingStore]:
    """Yields every store in a folder, for uses that do not need the vectors' type: they are read as bytes."""
    for path in sorted(folder.glob("*.vectors")):
        index = path.with_suffix(".index")
        rows = index.stat().st_size // _ROW.itemsize if index.exists() else 0
        if rows:
            yield EmbeddingStore(path, path.stat().st_size // rows, "u1")


class EmbeddingStore:
    """Embeddings of the same length, by key.

    Args:
      path: the file of the vectors; the index is next to it. Both are created on the first write.
      dtype: of the values, float16 or int8.
    """

    def __init__(self, path: Path, size: int, dtype: np.dtype | str = "<f2"):
        self.path, self.size, self.dtype = path, size, np.dtype(dtype)
        self._index, self._width = path.with_suffix(".index"), size * self.dtype.itemsize

    def find(self, names: Array, *, check: bool = True) -> Array:
        """Looks up names.

        Args:
          names: "V32" of any shape, see `pack`.
          check: whether to read the vectors and verify their checksums; otherwise only the index is read.

        Returns:
          The latest row of each name, of the same shape; -1 if missing or damaged.
        """
        index = self._rows_of_index()
        if not len(index) or not names.size:
            return np.full(names.shape, -1)
        known, wanted = (np.ascontiguousarray(array).view("<u8").reshape(-1, 4) for array in (index["name"], names))
        # Sorts by a quarter of the name, then compares the whole.
        order = np.argsort(known[:, 0], kind="stable")
        last = np.searchsorted(known[:, 0], wanted[:, 0], side="right", sorter=order) - 1
        rows = order[np.maximum(last, 0)]
        rows[(known[rows] != wanted).any(axis=1)] = -1
        if check:
            rows[~self._intact(rows, index["check"])] = -1
        return rows.reshape(names.shape)

    def read(self, rows: Array, columns: Array | slice = _EVERY) -> Array:
        """Copies vectors, [..., size], for rows of any shape; optionally only some columns.

        Raises:
          OutputError: the files have changed since the rows were found.
        """
        if not rows.size:
            return np.empty((*rows.shape, self.size), self.dtype)[..., columns]
        try:
            count = self.path.stat().st_size // self._width
            every = np.asarray(np.memmap(self.path, self.dtype, "r", shape=(count, self.size)))
            if isinstance(columns, slice):  # contiguous columns are copied at once, without the others
                together = _together(rows)
                if together and together.stop <= count:
                    return np.array(every[together, columns])
                return every[rows, columns]
            return every[rows][..., columns]
        except (OSError, ValueError, IndexError) as error:
            raise OutputError(self.lost) from error

    def append(self, names: Array, vectors: Array) -> None:
        """Adds embeddings, [N, size] of the store's type, by name, "V32" [N]; safe for several processes at once."""
        rows = np.empty(len(names), _ROW)
        rows["name"], rows["check"] = names, [zlib.crc32(vector) for vector in vectors]
        with files.explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locks.locked(self.path) as values, open(self._index, "ab") as index:
                widths = {values: self._width, index: _ROW.itemsize}
                sizes = {file: os.fstat(file.fileno()).st_size for file in widths}
                whole = min(sizes[file] // width for file, width in widths.items())
                for file, width in widths.items():
                    if sizes[file] != whole * width:
                        file.truncate(whole * width)
                values.write(vectors.tobytes())
                values.flush()
                index.write(rows.tobytes())

    def drop(self, names: Array) -> int:
        """Overwrites all embeddings of these names with zeros; returns how many there were.

        Rows are not removed, so the others keep their positions. No other process may be reading these rows.
        """
        if not (self._index.exists() and self.path.exists()):
            return 0
        with files.explained(self.path), locks.locked(self.path):
            # NumPy can compare bytes of a fixed length; names with trailing zeros stay different.
            known = np.ascontiguousarray(self._rows_of_index()["name"]).view("S32")
            rows = np.flatnonzero(np.isin(known, np.ascontiguousarray(names).view("S32")))
            with open(self.path, "r+b") as vectors, open(self._index, "r+b") as index:
                for row in map(int, rows):
                    vectors.seek(row * self._width)
                    vectors.write(bytes(self._width))
                    index.seek(row * _ROW.itemsize)
                    index.write(bytes(_ROW.itemsize))
        return len(rows)

    @property
    def lost(self) -> str:
        """Error message for rows that have disappeared."""
        return f"The cache {self.path} was removed or damaged while in use. Run the command again."

    def _intact(self, rows: Array, checks: Array) -> Array:
        """Returns which rows, int [N], have vectors that match their checksums."""
        result, found = np.zeros(len(rows), bool), np.flatnonzero(rows >= 0)
        step = max(1, _BYTES // self._width)
        for some in (found[start : start + step] for start in range(0, len(found), step)):
            result[some] = [zlib.crc32(vector) for vector in self.read(rows[some])] == checks[rows[some]]
        return result

    def _rows_of_index(self) -> Array:
        """Reads the rows of the index that have a vector."""
        if not (self._index.exists() and self.path.exists()):
            return np.empty(0, _ROW)
        whole = self._index.stat().st_size // _ROW.itemsize
        return np.fromfile(self._index, _ROW, min(whole, self.path.stat().st_size // self._width))


class FeatureMaps:
    """Outputs of an embedder for photos and their views, read from the store on demand.

    `maps[photos]` reads the original views of some photos, `maps[photos, views]` others: [B, *shape], in the stored
    type.

    Args:
      rows: int [N, K], the row of each view of each photo.
      shape: of one output, for example (3088,) or (14, 14, 112).
      step: quantization step of integers; 1 for floats.
      columns: the columns to use of each row, int [D]; None for all.
    """

    def __init__(
        self,
        store: EmbeddingStore,
        rows: Array,
        shape: tuple[int, ...],
        step: float = 1.0,
        columns: Array | None = None,
    ):
        self._store, self._rows, self.shape, self.step = store, rows, shape, step
        self._columns = columns
        self._wanted = _EVERY if columns is None else _together(columns) or columns

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, some) -> Array:
        return self._read(self._rows[some if isinstance(some, tuple) else (some, 0)])

    @property
    def views(self) -> int:
        """K; view 0 is the original photo."""
        return self._rows.shape[1]

    def batch(self, photos: Array, views: Array | int = 0) -> Array:
        """Reads one view of each of some photos, dequantized.

        Args:
          photos: int [B], from 0 to N - 1.
          views: int [B], from 0 to K - 1, or one number for all.

        Returns:
          float32 [B, *shape].
        """
        values = self[photos, views].astype(np.float32)
        return values if self.step == 1 else values * np.float32(self.step)

    def blocks(self) -> Iterator[Array]:
        """Reads the original views of all photos, dequantized, BLOCK photos at a time: float32 [B, *shape]."""
        for start in range(0, len(self), BLOCK):
            yield self.batch(np.arange(start, min(start + BLOCK, len(self))))

    def of(self, photos: Array) -> FeatureMaps:
        """Returns the maps of some photos, int [M]."""
        return FeatureMaps(self._store, self._rows[photos], self.shape, self.step, self._columns)

    def columns(self, chosen: Array) -> FeatureMaps:
        """Returns some features of the same photos, int [D]."""
        columns = chosen if self._columns is None else self._columns[chosen]
        return FeatureMaps(self._store, self._rows, (len(chosen),), self.step, columns)

    def read(self) -> Array:
        """Reads everything: [N, K, *shape], in the stored type."""
        return self._read(self._rows)

    def _read(self, rows: Array) -> Array:
        return self._store.read(rows, self._wanted).reshape(*rows.shape, *self.shape)
