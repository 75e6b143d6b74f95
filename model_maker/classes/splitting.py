"""split_model(): splits a classifier into a shared backbone and a small head that apps can update."""

import base64
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_maker.apps.codegen import codegen
from model_maker.classes.class_list import layer_sizes
from model_maker.classes.photo_embedder import PhotoEmbedder
from model_maker.errors import ModelError, about
from model_maker.inference import runtimes
from model_maker.inference.classifier import model_file
from model_maker.learning import new_class
from model_maker.output_folder import BACKBONE, HEAD
from model_maker.progress import Progress
from model_maker.system import files
from model_maker.tflite import class_memory, class_rows, graph, io_types, metadata, vetting
from model_maker.tflite.class_rows import Rows
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray[Any, Any]

FORMAT = "model_maker head 1"


@dataclass(frozen=True)
class SplitModel:
    """The result of `split_model`.

    Attributes:
      directory: contains `backbone.tflite` and `head.json`.
      labels: labels of the head.
      backbone_sha256: hash of the backbone's file, which the head states, too.
      backbone_bytes, head_bytes: their sizes.
    """

    directory: Path
    labels: tuple[str, ...]
    backbone_sha256: str
    backbone_bytes: int
    head_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Returns JSON types."""
        return asdict(self) | {"directory": str(self.directory)}


def split_model(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    head: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SplitModel:
    """Splits a classifier into its backbone, a `.tflite` that returns features, and its head, a small JSON file.

    Classifiers on the same backbone with the same layers (`train` with `layers`) have a byte-identical backbone file.

    Args:
      model: an output folder of `train`, or a `.tflite` classifier with labels.
      output: the output folder.
      head: name of an output, for files written by `combine`.
      overwrite: whether to replace an existing output folder of `split_model`.
      progress: receives stages and notes.

    Raises:
      ModelError: it is not a classifier with labels, it has several heads and none is named, or its last layer cannot
        be separated.
      OutputError: the folder cannot be created.

    Examples:
      >>> import model_maker
      >>> parts = model_maker.split_model("flowers_model", "flowers_parts")
      >>> parts.head_bytes < 60_000 < parts.backbone_bytes
      True
    """
    path, output, progress = model_file(model), Path(output), Progress(progress)
    files.check_new_beside(path, output, overwrite=overwrite, mark=HEAD)
    with about(path), progress.stage("Split"):
        content = runtimes.single_head(vetting.read(path), head, what="a split")
        info = metadata.read(content)
        metadata.check_single(info, "a head that learns classes", "Ship its model.tflite whole.")
        normalization = info.normalization or io_types.stated_normalization(content)
        if not info.labels or normalization is None:
            raise ModelError("it lacks labels or its input's normalization. Use `model_maker metadata` first.")
        rows = class_rows.read(content)
        described = ModelInfo((), normalization, "backbone", licence=info.licence, resize=info.resize)
        backbone = _backbone(content, described)
        memory = class_memory.get(content)
        seen = PhotoEmbedder(content, normalization, info)
        stand_ins = np.empty((0, rows.kernel.shape[1])) if memory else seen.stand_ins()
        taught = new_class.teaching(rows, memory, stand_ins, layers=layer_sizes(info.provenance))
        digest = hashlib.sha256(backbone).hexdigest()
        text = json.dumps(_head(rows, info, taught, digest), ensure_ascii=False, indent=1) + "\n"
    with files.new_directory(output, overwrite=overwrite) as folder:
        (folder / BACKBONE).write_bytes(backbone)
        (folder / HEAD).write_text(text, encoding="utf-8", newline="\n")
    return SplitModel(output, info.labels, digest, len(backbone), len(text.encode()))


def pair(model: str | os.PathLike[str], *, head: str | None = None) -> dict[str, bytes]:
    """Returns the files for learning classes in our apps, backbone and head, by name; see `split_model`."""
    with files.temporary_directory() as folder:
        parts = split_model(model, Path(folder) / "parts", head=head).directory
        return {name: (parts / name).read_bytes() for name in (BACKBONE, HEAD)}


def teaching_files(model: str | os.PathLike[str]) -> dict[str, bytes]:
    """Returns the files for learning classes in the demo page: backbone, head, and code.

    Empty for a model that cannot be split or has several heads: its page does not have this feature.
    """
    with files.temporary_directory() as folder:
        try:
            parts = split_model(model, Path(folder) / "parts").directory
            code = codegen(parts, "js").replace("'@litertjs/core'", "'./runtime/core.js'")
        except ModelError:
            return {}
        return {name: (parts / name).read_bytes() for name in (BACKBONE, HEAD)} | {"head.js": code.encode()}


def _backbone(content: bytes, info: ModelInfo) -> bytes:
    """Returns the network before the last layer; features are float32, whatever the internal type."""
    model = graph.parse(class_rows.embedder(content))
    main = model.subgraphs[0]
    if len(main.tensors[int(main.outputs[0])].shape) != 2:
        last = main.tensors[int(main.outputs[0])]
        last.shape = [1, int(np.prod(last.shape))]
    name = main.tensors[int(main.outputs[0])].name.decode()
    cast = graph.edge_operators(model, main.outputs, name, "float32", None, entering=False)
    main.operators = [*main.operators, *cast]
    graph.sign(model, "embedding")
    made = metadata.write(graph.pack(model), info, embedder=True)
    vetting.vet(made)
    return made


def _head(rows: Rows, info: ModelInfo, taught: new_class.Teaching, digest: str) -> dict[str, Any]:
    steps = np.abs(rows.kernel).max(axis=1) / 127 if rows.steps is None else rows.steps
    steps = np.where(steps > 0, steps, 1.0).astype(np.float32)
    return {
        "format": FORMAT,
        "name": info.name,
        "backbone_sha256": digest,
        "features": int(rows.kernel.shape[1]),
        "labels": list(info.labels),
        "kernel": _packed(np.rint(rows.kernel / steps[:, None]), "i1"),
        "steps": [float(step) for step in steps],
        "bias": [float(bias) for bias in rows.bias],
        "teach": {
            "center": _packed(taught.center, "<f4"),
            "divisor": _packed(taught.divisor, "<f4"),
            "length": taught.length,
            "offset": taught.offset,
        },
    }


def _packed(array: Array, kind: str) -> str:
    return base64.b64encode(array.astype(kind).tobytes()).decode()
