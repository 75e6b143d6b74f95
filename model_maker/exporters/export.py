"""export(): writes a finished model in the formats of other runtimes, and compares each with the original model."""

import dataclasses
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_maker import output_folder
from model_maker.errors import DataError, ModelError, ModelMakerError
from model_maker.exporters import export_card, format_names, litert, openvino_ir, tensorflow_formats
from model_maker.exporters.exported import Exported
from model_maker.fitting import STRETCH
from model_maker.inference import training_overlap
from model_maker.output_folder import LABELS, MULTI_LABEL
from model_maker.packaging import export_source
from model_maker.packaging.export_source import ExportSource
from model_maker.progress import Progress
from model_maker.system import extras, files
from model_maker.tflite import quantize
from model_maker.tflite.metadata import RESIZE, ModelInfo
from model_maker.version import __version__

Array = np.ndarray[Any, Any]

ALL = "all"
RECORD = "export.json"
UNKNOWN = "unknown"
# ONNX opsets: from the default to the newest that tf2onnx supports.
OPSETS = range(13, 19)
# Another summation order changes a probability by some 1e-7; a wrong layout, color order or normalization by more than
# a hundredth.
_SAME = 1e-3
# float16 keeps 11 bits of each weight; over 50 layers this changes a probability by some thousandths.
_HALF = 0.02
# A uint8 output has steps of 1/256 and ends at 255/256.
_STEP = 1 / 256
# Allowed mean difference in probability mass between a quantized model and the float model. Rounding may flip
# predictions of single photos; a broken model differs on nearly every photo.
_BROKEN = 0.25


@dataclass(frozen=True)
class Exporter:
    """How to write a format.

    Attributes:
      write: called with the source, the folder and, if `io` is set, the input and output type; returns the model, and
        its scores on the probes if it has already been run.
      contract: a line on the input, for the README of the export.
      modules: required packages of `extras.EXTRAS`.
      io: the default input and output type; None if the format has no choice.
      precision: "float", "half" or "quantized", which determines the tolerance of scores; "unknown" if nothing here can
        run it.
    """

    write: Callable[..., tuple[Path, Array | None]]
    contract: str
    usage: str
    modules: tuple[str, ...] = ()
    io: str | None = None
    precision: str = "float"
    note: str = ""


@dataclass(frozen=True)
class Export:
    """The result of `export`.

    Attributes:
      directory: contains a folder for each format, and `export.json`.
      entries: in the requested order, including failed formats.
    """

    directory: Path
    entries: tuple[Exported, ...]


def export(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    formats: str | Sequence[str] = ALL,
    io: str | None = None,
    half: bool = False,
    int8: bool = False,
    opset: int | None = None,
    data: str | os.PathLike[str] | None = None,
    head: str | None = None,
    self_test: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Export:
    """Writes a model in other formats; the failure of one format does not stop the others.

    Args:
      model: an output folder of `train`, or a `.tflite` classifier with labels.
      output: the output folder, with a folder for each format.
      formats: keys of EXPORTERS, names of other tools for them, or "all".
      io: the input and output type of the `.tflite` formats, one of `litert.IO_TYPES`.
      half, int8: quantization of "tflite", like flags of other tools; int8 by default.
      opset: ONNX opset, one of OPSETS; 13 by default, which every current runtime supports.
      data: photos for calibration and checks, one folder per class; the training photos by default.
      head: name of an output, for files written by `combine`.
      self_test: whether `.tflite` files for apps get a self-test; they do if the model has one.
      overwrite: whether to replace an existing export.
      progress: receives stages, progress and notes.

    Raises:
      DataError: there is no such format, or it has no such option; for unsupported formats, the message says how to get
        them.
      ModelError: the model cannot be read, or has several heads and none is named; a requested format needs a package
        that is not installed; or all formats failed.
      OutputError: the folder cannot be created.

    Examples:
      >>> import model_maker
      >>> found = model_maker.export("flowers_model", "exported", formats=["tflite-float16"])
      >>> [(entry.path.as_posix(), entry.same_top1) for entry in found.entries]
      [('exported/tflite-float16/model.tflite', 1.0)]
    """
    names, output = _names(formats, io, half=half, int8=int8, opset=opset), Path(output)
    files.check_new_beside(Path(model), output, overwrite=overwrite, mark=RECORD, maker="export")
    progress = Progress(progress)
    with progress.stage("Read the model"):
        origin = export_source.read(model, data=data, progress=progress, head=head, with_self_test=self_test)
    entries = []
    with files.new_directory(output, overwrite=overwrite) as folder:
        for name in names:
            try:
                with progress.stage(f"Export {name}"):
                    entries.append(export_one(name, origin, folder / name, io, opset=opset))
            except ModelMakerError as error:
                shutil.rmtree(folder / name, ignore_errors=True)
                entries.append(Exported(name, failure=str(error)))
        if all(entry.failure for entry in entries):
            raise ModelError(f"Nothing could be exported. {names[0]}: {entries[0].failure}")
        made = [
            dataclasses.replace(entry, path=output / entry.path.relative_to(folder)) if entry.path else entry
            for entry in entries
        ]
        found = Export(output, tuple(made))
        training_overlap.keep(output_folder.home(model), folder)
        (folder / RECORD).write_text(
            json.dumps(as_dict(found, origin), indent=2) + "\n", encoding="utf-8", newline="\n"
        )
    return found


def as_dict(found: Export, origin: ExportSource | None = None) -> dict[str, Any]:
    """Returns JSON types; paths are relative to the folder."""
    rows = []
    for entry in found.entries:
        path = entry.path.relative_to(found.directory).as_posix() if entry.path else None
        rows.append(dataclasses.asdict(entry) | {"path": path})
    made_from = {"model": origin.name, "sha256": hashlib.sha256(origin.shipped).hexdigest()} if origin else {}
    return {"model_maker": __version__, **made_from, "formats": rows}


def export_one(
    name: str, origin: ExportSource, folder: Path, io: str | None = None, *, opset: int | None = None
) -> Exported:
    """Writes one format of EXPORTERS and checks it; without `io` it has the format's own input and output type.

    The folder is created; on failure the caller removes it.

    Raises:
      ModelError: it cannot be written, or its scores differ from the float model's.
    """
    exporter = EXPORTERS[name]
    extras.require(*exporter.modules, what="It", error=ModelError)
    folder.mkdir()
    (folder / LABELS).write_text("\n".join(origin.info.labels), encoding="utf-8", newline="\n")
    if origin.info.multi_label and not exporter.io:  # the others carry metadata
        stated = {"thresholds": dict(zip(origin.info.labels, origin.info.limits.round(6).tolist(), strict=True))}
        (folder / MULTI_LABEL).write_text(output_folder.as_json(stated), encoding="utf-8", newline="\n")
    if origin.info.resize != STRETCH:
        (folder / RESIZE).write_text(origin.info.resize, encoding="utf-8", newline="\n")
    edges = {"io": io or exporter.io} if exporter.io else {}
    more = {"opset": opset} if name == "onnx" and opset else {}
    path, found = exporter.write(origin, folder, **edges, **more)
    difference = same_top1 = None
    if exporter.precision != UNKNOWN:
        found = export_source.scores(path, origin.probes) if found is None else found
        difference = check_answers(
            exporter.precision,
            found,
            origin.float_scores,
            uint8=edges.get("io") == "uint8",
            multi_label=origin.info.multi_label,
        )
        same_top1 = _same_answers(found, origin.float_scores, origin.info)
    entry = Exported(
        name,
        path,
        sum(
            file.stat().st_size
            for file in folder.rglob("*")
            if file.is_file() and file.name not in (LABELS, MULTI_LABEL, RESIZE)
        ),
        difference,
        same_top1,
        exporter.note,
    )
    text = export_card.render(entry, origin, contract=exporter.contract, usage=exporter.usage, io=edges.get("io", ""))
    (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")
    return entry


def _same_answers(found: Array, expected: Array, info: ModelInfo) -> float:
    """Returns the share of photos with the same best label, or with the same labels for multi-label models."""
    if info.multi_label:
        return float(((found >= info.limits) == (expected >= info.limits)).all(axis=1).mean())
    return float((found.argmax(1) == expected.argmax(1)).mean())


def check_answers(precision: str, found: Array, expected: Array, *, uint8: bool, multi_label: bool = False) -> float:
    """Compares scores of an export, float32 [N, C], with the float model's.

    Returns:
      The largest difference of a probability.

    Raises:
      ModelError: they differ by more than the format explains.
    """
    if found.shape != expected.shape:
        raise ModelError(f"The exported model gives scores {list(found.shape)}, not {list(expected.shape)}.")
    apart = np.abs(found - expected)
    measured, allowed = float(apart.max()), (_HALF if precision == "half" else _SAME) + _STEP * uint8
    what = "a probability differs"
    if precision == "quantized":
        # Multi-label scores do not add up to 1, so the label with the largest difference counts.
        moved = apart.max(1) if multi_label else apart.sum(1) / 2
        measured, allowed = float(moved.mean()), _BROKEN
        what = "on average, probability is placed elsewhere"
    if not measured <= allowed:  # NaN counts as a difference
        raise ModelError(
            f"The exported model does not answer as the float model: {what} by {measured:.4f}, allowed "
            f"{allowed:.4f}. It was not kept; please report this."
        )
    return float(apart.max())


def _names(
    formats: str | Sequence[str], io: str | None, *, half: bool = False, int8: bool = False, opset: int | None = None
) -> list[str]:
    """Returns the requested formats, each once; raises errors early, before any work."""
    if io is not None and io not in litert.IO_TYPES:
        raise DataError(f"`io={io!r}`: choose one of {', '.join(litert.IO_TYPES)}.")
    if half and int8:
        raise DataError("`half=True` and `int8=True` ask for different files. Leave one out.")
    if opset is not None and opset not in OPSETS:
        raise DataError(f"`opset={opset}`: give {OPSETS[0]} to {OPSETS[-1]}.")
    asked = [formats] if isinstance(formats, str) else list(formats)
    if asked == [ALL] and not half and not int8:
        return list(EXPORTERS)
    asked = [format_names.resolve(name, tuple(EXPORTERS), half=half, int8=int8) for name in asked]
    if opset is not None and "onnx" not in asked:
        raise DataError(f"`opset={opset}` belongs to `formats='onnx'`. Leave it out.")
    for name in asked:
        extras.require(*EXPORTERS[name].modules, what=f"`formats={name!r}`", error=ModelError)
    if not asked:
        raise DataError(f"`formats` is empty: choose from {', '.join(EXPORTERS)}, or {ALL}.")
    return list(dict.fromkeys(asked))


def _unscored(write: Callable[..., Path]) -> Callable[..., tuple[Path, None]]:
    return lambda *arguments, **named: (write(*arguments, **named), None)


def _tflite(kind: str) -> Exporter:
    return Exporter(
        _unscored(functools.partial(litert.tflite, kind=kind)),
        "RGB; labels and normalization are inside the file as TFLite metadata.",
        export_card.TFLITE,
        io="uint8" if kind == "int8" else "float32",
        precision={"none": "float", "float16": "half"}.get(kind, "quantized"),
    )


def _through_tensorflow(kind: str, contract: str, usage: str, *modules: str, **more: Any) -> Exporter:
    write = functools.partial(tensorflow_formats.write, kind=kind)
    return Exporter(write, contract, usage, ("tensorflow", *modules), **more)


_PIXELS = "RGB pixels from 0 to 255, float32; normalization is inside the model."

EXPORTERS = {
    **{f"tflite-{'float32' if kind == 'none' else kind}": _tflite(kind) for kind in quantize.FORMATS},
    "saved_model": _through_tensorflow("saved_model", _PIXELS, export_card.SAVED_MODEL),
    "keras": _through_tensorflow("keras", _PIXELS, export_card.KERAS),
    "onnx": _through_tensorflow("onnx", _PIXELS, export_card.ONNX, "onnx", "tf2onnx", "onnxruntime"),
    "openvino": Exporter(_unscored(openvino_ir.write), _PIXELS, export_card.OPENVINO, ("openvino",)),
    "tfjs": _through_tensorflow("tfjs", _PIXELS, export_card.TFJS),
    "c_header": Exporter(
        _unscored(litert.c_header),
        "RGB; int8 is the pixel less 128, uint8 the pixel. `model.h` lists the operators for a resolver.",
        export_card.C,
        io="int8",
        precision="quantized",
    ),
    "edgetpu": Exporter(
        _unscored(litert.edgetpu),
        "RGB pixels; uint8 as they are, int8 less 128.",
        export_card.EDGE_TPU,
        io="uint8",
        precision="quantized",
        note="not run on an Edge TPU",
    ),
    "coreml": _through_tensorflow(
        "coreml",
        "an RGB picture (`CVPixelBuffer`); normalization is inside the model.",
        export_card.CORE_ML,
        "coremltools",
        precision=UNKNOWN,
        note="not run here, for Core ML runs on Apple's systems only",
    ),
}
