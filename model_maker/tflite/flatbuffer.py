"""Reads and writes flatbuffers whose tables are dataclasses.

A field's position in the dataclass is its slot in the table; its annotation gives its type:

- `Annotated[int, np.dtype("<i4")]`, `Annotated[float, np.dtype("<f4")]`: a scalar of this type, 0 by default,
- `bytes`: a string, not decoded, because other programs may not write UTF-8,
- `Annotated[bytes, Aligned(16)]`: a vector of bytes,
- a dataclass: a table,
- several dataclasses: a union, with tags counted from 1,
- `list` of a scalar, string or table: a vector.

All but scalars are `| None`, and None where the table lacks them.

Source: https://flatbuffers.dev/internals
"""

import dataclasses
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import flatbuffers
import numpy as np
from flatbuffers import number_types

Table = TypeVar("Table")

_TAG, _SLOT, _BACK, _OFFSET = (np.dtype(name) for name in ("u1", "<u2", "<i4", "<u4"))
_FLAGS = {
    np.dtype("i1"): number_types.Int8Flags,
    np.dtype("<i4"): number_types.Int32Flags,
    np.dtype("<u4"): number_types.Uint32Flags,
    np.dtype("<f4"): number_types.Float32Flags,
}
# The first slot of a vtable comes after the sizes of vtable and table, two bytes each.
_SLOT_BYTES, _FIRST_SLOT = 2, 4
# Tables and strings may be shared, so a small buffer can expand to a tree of any size. Real metadata takes kilobytes.
_MOST_BYTES = 16 << 20
# Cost charged against that limit, which covers Python's objects and the time to create them, not just the content.
_TABLE_BYTES, _STRING_BYTES, _ITEM_BYTES = 1024, 64, 32
_FIELDS: dict[type, list[tuple[str, Any]]] = {}  # cache of `_fields`


@dataclasses.dataclass(frozen=True)
class Aligned:
    """Marks a vector of bytes that starts at a multiple of `alignment`."""

    alignment: int


def read(packed: bytes, root: type[Table]) -> Table:
    """Parses a flatbuffer. Union members with an unknown tag become None, as newer schemas may add some.

    Args:
      packed: the flatbuffer, which may be malicious: time and memory are bounded.
      root: the dataclass of the root table.

    Raises:
      ValueError: an offset points outside the buffer, or the tree is too large.
    """
    reader = _Reader(packed)
    return reader.table(root, reader.number(_OFFSET, 0))


def pack(tree: Any, identifier: bytes) -> bytes:
    """Serializes a tree of tables with a four-byte file identifier; equal trees give equal bytes."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(_put_table(builder, tree), identifier)
    return bytes(builder.Output())


def _fields(table: Any) -> list[tuple[str, Any]]:
    """Returns the name and kind of each field of a dataclass."""
    if table not in _FIELDS:
        hints = get_type_hints(table, include_extras=True)
        _FIELDS[table] = [(field.name, _kind(hints[field.name])) for field in dataclasses.fields(table)]
    return _FIELDS[table]


def _kind(hint: Any) -> Any:
    """Returns a kind: a dtype, bytes, Aligned, a dataclass, a tuple of dataclasses (a union), or a list of one kind."""
    if get_origin(hint) is Annotated:
        return hint.__metadata__[0]
    if get_origin(hint) is list:
        return [_kind(*get_args(hint))]
    kinds = tuple(_kind(member) for member in get_args(hint) if member is not NoneType)
    return kinds if len(kinds) > 1 else kinds[0] if kinds else hint


class _Reader:
    """A flatbuffer and the remaining budget for its tree. NumPy raises ValueError for reads out of bounds."""

    def __init__(self, packed: bytes):
        self._packed, self._left = packed, _MOST_BYTES

    def number(self, dtype: np.dtype, at: int) -> Any:
        return self._numbers(dtype, at, 1).item()

    def table(self, kind: type[Table], at: int) -> Table:
        self._spend(_TABLE_BYTES)
        vtable = at - self.number(_BACK, at)
        end = self.number(_SLOT, vtable)
        found, slot = {}, _FIRST_SLOT
        for name, held in _fields(kind):
            if isinstance(held, tuple):
                place = self._place(at, vtable, slot, end)
                held = dict(enumerate(held, 1)).get(self.number(_TAG, place) if place else 0)
                slot += _SLOT_BYTES
            place = self._place(at, vtable, slot, end)
            if place and held is not None:
                found[name] = self._value(held, place)
            slot += _SLOT_BYTES
        return kind(**found)

    def _place(self, at: int, vtable: int, slot: int, end: int) -> int:
        """Returns the position of a field of the table at `at`, or 0 if the table lacks it."""
        offset = self.number(_SLOT, vtable + slot) if slot < end else 0
        return at + offset if offset else 0

    def _value(self, kind: Any, at: int) -> Any:
        if isinstance(kind, np.dtype):
            return self.number(kind, at)
        at += self.number(_OFFSET, at)
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            return self.table(kind, at)
        count, start = self.number(_OFFSET, at), at + _OFFSET.itemsize
        if not isinstance(kind, list):
            self._spend(_STRING_BYTES + count)
            return self._numbers(_TAG, start, count).tobytes()
        self._spend(_ITEM_BYTES * count)
        if isinstance(kind[0], np.dtype):
            return self._numbers(kind[0], start, count).tolist()
        return [self._value(kind[0], start + index * _OFFSET.itemsize) for index in range(count)]

    def _numbers(self, dtype: np.dtype, at: int, count: int) -> np.ndarray:
        return np.frombuffer(self._packed, dtype, count, at)

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ValueError(f"its tables expand to more than {_MOST_BYTES >> 20} MB")


def _put_table(builder: flatbuffers.Builder, table: Any) -> int:
    """Writes a table after everything it refers to; returns its offset from the end of the buffer."""
    values = [(kind, getattr(table, name)) for name, kind in _fields(type(table))]
    written = [(kind, value if isinstance(kind, np.dtype) else _put(builder, kind, value)) for kind, value in values]
    builder.StartObject(sum(2 if isinstance(kind, tuple) else 1 for kind, _ in values))
    slot = 0
    for (kind, value), (_, place) in zip(values, written, strict=True):
        if isinstance(kind, tuple):
            builder.PrependUint8Slot(slot, 0 if value is None else kind.index(type(value)) + 1, 0)
            slot += 1
        if isinstance(kind, np.dtype):
            builder.PrependSlot(_FLAGS[kind], slot, value, 0)
        elif place is not None:
            builder.PrependUOffsetTRelativeSlot(slot, place, 0)
        slot += 1
    return builder.EndObject()


def _put(builder: flatbuffers.Builder, kind: Any, value: Any) -> int | None:
    """Writes a string, vector or table; returns its offset, or None for None."""
    if value is None:
        return None
    if kind is bytes:
        return builder.CreateString(value)
    if isinstance(kind, Aligned):
        return _put_vector(builder, builder.PrependByte, value, width=1, alignment=kind.alignment)
    if not isinstance(kind, list):
        return _put_table(builder, value)
    if isinstance(kind[0], np.dtype):
        flags, width = _FLAGS[kind[0]], kind[0].itemsize
        return _put_vector(builder, lambda number: builder.Prepend(flags, number), value, width=width)
    places = [_put(builder, kind[0], item) for item in value]
    return _put_vector(builder, builder.PrependUOffsetTRelative, places, width=_OFFSET.itemsize)


def _put_vector(
    builder: flatbuffers.Builder,
    prepend: Callable[[Any], None],
    values: Sequence[Any],
    *,
    width: int,
    alignment: int | None = None,
) -> int:
    builder.StartVector(width, len(values), alignment or width)
    for value in reversed(values):
        prepend(value)
    return builder.EndVector()
