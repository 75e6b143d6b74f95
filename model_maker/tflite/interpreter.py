"""A thin runner over the LiteRT interpreter.

It handles threads, kernels and the scales of quantized inputs and outputs; callers interpret the values.
"""

import contextlib
import os
from collections.abc import Iterator

import numpy as np
from ai_edge_litert import interpreter as litert

from model_maker.errors import ModelError, first_line
from model_maker.system import files, suppressed_output

Array = np.ndarray

# Flatbuffer offsets have 32 bits, and some readers treat them as signed.
MOST_BYTES = (1 << 31) - 1
# The three CPU paths of LiteRT. Phones may use any of them: XNNPACK is the default, and some apps disable it.
KERNELS = {
    "xnnpack": litert.OpResolverType.BUILTIN,
    "none": litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": litert.OpResolverType.BUILTIN_REF,
}


class LiteRTRunner:
    """One interpreter with one input and its outputs; not thread-safe.

    Args:
      model: the bytes of a `.tflite`, or its path.
      kernels: a key of KERNELS.
      output: index of the output that `run` returns.

    Raises:
      ModelError: the file is missing, not a `.tflite`, or cannot be prepared on these kernels.
    """

    def __init__(
        self, model: bytes | str | os.PathLike[str], *, threads: int = 1, kernels: str = "xnnpack", output: int = 0
    ):
        content = model if isinstance(model, bytes) else read(model)
        self._kernels, self._output = kernels, output
        with without_greeting(), _explained(kernels):
            self._interpreter = litert.Interpreter(
                model_content=content, num_threads=threads, experimental_op_resolver_type=KERNELS[kernels]
            )
            self._interpreter.allocate_tensors()
            self._inputs = self._interpreter.get_input_details()
            self._outputs = self._interpreter.get_output_details()
        if len(self._inputs) != 1:
            raise ModelError(f"The model has {len(self._inputs)} inputs; an image model has one.")
        if not self._outputs:
            raise ModelError("The model has no output.")

    @property
    def input_shape(self) -> tuple[int, ...]:
        return tuple(int(side) for side in self._inputs[0]["shape"])

    @property
    def input_dtype(self) -> np.dtype:
        return np.dtype(self._inputs[0]["dtype"])

    @property
    def output_shape(self) -> tuple[int, ...]:
        return tuple(int(side) for side in self._outputs[self._output]["shape"])

    @property
    def output_dtype(self) -> np.dtype:
        return np.dtype(self._outputs[self._output]["dtype"])

    @property
    def output_step(self) -> float:
        """Quantization step of the output; 1 for float outputs."""
        return float(self._outputs[self._output]["quantization"][0]) or 1.0

    def shapes(self) -> list[tuple[int, ...]]:
        """Returns the current shapes of all tensors, in the file's order."""
        details = {detail["index"]: detail["shape"] for detail in self._interpreter.get_tensor_details()}
        return [tuple(int(side) for side in details.get(index, (0,))) for index in range(max(details, default=-1) + 1)]

    def run(self, batch: Array) -> Array:
        """Runs one inference and returns the chosen output, dequantized to float32.

        Args:
          batch: an array of the input's shape; real values for a float input, raw integers for a quantized one.
        """
        return dequantize(self.run_all(batch)[self._output], self._outputs[self._output])

    def set_input(self, batch: Array) -> None:
        """Sets the input, for any number of calls of `invoke`."""
        with _explained(self._kernels):
            self._interpreter.set_tensor(self._inputs[0]["index"], batch.astype(self.input_dtype, copy=False))

    def invoke(self) -> None:
        """Runs one inference and nothing else, for benchmarks."""
        with _explained(self._kernels):
            self._interpreter.invoke()

    def run_all(self, batch: Array) -> list[Array]:
        """Runs one inference and returns every output as the file stores it."""
        self.set_input(batch)
        self.invoke()
        with _explained(self._kernels):
            return [self._interpreter.get_tensor(detail["index"]) for detail in self._outputs]

    def run_real(self, batch: Array) -> list[Array]:
        """Runs one inference and returns every output, dequantized to float32."""
        return [dequantize(values, detail) for values, detail in zip(self.run_all(batch), self._outputs, strict=True)]


def read(path: str | os.PathLike[str]) -> bytes:
    """Returns the bytes of a `.tflite` file.

    Raises:
      ModelError: the file cannot be read, or has no TensorFlow Lite identifier.
    """
    try:
        content = files.read_regular(path, MOST_BYTES)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}. Pass the path of a .tflite file.") from error
    if content[4:8] != b"TFL3":
        raise ModelError(f"{path} is not a .tflite file (no TFL3 mark in its {len(content):,} bytes).")
    return content


@contextlib.contextmanager
def _explained(kernels: str) -> Iterator[None]:
    """Converts LiteRT's exceptions to ModelError."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"LiteRT cannot run this model ({kernels}): {first_line(error)}") from error


def dequantize(values: Array, detail: dict) -> Array:
    if values.dtype.kind == "f":
        return values
    scale, zero_point = detail["quantization"]
    return (values.astype(np.float32) - zero_point) * np.float32(scale or 1.0)


_GREETING = b"INFO: Created TensorFlow Lite XNNPACK"
greeted = False


@contextlib.contextmanager
def without_greeting():
    """Keeps LiteRT's "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." off the terminal.

    LiteRT prints it once per process and has no option to disable it; only XNNPACK prints one.
    """
    global greeted
    if greeted:
        yield
        return
    with suppressed_output.diverted(lambda line: line.startswith(_GREETING)) as dropped:
        yield
    greeted = bool(dropped)
