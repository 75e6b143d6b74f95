"""Converts a float `.tflite` to a Keras model, and writes trained weights back into the file.

The Keras model computes the same as the file, to float rounding: batch normalization, already folded into the
convolutions, stays folded. So training starts from exactly what was measured, and ends in the same graph. TensorFlow is
imported inside functions; phones run only the file.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.errors import ModelError
from model_maker.tflite import graph

Array = np.ndarray

_FUSED = {
    schema.ActivationFunctionType.RELU: "RELU",
    schema.ActivationFunctionType.RELU6: "RELU6",
    schema.ActivationFunctionType.TANH: "TANH",
}
_ACTIVATIONS = {
    "RELU": "relu",
    "RELU6": "relu6",
    "TANH": "tanh",
    "LOGISTIC": "sigmoid",
    "HARD_SWISH": "hard_silu",
    "SOFTMAX": "softmax",
}


def to_keras(content: bytes, *, start: str | Sequence[str] | None = None, convolutions: Any = None):
    """Rebuilds a float `.tflite` as a functional Keras model; layers are named by their operator: `conv_2d_17`.

    Args:
      start: the name of an activation that becomes the input; earlier operators are left out. The whole model by
        default. Several, joined as by `trunk.trunk`, become an input [N, D].
      convolutions: namespace with classes `Conv2D` and `DepthwiseConv2D`; Keras's by default.

    Returns:
      keras.Model from float32 [N, ...] to the file's output.

    Raises:
      ModelError: the file is not float, has an unsupported operator, or its output needs more than `start`.
    """
    import keras

    model = graph.parse(content)
    main = model.subgraphs[0]
    names = [start] if isinstance(start, str) else start or ()
    given = [graph.find_tensor(model, name) for name in names] or [int(main.inputs[0])]
    [last] = (int(index) for index in main.outputs)
    entering, known = _enter(main, given)
    needed = _leading_to(main, last, set(given))
    for index, operator in enumerate(main.operators):
        output = int(operator.outputs[0])
        if output in needed and output not in known:
            known[output] = _OperatorLayer(model, index, operator, convolutions or keras.layers)(known)
    if last not in known or last in given:
        raise ModelError(f"Its output does not follow from {start}.")
    return keras.Model(entering, known[last])


def _enter(main: schema.SubGraphT, given: list[int]) -> tuple[Any, dict[int, Any]]:
    """Returns a model's input, and the activations that it contains."""
    import keras

    shapes = [tuple(int(side) for side in main.tensors[index].shape[1:]) for index in given]
    if len(given) == 1:
        entering = keras.Input(shapes[0], name="input")
        return entering, {given[0]: entering}
    sizes = [math.prod(shape) for shape in shapes]
    entering, known, begin = keras.Input((sum(sizes),), name="input"), {}, 0
    for index, shape, size in zip(given, shapes, sizes, strict=True):
        known[index] = keras.layers.Reshape(shape)(entering[:, begin : begin + size])
        begin += size
    return entering, known


def from_keras(content: bytes, model) -> bytes:
    """Returns the file with the weights of a Keras model from `to_keras`; layers that it lacks stay as they are."""
    tree = graph.parse(content)
    layers = {layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()}
    return set_weights(tree, layers)


def set_weights(tree: schema.ModelT, layers: Mapping[str, list[Array]]) -> bytes:
    """Returns the file with new weights; its object tree is modified in place.

    Args:
      layers: kernel and bias in Keras's layout, by the layer names of `to_keras`.
    """
    main = tree.subgraphs[0]
    uses = Counter(int(index) for operator in main.operators for index in operator.inputs)
    for index, operator in enumerate(main.operators):
        name = graph.operator_name(tree, operator)
        if (weights := layers.get(layer_name(name, index))) is None:
            continue
        operator.inputs = [int(position) for position in operator.inputs]
        for place, values in enumerate((_KERNELS_BACK[name](weights[0]), *weights[1:]), start=1):
            values = np.ascontiguousarray(values, np.float32)
            tensor = operator.inputs[place]
            if uses[tensor] > 1:  # equal constants share a buffer until one of them changes
                label = f"{main.tensors[tensor].name.decode()}/{index}"
                operator.inputs[place] = graph.add_tensor(tree, label, main.tensors[tensor].shape, data=values)
                uses[tensor] -= 1
            else:
                graph.set_constant(tree, main.tensors[tensor], values)
    return graph.pack(tree)


def layer_name(operator: str, index: int) -> str:
    """Returns the name of an operator's Keras layer."""
    return f"{operator.lower()}_{index}"


def _leading_to(main: schema.SubGraphT, last: int, given: set[int]) -> set[int]:
    """Returns the tensors on which `last` depends, back to the given ones."""
    needed = {last}
    for operator in reversed(main.operators):
        output = int(operator.outputs[0])
        if output in needed and output not in given:
            needed |= {int(index) for index in operator.inputs if index >= 0}
    return needed


# From the file's layout to Keras's and back: [out, h, w, in] and [h, w, in, out]; [1, h, w, in * times] and [h, w, in,
# times]; [out, in] and [in, out].
_KERNELS_BACK: dict[str, Callable[[Array], Array]] = {
    "CONV_2D": lambda kernel: kernel.transpose(3, 0, 1, 2),
    "DEPTHWISE_CONV_2D": lambda kernel: kernel.reshape(1, *kernel.shape[:2], -1),
    "FULLY_CONNECTED": lambda kernel: kernel.T,
}


class _OperatorLayer:
    """One operator as Keras layers; calling it with the known activations returns its output."""

    def __init__(self, model: schema.ModelT, index: int, operator: schema.OperatorT, convolutions: Any):
        import keras

        self._model, self._operator, self._convolutions = model, operator, convolutions
        self._layers = keras.layers
        self._options = operator.builtinOptions
        self._kind = graph.operator_name(model, operator)
        self._name = layer_name(self._kind, index)
        self._tensors = model.subgraphs[0].tensors

    def __call__(self, known: Mapping[int, Any]):
        make = getattr(self, f"_{self._kind.lower()}", None)
        if make is None and self._kind in _ACTIVATIONS:
            return self._activate(self._tensor(known, 0), self._kind, self._name)
        if make is None:
            raise ModelError(f"The operator {self._kind} has no supported counterpart in Keras.")
        value = make(known)
        fused = getattr(self._options, "fusedActivationFunction", 0)
        if fused == schema.ActivationFunctionType.NONE:
            return value
        if fused not in _FUSED:
            raise ModelError(f"{self._name} has a fused activation (number {fused}) that is not supported.")
        return self._activate(value, _FUSED[fused], f"{self._name}_{_FUSED[fused].lower()}")

    def _activate(self, value, kind: str, name: str):
        if kind == "SOFTMAX" and getattr(self._options, "beta", 1.0) != 1.0:
            value = self._layers.Rescaling(self._options.beta, name=f"{name}_beta")(value)
        dtype = "float32" if kind == "SOFTMAX" else None
        return self._layers.Activation(_ACTIVATIONS[kind], name=name, dtype=dtype)(value)

    def _conv_2d(self, known):
        kernel = self._constant(1).transpose(1, 2, 3, 0)
        image = self._tensor(known, 0)
        layer = self._convolutions.Conv2D(
            kernel.shape[3],
            kernel.shape[:2],
            (self._options.strideH, self._options.strideW),
            self._padding(),
            dilation_rate=(self._options.dilationHFactor, self._options.dilationWFactor),
            groups=image.shape[-1] // kernel.shape[2],
            name=self._name,
        )
        return self._weighted(layer, kernel, image)

    def _depthwise_conv_2d(self, known):
        image, flat = self._tensor(known, 0), self._constant(1)[0]
        kernel = flat.reshape(*flat.shape[:2], image.shape[-1], -1)
        layer = self._convolutions.DepthwiseConv2D(
            kernel.shape[:2],
            (self._options.strideH, self._options.strideW),
            self._padding(),
            depth_multiplier=kernel.shape[3],
            dilation_rate=(self._options.dilationHFactor, self._options.dilationWFactor),
            name=self._name,
        )
        return self._weighted(layer, kernel, image)

    def _fully_connected(self, known):
        kernel = self._constant(1).T
        return self._weighted(self._layers.Dense(kernel.shape[1], name=self._name), kernel, self._tensor(known, 0))

    def _weighted(self, layer, kernel: Array, image):
        bias = self._constant(2) if len(self._operator.inputs) > 2 and self._operator.inputs[2] >= 0 else None
        layer.use_bias = bias is not None
        result = layer(image)
        layer.set_weights([kernel] if bias is None else [kernel, bias])
        return result

    def _add(self, known):
        return self._arithmetic(known, self._layers.Add, scale=lambda _: 1.0, offset=lambda constant: constant)

    def _mul(self, known):
        return self._arithmetic(known, self._layers.Multiply, scale=lambda constant: constant, offset=lambda _: 0.0)

    def _sub(self, known):
        return self._arithmetic(known, self._layers.Subtract, scale=lambda _: 1.0, offset=lambda constant: -constant)

    def _arithmetic(self, known, layer, *, scale, offset):
        """Builds arithmetic on two activations as a layer of its own, on an activation and constants as Rescaling."""
        ends = [self._is_constant(place) for place in (0, 1)]
        if not any(ends):
            return layer(name=self._name)([self._tensor(known, 0), self._tensor(known, 1)])
        if ends[0] and self._kind == "SUB":
            raise ModelError(f"{self._name} subtracts from a constant, which is not supported.")
        constant = self._constant(0 if ends[0] else 1)
        if constant.size > 1 and constant.size != constant.shape[-1]:
            raise ModelError(f"{self._name} has a constant of shape {list(constant.shape)}, not one for each channel.")
        numbers = float(constant.reshape(-1)[0]) if constant.size == 1 else constant.reshape(-1).astype(float).tolist()
        rescale = self._layers.Rescaling(_plain(scale, numbers), _plain(offset, numbers), name=self._name)
        return rescale(self._tensor(known, 1 if ends[0] else 0))

    def _concatenation(self, known):
        inputs = [self._tensor(known, place) for place in range(len(self._operator.inputs))]
        return self._layers.Concatenate(int(self._options.axis), name=self._name)(inputs)

    def _mean(self, known):
        if sorted(int(axis) for axis in self._constant(1).reshape(-1)) != [1, 2]:
            raise ModelError(f"{self._name} takes a mean over other axes than height and width.")
        return self._layers.GlobalAveragePooling2D(keepdims=bool(self._options.keepDims), name=self._name)(
            self._tensor(known, 0)
        )

    def _average_pool_2d(self, known):
        return self._pool(known, self._layers.AveragePooling2D)

    def _max_pool_2d(self, known):
        return self._pool(known, self._layers.MaxPooling2D)

    def _pool(self, known, layer):
        window = (self._options.filterHeight, self._options.filterWidth)
        strides = (self._options.strideH, self._options.strideW)
        return layer(window, strides, self._padding(), name=self._name)(self._tensor(known, 0))

    def _pad(self, known):
        around = self._constant(1).tolist()
        if len(around) != 4 or any(around[0]) or any(around[3]):
            raise ModelError(f"{self._name} pads other axes than height and width.")
        return self._layers.ZeroPadding2D((tuple(around[1]), tuple(around[2])), name=self._name)(self._tensor(known, 0))

    def _reshape(self, known):
        shape = self._tensors[self._operator.outputs[0]].shape
        return self._layers.Reshape(tuple(int(side) for side in shape[1:]), name=self._name)(self._tensor(known, 0))

    def _padding(self) -> str:
        return "same" if self._options.padding == schema.Padding.SAME else "valid"

    def _tensor(self, known: Mapping[int, Any], place: int):
        index = int(self._operator.inputs[place])
        if index not in known:
            raise ModelError(f"{self._name} depends on activations before the place where the model is cut.")
        return known[index]

    def _is_constant(self, place: int) -> bool:
        data = self._model.buffers[self._tensors[self._operator.inputs[place]].buffer].data
        return data is not None and len(data) > 0

    def _constant(self, place: int) -> Array:
        tensor = self._tensors[self._operator.inputs[place]]
        values = graph.constant(self._model, tensor)
        if tensor.type not in (schema.TensorType.FLOAT32, schema.TensorType.INT32, schema.TensorType.INT64):
            raise ModelError(f"{self._name} is quantized; only float models can be rebuilt in Keras.")
        return values


def _plain(rule: Callable, numbers: float | list[float]) -> float | list[float]:
    """Applies a rule to a number or to each of a list; returns JSON types, which Keras can save."""
    return rule(numbers) if isinstance(numbers, float) else [rule(number) for number in numbers]
