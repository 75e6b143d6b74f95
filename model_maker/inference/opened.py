"""Opened, a finished model that is ready to run; Runner, the interface to run it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from model_maker.normalization import Normalization
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray[Any, Any]

# The model takes raw pixels and contains its normalization.
RAW = Normalization(0.0, 1.0)


class Runner(Protocol):
    """Runs one batch; not thread-safe."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """[1, H, W, 3]; the batch size is 1 if the model takes any."""

    @property
    def input_dtype(self) -> np.dtype[Any]: ...

    def run(self, batch: Array) -> Array:
        """Returns float32 [1, C]."""


@dataclass(frozen=True)
class Opened:
    """A model that is ready to run.

    Attributes:
      runner: creates a Runner, one per thread.
      path: path of a model in another format.
    """

    info: ModelInfo
    runner: Callable[[], Runner]
    content: bytes | None = None
    path: Path | None = None
