"""The ways in which LiteRT runs a model on this machine: DELEGATES.

Each opens a model as a Session. `probe` tries that first in a separate process. LiteRT is imported when the first model
is opened, so that parsing a command line does not need it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from model_maker.errors import ModelError

if TYPE_CHECKING:
    import numpy as np


class Session(Protocol):
    """An opened model."""

    @property
    def input_shape(self) -> tuple[int, ...]: ...

    @property
    def input_dtype(self) -> np.dtype: ...

    def set_input(self, batch: np.ndarray) -> None:
        """Sets the input."""

    def invoke(self) -> None:
        """Runs one inference and waits for its result."""


# LiteRT's message for a model that an accelerator runs only partially.
_INCOMPLETE = "Some ops are not accelerated"


class CompiledSession:
    """A model in LiteRT's CompiledModel, the API of its GPU accelerator; the CPU runs unsupported operators.

    Raises:
      ModelError: it cannot be read, has several inputs, or the accelerator does not support it.
    """

    def __init__(self, path: Path, *, accelerator: str):
        import numpy as np
        from ai_edge_litert.compiled_model import CompiledModel
        from ai_edge_litert.hardware_accelerator import HardwareAccelerator

        from model_maker.tflite import interpreter

        content = interpreter.read(path)
        try:
            try:
                self._model = CompiledModel.from_buffer(content, hardware_accel=HardwareAccelerator[accelerator])
            except RuntimeError as error:
                if _INCOMPLETE not in str(error):
                    raise
                # The CPU is added only now: if allowed from the start, a missing accelerator would not be an error.
                both = HardwareAccelerator[accelerator] | HardwareAccelerator.CPU
                self._model = CompiledModel.from_buffer(content, hardware_accel=both)
            self._inputs, self.outputs = self._model.create_input_buffers(0), self._model.create_output_buffers(0)
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"LiteRT's {accelerator} accelerator does not support this model.") from error
        if len(self._inputs) != 1:
            raise ModelError(f"The model has {len(self._inputs)} inputs; an image model has one.")
        self._content = content  # the model refers to it
        details = self._inputs[0].get_tensor_details()
        self.input_shape = tuple(int(side) for side in details["shape"])
        self.input_dtype = np.dtype(details["dtype"])
        self._output_dtype = np.dtype(self.outputs[0].get_tensor_details()["dtype"])

    @property
    def complete(self) -> bool:
        """Whether the accelerator runs the whole model."""
        return self._model.is_fully_accelerated()

    def set_input(self, batch: np.ndarray) -> None:
        self._inputs[0].write(batch.astype(self.input_dtype, copy=False))

    def invoke(self) -> None:
        self._model.run_by_index(0, self._inputs, self.outputs)
        # An accelerator may still be running when the call returns; reading the result waits for it.
        self.outputs[0].read(1, self._output_dtype)


@dataclass(frozen=True)
class Delegate:
    """One way of running a model.

    Attributes:
      open: creates a Session from a path and a number of threads; raises ModelError.
      threaded: whether the number of CPU threads matters.
    """

    summary: str
    open: Callable[[Path, int], Session]
    threaded: bool = True


def _on_cpu(path: Path, threads: int, *, kernels: str) -> Session:
    from model_maker.tflite.interpreter import LiteRTRunner

    return LiteRTRunner(path, threads=threads, kernels=kernels)


def _on_gpu(path: Path, threads: int) -> Session:
    return CompiledSession(path, accelerator="GPU")


# The first three are the KERNELS of `model_maker.tflite.interpreter`.
DELEGATES = {
    "xnnpack": Delegate("LiteRT's default", partial(_on_cpu, kernels="xnnpack")),
    "none": Delegate("its optimized kernels without a delegate", partial(_on_cpu, kernels="none")),
    "reference": Delegate("its plain reference kernels", partial(_on_cpu, kernels="reference")),
    "gpu": Delegate("its GPU accelerator", _on_gpu, threaded=False),
}
