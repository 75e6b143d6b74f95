"""How models of several labels a photo look in a terminal."""

from model_maker.inference.training_report import MultiLabelReport, Report
from model_maker.multi_label_metrics import MultiLabelMetrics
from model_maker.terminal import rendering
from model_maker.terminal.rendering import escape, interval, percent


def show_metrics(metrics: MultiLabelMetrics) -> None:
    """Prints mAP, exact match and F1, and the results of each label."""
    console = rendering.console()
    rendering.say(console, f"mAP {headline(metrics)} on {metrics.photos} photos {_range(metrics)}")
    rendering.say(
        console,
        f"exact match {_exact_match(metrics)}, "
        f"F1 {metrics.macro_f1:.3f} (mean of the labels), {metrics.micro_f1:.3f} (all answers)",
    )
    if metrics.learned_from:
        rendering.say(console, f"[yellow]{metrics.learned_from.describe(metrics.photos)}[/]")
    table = rendering.table("label", "photos>", "AP>", "F1>", "precision>", "recall>", "threshold>")
    seen = [entry for entry in metrics.per_class if entry.photos]
    for entry in seen:
        shares = (entry.average_precision or 0.0, entry.f1, entry.precision, entry.recall, entry.threshold)
        table.add_row(escape(entry.label), str(entry.photos), *(f"{value:.3f}" for value in shares))
    console.print(table)
    if others := len(metrics.per_class) - len(seen):
        rendering.say(console, f"[dim]{others} labels of the model have no photos here.[/]")


def headline(metrics: MultiLabelMetrics) -> str:
    """The mean average precision."""
    return f"[bold green]{percent(metrics.mean_average_precision)}[/]"


def accuracy(report: MultiLabelReport) -> list[tuple[str, str]]:
    """The rows of accuracy in the summary of a training."""
    metrics, same = report.test, percent(report.agreement.same_labels)
    of_float = f"mAP {percent(report.float_model.mean_average_precision)}{share(report)}"
    return [
        ("mAP", f"{headline(metrics)} on {metrics.photos} test photos {_range(metrics)}"),
        ("exact match", f"{_exact_match(metrics)}, mean F1 {metrics.macro_f1:.3f}"),
        ("float model", f"{of_float}, same labels on {same}"),
    ]


def share(report: Report) -> str:
    """The number of photos that the float model was run on, if not all."""
    run, photos = report.float_model.photos, report.test.photos
    return f" on {run} of them" if run < photos else ""


def thresholds(report: MultiLabelReport, most: int = 4) -> list[tuple[str, str]]:
    """The row of the first labels' thresholds."""
    named = [f"{escape(label)} {entry.score:g}" for label, entry in report.thresholds.labels.items()]
    return [("thresholds", f"{', '.join(named[:most])}{', ...' if len(named) > most else ''}")]


def _exact_match(metrics: MultiLabelMetrics) -> str:
    return f"{percent(metrics.exact_match)} {interval(metrics.exact_match_interval)}"


def _range(metrics: MultiLabelMetrics) -> str:
    return interval(metrics.mean_average_precision_interval)
