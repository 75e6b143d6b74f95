"""Finds the external files that an `.onnx` refers to, before any runtime opens it.

Parses Protobuf itself, because the package onnx may not be installed; field numbers are those of ONNX's schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from model_maker.errors import ModelError

# Fields of ONNX messages whose messages may contain tensors, by message type: {field: type}.
_INNER = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_DEEPEST = 100


def check(path: Path) -> None:
    """Raises an error for a file whose weights are outside of its own folder.

    Raises:
      ModelError: they are, or the file cannot be read or is not valid Protobuf.
    """
    try:
        content = path.read_bytes()
        names = sorted(set(_places(memoryview(content), "model", 0)))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, IndexError) as error:
        raise ModelError(f"{path}: ONNX Runtime cannot open it: it is damaged, or not an ONNX file.") from error
    folder = path.parent.resolve()
    for name in names:
        try:
            inside = (path.parent / name).resolve().is_relative_to(folder) and not Path(name).is_absolute()
            sound = inside and (path.parent / name).is_file()
        except (OSError, ValueError, RuntimeError):  # NUL, name too long, circular links
            sound = False
        if not sound:
            raise ModelError(
                f"{path}: its weights are in {name[:200]!r}, which is not a file in that folder. Put them "
                "there, or save the model as one file."
            )


def _places(content: memoryview, kind: str, depth: int) -> Iterator[str]:
    """Yields the `location` of each tensor whose data is in another file."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    entry = {}
    for field, value in _fields(content):
        inner = _INNER.get(kind, {}).get(field)
        if kind == "entry" and isinstance(value, memoryview):
            entry[field] = bytes(value)
        elif inner and isinstance(value, memoryview):
            yield from _places(value, inner, depth + 1)
    if entry.get(1) == b"location":
        yield entry.get(2, b"").decode("utf-8")


def _fields(content: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    at = 0
    while at < len(content):
        tag, at = _number(content, at)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _number(content, at)
            yield field, value
            continue
        if wire == 2:
            length, at = _number(content, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError("groups are not used by ONNX")
        if at + length > len(content):
            raise ValueError("it ends too early")
        yield field, content[at : at + length]
        at += length


def _number(content: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")
