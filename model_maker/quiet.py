"""Keeps what C++ libraries write to the terminal on their own away from it, and nothing else."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator

_one_at_a_time = threading.Lock()


@contextlib.contextmanager
def diverted(unwanted: Callable[[bytes], bool]) -> Iterator[list[bytes]]:
    """Holds back lines that are written to file descriptor 2 while the block runs.

    Args:
      unwanted: whether a line is dropped; the others are written when the block ends.

    Yields:
      A list, which holds the dropped lines afterwards.
    """
    dropped: list[bytes] = []
    with _one_at_a_time:
        if sys.stderr is None:  # the process was started with its stderr closed
            yield dropped
            return
        with tempfile.TemporaryFile() as aside:
            sys.stderr.flush()
            terminal = os.dup(2)
            os.dup2(aside.fileno(), 2)
            try:
                yield dropped
            finally:
                os.dup2(terminal, 2)
                os.close(terminal)
                aside.seek(0)
                lines = aside.readlines()
                dropped += [line for line in lines if unwanted(line)]
                os.write(2, b"".join(line for line in lines if not unwanted(line)))
