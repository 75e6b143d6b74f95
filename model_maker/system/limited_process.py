"""Work in a process of its own: its memory and log lines go with it, and what hangs or crashes is ended."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from model_maker.errors import BackboneError, ModelMakerError
from model_maker.system import files

if sys.platform != "win32":
    import resource

_REFUSAL = ".refused"
# prctl(2): the signal that a process gets when the thread that started it ends. `run` waits in that thread.
_PR_SET_PDEATHSIG = 1
# What Windows ends a process with (NTSTATUS, in [MS-ERREF] 2.3): from this number on, and the usual ones by name.
_CRASHED = 0xC0000000
_CRASHES = {
    0xC0000005: "access violation",
    0xC000001D: "illegal instruction",
    0xC0000094: "division by zero",
    0xC00000FD: "stack overflow",
    0xC0000374: "heap corruption",
    0xC0000409: "abort",
}


def run(
    module: str,
    *arguments: str,
    what: str,
    limit_s: float | None = None,
    error: type[ModelMakerError] = BackboneError,
    within: Sequence[str] = (),
) -> bytes:
    """Runs `python -m module ARGUMENTS... FILE` and returns what it wrote to FILE.

    Args:
      module: a module of this package whose main part calls `answer`.
      what: the thing that is worked on, for messages.
      limit_s: seconds after which the process is ended; None for no limit.
      error: what to raise.
      within: the words of a command that runs the process inside something.

    Raises:
      ModelMakerError: of the kind `error`: the child refused in a sentence of its own, failed, crashed, or took too
        long.
    """
    # On Windows the file of a child that was ended may be open for a moment longer.
    with files.temporary_directory() as folder:
        target = Path(folder) / "answer"
        # -P: a file of the user's called keras.py must not stand in for the package.
        command = [*within, sys.executable, "-P", "-m", module, *arguments, str(target)]
        # Converters walk through sets of names, in an order that is random unless this is fixed.
        fixed = os.environ | {"PYTHONHASHSEED": "0", "PYTHONIOENCODING": "utf-8"} | temporary(folder)
        # Nothing is ever written to it: it ends with this process, and so does the child.
        alive, ours = os.pipe()
        try:
            child = subprocess.run(command, stdin=alive, capture_output=True, check=False, timeout=limit_s, env=fixed)
        except subprocess.TimeoutExpired:
            raise error(
                f"{what} could not be opened within {limit_s:.0f} seconds, so it is probably damaged."
            ) from None
        finally:
            os.close(alive)
            os.close(ours)
        if child.returncode == 0:
            return target.read_bytes()
        if (refusal := target.with_suffix(_REFUSAL)).exists():
            raise error(refusal.read_text(encoding="utf-8"))
        if name := crash(child.returncode):
            raise error(f"{what} crashed the process that opened it ({name}), so it is probably damaged.")
        said = "\n".join(child.stderr.decode(errors="replace").strip().splitlines())
        raise error(f"{what} could not be opened. The process that tried said:\n{said[-2000:]}")


@contextlib.contextmanager
def handed(content: bytes) -> Iterator[str]:
    """Gives the path of a `.tflite` with some content, for a child to open; it is gone when the block ends."""
    # A folder, for what this process has open, Windows opens for no other.
    with files.temporary_directory() as folder:
        file = Path(folder) / "model.tflite"
        file.write_bytes(content)
        yield str(file)


def temporary(folder: Path) -> dict[str, str]:
    """Returns the environment in which a process puts what it makes for the moment into a folder of ours."""
    return dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))


def crash(code: int) -> str:
    """Returns what ended a process that did not end itself, by its return code; empty where it did."""
    if code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:  # one of those without a name
            return f"signal {-code}"
    return _CRASHES.get(code, f"0x{code:08X}") if code >= _CRASHED else ""


def answer(work: Callable[..., bytes], *, memory_bytes: int | None = None, cpu_s: int | None = None) -> None:
    """The main part of a child: hands back the bytes that `work(*arguments)` returns, or why it refuses.

    Args:
      work: takes the arguments that `run` was given.
      memory_bytes: how much address space the work may have beyond what the process has taken so far. Neither macOS
        nor Windows has such a limit; there memory is not limited.
      cpu_s: seconds of computing after which the system ends the process, also where nobody waits for it any more; on
        Windows they are seconds on the clock.
    """
    *arguments, target = sys.argv[1:]
    _end_with_parent()
    limit(memory_bytes, cpu_s)
    try:
        Path(target).write_bytes(_within_memory(work, arguments, memory_bytes))
    except ModelMakerError as error:
        Path(target).with_suffix(_REFUSAL).write_text(str(error), encoding="utf-8", newline="\n")
        raise


def _end_with_parent() -> None:
    """Ends this process once that is gone that started it with `run`, however that ended."""
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        return  # started by hand

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    if sys.platform == "linux":  # also while a library lets no other thread run
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _within_memory(work: Callable[..., bytes], arguments: list[str], limit_bytes: int | None) -> bytes:
    try:
        return work(*arguments)
    except MemoryError as error:
        limit = f"more than {limit_bytes >> 30} GB of memory" if limit_bytes else "more memory than there is"
        raise ModelMakerError(f"It needs {limit}, so it is probably damaged.") from error


def write_no_files() -> None:
    """From now on this process puts nothing into files, where the system can see to that: not on Windows."""
    if sys.platform != "win32":
        _lower(resource.RLIMIT_FSIZE, 0)


if sys.platform == "win32":

    def limit(memory_bytes: int | None, cpu_s: int | None) -> None:
        if cpu_s is not None:
            faulthandler.dump_traceback_later(cpu_s, exit=True)  # from a thread of its own, whatever the others do

else:

    def limit(memory_bytes: int | None, cpu_s: int | None) -> None:
        if memory_bytes is not None and sys.platform != "darwin":  # which refuses it
            _lower(resource.RLIMIT_AS, _address_space_bytes() + memory_bytes)
        if cpu_s is not None:
            _lower(resource.RLIMIT_CPU, cpu_s)

    def _lower(limit: int, most: int) -> None:
        """Lowers a limit, or leaves the one that was set for us from outside, where that is lower."""
        _, hard = resource.getrlimit(limit)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))

    def _address_space_bytes() -> int:
        try:
            return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        except OSError:  # not Linux: no telling, so what was taken so far is not counted against the work
            return 2 << 30
