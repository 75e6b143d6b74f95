"""The jobs that make and judge a model: training, and checking the photos."""

from typing import Any

from model_maker import options, output_folder
from model_maker.backbones.registry import BACKBONES, DEFAULT
from model_maker.errors import DataError, OutputError
from model_maker.progress import Progress
from model_maker.studio import training_results
from model_maker.studio.workspace import Workspace
from model_maker.training.train import train

# What the page offers of the options of `train`.
OFFERED = {
    "model": "Backbone",
    "quantize": "Quantization",
    "max_drop": "Points of accuracy that quantization may cost",
    "augment": "Augmentation",
    "fine_tune": "Fine-tuning, which takes minutes",
}


def offered() -> list[dict[str, Any]]:
    """Returns the options as a page shows them."""
    choices = {"model": [name for name in BACKBONES if name != DEFAULT]}
    declared = options.declarations()
    return [
        {
            "name": name,
            "label": label,
            "help": declared[name].help,
            "choices": choices.get(name) or (list(declared[name].values()) if declared[name].choices else None),
        }
        for name, label in OFFERED.items()
    ]


def chosen(given: dict[str, Any]) -> options.Options:
    """Reads the options that a page sends; what is left out is as in `train`.

    Raises:
      DataError: one of them is not offered, or means nothing.
    """
    if others := sorted(given.keys() - set(OFFERED)):
        raise DataError(f"{others[0]!r} is no option of the studio.")
    found = options.from_record({name: value for name, value in given.items() if value not in (None, "")})
    options.check(found)
    return found


def check_replaceable(workspace: Workspace, *, agreed: bool) -> None:
    """Raises an OutputError for a model that the studio has not made, unless somebody agrees to replace it."""
    folder = workspace.model
    if agreed or not (folder / output_folder.MODEL).exists():
        return
    if not training_results.is_of_studio(workspace):
        raise OutputError(f"{folder} holds a model that was not made here.")


def make_model(workspace: Workspace, wanted: options.Options, progress: Progress) -> None:
    """Trains on the photos as they are, exactly as `train` does, and keeps the result for reloads."""
    made = train(workspace.photos, workspace.model, overwrite=True, progress=progress, options=wanted)
    found = training_results.compose(made, list(progress.notes))
    training_results.keep(workspace, found)
