"""How accuracy and predictions look in a terminal."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from model_maker.cli import multi_label_views
from model_maker.evaluation import Answered, LabelSetMetrics, Metrics, SetMetrics
from model_maker.multi_label_metrics import MultiLabelMetrics
from model_maker.terminal import rendering
from model_maker.terminal.rendering import escape, interval, percent

# Wider confusion matrices do not fit a terminal; metrics.json has them whole.
_WIDEST_CONFUSION = 12


def show_metrics(metrics: Metrics | MultiLabelMetrics) -> None:
    """Prints accuracy, results per class and the confusion matrix."""
    if isinstance(metrics, MultiLabelMetrics):
        multi_label_views.show_metrics(metrics)
        return
    console = rendering.console()
    rendering.say(
        console,
        f"top-1 [bold green]{percent(metrics.top1)}[/] on {metrics.photos} photos {interval(metrics.top1_interval)}",
    )
    rendering.say(
        console,
        f"top-5 {percent(metrics.top5)}, balanced accuracy {percent(metrics.balanced_accuracy)}, "
        f"calibration error {metrics.ece:.3f}",
    )
    if metrics.answered:
        rendering.say(console, f"answers {answers(metrics.answered)}")
    if metrics.learned_from:
        rendering.say(console, f"[yellow]{metrics.learned_from.describe(metrics.photos)}[/]")
    if metrics.label_sets:
        rendering.say(console, f"label sets {label_sets(metrics.label_sets)}")
        console.print(label_set_table(metrics.label_sets.per_class))
    table = rendering.table("class", "photos>", "precision>", "recall>", "F1>")
    seen = [entry for entry in metrics.per_class if entry.photos]
    for entry in seen:
        shares = (f"{value:.3f}" for value in (entry.precision, entry.recall, entry.f1))
        table.add_row(escape(entry.label), str(entry.photos), *shares)
    console.print(table)
    if others := len(metrics.per_class) - len(seen):
        rendering.say(console, f"[dim]{others} classes of the model have no photos here.[/]")
    if len(metrics.per_class) <= _WIDEST_CONFUSION:
        console.print(
            confusion_table([entry.label for entry in metrics.per_class], metrics.confusion.tolist(), console.width)
        )


def confusion_table(names: Sequence[str], counts: Sequence[Sequence[int]], width: int) -> Table:
    """Prints the confusion matrix; class names that do not fit as headings become numbers."""
    corner = "true \\ predicted"
    numbered = max(len(corner), *map(len, names)) + sum(len(name) + 3 for name in names) >= width
    heads = [str(number) for number in range(1, len(names) + 1)] if numbered else list(names)
    table = rendering.table(corner, *(f"{head}>" for head in heads))
    for number, (name, row) in enumerate(zip(names, counts, strict=True), start=1):
        cells = (str(count) if count else "[dim].[/]" for count in row)
        table.add_row(escape(f"{number} {name}" if numbered else name), *cells)
    return table


def answers(found: Answered) -> str:
    """The effect of the thresholds on photos that they were not chosen on."""
    if not found.answered:
        return f"none of {found.photos} photos; all are unknown"
    precision = f"{percent(found.precision)} correct {interval(found.precision_interval)}"
    return f"{percent(found.coverage)} of {found.photos} photos, {precision}"


def label_sets(held: LabelSetMetrics) -> str:
    """What the label sets hold on photos that they were not chosen on."""
    return (
        f"hold the label of {percent(held.whole.coverage)} of {held.whole.photos} photos "
        f"{interval(held.whole.coverage_interval)}, {100 * held.promised:g} % promised; "
        f"{held.whole.size:.2f} labels on average, one for {percent(held.single)}"
    )


def label_set_table(per_class: Sequence[SetMetrics]) -> Table:
    """Coverage and set size of each class."""
    table = rendering.table("class", "photos>", "label in set>", "95 % interval>", "labels>")
    for entry in per_class:
        low, high = map(percent, entry.coverage_interval)
        row = (str(entry.photos), percent(entry.coverage), f"{low} to {high}", f"{entry.size:.2f}")
        table.add_row(escape(entry.label), *row)
    return table


def show_predictions(rows: list[dict[str, Any]]) -> None:
    """Prints one block per photo, best label first, after its label set if the model promises a coverage."""
    table = rendering.table("photo", "label", "score>", "")
    for row in rows:
        name = escape(row["photo"])
        if row.get("predictions") == []:
            table.add_row(name, "[dim]no label[/]", "", "")
        if "label_set" in row:
            table.add_row(name, f"[bold]{escape(' or '.join(row['label_set']))}[/]", "", f"{100 * row['coverage']:g} %")
            name = ""
        for entry in row.get("predictions", ()):
            label = (
                escape(entry.get("display_name", entry["label"]))
                if entry["index"] >= 0
                else f"[dim]{entry['label']}[/]"
            )
            table.add_row(name, label, f"{entry['score']:.3f}", rendering.Bar(entry["score"]))
            name = ""
    if table.row_count:
        rendering.console().print(table)


def show_answer(row: dict[str, Any]) -> None:
    """Prints one line immediately, for live sources."""
    answers = ", ".join(
        f"{escape(entry.get('display_name', entry['label']))} {entry['score']:.3f}" for entry in row["predictions"]
    )
    promised = f"{escape(' or '.join(row['label_set']))}: " if "label_set" in row else ""
    rendering.say(rendering.console(), f"{escape(row['photo'])}  {promised}{answers or 'no label'}")
