"""run.json: everything that a run was told, ran on, passed over and took."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
from collections import Counter
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
from model_maker.system import files
from model_maker.version import __version__

_PACKAGES = ("ai-edge-litert", "litert-quantizer", "numpy", "pillow", "tensorflow", "keras")


def compose(
    data: str | os.PathLike[str], options: Any, dataset: Dataset, split: Split, progress: Progress
) -> dict[str, Any]:
    """Gathers the record of a run; `options` is a dataclass. Plain JSON types."""
    counts = Counter(dataset.labels)
    return {
        "model_maker": __version__,
        "data": str(object_stores.place(data).resolve()),
        "options": dataclasses.asdict(options),
        "fingerprint": dataset.fingerprint,
        "classes": {name: counts[label] for label, name in enumerate(dataset.classes)},
        "photos": {part: len(getattr(split, part)) for part in ("train", "validation", "test")},
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
    """Names a photo as a later listing of the recorded data does, from whatever folder that is asked for."""
    if "://" in photo:
        return photo
    for home in (data, data.parent):  # photos lie in the data, or beside it as those of a manifest
        if Path(photo).is_relative_to(home):  # so is what lies in ".", which it is named without
            return str(home.resolve() / Path(photo).relative_to(home))
    return photo


def without_skipped(dataset: Dataset, record: dict[str, Any]) -> Dataset:
    """Returns the photos but for those that the run could not use.

    Raises:
      KeyError, TypeError: the record does not list them as `compose` does.
    """
    unusable = {entry["path"] for entry in record.get("skipped", [])}
    kept = tuple(sample for sample in dataset.samples if str(sample.path) not in unusable)
    return dataclasses.replace(dataset, samples=kept)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a record.

    Args:
      path: `run.json` or the folder that holds it.

    Raises:
      DataError: there is none, or it is not one.
    """
    file = Path(path)
    try:
        file = file / RUN if file.is_dir() else file
        record = json.loads(files.read_regular(file))
        for key, kind in (("options", dict), ("data", str), ("fingerprint", str)):
            if not isinstance(record[key], kind):
                raise TypeError(key)
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}. Give the run.json of a folder that `train` made.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{file} is not the run.json of a training run.") from error
    return record


def photos_for(model: str | os.PathLike[str], data: str | os.PathLike[str] | None) -> tuple[Dataset, list[str]]:
    """Finds the photos that a model is to be judged on, and notes.

    Args:
      model: see `parts`.
      data: labelled photos, of which a stated test part alone counts; None for those that it was tested on.

    Raises:
      ModelError, DataError: see `parts`.
    """
    return test_part(model) if data is None else sources.read_to_judge(data)


def is_own_test(model: str | os.PathLike[str], data: str | os.PathLike[str] | None) -> bool:
    """Whether the photos of `photos_for` are those that the very file of `train` was tested on."""
    return data is None and output_folder.is_own_model(model)


def test_part(model: str | os.PathLike[str]) -> tuple[Dataset, list[str]]:
    """Finds again the photos that a model was tested on; see `parts`."""
    split, notes = parts(model)
    return split.test, notes


def parts(model: str | os.PathLike[str]) -> tuple[Split, list[str]]:
    """Finds again the photos that a model was trained and tested on.

    Args:
      model: a folder that `train` made, or the `.tflite` in it.

    Returns:
      The parts of the data it was trained on, and notes if the data has changed since.

    Raises:
      ModelError: nothing beside the model says what it was trained on.
      DataError: the photos are gone.
    """
    folder = output_folder.home(model)
    if not (folder / RUN).exists():
        raise ModelError(f"{model} has no {RUN} beside it that names its photos. Pass `data=DIR`.")
    record = load(folder)
    if not object_stores.place(record["data"]).exists():
        raise DataError(f"The photos that {model} was trained on are no longer in {record['data']}. Pass `data=DIR`.")
    dataset = sources.read(record["data"])
    options = record["options"]
    try:
        dataset = without_skipped(dataset, record)
        split = dataset.split(validation=options["validation"], test=options["test"], seed=options["seed"])
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder / RUN} lacks the options that divided its photos. Pass `data=DIR`.") from error
    notes = []
    if dataset.fingerprint != record["fingerprint"]:
        notes.append(f"The photos in {record['data']} have changed since training; the test part may hold new ones.")
    return split, notes
