"""`ImageClassifier.export`: formats of `exporters.export`, with file names chosen by the caller."""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from model_maker.compat.config import ExportFormat, QuantizationConfig
from model_maker.errors import DataError, ModelError, OutputError
from model_maker.exporters import export
from model_maker.output_folder import MODEL
from model_maker.packaging import quantized_file
from model_maker.packaging.export_source import ExportSource
from model_maker.packaging.quantized_file import Form
from model_maker.system import extras, files

DEFAULT = "default"
DEFAULT_FORMATS = (ExportFormat.TFLITE, ExportFormat.LABEL)
ALLOWED_FORMATS = (ExportFormat.TFLITE, ExportFormat.LABEL, ExportFormat.SAVED_MODEL, ExportFormat.TFJS)
# The file by which the folder of a format is recognized.
_MARKS = {"saved_model": "saved_model.pb", "tfjs": "model.json"}


def formats(stated: ExportFormat | Sequence[ExportFormat] | None) -> tuple[ExportFormat, ...]:
    """Returns the formats to write: those passed, one or several, else a `.tflite`.

    Raises:
      DataError: one of them is not among ALLOWED_FORMATS.
      ModelError: one of them needs a package that is not installed.
    """
    found = tuple(stated) if isinstance(stated, list | tuple) else (stated or ExportFormat.TFLITE,)
    for entry in found:
        if entry not in ALLOWED_FORMATS:
            names = ", ".join(allowed.name for allowed in ALLOWED_FORMATS)
            raise DataError(f"export_format {getattr(entry, 'name', entry)}: choose from ExportFormat.{names}.")
    for entry in found:
        if (name := entry.name.lower()) in _MARKS:
            extras.require(*export.EXPORTERS[name].modules, what=f"ExportFormat.{entry.name}", error=ModelError)
    return found


def write(
    source: ExportSource,
    labels: Sequence[str],
    paths: Mapping[ExportFormat, Path],
    config: QuantizationConfig | str | None,
) -> None:
    """Writes a model in several formats, each to its path.

    Raises:
      DataError, ModelError, OutputError: see `write_tflite` and `write_folder`.
    """
    for kind, path in paths.items():
        if kind is ExportFormat.TFLITE:
            write_tflite(source, path, config)
        elif kind is ExportFormat.LABEL:
            files.write(path, "\n".join(labels).encode())
        else:
            write_folder(kind.name.lower(), source, path)


def write_tflite(source: ExportSource, path: Path, config: QuantizationConfig | str | None) -> None:
    """Writes a `.tflite` after comparing it with the float model.

    Args:
      config: quantization; None for float, DEFAULT for int8 with uint8 input and output.

    Raises:
      DataError: the config is invalid, or its photos cannot be read.
      ModelError, OutputError: it cannot be converted or written.
    """
    if config == DEFAULT:
        form = Form()
    elif config is None:
        form = Form("none", "float32")
    elif isinstance(config, QuantizationConfig):
        form = config.form
        if (data := config.representative_data) is not None:
            count = min(config.quantization_steps or 1, quantized_file.CALIBRATION_PHOTOS)
            source = dataclasses.replace(source, photos=quantized_file.by_hash(data.photos)[:count], int8=None)
    else:
        raise DataError(f"quantization_config {config!r}: pass a QuantizationConfig, or None for no quantization.")
    name = f"tflite-{'float32' if form.quantize == 'none' else form.quantize}"
    with files.temporary_directory() as aside:
        export.export_one(name, source, aside / name, form.io)
        files.write(path, (aside / name / MODEL).read_bytes())


def write_folder(name: str, source: ExportSource, folder: Path) -> None:
    """Writes a folder format after comparing it with the float model.

    Args:
      name: a key of _MARKS.
      folder: output folder; only a model of the same format is replaced.

    Raises:
      ModelError, OutputError: it cannot be converted or written.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARKS[name]).exists():
        raise OutputError(f"{folder} is not a {name} and is not replaced. Choose another name.")
    with files.new_directory(folder, overwrite=True) as aside, files.temporary_directory() as made:
        export.export_one(name, source, made / name)
        shutil.copytree(made / name, aside, dirs_exist_ok=True)
