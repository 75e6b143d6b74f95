"""Writes a network as a float `.tflite`, one operator for each layer, without TensorFlow.

Modules of families define networks; this one converts each layer to operators and constants.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.backbones.layer_weights import LayerWeights
from model_maker.tflite import graph

Array = np.ndarray

OUTPUT = "embedding"


def round_channels(channels: float) -> int:
    """Rounds to a multiple of 8, never down by more than 10 % (the papers' code)."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


class Canvas:
    """Builds a `.tflite`, which initially has only its input: float32 [1, image_size, image_size, 3]."""

    def __init__(self, image_size: int):
        self._model = graph.new_model()
        [self._main] = self._model.subgraphs
        self.photo = graph.add_tensor(self._model, graph.INPUT, (1, image_size, image_size, 3))
        self._main.inputs = [self.photo]

    def shape(self, x: int) -> tuple[int, ...]:
        """Returns the shape of an activation."""
        return tuple(self._main.tensors[x].shape)

    def operator(self, kind: str, inputs: list[int], shape: tuple[int, ...], options, name: str) -> int:
        """Adds an operator of a kind in the schema, for example "CONV_2D"; `shape` and `name` are those of its output.

        Returns:
          The index of its output's tensor; `inputs` are such indices, too.
        """
        output = graph.add_tensor(self._model, name, shape)
        self._main.operators.append(graph.make_operator(self._model, kind, inputs, [output], options))
        return output

    def constant(self, name: str, values: Array, kind: str = "float32") -> int:
        """Adds a constant, "float32" or "int32"."""
        values = np.ascontiguousarray(values, np.float32 if kind == "float32" else np.int32)
        return graph.add_tensor(self._model, name, values.shape, kind, values)

    def add(self, x: int, other: int, name: str) -> int:
        """Adds two tensors of the same shape."""
        return self.operator("ADD", [x, other], self.shape(x), schema.AddOptionsT(), name)

    def pool(self, x: int, name: str, *, keep: bool = False) -> int:
        """Averages over the picture: [1, C], or [1, 1, 1, C] where the axes are kept."""
        options, channels = schema.ReducerOptionsT(), self.shape(x)[3]
        options.keepDims = keep
        axes = self.constant(f"{name}_axes", np.array([1, 2]), "int32")
        return self.operator("MEAN", [x, axes], (1, 1, 1, channels) if keep else (1, channels), options, name)

    def finish(self, x: int) -> bytes:
        """Returns the `.tflite` whose output is `x`."""
        self._main.outputs = [x]
        graph.sign(self._model, OUTPUT)
        return graph.pack(self._model)


class ConvolutionalNetwork(Canvas):
    """A convolutional network: each method adds a layer and returns the index of its output's tensor, [1, H, W, C].

    `epsilon` is that of every batch normalization.
    """

    def __init__(self, image_size: int, weights: LayerWeights, *, epsilon: float):
        super().__init__(image_size)
        self._weights, self._epsilon = weights, epsilon

    def convolve(
        self,
        x: int,
        name: str,
        kernel: int,
        filters: int | None,
        *,
        stride: int = 1,
        norm: str | None = None,
        activation: str = "NONE",
        padding: tuple[int, int] | None = None,
        shift: float = 0.0,
    ) -> int:
        """Adds a convolution, its batch normalization folded into it, and an activation.

        Args:
          kernel: its height and width.
          filters: output channels; None for a depthwise convolution.
          norm: the batch normalization; None for a convolution with a bias of its own.
          activation: RELU, RELU6 or NONE, fused into the convolution; HARD_SWISH, a separate operator.
          padding: zeros before and after; TensorFlow's "same" by default.
          shift: constant to add before the activation.

        Raises:
          BackboneError: the weights belong to another network.
        """
        channels = self.shape(x)[3]
        shape = (1 if filters is None else filters, kernel, kernel, channels)
        weights, bias = self._folded(name, shape, norm, depthwise=filters is None)
        x, out, same = self._padded(x, kernel, stride, padding)
        options = schema.DepthwiseConv2DOptionsT() if filters is None else schema.Conv2DOptionsT()
        options.padding = schema.Padding.SAME if same else schema.Padding.VALID
        options.strideH = options.strideW = stride
        if filters is None:
            options.depthMultiplier = 1
        inputs = [x, self.constant(f"{name}_kernel", weights), self.constant(f"{name}_bias", bias + shift)]
        kind = "DEPTHWISE_CONV_2D" if filters is None else "CONV_2D"
        fused = activation != "HARD_SWISH"
        if fused:
            options.fusedActivationFunction = getattr(schema.ActivationFunctionType, activation)
        y = self.operator(kind, inputs, (1, out, out, filters or channels), options, name)
        if fused:
            return y
        return self.operator(activation, [y], self.shape(y), schema.HardSwishOptionsT(), f"{name}_hard_swish")

    def scale(self, x: int, name: str, factor: Array, offset: Array) -> int:
        """Scales and shifts each channel, float [C] each, by a 1x1 depthwise convolution."""
        options = schema.DepthwiseConv2DOptionsT()
        options.strideH = options.strideW = options.depthMultiplier = 1
        kernel = self.constant(f"{name}_kernel", np.reshape(factor, (1, 1, 1, -1)))
        inputs = [x, kernel, self.constant(f"{name}_bias", offset)]
        return self.operator("DEPTHWISE_CONV_2D", inputs, self.shape(x), options, name)

    def squeeze_excite(self, x: int, reduced: int, name: str) -> int:
        """Adds squeeze-and-excitation: global pooling, reduction, expansion, hard sigmoid, multiplication."""
        y = self.pool(x, f"{name}_pool", keep=True)
        y = self.convolve(y, f"{name}_conv", 1, reduced, activation="RELU")
        # The hard sigmoid is relu6(x + 3) / 6; shift and ReLU6 are fused into the convolution.
        y = self.convolve(y, f"{name}_conv_1", 1, self.shape(x)[3], activation="RELU6", shift=3.0)
        sixth = self.constant(f"{name}_sixth", np.array([1 / 6]))
        y = self.operator("MUL", [y, sixth], self.shape(y), schema.MulOptionsT(), f"{name}_sigmoid")
        return self.operator("MUL", [x, y], self.shape(x), schema.MulOptionsT(), name)

    def flatten(self, x: int) -> int:
        """Reshapes [1, 1, 1, C] to the embedding, [1, C]."""
        shape, options = (1, self.shape(x)[3]), schema.ReshapeOptionsT()
        options.newShape = list(shape)
        sides = self.constant(f"{OUTPUT}_shape", np.array(shape), "int32")
        return self.operator("RESHAPE", [x, sides], shape, options, OUTPUT)

    def _folded(self, name: str, shape: tuple[int, ...], norm: str | None, *, depthwise: bool) -> tuple[Array, Array]:
        """Returns a convolution's kernel and bias with its batch normalization folded in."""
        channels = shape[3] if depthwise else shape[0]
        try:
            kernel, bias = self._weights.kernel(name, shape, depthwise=depthwise, biased=norm is None)
            if norm is not None:
                gamma, beta, mean, variance = (
                    part.astype(np.float64) for part in self._weights.normalization(norm, channels)
                )
                factor = gamma / np.sqrt(variance + self._epsilon)
                kernel = kernel * (factor if depthwise else factor[:, None, None, None])
                bias = beta - mean * factor
            if kernel.shape != shape or bias is None or bias.shape != (channels,):
                raise ValueError("shape")
        except (KeyError, ValueError, StopIteration) as error:
            raise self._weights.refusal(name) from error
        return kernel, bias

    def _padded(self, x: int, kernel: int, stride: int, padding: tuple[int, int] | None) -> tuple[int, int, bool]:
        """Returns a convolution's input, the side of its output, and whether its padding is "same"."""
        height = self.shape(x)[1]
        out = -(-height // stride)
        total = max(0, (out - 1) * stride + kernel - height)
        if padding is None or padding == (total // 2, total - total // 2):
            return x, out, True
        side, channels = height + sum(padding), self.shape(x)[3]
        around = self.constant(f"pads_{x}", np.array([(0, 0), padding, padding, (0, 0)]), "int32")
        padded = self.operator("PAD", [x, around], (1, side, side, channels), schema.PadOptionsT(), f"padded_{x}")
        return padded, (side - kernel) // stride + 1, False
