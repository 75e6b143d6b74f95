"""Detects training photos in an evaluation: accuracy on them is too optimistic.

`train` writes truncated hashes of the photos next to a model, by split. A file copied elsewhere still contains the
fingerprint of its dataset and the parameters of the split, which is enough if the whole dataset is evaluated.
"""

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

# Hexadecimal digits kept of each hash: among a million photos, the probability of a collision is 1 in 30 million.
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
    """Counts the training photos among scored photos, and measures accuracy on the others.

    Args:
      samples: N photos.
      labels: int [N], indices into the classes; or bool [N, C], for which no accuracy is computed.
      scores: float32 [N, C].
      classes: labels of the model.
      folder: folder of the model; None for a file in memory.

    Returns:
      None if it was trained on none of them, or not by `train`.
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
    """Returns the provenance of training; exports nest it one level deeper."""
    found = provenance or {}
    while isinstance(found.get("from"), dict):
        found = found["from"]
    return found


def keep(folder: Path, output: Path, *, more: Sequence[Any] = ()) -> None:
    """Copies SPLIT from a model's folder to that of its exports, and adds `more` training photos."""
    if not more:
        if (folder / SPLIT).is_file():
            shutil.copyfile(folder / SPLIT, output / SPLIT)
        return
    try:
        content = json.loads((folder / SPLIT).read_text(encoding="utf-8"))
        added = (hashlib.sha256(files.read_regular(photo)).hexdigest() for photo in more)
        content["train"] = sorted({*content["train"], *(digest[:DIGITS] for digest in added)})
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return  # a list of only these would claim that there were no others
    (output / SPLIT).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8", newline="\n")


def _beside(folder: Path, fingerprint: str | None) -> set[str] | None:
    """Reads SPLIT next to a model, or next to the folder of an export; formats without a fingerprint accept any."""
    for place in (folder, folder.parent):
        try:
            content = json.loads((place / SPLIT).read_text(encoding="utf-8"))
            if fingerprint in (None, content["fingerprint"]):
                return {str(digest) for part in ("train", "validation") for digest in content[part]}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue  # missing or invalid, so no information
    return None


def learned_beside(folder: Path) -> set[str] | None:
    """Returns truncated hashes of the training photos of the model in a folder; None if unknown."""
    return _beside(folder, None)


def _divided(dataset: Dataset, fingerprint: str, record: dict[str, Any]) -> set[str] | None:
    """Repeats the split, if the dataset is the one used for training."""
    if dataset.fingerprint != fingerprint:
        return None
    try:
        options = record["options"]
        return _learned(dataset.split(validation=options["validation"], test=options["test"], seed=options["seed"]))
    except (DataError, KeyError, TypeError):
        return None


def _found_again(folder: Path, fingerprint: str) -> set[str] | None:
    """Reads the photos that are listed in an output folder of an earlier version."""
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
