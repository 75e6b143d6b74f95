"""report.html: accuracy, errors, calibration and usage of a model on one self-contained page, and its plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_maker import evaluation, output_folder, run_record
from model_maker.errors import DataError
from model_maker.evaluation import Metrics
from model_maker.inference import training_report
from model_maker.inference.classifier import Scored
from model_maker.inference.explanation import Explain
from model_maker.inference.training_report import (
    Epoch,
    MultiLabelReport,
    TrainingReport,
    Tried,
)
from model_maker.multi_label_metrics import MultiLabelMetrics
from model_maker.output_folder import REPORT
from model_maker.report import (
    confusion_matrix,
    drawing,
    multi_label_page,
    page_parts,
    pages,
    photo_examples,
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
    test: Metrics,
    report: TrainingReport | None = None,
    *,
    model: str,
    learned: dict[str, int] | None = None,
    stages: Sequence[Row] = (),
    drawn: Mapping[str, bytes] | None = None,
    explain: Explain | None = None,
    origin: Sequence[tuple[str, str]] = (),
    links: Sequence[tuple[str, str]] = (),
) -> dict[str, bytes]:
    """Returns the page and its plots; thumbnails are made from the photos and contain no EXIF.

    Args:
      name: of the model.
      scored: the test photos and their scores by the shipped file.
      test: metrics of these scores.
      report: what `train` measured, for its own test photos.
      model: the path of the model in commands.
      learned: number of training photos per class, if known.
      stages: rows of `page_parts.stage_rows`, if any.
      drawn: its figures, if drawn before, see `wanted`.
      explain: says where answers come from, if that can be said of this model.
      origin, links: where the model comes from, and files beside the page; see `page_parts`.

    Returns:
      File name to content: REPORT, ALWAYS and, if there are losses to show, `head.png` and `fine_tuning.png`.
    """
    labels, confusion = [entry.label for entry in test.per_class], test.confusion.tolist()
    history = report.fine_tuning.history if report and report.fine_tuning else ()
    drawn = drawn or drawing.draw(wanted(scored, test, report.cross_validation.path if report else (), history))
    rates, groups = score_thresholds.rows(scored), photo_examples.by_class(scored, labels, explain)
    page = pages.render(
        "model_page.html",
        title=name,
        origin=origin,
        links=links,
        test=test,
        seen=test.learned_from.describe(test.photos) if test.learned_from else "",
        report=report,
        charts={file.removesuffix(".svg"): content for file, content in drawn.items() if file.endswith(".svg")},
        thresholds=_thresholds(test, report),
        rates=rates,
        rate_table=score_thresholds.table(rates),
        start=score_thresholds.START,
        examples=groups,
        explained=any(found["heat"] for group in groups for found in group["photos"]),
        label_sets=_label_sets(test, report),
        wrong=int((scored.scores.argmax(axis=1) != scored.labels).sum()),
        most_errors=photo_examples.MISTAKES,
        classes=sorted((entry for entry in test.per_class if entry.photos), key=lambda entry: entry.f1),
        learned=learned or {},
        pairs=confusion_matrix.pairs(labels, confusion),
        confusion=confusion_matrix.matrices(labels, confusion),
        most=evaluation.MOST_SHOWN,
        calibration=_calibration(reliability(scored)),
        tuning=_tuning(history),
        usage=page_parts.usage(model),
        stages=stages,
    )
    plots = {file: content for file, content in drawn.items() if file.endswith(".png")}
    # File names may contain bytes that are not text.
    return {REPORT: page.encode(errors="backslashreplace"), **plots}


def wanted(
    scored: Scored, test: Metrics, path: Sequence[Tried] = (), history: Sequence[Epoch] = ()
) -> dict[str, Wanted]:
    """Returns the figures of the page and the plots.

    Args:
      scored, test: as of `make`.
      path: of CrossValidation, if known.
      history: of FineTuning, if any.
    """
    binned, (low, high) = reliability(scored), test.top1_interval
    bins = {"photos": binned.photos.tolist(), "right": binned.right.tolist()}
    labels, scores = page_parts.class_scores(test.per_class)
    matrix = {"labels": [entry.label for entry in test.per_class], "counts": test.confusion.tolist()}
    wanted = {
        "interval.svg": Wanted("interval", {"low": low, "value": test.top1, "high": high}),
        "confusion.png": Wanted("confusion", matrix),
        "calibration.svg": Wanted("calibration", bins),
        "calibration.png": Wanted("calibration", bins | {"title": f"Calibration: ECE {test.ece:.3f}", "wide": True}),
        "per_class.png": Wanted("class_scores", {"labels": labels, "scores": scores}),
    }
    wanted |= page_parts.head_figures(path)
    if history:
        series = {name: [getattr(entry, key) for entry in history] for name, key in _TUNING}
        data = {"series": series, "ticks": [str(index) for index in range(len(history))], "axis": "epoch"}
        wanted["fine_tuning.svg"] = Wanted("losses", data)
        wanted["fine_tuning.png"] = Wanted("losses", data | {"title": "Fine-tuning: loss by epoch", "wide": True})
    return wanted


def write(
    page: Path,
    info: ModelInfo,
    scored: Scored,
    metrics: Metrics | MultiLabelMetrics,
    *,
    model: str,
    own_test: bool = False,
    explain: Explain | None = None,
) -> None:
    """Writes the page of an evaluated file, and its plots beside it; see `make`.

    Args:
      scored, model, explain: see `make`.
      own_test: whether these are the test photos of `train`, so that the records beside the file apply.

    Raises:
      DataError: the records beside the file are not as `train` wrote them.
      OutputError: they cannot be written.
    """
    folder, advice = output_folder.home(model), "Pass `data=DIR`."
    trained, more = _of_training(folder, metrics) if own_test else ("", {})
    several = isinstance(metrics, MultiLabelMetrics)
    plots = multi_label_page.ALWAYS if several else ALWAYS
    more |= {
        "model": model,
        "origin": page_parts.origin(info.provenance, trained=trained, evaluated=dates.now()),
        "links": page_parts.links(plots, page),
    }
    if isinstance(metrics, MultiLabelMetrics):
        labels = training_report.read(folder, MultiLabelReport, advice=advice) if own_test else None
        made = multi_label_page.make(info.name, scored, metrics, labels, **more)
    else:
        report = training_report.read(folder, TrainingReport, advice=advice) if own_test else None
        made = make(info.name, scored, metrics, report, explain=explain, **more)
    text = made.pop(REPORT)
    for plot in plots:
        files.write(page_parts.beside(page, plot), made[plot])
    files.write(page, text)


def _of_training(folder: Path, metrics: Metrics | MultiLabelMetrics) -> tuple[str, dict[str, Any]]:
    """Reads what `train` recorded of a model: the date, and further arguments of `make`."""
    record, tested = run_record.load(folder), {entry.label: entry.photos for entry in metrics.per_class}
    try:
        learned = {name: count - tested[name] for name, count in record["classes"].items()}
        trained = str(record.get("created", ""))  # which older versions did not record
        return trained, {"learned": learned, "stages": page_parts.stage_rows(record["stages"])}
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


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _thresholds(test: Metrics, report: TrainingReport | None) -> dict[str, Any]:
    """Returns the effect of the model's own score thresholds: on the test photos, and the proven precision."""
    chosen = report.thresholds if report else None
    proofs = ({"all": chosen.all} if chosen.all else {}) | chosen.labels if chosen else {}
    return {
        "own": chosen.test if chosen else test.answered,
        "proven": [
            (name, f"{entry.score:.3f}", _percent(entry.precision), _percent(entry.bound))
            for name, entry in proofs.items()
        ],
    }


def _label_sets(test: Metrics, report: TrainingReport | None) -> dict[str, Any] | None:
    """Returns what the model's label sets hold, and rows by class; None without any."""
    chosen = report.label_sets if report else None
    held = chosen.test if chosen else test.label_sets
    if held is None:
        return None
    said = (
        {name: "for this class" if limit.by_class else "on average" for name, limit in chosen.labels.items()}
        if chosen
        else {}
    )
    rows = [
        (
            entry.label,
            str(entry.photos),
            _percent(entry.coverage),
            " to ".join(map(_percent, entry.coverage_interval)),
            f"{entry.size:.2f}",
            said.get(entry.label, ""),
        )
        for entry in held.per_class
    ]
    return {"promised": held.promised, "held": held.whole, "single": held.single, "rows": rows}


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


def _tuning(history: Sequence[Epoch]) -> list[Row]:
    return [
        (
            str(index),
            entry.phase,
            "-" if entry.loss is None else f"{entry.loss:.3f}",
            f"{entry.validation_loss:.3f}",
            _percent(entry.validation_top1),
        )
        for index, entry in enumerate(history)
    ]
