"""Photos in memory: open files, uploads, buffers, arrays and tensors of any usual shape and range."""

import inspect
import os
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from PIL import Image

from model_maker.data import bit_depth
from model_maker.data.entries import Location
from model_maker.errors import DataError

Array = np.ndarray[Any, Any]

CHANNELS = ("rgb", "bgr")
# Bands of an image: gray, RGB, RGB with transparency.
_BANDS = (1, 3, 4)
_SHAPES = "[H, W], [H, W, 1], [H, W, 3] or [H, W, 4]"


@runtime_checkable
class Stream(Protocol):
    """A file that is open in binary mode, or an upload of a web framework."""

    def read(self) -> bytes:
        """Returns the content."""


@runtime_checkable
class Tensor(Protocol):
    """An array of NumPy, PyTorch, TensorFlow or JAX."""

    @property
    def shape(self) -> Any:
        """Its dimensions."""

    def __array__(self) -> Array:
        """Returns it as NumPy's."""


Given = bytes | bytearray | memoryview | Stream | Tensor


def is_one(photos: object) -> bool:
    """Returns whether this is one photo, not several."""
    if is_array(photos):
        return len(cast(Tensor, photos).shape) < 4
    return isinstance(photos, str | bytes | bytearray | memoryview | os.PathLike | Image.Image | Stream) or not hasattr(
        type(photos), "__iter__"
    )


def is_array(photo: object) -> bool:
    """Returns whether something is an array or a tensor."""
    return hasattr(photo, "shape") and hasattr(photo, "__array__") and not isinstance(photo, Image.Image | memoryview)


def read(photo: object, *, channels: str = "rgb") -> bytes | Array | str | os.PathLike[str] | Image.Image | Location:
    """Returns a photo as a path, bytes, an array uint8 [H, W, 3] or [H, W, 4], or unchanged otherwise.

    Args:
      channels: color order of arrays, one of CHANNELS; OpenCV's is "bgr".

    Raises:
      DataError: it cannot be read, or is not an image.
    """
    if isinstance(photo, bytearray):
        return bytes(photo)
    if isinstance(photo, memoryview):
        return bytes(photo) if photo.ndim == 1 and photo.itemsize == 1 else _picture(np.asarray(photo), channels)
    if is_array(photo):
        return _picture(_as_numpy(cast(Tensor, photo)), channels, bands_first=_is_torch(photo))
    # A Location has `read_bytes`, as a path has; pathlib's have no `read`.
    if isinstance(photo, Stream) and not isinstance(photo, Image.Image):
        return _content(photo)
    if isinstance(photo, str | bytes | os.PathLike | Image.Image) or hasattr(photo, "read_bytes"):
        return cast(Any, photo)
    raise DataError(
        f"{type(photo).__name__} is not a photo: pass a path, bytes, an open file, an array, a tensor or an Image."
    )


def _content(stream: Stream) -> bytes:
    """Reads a stream from its beginning, if it is seekable, and restores its position."""
    name = getattr(stream, "name", None) or getattr(stream, "filename", None) or type(stream).__name__
    if inspect.iscoroutinefunction(stream.read):  # FastAPI's and Starlette's; the file itself is inside
        stream = cast(Stream, getattr(stream, "file", stream))
    try:
        place = _rewind(stream)
        content = stream.read()
        if place is not None:
            stream.seek(place)  # type: ignore[attr-defined]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{name} cannot be read ({error}). Open it in binary mode.") from error
    if not isinstance(content, bytes | bytearray | memoryview):
        raise DataError(f"{name} returns {type(content).__name__} and not bytes: open it in binary mode, 'rb'.")
    return bytes(content)


def _rewind(stream: Stream) -> int | None:
    tell, seek = getattr(stream, "tell", None), getattr(stream, "seek", None)
    if not (tell and seek) or not getattr(stream, "seekable", lambda: True)():
        return None
    place = int(tell())
    seek(0)
    return place


def _is_torch(photo: object) -> bool:
    return type(photo).__module__.partition(".")[0] == "torch"


def _as_numpy(tensor: Tensor) -> Array:
    """Converts a tensor to NumPy; a PyTorch tensor may be on another device, need a gradient, or be bfloat16."""
    if isinstance(tensor, np.ndarray):
        return tensor
    try:
        if _is_torch(tensor):
            plain = cast(Any, tensor).detach().cpu()
            return np.asarray(plain.float().numpy() if plain.is_floating_point() else plain.numpy())
        found = np.asarray(tensor)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{type(tensor).__name__} cannot be read as an array ({error}).") from error
    # NumPy does not treat bfloat16 and similar types as numbers.
    return found.astype(np.float32) if found.dtype.kind == "V" else found


def _picture(array: Array, channels: str, *, bands_first: bool = False) -> Array:
    """Returns uint8 [H, W, 3] or [H, W, 4], RGB."""
    if channels not in CHANNELS:
        raise DataError(f"channels={channels!r}: choose one of {', '.join(CHANNELS)}.")
    shape = list(array.shape)
    if array.ndim == 2:
        array = array[..., None]
    elif array.ndim == 3 and shape[0] in _BANDS and (bands_first or shape[2] not in _BANDS):
        array = np.moveaxis(array, 0, 2)
    if array.ndim != 3 or array.shape[2] not in _BANDS or not array.size:
        raise DataError(f"An array must be {_SHAPES}; received {array.dtype} {shape}.")
    pixels = _eight_bits(array)
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    order = [2, 1, 0, 3] if channels == "bgr" else [0, 1, 2, 3]
    return np.ascontiguousarray(pixels[..., order[: pixels.shape[2]]])


def _eight_bits(array: Array) -> Array:
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "fiu":
        raise DataError(f"An array must hold numbers; received {array.dtype} {list(array.shape)}.")
    low, high = array.min(), array.max()
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.rint(array.astype(np.float64) * 255).astype(np.uint8)
    if low >= 0 and high <= 255:
        return np.rint(array).astype(np.uint8)
    if array.dtype == np.uint16:
        return (array >> bit_depth.usual_bits(int(high), 16) - 8).astype(np.uint8)
    # NaN is not in any range.
    raise DataError(
        f"An array must hold values from 0 to 255, or floats from 0 to 1; received {array.dtype} from {low:g} to "
        f"{high:g}. Undo its normalization."
    )
