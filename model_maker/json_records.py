"""Records as JSON: a dataclass is written in the order of its fields, and read back by their annotations.

A record may have a form of its own: `as_dict()`, and `from_dict()` to read it.
"""

import contextlib
import dataclasses
import functools
from dataclasses import MISSING
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

Record = TypeVar("Record")

# Metadata of a field whose own fields stand among those of its record.
FLAT = {"flat": True}


def named(name: str) -> dict[str, str]:
    """Returns the metadata of a field that has another name in JSON."""
    return {"name": name}


def as_dict(record: Any) -> dict[str, Any]:
    """Returns the fields of a dataclass as plain JSON types; those with a default are left out where they have it."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if default is MISSING or value != default:
            content = _plain(value)
            found |= content if "flat" in field.metadata else {_name(field): content}
    return found


def read(kind: type[Record], content: Any) -> Record:
    """Makes a record from JSON; ignores fields of a later version. A tuple of records may be a dict by their `label`.

    Raises:
      ValueError: a field is missing or has another type; the message names it.
    """
    found: Record = _read(kind, content, "")
    return found


def _plain(value: Any) -> Any:
    if hasattr(value, "as_dict"):
        return value.as_dict()
    if dataclasses.is_dataclass(value):
        return as_dict(value)
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def _read(kind: Any, value: Any, place: str) -> Any:
    """Reads a value of an annotated type; `place` is its name in messages."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, UnionType):
        return _read_one_of(inner, value, place)
    if origin is tuple and isinstance(value, dict):
        value = [{"label": name} | one if isinstance(one, dict) else one for name, one in value.items()]
    if origin is Literal and value in inner:
        return value
    if origin is tuple and isinstance(value, list):
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        if len(kinds) == len(value):
            places = (f"{place}[{index}]" for index in range(len(value)))
            return tuple(map(_read, kinds, value, places))
    if origin is dict and isinstance(value, dict):
        return {name: _read(inner[1], entry, f"{place}.{name}") for name, entry in value.items()}
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _read_record(kind, value, place)
    if origin is np.ndarray and isinstance(value, list):
        with contextlib.suppress(ValueError):  # rows of different lengths
            if (table := np.array(value)).dtype.kind in "iuf":
                return table
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if origin is None and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise ValueError(f"{place.removeprefix('.') or 'the content'} is {value!r:.60}")


def _read_one_of(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    if value is None and NoneType in kinds:
        return None
    *others, last = (kind for kind in kinds if kind is not NoneType)
    for kind in others:
        try:
            return _read(kind, value, place)
        except ValueError:
            continue
    return _read(last, value, place)


def _read_record(kind: Any, content: dict[str, Any], place: str) -> Any:
    if hasattr(kind, "from_dict"):
        try:
            return kind.from_dict(content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{place.removeprefix('.')} is damaged ({error!r})") from error
    given, kinds = {}, _kinds(kind)
    for field in dataclasses.fields(kind):
        name, own = _name(field), kinds[field.name]
        if "flat" in field.metadata:
            given[field.name] = _read(own, content, place)
        elif name in content:
            given[field.name] = _read(own, content[name], f"{place}.{name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            if NoneType not in get_args(own):
                raise ValueError(f"{f'{place}.{name}'.removeprefix('.')} is missing")
            given[field.name] = None
    return kind(**given)


@functools.cache
def _kinds(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _name(field: dataclasses.Field[Any]) -> str:
    return str(field.metadata.get("name", field.name))
