"""What comes of a training, for download: each file and what it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model_maker import output_folder
from model_maker.errors import DataError
from model_maker.studio.workspace import Workspace

# Of the model folder: title and purpose, by name.
FILES = {
    output_folder.MODEL: ("Model", "The model for phones, with labels and preprocessing inside."),
    output_folder.LABELS: ("Labels", "The classes in the order of the scores, for apps that read them from a file."),
    output_folder.REPORT: ("Report", "What was measured, with figures and mistakes, as one page."),
    output_folder.CARD: ("Model card", "What the model is for and how well it does, in Markdown."),
    output_folder.FLOAT_MODEL: ("Float model", "The same before quantization, for processors without int8."),
    output_folder.METRICS: ("Metrics", "All figures as JSON."),
}


def shipped(workspace: Workspace) -> list[dict[str, Any]]:
    """Returns what there is to download."""
    return [
        {"name": name, "title": title, "what": what}
        for name, (title, what) in FILES.items()
        if (workspace.model / name).is_file()
    ]


def path(workspace: Workspace, name: str) -> Path:
    """Returns the file of a name that `shipped` gives.

    Raises:
      DataError: there is none.
    """
    if name not in FILES or not (workspace.model / name).is_file():
        raise DataError("There is no such file: train first.")
    return workspace.model / name
