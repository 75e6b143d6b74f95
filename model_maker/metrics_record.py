"""metrics.json: what was measured of a finished training, and what of it deserves a note."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from model_maker.data.dataset import Dataset, Split
from model_maker.inference import answering, evaluation
from model_maker.learning import head as heads
from model_maker.learning.finetune import Tuned
from model_maker.progress import Stages

Array = np.ndarray

_LOW_AGREEMENT = 0.98


def measure(
    dataset: Dataset, split: Split, scores: Array, expected: Array, fit: heads.Fit
) -> tuple[evaluation.Metrics, dict[str, Any]]:
    """Returns the metrics of the shipped file, and with them the body of metrics.json.

    Args:
      dataset, split: the photos.
      scores: float32 [N, C] of the test part, from the file.
      expected: the same from the float model.
      fit: how the head came about.
    """
    labels = np.array(split.test.labels)
    metrics = evaluation.measure(scores, labels, dataset.classes)
    return metrics, {
        "test": metrics.as_dict(),
        "float": evaluation.measure(expected, labels, dataset.classes).as_dict(),
        "agreement": dataclasses.asdict(evaluation.compare(expected, scores, labels)),
        "cross_validation": {"top1": fit.top1, "regularization": fit.regularization, "temperature": fit.temperature},
        "photos": {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)},
        "fingerprint": dataset.fingerprint,
    }


def tuning(tuned: Tuned, frozen: Array, expected: Array, labels: Array) -> dict[str, Any]:
    """Returns what fine-tuning brought, measured on the test part with float models, and how it went."""
    # Seconds differ from run to run, and this file must not.
    history = [{key: value for key, value in entry.items() if key != "seconds"} for entry in tuned.history]
    return {
        "frozen_top1": float((frozen.argmax(1) == labels).mean()),
        "against_frozen": dataclasses.asdict(evaluation.compare(frozen, expected, labels)),
        "blends": tuned.blends,
        "history": history,
    }


def thresholds(chosen: answering.Thresholds, scores: Array, test: Dataset) -> dict[str, Any]:
    """Returns the thresholds, and what they do on the test part, from the shipped file's scores, float32 [N, C]."""
    limits = answering.limits(test.classes, chosen.score, {"thresholds": chosen.as_dict()})
    everywhere = np.full(len(test.classes), chosen.score)
    found = {"test": limits, "test_score_only": everywhere}
    answered = {name: evaluation.answered(scores, np.array(test.labels), each) for name, each in found.items()}
    return chosen.as_dict() | {name: entry.as_dict() for name, entry in answered.items()}


def warn(report: dict[str, Any], clock: Stages) -> None:
    """Notes where the file answers otherwise than it should."""
    answers = {"its float model": report["agreement"]} | {
        f"itself on the {name} kernels": entry for name, entry in report["kernels"].items()
    }
    for other, agreement in answers.items():
        # A single photo may tip over; more than that, and more than two in a hundred, is worth a look.
        differing = round((1 - agreement["same_top1"]) * agreement["photos"])
        if differing > 1 and agreement["same_top1"] < _LOW_AGREEMENT:
            clock.note(
                f"The file answers otherwise than {other} on {differing} of {agreement['photos']} photos. "
                "If that is too much, try --max-drop 0.5, or --quantize float16."
            )
