"""Parts that pages of models have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model_maker.data.dataset import Split
from model_maker.report.drawing import Wanted
from model_maker.terminal import rendering

Row = tuple[str, ...]

_BEST = '[best] = classifier.predict("photo.jpg", top_k=1)\nprint(best[0].label, best[0].score)'
_SEVERAL = '[found] = classifier.predict("photo.jpg")\nprint([(one.label, one.score) for one in found])'


def beside(page: Path, plot: str) -> Path:
    """Returns the path of a plot: page_confusion.png beside page.html."""
    return page.with_name(f"{page.stem}_{plot}")


def learned_from(split: Split) -> dict[str, int]:
    """Counts the training and validation photos of each class."""
    counts = zip(split.train.classes, split.train.counts, split.validation.counts, strict=True)
    return {label: learned + chosen for label, learned, chosen in counts}


def head_figures(report: dict[str, Any]) -> dict[str, Wanted]:
    """Returns the figures of the regularizations that were tried, if the report has them."""
    wanted = {}
    if path := (report.get("cross_validation") or {}).get("path"):
        series = {"held out": [float(entry["loss"]) for entry in path]}
        data = {"series": series, "ticks": [f"{entry['regularization']:g}" for entry in path], "axis": "regularization"}
        wanted["head.svg"] = Wanted("losses", data)
        wanted["head.png"] = Wanted("losses", data | {"title": "Head: loss of held-out photos", "wide": True})
    return wanted


def certificate_rows(found: dict[str, Any]) -> dict[str, Any]:
    """Returns table rows of runtimes, accuracy in each app, and requirements of phone clients."""
    unknown = any(run["unknown"] for run in (*found["runtimes"], *found["apps"]))
    pixels = {"same": "ours", "own": "its own"}
    rules = [
        (rule["demand"], rule["by"], "kept" if rule["passed"] else "broken" if rule["binding"] else "missed")
        for rule in found["rules"]
    ]
    return found | {
        "columns": ("correct", *(["unknown"] if unknown else []), "same answer", "differs by"),
        "runtimes": [(_title(run), pixels[run["pixels"]], *_run(run, unknown=unknown)) for run in found["runtimes"]],
        "apps": [(_title(run), run["pixels"], *_run(run, unknown=unknown)) for run in found["apps"]],
        "rules": rules,
        "remarks": (*found["notes"], *found["remarks"]),
    }


def _title(run: dict[str, Any]) -> str:
    return f"{run['name']}, {run['head']}" if run.get("head") else run["name"]


def _run(run: dict[str, Any], *, unknown: bool) -> list[str]:
    if run["same_answer"] is None:
        return ["runs" if run["state"] == "ran" else run["state"], *[""] * (3 if unknown else 2)]
    right, same = ("-" if run[key] is None else f"{run[key]} of {run['photos']}" for key in ("right", "same_answer"))
    return [right, *([str(run["unknown"] or "")] if unknown else []), same, f"{run['largest_difference']:.3f}"]


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


def stage_row(entry: dict[str, Any]) -> Row:
    memory = entry["peak_memory_mb"]
    return (
        entry["name"],
        f"{entry['seconds']:.1f} s",
        f"{entry['cpu_seconds']:.1f} s",
        "not measured" if memory is None else f"{memory:.0f} MB",
    )
