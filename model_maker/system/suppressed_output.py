"""Suppresses output that libraries write to the terminal.

Streams and file descriptors belong to the whole process. So they are redirected only if the process is ours, like that
of the command line, or if no other thread is running that might write to them.
"""

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
    """Allows redirection while other threads run; for the command line, not for use as a library."""
    global _is_ours
    _is_ours = True


def may_redirect() -> bool:
    """Returns whether streams of this process may be redirected."""
    return _is_ours or threading.active_count() == 1


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Suppresses Python warnings and, if redirection is allowed, printed output while the block runs."""
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
            # The first log call configures logging if necessary; all later output would then go to the redirected
            # stream.
            for handler in list(logging.root.handlers):
                if getattr(handler, "stream", None) is silence:
                    logging.root.removeHandler(handler)


@contextlib.contextmanager
def diverted(unwanted: Callable[[bytes], bool]) -> Iterator[list[bytes]]:
    """Filters lines written to file descriptor 2 while the block runs; not on a Windows console.

    Args:
      unwanted: returns whether to drop a line; other lines are written when the block ends.

    Yields:
      A list, which contains the dropped lines after the block.
    """
    dropped: list[bytes] = []
    with _one_at_a_time:
        if sys.stderr is None or is_console() or not may_redirect():  # or stderr was closed at startup
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
    """Returns whether Python writes to a Windows console, which fails while descriptors 1 or 2 are redirected."""
    streams = (sys.stdout, sys.stderr)
    return sys.platform == "win32" and any(stream is not None and stream.isatty() for stream in streams)


def hush_pillow() -> None:
    """Suppresses Pillow's messages on photos for the rest of the process.

    Unreadable photos lead to our own messages; warnings of damaged EXIF or more than 89 megapixels do not help users of
    the command line.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    from PIL import _imaging

    # libtiff writes from C; its functions are found through Pillow's extension module, which is linked with it.
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        with contextlib.suppress(AttributeError, OSError):  # Pillow without libtiff, or with hidden symbols
            getattr(ctypes.CDLL(_imaging.__file__), name)(None)
