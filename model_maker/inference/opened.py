"""Opened: a finished model, ready to run; Runner: what runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from model_maker.normalization import Normalization
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray[Any, Any]

# Raw pixels are what the model takes: its normalization is inside.
RAW = Normalization(0.0, 1.0)


class Runner(Protocol):
    """Runs one batch; belongs to one thread."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """[1, H, W, 3]; the batch is 1 where the model takes any."""

    @property
    def input_dtype(self) -> np.dtype[Any]: ...

    def run(self, batch: Array) -> Array:
        """Returns float32 [1, C]."""


@dataclass(frozen=True)
class Opened:
    """A model that is ready.

    Attributes:
      info: its labels, what its input expects, and what else it says of itself.
      runner: makes a Runner, one for each thread.
      content: of a `.tflite`, the bytes.
      path: of any other, where it lies.
    """

    info: ModelInfo
    runner: Callable[[], Runner]
    content: bytes | None = None
    path: Path | None = None
