"""Child process of `isolated_runtime`: opens one model, and answers batches until its input closes.

python -P -m model_maker.inference.isolated_worker MODULE PATH
"""

import faulthandler
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from model_maker import progress
from model_maker.data.streaming import cores
from model_maker.errors import ModelError, ModelMakerError
from model_maker.inference import isolated_runtime, runtimes
from model_maker.inference.opened import Opened
from model_maker.system import limited_process
from model_maker.tflite import vetting

Array = np.ndarray[Any, Any]
_POLL_S = 0.2


def main(module: str, path: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles ctrl-C, and this process ends with it
    # Answers do not use descriptor 1, to which libraries may print.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # For work that never ends after the parent is gone; a C thread, so it works even if Python is blocked.
    faulthandler.dump_traceback_later(isolated_runtime.OPEN_LIMIT_S * 2, exit=True)
    runtime = importlib.import_module(module)
    getattr(runtime, "prepare", lambda: None)()
    limited_process.limit(vetting.MEMORY_BYTES, None)
    if sys.platform == "darwin":
        threading.Thread(target=_watch_memory, daemon=True).start()
    opened = _try(lambda: runtime.open_path(Path(path)))
    if isinstance(opened, dict):
        isolated_runtime.send(answers, opened | {"id": 0})
        return
    limited_process.write_no_files()
    runner = opened.runner()
    told = {"labels": opened.info.labels, "shape": runner.input_shape, "dtype": np.dtype(runner.input_dtype).name}
    isolated_runtime.send(answers, told | {"id": 0})
    _Server(answers, opened).serve(sys.stdin.buffer)


class _Server:
    def __init__(self, answers: BinaryIO, opened: Opened):
        self._answers, self._opened = answers, opened
        self._own, self._lock, self._running = threading.local(), threading.Lock(), 0

    def serve(self, requests: BinaryIO) -> None:
        faulthandler.cancel_dump_traceback_later()
        pool = ThreadPoolExecutor(cores())
        while (request := isolated_runtime.receive(requests)) is not None:
            pool.submit(self._answer, *request)
        os._exit(0)  # even if threads are still running

    def _answer(self, header: dict[str, Any], content: bytes) -> None:
        self._count(1)
        found = _try(lambda: self._run(np.frombuffer(content, header["dtype"]).reshape(header["shape"])))
        told = found if isinstance(found, dict) else {"shape": found.shape, "dtype": found.dtype.name}
        with self._lock:
            isolated_runtime.send(
                self._answers, told | {"id": header["id"]}, b"" if isinstance(found, dict) else found.tobytes()
            )
        self._count(-1)

    def _run(self, batch: Array) -> Array:
        if not hasattr(self._own, "runner"):
            self._own.runner = self._opened.runner()
        scores = np.ascontiguousarray(self._own.runner.run(batch))
        if scores.dtype.kind not in "fiub":
            raise ModelError(f"The model answers with {scores.dtype}, not with numbers.")
        return scores

    def _count(self, step: int) -> None:
        with self._lock:
            self._running += step
            if self._running:
                faulthandler.dump_traceback_later(isolated_runtime.RUN_LIMIT_S * 2, exit=True)
            else:
                faulthandler.cancel_dump_traceback_later()


def _try(work: Callable[[], Any]) -> Any:
    """Returns the result of `work`, or a header with the reason of its failure."""
    try:
        return work()
    except MemoryError:
        return {"refused": f"It needs more than {vetting.MEMORY_BYTES >> 30} GB of memory, so it is probably damaged."}
    except ModelMakerError as error:
        return {"refused": str(error)}
    except Exception as error:
        return {"refused": str(runtimes.explain_run("Its runtime", error))}


def _watch_memory() -> None:
    """Ends this process if it uses too much memory, because macOS has no such limit."""
    while (peak_mb := progress.peak_memory_mb()) is not None and peak_mb < vetting.MEMORY_BYTES >> 20:
        time.sleep(_POLL_S)
    if peak_mb is not None:
        os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
