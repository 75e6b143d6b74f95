"""Class memory: summary statistics of the embeddings that a file's head was trained on.

It holds the mean and number of embeddings per class, and one within-class covariance for all classes: its leading
directions, and the residual standard deviation of each feature. Embeddings like those of a class can be sampled from
it, so classes can be added without the photos. It is stored in the file's zip next to the labels, as plain arrays.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from model_maker.errors import ModelError
from model_maker.tflite import graph, in_place, metadata, zip_files

Array = np.ndarray

# Covariance directions to keep; more did not help in cross-validation.
_MOST_DIRECTIONS, _FEWEST_DIRECTIONS = 32, 4
# Size limit of the arrays, without about 3 KB of headers: 60 KB for 5 classes, 400 KB for 100.
_BYTES, _BYTES_A_CLASS = 38_000, 3_550
# Photos from which the covariance is estimated.
_PHOTOS = 1024
_BLOCK = 4096
_NAME = "class_memory_{}.npy"
_TAMPERED = "Its class memory does not fit it: {}. Take the file as it was made."
_TYPES = {
    "counts": "<i4",
    "center": "<f2",
    "means": "|i1",
    "mean_steps": "<f4",
    "basis": "|i1",
    "basis_steps": "<f4",
    "spread": "|u1",
    "spread_step": "<f4",
    "fits": "|u1",
}


@dataclass(frozen=True)
class ClassMemory:
    """Statistics of the embeddings of C classes, D features each.

    Attributes:
      counts: int [C], embeddings of each class.
      means: float32 [C, D].
      basis: float32 [R, D], directions of the within-class covariance, scaled to the standard deviation along each.
      spread: float32 [D], the residual standard deviation of each feature.
    """

    counts: Array
    means: Array
    basis: Array
    spread: Array

    def select(self, classes: Sequence[int]) -> ClassMemory:
        """Returns the memory of the given classes, in the given order."""
        chosen = list(classes)
        return ClassMemory(self.counts[chosen], self.means[chosen], self.basis, self.spread)

    def with_class(self, mean: Array, count: int) -> ClassMemory:
        """Returns the memory with one class appended."""
        counts = np.append(self.counts, count).astype(self.counts.dtype)
        return ClassMemory(counts, np.vstack([self.means, mean]).astype(np.float32), self.basis, self.spread)

    def draw(self, centers: Array, random: np.random.Generator, *, width: float = 1.0) -> Array:
        """Samples one embedding around each center, float32 [N, D]; `width` scales the deviation."""
        along = random.standard_normal((len(centers), len(self.basis)), np.float32) @ self.basis
        beside = random.standard_normal(centers.shape, np.float32) * self.spread
        drawn: Array = centers + np.float32(width) * (along + beside)
        return drawn.astype(np.float32)


def summarize(features, labels: Array, *, classes: int, step: float) -> ClassMemory:
    """Summarizes the embeddings that a head was trained on.

    Args:
      features: integers [N, D], an array or any object with the same row indexing; read in blocks.
      labels: int [N]; each class has at least one.
      step: quantization step of the features.
    """
    counts = np.bincount(labels, minlength=classes)
    with threadpool_limits(1, "blas"):  # the same sums on any number of cores
        sums: Array = np.zeros(())
        for start in range(0, len(labels), _BLOCK):
            block = np.asarray(features[start : start + _BLOCK], np.float32)
            members = np.arange(classes)[:, None] == labels[start : start + _BLOCK]
            sums = sums + members.astype(np.float32) @ block
        means = sums / counts[:, None]
        chosen = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), _PHOTOS)).astype(int))
        rows = np.asarray(features[chosen], np.float32)
        rest = rows - means[labels[chosen]].astype(np.float32)
        degrees = max(1, len(rest) - classes)
        wanted = _directions(classes, rest.shape[1])
        values, vectors = np.linalg.eigh((rest @ rest.T).astype(np.float64) / degrees)
        basis = vectors[:, ::-1][:, :wanted].T @ rest / np.sqrt(degrees)
    # Eigenvectors have no defined sign; fix it so that results are reproducible.
    basis *= np.where(basis[np.arange(len(basis)), np.abs(basis).argmax(axis=1)] < 0, -1, 1)[:, None]
    left = np.square(rest).sum(axis=0) / degrees - np.square(basis).sum(axis=0)
    spread = np.sqrt(np.maximum(left, 0))
    return ClassMemory(counts, *((array * step).astype(np.float32) for array in (means, basis, spread)))


def _directions(classes: int, features: int) -> int:
    # Bytes per feature: two for the center, one for each mean, direction and deviation.
    room = (_BYTES + _BYTES_A_CLASS * classes) // features - classes - 3
    return int(np.clip(room, _FEWEST_DIRECTIONS, _MOST_DIRECTIONS))


def put(content: bytes, memory: ClassMemory) -> bytes:
    """Adds a class memory to a finished file with metadata."""
    center = memory.means.mean(axis=0).astype("<f2")
    means, mean_steps = _rounded(memory.means - center.astype(np.float32))
    basis, basis_steps = _rounded(memory.basis)
    spread_step = np.float32(memory.spread.max() / 255 or 1.0)
    arrays = {
        "counts": memory.counts,
        "center": center,
        "means": means,
        "mean_steps": mean_steps,
        "basis": basis,
        "basis_steps": basis_steps,
        "spread": np.rint(memory.spread / spread_step),
        "spread_step": np.array([spread_step]),
        "fits": np.frombuffer(_identity(content), np.uint8),
    }
    packed = {_NAME.format(name): _pack(array.astype(_TYPES[name])) for name, array in arrays.items()}
    return zip_files.append(content, packed)


def is_in(content: bytes) -> bool:
    """Whether a file has a memory of its classes, be it damaged or not."""
    return zip_files.read(content, _NAME.format("counts")) is not None


def get(content: bytes) -> ClassMemory | None:
    """Reads a file's class memory; None if it has none.

    Raises:
      ModelError: it is damaged, or belongs to a file with another network, another head or other labels.
    """
    if not is_in(content):
        return None
    found = {name: _unpack(name, zip_files.read(content, _NAME.format(name))) for name in _TYPES}
    if found["fits"].tobytes() != _identity(content):
        raise ModelError(_TAMPERED.format("it belongs to another network, another head or other labels"))
    classes, features = found["means"].shape if found["means"].ndim == 2 else (0, 0)
    shapes = {
        "counts": (classes,),
        "center": (features,),
        "mean_steps": (classes,),
        "basis": (len(found["basis_steps"]), features),
        "spread": (features,),
        "spread_step": (1,),
    }
    for name, shape in shapes.items():
        if not classes or found[name].shape != shape:
            raise ModelError(_TAMPERED.format(f"{name} are {list(found[name].shape)}, expected {list(shape)}"))
    real = {name: array.astype(np.float32) for name, array in found.items()}
    memory = ClassMemory(
        found["counts"],
        real["center"] + real["means"] * real["mean_steps"][:, None],
        real["basis"] * real["basis_steps"][:, None],
        real["spread"] * real["spread_step"],
    )
    finite = all(np.isfinite(array).all() for array in (memory.means, memory.basis, memory.spread))
    if not finite or memory.counts.min() < 1:
        raise ModelError(_TAMPERED.format("it holds numbers that no embeddings have"))
    return memory


def _identity(content: bytes) -> bytes:
    """Returns a hash of the network's constants and the labels, which ties a memory to its file."""
    digest = hashlib.sha256()
    with graph.explained():
        for name, constants in in_place.operators(content):
            digest.update(name.encode())
            for data in constants:
                digest.update(data)
    digest.update(zip_files.read(content, metadata.LABELS) or b"")
    return digest.digest()


def _rounded(rows: Array) -> tuple[Array, Array]:
    """Returns rows rounded to int8, and the step of each row."""
    steps = (np.abs(rows).max(axis=1) / 127).astype(np.float32)
    steps[steps == 0] = 1.0
    return np.rint(rows / steps[:, None]), steps


def _pack(array: Array) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _unpack(name: str, packed: bytes | None) -> Array:
    """Reads an array of the expected type; checks its actual size before allocating what its header claims."""
    if packed is None:
        raise ModelError(_TAMPERED.format(f"{name} are missing"))
    stream = io.BytesIO(packed)
    try:
        np.lib.format.read_magic(stream)
        shape, fortran, kind = np.lib.format.read_array_header_1_0(stream)
        if kind != np.dtype(_TYPES[name]) or fortran:
            raise ValueError(f"{kind}")
        return np.frombuffer(stream.read(), kind).reshape(shape)
    except (ValueError, OverflowError) as error:
        raise ModelError(_TAMPERED.format(f"{name} cannot be read")) from error
