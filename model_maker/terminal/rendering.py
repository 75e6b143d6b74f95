"""Building blocks of terminal output: the console, tables, escaped text."""

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


def table(*columns: str) -> Table:
    """A table; a column whose name ends with > is right-aligned. Long cells wrap and are never cut."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
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
