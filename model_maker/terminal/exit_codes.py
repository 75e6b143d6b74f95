"""How a command ends: errors become one line on stderr and an exit code."""

import contextlib
import errno
import io
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from model_maker.errors import ModelMakerError
from model_maker.system import files
from model_maker.terminal import safe_text, wrapping

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
# Signals that end a process are handled like ctrl-C; Windows has only the first.
_ENDING = ("SIGTERM", "SIGHUP")


def exit_code(
    command: Callable[[], int | None],
    *,
    program: str,
    debug: bool,
    interrupted: str,
    worded: Callable[[str], str] = str,
) -> int:
    """Runs a command and returns its exit code; None counts as 0.

    Messages begin with `program`, and `worded` converts those of errors; `interrupted` is that after ctrl-C.
    """
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name may hold bytes that are not text. On Windows, redirected output would be in a legacy encoding,
        # which readers of JSON do not expect.
        encoding = "utf-8" if sys.platform == "win32" and not sys.stdout.isatty() else None
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")
    with _ended_by_signals() as signals:
        code = _exit_code(command, program=program, debug=debug, interrupted=interrupted, worded=worded)
    return 128 + signals[0] if signals else code


def _exit_code(
    command: Callable[[], int | None], *, program: str, debug: bool, interrupted: str, worded: Callable[[str], str]
) -> int:
    try:
        files.collect_leftovers()
        code = command() or OK
        if sys.stdout is not None:  # None if it was closed before the start
            sys.stdout.flush()
        return code
    except ModelMakerError as error:
        if debug:
            raise
        say(program, worded(str(error)))
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("\n")  # after the terminal's ^C
        say(program, interrupted)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has closed it, which is not an error; Python must not complain at exit.
        _write_no_more()
        return OK
    except OSError as error:
        if error.errno == errno.EINVAL and _has_no_reader():
            _write_no_more()
            return OK
        if error.errno != errno.ENOSPC:
            raise
        _write_no_more()
        say(program, "cannot write the output: no space left on the device. Free some space, or redirect the output.")
        return FAILED


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[list[int]]:
    """Within the block, termination signals raise KeyboardInterrupt; yields the signal received."""
    received: list[int] = []
    numbers = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    # Ignored signals stay ignored, for example under nohup.
    handled = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]

    def interrupt(number: int, _: object) -> None:
        for other in handled:  # only once: the cleanup must not be interrupted
            signal.signal(other, signal.SIG_IGN)
        received.append(number)
        raise KeyboardInterrupt

    for number in handled:
        signal.signal(number, interrupt)
    try:
        yield received
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


def _open_closed_streams() -> None:
    """Opens the null device in place of streams that were closed before the start.

    Otherwise the next opened file would get their descriptor, and receive what libraries print.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8", newline="\n")  # noqa: SIM115 - open until the end
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8", newline="\n")  # noqa: SIM115


def _has_no_reader() -> bool:
    """Whether flushing stdout fails, too, as it does on Windows when the reader of a pipe has closed it."""
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
    """Writes a message to stderr as one line, which a terminal wraps between words."""
    lines = f"{program}: {safe_text.set_in(message)}".split("\n")
    if sys.stderr is not None and sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        lines = [wrapping.wrapped(line, width, hang=2) for line in lines]
    sys.stderr.write("\n".join(lines) + "\n")
