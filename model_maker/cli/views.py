"""How results look in a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from model_maker import terminal
from model_maker.comparison import THREADS, Comparison
from model_maker.deploy.apps import Installed
from model_maker.deploy.budget import Budget
from model_maker.deploy.export import Export
from model_maker.inference.evaluation import Metrics
from model_maker.reproduction import Reproduction
from model_maker.terminal import escape, percent
from model_maker.tflite.inspection import ModelFacts, TensorFacts
from model_maker.tflite.metadata import ModelInfo
from model_maker.training import Result

# Confusion matrices wider than this do not fit a terminal; metrics.json has them whole.
_WIDEST_CONFUSION = 12
# Of a hash or a list of labels the beginning tells enough; --json has all.
_WIDEST_TEXT = 60
# Class names in the summary of a training; labels.txt has all.
_MOST_CLASSES = 12


def show_training(result: Result) -> None:
    """What was made, what it is worth, what to do next."""
    report, console = result.report, terminal.console()
    agreement, low, high = report["agreement"], *result.metrics.top1_interval
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row(
        "top-1",
        f"[bold green]{percent(result.metrics.top1)}[/] on {result.metrics.photos} test photos "
        f"[dim](95 % interval {percent(low)} to {percent(high)})[/]",
    )
    table.add_row(
        "float model",
        f"{percent(report['float']['top1'])}{_share(report)}, same answer on {percent(agreement['same_top1'])}",
    )
    table.add_row("classes", _class_names([entry.label for entry in result.metrics.per_class]))
    table.add_row("layers", _layers(report["cross_validation"]))
    if tuning := report.get("fine_tuning"):
        table.add_row("fine-tuning", _change(tuning["against_frozen"]))
    if thresholds := report.get("thresholds"):
        table.add_row("answers", _answers(thresholds["test"]))
        table.add_row("threshold", _threshold(thresholds))
    if folds := report["folds"]:
        low, high = folds["top1_interval"]
        table.add_row(
            f"{folds['folds']} folds",
            f"{percent(folds['top1'])} on all {folds['photos']} photos "
            f"[dim](95 % interval {percent(low)} to {percent(high)})[/]",
        )
        if "against_frozen" in folds:
            table.add_row("", _change(folds["against_frozen"]))
    table.add_row(
        "size",
        f"{report['sizes']['model_bytes'] / 1e6:.2f} MB [dim](float: "
        f"{report['sizes']['float_model_bytes'] / 1e6:.2f} MB)[/]",
    )
    table.add_row("time", f"{result.seconds:.1f} s")
    table.add_row("model", f"[bold]{escape(str(result.directory / 'model.tflite'))}[/]")
    console.print()
    if result.budget:
        console.print(_budget(result.budget))
    console.print(table)


def _class_names(names: list[str]) -> str:
    more = f" [dim]and {len(names) - _MOST_CLASSES} more[/]" if len(names) > _MOST_CLASSES else ""
    return f"{len(names)}: {escape(', '.join(names[:_MOST_CLASSES]))}{more}"


def _share(report: dict[str, Any]) -> str:
    """On how many photos the float model was run, where not on all."""
    run, photos = report["float"]["photos"], report["test"]["photos"]
    return f" on {run} of them" if run < photos else ""


def _layers(found: dict[str, Any]) -> str:
    """Which layers the head sees, and why."""
    losses = ", ".join(f"{name} {entry['loss']:.3f}" for name, entry in found["candidates"].items())
    why = f" [dim](cross-validated loss: {losses})[/]" if len(found["candidates"]) > 1 else ""
    return f"{found['layers']}, {found['candidates'][found['layers']]['features']:,} features{why}"


def _answers(answered: dict[str, Any]) -> str:
    """What comes of the thresholds on photos that they were not chosen on."""
    if not answered["answered"]:
        return f"none of {answered['photos']} photos, all are unknown"
    low, high = answered["precision_interval"]
    return (
        f"{percent(answered['coverage'])} of {answered['photos']} photos, right on {percent(answered['precision'])} "
        f"[dim](95 % interval {percent(low)} to {percent(high)})[/]"
    )


def _threshold(thresholds: dict[str, Any]) -> str:
    own = {label: entry["score"] for label, entry in thresholds.get("labels", {}).items()}
    higher = [f"{escape(label)} {score:g}" for label, score in own.items() if score > thresholds["score"]]
    named = f" ({', '.join(higher[:4])}{', ...' if len(higher) > 4 else ''})" if higher else ""
    return f"{thresholds['score']:g}{named}; lower scores are unknown"


def _change(agreement: dict[str, Any]) -> str:
    """How fine-tuning moved top-1, in points, on the same photos."""
    low, high = (100 * end for end in agreement["accuracy_change_interval"])
    change = 100 * agreement["accuracy_change"]
    return f"{change:+.1f} points over frozen features [dim](95 % interval {low:+.1f} to {high:+.1f})[/]"


def _budget(found: Budget) -> Table:
    """Every form that was tried, the one that ships marked; shares in percent, as 80 columns have to do."""
    table = terminal.table("tried", "top-1>", "lost>", "95 %>", "risk>", "MB>", "ms>", "")
    table.padding, table.columns[0].no_wrap = (0, 1, 0, 0), True
    table.title = (
        f"Budget of {found.max_drop:g} points, {'kept' if found.within else '[yellow]not kept[/]'}: "
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
            "[bold green]ships[/]" if index == found.chosen else "",
        )
    return table


def show_export(found: Export) -> None:
    """What was made, how near each comes to the float model; what could not be made follows on stderr."""
    console, made = terminal.console(), [entry for entry in found.entries if entry.path is not None]
    table = terminal.table("format", "model", "MB>", "differs by>", "same answer>")
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
            console.print(f" {entry.format}: {entry.note}")
    console.print(f" in [bold]{escape(str(found.directory))}[/]")


def show_app(found: Installed, folder: str) -> None:
    """Where the model is, in which app, and what to do next."""
    console, table = terminal.console(), Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("model", f"[bold]{escape(str(found.path))}[/] ({found.size_bytes / 1e6:.2f} MB)")
    table.add_row("app", escape(found.app.name) + (", a new copy" if found.made_app else ""))
    place, studio = escape(terminal.quoted(folder)), "Android Studio"
    if found.app.platform == "ios":
        table.add_row("next", f"cd {place}; pod install; open *.xcworkspace")
    else:
        table.add_row("next", f"open {place} in {studio} and run it")
    console.print(table)


def show_reproduction(found: Reproduction) -> None:
    """Whether the file came out again, and else what is not the same."""
    console, size = terminal.console(), found.size_bytes[1]
    if found.equal:
        console.print(f"[bold green]equal[/]: {size:,} bytes, sha256 {found.sha256[1]}", soft_wrap=True)
        return
    table = terminal.table("what", "in the file", "trained again")
    for entry in found.differences:
        if not entry.what.endswith("interval"):  # it follows from its share
            table.add_row(escape(entry.what), escape(entry.before[:_WIDEST_TEXT]), escape(entry.after[:_WIDEST_TEXT]))
    console.print(table)
    console.print(f"[bold red]not equal[/]: {found.size_bytes[0]:,} bytes in the file, {size:,} trained again")


def show_comparison(found: Comparison) -> None:
    """All models in one table, those of the front marked, and which to take."""
    console = terminal.console()
    times = (f"ms, {count} thread{'s' * (count > 1)}>" for count in THREADS)
    table = terminal.table("model", "top-1>", "95 %>", "int8 drop>", "MB>", *times, "")
    for entry in found.entries:
        if entry.top1 is None or entry.top1_interval is None:
            table.add_row(escape(entry.name), "[red]failed[/]")
            continue
        low, high = (f"{100 * end:.0f}" for end in entry.top1_interval)
        marks = [*["front"] * entry.on_front, *["[bold green]recommended[/]"] * (entry.name == found.recommended)]
        table.add_row(
            escape(entry.name),
            percent(entry.top1),
            f"{low}-{high}",
            f"{100 * (entry.drop or 0):+.1f}",
            f"{(entry.size_bytes or 0) / 1e6:.2f}",
            *(f"{entry.latency_ms[n]:.1f}" if n in entry.latency_ms else "-" for n in THREADS),
            ", ".join(marks),
        )
    console.print(table)
    for entry in found.entries:
        if entry.failure:
            console.print(f"{escape(entry.name)}: {escape(entry.failure)}", soft_wrap=True)
    console.print(escape(found.reason), soft_wrap=True)
    console.print(f"Each model is in a folder of its own in [bold]{escape(str(found.directory))}[/].", soft_wrap=True)


def show_metrics(metrics: Metrics) -> None:
    """Accuracy, each class, and who is taken for whom."""
    console, (low, high) = terminal.console(), metrics.top1_interval
    console.print(
        f"top-1 [bold green]{percent(metrics.top1)}[/] on {metrics.photos} photos "
        f"[dim](95 % interval {percent(low)} to {percent(high)})[/]"
    )
    console.print(
        f"top-5 {percent(metrics.top5)}, balanced accuracy {percent(metrics.balanced_accuracy)}, "
        f"calibration error {metrics.ece:.3f}"
    )
    if metrics.answered:
        console.print(f"answers {_answers(metrics.answered.as_dict())}")
    table = terminal.table("class", "photos>", "precision>", "recall>", "F1>")
    for entry in metrics.per_class:
        shares = (f"{value:.3f}" for value in (entry.precision, entry.recall, entry.f1))
        table.add_row(escape(entry.label), str(entry.photos), *shares)
    console.print(table)
    if len(metrics.per_class) <= _WIDEST_CONFUSION:
        names = [entry.label for entry in metrics.per_class]
        table = terminal.table("true \\ predicted", *(f"{name[:10]}>" for name in names))
        for name, row in zip(names, metrics.confusion, strict=True):
            table.add_row(escape(name), *(str(count) if count else "[dim].[/]" for count in row))
        console.print(table)


def show_predictions(rows: list[dict[str, Any]]) -> None:
    """One block a photo, best label first."""
    table = terminal.table("photo", "label", "score>", "")
    for row in rows:
        name = escape(row["photo"])
        for entry in row.get("predictions", ()):
            label = escape(entry["label"]) if entry["index"] >= 0 else f"[dim]{entry['label']}[/]"
            table.add_row(name, label, f"{entry['score']:.3f}", _bar(entry["score"]))
            name = ""
    if table.row_count:
        terminal.console().print(table)


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
    terminal.console().print(table)


def show_models(rows: list[dict[str, Any]], default: str) -> None:
    """The registry; what stands here needs no network is marked."""
    table = terminal.table("model", "px>", "param>", "MACs>", "top-1>", "int8>", "MB>", "ms>", "")
    # The longest name has 31 characters, and 80 columns have to do.
    table.padding, table.columns[0].no_wrap = (0, 1, 0, 0), True
    for row in rows:
        name = f"[bold]{row['name']}[/]" if row["name"] == default else row["name"]
        cells = [cell.split()[0] for cell in _model_cells(row)]
        table.add_row(name, *cells, "*" if row["offline"] else "")
    console = terminal.console()
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
