"""Rounds the weights of a quantized model jointly, so that rounding errors in a layer's output cancel.

Rounding each weight to its nearest step ignores the inputs. Where a layer's output is the small difference of large
terms, as in the narrow layers of MobileNets, the errors add up, and no calibration of ranges can correct them. Samples
of a layer's inputs show how these correlate: weights are rounded one input after the other, the error of each is spread
over the remaining ones, and the bias absorbs the mean error.

Source:
  Frantar et al. 2023, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers" (weights);
  Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.2 (bias).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from threadpoolctl import threadpool_limits

from model_maker.tflite import graph

Array = np.ndarray

Samples = dict[str, Array]

# Sampled positions of a feature map, since neighbors are similar; a depthwise layer has few weights per channel.
POSITIONS, DEPTHWISE_POSITIONS = 32, 4
# Fraction of the mean second moment, as in the source: inputs that were hardly ever active must not absorb errors.
DAMPING = 0.01
_BLOCK = 64
# The largest integer of each weight type; the runtime's ranges are symmetric.
_LIMITS = {schema.TensorType.INT8: 127, schema.TensorType.INT4: 7}
_KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class RoundableLayers:
    """The layers of a float model whose weights can be rounded together."""

    def __init__(self, model: bytes):
        self._model = graph.parse(model)
        main = self._model.subgraphs[0]
        shared = Counter(int(index) for operator in main.operators for index in operator.inputs)
        self._operators = {
            self._name(operator.outputs[0]): operator
            for operator in main.operators
            if graph.operator_name(self._model, operator) in _KINDS
            and shared[int(operator.inputs[1])] == 1
            and main.tensors[operator.inputs[1]].buffer
            and self._is_dense(operator)
        }

    def observe(self, activations: Mapping[str, Array]) -> Samples:
        """Samples the inputs of each layer for one photo, from the input and all activations, by name.

        Returns:
          float32 [G, N, D] by the name of the layer's output, for N positions. A depthwise layer has G channels with D
          inputs each, any other layer one group with all its inputs.
        """
        return {
            name: self._inputs(operator, activations[self._name(operator.inputs[0])])
            for name, operator in self._operators.items()
        }

    def round(self, quantized: bytes, samples: Samples, *, progress: Callable[[int, int], None] | None = None) -> bytes:
        """Rounds integer weights of this model after `quantize` again, with their existing steps; corrects biases.

        Layers that are still float stay as they are; the samples are those of `observe`, of all photos.
        """
        tree = graph.parse(quantized)
        main = tree.subgraphs[0]
        named = [(main.tensors[operator.outputs[0]].name.decode(), operator) for operator in main.operators]
        chosen = [
            (name, operator)
            for name, operator in named
            if name in samples and main.tensors[operator.inputs[1]].type in _LIMITS
        ]
        with threadpool_limits(1, "blas"):  # its threads busy-wait for each other, for long beside other processes
            for done, (name, operator) in enumerate(chosen):
                if progress:
                    progress(done, len(chosen))
                self._round_layer(tree, operator, self._operators[name], samples[name])
        return graph.pack(tree)

    def _round_layer(self, tree, operator, original, inputs: Array) -> None:
        tensors = tree.subgraphs[0].tensors
        kernel, weights = tensors[operator.inputs[1]], self._weights(original)
        groups, _, outputs = weights.shape
        steps = np.broadcast_to(np.asarray(kernel.quantization.scale, np.float64), groups * outputs)
        steps = steps.reshape(groups, outputs)
        second = inputs.transpose(0, 2, 1) @ inputs
        rounded = round_together(weights, steps, second, limit=_LIMITS[kernel.type])
        graph.set_constant(tree, kernel, self._layout(original, rounded).astype(np.int8))
        if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
            lost = np.einsum("gd,gdr->gr", inputs.mean(axis=1), weights - rounded * steps[:, None]).ravel()
            bias = tensors[operator.inputs[2]]
            graph.set_constant(tree, bias, _corrected(graph.constant(tree, bias), bias, lost))

    def _name(self, index: int) -> str:
        return self._model.subgraphs[0].tensors[index].name.decode()

    def _is_dense(self, operator: schema.OperatorT) -> bool:
        """Whether each weight has one input; false for grouped convolutions, whose weights are rounded one by one."""
        tensors = self._model.subgraphs[0].tensors
        image, kernel = (tensors[index].shape for index in operator.inputs[:2])
        if self._is_depthwise(operator):
            return kernel[3] % image[3] == 0
        return image[-1] == kernel[-1]

    def _is_depthwise(self, operator: schema.OperatorT) -> bool:
        return graph.operator_name(self._model, operator) == "DEPTHWISE_CONV_2D"

    def _weights(self, operator: schema.OperatorT) -> Array:
        """Returns the weights, float64 [G, D, R]: R outputs in each group."""
        tensors = self._model.subgraphs[0].tensors
        values = graph.constant(self._model, tensors[operator.inputs[1]]).astype(np.float64)
        if self._is_depthwise(operator):
            channels = tensors[operator.inputs[0]].shape[3]
            return values.reshape(-1, channels, values.shape[3] // channels).transpose(1, 0, 2)
        return values.reshape(1, len(values), -1).transpose(0, 2, 1)

    def _layout(self, operator: schema.OperatorT, weights: Array) -> Array:
        """Reverses `_weights`."""
        shape = self._model.subgraphs[0].tensors[operator.inputs[1]].shape
        order = (1, 0, 2) if self._is_depthwise(operator) else (0, 2, 1)
        return weights.transpose(order).reshape(shape)

    def _inputs(self, operator: schema.OperatorT, image: Array) -> Array:
        """Returns the inputs of the weights at sampled positions, float32 [G, N, D]."""
        tensors, options = self._model.subgraphs[0].tensors, operator.builtinOptions
        if graph.operator_name(self._model, operator) == "FULLY_CONNECTED":
            return image.reshape(1, -1, image.shape[-1])
        height, width = tensors[operator.inputs[1]].shape[1:3]
        same = options.padding == schema.Padding.SAME
        rows, image = _windows(image[0], 0, height, options.strideH, options.dilationHFactor, same)
        columns, image = _windows(image, 1, width, options.strideW, options.dilationWFactor, same)
        wanted = DEPTHWISE_POSITIONS if self._is_depthwise(operator) else POSITIONS
        chosen = _sample(len(rows) * len(columns), wanted)
        rows, columns = rows[chosen // len(columns)], columns[chosen % len(columns)]
        seen = image[rows[:, :, None], columns[:, None, :]]
        if self._is_depthwise(operator):
            return np.ascontiguousarray(seen.reshape(len(seen), -1, seen.shape[-1]).transpose(2, 0, 1))
        return seen.reshape(1, len(seen), -1)


def combine(observed: Sequence[Samples]) -> Samples:
    """Joins the samples of photos and empties `observed` on the way: they take hundreds of megabytes."""
    return {name: np.concatenate([samples.pop(name) for samples in observed], axis=1) for name in list(observed[0])}


def _corrected(values: Array, bias: schema.TensorT, lost: Array) -> Array:
    if values.dtype.kind == "f":
        return (values + lost).astype(values.dtype)
    step = np.asarray(bias.quantization.scale, np.float64)
    # The bias of a channel with tiny weights may already be at the limit of int32.
    limit = np.iinfo(values.dtype).max
    corrected = values + np.rint(np.divide(lost, step, out=np.zeros_like(lost), where=step > 0))
    return np.clip(corrected, -limit, limit).astype(values.dtype)


def round_together(weights: Array, steps: Array, second: Array, *, limit: int = 127) -> Array:
    """Rounds weights to integers so that the layer's outputs, not the single weights, change least.

    Args:
      weights: float [G, D, R].
      steps: float [G, R], above 0.
      second: the second moments of the inputs, float [G, D, D].
      limit: the largest integer.

    Returns:
      Integers from -limit to limit, float64 [G, D, R].
    """
    left, rounded = weights.astype(np.float64), np.empty(weights.shape)
    factor = _inverse_factor(second)
    inputs = weights.shape[1]
    for begin in range(0, inputs, _BLOCK):
        end = min(begin + _BLOCK, inputs)
        errors = np.empty_like(left[:, begin:end])
        for index in range(begin, end):
            rounded[:, index] = np.clip(np.rint(left[:, index] / steps), -limit, limit)
            error = (left[:, index] - rounded[:, index] * steps) / factor[:, index, index, None]
            left[:, index + 1 : end] -= factor[:, index, index + 1 : end, None] * error[:, None]
            errors[:, index - begin] = error
        left[:, end:] -= factor[:, begin:end, end:].transpose(0, 2, 1) @ errors
    return rounded


def _inverse_factor(second: Array) -> Array:
    """Returns the upper Cholesky factor of the damped inverse, float64 [G, D, D]."""
    from scipy.linalg import lapack  # imported here, because it is slow to import

    damped = second.astype(np.float64)
    diagonal = np.einsum("gdd->gd", damped)  # a view
    mean = diagonal.mean(axis=1, keepdims=True)
    diagonal[diagonal == 0] = 1.0  # an input that is always zero neither absorbs nor causes errors
    diagonal += DAMPING * mean
    # With damped = R R^T and R upper triangular, it is the inverse of R: a third of the work of inverting all and
    # factoring that.
    upper = np.linalg.cholesky(damped[:, ::-1, ::-1])[:, ::-1, ::-1]
    return np.stack([lapack.dtrtri(group)[0] for group in upper])


def _windows(image: Array, axis: int, size: int, stride: int, dilation: int, same: bool) -> tuple[Array, Array]:
    """Returns the positions that each window covers along an axis, [windows, size], and the image padded for them."""
    reach = (size - 1) * dilation + 1
    length = image.shape[axis]
    count = -(-length // stride) if same else (length - reach) // stride + 1
    missing = max((count - 1) * stride + reach - length, 0) if same else 0
    around = [(0, 0)] * image.ndim
    around[axis] = (missing // 2, missing - missing // 2)
    positions = np.arange(count)[:, None] * stride + np.arange(size) * dilation
    return positions, np.pad(image, around) if missing else image


def _sample(positions: int, wanted: int) -> Array:
    """Chooses random positions, with a fixed seed."""
    if positions <= wanted:
        return np.arange(positions)
    return np.sort(np.random.default_rng(0).choice(positions, wanted, replace=False))
