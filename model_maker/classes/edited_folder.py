"""The output folder of editing classes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_maker import output_folder
from model_maker.inference import training_overlap
from model_maker.output_folder import CARD, LABELS, MODEL
from model_maker.report import model_card
from model_maker.system import files

RECORD = "classes.json"
COMBINED = "combined.json"


def write(
    output: Path, model: Path, content: bytes, record: dict[str, Any], learned: Sequence[Any], *, overwrite: bool
) -> None:
    """Writes the folder atomically, with edits and results as `classes.json`, and the hashes of new training photos.

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
