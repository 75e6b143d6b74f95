"""Edits the classes of a finished classifier: each is a row of its last layer that can be removed, moved or added.

Works for any file, of any origin and number format, that ends in a layer with weights and a softmax. Rows that stay
keep their integers; new ones are rounded in the layer's own format.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.errors import ModelError
from model_maker.tflite import cut, graph

Array = np.ndarray

SOFTMAX, SIGMOID = "SOFTMAX", "LOGISTIC"
_WEIGHTED = ("FULLY_CONNECTED", "CONV_2D")
# Operators allowed between the layer and the scores, besides one softmax (or sigmoid for multi-label files).
_BEHIND = ("RESHAPE", "SQUEEZE", "QUANTIZE", "DEQUANTIZE")
_BITS = {schema.TensorType.INT8: 8, schema.TensorType.UINT8: 8, schema.TensorType.INT16: 16}
_SIGNED = (schema.TensorType.INT8, schema.TensorType.INT16)
_ADVICE = "Classes can be edited in files that end in a layer with weights and a softmax over two or more classes."


@dataclass(frozen=True)
class Rows:
    """The last layer of a classifier, dequantized.

    Attributes:
      kernel: float32 [C, D].
      bias: float32 [C].
      steps: float32 [C], quantization step of each row; None if rows have no steps of their own.
    """

    kernel: Array
    bias: Array
    steps: Array | None = None

    def logits(self, features: Array) -> Array:
        """Maps [N, D] to float32 [N, C]."""
        return features @ self.kernel.T + self.bias


def read(content: bytes, *, ends: Sequence[str] = (SOFTMAX,)) -> Rows:
    """Reads the last layer of a classifier.

    Args:
      ends: operators accepted as the final activation, SOFTMAX or SIGMOID.

    Raises:
      ModelError: it has no such layer.
    """
    return of(graph.parse(content), ends=ends)


def of(model: schema.ModelT, *, ends: Sequence[str] = (SOFTMAX,)) -> Rows:
    """Reads the last layer of an object tree, see `read`."""
    with graph.explained():
        layer = _LastLayer(model, ends)
        kernel, steps = layer.main.tensors[layer.kernel], None
        if kernel.type == schema.TensorType.INT8 and len(_steps(kernel)[0]) == layer.classes:
            steps = _steps(kernel)[0]
        return Rows(layer.real(layer.kernel).reshape(layer.classes, -1), layer.real(layer.bias), steps)


def embedder(content: bytes) -> bytes:
    """Returns the network before the last layer, from pixels to that layer's input features.

    Raises:
      ModelError: the classifier has no such layer.
    """
    model = graph.parse(content)
    with graph.explained():
        layer = _LastLayer(model)
        model.subgraphs[0].outputs = [int(layer.operator.inputs[0])]
        cut.prune(model)
        graph.sign(model, cut.EMBEDDING)
        return graph.pack(model)


def features(model: schema.ModelT, *, ends: Sequence[str] = (SOFTMAX,)) -> int:
    """Returns the tensor index of the last layer's input in an object tree; `ends` as in `read`.

    Raises:
      ModelError: it has no such layer.
    """
    return int(_LastLayer(model, ends).operator.inputs[0])


def real(model: schema.ModelT, index: int) -> Array:
    """Returns a constant of an object tree, dequantized to float32."""
    tensor = model.subgraphs[0].tensors[index]
    values = graph.constant(model, tensor)
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    scale, zero = _steps(tensor)
    along = (-1, *[1] * (values.ndim - 1))
    return ((values.astype(np.float32) - zero.reshape(along)) * scale.reshape(along)).astype(np.float32)


def replace(content: bytes, rows: Sequence[int | tuple[Array, float]], seen: Array) -> bytes:
    """Returns a classifier with other classes, without metadata.

    Args:
      rows: the new classes in order: the index of an old class, or kernel [D] and bias of a new one.
      seen: features [N, D] used to round new rows: rounding keeps their mean logit, and the range of integer logits is
        widened to fit them.

    Raises:
      ModelError: it does not end in a layer of classes, or that layer's number format cannot be edited.
    """
    model = graph.parse(content)
    with graph.explained():
        layer = _LastLayer(model)
        layer.put(rows, seen)
        return graph.pack(model)


class _LastLayer:
    """The last layer of an object tree, and the operators after it."""

    def __init__(self, model: schema.ModelT, ends: Sequence[str] = (SOFTMAX,)):
        self.model, self.main = model, model.subgraphs[0]
        if len(self.main.outputs) != 1:
            raise ModelError("It has several outputs. Pass the files that it was combined from.")
        names = [graph.operator_name(model, operator) for operator in self.main.operators]
        place = max((index for index, name in enumerate(names) if name in _WEIGHTED), default=-1)
        behind = names[place + 1 :]
        if place < 0 or sum(name in ends for name in behind) != 1 or not {*behind} <= {*_BEHIND, *ends}:
            raise ModelError(f"It has no last layer of classes. {_ADVICE}")
        self.operator, self.behind = self.main.operators[place], self.main.operators[place + 1 :]
        self.logits, self.names = int(self.operator.outputs[0]), behind
        self._made = {int(each.outputs[0]): each for each in self.main.operators}
        if len(self.operator.inputs) < 3 or int(self.operator.inputs[2]) < 0:
            raise ModelError(f"Its last layer has no bias. {_ADVICE}")
        self.kernel, self.bias = (self._constant(int(index)) for index in self.operator.inputs[1:3])
        self.classes = int(self.main.tensors[self.kernel].shape[0])
        sides = list(self.main.tensors[self.kernel].shape)[1:-1]
        if any(side != 1 for side in sides) or self.classes < 2:
            raise ModelError(
                f"Its last layer has weights of shape {list(self.main.tensors[self.kernel].shape)}. {_ADVICE}"
            )

    def _constant(self, index: int) -> int:
        """Returns the constant behind an operand: float16 weights pass through a DEQUANTIZE."""
        made = self._made.get(index)
        if made is not None and graph.operator_name(self.model, made) == "DEQUANTIZE":
            return int(made.inputs[0])
        return index

    def real(self, index: int) -> Array:
        """Returns a constant, dequantized to float32."""
        return real(self.model, index)

    def put(self, rows: Sequence[int | tuple[Array, float]], seen: Array) -> None:
        """Replaces the rows."""
        kernel, bias = self.main.tensors[self.kernel], self.main.tensors[self.bias]
        old_kernel, old_bias = (graph.constant(self.model, tensor) for tensor in (kernel, bias))
        chosen = [row for row in rows if isinstance(row, int)]
        scales = self._scales(kernel, rows)
        kernels: list[Array] = []
        biases: list[Array] = []
        unit = self._feature_step()
        mean = seen.mean(axis=0) if len(seen) else np.zeros(old_kernel[0].size, np.float32)
        for row, scale in zip(rows, scales, strict=True):
            if isinstance(row, int):
                kernels.append(old_kernel[row])
                biases.append(old_bias[row])
                continue
            rounded, lost = _rounded_row(row[0], kernel, old_kernel.dtype, scale)
            kernels.append(rounded.reshape(old_kernel.shape[1:]))
            biases.append(_rounded_bias(row[1] + float(lost @ mean), old_bias.dtype, scale * unit))
        self._set(self.kernel, np.stack(kernels), scales)
        self._set(self.bias, np.array(biases, old_bias.dtype), scales * unit)
        for tensor in {int(index) for index in self.operator.inputs[1:3]} - {self.kernel, self.bias}:
            self.main.tensors[tensor].shape = [len(rows), *list(self.main.tensors[tensor].shape)[1:]]
        if len(chosen) < len(rows):
            self._widen(np.stack(kernels), np.array(biases), scales, unit, seen)
        self._reshape(len(rows))

    def _scales(self, kernel: schema.TensorT, rows: Sequence[int | tuple[Array, float]]) -> Array:
        """Returns the weight step of each row: per row if the layer is quantized per channel, 1 for float weights."""
        if kernel.type in (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16):
            return np.ones(len(rows), np.float32)
        if kernel.type not in _BITS:
            raise ModelError(f"Its last layer has 4-bit weights or another unsupported type. {_ADVICE}")
        scale, _ = _steps(kernel)
        if len(scale) == 1:
            return np.repeat(scale, len(rows))
        # Even if a row's weights are tiny, its bias must fit into int32.
        most, unit = 2.0**30, self._feature_step()
        own = [
            scale[row] if isinstance(row, int) else max(np.abs(row[0]).max() / 127, abs(row[1]) / unit / most, 1e-9)
            for row in rows
        ]
        return np.array(own, np.float32)

    def _feature_step(self) -> float:
        tensor = self.main.tensors[int(self.operator.inputs[0])]
        return float(_steps(tensor)[0][0]) if tensor.type in _BITS else 1.0

    def _set(self, index: int, values: Array, scales: Array) -> None:
        tensor = self.main.tensors[index]
        graph.set_constant(self.model, tensor, values)
        tensor.shape = list(values.shape)
        quantized = tensor.quantization
        if quantized is not None and quantized.scale is not None and len(quantized.scale) > 1:
            tensor.quantization = graph.quantization(scales, np.zeros(len(scales), int))

    def _widen(self, kernel: Array, bias: Array, scales: Array, unit: float, seen: Array) -> None:
        """Gives integer logits a coarser step if those of the given features exceed the old range."""
        tensor = self.main.tensors[self.logits]
        if tensor.type not in _BITS or not len(seen):
            return
        (scale,), (zero,) = _steps(tensor)
        least, most = _limits(tensor.type)
        weights = self.real(self.kernel).reshape(len(kernel), -1)
        logits = seen @ weights.T + self.real(self.bias)
        low = min(float(logits.min()), float(scale * (least - zero)))
        high = max(float(logits.max()), float(scale * (most - zero)))
        if high - low <= scale * (most - least) * (1 + 1e-6):
            return
        step = (high - low) / (most - least)
        wider = graph.quantization(step, int(np.clip(np.rint(least - low / step), least, most)))
        for index in self._same_numbers():
            self.main.tensors[index].quantization = wider

    def _same_numbers(self) -> list[int]:
        """Returns the logits and their reshaped copies."""
        found = [self.logits]
        for name, operator in zip(self.names, self.behind, strict=True):
            if name not in ("RESHAPE", "SQUEEZE"):
                break
            found.append(int(operator.outputs[0]))
        return found

    def _reshape(self, classes: int) -> None:
        for index in (self.logits, *(int(operator.outputs[0]) for operator in self.behind)):
            tensor = self.main.tensors[index]
            tensor.shape = [*list(tensor.shape)[:-1], classes]
            tensor.shapeSignature = None
        for name, operator in zip(self.names, self.behind, strict=True):
            if name != "RESHAPE":
                continue
            shape = [int(side) for side in self.main.tensors[int(operator.outputs[0])].shape]
            if len(operator.inputs) > 1:
                graph.set_constant(self.model, self.main.tensors[int(operator.inputs[1])], np.array(shape, np.int32))
            if operator.builtinOptions is not None:
                operator.builtinOptions.newShape = shape


def _steps(tensor: schema.TensorT) -> tuple[Array, Array]:
    """Returns scales and zero points, float32, one in all or one per row."""
    quantized = tensor.quantization
    if quantized is None or quantized.scale is None or not len(quantized.scale):
        raise ModelError(f"A quantized tensor of its last layer has no scale. {_ADVICE}")
    scale = np.array(quantized.scale, np.float32)
    zero = np.zeros(len(scale)) if quantized.zeroPoint is None else np.array(quantized.zeroPoint)
    return scale, zero.astype(np.float32)


def _limits(kind: int) -> tuple[int, int]:
    half = 1 << (_BITS[kind] - 1)
    return (-half, half - 1) if kind in _SIGNED else (0, 2 * half - 1)


def _rounded_row(row: Array, kernel: schema.TensorT, kind: np.dtype, scale: float) -> tuple[Array, Array]:
    """Returns a row in the layer's number format, and the rounding error."""
    if kind.kind == "f":
        rounded = row.astype(kind)
        return rounded, row - rounded.astype(np.float32)
    _, zeros = _steps(kernel)
    zero = float(zeros[0]) if len(zeros) == 1 else 0.0
    least, most = _limits(kernel.type)
    whole = np.clip(np.rint(row / scale + zero), least, most)
    return whole.astype(kind), row - (whole - zero).astype(np.float32) * np.float32(scale)


def _rounded_bias(bias: float, kind: np.dtype, step: float) -> Array:
    if kind.kind == "f":
        return np.array(bias, kind)
    limit = 2.0**31 - 2**8
    return np.array(np.clip(np.rint(bias / step), -limit, limit), kind)
