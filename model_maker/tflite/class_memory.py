"""The memory of a file's classes: what is kept of the embeddings that its head learned from.

Per class the mean and the number of its embeddings, for all classes one covariance within classes: its strongest
directions, and the standard deviation that is left of each feature. Photos like those of a class can be drawn from it,
so that classes can be added without the photos. It lies in the file's zip beside the labels, as plain arrays.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from model_maker.errors import ModelError
from model_maker.tflite import graph, metadata

Array = np.ndarray

# Directions of the covariance; in cross-validation more of them gained nothing.
_MOST_DIRECTIONS, _FEWEST_DIRECTIONS = 32, 4
# What the arrays may take, less some 3 KB of headers: 60 KB with 5 classes, 400 KB with 100.
_BYTES, _BYTES_A_CLASS = 38_000, 3_550
# Photos whose differences from their class mean give the covariance.
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
    """What is known of the embeddings of C classes, D features each.

    Attributes:
      counts: int [C], embeddings of each class.
      means: float32 [C, D].
      basis: float32 [R, D], directions of the covariance within classes, as long as the standard deviation along them.
      spread: float32 [D], the standard deviation of each feature that they leave.
    """

    counts: Array
    means: Array
    basis: Array
    spread: Array

    def select(self, classes: Sequence[int]) -> ClassMemory:
        """Returns the memory of some classes, in their order."""
        chosen = list(classes)
        return ClassMemory(self.counts[chosen], self.means[chosen], self.basis, self.spread)

    def with_class(self, mean: Array, count: int) -> ClassMemory:
        """Returns the memory with one more class, the last."""
        counts = np.append(self.counts, count).astype(self.counts.dtype)
        return ClassMemory(counts, np.vstack([self.means, mean]).astype(np.float32), self.basis, self.spread)

    def draw(self, centers: Array, random: np.random.Generator, *, width: float = 1.0) -> Array:
        """Returns an embedding around each center, float32 [N, D]; `width` multiplies their deviation."""
        along = random.standard_normal((len(centers), len(self.basis)), np.float32) @ self.basis
        beside = random.standard_normal(centers.shape, np.float32) * self.spread
        drawn: Array = centers + np.float32(width) * (along + beside)
        return drawn.astype(np.float32)


def summarize(features, labels: Array, *, classes: int, step: float) -> ClassMemory:
    """Summarizes the embeddings that a head learned from.

    Args:
      features: integers [N, D], an array or what gives rows as one does; read in blocks.
      labels: int [N]; each class has at least one.
      classes: C.
      step: what one unit of a feature stands for.
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
    # An eigenvector may point either way.
    basis *= np.where(basis[np.arange(len(basis)), np.abs(basis).argmax(axis=1)] < 0, -1, 1)[:, None]
    left = np.square(rest).sum(axis=0) / degrees - np.square(basis).sum(axis=0)
    spread = np.sqrt(np.maximum(left, 0))
    return ClassMemory(counts, *((array * step).astype(np.float32) for array in (means, basis, spread)))


def _directions(classes: int, features: int) -> int:
    # The center has two bytes a feature, each mean, direction and deviation one.
    room = (_BYTES + _BYTES_A_CLASS * classes) // features - classes - 3
    return int(np.clip(room, _FEWEST_DIRECTIONS, _MOST_DIRECTIONS))


def put(content: bytes, memory: ClassMemory) -> bytes:
    """Returns a finished file, with metadata, that carries a memory of its classes."""
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
    return metadata.with_files(content, packed)


def is_in(content: bytes) -> bool:
    """Whether a file has a memory of its classes, be it damaged or not."""
    return metadata.file_in(content, _NAME.format("counts")) is not None


def get(content: bytes) -> ClassMemory | None:
    """Reads the memory of a file's classes; None where it has none.

    Raises:
      ModelError: it is damaged, or belongs to another file: to another network, another head or other labels.
    """
    if not is_in(content):
        return None
    found = {name: _unpack(name, metadata.file_in(content, _NAME.format(name))) for name in _TYPES}
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
    """Returns a hash of all constants of the network and the labels, which a memory belongs to."""
    digest = hashlib.sha256()
    with graph.explained():
        for name, constants in graph.operators_in_place(content):
            digest.update(name.encode())
            for data in constants:
                digest.update(data)
    digest.update(metadata.file_in(content, metadata.LABELS) or b"")
    return digest.digest()


def _rounded(rows: Array) -> tuple[Array, Array]:
    """Returns rows in int8, and what one unit of each stands for."""
    steps = (np.abs(rows).max(axis=1) / 127).astype(np.float32)
    steps[steps == 0] = 1.0
    return np.rint(rows / steps[:, None]), steps


def _pack(array: Array) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _unpack(name: str, packed: bytes | None) -> Array:
    """Reads an array of the type that it must have; what its header claims is not allocated before it is there."""
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
