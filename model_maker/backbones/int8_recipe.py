"""Recipes rebuild an int8 backbone without photos: ranges of its activations, and rounding of its weights."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_maker.errors import ModelError
from model_maker.system import files
from model_maker.tflite import graph, quantize
from model_maker.tflite.network_layers import Layer

Array = np.ndarray

# Exceptions of reading a damaged recipe.
_DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Int8Recipe:
    """A file of kilobytes that accompanies weights of megabytes.

    Attributes:
      float_sha256, int8_sha256: of the backbone's float form, and of the expected int8 form.
      photos: number of photos that they come from.
      changes: differences of integer constants from rounding one by one, by name.
    """

    float_sha256: str
    int8_sha256: str
    layers: tuple[Layer, ...]
    ranges: quantize.Ranges
    photos: int
    changes: dict[str, Array]

    @classmethod
    def read(cls, path: Path) -> Int8Recipe:
        """Reads a recipe.

        Raises:
          ModelError: it is damaged.
        """
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                facts = json.loads(str(stored["facts"]))
                changes = {name: stored[name] for name in stored.files if name != "facts"}
            facts["layers"] = tuple(Layer(*row) for row in facts["layers"])
            facts["ranges"] = {name: (low, high) for name, (low, high) in facts["ranges"].items()}
            return cls(**facts, changes=changes)
        except _DAMAGED as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ModelError(f"{path} is damaged ({reason}). Reinstall model-maker.") from error

    def write(self, path: Path) -> None:
        """Writes a byte-identical `.npz` each time, without a date."""
        facts = dataclasses.asdict(self) | {"layers": [dataclasses.astuple(layer) for layer in self.layers]}
        del facts["changes"]
        buffer = io.BytesIO()
        np.savez_compressed(buffer, facts=np.array(json.dumps(facts)), **self.changes)
        files.write(path, buffer.getvalue())

    def rounded(self, plain: bytes) -> bytes:
        """Replaces the weights of an int8 `.tflite` that were rounded one by one with those rounded jointly."""
        tree = graph.parse(plain)
        for name, change in self.changes.items():
            tensor = tree.subgraphs[0].tensors[graph.find_tensor(tree, name)]
            values = graph.constant(tree, tensor)
            graph.set_constant(tree, tensor, values + change.astype(values.dtype))
        return graph.pack(tree)


def changes(before: bytes, after: bytes) -> dict[str, Array]:
    """Returns the differences of integer constants between two forms of a network, by name, without zeros."""
    trees = [graph.parse(content) for content in (before, after)]
    found = {}
    for tensors in zip(*(tree.subgraphs[0].tensors for tree in trees), strict=True):
        if trees[0].buffers[tensors[0].buffer].data is None:
            continue
        old, new = (graph.constant(tree, tensor) for tree, tensor in zip(trees, tensors, strict=True))
        if not np.array_equal(old, new):
            change = new.astype(np.int64) - old
            found[tensors[0].name.decode()] = change.astype(np.int8 if np.abs(change).max() <= 127 else np.int32)
    return found
