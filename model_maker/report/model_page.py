"""report.html: accuracy, errors, calibration and usage of a model on one self-contained page, and its plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_maker import evaluation, output_folder, run_record
from model_maker.errors import DataError
from model_maker.inference.classifier import Scored
from model_maker.inference.explanation import Explain
from model_maker.multi_label_metrics import MultiLabelMetrics
from model_maker.output_folder import METRICS, REPORT
from model_maker.report import (
    confusion_matrix,
    drawing,
    examples,
    multi_label_page,
    page_parts,
    pages,
    score_thresholds,
)
from model_maker.report.drawing import Wanted
from model_maker.system import dates, files
from model_maker.tflite.metadata import ModelInfo

ALWAYS = ("confusion.png", "calibration.png", "per_class.png")  # the plots of every model of one label a photo
# Losses of fine-tuning: name and key in its history. Before the first epoch there is only the validation loss.
_TUNING = (("training", "loss"), ("validation", "validation_loss"))

Row = tuple[str, ...]


def make(
    name: str,
    scored: Scored,
    report: dict[str, Any],
    *,
    model: str,
    learned: dict[str, int] | None = None,
    stages: Sequence[dict[str, Any]] = (),
    drawn: Mapping[str, bytes] | None = None,
    explain: Explain | None = None,
    origin: Sequence[tuple[str, str]] = (),
    links: Sequence[tuple[str, str]] = (),
) -> dict[str, bytes]:
    """Returns the page and its plots; thumbnails are made from the photos and contain no EXIF.

    Args:
      name: of the model.
      scored: the test photos and their scores by the shipped file.
      report: the content of `metrics.json`; only its key `test` is required.
      model: the path of the model in commands.
      learned: number of training photos per class, if known.
      stages: `Progress.records`, if any.
      drawn: its figures, if drawn before, see `wanted`.
      explain: says where answers come from, if that can be said of this model.
      origin, links: where the model comes from, and files beside the page; see `page_parts`.

    Returns:
      File name to content: REPORT, ALWAYS and, if there are losses to show, `head.png` and `fine_tuning.png`.
    """
    test, binned = report["test"], reliability(scored)
    labels = list(test["per_class"])
    drawn = drawn or drawing.draw(wanted_figures(test, binned, report))
    rates, groups = score_thresholds.rows(scored), examples.by_class(scored, labels, explain)
    page = pages.render(
        "model_page.html",
        title=name,
        origin=origin,
        links=links,
        test=test,
        seen=_seen(test),
        report=report,
        charts={file.removesuffix(".svg"): content for file, content in drawn.items() if file.endswith(".svg")},
        thresholds=_thresholds(report),
        rates=rates,
        rate_table=score_thresholds.table(rates),
        start=score_thresholds.START,
        examples=groups,
        explained=any(found["heat"] for group in groups for found in group["photos"]),
        label_sets=_label_sets(report),
        wrong=int((scored.scores.argmax(axis=1) != scored.labels).sum()),
        most_errors=examples.MISTAKES,
        classes=sorted(_seen_classes(test).items(), key=lambda item: item[1]["f1"]),
        learned=learned or {},
        pairs=confusion_matrix.pairs(labels, test["confusion"]),
        confusion=confusion_matrix.matrices(labels, test["confusion"]),
        most=evaluation.MOST_SHOWN,
        calibration=_calibration(binned),
        tuning=_tuning((report.get("fine_tuning") or {}).get("history", ())),
        usage=page_parts.usage(model),
        stages=[page_parts.stage_row(entry) for entry in stages],
    )
    plots = {file: content for file, content in drawn.items() if file.endswith(".png")}
    # File names may contain bytes that are not text.
    return {REPORT: page.encode(errors="backslashreplace"), **plots}


def wanted(scored: Scored, report: dict[str, Any]) -> dict[str, Wanted]:
    """Returns the figures of `make`.

    Args:
      scored: as there.
      report: `test`, and `cross_validation` and `fine_tuning` as far as they are there.
    """
    return wanted_figures(report["test"], reliability(scored), report)


def write(
    page: Path,
    info: ModelInfo,
    scored: Scored,
    metrics: evaluation.Metrics | MultiLabelMetrics,
    *,
    model: str,
    own_test: bool = False,
    explain: Explain | None = None,
) -> None:
    """Writes the page of an evaluated file, and its plots beside it; see `make`.

    Args:
      page: the file to write.
      info: the metadata of the model.
      scored, model, explain: see `make`.
      metrics: of the file.
      own_test: whether these are the test photos of `train`, so that the records beside the file apply.

    Raises:
      DataError: the records beside the file are not as `train` wrote them.
      OutputError: they cannot be written.
    """
    test = metrics.as_dict()
    report, trained, more = ({"test": test}, "", {}) if not own_test else _of_training(model, test)
    several = isinstance(metrics, MultiLabelMetrics)
    plots = multi_label_page.ALWAYS if several else ALWAYS
    more |= {
        "origin": page_parts.origin(info.provenance, trained=trained, evaluated=dates.now()),
        "links": page_parts.links(plots, page),
    }
    try:
        if several:
            made = multi_label_page.make(info.name, scored, report, model=model, **more)
        else:
            made = make(info.name, scored, report, model=model, explain=explain, **more)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if not own_test:
            raise
        raise DataError(f"{METRICS} beside {model} is not as `train` wrote it ({error!r}). Pass `data=DIR`.") from error
    text = made.pop(REPORT)
    for plot in plots:
        files.write(page_parts.beside(page, plot), made[plot])
    files.write(page, text)


def _seen(test: dict[str, Any]) -> str:
    """Returns a note on how many of the photos the model was trained on; empty if none."""
    if not (found := test.get("learned_from")):
        return ""
    others = found["others"] or {"photos": 0, "top1": None, "top1_interval": None}
    learned = evaluation.LearnedFrom(found["photos"], others["photos"], others["top1"], others["top1_interval"])
    return learned.describe(test["photos"])


def _seen_classes(test: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The classes that have photos; of the others there is nothing to show."""
    return {name: entry for name, entry in test["per_class"].items() if entry["photos"]}


def _of_training(model: str, test: dict[str, Any]) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Reads the records that `train` wrote beside a model: the report, its date, and further arguments of `make`."""
    folder = output_folder.home(model)
    record, file = run_record.load(folder), folder / METRICS
    try:
        report = json.loads(files.read_regular(file))
        learned = {name: count - test["per_class"][name]["photos"] for name, count in record["classes"].items()}
        trained = str(record.get("created", ""))  # which older versions did not record
        return report | {"test": test}, trained, {"learned": learned, "stages": record["stages"]}
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}. Pass `data=DIR`.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder} is not as `train` wrote it ({error!r}). Pass `data=DIR`.") from error


def check_new(page: Path, *, overwrite: bool) -> None:
    """Checks before any work that `write` can write there.

    Raises:
      OutputError: the page or a plot exists and must not be replaced, or cannot be written.
    """
    files.check_new_page(page, overwrite=overwrite)
    for plot in dict.fromkeys((*ALWAYS, *multi_label_page.ALWAYS)):
        files.check_new_file(page_parts.beside(page, plot), overwrite=overwrite)


def reliability(scored: Scored) -> evaluation.Reliability:
    """Bins photos by their best score."""
    return evaluation.reliability(scored.scores.max(axis=1), scored.scores.argmax(axis=1) == scored.labels)


def wanted_figures(test: dict[str, Any], binned: evaluation.Reliability, report: dict[str, Any]) -> dict[str, Wanted]:
    """Returns the figures of the page and the plots."""
    per_class, seen, (low, high) = test["per_class"], _seen_classes(test), test["top1_interval"]
    bins = {"photos": binned.photos.tolist(), "right": binned.right.tolist()}
    scores = {key: [entry[key] for entry in seen.values()] for key in ("f1", "precision", "recall")}
    wanted = {
        "interval.svg": Wanted("interval", {"low": low, "value": test["top1"], "high": high}),
        "confusion.png": Wanted("confusion", {"labels": list(per_class), "counts": test["confusion"]}),
        "calibration.svg": Wanted("calibration", bins),
        "calibration.png": Wanted("calibration", bins | {"title": f"Calibration: ECE {test['ece']:.3f}", "wide": True}),
        "per_class.png": Wanted("class_scores", {"labels": list(seen), "scores": scores}),
    }
    wanted |= page_parts.head_figures(report)
    if history := (report.get("fine_tuning") or {}).get("history"):
        series = {name: [entry.get(key) for entry in history] for name, key in _TUNING}
        data = {"series": series, "ticks": [str(index) for index in range(len(history))], "axis": "epoch"}
        wanted["fine_tuning.svg"] = Wanted("losses", data)
        wanted["fine_tuning.png"] = Wanted("losses", data | {"title": "Fine-tuning: loss by epoch", "wide": True})
    return wanted


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _thresholds(report: dict[str, Any]) -> dict[str, Any]:
    """Returns the effect of the model's own score thresholds: on the test photos, and the proven precision."""
    chosen = report.get("thresholds", {})
    proofs = ({"all": chosen["all"]} if "all" in chosen else {}) | chosen.get("labels", {})
    return {
        "own": chosen.get("test") or report["test"].get("answered"),
        "proven": [
            (name, f"{entry['score']:.3f}", _percent(entry["precision"]), _percent(entry["bound"]))
            for name, entry in proofs.items()
        ],
    }


def _label_sets(report: dict[str, Any]) -> dict[str, Any] | None:
    """Returns what the model's label sets hold, and rows by class; None without any."""
    chosen = report.get("label_sets", {})
    held = chosen.get("test") or report["test"].get("label_sets")
    if held is None:
        return None
    own = {name: entry["by_class"] for name, entry in chosen.get("labels", {}).items()}
    said = {True: "for this class", False: "on average", None: ""}
    rows = [
        (
            name,
            str(entry["photos"]),
            _percent(entry["coverage"]),
            f"{_percent(entry['coverage_interval'][0])} to {_percent(entry['coverage_interval'][1])}",
            f"{entry['size']:.2f}",
            said[own.get(name)],
        )
        for name, entry in held["per_class"].items()
    ]
    return {"promised": held["promised"], "held": held, "rows": rows}


def _calibration(found: evaluation.Reliability) -> list[Row]:
    width = 1 / len(found.photos)
    bins = enumerate(zip(found.photos, found.confidence, found.right, strict=True))
    return [
        (
            f"{index * width:.2f} to {(index + 1) * width:.2f}",
            str(count),
            f"{confidence / count:.3f}",
            _percent(right / count),
        )
        for index, (count, confidence, right) in bins
        if count
    ]


def _tuning(history: Sequence[dict[str, Any]]) -> list[Row]:
    return [
        (
            str(index),
            entry["phase"],
            f"{entry['loss']:.3f}" if "loss" in entry else "-",
            f"{entry['validation_loss']:.3f}",
            _percent(entry["validation_top1"]),
        )
        for index, entry in enumerate(history)
    ]
