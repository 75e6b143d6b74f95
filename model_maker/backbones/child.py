"""Work in a process of its own: TensorFlow's memory and log lines go with it, and what hangs or crashes is ended."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from model_maker.errors import BackboneError, ModelMakerError

_REFUSAL = ".refused"


def run(module: str, *arguments: str, what: str, limit_s: float | None = None) -> bytes:
    """Runs `python -m module ARGUMENTS... FILE` and returns what it wrote to FILE.

    Args:
      module: a module of this package whose main part calls `answer`.
      what: the thing that is worked on, for messages.
      limit_s: seconds after which the process is ended; None for no limit.

    Raises:
      BackboneError: the child refused in a sentence of its own, failed, crashed, or took too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "answer"
        # -P: a file of the user's called keras.py must not stand in for the package.
        command = [sys.executable, "-P", "-m", module, *arguments, str(target)]
        # Converters walk through sets of names, in an order that is random unless this is fixed.
        fixed = os.environ | {"PYTHONHASHSEED": "0"}
        try:
            child = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=limit_s, env=fixed
            )
        except subprocess.TimeoutExpired:
            raise BackboneError(
                f"{what} could not be opened within {limit_s:.0f} seconds, so it is taken for damaged."
            ) from None
        if child.returncode == 0:
            return target.read_bytes()
        if (refusal := target.with_suffix(_REFUSAL)).exists():
            raise BackboneError(refusal.read_text(encoding="utf-8"))
        if child.returncode < 0:
            raise BackboneError(f"{what} crashed the process that opened it (signal {-child.returncode}).")
        said = child.stderr.decode(errors="replace").strip()
        raise BackboneError(f"{what} could not be built. TensorFlow said:\n{said[-2000:]}")


def answer(work: Callable[..., bytes]) -> None:
    """The main part of a child: hands back the bytes that `work(*arguments)` returns, or why it refuses."""
    *arguments, target = sys.argv[1:]
    try:
        Path(target).write_bytes(work(*arguments))
    except ModelMakerError as error:
        Path(target).with_suffix(_REFUSAL).write_text(str(error), encoding="utf-8")
        raise
