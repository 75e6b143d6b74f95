"""Work in a process of its own: its memory and log lines go with it, and what hangs or crashes is ended."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from model_maker.errors import BackboneError, ModelMakerError

_REFUSAL = ".refused"


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
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "answer"
        # -P: a file of the user's called keras.py must not stand in for the package.
        command = [*within, sys.executable, "-P", "-m", module, *arguments, str(target)]
        # Converters walk through sets of names, in an order that is random unless this is fixed.
        fixed = os.environ | {"PYTHONHASHSEED": "0"}
        try:
            child = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=limit_s, env=fixed
            )
        except subprocess.TimeoutExpired:
            raise error(
                f"{what} could not be opened within {limit_s:.0f} seconds, so it is taken for damaged."
            ) from None
        if child.returncode == 0:
            return target.read_bytes()
        if (refusal := target.with_suffix(_REFUSAL)).exists():
            raise error(refusal.read_text(encoding="utf-8"))
        if child.returncode < 0:
            name = signal.Signals(-child.returncode).name
            raise error(f"{what} crashed the process that opened it ({name}), so it is taken for damaged.")
        said = child.stderr.decode(errors="replace").strip()
        raise error(f"{what} could not be opened. The process that tried said:\n{said[-2000:]}")


def answer(work: Callable[..., bytes], *, memory_bytes: int | None = None, cpu_s: int | None = None) -> None:
    """The main part of a child: hands back the bytes that `work(*arguments)` returns, or why it refuses.

    Args:
      work: takes the arguments that `run` was given.
      memory_bytes: how much address space the work may have beyond what the process has taken so far.
      cpu_s: seconds of computing after which the system ends the process, also where nobody waits for it any more.
    """
    *arguments, target = sys.argv[1:]
    if memory_bytes is not None:
        most = _address_space_bytes() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    if cpu_s is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    try:
        Path(target).write_bytes(_within_memory(work, arguments, memory_bytes))
    except ModelMakerError as error:
        Path(target).with_suffix(_REFUSAL).write_text(str(error), encoding="utf-8")
        raise


def _within_memory(work: Callable[..., bytes], arguments: list[str], limit_bytes: int | None) -> bytes:
    try:
        return work(*arguments)
    except MemoryError as error:
        limit = f"more than {limit_bytes >> 30} GB of memory" if limit_bytes else "more memory than there is"
        raise ModelMakerError(f"It needs {limit}, so it is taken for damaged.") from error


def _address_space_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:  # not Linux: no telling, so what was taken so far is not counted against the work
        return 2 << 30
