"""Runs work in a child process, so that its memory and log lines go with it, and hangs and crashes are contained."""

import contextlib
import ctypes
import faulthandler
import functools
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
# prctl(2): sets the signal that a process gets when the thread that started it ends, which waits for it.
_PR_SET_PDEATHSIG = 1
# Exit codes of crashes on Windows (NTSTATUS, [MS-ERREF] 2.3): the first one, and names of common ones.
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
      module: a module of this package that calls `answer` when run.
      what: the subject of messages, for example a file.
      limit_s: seconds after which the process is killed; None for no limit.
      within: arguments of a wrapper command that runs the process, for example in a sandbox.

    Raises:
      ModelMakerError: of the type `error`: the child reported an error, failed, crashed, or took too long.
    """
    with started(module, *arguments, what=what, limit_s=limit_s, error=error, within=within) as answer:
        return answer()


@contextlib.contextmanager
def started(
    module: str,
    *arguments: str,
    what: str,
    limit_s: float | None = None,
    error: type[ModelMakerError] = BackboneError,
    within: Sequence[str] = (),
) -> Iterator[Callable[[], bytes]]:
    """Starts what `run` runs, and yields a function that waits for it and returns what `run` returns.

    Leaving the block ends the child.
    """
    # On Windows the file of a child that was ended may be open for a moment longer.
    with files.temporary_directory() as folder:
        target = Path(folder) / "answer"
        # -P: a file keras.py in the current folder must not shadow the package.
        command = [*within, sys.executable, "-P", "-m", module, *arguments, str(target)]
        # Converters iterate over sets of names, whose order is random without a fixed hash seed.
        fixed = os.environ | {"PYTHONHASHSEED": "0", "PYTHONIOENCODING": "utf-8"} | temporary(folder)
        # Nothing is ever written to this pipe: it closes when this process ends, and then the child ends, too.
        alive, ours = os.pipe()
        try:
            with subprocess.Popen(
                command, stdin=alive, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=fixed
            ) as child:
                try:
                    yield functools.partial(_answer, child, target, what, limit_s, error)
                finally:
                    child.kill()
        finally:
            os.close(alive)
            os.close(ours)


def _answer(
    child: subprocess.Popen, target: Path, what: str, limit_s: float | None, error: type[ModelMakerError]
) -> bytes:
    try:
        _, said = child.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        raise error(f"{what} could not be opened within {limit_s:.0f} seconds, so it is probably damaged.") from None
    if child.returncode == 0:
        return target.read_bytes()
    if (refusal := target.with_suffix(_REFUSAL)).exists():
        raise error(refusal.read_text(encoding="utf-8"))
    if name := crash(child.returncode):
        raise error(f"{what} crashed the process that opened it ({name}), so it is probably damaged.")
    lines = "\n".join(said.decode(errors="replace").strip().splitlines())
    raise error(f"{what} could not be opened. The process that tried said:\n{lines[-2000:]}")


@contextlib.contextmanager
def handed(content: bytes) -> Iterator[str]:
    """Yields the path of a temporary `.tflite` with this content, for a child to open."""
    # A folder, because on Windows a child cannot open a file that this process has open.
    with files.temporary_directory() as folder:
        file = Path(folder) / "model.tflite"
        file.write_bytes(content)
        yield str(file)


def temporary(folder: Path) -> dict[str, str]:
    """Returns environment variables that make a process put temporary files into this folder."""
    return dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))


def crash(code: int) -> str:
    """Returns the cause of a crash by the return code; empty for a normal exit."""
    if code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:  # a signal without a name
            return f"signal {-code}"
    return _CRASHES.get(code, f"0x{code:08X}") if code >= _CRASHED else ""


def answer(work: Callable[..., bytes], *, memory_bytes: int | None = None, cpu_s: int | None = None) -> None:
    """Main function of a child: returns the bytes of `work(*arguments)`, or its error message, to the parent.

    Args:
      work: called with the arguments of `run`.
      memory_bytes: limit of additional address space. Not available on macOS and Windows, where memory is not limited.
      cpu_s: seconds of CPU time after which the system kills the process, even if the parent is gone; on Windows
        seconds of elapsed time.
    """
    *arguments, target = sys.argv[1:]
    _end_with_parent()
    limit(memory_bytes, cpu_s)
    try:
        Path(target).write_bytes(_within_memory(work, arguments, memory_bytes))
    except ModelMakerError as error:
        Path(target).with_suffix(_REFUSAL).write_text(str(error), encoding="utf-8", newline="\n")
        raise
    os._exit(0)  # unloading matplotlib or TensorFlow takes a tenth of a second or more, and the parent waits


def _end_with_parent() -> None:
    """Ends this process when its parent, which called `run`, has ended for any reason."""
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        return  # started manually

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    if sys.platform == "linux":  # works even while a library holds the GIL
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _within_memory(work: Callable[..., bytes], arguments: list[str], limit_bytes: int | None) -> bytes:
    try:
        return work(*arguments)
    except MemoryError as error:
        limit = f"more than {limit_bytes >> 30} GB of memory" if limit_bytes else "more memory than there is"
        raise ModelMakerError(f"It needs {limit}, so it is probably damaged.") from error


def write_no_files() -> None:
    """Prevents this process from writing files from now on; not available on Windows."""
    if sys.platform != "win32":
        _lower(resource.RLIMIT_FSIZE, 0)


if sys.platform == "win32":

    def limit(memory_bytes: int | None, cpu_s: int | None) -> None:
        if cpu_s is not None:
            faulthandler.dump_traceback_later(cpu_s, exit=True)  # from its own thread, even if the others hang

else:

    def limit(memory_bytes: int | None, cpu_s: int | None) -> None:
        if memory_bytes is not None and sys.platform != "darwin":  # macOS rejects it
            _lower(resource.RLIMIT_AS, _address_space_bytes() + memory_bytes)
        if cpu_s is not None:
            _lower(resource.RLIMIT_CPU, cpu_s)

    def _lower(limit: int, most: int) -> None:
        """Lowers a limit; keeps an existing one that is lower."""
        _, hard = resource.getrlimit(limit)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))

    def _address_space_bytes() -> int:
        try:
            return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        except OSError:  # not Linux: current usage is unknown, so it is not subtracted
            return 2 << 30
