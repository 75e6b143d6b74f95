"""run.json: options, environment, skipped files, time and memory of a run."""

import contextlib
import dataclasses
import json
import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from model_maker import output_folder
from model_maker.data import object_stores, sources
from model_maker.data.dataset import Dataset, Split
from model_maker.data.streaming import cores
from model_maker.errors import DataError, ModelError
from model_maker.output_folder import RUN
from model_maker.progress import Progress
from model_maker.system import dates, files
from model_maker.version import __version__

_PACKAGES = ("ai-edge-litert", "litert-quantizer", "numpy", "pillow", "tensorflow", "keras")


def compose(
    data: str | os.PathLike[str], options: Any, dataset: Dataset, split: Split, progress: Progress
) -> dict[str, Any]:
    """Returns the record of a run in plain JSON types; `options` is a dataclass."""
    return {
        "model_maker": __version__,
        "created": dates.now(),
        "data": str(object_stores.place(data).resolve()),
        "options": dataclasses.asdict(options),
        "fingerprint": dataset.fingerprint,
        "classes": dict(zip(dataset.classes, dataset.counts, strict=True)),
        "photos": split.counts,
        "notes": progress.notes,
        "skipped": [{"path": _absolute(str(bad.path), Path(data)), "reason": bad.reason} for bad in dataset.skipped],
        "stages": progress.records,
        "seconds": round(progress.seconds, 3),
        "versions": {"python": platform.python_version()} | versions(_PACKAGES),
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": cores()},
    }


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Returns the versions of those packages that are installed, by name."""
    found = {}
    for name in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):  # TensorFlow is an extra
            found[name] = metadata.version(name)
    return found


def _absolute(photo: str, data: Path) -> str:
    """Returns the path of a photo in the form of a later listing, independent of the current folder."""
    if "://" in photo:
        return photo
    for home in (data, data.parent):  # photos are inside the dataset, or beside it with a manifest
        if Path(photo).is_relative_to(home):  # also for ".", which is not part of the path
            return str(home.resolve() / Path(photo).relative_to(home))
    return photo


def without_skipped(dataset: Dataset, record: dict[str, Any]) -> Dataset:
    """Returns the photos without those that the run could not use, or was to forget.

    Raises:
      KeyError, TypeError: the record does not list them in the format of `compose`.
    """
    unusable = {entry["path"] for entry in record.get("skipped", [])}
    kept = tuple(sample for sample in dataset.samples if str(sample.path) not in unusable)
    return dataclasses.replace(dataset, samples=kept).without_contents(record.get("forgotten", ()))


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a record: `run.json`, or the folder that holds it.

    Raises:
      DataError: it is missing or invalid.
    """
    file = Path(path)
    try:
        file = file / RUN if file.is_dir() else file
        record = json.loads(files.read_regular(file))
        for key, kind in (("options", dict), ("data", str), ("fingerprint", str)):
            if not isinstance(record[key], kind):
                raise TypeError(key)
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}. Pass the run.json of a folder that `train` made.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{file} is not the run.json of a training run.") from error
    return record


def photos_for(
    model: str | os.PathLike[str], data: str | os.PathLike[str] | None, *, multi_label: bool = False
) -> tuple[Dataset, list[str]]:
    """Returns the photos for evaluating a model, and notes: of labeled photos the test split if there is one.

    Without `data` they are the test photos of the model.

    Raises:
      ModelError, DataError: see `parts`.
    """
    return test_part(model) if data is None else sources.read_to_judge(data, multi_label=multi_label)


def is_own_test(model: str | os.PathLike[str], data: str | os.PathLike[str] | None) -> bool:
    """Whether the photos of `photos_for` are the test photos of `train`, and the model is its file."""
    return data is None and output_folder.is_own_model(model)


def test_part(model: str | os.PathLike[str]) -> tuple[Dataset, list[str]]:
    """Returns the test photos of a model; see `parts`."""
    split, notes = parts(model)
    return split.test, notes


def parts(model: str | os.PathLike[str]) -> tuple[Split, list[str]]:
    """Returns the training, validation and test photos of a model.

    Args:
      model: a folder that `train` made, or the `.tflite` in it.

    Returns:
      The splits of its dataset, and notes if the dataset has changed since.

    Raises:
      ModelError: no record beside the model names its photos.
      DataError: the photos are missing.
    """
    folder = output_folder.home(model)
    if not (folder / RUN).exists():
        raise ModelError(f"{model} has no {RUN} beside it that names its photos. Pass `data=DIR`.")
    record = load(folder)
    if not object_stores.place(record["data"]).exists():
        raise DataError(f"The photos that {model} was trained on are no longer in {record['data']}. Pass `data=DIR`.")
    options = record["options"]
    dataset = sources.read(record["data"], multi_label=options.get("multi_label") is True)
    try:
        dataset = without_skipped(dataset, record)
        split = dataset.split(validation=options["validation"], test=options["test"], seed=options["seed"])
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder / RUN} lacks the options of its split. Pass `data=DIR`.") from error
    notes = []
    if dataset.fingerprint != record["fingerprint"]:
        notes.append(f"The photos in {record['data']} have changed since training; the test split may have new ones.")
    return split, notes
