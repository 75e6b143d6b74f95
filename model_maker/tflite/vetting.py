"""Vets a `.tflite` from outside in a child process before it is opened in this one.

A damaged or hostile file can hang or crash LiteRT, or make it or our own parser allocate all memory. So a new file is
first read and run once in a process with limits, and passes only if later runs will be like the first (`runnable`).
Files that pass are cached by hash in the cache directory; so are files that this package has written.
"""

import hashlib
import os
from pathlib import Path

import ai_edge_litert
import numpy as np
from absl import logging

from model_maker.errors import ModelError, OutputError, about
from model_maker.system import files, limited_process
from model_maker.tflite import graph, inspection, interpreter, metadata, runnable

# A sound model of 100 MB opens and runs in a few seconds, with the slow reference kernels in half a minute.
LIMIT_S = 60
# In addition to what LiteRT and NumPy take at startup. EfficientNet-Lite4 in float needs 0.3 GB.
MEMORY_BYTES = 4 << 30
# Purposes of vetting: only reading, or running with one of `interpreter.KERNELS`.
READ = "read"


def read(path: str | os.PathLike[str]) -> bytes:
    """Returns the bytes of a `.tflite` that is safe to parse; it may still not be safe to run.

    Raises:
      ModelError: it cannot be read, or is damaged.
    """
    content = interpreter.read(path)
    with about(path):
        vet(content, READ)
    return content


def vet(content: bytes, purpose: str = "xnnpack") -> None:
    """Checks that a file can be opened in this process.

    Args:
      purpose: READ or a key of `interpreter.KERNELS`.

    Raises:
      ModelError: it is damaged, does not run, or exceeds the limits of time or memory.
    """
    record = _record(content)
    passed = _passed(record)
    if purpose in passed:
        return
    with limited_process.handed(content) as file:
        limited_process.run(__name__, file, purpose, what="It", limit_s=LIMIT_S, error=ModelError)
    _remember(record, passed | {purpose})


def trust(content: bytes) -> None:
    """Records a file that this package has written, so that it need not be vetted."""
    _remember(_record(content), {READ, *interpreter.KERNELS})


def trust_as(content: bytes, original: bytes) -> None:
    """Records a file that differs from an already vetted one only in values: it passes for the same purposes."""
    _remember(_record(content), _passed(_record(original)))


def _record(content: bytes) -> Path:
    folder = files.cache_directory() / "vetted" / f"litert-{ai_edge_litert.__version__}-rules-{runnable.RULES}"
    return folder / hashlib.sha256(content).hexdigest()


def _passed(record: Path) -> set[str]:
    try:
        return set(record.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError):
        return set()


def _remember(record: Path, purposes: set[str]) -> None:
    try:
        files.write(record, " ".join(sorted(purposes)).encode())
    except OutputError as error:  # then it is vetted again next time, which takes half a second
        logging.warning("%s", error)


def _try(path: str, purpose: str) -> bytes:
    attempt(Path(path).read_bytes(), purpose)
    return b""


def attempt(content: bytes, purpose: str) -> None:
    """Reads or runs a file once, as `purpose` says.

    Raises:
      ModelError: it is damaged, does not run, or may behave differently the next time.
    """
    metadata.read(content)
    if purpose == READ:
        inspection.inspect(content)
        return
    runnable.check(content)
    runner = interpreter.LiteRTRunner(content, kernels=purpose)
    runner.run(np.zeros(runner.input_shape, runner.input_dtype))
    # LiteRT's shapes may differ from those that the file states.
    runnable.check_memory(graph.parse(content), runner.shapes())


if __name__ == "__main__":
    limited_process.answer(_try, memory_bytes=MEMORY_BYTES, cpu_s=2 * LIMIT_S)
