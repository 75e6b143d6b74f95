"""The output folder of editing classes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_maker import output_folder
from model_maker.errors import OutputError
from model_maker.inference import training_overlap
from model_maker.output_folder import CARD, LABELS, MODEL
from model_maker.report import model_card
from model_maker.system import files

RECORD = "classes.json"
COMBINED = "combined.json"


def check_new(output: Path, model: Path, *, overwrite: bool, record: str = RECORD) -> None:
    """Checks before any work that the folder can be created; only a folder with this `record` is replaced.

    Raises:
      OutputError: it cannot.
    """
    files.check_new(output, overwrite=overwrite, advice="or pass `overwrite=True` to replace it")
    if model.resolve().is_relative_to(output.resolve()):
        raise OutputError(f"{output} holds the model itself and cannot be replaced. Choose another folder.")
    if output.is_dir() and any(output.iterdir()) and not (output / record).exists():
        raise OutputError(
            f"{output} holds no {record}, so it was not made by this command and `overwrite=True` does not replace it. "
            "Choose another folder."
        )


def write(
    output: Path, model: Path, content: bytes, record: dict[str, Any], learned: Sequence[Any], *, overwrite: bool
) -> None:
    """Writes the folder atomically.

    Args:
      record: edits and results, written as `classes.json`.
      learned: additional training photos.

    Raises:
      OutputError: it cannot be written.
    """
    texts = {
        LABELS: "\n".join(record["labels"]),
        RECORD: output_folder.as_json(record | {"sha256": hashlib.sha256(content).hexdigest()}),
        CARD: model_card.render_edited(record, name=output.name, size_bytes=len(content)),
    }
    with files.new_directory(output, overwrite=overwrite) as folder:
        output_folder.write(folder, {MODEL: content, **texts})
        training_overlap.keep(model.parent, folder, more=learned)
