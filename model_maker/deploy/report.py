"""report.html: what a model is worth, as one page that needs nothing else, to look at rather than to read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from model_maker import files, output_folder, run_record, terminal
from model_maker.data import thumbnails
from model_maker.data.dataset import Split
from model_maker.deploy import charts, plots, report_tables
from model_maker.deploy.report_tables import table
from model_maker.errors import DataError
from model_maker.inference import evaluation
from model_maker.inference.classifier import Scored

# What keeps the page far below 3 MB: a thumbnail takes about 8 kB.
_MISTAKES, _SIDE = 24, 200


def render(
    name: str,
    scored: Scored,
    report: dict[str, Any],
    *,
    model: str,
    learned: dict[str, int] | None = None,
    stages: Sequence[dict[str, Any]] = (),
    certificate: dict[str, Any] | None = None,
) -> str:
    """Writes the page; the photos of mistakes are opened again for thumbnails, which carry no EXIF.

    Args:
      name: of the model.
      scored: the test photos and what the shipped file says of them.
      report: the content of `metrics.json`; of all its keys only `test` has to be there.
      model: how commands name the model.
      learned: photos of each class that training saw, where that is known.
      stages: `Progress.records`, where there are any.
      certificate: `Certificate.as_dict()`, where the file was verified.
    """
    test = report["test"]
    labels = list(test["per_class"])
    title = f"{escape(name)}: what it is worth"
    body = [
        f"<h1>{title}</h1>",
        _headline(test),
        _tiles(report),
        _precision(report),
        _float(report),
        _section("Mistakes it is surest of", _mistakes(scored, labels)),
        _section("Classes, the weakest first", _classes(test["per_class"], learned or {})),
        _section("What is taken for what", _confusion(labels, test["confusion"])),
        '<div class="pair">',
        _section("Can its scores be believed?", _calibration(scored, test["ece"])),
        _section("Fitting the head", _head(report.get("cross_validation"))),
        _section("Fine-tuning", _tuning(report.get("fine_tuning"))),
        "</div>",
        _section("Where it runs", report_tables.certificate(certificate) if certificate else ""),
        _section("Use it", _usage(model)),
        _section("Where the time went", _stages(stages)),
    ]
    style = resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style}</style></head>\n"
        f"<body><main>\n{chr(10).join(part for part in body if part)}\n</main></body></html>\n"
    )


def write(
    page: Path,
    name: str,
    scored: Scored,
    metrics: evaluation.Metrics,
    *,
    model: str,
    own_test: bool = False,
    certificate: dict[str, Any] | None = None,
) -> None:
    """Writes the page of a file that was evaluated, and its plots beside it; see `render` and `plots.draw`.

    Args:
      page: where it goes.
      name, scored, model, certificate: see `render`.
      metrics: of the file.
      own_test: whether these are the photos that `train` tested it on, so that what stands beside the file holds, too.

    Raises:
      DataError: what stands beside the file is not as `train` wrote it.
      OutputError: they cannot be written.
    """
    test = metrics.as_dict()
    report, more = ({"test": test}, {}) if not own_test else _of_training(model, test)
    try:
        text = render(name, scored, report, model=model, certificate=certificate, **more)
    except (KeyError, TypeError, AttributeError) as error:
        if not own_test:
            raise
        raise DataError(
            f"{output_folder.METRICS} beside {model} is not as `train` wrote it ({error!r}). Pass --data DIR."
        ) from error
    for plot, content in plots.draw(test, reliability(scored)).items():
        files.write(beside(page, plot), content)
    files.write(page, text.encode(errors="backslashreplace"))


def _of_training(model: str, test: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads what `train` wrote beside a model: the report, and what else `render` takes."""
    folder = output_folder.home(model)
    record, file = run_record.load(folder), folder / output_folder.METRICS
    try:
        report = json.loads(files.read_regular(file))
        learned = {name: count - test["per_class"][name]["photos"] for name, count in record["classes"].items()}
        return report | {"test": test}, {"learned": learned, "stages": record["stages"]}
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}. Pass --data DIR.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder} is not as `train` wrote it ({error!r}). Pass --data DIR.") from error


def check_new(page: Path, *, overwrite: bool) -> None:
    """Checks before any work that `write` may write there.

    Raises:
      OutputError: the page or a plot exists and must not be replaced, or cannot be written.
    """
    files.check_new_page(page, overwrite=overwrite)
    for plot in plots.ALWAYS:
        files.check_new_file(beside(page, plot), overwrite=overwrite)


def beside(page: Path, plot: str) -> Path:
    """Where `write` puts a plot: page.html has page_confusion.png beside it."""
    return page.with_name(f"{page.stem}_{plot}")


def learned_from(split: Split) -> dict[str, int]:
    """Counts the photos of each class that training saw: those to learn from, and those to judge by on the way."""
    counts = Counter(split.train.labels) + Counter(split.validation.labels)
    return {label: counts[index] for index, label in enumerate(split.train.classes)}


def reliability(scored: Scored) -> evaluation.Reliability:
    """Bins photos by their best score."""
    return evaluation.reliability(scored.scores.max(axis=1), scored.scores.argmax(axis=1) == scored.labels)


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>" if content else ""


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _range(ends: Sequence[float]) -> str:
    return f"{_percent(ends[0])} to {_percent(ends[1])}"


def _headline(test: dict[str, Any]) -> str:
    low, high = test["top1_interval"]
    return (
        f'<p class="best"><b>{_percent(test["top1"])}</b> right, on {test["photos"]} test photos</p>'
        f'<p class="dim">95 % interval {_range(test["top1_interval"])}</p>'
        f"{charts.interval(low, test['top1'], high)}"
        f"{_seen(test)}"
    )


def _seen(test: dict[str, Any]) -> str:
    """Says how many of the photos the model learned from."""
    if not (found := test.get("learned_from")):
        return ""
    others = found["others"] or {"photos": 0, "top1": None, "top1_interval": None}
    learned = evaluation.LearnedFrom(found["photos"], others["photos"], others["top1"], others["top1_interval"])
    return f"<p><b>{escape(learned.describe(test['photos']))}</b></p>"


def _tiles(report: dict[str, Any]) -> str:
    test, sizes, photos = report["test"], report.get("sizes"), report.get("photos")
    tiles = []
    if "float" in report:
        tiles.append((_percent(report["float"]["top1"]), "the float model"))
    if len(test["per_class"]) > 5:
        tiles.append((_percent(test["top5"]), "right among the best five"))
    tiles.append((_percent(test["balanced_accuracy"]), "mean recall of the classes"))
    if sizes:
        tiles.append((f"{sizes['model_bytes'] / 1e6:.2f} MB", f"float: {sizes['float_model_bytes'] / 1e6:.2f} MB"))
    tiles.append((f"{test['ece']:.3f}", "calibration error (ECE)"))
    tiles.append((str(len(test["per_class"])), "classes"))
    if photos:
        tiles.append((str(photos["train"] + photos["validation"]), "photos to learn from"))
    return f'<ul class="tiles">{"".join(f"<li><b>{value}</b>{text}</li>" for value, text in tiles)}</ul>'


def _float(report: dict[str, Any]) -> str:
    if "float" not in report:
        return ""
    rows = [
        (name, _percent(entry["top1"]), _range(entry["top1_interval"]), _percent(entry["top5"]), f"{entry['ece']:.3f}")
        for name, entry in (("shipped", report["test"]), ("float", report["float"]))
    ]
    found = report["agreement"]
    run, photos = report["float"]["photos"], report["test"]["photos"]
    which = "the photos" if run == photos else f"{run} photos on which both were run"
    same = (
        f"<p>The same answer on {_percent(found['same_top1'])} of {which}; no score differs by more than "
        f"{found['largest_difference']:.3f}.</p>"
    )
    heads = ("model", "top-1", "95 % interval", "top-5", "ECE")
    return _section("Shipped against float", same + table(heads, rows, caption="Shipped and float model"))


def _precision(report: dict[str, Any]) -> str:
    chosen = report.get("thresholds", {})
    text, own = "", chosen.get("test") or report["test"].get("answered")
    if own:
        among = _range(own["precision_interval"])
        text = (
            f"<p>It answers <b>{_percent(own['coverage'])}</b> of the photos, and <b>{_percent(own['precision'])}</b> "
            f"of these answers are right (95 % interval {among}). The others are unknown to it.</p>"
        )
    proofs = {"all": chosen["all"]} if "all" in chosen else {}
    rows = [
        (name, f"{entry['score']:.3f}", _percent(entry["precision"]), _percent(entry["bound"]))
        for name, entry in (proofs | chosen.get("labels", {})).items()
    ]
    if rows:
        text += "<p>What the photos held out prove of answers, with 95 % confidence:</p>"
        text += table(("label", "from score", "asked for", "proven"), rows, caption="Thresholds")
    others = [
        (f"{entry['score']:g}", _percent(entry["coverage"]), _percent(entry["precision"]))
        for entry in report.get("trade_off", ())
    ]
    if others:
        text += "<p>What other scores to answer from would bring on the test photos:</p>"
        text += table(("from score", "photos answered", "answers right"), others, caption="Scores to answer from")
    return _section("When it is sure enough", text)


def _mistakes(scored: Scored, labels: Sequence[str]) -> str:
    """Shows the photos whose wrong answer has the highest scores."""
    best, scores = scored.scores.argmax(axis=1), scored.scores.max(axis=1)
    wrong = np.flatnonzero(best != scored.labels)
    if not len(wrong):
        return "<p>None: every test photo is named rightly.</p>"
    figures = []
    for index in wrong[np.argsort(-scores[wrong], kind="stable")][:_MISTAKES]:
        truth, answer = escape(labels[scored.labels[index]]), escape(labels[best[index]])
        place = PurePath(str(scored.samples[index].path))
        address = thumbnails.address(scored.samples[index].path, _SIDE)
        picture = (
            f'<img src="{address}" alt="{truth}, taken for {answer}">'
            if address
            else '<div class="none">no picture</div>'
        )
        figures.append(
            f"<figure>{picture}<figcaption><b>{answer} {scores[index]:.2f}</b><span>in fact {truth}</span>"
            f'<span class="dim">{escape("/".join(place.parts[-2:]))}</span></figcaption></figure>'
        )
    shown = "" if len(wrong) <= _MISTAKES else f"; the {_MISTAKES} with the highest scores are shown"
    told = f"{len(wrong)} of {len(scored.labels)} photos are named wrongly{shown}. Are all of these labels right?"
    return f'<p class="dim">{told}</p><div class="photos">{"".join(figures)}</div>'


def _classes(per_class: dict[str, dict[str, Any]], learned: dict[str, int]) -> str:
    counted = ", and how many photos it was tested on" + (" and learned from" if learned else "")
    told = f"Precision: how many answers of a class are right; recall: how many of its photos are found{counted}."
    return f'<p class="dim">{told}</p>{report_tables.classes(per_class, learned)}'


def _confusion(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    told = "A row for what photos are, a column for what they are taken for."
    most = evaluation.MOST_SHOWN
    title = "All of it" if len(labels) <= most else f"The {most} classes with the most mistakes"
    matrix = report_tables.confusion(labels, counts)
    return report_tables.pairs(labels, counts) + f'<h3>{title}</h3><p class="dim">{told}</p>{matrix}'


def _calibration(scored: Scored, ece: float) -> str:
    found = reliability(scored)
    width, rows = 1 / len(found.photos), []
    for index, (count, confidence, right) in enumerate(zip(found.photos, found.confidence, found.right, strict=True)):
        if count:
            scores = f"{index * width:.2f} to {(index + 1) * width:.2f}"
            rows.append((scores, str(count), f"{confidence / count:.3f}", _percent(right / count)))
    heads = ("scores", "photos", "mean score", "right")
    return (
        f"<p>Of answers with a score of 0.8, eight in ten should be right: bars should end at the dashed line. On the "
        f"average they miss it by {100 * ece:.1f} points (ECE {ece:.3f}).</p>{charts.reliability(found)}"
        f"<details><summary>In figures</summary>{table(heads, rows, caption='Calibration')}</details>"
    )


def _head(found: dict[str, Any] | None) -> str:
    """How the head came about: not in epochs, but along the path of regularization."""
    if not found or not found.get("path"):
        return ""
    path = found["path"]
    text = (
        "<p>The head is fitted to its optimum, not in epochs. From strong to weak regularization, photos held out "
        f"judge it: the least loss, at {found['regularization']:g}, was taken. "
        f"It knows {_percent(found['top1'])} of them.</p>"
    )
    ticks, losses = [f"{entry['regularization']:g}" for entry in path], [entry["loss"] for entry in path]
    name = "Loss of photos held out, by regularization"
    rows = [(tick, f"{loss:.4f}") for tick, loss in zip(ticks, losses, strict=True)]
    figures = table(("regularization", "loss of photos held out"), rows, caption="Regularization")
    chart = charts.losses({"held out": losses}, ticks, axis="regularization", name=name)
    return f"{text}{chart}<details><summary>In figures</summary>{figures}</details>"


def _tuning(found: dict[str, Any] | None) -> str:
    if not found:
        return ""
    change = found["against_frozen"]
    low, high = (100 * end for end in change["accuracy_change_interval"])
    text = (
        f"<p>With frozen features {_percent(found['frozen_top1'])}; fine-tuning changed that by "
        f"{100 * change['accuracy_change']:+.1f} points (95 % interval {low:+.1f} to {high:+.1f}).</p>"
    )
    rows = [
        (f"{index}", entry["phase"], f"{entry['loss']:.3f}" if "loss" in entry else "-",
         f"{entry['validation_loss']:.3f}", _percent(entry["validation_top1"]))
        for index, entry in enumerate(found["history"])
    ]  # fmt: skip
    heads = ("epoch", "phase", "loss", "validation loss", "validation top-1")
    figures = table(heads, rows, caption="Fine-tuning, epoch by epoch")
    chart = charts.losses(
        {kind: [entry.get(key) for entry in found["history"]] for kind, key in plots.TUNING},
        [str(index) for index in range(len(found["history"]))],
        axis="epoch",
        name="Training and validation loss, epoch by epoch",
    )
    return f"{text}{chart}<details><summary>In figures</summary>{figures}</details>"


def _usage(model: str) -> str:
    quoted = terminal.quoted(model)
    python = (
        "import model_maker\n\n"
        f"classifier = model_maker.Classifier({model!r})\n"
        '[best] = classifier.predict("photo.jpg", top_k=1)\n'
        "print(best[0].label, best[0].score)"
    )
    commands = "\n".join(
        f"model_maker {line}"
        for line in (f"predict {quoted} photo.jpg", f"evaluate {quoted} --data other_photos", f"demo {quoted}")
    )
    phone = f"model_maker export {quoted} --android app\nmodel_maker export {quoted} --ios app"
    return "".join(
        f"<h3>{title}</h3><pre>{escape(text)}</pre>"
        for title, text in (("On a phone", phone), ("In Python", python), ("On the command line", commands))
    )


def _stages(stages: Sequence[dict[str, Any]]) -> str:
    rows = [
        (
            entry["name"],
            f"{entry['seconds']:.1f} s",
            f"{entry['cpu_seconds']:.1f} s",
            "not measured" if entry["peak_memory_mb"] is None else f"{entry['peak_memory_mb']:.0f} MB",
        )
        for entry in stages
    ]
    heads = ("stage", "progress", "CPU", "memory")
    told = '<p class="dim">Memory is the most that was held so far.</p>'
    return told + table(heads, rows, caption="Stages of the training") if rows else ""
