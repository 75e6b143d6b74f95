"""Building blocks of terminal output: the console, tables, escaped text."""

from __future__ import annotations

import re
import shlex
import sys

from rich import box, markup
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from model_maker.terminal import safe_text

_SHORT_BAR, _LONG_BAR = 6, 20
# A longer word, which only paths have, may be broken.
_LONGEST_WORD = 16
_ENDLESS = 10_000


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves a closed pipe to `exit_codes`; rich would exit with an error."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """Returns stdout or stderr, without rich's automatic highlighting."""
    return _Console(stderr=stderr, highlight=False)


def say(console: Console, text: str, *, indent: int = 0) -> None:
    """Prints a line of markup; it wraps between words in a terminal, and stays whole in a pipe."""
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)))
    else:
        console.print(f"{' ' * indent}{text}", soft_wrap=True)


class _Table(Table):
    """A table whose numbers and words stay whole; in a terminal too narrow for them, a list of records instead."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        free = options.update(max_width=_ENDLESS)
        ranges = [self._widths(console, free, column) for column in self.columns]
        between = console.measure(self, options=free).maximum - sum(found.maximum for found in ranges)
        room = options.max_width - between
        if sum(found.minimum for found in ranges) > room:
            yield from self._records()
            return
        for column, width in zip(self.columns, _shared(ranges, room), strict=True):
            column.width = width
        yield from super().__rich_console__(console, options)

    def _widths(self, console: Console, free: ConsoleOptions, column: Column) -> Measurement:
        """Returns the least and the greatest useful width of a column; only headings and text wrap."""
        head = Measurement.get(console, free, column.header)
        cells = [Measurement.get(console, free, cell) for cell in column.cells]
        longest = max((cell.maximum for cell in cells), default=0)
        whole = column.justify == "right" or column.no_wrap
        least = longest if whole else min(max((cell.minimum for cell in cells), default=0), _LONGEST_WORD)
        least = max(head.minimum, least, column.min_width or 0)
        return Measurement(least, max(head.maximum, longest, least))

    def _records(self) -> RenderResult:
        heads = [str(column.header).replace("\n", " ") for column in self.columns]
        for title, *cells in zip(*(column.cells for column in self.columns), strict=True):
            if title:
                yield Text()
                yield Text.from_markup(f"[bold]{title}[/]")
            record = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
            record.add_column(style="dim")
            record.add_column(overflow="fold")
            for head, cell in zip(heads[1:], cells, strict=True):
                if cell != "":
                    record.add_row(f"  {head}", cell)
            yield record


def _shared(ranges: list[Measurement], room: int) -> list[int]:
    """Gives each column its least width, and what is left in equal parts to those that want more."""
    widths = [found.minimum for found in ranges]
    while wanting := [index for index, found in enumerate(ranges) if widths[index] < found.maximum]:
        left = room - sum(widths)
        if left <= 0:
            break
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
    table = _Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
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
