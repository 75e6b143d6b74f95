"""Building blocks of terminal output: the console, tables, escaped text."""

from __future__ import annotations

import itertools
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box, markup
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.containers import Lines
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from model_maker.terminal import safe_text, wrapping

_SHORT_BAR, _LONG_BAR = 6, 20
# A longer word, which only paths have, may be broken.
_LONGEST_WORD = 16
_ENDLESS = 10_000
# Padding of cells, top, right, bottom, left: columns are 3, 2 or 1 cells apart, as there is room.
_PADDINGS = ((0, 1, 0, 1), (0, 1, 0, 0), (0, 0, 0, 0))


class _Console(Console):
    # Whether the last line is empty, and a table needs none before it.
    ends_empty = False

    def print(self, *objects: Any, **more: Any) -> None:
        super().print(*objects, **more)
        self.ends_empty = not objects or isinstance(objects[-1], _WholeTable)

    def on_broken_pipe(self) -> None:
        """Leaves a closed pipe to `exit_codes`; rich would exit with an error."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """Returns stdout or stderr, without rich's automatic highlighting."""
    return _Console(stderr=stderr, highlight=False)


def say(console: Console, text: str, *, indent: int = 0, hang: int = 2) -> None:
    """Prints markup; in a terminal its lines wrap between words, in a pipe they stay whole.

    Args:
      indent: blanks before each line.
      hang: further blanks before what goes on after the first line.
    """
    _say(console, text, console.width if console.is_terminal else sys.maxsize, indent, hang)


def caption(console: Console, text: str) -> None:
    """Prints what explains a table; it wraps as the table does, also in a pipe."""
    _say(console, text, console.width, 0, 0)


def facts(console: Console, rows: Iterable[tuple[str, str]], to_copy: Iterable[tuple[str, str]] = ()) -> None:
    """Prints names with what is said of them, in two columns.

    Args:
      rows: names, with markup that wraps between words like the cells of a table.
      to_copy: further rows with paths and commands, which stay whole in a pipe.
    """
    rows, to_copy = list(rows), list(to_copy)
    width = max(cell_len(safe_text.one_line(name)) for name, _ in [*rows, *to_copy]) + 2
    for name, text in rows:
        _say(console, f"{_padded(name, width)}{text}", console.width, 0, width)
    for name, text in to_copy:
        say(console, f"{_padded(name, width)}{text}", hang=width)


def _padded(name: str, width: int) -> str:
    shown = safe_text.one_line(name)
    return markup.escape(shown) + " " * (width - cell_len(shown))


def _say(console: Console, text: str, width: int, indent: int, hang: int) -> None:
    lines = Lines()
    for number, line in enumerate(Text.from_markup(text).split(allow_blank=True)):
        inside = indent + (hang if number else 0)
        deeper = 0 if number else hang
        for place, part in enumerate(line.divide(wrapping.breaks(line.plain, width - inside, hang=deeper))):
            part.rstrip()
            part.pad_left(inside + (deeper if place else 0))
            lines.append(part)
    console.print(Text("\n").join(lines), soft_wrap=True)


class _Words(Text):
    """Text of a cell, which wraps between words and breaks longer ones where paths are parted."""

    @classmethod
    def of(cls, text: str) -> _Words:
        read = Text.from_markup(text)
        return cls(read.plain, read.style, spans=read.spans)

    def wrap(self, console: Console, width: int, **more: Any) -> Lines:
        if more.get("no_wrap"):
            return super().wrap(console, width, **more)
        lines = Lines()
        for line in self.split(allow_blank=True):
            lines.extend(line.divide(wrapping.breaks(line.plain, width, fold=True)))
        for line in lines:
            line.rstrip()
        lines.justify(console, width, justify=more.get("justify") or "left")
        return lines

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        most = super().__rich_measure__(console, options).maximum
        return Measurement(min(wrapping.longest_piece(self.plain), most), most)


class _WholeTable(Table):
    """A table whose numbers and words stay whole.

    Where its cells do not fit, columns move closer together; where that does not help, text wraps; without room for the
    words, it becomes a list of records.
    """

    def add_row(self, *cells: Any, **more: Any) -> None:
        super().add_row(*(_Words.of(cell) if isinstance(cell, str) else cell for cell in cells), **more)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for column in self.columns:  # which a former terminal set
            column.width = None
        free = options.update(max_width=_ENDLESS)
        ranges = [self._widths(console, free, column) for column in self.columns]
        bars = {index for index, column in enumerate(self.columns) if any(isinstance(c, Bar) for c in column.cells)}
        least = sum(found.minimum for found in ranges)
        whole = sum(one.minimum if index in bars else one.maximum for index, one in enumerate(ranges))
        options = options.update(max_width=options.max_width + 1)  # the blank at the right edge is not printed
        for wanted, padding in itertools.product((whole, least), _PADDINGS):
            self.padding = padding
            room = options.max_width - self._between(console, free, ranges)
            if wanted <= room:
                break
        if least > room:
            options = options.update(max_width=options.max_width - 1)
            lines = [*Segment.split_lines(self._records(console, options)), []]
        else:
            for column, width in zip(self.columns, _shared(ranges, room, last=bars), strict=True):
                column.width = width
            lines = list(Segment.split_lines(super().__rich_console__(console, options)))  # type: ignore[arg-type]
        for number, line in enumerate(map(_trimmed, lines)):
            if number or line or not getattr(console, "ends_empty", False):
                yield from line
                yield Segment.line()

    def _between(self, console: Console, free: ConsoleOptions, ranges: Iterable[Measurement]) -> int:
        """Returns the cells between columns."""
        return console.measure(self, options=free).maximum - sum(found.maximum for found in ranges)

    def _widths(self, console: Console, free: ConsoleOptions, column: Column) -> Measurement:
        """Returns the least and the greatest useful width of a column; only headings and text wrap."""
        head = Measurement.get(console, free, column.header)
        cells = [Measurement.get(console, free, cell) for cell in column.cells]
        longest = max((cell.maximum for cell in cells), default=0)
        whole = column.justify == "right" or column.no_wrap
        least = longest if whole else min(max((cell.minimum for cell in cells), default=0), _LONGEST_WORD)
        least = max(head.minimum, least, column.min_width or 0)
        return Measurement(least, max(head.maximum, longest, least))

    def _records(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        heads = [str(column.header).replace("\n", " ") for column in self.columns]
        if self.title:
            yield from console.render(self.title, options)
        for title, *cells in zip(*(column.cells for column in self.columns), strict=True):
            if title:
                unnamed = [
                    cell for head, cell in zip(heads[1:], cells, strict=True) if not head and isinstance(cell, Text)
                ]
                yield Segment.line()
                yield from console.render(Text("  ").join([Text(str(title), "bold"), *filter(len, unnamed)]), options)
            record = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
            record.add_column(style="dim", no_wrap=True)
            record.add_column(overflow="fold")
            for head, cell in zip(heads[1:], cells, strict=True):
                if (head and cell.plain) if isinstance(cell, Text) else cell != "":
                    record.add_row(f"  {head}", cell)
            yield from console.render(record, options)


def _trimmed(line: Sequence[Segment]) -> list[Segment]:
    """A line without the blanks at its end, with which rich fills cells."""
    kept = list(line)
    while kept and not kept[-1].text.rstrip():
        kept.pop()
    if kept:
        kept[-1] = Segment(kept[-1].text.rstrip(), kept[-1].style)
    return kept


def _shared(ranges: list[Measurement], room: int, *, last: set[int]) -> list[int]:
    """Gives each column its least width, and what is left in equal parts to those that want more; bars come last."""
    widths = [found.minimum for found in ranges]
    while wanting := [index for index, found in enumerate(ranges) if widths[index] < found.maximum]:
        left = room - sum(widths)
        if left <= 0:
            break
        wanting = [index for index in wanting if index not in last] or wanting
        for index in wanting[:left]:
            widths[index] += min(max(left // len(wanting), 1), ranges[index].maximum - widths[index])
    return widths


class Bar:
    """A score from 0 to 1 as a line, a shorter one in a narrow terminal."""

    def __init__(self, score: float) -> None:
        self._score = min(max(score, 0), 1)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(_SHORT_BAR, _LONG_BAR)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text("━" * round(self._score * min(options.max_width, _LONG_BAR)), "green")


def table(*columns: str) -> Table:
    """A table; a column whose name ends with > is right-aligned and not wrapped. Long cells wrap and are never cut."""
    table = _WholeTable(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column in columns:
        name = markup.escape(safe_text.printable(column.removesuffix(">")))  # a heading may have two lines
        table.add_column(name, justify="right" if column.endswith(">") else "left", overflow="fold")
    return table


def escape(text: str) -> str:
    """Escapes untrusted text for rich and for the terminal."""
    return markup.escape(safe_text.set_in(text))


def quoted(argument: str) -> str:
    """Quotes an argument for the shell of this system."""
    if sys.platform != "win32":
        return shlex.quote(argument)
    # Both Windows shells accept double quotes, which no file name there contains.
    return argument if re.fullmatch(r"[\w@+=:./\\-]+", argument) else f'"{argument}"'


def percent(share: float) -> str:
    """Formats a share as a percentage."""
    return f"{100 * share:.1f} %"


def interval(ends: tuple[float, float]) -> str:
    """Formats the 95 % interval of a share, as it stands behind that."""
    low, high = map(percent, ends)
    return f"[dim](95 % interval {low} to {high})[/]"
