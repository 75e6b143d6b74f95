"""What everything that is shown in a terminal is made of: the console, tables, text from outside made harmless."""

from __future__ import annotations

import re
import shlex
import sys

from rich import box, markup
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from model_maker.terminal import safe_text


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to `exits` what becomes of a command whose reader has gone; rich would end it with a failure."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """Returns stdout or stderr, without colours of rich's own choice."""
    return _Console(stderr=stderr, highlight=False)


def say(console: Console, text: str, *, indent: int = 0) -> None:
    """Prints a line of markup; a terminal gets it broken between words, a program whole."""
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)))
    else:
        console.print(f"{' ' * indent}{text}", soft_wrap=True)


def table(*columns: str) -> Table:
    """A table; a column whose name ends with > is aligned right. What is too long is broken, never cut."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column in columns:
        name = markup.escape(safe_text.printable(column.removesuffix(">")))  # of ours, which may have two lines
        table.add_column(name, justify="right" if column.endswith(">") else "left", overflow="fold")
    return table


def escape(text: str) -> str:
    """Makes text from outside harmless for rich and for the terminal."""
    return markup.escape(safe_text.set_in(text))


def quoted(argument: str) -> str:
    """Returns an argument as the shell of this system wants it in a command."""
    if sys.platform != "win32":
        return shlex.quote(argument)
    # Both of its shells take quotes around what is no plain name; no name of a file has one inside.
    return argument if re.fullmatch(r"[\w@+=:./\\-]+", argument) else f'"{argument}"'


def percent(share: float) -> str:
    """Says a share in percent."""
    return f"{100 * share:.1f} %"
