"""Finds the external files that an `.onnx` refers to, before any runtime opens it.

The package onnx may not be installed; field numbers are those of ONNX's schema.
"""

from collections.abc import Iterator
from pathlib import Path

from model_maker.errors import ModelError
from model_maker.system import protobuf

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
    """Raises a ModelError if weights are outside of the folder, or the file cannot be read or is not valid Protobuf."""
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
    for field, value in protobuf.fields(content):
        inner = _INNER.get(kind, {}).get(field)
        if kind == "entry" and isinstance(value, memoryview):
            entry[field] = bytes(value)
        elif inner and isinstance(value, memoryview):
            yield from _places(value, inner, depth + 1)
    if entry.get(1) == b"location":
        yield entry.get(2, b"").decode("utf-8")
