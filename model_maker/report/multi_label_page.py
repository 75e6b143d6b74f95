"""report.html of a model of several labels a photo, and its plots; see `model_page` for those of one label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from model_maker import multi_label_metrics
from model_maker.data import thumbnails
from model_maker.evaluation import LearnedFrom
from model_maker.inference.classifier import Scored
from model_maker.output_folder import REPORT
from model_maker.report import drawing, figures, page_parts, pages
from model_maker.report.drawing import Wanted

ALWAYS = ("per_class.png", "precision_recall.png")
# Keeps the page far below 3 MB: a thumbnail takes about 8 kB.
_MISTAKES, _SIDE = 24, 200


def make(
    name: str,
    scored: Scored,
    report: dict[str, Any],
    *,
    model: str,
    learned: dict[str, int] | None = None,
    stages: Sequence[dict[str, Any]] = (),
    certificate: dict[str, Any] | None = None,
    drawn: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """Returns the page and its plots; arguments as of `model_page.make`."""
    test = report["test"]
    drawn = drawn or drawing.draw(wanted(scored, report))
    mistakes = _mistakes(scored, test)
    page = pages.render(
        "multi_label_page.html",
        title=name,
        test=test,
        seen=_seen(test),
        report=report,
        charts={file.removesuffix(".svg"): content for file, content in drawn.items() if file.endswith(".svg")},
        mistakes=mistakes[:_MISTAKES],
        wrong=len(mistakes),
        labels=_labels(test),
        learned=learned or {},
        certificate=certificate and page_parts.certificate_rows(certificate),
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


def _mistakes(scored: Scored, test: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the photos with a wrong or a missing label; first those whose score is farthest beyond the threshold."""
    names = list(test["per_class"])
    limits = np.array([entry["threshold"] for entry in test["per_class"].values()])
    said = scored.scores >= limits
    wrong = said != scored.labels
    distance = np.where(wrong, np.abs(scored.scores - limits), 0).max(axis=1)
    chosen = np.flatnonzero(wrong.any(axis=1))
    chosen = chosen[np.argsort(-distance[chosen], kind="stable")]
    found = []
    for rank, index in enumerate(chosen):
        path = scored.samples[index].path
        found.append(
            {
                "answers": [(names[at], float(scored.scores[index, at])) for at in np.flatnonzero(said[index])],
                "true": ", ".join(names[at] for at in np.flatnonzero(scored.labels[index])) or "no label",
                "place": "/".join(PurePath(str(path)).parts[-2:]),
                "address": thumbnails.address(path, _SIDE) if rank < _MISTAKES else None,
            }
        )
    return found
