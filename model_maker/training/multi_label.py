"""Multi-label training: thresholds, and the body of metrics.json."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from model_maker import multi_label_metrics
from model_maker.inference import label_thresholds, precision_thresholds
from model_maker.inference.classifier import Scored
from model_maker.inference.label_thresholds import LabelThreshold
from model_maker.inference.precision_thresholds import Threshold
from model_maker.learning import heads
from model_maker.options import Options
from model_maker.tflite.metadata import ModelInfo
from model_maker.training import metrics_record
from model_maker.training.training_data import TrainingData

Array = np.ndarray

# The metrics in the file's provenance; the second one is also measured for the float model.
HEADLINE = (
    "photos",
    "mean_average_precision",
    "mean_average_precision_interval",
    "macro_f1",
    "micro_f1",
    "exact_match",
)


def with_thresholds(info: ModelInfo, fit: heads.Fit, options: Options) -> ModelInfo:
    """Returns the metadata with a threshold for each label, chosen by photos that the scoring heads have not seen."""
    found = tuple(entry.score for entry in _thresholds(fit, options))
    own = found if min(found) < max(found) else ()
    return dataclasses.replace(info, threshold=min(found), label_thresholds=own)


def compose(
    data: TrainingData,
    scored: Scored,
    fit: heads.Fit,
    info: ModelInfo,
    options: Options,
    *,
    compared: list[int],
    expected: Array,
) -> dict[str, Any]:
    """Returns the body of metrics.json; see `metrics_record.compose` for that of single-label training.

    Args:
      data: the photos.
      scored: the test photos and their scores by the shipped file.
      fit: details of the head.
      info: metadata of the file, with thresholds.
      options: of training.
      compared: the test photos that the float model was run on.
      expected: their scores by the float model, float32 [n, C].
    """
    split, classes, limits, truth = data.split, data.photos.classes, info.limits, scored.labels
    scores, some = scored.scores, scored.labels[compared]
    held_out = multi_label_metrics.measure(fit.held_out, fit.held_out_labels, classes, limits)
    thresholds = _thresholds(fit, options)
    return {
        "test": multi_label_metrics.measure(scores, truth, classes, limits).as_dict(),
        "float": multi_label_metrics.measure(expected, some, classes, limits).as_dict(),
        "agreement": dataclasses.asdict(multi_label_metrics.compare(expected, scores[compared], some, limits)),
        "cross_validation": {
            "mean_average_precision": held_out.mean_average_precision,
            "regularization": fit.regularization,
            "temperature": fit.temperature,
            "layers": fit.chosen,
            "candidates": {name: _candidate(one) for name, one in fit.candidates.items()},
            "path": metrics_record.path(fit),
        },
        "photos": {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)},
        "thresholds": {
            "score": info.threshold,
            "labels": {name: entry.as_dict() for name, entry in zip(classes, thresholds, strict=True)},
        },
        "fingerprint": data.photos.fingerprint,
    }


def _thresholds(fit: heads.Fit, options: Options) -> Sequence[LabelThreshold | Threshold]:
    scores = precision_thresholds.in_bytes(fit.held_out) if options.io == "uint8" else fit.held_out
    if options.label_precision is not None:
        return label_thresholds.choose_by_precision(scores, fit.held_out_labels, options.label_precision)
    return label_thresholds.choose_by_f1(scores, fit.held_out_labels)


def _candidate(one: heads.Candidate) -> dict[str, Any]:
    figures = {key: getattr(one, key) for key in ("loss", "behind", "behind_error")}
    return figures | {"exact_match": one.top1, "features": sum(layer.size for layer in one.layers)}
