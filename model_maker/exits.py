"""How a command ends: errors become one line on stderr and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

from model_maker.errors import ModelMakerError

OK, FAILED, INTERRUPTED = 0, 1, 130


def exit_code(command: Callable[[], int | None], *, program: str, debug: bool, interrupted: str) -> int:
    """Runs a command and returns its exit code.

    Args:
      command: what to run; None counts as 0.
      program: stands before messages.
      debug: whether errors keep their traceback.
      interrupted: what to say after ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may hold bytes that are no text
    try:
        return command() or OK
    except ModelMakerError as error:
        if debug:
            raise
        sys.stderr.write(f"{program}: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{program}: {interrupted}\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has left: that is its good right, and Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
