"""Reads torch's legacy state dicts without torch, and without executing their pickles."""

import collections
import io
import math
import pickle
from dataclasses import dataclass

import numpy as np

from model_maker.errors import BackboneError

Array = np.ndarray

# The header of torch's file format before 1.6: magic number and protocol version, each a pickle of its own.
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
# Exceptions of the unpickler and NumPy for damaged files, including lengths beyond any memory.
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


def read_torch(content: bytes) -> dict[str, Array]:
    """Reads a state dict in torch's legacy (before 1.6) format, without torch.

    The file is a sequence of pickles followed by raw storages. Pickles are programs, so they run in an unpickler that
    can only build ordered dicts and tensor descriptions.

    Returns:
      Tensor name to array, in the file's order.

    Raises:
      BackboneError: another format, a pickle that needs anything else, or truncated data.
    Source: the layout written by `torch.save(..., _use_new_zipfile_serialization=False)`.
    """
    stream = io.BytesIO(content)
    try:
        if _unpickle(stream) != _MAGIC or _unpickle(stream) != _PROTOCOL:
            raise BackboneError("The weights are not in torch's legacy format (wrong magic number).")
        _unpickle(stream)  # byte order and type sizes of the writer: little-endian wherever torch runs
        state = _unpickle(stream)
        order = _unpickle(stream)
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
    """Description of a storage in a pickle; its values follow after the pickles."""

    dtype: type
    key: str


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage; strides count elements, as in torch."""

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


def _unpickle(stream: io.BytesIO):
    """Loads one pickle, after checking that it does not request a memo larger than it could fill."""
    import pickletools

    start = stream.tell()
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name.endswith("PUT") and int(argument or 0) > len(stream.getbuffer()):
            raise ValueError(f"a pickle numbers an object {argument}")
    stream.seek(start)
    return _Unpickler(stream).load()


def _read_storage(stream: io.BytesIO, dtype: type) -> bytes:
    count = int.from_bytes(stream.read(8), "little", signed=True)
    size = count * np.dtype(dtype).itemsize
    if count < 0 or size > len(stream.getbuffer()) - stream.tell():
        raise EOFError("it ends before its last tensor")
    return stream.read(size)


def _rebuild_tensor(storage, offset, shape, strides, *_):
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    """Allows only the names that a state dict needs, each mapped to a harmless substitute."""

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
        if kind != "storage" or any(view):  # only the oldest files point into another storage
            raise ValueError(f"unknown object {kind!r} {view}")
        return _Storage(dtype, str(key))
