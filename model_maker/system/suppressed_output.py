"""Keeps what libraries write to the terminal on their own away from it, and nothing else.

Streams and file descriptors belong to the whole process. So they are redirected only where the process is ours, as the
command line's is, or where no other thread runs that might write to them.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator

_one_at_a_time = threading.Lock()
_is_ours = False


def own_process() -> None:
    """Allows redirection while other threads run; for programs that are a command line, not for libraries."""
    global _is_ours
    _is_ours = True


def may_redirect() -> bool:
    """Whether streams of this process may be redirected."""
    return _is_ours or threading.active_count() == 1


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Drops warnings of Python code while the block runs, and what it prints, where that may be redirected."""
    silence = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        if may_redirect():
            stack.enter_context(contextlib.redirect_stdout(silence))
            stack.enter_context(contextlib.redirect_stderr(silence))
        try:
            yield
        finally:
            # Where logging is not set up, its first line does it, and all later ones would end in this silence.
            for handler in list(logging.root.handlers):
                if getattr(handler, "stream", None) is silence:
                    logging.root.removeHandler(handler)


@contextlib.contextmanager
def diverted(unwanted: Callable[[bytes], bool]) -> Iterator[list[bytes]]:
    """Holds back lines that are written to file descriptor 2 while the block runs; not on a console of Windows.

    Args:
      unwanted: whether a line is dropped; the others are written when the block ends.

    Yields:
      A list, which holds the dropped lines afterwards.
    """
    dropped: list[bytes] = []
    with _one_at_a_time:
        if (
            sys.stderr is None or is_console() or not may_redirect()
        ):  # or the process was started with its stderr closed
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


def is_console() -> bool:
    """Tells whether Python writes to a console of Windows, which fails while descriptors 1 or 2 lead elsewhere."""
    streams = (sys.stdout, sys.stderr)
    return sys.platform == "win32" and any(stream is not None and stream.isatty() for stream in streams)


def hush_pillow() -> None:
    """Keeps Pillow's remarks on photos off the terminal, for the rest of the process.

    What it can read it reads, and what it cannot becomes a message of its own; that it found damaged EXIF or more than
    89 megapixels on the way is no concern of whoever runs a command.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    from PIL import _imaging

    # libtiff, on which it builds, writes from C; its functions are found through the module that is linked with it.
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        with contextlib.suppress(AttributeError, OSError):  # a Pillow without libtiff, or one that hides its functions
            getattr(ctypes.CDLL(_imaging.__file__), name)(None)
