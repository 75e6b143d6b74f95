"""The output folder of `train`: names of its files, recognition, reading and writing."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MODEL = "model.tflite"
FLOAT_MODEL = "float.tflite"
LABELS = "labels.txt"
METRICS = "metrics.json"
RUN = "run.json"
SPLIT = "split.json"
CARD = "README.md"
REPORT = "report.html"
# Beside an export without metadata, of a model that gives several labels.
MULTI_LABEL = "multi_label.json"
# In a folder that `split_model` made.
BACKBONE = "backbone.tflite"
HEAD = "head.json"


def home(model: str | os.PathLike[str]) -> Path:
    """Returns the folder of a model that `train` made, given that folder or the file in it."""
    return Path(model) if Path(model).is_dir() else Path(model).parent


def is_own_model(model: str | os.PathLike[str]) -> bool:
    """Whether a path is the file that `train` wrote, and not an export beside it."""
    return Path(model).is_dir() or Path(model).name == MODEL


def write(folder: Path, content: Mapping[str, bytes | str]) -> None:
    """Writes files to a new folder; text as UTF-8 with LF."""
    for name, body in content.items():
        if isinstance(body, bytes):
            (folder / name).write_bytes(body)
        else:
            # File names may contain bytes that are not text; JSON uses the same escape for them.
            (folder / name).write_text(body, encoding="utf-8", errors="backslashreplace", newline="\n")


def as_json(content: Mapping[str, Any]) -> str:
    """Returns a JSON document in the format of the folder's files."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
