"""Vectors of texts: from a text tower, or from a file of vectors that were computed before.

Both answer `embed(names)`, and both give the vectors of ImageNet's classes, from which words are translated to kernels.
"""

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from model_maker.data import imagenet, wordnet
from model_maker.errors import DataError
from model_maker.progress import Progress
from model_maker.system import files
from model_maker.zero_shot_learning.label_names import listed

Array = np.ndarray[Any, Any]

TEMPLATE = "This is a photo of {}."
NAMES, VECTORS = "names.txt", "vectors.npy"
# Fewer classes to learn from than this, and what comes of it is near chance; measured in docs/MEASUREMENTS.md.
_LEAST_CLASSES = 50
_BATCH = 50


class TextVectors(Protocol):
    """What gives vectors of texts.

    Attributes:
      name: for people and for provenance.
      licence: of models that are made with them, where it is not for every use; else empty.
    """

    name: str
    licence: str

    def embed(self, names: Sequence[str]) -> Array:
        """Returns float32 [N, E], rows of length 1.

        Raises:
          DataError: there is no vector of one of them.
        """

    def classes(self, progress: Progress) -> tuple[list[int], Array]:
        """Returns the ImageNet classes that have a vector, and these, float32 [n, E]."""


class VectorFile:
    """A folder with `names.txt`, one name a line, and `vectors.npy`, [N, E], of any text encoder.

    Raises:
      DataError: they cannot be read, or do not fit each other.
    """

    licence = ""  # nothing is known of it

    def __init__(self, folder: str | os.PathLike[str]):
        self.name = Path(folder).resolve().name
        names, vectors = _read(Path(folder))
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        self._vectors = vectors / np.where(lengths > 0, lengths, 1)
        self._rows: dict[str, int] = {}
        for row, name in enumerate(names):
            self._rows.setdefault(wordnet.normalized(name), row)

    def lacking(self, names: Sequence[str]) -> list[str]:
        """Returns the names of which there is no vector."""
        return [name for name in names if self._row(name) is None]

    def embed(self, names: Sequence[str]) -> Array:
        if lacking := self.lacking(names):
            raise DataError(
                f"{self.name} has no vector of {listed(lacking)}. Choose other words, or use a text tower, which knows "
                "any."
            )
        found: Array = self._vectors[[row for name in names if (row := self._row(name)) is not None]]
        return found

    def classes(self, progress: Progress) -> tuple[list[int], Array]:
        indices, vectors = [], []
        for index in range(len(imagenet.labels())):
            rows = [row for name in wordnet.names_of_class(index) if (row := self._row(name)) is not None]
            if rows:
                mean = self._vectors[rows].mean(axis=0)
                indices.append(index)
                vectors.append(mean / np.linalg.norm(mean))
        if len(indices) < _LEAST_CLASSES:
            raise DataError(
                f"{self.name} has vectors of {len(indices)} ImageNet classes; {_LEAST_CLASSES} are needed to learn "
                "from, and more are better. Add their names."
            )
        return indices, np.array(vectors, np.float32)

    def _row(self, name: str) -> int | None:
        return next((self._rows[form] for form in wordnet.forms(name) if form in self._rows), None)


class PromptedTower:
    """A text tower, and the sentence into which each name is put.

    Args:
      embed: from texts to float32 [N, E], rows of length 1.
      template: a text with `{}` for the name.
      licence: see `TextVectors`.

    Raises:
      DataError: the template has no `{}`.
    """

    def __init__(self, embed: Callable[[list[str]], Array], name: str, template: str = TEMPLATE, *, licence: str = ""):
        check_template(template)
        self.name, self.licence, self._embed, self._template = name, licence, embed, template

    def embed(self, names: Sequence[str]) -> Array:
        return self._embed([self._template.replace("{}", name) for name in names])

    def classes(self, progress: Progress) -> tuple[list[int], Array]:
        labels = imagenet.labels()
        texts = [label.replace("(", "").replace(")", "") for label in labels]
        key = hashlib.sha256("\n".join((self.name, self._template, *texts)).encode()).hexdigest()[:16]
        path = files.cache_directory() / "text_vectors" / f"{key}.npy"
        if kept := files.read_checked(path):
            return list(range(len(labels))), np.load(io.BytesIO(kept), allow_pickle=False)
        parts = []
        for start in range(0, len(texts), _BATCH):
            parts.append(self.embed(texts[start : start + _BATCH]))
            progress.step(min(start + _BATCH, len(texts)), len(texts))
        vectors = np.concatenate(parts).astype(np.float32)
        packed = io.BytesIO()
        np.save(packed, vectors, allow_pickle=False)
        files.write_checked(path, packed.getvalue())
        return list(range(len(labels))), vectors


def check_template(template: str) -> None:
    """Raises a DataError if a template has no place for the label, or several."""
    if template.count("{}") != 1:
        raise DataError(f"hypothesis_template={template!r}: give a text with one {{}} for the label, as {TEMPLATE!r}.")


def _read(folder: Path) -> tuple[list[str], Array]:
    advice = f"Give a folder with {NAMES}, one name a line, and {VECTORS}, a vector for each."
    try:
        names = files.read_regular(folder / NAMES).decode("utf-8-sig").splitlines()
        vectors = np.load(io.BytesIO(files.read_regular(folder / VECTORS)), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{folder} holds no text vectors ({error}). {advice}") from error
    if vectors.ndim != 2 or len(vectors) != len(names) or vectors.dtype.kind != "f":
        raise DataError(
            f"{folder} holds {len(names)} names and vectors of shape {list(vectors.shape)}, {vectors.dtype}. {advice}"
        )
    vectors = vectors.astype(np.float32)
    if not np.isfinite(vectors).all():
        raise DataError(f"{folder / VECTORS} holds numbers that are not finite. Compute the vectors again.")
    return names, vectors
