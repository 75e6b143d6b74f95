"""The terminal output of `train`."""

from rich.table import Table

from model_maker.cli import metrics_views, multi_label_views
from model_maker.demo import static_site
from model_maker.evaluation import Agreement
from model_maker.forecasts import Advice
from model_maker.inference.training_report import (
    CrossValidation,
    Folds,
    Kept,
    MultiLabelReport,
    Thresholds,
    TrainingReport,
)
from model_maker.multi_label_metrics import MultiLabelMetrics
from model_maker.output_folder import MODEL, REPORT
from model_maker.packaging.accuracy_budget import Budget
from model_maker.terminal import rendering
from model_maker.terminal.rendering import escape, interval, percent
from model_maker.training.result import Result

Row = tuple[str, str]

# Class names in the summary; labels.txt has all.
_MOST_CLASSES = 12


def show_training(result: Result) -> None:
    """Prints the model, its accuracy and the next steps."""
    report, console = result.measured, rendering.console()
    sizes = report.sizes
    rows: list[Row] = [
        *(multi_label_views.accuracy(report) if isinstance(report, MultiLabelReport) else _accuracy(report)),
        ("classes", _class_names([entry.label for entry in report.test.per_class])),
        ("layers", _layers(report.cross_validation)),
        *(multi_label_views.thresholds(report) if isinstance(report, MultiLabelReport) else _options(report)),
        *(_folds(report.folds) if report.folds else ()),
        ("size", f"{sizes.model_bytes / 1e6:.2f} MB [dim](float: {sizes.float_model_bytes / 1e6:.2f} MB)[/]"),
        ("time", f"{result.seconds:.1f} s"),
    ]
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


def _accuracy(report: TrainingReport) -> list[Row]:
    metrics, same = report.test, percent(report.agreement.same_top1)
    top1 = f"[bold green]{percent(metrics.top1)}[/] on {metrics.photos} test photos {interval(metrics.top1_interval)}"
    share = multi_label_views.share(report)
    return [
        ("top-1", top1),
        ("float model", f"{percent(report.float_model.top1)}{share}, same answer on {same}"),
    ]


def _options(report: TrainingReport) -> list[Row]:
    """The rows of what was requested beside a plain training."""
    rows = []
    if report.fine_tuning:
        rows.append(("fine-tuning", _change(report.fine_tuning.against_frozen)))
    if report.kept_answers:
        rows.append(("kept answers", _kept(report.kept_answers)))
    if report.thresholds:
        rows.append(("answers", metrics_views.answers(report.thresholds.test)))
        rows.append(("threshold", _threshold(report.thresholds)))
    if report.label_sets:
        rows.append(("label sets", metrics_views.label_sets(report.label_sets.test)))
    if report.advice:
        rows.append(("more photos", _advice(report.advice)))
    return rows


def _folds(found: Folds) -> list[Row]:
    metrics = found.metrics
    if isinstance(metrics, MultiLabelMetrics):
        value, ends = f"mAP {percent(metrics.mean_average_precision)}", metrics.mean_average_precision_interval
    else:
        value, ends = percent(metrics.top1), metrics.top1_interval
    rows = [(f"{found.folds} folds", f"{value} on all {metrics.photos} photos {interval(ends)}")]
    return rows + ([("", _change(found.against_frozen))] if found.against_frozen else [])


def _advice(found: Advice) -> str:
    twice, best = [*found.forecasts.values()][-1], found.classes[0]
    return (
        f"twice as many of each class: {percent(twice.value)} [dim]({100 * twice.low:.0f} to {100 * twice.high:.0f} "
        f"%)[/]; {best.more} of {escape(best.label)} alone: {percent(best.top1.value)} [dim](model_maker advise)[/]"
    )


def _class_names(names: list[str]) -> str:
    more = f" [dim]and {len(names) - _MOST_CLASSES} more[/]" if len(names) > _MOST_CLASSES else ""
    return f"{len(names)}: {escape(', '.join(names[:_MOST_CLASSES]))}{more}"


def _layers(found: CrossValidation) -> str:
    """The layers that feed the head, and why."""
    losses = ", ".join(f"{name} {entry.loss:.3f}" for name, entry in found.candidates.items())
    why = f" [dim](cross-validated loss: {losses})[/]" if len(found.candidates) > 1 else ""
    return f"{found.layers}, {found.features:,} features{why}"


def _threshold(found: Thresholds) -> str:
    own = {label: entry.score for label, entry in found.labels.items()}
    higher = [f"{escape(label)} {score:g}" for label, score in own.items() if score > found.score]
    named = f" ({', '.join(higher[:4])}{', ...' if len(higher) > 4 else ''})" if higher else ""
    return f"{found.score:g}{named}; lower scores are unknown"


def _change(agreement: Agreement) -> str:
    """The change of top-1 by fine-tuning, in percentage points, on the same photos."""
    low, high = (100 * end for end in agreement.accuracy_change_interval)
    change = 100 * agreement.accuracy_change
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


def _kept(kept: Kept) -> str:
    """Says how far the head was averaged with the old one, and what that saved and cost."""
    lines = [f"weight {kept.weight:.1f} of the head of {escape(kept.old)}"]
    for name, found in (("held out", kept.held_out), ("test", kept.test)):
        lost = 100 * (found.top1 - found.top1_alone)
        lines.append(
            f"{name}: {found.turned_wrong} of {found.photos} photos turn wrong, {found.turned_wrong_alone} "
            f"without it; top-1 {lost:+.1f} points"
        )
    return "\n".join(lines)
