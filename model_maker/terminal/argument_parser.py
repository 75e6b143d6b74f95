"""An argument parser that suggests the closest command or option."""

import argparse
import difflib
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from absl.flags import argparse_flags

from model_maker.terminal import exit_codes, wrapping

# argparse's error for an unknown sub-command, from Python 3.11 to 3.14.
_NO_COMMAND = re.compile(r"argument COMMAND: invalid choice: (?P<quote>['\"])(?P<name>.*?)(?P=quote) ", re.DOTALL)


class CommandsFormatter(argparse.RawDescriptionHelpFormatter):
    """Leaves room for the names of commands, which argparse indents once more than it reckons."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            self._action_max_length += self._indent_increment


class Parser(argparse_flags.ArgumentParser):
    """A parser that suggests the command or option that was probably meant; its sub-parsers are of the same class."""

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parses a command line; usage errors exit with 2, below the usage of the sub-command that they belong to."""
        found, unknown = self.parse_known_args(arguments)
        if unknown:
            parser = getattr(found, "parser", self)
            names = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
            meant = next(
                filter(None, (_meant(word.partition("=")[0], names) for word in unknown if word[0] == "-")), ""
            )
            parser.error(f"unrecognized arguments: {' '.join(unknown)}.{meant}")
        return found

    def format_usage(self) -> str:
        """Returns the usage, no wider than the terminal."""
        return self._fitted(super().format_usage())

    def format_help(self) -> str:
        """Returns the help, no wider than the terminal, except for examples, which are commands to copy."""
        return self._fitted(super().format_help())

    def _fitted(self, text: str) -> str:
        width, examples = shutil.get_terminal_size().columns, (self.epilog or "").splitlines()
        return "\n".join(line if line in examples else _wrapped(line, width) for line in text.split("\n"))

    def error(self, message: str) -> NoReturn:
        """Exits with 2 and one message below the usage."""
        if wrong := _NO_COMMAND.match(message):
            names = [name for action in self._actions if isinstance(action.choices, dict) for name in action.choices]
            meant = _meant(wrong["name"], names) or f" See {self.prog} --help for the list."
            message = f"there is no command {wrong['name']!r}.{meant}"
        self.print_usage(sys.stderr)
        exit_codes.say(f"{self.prog}: error", message)
        self.exit(exit_codes.USAGE)


def _wrapped(line: str, width: int) -> str:
    """Wraps a line that argparse leaves whole: a usage or a description of ours."""
    indent = len("usage: ") if line.startswith("usage: ") else len(line) - len(line.lstrip())
    return wrapping.wrapped(line, width, hang=indent + 4 if indent else 0) if len(line) > width else line


def _meant(word: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(names), n=1)
    return f" Did you mean {near[0]}?" if near else ""
