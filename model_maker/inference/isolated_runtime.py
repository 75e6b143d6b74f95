"""Runs models of other formats in a child process.

Whether a graph of TensorFlow, ONNX Runtime or OpenVINO terminates, and how much memory it takes, may depend on the
image, so a trial run proves nothing. Each opened model has one process for its lifetime. Only arrays and JSON cross the
pipe, never objects. The process is killed if it takes too long, and it exits when its input closes, so it ends with
this process.
"""

import contextlib
import importlib
import itertools
import json
import os
import queue
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from model_maker.errors import ModelError
from model_maker.inference.opened import RAW, Opened
from model_maker.system import files, limited_process
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray[Any, Any]
Message = tuple[dict[str, Any], bytes]

# Importing TensorFlow takes 6 s, on a busy machine a minute.
OPEN_LIMIT_S = 300.0
RUN_LIMIT_S = 60.0
_HEAD = struct.Struct("<II")
_MOST_BYTES = 256 << 20
_OPENED = 0
_here = False


@contextlib.contextmanager
def in_this_process() -> Iterator[None]:
    """Opens models in this process while the block runs: for files that it has just written."""
    global _here
    before, _here = _here, True
    try:
        yield
    finally:
        _here = before


def open_path(module: str, path: Path) -> Opened:
    """Opens a model in a child process, in a module of this package with `open_path(Path)`.

    Raises:
      ModelError: it cannot be opened within the limits.
    """
    if _here:
        here: Opened = importlib.import_module(module).open_path(path)
        return here
    model = _Model(module, path)
    opened, _ = model.wait(_OPENED, OPEN_LIMIT_S)
    runner = _IsolatedRunner(model, tuple(opened["shape"]), np.dtype(opened["dtype"]))
    return Opened(ModelInfo(tuple(opened["labels"]), RAW), lambda: runner)


def send(stream: IO[bytes], header: dict[str, Any], content: bytes = b"") -> None:
    """Writes one message: two lengths, a header in JSON, and bytes."""
    text = json.dumps(header).encode()
    stream.write(_HEAD.pack(len(text), len(content)) + text + content)
    stream.flush()


def receive(stream: IO[bytes]) -> Message | None:
    """Reads one message; None at the end of the stream or for invalid data."""
    lengths = stream.read(_HEAD.size)
    if len(lengths) < _HEAD.size or max(_HEAD.unpack(lengths)) > _MOST_BYTES:
        return None
    text, content = (stream.read(length) for length in _HEAD.unpack(lengths))
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return (header, content) if isinstance(header, dict) and len(content) == _HEAD.unpack(lengths)[1] else None


@dataclass
class _State:
    """State shared by the thread that reads answers and those that wait for them; it must not keep the model alive."""

    process: subprocess.Popen[bytes]
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: dict[int, queue.SimpleQueue[Message | None]] = field(default_factory=dict)
    ended: bool = False
    late_s: float = 0.0


class _Model:
    """The process and its pending answers; thread-safe."""

    def __init__(self, module: str, path: Path):
        self._path, self._numbers = path, itertools.count(_OPENED + 1)
        self._aside = contextlib.ExitStack()
        folder = self._aside.enter_context(files.temporary_directory())
        # Each memory arena of the C library reserves address space, which counts against the limit.
        surroundings = os.environ | {"PYTHONIOENCODING": "utf-8", "MALLOC_ARENA_MAX": "4", "TF_CPP_MIN_LOG_LEVEL": "3"}
        surroundings |= limited_process.temporary(folder)
        process = subprocess.Popen(
            # -P: a file keras.py in the current folder must not shadow the package.
            [sys.executable, "-P", "-m", "model_maker.inference.isolated_worker", module, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=surroundings,
        )
        self._state = _State(process)
        self._state.waiting[_OPENED] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(self._state,), daemon=True).start()
        self._end = weakref.finalize(self, _kill, process, self._aside)

    def run(self, batch: Array) -> Array:
        number = next(self._numbers)
        with self._state.lock:
            self._state.waiting[number] = queue.SimpleQueue()
        header = {"id": number, "shape": batch.shape, "dtype": batch.dtype.name}
        answer, content = self.wait(number, RUN_LIMIT_S, (header, np.ascontiguousarray(batch).tobytes()))
        try:
            return np.frombuffer(content, np.dtype(answer["dtype"])).reshape(answer["shape"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self._path}: the process that runs it gave no scores, so it is damaged.") from error

    def wait(self, number: int, limit_s: float, message: Message | None = None) -> Message:
        """Sends a message, and returns the answer with this number."""
        state = self._state
        # The timer also covers a full pipe, if the process has stopped reading.
        watch = threading.Timer(limit_s, _give_up, (state, limit_s))
        watch.daemon = True
        watch.start()
        try:
            if message:
                with contextlib.suppress(OSError, ValueError), state.lock:
                    assert state.process.stdin
                    send(state.process.stdin, *message)
            answer = state.waiting[number].get() if not state.ended else None
        finally:
            watch.cancel()
            state.waiting.pop(number, None)
        if answer is None:
            raise ModelError(self._ending())
        if "refused" in answer[0]:
            raise ModelError(str(answer[0]["refused"])[:2000])
        return answer

    def _ending(self) -> str:
        if self._state.late_s:
            return f"{self._path} gave no answer within {self._state.late_s:.0f} seconds, so it is probably damaged."
        code = self._state.process.wait()
        how = limited_process.crash(code) or code
        return f"{self._path} ended the process that ran it ({how}); it is probably damaged."


def _read(state: _State) -> None:
    assert state.process.stdout
    while (message := receive(state.process.stdout)) is not None:
        waiting = state.waiting.get(message[0].get("id", -1))
        if waiting:
            waiting.put(message)
    state.process.kill()  # if it sends invalid messages
    with state.lock:
        state.ended = True
        for waiting in list(state.waiting.values()):
            waiting.put(None)


def _give_up(state: _State, limit_s: float) -> None:
    state.late_s = limit_s
    state.process.kill()


def _kill(process: subprocess.Popen[bytes], aside: contextlib.ExitStack) -> None:
    process.kill()
    process.wait()
    aside.close()
    with contextlib.suppress(OSError, ValueError):
        assert process.stdin
        process.stdin.close()


@dataclass(frozen=True)
class _IsolatedRunner:
    model: _Model
    input_shape: tuple[int, ...]
    input_dtype: np.dtype[Any]

    def run(self, batch: Array) -> Array:
        return self.model.run(batch)
