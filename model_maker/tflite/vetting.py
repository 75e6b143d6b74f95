"""Whether a `.tflite` from outside may be opened in this process: it is tried in another one first.

A damaged or hostile file can keep LiteRT busy for ever, crash it, or make it and our own reading of the file ask for
all the memory there is. So a file that is seen for the first time is read and run once in a process with limits, and
only one whose next run will be like the first (`runnable`). What passes is remembered by its hash in the cache
directory, and what this package has written itself is known to it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import ai_edge_litert
import numpy as np
from absl import logging

from model_maker.errors import ModelError, OutputError, about
from model_maker.system import files, limited_process
from model_maker.tflite import graph, inspection, interpreter, metadata, runnable

# A sound model of 100 MB opens and runs in a few seconds, on the slow reference kernels in half a minute.
LIMIT_S = 60
# Beyond what LiteRT and numpy take at their start. EfficientNet-Lite4 in float needs 0.3 GB.
MEMORY_BYTES = 4 << 30
# What a file is tried for: to be read without being run, or to be run on one of `interpreter.KERNELS`.
READ = "read"


def read(path: str | os.PathLike[str]) -> bytes:
    """Returns the bytes of a `.tflite` that can be looked into here; whether it runs is another question.

    Raises:
      ModelError: it cannot be read, or is damaged.
    """
    content = interpreter.read(path)
    with about(path):
        vet(content, READ)
    return content


def vet(content: bytes, purpose: str = "xnnpack") -> None:
    """Makes sure that a file can be opened here.

    Args:
      content: a `.tflite`, from wherever.
      purpose: READ or a key of `interpreter.KERNELS`.

    Raises:
      ModelError: it is damaged, does not run, or needs more time or memory than models need.
    """
    record = _record(content)
    passed = _passed(record)
    if purpose in passed:
        return
    with limited_process.handed(content) as file:
        limited_process.run(__name__, file, purpose, what="It", limit_s=LIMIT_S, error=ModelError)
    _remember(record, passed | {purpose})


def trust(content: bytes) -> None:
    """Remembers a file that this package has made, so that it need not be tried."""
    _remember(_record(content), {READ, *interpreter.KERNELS})


def trust_as(content: bytes, original: bytes) -> None:
    """Remembers a file whose network is that of another one but for numbers: it is good for what that one is."""
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
    except OutputError as error:  # then it is tried again next time, which takes half a second
        logging.warning("%s", error)


def _try(path: str, purpose: str) -> bytes:
    attempt(Path(path).read_bytes(), purpose)
    return b""


def attempt(content: bytes, purpose: str) -> None:
    """Does once with a file what `purpose` stands for.

    Raises:
      ModelError: it is damaged, does not run, or may run otherwise the next time.
    """
    metadata.read(content)
    if purpose == READ:
        inspection.inspect(content)
        return
    runnable.check(content)
    runner = interpreter.Runner(content, kernels=purpose)
    runner.run(np.zeros(runner.input_shape, runner.input_dtype))
    # What the file states of sizes, LiteRT may have found to be otherwise.
    runnable.check_memory(graph.parse(content), runner.shapes())


if __name__ == "__main__":
    limited_process.answer(_try, memory_bytes=MEMORY_BYTES, cpu_s=2 * LIMIT_S)
