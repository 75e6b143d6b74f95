"""What a training gave, for the page: accuracy in words, confusions, mistakes; kept beside the photos for a reload."""

from pathlib import Path
from typing import Any

import numpy as np

from model_maker import output_folder
from model_maker.data.skipped_files import counted
from model_maker.errors import DataError
from model_maker.evaluation import Metrics
from model_maker.inference import training_report
from model_maker.inference.training_report import TrainingReport
from model_maker.studio import kept_work
from model_maker.studio.workspace import Workspace
from model_maker.system import files
from model_maker.training.result import Result

MOST_MISTAKES = 24
_MOST_CONFUSIONS = 8
_FILE = "result.json"
# Test photos below which an interval says little.
_FEW = 30


def compose(result: Result, notes: list[str]) -> dict[str, Any]:
    """Returns what the page shows of a training, as plain JSON types; photos by the hashes of their content."""
    scored = result.scored
    shown = _of_test(result.metrics, result.measured.sizes.model_bytes)
    labels = shown["labels"]
    best, top = scored.scores.argmax(axis=1), scored.scores.max(axis=1)
    wrong = np.flatnonzero(best != scored.labels)
    mistakes = [
        {
            "digest": scored.samples[index].digest,
            "true": labels[scored.labels[index]],
            "answer": labels[best[index]],
            "score": round(float(top[index]), 4),
        }
        for index in wrong[np.argsort(-top[wrong], kind="stable")]
    ]
    return shown | {
        "mistakes": mistakes[:MOST_MISTAKES],
        "wrong": len(mistakes),
        "answers": [
            [round(float(score), 4), bool(right)] for score, right in zip(top, best == scored.labels, strict=True)
        ],
        "seconds": round(result.seconds, 1),
        "notes": notes,
    }


def words(top1: float, interval: tuple[float, float], photos: int) -> str:
    """Says an accuracy so that nobody takes it for more than it is."""
    right = round(top1 * photos)
    low, high = (round(100 * share) for share in interval)
    text = (
        f"{right} of {counted(photos, 'photo')} that it has never seen {'is' if right == 1 else 'are'} correct. On new "
        f"photos like these, expect {low} to {high} in 100."
    )
    if photos < _FEW:
        text += " That is a wide span because there are few test photos: add more for a surer figure."
    return text


def confusions(labels: list[str], counts: list[list[int]]) -> list[dict[str, Any]]:
    """Returns which classes are taken for which others, the most frequent first."""
    found = [
        (count, row, column)
        for row, line in enumerate(counts)
        for column, count in enumerate(line)
        if count and row != column
    ]
    found.sort(key=lambda entry: (-entry[0], entry[1:]))
    return [
        {"true": labels[row], "answer": labels[column], "count": count, "of": sum(counts[row])}
        for count, row, column in found[:_MOST_CONFUSIONS]
    ]


def keep(workspace: Workspace, result: dict[str, Any]) -> None:
    """Writes a result down, with the hash of the model that it is of."""
    kept_work.write(workspace.side / _FILE, {"sha256": _model_hash(workspace.model)} | result)


def kept(workspace: Workspace) -> dict[str, Any] | None:
    """Returns the result of the model that stands beside the photos; None where there is no model, or another's.

    A model that `train` has made meanwhile has a result without mistakes.
    """
    digest = _model_hash(workspace.model)
    if not digest:
        return None
    found = kept_work.read(workspace.side / _FILE)
    if found and found.get("sha256") == digest:
        return found
    try:
        report = training_report.read(workspace.model, TrainingReport)
    except DataError:
        return None
    return {"sha256": digest, "foreign": True} | _of_test(report.test, report.sizes.model_bytes)


def is_of_studio(workspace: Workspace) -> bool:
    """Tells whether the model that stands beside the photos is the last one that was made here."""
    found = kept_work.read(workspace.side / _FILE)
    return found is not None and found.get("sha256") == _model_hash(workspace.model)


def _of_test(test: Metrics, model_bytes: int) -> dict[str, Any]:
    """Returns what metrics alone say of a training."""
    labels = [entry.label for entry in test.per_class]
    return {
        "labels": labels,
        "words": words(test.top1, test.top1_interval, test.photos),
        "top1": test.top1,
        "interval": list(test.top1_interval),
        "photos": test.photos,
        "confusions": confusions(labels, test.confusion.tolist()),
        "mistakes": [],
        "wrong": round((1 - test.top1) * test.photos),
        "answers": [],
        "seconds": None,
        "size_bytes": model_bytes,
        "notes": [],
    }


def _model_hash(folder: Path) -> str:
    try:
        return files.sha256(folder / output_folder.MODEL)
    except OSError:
        return ""
