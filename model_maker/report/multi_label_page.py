"""report.html of a model of several labels a photo, and its plots; see `model_page` for those of one label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from model_maker import multi_label_metrics
from model_maker.evaluation import LearnedFrom
from model_maker.inference.classifier import Scored
from model_maker.output_folder import REPORT
from model_maker.report import drawing, examples, figures, page_parts, pages, score_thresholds
from model_maker.report.drawing import Wanted

ALWAYS = ("per_class.png", "precision_recall.png")
# Shares of the photos of a label at which the curves are read for the table.
_RECALLS = (0.25, 0.5, 0.75, 0.9, 1.0)


def make(
    name: str,
    scored: Scored,
    report: dict[str, Any],
    *,
    model: str,
    learned: dict[str, int] | None = None,
    stages: Sequence[dict[str, Any]] = (),
    drawn: Mapping[str, bytes] | None = None,
    origin: Sequence[tuple[str, str]] = (),
    links: Sequence[tuple[str, str]] = (),
) -> dict[str, bytes]:
    """Returns the page and its plots; arguments as of `model_page.make`."""
    test = report["test"]
    drawn = drawn or drawing.draw(wanted(scored, report))
    limits = np.array([entry["threshold"] for entry in test["per_class"].values()])
    groups, wrong = examples.of_labels(scored, list(test["per_class"]), limits)
    rates = score_thresholds.rows(scored)
    page = pages.render(
        "multi_label_page.html",
        title=name,
        origin=origin,
        links=links,
        test=test,
        seen=_seen(test),
        report=report,
        charts={file.removesuffix(".svg"): content for file, content in drawn.items() if file.endswith(".svg")},
        rates=rates,
        rate_table=score_thresholds.table(rates),
        start=score_thresholds.START,
        examples=groups,
        wrong=wrong,
        most_errors=examples.MISTAKES,
        curves=[_at_recalls(label, curve) for label, curve in _curves(scored, test).items()],
        recalls=[f"{100 * recall:.0f} % found" for recall in _RECALLS],
        labels=_labels(test),
        learned=learned or {},
        usage=page_parts.usage(model, multi_label=True),
        stages=[page_parts.stage_row(entry) for entry in stages],
    )
    plots = {file: content for file, content in drawn.items() if file.endswith(".png")}
    # File names may contain bytes that are not text.
    return {REPORT: page.encode(errors="backslashreplace"), **plots}


def wanted(scored: Scored, report: dict[str, Any]) -> dict[str, Wanted]:
    """Returns the figures of the page and the plots; of the report `test` and `cross_validation` are read."""
    test = report["test"]
    low, high = test["mean_average_precision_interval"]
    seen = {name: entry for name, entry in test["per_class"].items() if entry["photos"]}
    scores = {key: [entry[key] for entry in seen.values()] for key in ("f1", "precision", "recall")}
    curves = {"curves": _curves(scored, test)}
    found = {
        "interval.svg": Wanted("interval", {"low": low, "value": test["mean_average_precision"], "high": high}),
        "per_class.png": Wanted("class_scores", {"labels": list(seen), "scores": scores}),
        "precision_recall.svg": Wanted("precision_recall", curves),
        "precision_recall.png": Wanted(
            "precision_recall", curves | {"title": "Precision by recall: lowest average precision", "wide": True}
        ),
    }
    return found | page_parts.head_figures(report)


def _seen(test: dict[str, Any]) -> str:
    """Returns a note on how many of the photos the model was trained on; empty if none."""
    found = test.get("learned_from")
    return (
        LearnedFrom(found["photos"], test["photos"] - (found["photos"] or 0)).describe(test["photos"]) if found else ""
    )


def _labels(test: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Returns the labels that have photos, the lowest average precision first."""
    seen = [(name, entry) for name, entry in test["per_class"].items() if entry["photos"]]
    return sorted(seen, key=lambda item: float(item[1]["average_precision"]))


def _curves(scored: Scored, test: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Returns the curves of the labels with the lowest average precision, as many as have a color."""
    places = {name: index for index, name in enumerate(test["per_class"])}
    curves = {}
    for name, _ in _labels(test)[: len(figures.SERIES)]:
        index = places[name]
        precision, recall = multi_label_metrics.precision_recall(scored.scores[:, index], scored.labels[:, index])
        curves[name] = {"recall": [0.0, *recall.tolist()], "precision": [float(precision[0]), *precision.tolist()]}
    return curves


def _at_recalls(label: str, curve: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    """Returns a row of the precision at which a label's photos are found, share by share."""
    precision, recall = np.array(curve["precision"]), np.array(curve["recall"])
    # The curve ends at a recall of 1 but for rounding.
    places = np.minimum(np.searchsorted(recall, np.array(_RECALLS) - 1e-9), len(recall) - 1)
    return (label, *(f"{100 * precision[place]:.1f} %" for place in places))
