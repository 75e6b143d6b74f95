"""The terminal output of a record: a table and remarks on stdout, a progress bar on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from model_maker.benchmark.record_comparison import RecordComparison
from model_maker.benchmark.results import Model, Record, Row, estimate
from model_maker.terminal import rendering
from model_maker.terminal.remaining_time import TimeLeft
from model_maker.terminal.rendering import escape


@dataclass(frozen=True)
class Column:
    """A column: its heading, its cell for a row, and its priority in a narrow terminal."""

    head: str
    cell: Callable[[Row], str]
    drop: int = 0


def number(value: float | None) -> str:
    """Formats a number with three significant digits, never with an exponent."""
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}"


def spread(row: Row) -> str:
    """Half the interval's width, in percent."""
    found = estimate(row)
    return f"±{50 * found.width:.1f} %" if found and found.width else "-"


def _typical(row: Row) -> str:
    found = estimate(row)
    if row.reason or found is None:
        return "[red]failed[/]" if row.reason else "-"
    text = number(row.median_ms if row.median_ms is not None else found.value_ms)
    return f"[bold]{text}[/]" if row.median_ms is not None else f"[dim]mean[/] [bold]{text}[/]"


def _spread(row: Row) -> str:
    if row.reason:
        return "-"
    return f"[yellow]{spread(row)}[/]" if row.noise else spread(row)


_COLUMNS = (
    Column("delegate", lambda row: escape(row.delegate)),
    Column("threads", lambda row: "-" if row.threads is None else str(row.threads)),
    Column("median\nms", _typical),
    Column("95 %", _spread),
    Column("p90\nms", lambda row: number(row.p90_ms), drop=5),
    Column("p99\nms", lambda row: number(row.p99_ms), drop=7),
    Column("min\nms", lambda row: number(row.min_ms), drop=8),
    Column("runs", lambda row: "-" if row.count is None else str(row.count), drop=9),
    Column("init\nms", lambda row: number(row.init_ms), drop=4),
    Column("first\nms", lambda row: number(row.first_ms), drop=3),
    Column("MB", lambda row: number(row.memory_mb), drop=2),
    Column("GMAC/s", lambda row: number(row.gmacs_per_s), drop=6),
    Column("taken", lambda row: _delegation(row), drop=1),
)
# With more names, only their number is shown.
_MOST_NAMES = 4


def _delegation(row: Row) -> str:
    if row.delegation is None:
        return "-"
    pieces = f" ({row.delegated_kernels})" if row.delegation == "partial" and row.delegated_kernels else ""
    return row.delegation + pieces


def show(record: Record, console: Console | None = None) -> None:
    """Prints a record."""
    console = console or rendering.console()
    rendering.say(console, f"[dim]{escape(machine_line(record))}[/]")
    for model in record.models:
        rendering.say(console, f"[bold]{escape(model.name)}[/]  {escape(model_line(model))}")
    console.print(_fitting(record, console))
    for text, style in remarks(record):
        rendering.say(console, f"[{style}]{escape(text)}[/]" if style else escape(text))


def machine_line(record: Record) -> str:
    """Describes the machine and its load in one line."""
    machine, load = record.machine, record.load
    parts = [machine.name, f"{machine.cores} core{'s' if machine.cores != 1 else ''}" if machine.cores else ""]
    parts += [machine.system, f"governor {machine.governor}" if machine.governor else ""]
    litert = machine.versions.get("ai-edge-litert")
    parts += [f"LiteRT {litert}" if litert else ""]
    if load and load.others is not None and load.stolen is not None:
        parts.append(f"others used {100 * load.others:.0f} %, stolen {100 * load.stolen:.0f} %")
    return ", ".join(part for part in parts if part)


def model_line(model: Model) -> str:
    """Describes a model in one line."""
    parts = [
        f"{model.size_bytes / 1e6:.2f} MB" if model.size_bytes else "",
        model.quantization.replace("none", "float"),
    ]
    parts.append(f"{model.macs / 1e6:,.0f} million MACs" if model.macs else "")
    if model.top1 is not None:
        parts.append(f"top-1 {100 * model.top1:.1f} % of {model.top1_photos} photos")
    return ", ".join(part for part in parts if part)


def remarks(record: Record) -> Iterable[tuple[str, str]]:
    """Yields remarks on the rows with a style: reasons, noise, notes, interruption."""
    for text, rows in _grouped(record, lambda row: (row.reason,) if row.reason else ()):
        yield f"failed: {rows}: {text}", "red"
    for text, rows in _grouped(record, lambda row: row.noise):
        yield f"noisy: {rows}: {text}", "yellow"
    for text, rows in _grouped(record, lambda row: row.notes):
        yield f"note: {rows}: {text}", ""
    for model in record.models:
        yield from ((f"note: {model.name}: {note}", "") for note in model.notes)
    if record.interrupted:
        yield "Interrupted: only completed rounds are shown.", "yellow"


def _grouped(record: Record, texts: Callable[[Row], Iterable[str]]) -> Iterable[tuple[str, str]]:
    """Yields each text once, with its rows."""
    about: dict[str, list[Row]] = {}
    for row in record.rows:
        for text in texts(row):
            about.setdefault(text, []).append(row)
    for text, rows in about.items():
        names = ", ".join(row_name(record, row) for row in rows)
        if len(rows) == len(record.rows) > 1:
            names = "all"
        elif len(rows) > _MOST_NAMES:
            names = f"{len(rows)} rows"
        yield text, names


def row_name(record: Record, row: Row) -> str:
    """Returns the shortest unique name of a row."""
    parts = [record.model(row.model).name] if len(record.models) > 1 else []
    parts += [row.delegate] + ([] if row.threads is None else [f"x{row.threads}"])
    return " ".join(parts)


def _fitting(record: Record, console: Console) -> Table:
    """Makes the table, without the least important columns if the terminal is too narrow."""
    columns = [column for column in _COLUMNS if not column.drop or any(column.cell(row) != "-" for row in record.rows)]
    if len(record.models) > 1:
        columns.insert(0, Column("model", lambda row: escape(record.model(row.model).name)))
        if any(model.top1 is not None for model in record.models):
            columns.append(Column("top-1", lambda row: _share(record.model(row.model).top1)))
    while True:
        table = _table(columns, record.rows)
        if console.measure(table, options=console.options.update(width=1000)).maximum <= console.width:
            return table
        droppable = [column for column in columns if column.drop]
        if not droppable:
            return table
        columns.remove(max(droppable, key=lambda column: column.drop))


def _table(columns: list[Column], rows: Iterable[Row]) -> Table:
    heads = [column.head for column in columns]
    table = rendering.table(*(head if head in ("model", "delegate", "taken") else f"{head}>" for head in heads))
    previous = ""
    for row in rows:
        cells = [column.cell(row) for column in columns]
        if columns[0].head == "model":  # a single model is not repeated in every line
            cells[0], previous = ("" if cells[0] == previous else cells[0]), cells[0]
        table.add_row(*cells)
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


_VERDICTS = {"slower": "red", "failed": "red", "faster": "green", "": "dim"}


def show_comparison(comparison: RecordComparison, console: Console | None = None) -> None:
    """Prints a line per row that both records have, and differences between the machines."""
    console = console or rendering.console()
    for note in comparison.notes:
        rendering.say(console, f"note: {escape(note)}")
    several = len({pair.model for pair in comparison.pairs}) > 1
    heads = ("delegate", "threads>", "base ms>", "new ms>", "change>", "")
    table = rendering.table(*(("model",) if several else ()), *heads)
    for pair in comparison.pairs:
        style = _VERDICTS.get(pair.verdict, "dim")
        change = f"{100 * pair.change:+.1f} %" if pair.change is not None else "-"
        cells = [escape(pair.delegate), str(pair.threads or "-"), number(pair.base_ms), number(pair.new_ms)]
        cells += [f"[{style}]{change}[/]", f"[{style}]{escape(pair.verdict)}[/]"]
        table.add_row(*([escape(pair.model)] if several else []), *cells)
    console.print(table)


class RoundsBar:
    """A progress bar on stderr, drawn only between two steps: a drawing thread would disturb the measurement."""

    def __init__(self, text: str):
        console = rendering.console(stderr=True)
        self._bar = Progress(
            TextColumn("  {task.description}"),
            BarColumn(24),
            TimeLeft(),
            console=console,
            transient=True,
            auto_refresh=False,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(escape(text), total=None)

    def __enter__(self) -> RoundsBar:
        self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        self._bar.stop()

    def progress(self, done: int, total: int) -> None:
        """Updates the number of completed steps."""
        self._bar.update(self._task, completed=done, total=total)
        self._bar.refresh()
