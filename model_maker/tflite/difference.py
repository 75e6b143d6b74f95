"""Describes how two `.tflite` files differ."""

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.tflite import graph, metadata
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray


@dataclass(frozen=True)
class Difference:
    """One difference: what differs, and its value in each file."""

    what: str
    before: str
    after: str


def differences(before: bytes, after: bytes) -> list[Difference]:
    """Compares the networks and metadata of two files, provenance included; the list is empty if they are equal.

    Raises:
      ModelError: one is damaged.
    """
    infos, networks = [[read(content) for content in (before, after)] for read in (metadata.read, graph.parse)]
    provenance = (info.provenance for info in infos)
    return [*_entries("", *provenance), *_networks(*networks), *_infos(*infos)]


def _networks(before: schema.ModelT, after: schema.ModelT) -> Iterator[Difference]:
    with graph.explained():
        shapes = [[(tensor.name, list(tensor.shape), tensor.type) for tensor in _tensors(m)] for m in (before, after)]
        operators = [[graph.operator_name(m, op) for op in m.subgraphs[0].operators] for m in (before, after)]
        if operators[0] != operators[1]:
            others = sum(one != other for one, other in itertools.zip_longest(*operators))
            yield Difference("operators", f"{len(operators[0])}", f"{len(operators[1])}, {others} are others")
        if shapes[0] != shapes[1]:
            others = sum(one != other for one, other in itertools.zip_longest(*shapes))
            yield Difference("tensors", f"{len(shapes[0])}", f"{len(shapes[1])}, {others} are others")
        if operators[0] == operators[1] and shapes[0] == shapes[1]:
            yield from _values(before, after)


def _values(before: schema.ModelT, after: schema.ModelT) -> Iterator[Difference]:
    """Compares the weights and scales of two files with the same graph."""
    weights, scales = [], []
    total = 0
    for one, other in zip(_tensors(before), _tensors(after), strict=True):
        if before.buffers[one.buffer].data is not None:
            first, second = (graph.constant(*pair).astype(np.float64) for pair in ((before, one), (after, other)))
            total += first.size
            weights.append(np.abs(first - second)[first != second])
        scales += [_scales(one) != _scales(other)]
    changed = np.concatenate(weights) if weights else np.zeros(0)
    if changed.size:
        yield Difference("weights", f"{total:,}", f"{changed.size:,} are others, by {changed.max():.6g} at most")
    if any(scales):
        yield Difference("scales", f"of {len(scales)} tensors", f"{sum(scales)} are others")


def _infos(before: ModelInfo, after: ModelInfo) -> Iterator[Difference]:
    for field in dataclasses.fields(ModelInfo):
        first, second = (getattr(info, field.name) for info in (before, after))
        if field.name != "provenance" and first != second:
            yield Difference(field.name.replace("_", " "), _text(first), _text(second))


def _entries(path: str, before: Any, after: Any) -> Iterator[Difference]:
    """Compares JSON, leaf by leaf."""
    if isinstance(before, dict) or isinstance(after, dict):
        before, after = (found if isinstance(found, dict) else {} for found in (before, after))
        for name in dict.fromkeys([*before, *after]):
            yield from _entries(f"{path} {name.replace('_', ' ')}".strip(), before.get(name), after.get(name))
    elif before != after:
        yield Difference(path, _text(before), _text(after))


def _tensors(model: schema.ModelT) -> list[schema.TensorT]:
    tensors: list[schema.TensorT] = model.subgraphs[0].tensors
    return tensors


def _scales(tensor: schema.TensorT) -> list[list[float]]:
    found = tensor.quantization
    parts = (found.scale, found.zeroPoint) if found else ()
    return [[] if part is None else list(part) for part in parts]


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(_text, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value) if value not in (None, "") else "none"
