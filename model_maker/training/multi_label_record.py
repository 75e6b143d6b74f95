"""Multi-label training: thresholds, and what is measured."""

import dataclasses
from collections.abc import Sequence

from model_maker import multi_label_metrics
from model_maker.inference import label_thresholds, precision_thresholds
from model_maker.inference.label_thresholds import LabelThreshold
from model_maker.inference.precision_thresholds import Threshold
from model_maker.inference.training_report import Folds, LabelThresholds, MultiLabelReport
from model_maker.learning import heads
from model_maker.multi_label_metrics import MultiLabelMetrics
from model_maker.options import Options
from model_maker.tflite.metadata import ModelInfo
from model_maker.training import metrics_record
from model_maker.training.package import Package

# The metrics in the file's provenance; the second one is also measured for the float model.
HEADLINE = (
    "photos",
    "mean_average_precision",
    "mean_average_precision_interval",
    "macro_f1",
    "micro_f1",
    "exact_match",
)


def with_thresholds(info: ModelInfo, fit: heads.FittedHead, options: Options) -> ModelInfo:
    """Returns the metadata with a threshold for each label, chosen by photos that the scoring heads have not seen."""
    found = tuple(entry.score for entry in _thresholds(fit, options))
    own = found if min(found) < max(found) else ()
    return dataclasses.replace(info, threshold=min(found), label_thresholds=own)


def compose(
    package: Package, metrics: MultiLabelMetrics, fit: heads.FittedHead, folds: Folds | None
) -> MultiLabelReport:
    """Returns what was measured; see `measurement.measure` for single-label training.

    Args:
      fit: details of the head.
      folds: by cross-validation, if requested.
    """
    info, split, expected, compared = package.info, package.data.split, package.expected, package.compared
    scores, truth = package.scores[compared], package.scored.labels[compared]
    held_out = multi_label_metrics.measure(fit.held_out, fit.held_out_labels, info.labels, info.limits)
    thresholds = _thresholds(fit, package.options)
    return MultiLabelReport(
        test=metrics,
        float_model=multi_label_metrics.measure(expected, truth, info.labels, info.limits),
        agreement=multi_label_metrics.compare(expected, scores, truth, info.limits),
        cross_validation=metrics_record.cross_validation(fit, held_out.mean_average_precision),
        photos=split.counts,
        thresholds=LabelThresholds(info.threshold, dict(zip(info.labels, thresholds, strict=True))),
        fingerprint=package.data.photos.fingerprint,
        kernels=package.kernels,
        folds=folds,
        budget=None,
    )


def _thresholds(fit: heads.FittedHead, options: Options) -> Sequence[LabelThreshold | Threshold]:
    scores = precision_thresholds.in_bytes(fit.held_out) if options.io == "uint8" else fit.held_out
    if options.label_precision is not None:
        return label_thresholds.choose_by_precision(scores, fit.held_out_labels, options.label_precision)
    return label_thresholds.choose_by_f1(scores, fit.held_out_labels)
