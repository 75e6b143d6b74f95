"""How results look in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from model_maker.apps.put_in_app import Installed
from model_maker.evaluation import Metrics
from model_maker.exporters.export import Export
from model_maker.terminal import rendering
from model_maker.terminal.rendering import escape, percent
from model_maker.tflite.inspection import ModelFacts, TensorFacts
from model_maker.tflite.metadata import ModelInfo
from model_maker.training.comparison import THREADS, Comparison
from model_maker.training.reproduction import Reproduction

# Confusion matrices wider than this do not fit a terminal; metrics.json has them whole.
_WIDEST_CONFUSION = 12
# Of a hash or a list of labels the beginning tells enough; --json has all.
_WIDEST_TEXT = 60
# The longest name of a backbone.
_WIDEST_NAME = 31


def show_export(found: Export) -> None:
    """What was made, how near each comes to the float model; what could not be made follows on stderr."""
    console, made = rendering.console(), [entry for entry in found.entries if entry.path is not None]
    table = rendering.table("format", "model", "MB>", "differs by>", "same answer>")
    for entry in made:
        table.add_row(
            entry.format,
            escape(entry.path.relative_to(found.directory).as_posix()) if entry.path else "",
            f"{(entry.size_bytes or 0) / 1e6:.2f}",
            "-" if entry.difference is None else f"{entry.difference:.1g}",
            "-" if entry.same_top1 is None else percent(entry.same_top1),
        )
    console.print(table)
    for entry in made:
        if entry.note:
            console.print(f" {entry.format}: {escape(entry.note)}")
    console.print(f" in [bold]{escape(str(found.directory))}[/]")


def show_app(found: Installed, folder: str) -> None:
    """Where the model is, in which app, and what to do next."""
    console, table = rendering.console(), Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("model", f"[bold]{escape(str(found.path))}[/] ({found.size_bytes / 1e6:.2f} MB)")
    table.add_row("app", escape(found.app.name) + (", a new copy" if found.made_app else ""))
    place, studio = escape(rendering.quoted(folder)), "Android Studio"
    if found.app.platform == "ios":
        table.add_row("next", f"cd {place}; pod install; open *.xcworkspace")
    else:
        table.add_row("next", f"open {place} in {studio} and run it")
    console.print(table)


def show_reproduction(found: Reproduction) -> None:
    """Whether the file came out again, and else what is not the same."""
    console, size = rendering.console(), found.size_bytes[1]
    if found.equal:
        rendering.say(console, f"[bold green]equal[/]: {size:,} bytes, sha256 {found.sha256[1]}")
        return
    table = rendering.table("what", "in the file", "trained again")
    for entry in found.differences:
        if not entry.what.endswith("interval"):  # it follows from its share
            table.add_row(escape(entry.what), escape(entry.before[:_WIDEST_TEXT]), escape(entry.after[:_WIDEST_TEXT]))
    console.print(table)
    console.print(f"[bold red]not equal[/]: {found.size_bytes[0]:,} bytes in the file, {size:,} trained again")


def show_comparison(found: Comparison) -> None:
    """All models in one table, those of the Pareto front marked, and which to take."""
    console = rendering.console()
    times = (f"ms, {count}\nthread{'s' * (count > 1)}>" for count in THREADS)
    table = rendering.table("model", "top-1>", "95 %>", "int8\ndrop>", "MB>", *times, "")
    # Two names that are cut look the same; the longest of a backbone has 31 characters, and 80 columns have to do.
    table.padding = (0, 1, 0, 0)
    table.columns[0].min_width = min(_WIDEST_NAME, max(len(entry.name) for entry in found.entries))
    for entry in found.entries:
        if entry.top1 is None or entry.top1_interval is None:
            table.add_row(escape(entry.name), "[red]failed[/]")
            continue
        low, high = (f"{100 * end:.0f}" for end in entry.top1_interval)
        name = f"[bold green]{escape(entry.name)}[/]" if entry.name == found.recommended else escape(entry.name)
        table.add_row(
            name,
            f"{100 * entry.top1:.1f}",
            f"{low}-{high}",
            f"{100 * (entry.drop or 0):+.1f}",
            f"{(entry.size_bytes or 0) / 1e6:.2f}",
            *(f"{entry.latency_ms[n]:.1f}" if n in entry.latency_ms else "-" for n in THREADS),
            "*" if entry.on_front else "",
        )
    console.print(table)
    console.print("*: no other is as accurate, as small and as fast.")
    for entry in found.entries:
        if entry.failure:
            rendering.say(console, f"{escape(entry.name)}: {escape(entry.failure)}")
    rendering.say(console, escape(found.reason))
    rendering.say(console, f"Each model is in a folder of its own in [bold]{escape(str(found.directory))}[/].")


def show_metrics(metrics: Metrics) -> None:
    """Accuracy, each class, and who is taken for whom."""
    console, (low, high) = rendering.console(), metrics.top1_interval
    console.print(
        f"top-1 [bold green]{percent(metrics.top1)}[/] on {metrics.photos} photos "
        f"[dim](95 % interval {percent(low)} to {percent(high)})[/]"
    )
    console.print(
        f"top-5 {percent(metrics.top5)}, balanced accuracy {percent(metrics.balanced_accuracy)}, "
        f"calibration error {metrics.ece:.3f}"
    )
    if metrics.answered:
        console.print(f"answers {answers(metrics.answered.as_dict())}")
    if metrics.learned_from:
        console.print(f"[yellow]{metrics.learned_from.describe(metrics.photos)}[/]")
    table = rendering.table("class", "photos>", "precision>", "recall>", "F1>")
    for entry in metrics.per_class:
        shares = (f"{value:.3f}" for value in (entry.precision, entry.recall, entry.f1))
        table.add_row(escape(entry.label), str(entry.photos), *shares)
    console.print(table)
    if len(metrics.per_class) <= _WIDEST_CONFUSION:
        console.print(
            _confusion([entry.label for entry in metrics.per_class], metrics.confusion.tolist(), console.width)
        )


def _confusion(names: Sequence[str], counts: Sequence[Sequence[int]], width: int) -> Table:
    """Who is taken for whom; where the heads do not fit side by side, they are numbers, and so are the rows."""
    corner = "true \\ predicted"
    numbered = max(len(corner), *map(len, names)) + sum(len(name) + 3 for name in names) >= width
    heads = [str(number) for number in range(1, len(names) + 1)] if numbered else list(names)
    table = rendering.table(corner, *(f"{head}>" for head in heads))
    if numbered:
        table.padding = (0, 1, 0, 0)
    for number, (name, row) in enumerate(zip(names, counts, strict=True), start=1):
        cells = (str(count) if count else "[dim].[/]" for count in row)
        table.add_row(escape(f"{number} {name}" if numbered else name), *cells)
    return table


def answers(answered: dict[str, Any]) -> str:
    """What comes of the thresholds on photos that they were not chosen on."""
    if not answered["answered"]:
        return f"none of {answered['photos']} photos, all are unknown"
    low, high = answered["precision_interval"]
    return (
        f"{percent(answered['coverage'])} of {answered['photos']} photos, right on {percent(answered['precision'])} "
        f"[dim](95 % interval {percent(low)} to {percent(high)})[/]"
    )


def show_predictions(rows: list[dict[str, Any]]) -> None:
    """One block a photo, best label first."""
    table = rendering.table("photo", "label", "score>", "")
    for row in rows:
        name = escape(row["photo"])
        for entry in row.get("predictions", ()):
            label = escape(entry["label"]) if entry["index"] >= 0 else f"[dim]{entry['label']}[/]"
            table.add_row(name, label, f"{entry['score']:.3f}", _bar(entry["score"]))
            name = ""
    if table.row_count:
        rendering.console().print(table)


def show_answer(row: dict[str, Any]) -> None:
    """One line, as soon as it is known, for what has no end."""
    answers = ", ".join(f"{escape(entry['label'])} {entry['score']:.3f}" for entry in row["predictions"])
    rendering.say(rendering.console(), f"{escape(row['photo'])}  {answers}")


def show_model(path: Path, facts: ModelFacts, info: ModelInfo) -> None:
    """Everything `inspect` knows."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("file", f"{escape(str(path))}  [dim]{facts.size_bytes:,} bytes[/]")
    for name in ("name", "version", "author", "licence", "description"):
        if text := getattr(info, name):
            table.add_row(name, escape(text))
    for kind, tensors in (("input", facts.inputs), ("output", facts.outputs)):
        for tensor in tensors:
            table.add_row(kind, _tensor(tensor))
    if info.normalization:
        table.add_row("normalization", f"(pixel - {info.normalization.mean:g}) / {info.normalization.std:g}")
    table.add_row("quantization", facts.quantization)
    if facts.quantization == "int8":
        inside = ", ".join(facts.float_operators[:3])
        table.add_row("float inside", f"[red]{escape(inside)}[/]" if inside else "none")
    table.add_row("parameters", f"{facts.parameters:,}")
    table.add_row("MACs", f"{facts.macs / 1e6:,.0f} million")
    table.add_row("operators", ", ".join(f"{count} {name}" for name, count in facts.operators.items()))
    table.add_row("labels", _labels(info.labels))
    if info.threshold:
        most = f" to {max(info.limits):.3g}, by label" if info.label_thresholds else ""
        table.add_row("threshold", f"{info.threshold:.3g}{most}; lower scores are unknown")
    for name, value in _flat(info.provenance.get("metrics")).items():
        table.add_row(name, value)
    if fingerprint := info.provenance.get("fingerprint"):
        table.add_row("data", escape(str(fingerprint)[:16]))
    rendering.console().print(table)


def show_models(rows: list[dict[str, Any]], default: str) -> None:
    """The registry; what stands here needs no network is marked."""
    table = rendering.table("model", "px>", "param>", "MACs>", "top-1>", "int8>", "MB>", "ms>", "")
    # The longest name has 31 characters, and 80 columns have to do.
    table.padding, table.columns[0].no_wrap = (0, 1, 0, 0), True
    for row in rows:
        name = f"[bold]{row['name']}[/]" if row["name"] == default else row["name"]
        cells = [cell.split()[0] for cell in _model_cells(row)]
        table.add_row(name, *cells, "*" if row["offline"] else "")
    console = rendering.console()
    console.print(table)
    console.print(
        "param, MACs: millions. top-1, int8: published ImageNet accuracy, percent. MB, ms: an int8 classifier on one "
        f"thread, as measured once. *: needs no network. The default is {default}."
    )


def models_markdown(rows: list[dict[str, Any]], default: str) -> str:
    """The registry as the documentation shows it."""
    lines = [
        "| model | input | parameters | MACs | top-1, % | int8, % | int8 MB | int8 ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        name = f"{row['name']} (default)" if row["name"] == default else row["name"]
        lines.append(f"| {' | '.join((name, *_model_cells(row)))} |")
    return "\n".join(lines) + "\n"


def _model_cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{row['image_size']} px",
        f"{row['parameters'] / 1e6:.1f} M",
        f"{row['macs'] / 1e6:.0f} M",
        *(f"{row[key]:.1f}" if row[key] is not None else "-" for key in ("top1", "top1_int8")),
        f"{row['size_bytes'] / 1e6:.1f}" if "size_bytes" in row else "-",
        f"{row['latency_ms']:.1f}" if "latency_ms" in row else "-",
    )


def _tensor(tensor: TensorFacts) -> str:
    text = f"{escape(str(list(tensor.shape)))} {tensor.dtype}"
    if tensor.scale:
        text += f"  [dim]scale {tensor.scale:.6g}, zero point {tensor.zero_point}[/]"
    return text


def _labels(labels: tuple[str, ...]) -> str:
    shown = ", ".join(labels[:10]) + (f" ... ({len(labels)} in all)" if len(labels) > 10 else "")
    return escape(shown) or "none"


def _flat(metrics: Any) -> dict[str, str]:
    """What other tools write into a model may be anything."""
    names = {"top1": "top-1 on test", "float_top1": "float top-1"}
    known = metrics if isinstance(metrics, dict) else {}
    return {text: percent(known[key]) for key, text in names.items() if isinstance(known.get(key), int | float)}


def _bar(score: float, width: int = 20) -> str:
    return f"[green]{'━' * round(min(max(score, 0), 1) * width)}[/]"
