"""What `train` checks and opens before the long work."""

from __future__ import annotations

import os
from pathlib import Path

from model_maker.data import sources
from model_maker.data.dataset import Dataset
from model_maker.errors import DataError, OutputError
from model_maker.learning import checkpoint
from model_maker.learning.callbacks import Callbacks
from model_maker.learning.checkpoint import Checkpoint
from model_maker.options import Options
from model_maker.progress import Progress
from model_maker.system import extras
from model_maker.version import __version__

# Options that say how the file ships, not what is learned.
_OF_THE_FILE = (
    "quantize",
    "io",
    "max_drop",
    "threads",
    "name",
    "author",
    "licence",
    "folds",
    "precision",
    "label_precision",
)


def check_fine_tuning(options: Options, callbacks: Callbacks, *, resume: bool) -> None:
    """Checks that what belongs to fine-tuning is asked for with it, and that its logs can be written.

    Raises:
      DataError: it is not, or they cannot.
    """
    if options.fine_tune is not None:
        if callbacks.tensorboard is not None:  # TensorFlow 2.21 is installed without it
            extras.require("tensorboard", what="`tensorboard`", error=DataError)
        return
    if resume:
        raise DataError(
            "`resume=True` goes on with fine-tuning; training without it has nothing to resume. Leave it out."
        )
    for name, given in (("`tensorboard`", callbacks.tensorboard is not None), ("callbacks", bool(callbacks.keras))):
        if given:
            raise DataError(f"{name} follows the epochs of fine-tuning, and there are none: add `fine_tune='tail'`.")


def spare_photos(dataset: Dataset, data: str | os.PathLike[str], output: Path) -> None:
    """Checks that no photo is replaced by the output, and that its plots are no photos of the next run.

    Raises:
      OutputError: the output holds photos, or lies in the data.
    """
    target = output.resolve()
    for place in sources.places(dataset, data):
        if place.resolve().is_relative_to(target):
            raise OutputError(f"{output} holds photos to learn from and cannot be replaced. Choose another folder.")
    for home in sources.homes(data):
        if home.is_dir() and target.is_relative_to(home.resolve()):
            raise OutputError(
                f"{output} lies in the data, {home}, where its plots would be read as a class. Choose a folder outside "
                "of it with `output`."
            )


def open_checkpoint(
    output: Path, dataset: Dataset, options: Options, progress: Progress, *, resume: bool
) -> Checkpoint | None:
    """Finds where fine-tuning keeps its state; None without one.

    Raises:
      DataError: the run to resume is another one.
    """
    if options.fine_tune is None:
        return None
    subject = {name: value for name, value in options.decisive.items() if name not in _OF_THE_FILE}
    subject |= {"photos": dataset.fingerprint[:16], "model_maker": __version__}
    found = checkpoint.open_checkpoint(output, subject, resume=resume)
    if found.path.exists() and not resume:
        progress.note(f"An unfinished fine-tuning of {output} is begun anew; `resume=True` would go on with it.")
    return found
