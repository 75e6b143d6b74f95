"""Checks of `train` before the long work."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from model_maker.data import given_photos, sources
from model_maker.data.dataset import Dataset
from model_maker.data.given_photos import Indexed
from model_maker.data.images import Photo
from model_maker.errors import DataError, OutputError
from model_maker.learning import checkpoint
from model_maker.learning.callbacks import Callbacks
from model_maker.learning.checkpoint import Checkpoint
from model_maker.options import Options
from model_maker.progress import Progress
from model_maker.system import extras
from model_maker.version import __version__

# Options of the shipped file that do not affect learning.
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
    "coverage",
    "self_test",
)


def kept_photos(
    data: str | os.PathLike[str] | Iterable[Any] | Indexed[Any] | None,
    *,
    images: Iterable[Photo] | None,
    labels: Iterable[Any] | None,
    class_names: Sequence[str] | None,
    multi_label: bool,
    progress: Progress,
) -> str | os.PathLike[str]:
    """Returns the dataset of `train`; saves in-memory photos to the cache first.

    Raises:
      DataError: it is not a dataset, or `class_names` is passed with files.
    """
    if images is not None or labels is not None or given_photos.is_given(data):
        with progress.stage("Keep the photos in the cache"):
            return given_photos.keep(
                data,
                images=images,
                labels=labels,
                class_names=class_names,
                multi_label=multi_label,
                progress=progress.step,
            )
    if class_names is not None:
        raise DataError("`class_names` is for in-memory photos. Leave it out.")
    if not isinstance(data, str | os.PathLike):
        raise DataError(f"{data!r} is not a dataset: pass a folder with one folder of photos for each class.")
    return data


def check_fine_tuning(options: Options, callbacks: Callbacks, *, resume: bool) -> None:
    """Raises a DataError if arguments of fine-tuning are used without it, or its logs cannot be written."""
    if options.fine_tune is not None:
        if callbacks.tensorboard is not None:  # TensorFlow 2.21 is installed without it
            extras.require("tensorboard", what="`tensorboard`", error=DataError)
        return
    if resume:
        raise DataError(
            "`resume=True` continues fine-tuning; without fine-tuning there is nothing to resume. Leave it out."
        )
    for name, given in (("`tensorboard`", callbacks.tensorboard is not None), ("callbacks", bool(callbacks.keras))):
        if given:
            raise DataError(f"{name} applies to the epochs of fine-tuning: add `fine_tune='tail'`.")


def check_output(dataset: Dataset, data: str | os.PathLike[str], output: Path) -> None:
    """Raises an OutputError if the output contains photos, or is inside the dataset."""
    target = output.resolve()
    for place in sources.places(dataset, data):
        if place.resolve().is_relative_to(target):
            raise OutputError(f"{output} contains photos of the dataset and cannot be replaced. Choose another folder.")
    for home in sources.homes(data):
        if home.is_dir() and target.is_relative_to(home.resolve()):
            raise OutputError(
                f"{output} is inside the dataset, {home}, where its plots would be read as a class. Choose a folder "
                "outside of it with `output`."
            )


def open_checkpoint(
    output: Path, dataset: Dataset, options: Options, progress: Progress, *, resume: bool
) -> Checkpoint | None:
    """Opens the checkpoint of fine-tuning; None without fine-tuning.

    Raises:
      DataError: the checkpoint belongs to a different run.
    """
    if options.fine_tune is None:
        return None
    subject = {name: value for name, value in options.decisive.items() if name not in _OF_THE_FILE}
    subject |= {"photos": dataset.fingerprint[:16], "model_maker": __version__}
    found = checkpoint.open_checkpoint(output, subject, resume=resume)
    if found.path.exists() and not resume:
        progress.note(f"Restarting the unfinished fine-tuning of {output}; `resume=True` would continue it.")
    return found
