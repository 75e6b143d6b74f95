"""The input of an export: the float model, the shipped file, and photos for calibration and checks."""

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
from model_maker.inference import runtimes
from model_maker.inference.classifier import FileClassifier, model_file
from model_maker.output_folder import FLOAT_MODEL
from model_maker.packaging import quantized_file, self_test
from model_maker.packaging.quantized_file import Form
from model_maker.progress import Progress
from model_maker.tflite import client_rules, cut, dequantize, graph, inspection, io_types, metadata, vetting
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray

PROBES = 8
_EDGES = (("QUANTIZE", "QUANTIZE"), ("QUANTIZE", "DEQUANTIZE"))


@dataclass(frozen=True)
class ExportSource:
    """A classifier to export.

    Attributes:
      name: for messages.
      shipped: the given `.tflite`, with metadata.
      base: the float classifier: float32 [1, H, H, 3], normalized, to probabilities; and its normalization.
      info: labels and the rest of the metadata, with the normalization of `base`.
      photos: calibration photos, as `images.load` takes them.
      probes: uint8 [N, H, H, 3], photos for checking exports.
      int8: the classifier with int8 input and output, if it needs no calibration; else None.
      self_test: whether files for apps get a self-test.
    """

    name: str
    shipped: bytes
    base: Embedder
    info: ModelInfo
    photos: Sequence
    probes: Array
    progress: Progress
    int8: bytes | None = None
    self_test: bool = False

    @property
    def pixels_model(self) -> bytes:
        """The float classifier for raw pixels, the source of other formats."""
        return io_types.accept_pixels(self.base.content, self.base.normalization)

    @functools.cached_property
    def float_scores(self) -> Array:
        """float32 [N, C] of the float classifier on the probes."""
        return scores(metadata.write(self.base.content, self.info), self.probes)

    def in_form(self, kind: str, io: str) -> bytes:
        """Returns the model in a form, with metadata: the shipped file if it has that form, else a new conversion.

        Raises:
          ModelError: the conversion is not possible.
        """
        content = self._in_form(kind, io)
        return self_test.added(content) if self.self_test and io != "int8" else content

    def _in_form(self, kind: str, io: str) -> bytes:
        facts = inspection.inspect(self.shipped)
        if facts.quantization == kind and {facts.inputs[0].dtype, facts.outputs[0].dtype} == {io}:
            # Phone clients reject int8 input, and files with wrong metadata, which is rewritten.
            kept = io == "int8" or all(entry.passed for entry in client_rules.check(self.shipped))
            return self.shipped if kept else metadata.write(self.shipped, self.info)
        if io == "int8":
            if kind != "int8":
                raise ModelError(f"int8 input and output need an int8 model, not {kind}. Use `io='uint8'` or float32.")
            # The measurements still hold: the same int8 model without the operators that convert its input and output.
            return metadata.write(io_types.bare_int8(self._in_form("int8", "uint8")), self._described(kind))
        return self._made[kind, io] if (kind, io) in self._made else self._make(kind, io)

    @functools.cached_property
    def _made(self) -> dict[tuple[str, str], bytes]:
        return {}

    def _make(self, kind: str, io: str) -> bytes:
        if kind == "int8" and self.int8:
            bare = quantized_file.with_io_types(graph.parse(self.int8), self.base.normalization, io)
        else:
            bare = quantized_file.convert(
                self.base.content, self.base, Form(kind, io), photos=self.photos, progress=self.progress
            )
        self._made[kind, io] = metadata.write(bare, self._described(kind))
        return self._made[kind, io]

    def _described(self, kind: str) -> ModelInfo:
        """Marks the metrics in the provenance as those of the shipped file."""
        return dataclasses.replace(self.info, provenance={"exported_as": kind, "from": self.info.provenance})


def scores(model: bytes | Path, pixels: Array) -> Array:
    """Opens a model of any format and returns its scores, float32 [N, C].

    Raises:
      ModelError: it does not open.
    """
    return np.stack([row for row in FileClassifier(model).scores(list(pixels)) if not isinstance(row, DataError)])


def read(
    model: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None,
    progress: Progress,
    head: str | None = None,
    with_self_test: bool = False,
) -> ExportSource:
    """Collects the input of an export.

    Args:
      model: an output folder of `train`, or a `.tflite` classifier with labels.
      data: photos, one folder per class; the training photos by default.
      progress: receives notes on what was chosen, and why.
      head: name of an output, for files written by `combine`.
      with_self_test: whether files for apps get a self-test; they do if the model has one.

    Raises:
      ModelError: the model does not exist, has several heads and none is named, or its operators cannot be converted
        to float.
      DataError: a photo cannot be read.
    """
    path = model_file(model)
    with about(path):
        shipped = runtimes.single_head(vetting.read(path), head, what="an export")
    classifier = FileClassifier(shipped)
    with about(path):
        content, info = float_model(path, shipped, progress)
    if info.normalization is None:
        raise ModelError(f"{path} does not state the normalization of its input, so it cannot be exported.")
    photos, probes = _photos(path, data, progress)
    base = Embedder(
        info.name or path.stem,
        content,
        info.normalization,
        classifier.image_size,
        info.licence,
        resize=info.resize,
    )
    pixels = np.stack([images.load(photo, base.fit) for photo in probes])
    wanted = with_self_test or self_test.get(shipped) is not None
    return ExportSource(str(path), shipped, base, info, photos, pixels, progress, _int8(shipped, info), wanted)


def _int8(shipped: bytes, info: ModelInfo) -> bytes | None:
    """Returns an int8 file with its original int8 input and output; None for any other file."""
    if info.normalization is None or inspection.inspect(shipped).quantization != "int8":
        return None
    model = graph.parse(shipped)
    first, last = (graph.operator_name(model, model.subgraphs[0].operators[place]) for place in (0, -1))
    return io_types.within(shipped, info.normalization) if (first, last) in _EDGES else None


def float_model(path: Path, shipped: bytes, progress: Progress) -> tuple[bytes, ModelInfo]:
    """Returns the float model that training saved, else one converted from the quantized file."""
    info = metadata.read(shipped)
    kept = path.parent / FLOAT_MODEL
    if kept.is_file() and (path.parent / output_folder.RUN).is_file():
        content = vetting.read(kept)
        vetting.vet(content)  # because calibration runs it
        found = metadata.read(content)
        if found.labels != info.labels:
            raise ModelError(f"{kept} has different labels, so it belongs to another model. Remove it.")
        return content, dataclasses.replace(info, normalization=found.normalization)
    if inspection.inspect(shipped).quantization != "none":
        progress.note(
            f"There is no {FLOAT_MODEL} beside {path.name}; float formats will contain its quantized weights as floats."
        )
    tree = graph.parse(shipped)
    with graph.explained():
        dequantize.dequantize(tree)
        cut.replace_squeezes(tree)
        cut.prune_buffers(tree)
        graph.sign(tree)
        # The quantization of the input is exact; the mean in the metadata may be half a step off.
        normalization = io_types.stated_normalization(shipped) or info.normalization
        return graph.pack(tree), dataclasses.replace(info, normalization=normalization)


def _photos(model: Path, data: str | os.PathLike[str] | None, progress: Progress) -> tuple[list, list]:
    """Returns photos for calibration, and others for checks."""
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
        progress.note(f"{error} Until then, generated images replace photos.")
    pictures = list(calibration_pictures.pictures())
    return pictures, pictures[:: len(pictures) // PROBES + 1]


def _spread(photos: Dataset) -> list[Path]:
    """Takes every nth photo, so that all classes are represented."""
    chosen = np.linspace(0, len(photos) - 1, min(PROBES, len(photos))).astype(int)
    return [photos.samples[index].path for index in chosen]
