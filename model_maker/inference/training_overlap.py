"""Which photos a model learned from: accuracy on those flatters it.

`train` writes the beginnings of the photos' hashes beside a model, by part. A file that was copied elsewhere still
states the fingerprint of its data and how these were divided, which suffices where all of them are evaluated.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from model_maker import evaluation
from model_maker.data import sources
from model_maker.data.dataset import Dataset, Sample, Split
from model_maker.errors import DataError
from model_maker.evaluation import LearnedFrom
from model_maker.output_folder import RUN, SPLIT
from model_maker.system import files

Array = np.ndarray[Any, Any]

# Hexadecimal digits of each hash that are kept: among a million photos, two share them once in 30 million times.
DIGITS = 16


def compose(split: Split, fingerprint: str) -> str:
    """Returns the content of `split.json`."""
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    listed = {name: sorted({sample.digest[:DIGITS] for sample in part.samples}) for name, part in parts.items()}
    return json.dumps({"fingerprint": fingerprint, **listed}, indent=1) + "\n"


def judge(
    samples: Sequence[Sample],
    labels: Array,
    scores: Array,
    *,
    classes: tuple[str, ...],
    provenance: dict[str, Any] | None,
    folder: Path | None,
) -> LearnedFrom | None:
    """Tells of scored photos how many the model learned from, and its accuracy on the others.

    Args:
      samples: N photos.
      labels: int [N], indices into the classes; or bool [N, C], for which no accuracy is computed.
      scores: float32 [N, C].
      classes: the model's.
      provenance: what the model says of its making.
      folder: where it lies; None for a file in memory.

    Returns:
      None where it learned from none of them, or was not made by `train`.
    """
    provenance = _of_training(provenance)
    fingerprint = provenance.get("fingerprint")
    learned = _beside(folder, fingerprint) if folder else None
    if learned is None and not isinstance(fingerprint, str):
        return None
    several = labels.ndim == 2
    if learned is None and fingerprint and not several:
        named = tuple(
            Sample(sample.path, int(label), sample.digest, sample.part)
            for sample, label in zip(samples, labels, strict=True)
        )
        learned = _divided(Dataset(named, classes), fingerprint, provenance)
    if learned is None and fingerprint and folder and not several:
        learned = _found_again(folder, fingerprint)
    if learned is None:
        return LearnedFrom(None)
    seen = np.array([sample.digest[:DIGITS] in learned for sample in samples], bool)
    if not seen.any():
        return None
    if seen.all():
        return LearnedFrom(len(samples))
    others = int((~seen).sum())
    if several:
        return LearnedFrom(int(seen.sum()), others)
    right = int((scores[~seen].argmax(axis=1) == labels[~seen]).sum())
    return LearnedFrom(int(seen.sum()), others, right / others, evaluation.wilson(right, others))


def _of_training(provenance: dict[str, Any] | None) -> dict[str, Any]:
    """Returns what `train` wrote; an export holds it one level further in."""
    found = provenance or {}
    while isinstance(found.get("from"), dict):
        found = found["from"]
    return found


def keep(folder: Path, output: Path, *, more: Sequence[Any] = ()) -> None:
    """Copies SPLIT from the folder of a model to that of its exports; these learned from `more` photos, too."""
    if not more:
        if (folder / SPLIT).is_file():
            shutil.copyfile(folder / SPLIT, output / SPLIT)
        return
    try:
        content = json.loads((folder / SPLIT).read_text(encoding="utf-8"))
        content["train"] = sorted({*content["train"], *(_digest(photo)[:DIGITS] for photo in more)})
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return  # without the others, a list of these alone would say that it learned from no others
    (output / SPLIT).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8", newline="\n")


def _digest(photo: Any) -> str:
    return hashlib.sha256(files.read_regular(photo)).hexdigest()


def _beside(folder: Path, fingerprint: str | None) -> set[str] | None:
    """Reads SPLIT beside a model, or beside the folder of an export; formats without a fingerprint take any."""
    for place in (folder, folder.parent):
        try:
            content = json.loads((place / SPLIT).read_text(encoding="utf-8"))
            if fingerprint in (None, content["fingerprint"]):
                return {str(digest) for part in ("train", "validation") for digest in content[part]}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue  # what is not there, or not as `train` wrote it, tells nothing
    return None


def learned_beside(folder: Path) -> set[str] | None:
    """Returns the beginnings of the hashes of the photos that the model in a folder learned from; None if unknown."""
    return _beside(folder, None)


def _divided(dataset: Dataset, fingerprint: str, record: dict[str, Any]) -> set[str] | None:
    """Splits the dataset again, if they are all that it was trained on."""
    if dataset.fingerprint != fingerprint:
        return None
    try:
        options = record["options"]
        return _learned(dataset.split(validation=options["validation"], test=options["test"], seed=options["seed"]))
    except (DataError, KeyError, TypeError):
        return None


def _found_again(folder: Path, fingerprint: str) -> set[str] | None:
    """Reads the photos that a folder of an earlier version names."""
    try:
        record = json.loads((folder / RUN).read_text(encoding="utf-8"))
        if record["fingerprint"] != fingerprint:
            return None
        dataset, unusable = sources.read(record["data"]), {entry["path"] for entry in record["skipped"]}
        usable = tuple(sample for sample in dataset.samples if str(sample.path) not in unusable)
        return _divided(replace(dataset, samples=usable), fingerprint, record)
    except (DataError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _learned(split: Split) -> set[str]:
    return {sample.digest[:DIGITS] for part in (split.train, split.validation) for sample in part.samples}
