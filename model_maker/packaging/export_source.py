"""What an export starts from: the float model, the file as it ships, and photos to calibrate and check on."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_maker import output_folder, run_record
from model_maker.backbones.embedder import Embedder
from model_maker.data import calibration_pictures, images, sources
from model_maker.data.dataset import Dataset
from model_maker.errors import DataError, ModelError, about
from model_maker.inference import classifier as classifiers
from model_maker.inference.classifier import Classifier
from model_maker.output_folder import FLOAT_MODEL
from model_maker.packaging import quantized_file
from model_maker.packaging.quantized_file import Form
from model_maker.progress import Progress
from model_maker.tflite import client_rules, cut, dequantize, graph, inspection, io_types, metadata, vetting
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray

PROBES = 8
_EDGES = (("QUANTIZE", "QUANTIZE"), ("QUANTIZE", "DEQUANTIZE"))


@dataclass(frozen=True)
class Source:
    """A classifier that is to be exported.

    Attributes:
      name: for messages.
      shipped: the `.tflite` that was named, with metadata.
      base: the float classifier: float32 [1, H, H, 3], normalized, to probabilities; and what its input expects.
      info: labels and the rest of the metadata, with the normalization of `base`.
      photos: to calibrate on, what `images.load` takes.
      probes: uint8 [N, H, H, 3], photos on which exports are checked.
      progress: receives progress and notes.
      int8: the classifier in int8, edges and all, where it need not be calibrated; None where it must be.
    """

    name: str
    shipped: bytes
    base: Embedder
    info: ModelInfo
    photos: Sequence
    probes: Array
    progress: Progress
    int8: bytes | None = None

    @property
    def pixels_model(self) -> bytes:
        """The float classifier on raw pixels, which other formats are made from."""
        return io_types.accept_pixels(self.base.content, self.base.normalization)

    @functools.cached_property
    def float_scores(self) -> Array:
        """float32 [N, C] of the float classifier on the probes."""
        return scores(metadata.write(self.base.content, self.info), self.probes)

    def in_form(self, kind: str, io: str) -> bytes:
        """Returns the model in a form, with metadata: as it shipped where that is its form, else made anew.

        Raises:
          ModelError: it cannot be had in this form.
        """
        facts = inspection.inspect(self.shipped)
        if facts.quantization == kind and {facts.inputs[0].dtype, facts.outputs[0].dtype} == {io}:
            # Of a file that phone clients would refuse, the metadata is written anew; int8 is for no phone.
            kept = io == "int8" or all(entry.passed for entry in client_rules.check(self.shipped))
            return self.shipped if kept else metadata.write(self.shipped, self.info)
        if io == "int8":
            if kind != "int8":
                raise ModelError(f"int8 edges belong to int8 models, not to {kind}. Use `io='uint8'` or float32.")
            # What was measured stays: the same int8 model without the operators that change its edges.
            return metadata.write(io_types.bare_int8(self.in_form("int8", "uint8")), self._described(kind))
        return self._made[kind, io] if (kind, io) in self._made else self._make(kind, io)

    @functools.cached_property
    def _made(self) -> dict[tuple[str, str], bytes]:
        return {}

    def _make(self, kind: str, io: str) -> bytes:
        if kind == "int8" and self.int8:
            bare = quantized_file.with_edges(self.int8, self.base.normalization, io)
        else:
            bare = quantized_file.ship(
                self.base.content, self.base, Form(kind, io), photos=self.photos, progress=self.progress
            )
        self._made[kind, io] = metadata.write(bare, self._described(kind))
        return self._made[kind, io]

    def _described(self, kind: str) -> ModelInfo:
        """The figures in the provenance are those of the shipped file, and say so."""
        return dataclasses.replace(self.info, provenance={"exported_as": kind, "from": self.info.provenance})


def scores(model: bytes | Path, pixels: Array) -> Array:
    """Returns float32 [N, C] of a model of any format, opened anew.

    Raises:
      ModelError: it does not open.
    """
    return np.stack([row for row in Classifier(model).scores(list(pixels)) if not isinstance(row, DataError)])


def read(model: str | os.PathLike[str], *, data: str | os.PathLike[str] | None, progress: Progress) -> Source:
    """Gathers what an export of a model needs.

    Args:
      model: a folder that `train` made, or a `.tflite` classifier with labels.
      data: photos, one folder a class; those that the model was trained on unless told.
      progress: hears what was chosen, and why.

    Raises:
      ModelError: there is no such model, or its operators cannot be turned into float.
      DataError: a photo cannot be read.
    """
    path = classifiers.model_file(model)
    shipped = vetting.read(path)
    classifier = Classifier(shipped)
    with about(path):
        content, info = float_model(path, shipped, progress)
    if info.normalization is None:
        raise ModelError(f"{path} does not state the normalization of its input, so it cannot be exported.")
    photos, probes = _photos(path, data, progress)
    size = classifier.image_size
    base = Embedder(info.name or path.stem, content, info.normalization, size, info.licence)
    pixels = np.stack([images.load(photo, size) for photo in probes])
    return Source(str(path), shipped, base, info, photos, pixels, progress, _int8(shipped, info))


def _int8(shipped: bytes, info: ModelInfo) -> bytes | None:
    """Returns an int8 file as it was before it got its edges; None for any other file."""
    if info.normalization is None or inspection.inspect(shipped).quantization != "int8":
        return None
    model = graph.parse(shipped)
    first, last = (graph.operator_name(model, model.subgraphs[0].operators[place]) for place in (0, -1))
    return io_types.within(shipped, info.normalization) if (first, last) in _EDGES else None


def float_model(path: Path, shipped: bytes, progress: Progress) -> tuple[bytes, ModelInfo]:
    """Returns the float model that training kept, or the one that a quantized file approximates."""
    info = metadata.read(shipped)
    kept = path.parent / FLOAT_MODEL
    if kept.is_file() and (path.parent / output_folder.RUN).is_file():
        content = vetting.read(kept)
        vetting.vet(content)  # it runs, here and in what calibrates
        found = metadata.read(content)
        if found.labels != info.labels:
            raise ModelError(f"{kept} has other labels, so it belongs to another model. Remove it.")
        return content, dataclasses.replace(info, normalization=found.normalization)
    if inspection.inspect(shipped).quantization != "none":
        progress.note(
            f"There is no {FLOAT_MODEL} beside {path.name}; float formats hold its quantized weights as floats."
        )
    tree = graph.parse(shipped)
    with graph.explained():
        dequantize.dequantize(tree)
        cut.replace_squeezes(tree)
        cut.prune_buffers(tree)
        graph.sign(tree)
        # What a quantized input says of itself is exact; the metadata's mean may be half a step away.
        normalization = io_types.stated_normalization(shipped) or info.normalization
        return graph.pack(tree), dataclasses.replace(info, normalization=normalization)


def _photos(model: Path, data: str | os.PathLike[str] | None, progress: Progress) -> tuple[list, list]:
    """Returns photos to calibrate on, and others to check on."""
    if data is not None:
        dataset = sources.read(data, least_classes=1)
        ordered = quantized_file.by_hash(dataset)
        return ordered[: quantized_file.CALIBRATION_PHOTOS], ordered[-PROBES:]
    try:
        split, notes = run_record.parts(model)
        for note in notes:
            progress.note(note)
        return quantized_file.by_hash(split.train)[: quantized_file.CALIBRATION_PHOTOS], _spread(split.test)
    except (DataError, ModelError) as error:
        progress.note(f"{error} Until then, pictures made for it stand in for photos.")
    pictures = list(calibration_pictures.pictures())
    return pictures, pictures[:: len(pictures) // PROBES + 1]


def _spread(photos: Dataset) -> list[Path]:
    """Every nth, so that all classes take part."""
    chosen = np.linspace(0, len(photos) - 1, min(PROBES, len(photos))).astype(int)
    return [photos.samples[index].path for index in chosen]
