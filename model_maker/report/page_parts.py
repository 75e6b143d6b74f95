"""Parts that pages of models have in common."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from model_maker import output_folder
from model_maker.data.dataset import Split
from model_maker.evaluation import ClassMetrics
from model_maker.inference.training_report import Tried
from model_maker.report.drawing import Wanted
from model_maker.system import dates
from model_maker.terminal import rendering

Row = tuple[str, ...]

_FILES = {
    output_folder.MODEL: "the model",
    output_folder.FLOAT_MODEL: "the model before quantization",
    output_folder.LABELS: "its labels",
    output_folder.CARD: "the model card",
    output_folder.METRICS: "all metrics",
    output_folder.RUN: "options and times",
    output_folder.SPLIT: "the photos of each split",
}
_PLOTS = {
    "confusion.png": "confusion matrix",
    "per_class.png": "scores of the classes",
    "calibration.png": "calibration",
    "precision_recall.png": "precision by recall",
    "head.png": "fit of the head",
    "fine_tuning.png": "fine-tuning",
}
# What `train` writes beside the page.
FILES = tuple(_FILES)

_BEST = '[best] = classifier.predict("photo.jpg", top_k=1)\nprint(best[0].label, best[0].score)'
_SEVERAL = '[found] = classifier.predict("photo.jpg")\nprint([(one.label, one.score) for one in found])'


def beside(page: Path, plot: str) -> Path:
    """Returns the path of a plot: page_confusion.png beside page.html."""
    return page.with_name(f"{page.stem}_{plot}")


def learned_from(split: Split) -> dict[str, int]:
    """Counts the training and validation photos of each class."""
    counts = zip(split.train.classes, split.train.counts, split.validation.counts, strict=True)
    return {label: learned + chosen for label, learned, chosen in counts}


def class_scores(per_class: Sequence[ClassMetrics]) -> tuple[list[str], dict[str, list[float]]]:
    """Returns the classes that have photos, and their scores; of the others there is nothing to show."""
    seen = [entry for entry in per_class if entry.photos]
    scores = {key: [getattr(entry, key) for entry in seen] for key in ("f1", "precision", "recall")}
    return [entry.label for entry in seen], scores


def head_figures(path: Sequence[Tried]) -> dict[str, Wanted]:
    """Returns the figures of the regularizations that were tried, if any."""
    wanted = {}
    if path:
        series = {"held out": [step.loss for step in path]}
        data = {"series": series, "ticks": [f"{step.regularization:g}" for step in path], "axis": "regularization"}
        wanted["head.svg"] = Wanted("losses", data)
        wanted["head.png"] = Wanted("losses", data | {"title": "Head: loss of held-out photos", "wide": True})
    return wanted


def origin(
    provenance: Mapping[str, Any], *, trained: str = "", evaluated: str = "", certified: str = ""
) -> list[tuple[str, str]]:
    """Returns what a page says of where a model comes from, as names and values.

    Args:
      provenance: inside the file; empty for third-party files.
      trained, evaluated, certified: dates, see `system.dates`.
    """
    options, budget = provenance.get("options"), provenance.get("budget")
    options = options if isinstance(options, dict) else {}
    form = budget.get("chosen") if isinstance(budget, dict) else options.get("quantize")
    backbone = options.get("model")
    found = (
        ("backbone", f"{backbone}, fine-tuned" if backbone and options.get("fine_tune") else backbone),
        ("quantization", form and f"{form}, {options.get('io', 'float32')} input and output"),
        ("trained", dates.shown(trained)),
        ("evaluated", dates.shown(evaluated)),
        ("certified", dates.shown(certified)),
        ("Model Maker", provenance.get("model_maker")),
    )
    return [(name, str(value)) for name, value in found if value]


def links(names: Iterable[str], page: Path | None = None) -> list[tuple[str, str]]:
    """Returns addresses and texts of the files beside a page; of its plots, if `page` names it, those of `beside`."""
    return [
        (
            quote(beside(page, name).name if page and name in _PLOTS else name),
            _PLOTS.get(name) or _FILES.get(name, name),
        )
        for name in names
    ]


def usage(model: str, *, multi_label: bool = False) -> dict[str, str]:
    """Returns commands and code by their headings."""
    quoted = rendering.quoted(model)
    return {
        "On a phone": f"model_maker export {quoted} --android app\nmodel_maker export {quoted} --ios app",
        "In Python": (
            "import model_maker\n\n"
            f"classifier = model_maker.Classifier({model!r})\n"
            f"{_SEVERAL if multi_label else _BEST}"
        ),
        "On the command line": (
            f"model_maker predict {quoted} photo.jpg\n"
            f"model_maker evaluate {quoted} --data other_photos\n"
            f"model_maker demo {quoted}"
        ),
    }


def stage_rows(stages: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Returns the rows of `Progress.records`: name, time, processor time and memory."""
    return [
        (
            entry["name"],
            f"{entry['seconds']:.1f} s",
            f"{entry['cpu_seconds']:.1f} s",
            "not measured" if entry["peak_memory_mb"] is None else f"{entry['peak_memory_mb']:.0f} MB",
        )
        for entry in stages
    ]
