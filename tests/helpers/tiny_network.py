"""Builds small float `.tflite` networks operator by operator, for tests of what edits them."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.tflite import graph

FUSED = schema.ActivationFunctionType
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID


def residual_network(*, seed=0, size=16, average_pool=False):
    """A float embedder in five blocks, float32 [1, 16, 16, 3] to [1, 12]; `size` as in TinyNetwork.

    Their maps are 4 x 8 x 8, two of 6 x 8 x 8 and two of 8 x 4 x 4, channels first; the embedding is the mean of a last
    convolution of 4 x 4, by one operator, or as older converters write it: AVERAGE_POOL_2D and SQUEEZE.
    """
    random = np.random.default_rng(seed)

    def filters(*shape):
        return random.normal(size=shape) * np.sqrt(2 / (shape[1] * shape[2] * (1 if shape[0] == 1 else shape[3])))

    network = TinyNetwork(size).conv(filters(4, 3, 3, 3), np.ones(4), stride=2, fused=FUSED.RELU6)
    for inputs, outputs, stride in ((4, 6, 1), (6, 6, 1), (6, 8, 2), (8, 8, 1)):
        shortcut = network.last
        network.conv(filters(2 * outputs, 1, 1, inputs), np.ones(2 * outputs), fused=FUSED.RELU6)
        network.depthwise(filters(1, 3, 3, 2 * outputs), stride=stride, fused=FUSED.RELU6)
        network.conv(filters(outputs, 1, 1, 2 * outputs), random.normal(size=outputs))
        if inputs == outputs:
            network.combine("ADD", shortcut)
    network.conv(filters(12, 1, 1, 8), np.ones(12), fused=FUSED.RELU6)
    return (network.average_pool().squeeze() if average_pool else network.mean()).content()


class TinyNetwork:
    """A chain of operators behind one image input [1, H, W, 3]; `last` is the index of what the chain gives.

    Args:
      size: H and W, or both as a pair.
    """

    def __init__(self, size=8):
        self.model, self.main = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.buffers, self.model.operatorCodes = 3, [schema.BufferT()], []
        self.model.subgraphs, self.model.signatureDefs = [self.main], []
        self.main.tensors, self.main.operators = [], []
        self.last = self._tensor("image", (1, *(size if isinstance(size, tuple) else (size, size)), 3))
        self.main.inputs = [self.last]

    def conv(self, kernel, bias=None, *, stride=1, dilation=1, padding=SAME, fused=FUSED.NONE):
        """kernel [out, h, w, in]."""
        return self._convolve("CONV_2D", schema.Conv2DOptionsT(), kernel, bias, stride, dilation, padding, fused)

    def depthwise(self, kernel, bias=None, *, stride=1, dilation=1, padding=SAME, fused=FUSED.NONE):
        """kernel [1, h, w, channels * multiplier]."""
        options = schema.DepthwiseConv2DOptionsT()
        options.depthMultiplier = kernel.shape[3] // self.shape[3]
        return self._convolve("DEPTHWISE_CONV_2D", options, kernel, bias, stride, dilation, padding, fused)

    def arithmetic(self, name, constant):
        """name: MUL, DIV, ADD or SUB."""
        options = getattr(schema, f"{name.capitalize()}OptionsT")()
        values = np.asarray(constant, np.float32)
        return self.operator(name, options, [self._tensor("constant", values.shape, values)], self.shape)

    def combine(self, name, other):
        """name: ADD, MUL or SUB; `other` is the index of an activation, as `last` was when it was made."""
        options = getattr(schema, f"{name.capitalize()}OptionsT")()
        return self.operator(name, options, [other], self.shape)

    def concatenate(self, *others, axis=3):
        """others: indices of activations that follow the last one along the axis."""
        options = schema.ConcatenationOptionsT()
        options.axis = axis
        shape = list(self.shape)
        shape[axis] += sum(self.main.tensors[index].shape[axis] for index in others)
        return self.operator("CONCATENATION", options, list(others), tuple(shape))

    def activation(self, name):
        """name: RELU, RELU6, LOGISTIC, TANH or HARD_SWISH, as an operator of its own."""
        options = schema.HardSwishOptionsT() if name == "HARD_SWISH" else None
        return self.operator(name, options, [], self.shape)

    def pad(self, *around):
        """around: ((top, bottom), (left, right))."""
        sides = np.array([(0, 0), *around, (0, 0)], np.int32)
        batch, *inner, channels = self.shape
        padded = [side + sum(pair) for side, pair in zip(inner, around, strict=True)]
        constant = self._tensor("sides", sides.shape, sides)
        return self.operator("PAD", schema.PadOptionsT(), [constant], (batch, *padded, channels))

    def pool(self, name, side):
        """name: AVERAGE_POOL_2D or MAX_POOL_2D, windows that do not overlap."""
        options = schema.Pool2DOptionsT()
        options.padding, options.strideW, options.strideH = VALID, side, side
        options.filterHeight = options.filterWidth = side
        return self.operator(name, options, [], (1, self.shape[1] // side, self.shape[2] // side, self.shape[3]))

    def mean(self, *, keep=False):
        options = schema.ReducerOptionsT()
        options.keepDims = keep
        axes = self._tensor("axes", (2,), np.array([1, 2], np.int32))
        channels = self.shape[3]
        return self.operator("MEAN", options, [axes], (1, 1, 1, channels) if keep else (1, channels))

    def average_pool(self):
        """Over the whole picture, to [1, 1, 1, D]."""
        options = schema.Pool2DOptionsT()
        options.padding, options.strideW, options.strideH = VALID, 1, 1
        options.filterHeight, options.filterWidth = self.shape[1:3]
        return self.operator("AVERAGE_POOL_2D", options, [], (1, 1, 1, self.shape[3]))

    def squeeze(self):
        options = schema.SqueezeOptionsT()
        options.squeezeDims = [1, 2]
        return self.operator("SQUEEZE", options, [], (1, self.shape[3]))

    def dense(self, kernel, bias=None, *, fused=FUSED.NONE):
        """kernel [out, in]."""
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = fused
        return self.operator("FULLY_CONNECTED", options, self._weights(kernel, bias), (1, len(kernel)))

    def softmax(self):
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        return self.operator("SOFTMAX", options, [], self.shape)

    @property
    def shape(self):
        return tuple(self.main.tensors[self.last].shape)

    def content(self, *outputs):
        """The bytes of the `.tflite`, with the last tensor as its output unless others are named."""
        self.main.outputs = list(outputs) or [self.last]
        graph.sign(self.model)
        return graph.pack(self.model)

    def _convolve(self, name, options, kernel, bias, stride, dilation, padding, fused):
        options.padding, options.fusedActivationFunction = padding, fused
        options.strideW = options.strideH = stride
        options.dilationWFactor = options.dilationHFactor = dilation
        reach = (kernel.shape[1] - 1) * dilation + 1
        side = -(-self.shape[1] // stride) if padding == SAME else (self.shape[1] - reach) // stride + 1
        channels = kernel.shape[3] if name.startswith("DEPTHWISE") else len(kernel)
        return self.operator(name, options, self._weights(kernel, bias), (1, side, side, channels))

    def _weights(self, kernel, bias):
        channels = kernel.shape[3] if kernel.ndim == 4 and kernel.shape[0] == 1 else len(kernel)
        bias = np.zeros(channels) if bias is None else np.asarray(bias)
        return [
            self._tensor("kernel", kernel.shape, kernel.astype(np.float32)),
            self._tensor("bias", bias.shape, bias.astype(np.float32)),
        ]

    def operator(self, name, options, more, shape):
        entering, self.last = self.last, self._tensor(name.lower(), shape)
        self.main.operators.append(graph.make_operator(self.model, name, [entering, *more], [self.last], options))
        return self

    def _tensor(self, name, shape, data=None):
        kind = "float32" if data is None else data.dtype.name
        return graph.add_tensor(self.model, f"{name}_{len(self.main.tensors)}", shape, kind, data)
