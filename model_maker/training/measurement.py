"""Measures the file that ships: what metrics.json holds."""

import dataclasses

import numpy as np

from model_maker import evaluation
from model_maker.evaluation import Metrics
from model_maker.inference import conformal
from model_maker.inference.training_report import (
    AnsweredFrom,
    FineTuning,
    Folds,
    Limit,
    NamesPrior,
    PromisedSets,
    Report,
    Thresholds,
    TrainingReport,
)
from model_maker.multi_label_metrics import MultiLabelMetrics
from model_maker.progress import Progress
from model_maker.training import advice, learn, metrics_record, multi_label_record
from model_maker.training.learn import Learned
from model_maker.training.package import Package

# Candidate score thresholds, whose effect is always reported.
_TRADE_OFF = (0.5, 0.7, 0.9, 0.95)


def measure(package: Package, learned: Learned, folds: Folds | None, progress: Progress) -> tuple[Package, Report]:
    """Measures the file, and chooses score thresholds and label sets if they are requested.

    Returns:
      The package with these, and the report without sizes.
    """
    report: Report
    if isinstance(package.metrics, MultiLabelMetrics):
        report = multi_label_record.compose(package, package.metrics, learned.fit, folds)
    else:
        package, report = _of_one_label(package, package.metrics, learned, folds, progress)
    metrics_record.warn(report, progress)
    return package, report


def _of_one_label(
    package: Package, metrics: Metrics, learned: Learned, folds: Folds | None, progress: Progress
) -> tuple[Package, TrainingReport]:
    options, data, fit, expected = package.options, package.data, learned.fit, package.expected
    scores, labels, classes = package.scores, np.array(data.split.test.labels), data.photos.classes
    run = labels[package.compared]
    prior, budget = data.prior, package.budget
    answered = {limit: evaluation.answered(scores, labels, np.full(len(classes), limit)) for limit in _TRADE_OFF}
    thresholds = sets = None
    if options.precision is not None or options.label_precision is not None:
        info, overall, by_label = learn.choose_thresholds(package.info, learned, data, options, progress)
        package, held = dataclasses.replace(package, info=info), evaluation.answered(scores, labels, info.limits)
        thresholds = Thresholds(score=info.threshold, all=overall, labels=by_label, test=held)
    if options.coverage is not None:
        package, sets = _promise(package, learned, options.coverage, progress)
    return package, TrainingReport(
        test=metrics,
        float_model=evaluation.measure(expected, run, classes),
        agreement=evaluation.compare(expected, scores[package.compared], run),
        cross_validation=metrics_record.cross_validation(fit),
        photos=data.split.counts,
        trade_off=tuple(AnsweredFrom(*point) for point in answered.items()),
        fingerprint=data.photos.fingerprint,
        labels_from_text=NamesPrior(prior.tier, prior.source, prior.meanings, fit.prior_scale) if prior else None,
        thresholds=thresholds,
        kernels=package.kernels,
        folds=folds,
        budget=budget.as_dict(latency=False) if budget else None,
        fine_tuning=_fine_tuning(package, learned),
        kept_answers=learned.kept,
        label_sets=sets,
        advice=None if options.fine_tune else advice.in_training(data, fit, metrics, options, progress),
    )


def _fine_tuning(package: Package, learned: Learned) -> FineTuning | None:
    """Measures with float models, because a network that was not improved is not shipped."""
    tuned, test = learned.tuned, package.data.split.test
    if tuned is None:
        return None
    frozen, found = (learn.score(one, test, package.data, package.options) for one in (learned.frozen, learned.network))
    labels = np.array(test.labels)
    top1, change = float((frozen.argmax(1) == labels).mean()), evaluation.compare(frozen, found, labels)
    return FineTuning(tuned.improved, top1, change, tuned.blends, metrics_record.history(tuned))


def _promise(package: Package, learned: Learned, coverage: float, progress: Progress) -> tuple[Package, PromisedSets]:
    """Chooses label sets of a coverage, and measures on the test photos what they hold."""
    in_bytes = package.options.io == "uint8" or package.form.quantize == "int8"
    sets = learn.choose_label_sets(learned, package.data, package.options, coverage, in_bytes=in_bytes)
    info = dataclasses.replace(package.info, label_sets=sets)
    metrics_record.warn_label_sets(sets, info.labels, progress)
    held = conformal.measure(sets, package.scores, np.array(package.data.split.test.labels), info.labels)
    limits = map(Limit, sets.limits, sets.photos, sets.by_class)
    found = PromisedSets(coverage, dict(zip(info.labels, limits, strict=True)), held)
    return dataclasses.replace(package, info=info), found
