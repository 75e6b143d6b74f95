"""The terminal output of `train`."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from model_maker.cli import metrics_views, multi_label_views
from model_maker.demo import static_site
from model_maker.evaluation import Metrics
from model_maker.multi_label_metrics import MultiLabelMetrics
from model_maker.output_folder import MODEL, REPORT
from model_maker.packaging.accuracy_budget import Budget
from model_maker.terminal import rendering
from model_maker.terminal.rendering import escape, percent
from model_maker.training.result import Result

# Class names in the summary; labels.txt has all.
_MOST_CLASSES = 12


def show_training(result: Result) -> None:
    """Prints the model, its accuracy and the next steps."""
    report, console = result.report, rendering.console()
    metrics, several = result.metrics, isinstance(result.metrics, MultiLabelMetrics)
    rows: list[tuple[str, str]] = []
    if isinstance(metrics, MultiLabelMetrics):
        multi_label_views.add_training(rows, metrics, report)
    else:
        _add_accuracy(rows, metrics, report)
    rows.append(("classes", _class_names([entry.label for entry in metrics.per_class])))
    rows.append(("layers", _layers(report["cross_validation"])))
    if tuning := report.get("fine_tuning"):
        rows.append(("fine-tuning", _change(tuning["against_frozen"])))
    if kept := report.get("kept_answers"):
        rows.append(("kept answers", _kept(kept)))
    if several:
        rows.append(("thresholds", multi_label_views.thresholds(report["thresholds"])))
    elif thresholds := report.get("thresholds"):
        rows.append(("answers", metrics_views.answers(thresholds["test"])))
        rows.append(("threshold", _threshold(thresholds)))
    if sets := report.get("label_sets"):
        rows.append(("label sets", metrics_views.label_sets(sets["test"])))
    if advice := report.get("advice"):
        rows.append(("more photos", _advice(advice)))
    if several and report["folds"]:
        multi_label_views.add_folds(rows, report["folds"])
    elif folds := report["folds"]:
        low, high = folds["top1_interval"]
        rows.append(
            (
                f"{folds['folds']} folds",
                f"{percent(folds['top1'])} on all {folds['photos']} photos "
                f"[dim](95 % interval {percent(low)} to {percent(high)})[/]",
            )
        )
        if "against_frozen" in folds:
            rows.append(("", _change(folds["against_frozen"])))
    rows.append(
        (
            "size",
            f"{report['sizes']['model_bytes'] / 1e6:.2f} MB [dim](float: "
            f"{report['sizes']['float_model_bytes'] / 1e6:.2f} MB)[/]",
        )
    )
    rows.append(("time", f"{result.seconds:.1f} s"))
    console.print()
    if result.budget:
        console.print(budget_table(result.budget))
    folder = escape(rendering.quoted(str(result.directory)))
    tried = f"demo {folder}" if static_site.has_runtime() else f"predict {folder} PHOTO"
    to_copy = [
        ("model", f"[bold]{escape(str(result.directory / MODEL))}[/]"),
        ("report", escape(str(result.directory / REPORT))),
        ("next", f"model_maker {tried}"),
        ("", f"model_maker export {folder} --android app"),
    ]
    rendering.facts(console, rows, to_copy)


def _add_accuracy(rows: list[tuple[str, str]], metrics: Metrics, report: dict[str, Any]) -> None:
    low, high = metrics.top1_interval
    rows.append(
        (
            "top-1",
            f"[bold green]{percent(metrics.top1)}[/] on {metrics.photos} test photos "
            f"[dim](95 % interval {percent(low)} to {percent(high)})[/]",
        )
    )
    same = percent(report["agreement"]["same_top1"])
    rows.append(("float model", f"{percent(report['float']['top1'])}{_share(report)}, same answer on {same}"))


def _advice(found: dict[str, Any]) -> str:
    twice, best = found["forecasts"][-1], found["classes"][0]
    low, high = (100 * end for end in twice["interval"])
    return (
        f"twice as many of each class: {percent(twice['top1'])} [dim]({low:.0f} to {high:.0f} %)[/]; {best['more']} of "
        f"{escape(best['label'])} alone: {percent(best['top1'])} [dim](model_maker advise)[/]"
    )


def _class_names(names: list[str]) -> str:
    more = f" [dim]and {len(names) - _MOST_CLASSES} more[/]" if len(names) > _MOST_CLASSES else ""
    return f"{len(names)}: {escape(', '.join(names[:_MOST_CLASSES]))}{more}"


def _share(report: dict[str, Any]) -> str:
    """The number of photos that the float model was run on, if not all."""
    run, photos = report["float"]["photos"], report["test"]["photos"]
    return f" on {run} of them" if run < photos else ""


def _layers(found: dict[str, Any]) -> str:
    """The layers that feed the head, and why."""
    losses = ", ".join(f"{name} {entry['loss']:.3f}" for name, entry in found["candidates"].items())
    why = f" [dim](cross-validated loss: {losses})[/]" if len(found["candidates"]) > 1 else ""
    return f"{found['layers']}, {found['candidates'][found['layers']]['features']:,} features{why}"


def _threshold(thresholds: dict[str, Any]) -> str:
    own = {label: entry["score"] for label, entry in thresholds.get("labels", {}).items()}
    higher = [f"{escape(label)} {score:g}" for label, score in own.items() if score > thresholds["score"]]
    named = f" ({', '.join(higher[:4])}{', ...' if len(higher) > 4 else ''})" if higher else ""
    return f"{thresholds['score']:g}{named}; lower scores are unknown"


def _change(agreement: dict[str, Any]) -> str:
    """The change of top-1 by fine-tuning, in percentage points, on the same photos."""
    low, high = (100 * end for end in agreement["accuracy_change_interval"])
    change = 100 * agreement["accuracy_change"]
    return f"{change:+.1f} points over frozen features [dim](95 % interval {low:+.1f} to {high:+.1f})[/]"


def budget_table(found: Budget) -> Table:
    """Every candidate, with the chosen one marked."""
    table = rendering.table("tried", "top-1\n%>", "lost\npoints>", "95 %\ninterval>", "risk\n%>", "MB>", "ms>", "")
    table.columns[0].no_wrap, table.title_justify, table.title_style = True, "left", ""
    points, state = "point" if found.max_drop == 1 else "points", "kept" if found.within else "[yellow]not kept[/]"
    table.title = (
        f"Budget of {found.max_drop:g} {points}, {state}: "
        f"float {percent(found.float_top1)} on {found.photos} validation photos"
    )
    for index, step in enumerate(found.steps):
        low, high = (f"{100 * end:+.1f}" for end in step.drop_interval)
        table.add_row(
            escape(step.name),
            f"{100 * step.top1:.1f}",
            f"{100 * step.drop:.1f}",
            f"{low}..{high}",
            f"{100 * step.risk:.1f}",
            f"{step.size_bytes / 1e6:.2f}",
            f"{step.latency_ms:.1f}",
            "[bold green]chosen[/]" if index == found.chosen else "",
        )
    return table


def _kept(kept: dict[str, Any]) -> str:
    """Says how far the head was averaged with the old one, and what that saved and cost."""
    lines = [f"weight {kept['weight']:.1f} of the head of {escape(kept['old'])}"]
    for name, found in (("held out", kept["held_out"]), ("test", kept["test"])):
        lost = 100 * (found["top1"] - found["top1_alone"])
        lines.append(
            f"{name}: {found['turned_wrong']} of {found['photos']} photos turn wrong, {found['turned_wrong_alone']} "
            f"without it; top-1 {lost:+.1f} points"
        )
    return "\n".join(lines)
