"""A model's first run in a separate process: init, first inference, peak memory, and whether it runs at all.

A fresh process is in the same state as a freshly started app, and a model that crashes or blocks LiteRT affects only
that process. Starting Python and importing LiteRT takes a quarter of a second. On Linux one helper does that once and
forks for every cell, so the memory growth of the fork is that of the model. On systems without a safe fork, a helper
serves one cell, and the next one starts.

Run as a program it is the helper: JSON requests on stdin, one per line, JSON answers on stdout.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from model_maker.errors import ModelMakerError
from model_maker.system import limited_process

FORKS = sys.platform == "linux"
# Argument of a helper that serves one cell.
_ONCE = "once"
_ENDED = {"reason": "The process for the first run has ended unexpectedly. Run again."}


class Helper:
    """The helper process, which forks for each cell if it can; starts at construction. Call `close` at the end."""

    def __init__(self, *, forks: bool = FORKS) -> None:
        self._forks = forks
        self.process = _start(forks)

    def probe(self, path: Path, delegate: str, *, threads: int, timeout_s: float) -> dict[str, Any]:
        """Opens a model in a fresh process and runs it once.

        Returns:
          `init_ms`, `first_ms`, `memory_mb` (growth of the peak memory of the process, None if unknown) and
          `notes`; or the `reason` it could not run.
        """
        request = {"path": str(path), "delegate": delegate, "threads": threads, "timeout_s": timeout_s}
        return self._ask(request) if self._forks else self._ask_once(request)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        return json.loads(answer) if answer else _ENDED

    def _ask_once(self, request: dict[str, Any]) -> dict[str, Any]:
        """Gets the answer of the helper, and starts the next one."""
        process = self.process
        assert process.stdout
        if not process.stdout.readline():  # the ready message
            return _ENDED
        try:
            answer, _ = process.communicate(json.dumps(request).encode() + b"\n", request["timeout_s"])
        except BaseException as error:
            self.close()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return _too_slow(request)
        finally:
            self.process = _start(self._forks)
        answer, _, said = answer.partition(b"\n")
        return read_answer(answer, process.returncode, json.loads(said or b'""'), request)

    def close(self) -> None:
        """Ends the helper and its fork."""
        if sys.platform == "win32":
            self.process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with contextlib.suppress(OSError):  # it has ended already
                    pipe.close()
        self.process.wait()

    def __enter__(self) -> Helper:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _start(forks: bool) -> subprocess.Popen[bytes]:
    # NumPy's threads would not survive a fork.
    surroundings = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", __name__]  # -P: files in the current folder must not shadow packages
    return subprocess.Popen(
        command if forks else [*command, _ONCE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=surroundings,
        # The parent handles ctrl-C, and `close` ends helper and forks together.
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


@contextlib.contextmanager
def _answering() -> Iterator[tuple[BinaryIO, Callable[[], str]]]:
    """Imports LiteRT; yields the stream for answers, and a reader of output to descriptors 1 and 2."""
    with os.fdopen(os.dup(1), "wb") as answers, tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        from model_maker.benchmark import input_data  # noqa: F401 - both loaded before the first run, so that they count for no model
        from model_maker.tflite import interpreter  # noqa: F401

        def take() -> str:
            said.seek(0)
            text = said.read().decode(errors="replace")
            said.seek(0)
            said.truncate()
            return text

        yield answers, take


def serve_once() -> None:
    """Signals that it is ready, and answers one request in this process: the answer, and the captured output."""
    with _answering() as (answers, printed):
        answers.write(b"\n")
        answers.flush()
        if line := sys.stdin.buffer.readline():
            for part in (_first_run(**json.loads(line)), printed()):
                answers.write(json.dumps(part).encode() + b"\n")
            answers.flush()
        os._exit(0)  # without exit handlers of libraries, like a fork


if sys.platform == "win32":
    serve = serve_once
else:

    def serve() -> None:
        """Answers requests until stdin ends, each in a fork."""
        with _answering() as (answers, printed):
            for line in sys.stdin.buffer:
                answers.write(json.dumps(_in_fork(json.loads(line), printed)).encode() + b"\n")
                answers.flush()

    def _in_fork(request: dict[str, Any], printed: Callable[[], str]) -> dict[str, Any]:
        reader, writer = os.pipe()
        fork = os.fork()
        if fork == 0:
            os.close(reader)
            # Its default action ends a process that is blocked inside LiteRT, where Python handlers do not run.
            signal.setitimer(signal.ITIMER_REAL, request["timeout_s"])
            try:
                with os.fdopen(writer, "wb") as out:
                    out.write(json.dumps(_first_run(**request)).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            answer = file.read()
        _, status = os.waitpid(fork, 0)
        code = os.waitstatus_to_exitcode(status)
        return _too_slow(request) if code == -signal.SIGALRM else read_answer(answer, code, printed(), request)


def _first_run(path: str, delegate: str, threads: int, timeout_s: float) -> dict[str, Any]:
    import numpy as np

    from model_maker.benchmark.delegates import DELEGATES
    from model_maker.benchmark.input_data import random_input
    from model_maker.progress import peak_memory_mb

    # A fork first has to page in code of Python and NumPy; the memory of the same steps without a model is subtracted.
    with contextlib.suppress(ModelMakerError):
        random_input((1, 8), np.dtype(np.uint8))
        DELEGATES[delegate].open(Path(os.devnull), threads)
    before = peak_memory_mb()
    try:
        begin = time.perf_counter()
        session = DELEGATES[delegate].open(Path(path), threads)
        opened = time.perf_counter()
        session.set_input(random_input(session.input_shape, session.input_dtype))
        ready = time.perf_counter()
        session.invoke()
        end = time.perf_counter()
    except (ModelMakerError, RuntimeError, ValueError, ImportError) as error:
        return {"reason": str(error).strip().splitlines()[0][:300]}
    found = {"init_ms": (opened - begin) * 1e3, "first_ms": (end - ready) * 1e3}
    complete = getattr(session, "complete", None)
    after = peak_memory_mb()
    growth = None if after is None or before is None else after - before
    return found | {"memory_mb": growth, "complete": complete}


def _too_slow(request: dict[str, Any]) -> dict[str, Any]:
    return {"reason": f"It did not open and run once within {request['timeout_s']:g} s. Allow more with --timeout."}


def read_answer(answer: bytes, code: int, said: str, request: dict[str, Any]) -> dict[str, Any]:
    if (name := limited_process.crash(code)) or not answer:
        return {"reason": f"LiteRT crashed ({name or f'exit code {code}'}) on this model with {request['delegate']}."}
    found = json.loads(answer)
    if request["delegate"] == "gpu":
        found = _explained(found, said)
    return found


# Messages that LiteRT's GPU accelerator writes to the terminal and reports in no other way.
_ADAPTER = re.compile(r"Selected adapter: ([^,\n]+),.*?adapterType=(.+)")
_SHARED = re.compile(r"^(\d+) operations will run on the GPU, and the remaining (\d+) operations", re.MULTILINE)
_GPU_ERROR = re.compile(r"^ERROR: \[[\w./]+:\d+\] (.+)", re.MULTILINE)


def _explained(found: dict[str, Any], said: str) -> dict[str, Any]:
    """Adds the messages of the GPU accelerator: why it failed, or which GPU it uses (possibly a software GPU)."""
    errors = _GPU_ERROR.findall(said)
    if "reason" in found:
        return {"reason": f"{found['reason'].rstrip('.')}: {errors[0].rstrip('.')}."} if errors else found
    notes = [f"on {adapter[1].strip()} ({adapter[2].strip()})" for adapter in _ADAPTER.finditer(said)][:1]
    notes += [f"the CPU runs {shared[2]} of its operators, the GPU {shared[1]}" for shared in _SHARED.finditer(said)][
        :1
    ]
    return found | {"notes": notes}


if __name__ == "__main__":
    serve_once() if _ONCE in sys.argv[1:] else serve()
