"""How a command ends: errors become one line on stderr and an exit code."""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
import textwrap
from collections.abc import Callable

from model_maker.errors import ModelMakerError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
# Terminals obey these: C0 and C1 without tab and newline, and what turns the direction of writing.
_COMMANDS = {*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_HARMLESS = dict.fromkeys(_COMMANDS, "\ufffd")


def exit_code(command: Callable[[], int | None], *, program: str, debug: bool, interrupted: str) -> int:
    """Runs a command and returns its exit code.

    Args:
      command: what to run; None counts as 0.
      program: stands before messages.
      debug: whether errors keep their traceback.
      interrupted: what to say after ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name may hold bytes that are no text. On Windows, what is not for the eye would be in an encoding of
        # its own, which no reader of JSON expects.
        encoding = "utf-8" if sys.platform == "win32" and not sys.stdout.isatty() else None
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")
    try:
        code = command() or OK
        if sys.stdout is not None:  # as where it was closed before the start
            sys.stdout.flush()
        return code
    except ModelMakerError as error:
        if debug:
            raise
        say(program, str(error))
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{program}: {interrupted}\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has left: that is its good right, and Python must not complain at exit.
        _write_no_more()
        return OK
    except OSError as error:
        if error.errno == errno.EINVAL and _has_no_reader():
            _write_no_more()
            return OK
        if error.errno != errno.ENOSPC:
            raise
        _write_no_more()
        say(program, "what it prints cannot be written: no space left. Make room, or print elsewhere.")
        return FAILED


def _has_no_reader() -> bool:
    """Whether stdout takes what is left in it as badly: so Windows tells of a pipe whose reader has left."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        return error.errno == errno.EINVAL
    return False


def _write_no_more() -> None:
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(program: str, message: str) -> None:
    """Writes a message on stderr: one line, which in a terminal is broken between words."""
    line = f"{program}: {printable(message)}"
    if sys.stderr is not None and sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        line = textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
    sys.stderr.write(f"{line}\n")


def printable(text: str) -> str:
    """Takes out of a text what a terminal would obey: it may come from a file that nobody has looked into."""
    return text.translate(_HARMLESS)
