"""report.html of a model of several labels a photo, and its plots; see `model_page` for those of one label."""

from collections.abc import Mapping, Sequence

import numpy as np

from model_maker import multi_label_metrics
from model_maker.inference.classifier import Scored
from model_maker.inference.training_report import MultiLabelReport, Tried
from model_maker.multi_label_metrics import LabelMetrics, MultiLabelMetrics
from model_maker.output_folder import REPORT
from model_maker.report import drawing, figures, page_parts, pages, photo_examples, score_thresholds
from model_maker.report.drawing import Wanted

ALWAYS = ("per_class.png", "precision_recall.png")
# Shares of the photos of a label at which the curves are read for the table.
_RECALLS = (0.25, 0.5, 0.75, 0.9, 1.0)


def make(
    name: str,
    scored: Scored,
    test: MultiLabelMetrics,
    report: MultiLabelReport | None = None,
    *,
    model: str,
    learned: dict[str, int] | None = None,
    stages: Sequence[page_parts.Row] = (),
    drawn: Mapping[str, bytes] | None = None,
    origin: Sequence[tuple[str, str]] = (),
    links: Sequence[tuple[str, str]] = (),
) -> dict[str, bytes]:
    """Returns the page and its plots; arguments as of `model_page.make`."""
    drawn = drawn or drawing.draw(wanted(scored, test, report.cross_validation.path if report else ()))
    limits = np.array([entry.threshold for entry in test.per_class])
    groups, wrong = photo_examples.of_labels(scored, [entry.label for entry in test.per_class], limits)
    rates = score_thresholds.rows(scored)
    page = pages.render(
        "multi_label_page.html",
        title=name,
        origin=origin,
        links=links,
        test=test,
        seen=test.learned_from.describe(test.photos) if test.learned_from else "",
        report=report,
        charts={file.removesuffix(".svg"): content for file, content in drawn.items() if file.endswith(".svg")},
        rates=rates,
        rate_table=score_thresholds.table(rates),
        start=score_thresholds.START,
        examples=groups,
        wrong=wrong,
        most_errors=photo_examples.MISTAKES,
        curves=[_at_recalls(label, curve) for label, curve in _curves(scored, test).items()],
        recalls=[f"{100 * recall:.0f} % found" for recall in _RECALLS],
        labels=_labels(test),
        learned=learned or {},
        usage=page_parts.usage(model, multi_label=True),
        stages=stages,
    )
    plots = {file: content for file, content in drawn.items() if file.endswith(".png")}
    # File names may contain bytes that are not text.
    return {REPORT: page.encode(errors="backslashreplace"), **plots}


def wanted(scored: Scored, test: MultiLabelMetrics, path: Sequence[Tried] = ()) -> dict[str, Wanted]:
    """Returns the figures of the page and the plots; `path` as of CrossValidation."""
    low, high = test.mean_average_precision_interval
    labels, scores = page_parts.class_scores(test.per_class)
    curves = {"curves": _curves(scored, test)}
    found = {
        "interval.svg": Wanted("interval", {"low": low, "value": test.mean_average_precision, "high": high}),
        "per_class.png": Wanted("class_scores", {"labels": labels, "scores": scores}),
        "precision_recall.svg": Wanted("precision_recall", curves),
        "precision_recall.png": Wanted(
            "precision_recall", curves | {"title": "Precision by recall: lowest average precision", "wide": True}
        ),
    }
    return found | page_parts.head_figures(path)


def _labels(test: MultiLabelMetrics) -> list[LabelMetrics]:
    """Returns the labels that have photos, the lowest average precision first."""
    return sorted((entry for entry in test.per_class if entry.photos), key=lambda entry: entry.average_precision or 0)


def _curves(scored: Scored, test: MultiLabelMetrics) -> dict[str, dict[str, list[float]]]:
    """Returns the curves of the labels with the lowest average precision, as many as have a color."""
    curves = {}
    for entry in _labels(test)[: len(figures.SERIES)]:
        index = test.per_class.index(entry)
        precision, recall = multi_label_metrics.precision_recall(scored.scores[:, index], scored.labels[:, index])
        curves[entry.label] = {
            "recall": [0.0, *recall.tolist()],
            "precision": [float(precision[0]), *precision.tolist()],
        }
    return curves


def _at_recalls(label: str, curve: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    """Returns a row of the precision at which a label's photos are found, share by share."""
    precision, recall = np.array(curve["precision"]), np.array(curve["recall"])
    # The curve ends at a recall of 1 but for rounding.
    places = np.minimum(np.searchsorted(recall, np.array(_RECALLS) - 1e-9), len(recall) - 1)
    return (label, *(f"{100 * precision[place]:.1f} %" for place in places))
