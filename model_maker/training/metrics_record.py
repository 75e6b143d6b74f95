"""metrics.json: the metrics of a finished training, and notes on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from model_maker import evaluation
from model_maker.inference import conformal
from model_maker.learning import heads
from model_maker.learning.fine_tuning import Tuned
from model_maker.progress import Progress
from model_maker.tflite.label_sets import LabelSets
from model_maker.training.training_data import TrainingData

Array = np.ndarray

_LOW_AGREEMENT = 0.98
# Candidate score thresholds, whose effect is always reported.
_TRADE_OFF = (0.5, 0.7, 0.9, 0.95)
# Maximum number of labels in one note.
_NAMED = 4


def compose(
    data: TrainingData,
    scores: Array,
    metrics: evaluation.Metrics,
    fit: heads.Fit,
    *,
    compared: list[int],
    expected: Array,
) -> dict[str, Any]:
    """Returns the body of metrics.json.

    Args:
      data: the photos.
      scores: float32 [N, C] of the test photos, from the shipped file.
      metrics: metrics of these scores.
      fit: details of the head.
      compared: the test photos that the float model was run on.
      expected: their scores by the float model, float32 [n, C].
    """
    split, classes = data.split, data.photos.classes
    labels = np.array(split.test.labels)
    answered = {limit: evaluation.answered(scores, labels, np.full(scores.shape[1], limit)) for limit in _TRADE_OFF}
    return {
        "test": metrics.as_dict(),
        "float": evaluation.measure(expected, labels[compared], classes).as_dict(),
        "agreement": dataclasses.asdict(evaluation.compare(expected, scores[compared], labels[compared])),
        "cross_validation": {
            "top1": fit.top1,
            "regularization": fit.regularization,
            "temperature": fit.temperature,
            "layers": fit.chosen,
            "candidates": {name: _candidate(one) for name, one in fit.candidates.items()},
            "path": path(fit),
        },
        "photos": {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)},
        "trade_off": [{"score": limit, **entry.as_dict()} for limit, entry in answered.items()],
        "fingerprint": data.photos.fingerprint,
        **({"labels_from_text": data.prior.as_dict() | {"scale": fit.prior_scale}} if data.prior else {}),
    }


def path(fit: heads.Fit) -> list[dict[str, float]]:
    """Returns the losses of the regularizations that were tried."""
    return [{"regularization": strength, "loss": loss} for strength, loss in fit.path]


def history(tuned: Tuned) -> list[dict[str, Any]]:
    """Returns details of fine-tuning without seconds, because this file is deterministic."""
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in tuned.history]


def _candidate(one: heads.Candidate) -> dict[str, Any]:
    figures = {key: getattr(one, key) for key in ("loss", "top1", "behind", "behind_error")}
    return figures | {"features": sum(layer.size for layer in one.layers)}


def tuning(tuned: Tuned, frozen: Array, expected: Array, labels: Array) -> dict[str, Any]:
    """Returns the effect of fine-tuning on the test photos, measured with float models, and its details."""
    return {
        "improved": tuned.improved,
        "frozen_top1": float((frozen.argmax(1) == labels).mean()),
        "against_frozen": dataclasses.asdict(evaluation.compare(frozen, expected, labels)),
        "blends": tuned.blends,
        "history": history(tuned),
    }


def warn(report: dict[str, Any], progress: Progress) -> None:
    """Notes differences between predictions of the file and of its references."""
    answers = {"its float model": report["agreement"]} | {
        f"itself on the {name} kernels": entry for name, entry in report["kernels"].items()
    }
    for other, agreement in answers.items():
        # One differing photo is normal; more than that, and more than two in a hundred, is reported.
        same = agreement["same_labels" if "same_labels" in agreement else "same_top1"]
        differing = round((1 - same) * agreement["photos"])
        if differing > 1 and same < _LOW_AGREEMENT:
            progress.note(
                f"The file gives another answer than {other} on {differing} of {agreement['photos']} photos. "
                "If that is too many, try `max_drop=0.5`, or `quantize='float16'`."
            )


def warn_unproven(thresholds: dict[str, Any], progress: Progress) -> None:
    """Notes which requested precision cannot be proven, and which can."""
    if (found := thresholds.get("all")) and not found["kept"]:
        progress.note(
            f"{found['photos']} photos cannot prove a precision of {100 * found['precision']:g} %. From score "
            f"{found['score']:g} on they prove {100 * found['bound']:.1f} %, which the model uses. Add photos for more."
        )
    labels = thresholds.get("labels", {})
    short = sorted((entry["bound"], name) for name, entry in labels.items() if not entry["kept"])
    if short:
        precision = next(iter(labels.values()))["precision"]
        named = ", ".join(f"{name} {100 * bound:.1f} %" for bound, name in short[:_NAMED])
        progress.note(
            f"A precision of {100 * precision:g} % cannot be proven for {len(short)} of {len(labels)} labels. Proven "
            f"precision: {named}{' and so on' if len(short) > _NAMED else ''}. Add photos of these for more."
        )


def warn_label_sets(sets: LabelSets, labels: Sequence[str], progress: Progress) -> None:
    """Notes for which classes the promised coverage holds only on average, and how many photos they lack."""
    needed, asked = conformal.fewest(sets.coverage), f"{100 * sets.coverage:g} %"
    if not any(sets.limits):
        progress.note(
            f"{max(sets.photos)} photos are too few to promise {asked} with less than all labels. Add photos, or ask "
            "for less."
        )
        return
    short = [name for name, own in zip(labels, sets.by_class, strict=True) if not own]
    if short:
        named = ", ".join(short[:_NAMED]) + (" and others" if len(short) > _NAMED else "")
        progress.note(
            f"The coverage of {asked} is kept on average over all classes, not for each of: {named}. A class needs "
            f"{needed} photos to learn from for a promise of its own."
        )
