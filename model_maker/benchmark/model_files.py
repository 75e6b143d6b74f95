"""Finds the models to measure and reads their properties."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model_maker.errors import DataError, ModelMakerError
from model_maker.output_folder import MODEL, RUN

if TYPE_CHECKING:
    from model_maker.benchmark.results import Model, Row

# An output folder of `train` contains both.
_TRAINED = (MODEL, RUN)
# Deep enough for usual layouts, and shallow enough not to search a whole home directory.
_DEPTH = 4


def newest_model(folder: Path) -> Path:
    """Finds the newest model written by `train` in a folder or up to four levels below it.

    Raises:
      DataError: there is none.
    """
    found = []
    for current, folders, names in os.walk(folder):
        depth = len(Path(current).relative_to(folder).parts)
        folders[:] = [name for name in folders if not name.startswith(".") and depth < _DEPTH]
        if all(name in names for name in _TRAINED):
            found.append(Path(current, _TRAINED[0]).relative_to(folder))
    if not found:
        raise DataError("No model below this folder that `train` made. Pass a .tflite file: benchmark MODEL")
    return max(found, key=lambda path: ((folder / path).stat().st_mtime, str(path)))


def find(given: Sequence[str], *, announce: Callable[[str], None]) -> list[Path]:
    """Returns the files; a folder is replaced by its model. Missing files are reported later."""
    if not given:
        newest = newest_model(Path.cwd())
        announce(f"Measuring {newest}, the newest model below this folder.")
        return [newest]
    return [Path(name) / _TRAINED[0] if Path(name).is_dir() else Path(name) for name in dict.fromkeys(given)]


def describe(paths: Sequence[Path]) -> tuple[list[Model], list[Row]]:
    """Reads the properties of each file.

    Returns:
      The models, and for each invalid file a row with the reason.

    Raises:
      ModelMakerError: none of them is a model.
    """
    from model_maker.benchmark.results import Model, Row, name_models
    from model_maker.tflite import inspection, vetting

    models: list[Model] = []
    refused: list[Row] = []
    for path, name in zip(paths, name_models([str(path) for path in paths]), strict=True):
        try:
            content = vetting.read(path)
            facts = inspection.inspect(content)
        except ModelMakerError as error:
            refused.append(Row(str(path), "-", None, reason=str(error)))
            continue
        digest = hashlib.sha256(content).hexdigest()
        values = (digest, facts.size_bytes, facts.macs, facts.parameters, facts.quantization)
        models.append(Model(str(path), name, *values))
    if not models:
        raise ModelMakerError("\n".join(row.reason for row in refused))
    return models, refused
