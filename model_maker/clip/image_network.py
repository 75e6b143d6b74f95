"""The image tower as a float `.tflite`: patches as tokens through a transformer."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.backbones.network import Canvas
from model_maker.clip.records import Tower
from model_maker.clip.tensors import Tensors
from model_maker.normalization import Normalization

Array = np.ndarray
# For queries, keys and values ("q", "k", "v"): kernel [outputs, inputs] and bias [outputs].
Layers = dict[str, tuple[Array, Array]]

# What the file's input expects of pixels. Each channel's own scale, which phone metadata cannot state, is in the first
# layer's weights; nothing is padded there, so that is exact.
NORMALIZATION = Normalization(mean=127.5, std=127.5)
_PREFIX = "vision_model"


def build(tower: Tower, tensors: Tensors) -> bytes:
    """Writes the network.

    Args:
      tower: says what it is.
      tensors: its weights.

    Returns:
      A float `.tflite`: [1, H, H, 3], normalized by NORMALIZATION, to [1, D], not of length 1.

    Raises:
      BackboneError: the weights are another network's.
    """
    net = _Transformer(tower, tensors)
    x = net.tokens()
    if tower.layout != "siglip":
        x = net.normalize(x, f"{_PREFIX}.pre_layrnorm")
    for index in range(tower.image.layers):
        x = net.block(x, f"{_PREFIX}.encoder.layers.{index}")
    if tower.layout == "siglip":
        x = net.normalize(x, f"{_PREFIX}.post_layernorm")
        return net.finish(net.reshape(net.summary(x, f"{_PREFIX}.head"), "embedding", 1, tower.embedding_size))
    x = net.normalize(net.first(x), f"{_PREFIX}.post_layernorm")
    kernel = tensors.get("visual_projection.weight", tower.embedding_size, tower.image.width)
    return net.finish(net.dense(x, "embedding", (kernel, np.zeros(len(kernel)))))


class _Transformer(Canvas):
    """Layers of a transformer over tokens, [1, T, width]."""

    def __init__(self, tower: Tower, tensors: Tensors):
        super().__init__(tower.image_size)
        self._tower, self._tensors, self._blocks = tower, tensors, tower.image

    def tokens(self) -> int:
        """Adds the first layers: a token of each patch, behind the one of CLIP that becomes the picture's."""
        tower, width, name = self._tower, self._blocks.width, f"{_PREFIX}.embeddings"
        side = tower.image_size // tower.patch
        kernel = self._tensors.get(f"{name}.patch_embedding.weight", width, 3, tower.patch, tower.patch)
        siglip = tower.layout == "siglip"
        bias = self._tensors.get(f"{name}.patch_embedding.bias", width) if siglip else np.zeros(width)
        # (pixel / 255 - mean) / std of a channel, from (pixel - 127.5) / 127.5.
        scale = 0.5 / np.array(tower.image_std)
        offset = (0.5 - np.array(tower.image_mean)) / tower.image_std
        kernel = kernel.transpose(0, 2, 3, 1).astype(np.float64)
        options = schema.Conv2DOptionsT()
        options.padding, options.strideH, options.strideW = schema.Padding.VALID, tower.patch, tower.patch
        inputs = [
            self.photo,
            self.constant("patches_kernel", kernel * scale),
            self.constant("patches_bias", bias + (kernel * offset).sum((1, 2, 3))),
        ]
        x = self.operator("CONV_2D", inputs, (1, side, side, width), options, "patches")
        x = self.reshape(x, "patch_tokens", 1, side * side, width)
        if not siglip:
            own = self.constant("class_token", self._tensors.get(f"{name}.class_embedding", width)[None, None])
            options = schema.ConcatenationOptionsT()
            options.axis = 1
            x = self.operator("CONCATENATION", [own, x], (1, side * side + 1, width), options, "all_tokens")
        count = self.shape(x)[1]
        places = self._tensors.get(f"{name}.position_embedding.weight", count, width)[None]
        return self.add(x, self.constant("places", places), "placed")

    def block(self, x: int, name: str) -> int:
        """Adds attention and two dense layers, each behind a normalization and added to what came in."""
        width = self._blocks.width
        y, inner = self.normalize(x, f"{name}.layer_norm1"), f"{name}.self_attn"
        layers = self._scaled({letter: self._tensors.dense(f"{inner}.{letter}_proj", width, width) for letter in "qkv"})
        y = self.attend(self.dense(y, f"{inner}.q", layers["q"]), y, inner, layers)
        x = self.add(x, y, f"{name}.attended")
        y = self.perceive(self.normalize(x, f"{name}.layer_norm2"), f"{name}.mlp")
        return self.add(x, y, name)

    def attend(self, query: int, x: int, name: str, layers: Layers) -> int:
        """Adds attention to the tokens `x`; `layers` are for their keys and values."""
        width = self._blocks.width
        key, value = (
            self._heads(self.dense(x, f"{name}.{letter}", layers[letter]), f"{name}.{letter}") for letter in "kv"
        )
        products = self._multiply(self._heads(query, f"{name}.q"), key, f"{name}.products", transposed=True)
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        shares = self.operator("SOFTMAX", [products], self.shape(products), options, f"{name}.shares")
        mixed = self._transpose(self._multiply(shares, value, f"{name}.mixed"), f"{name}.by_token")
        joined = self.reshape(mixed, f"{name}.joined", *self.shape(query))
        return self.dense(joined, f"{name}.out", self._tensors.dense(f"{name}.out_proj", width, width))

    def summary(self, x: int, name: str) -> int:
        """Adds SigLIP's end: what a learned token finds in all others, [1, 1, width]."""
        width = self._blocks.width
        layers = self._scaled(self._tensors.joined(f"{name}.attention", width))
        # What it asks for is the same of every photo.
        kernel, bias = layers["q"]
        query = self._tensors.get(f"{name}.probe", 1, 1, width) @ kernel.T.astype(np.float64) + bias
        x = self.attend(self.constant(f"{name}.query", query), x, f"{name}.attention", layers)
        y = self.perceive(self.normalize(x, f"{name}.layernorm"), f"{name}.mlp")
        return self.add(x, y, name)

    def perceive(self, x: int, name: str) -> int:
        """Adds two dense layers with the activation between them."""
        width, hidden = self._blocks.width, self._blocks.hidden
        x = self.dense(x, f"{name}.fc1", self._tensors.dense(f"{name}.fc1", hidden, width))
        x = self._activate(x, f"{name}.activated")
        return self.dense(x, f"{name}.fc2", self._tensors.dense(f"{name}.fc2", width, hidden))

    def normalize(self, x: int, name: str) -> int:
        """Adds a layer normalization."""
        factor, offset = self._tensors.scale(name, self._blocks.width)
        centred = self._binary("SUB", x, self._mean(x, f"{name}.mean"), f"{name}.centred")
        squares = self._binary("MUL", centred, centred, f"{name}.squares")
        epsilon = self.constant(f"{name}.epsilon", np.array([self._tower.epsilon]))
        variance = self._binary("ADD", self._mean(squares, f"{name}.variance"), epsilon, f"{name}.guarded")
        inverse = self.operator("RSQRT", [variance], self.shape(variance), None, f"{name}.inverse")
        x = self._binary("MUL", centred, inverse, f"{name}.unit")
        x = self._binary("MUL", x, self.constant(f"{name}.factor", factor), f"{name}.scaled")
        return self._binary("ADD", x, self.constant(f"{name}.offset", offset), name)

    def dense(self, x: int, name: str, layer: tuple[Array, Array]) -> int:
        """Adds a dense layer, kernel [outputs, inputs] and bias [outputs]."""
        kernel, bias = layer
        options = schema.FullyConnectedOptionsT()
        options.keepNumDims = True
        inputs = [x, self.constant(f"{name}_kernel", kernel), self.constant(f"{name}_bias", bias)]
        return self.operator("FULLY_CONNECTED", inputs, (*self.shape(x)[:-1], len(kernel)), options, name)

    def first(self, x: int) -> int:
        """Takes the first token, [1, width]."""
        width = self._blocks.width
        begin, size = (
            self.constant(f"first_{name}", np.array(value), "int32")
            for name, value in (("begin", [0, 0, 0]), ("size", [1, 1, width]))
        )
        token = self.operator("SLICE", [x, begin, size], (1, 1, width), schema.SliceOptionsT(), "first")
        return self.reshape(token, "first_flat", 1, width)

    def reshape(self, x: int, name: str, *shape: int) -> int:
        """Gives an activation another shape."""
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        sides = self.constant(f"{name}_shape", np.array(shape), "int32")
        return self.operator("RESHAPE", [x, sides], shape, options, name)

    def _scaled(self, layers: Layers) -> Layers:
        """Takes the scale of attention's products into the layer for queries."""
        factor = np.float32((self._blocks.width // self._blocks.heads) ** -0.5)
        kernel, bias = layers["q"]
        return {**layers, "q": (kernel * factor, bias * factor)}

    def _activate(self, x: int, name: str) -> int:
        if self._tower.activation == "quick_gelu":
            steep = self._binary("MUL", x, self.constant(f"{name}.slope", np.array([1.702])), f"{name}.steep")
            share = self.operator("LOGISTIC", [steep], self.shape(steep), None, f"{name}.share")
            return self._binary("MUL", x, share, name)
        options = schema.GeluOptionsT()
        options.approximate = self._tower.activation == "gelu_tanh"
        return self.operator("GELU", [x], self.shape(x), options, name)

    def _heads(self, x: int, name: str) -> int:
        """Parts features among heads: [1, T, width] to [1, heads, T, width / heads]."""
        _, count, width = self.shape(x)
        parted = self.reshape(x, f"{name}_parted", 1, count, self._blocks.heads, width // self._blocks.heads)
        return self._transpose(parted, f"{name}_heads")

    def _transpose(self, x: int, name: str) -> int:
        """Exchanges the two axes in the middle."""
        order = self.constant(f"{name}_order", np.array([0, 2, 1, 3]), "int32")
        one, two, three, four = self.shape(x)
        return self.operator("TRANSPOSE", [x, order], (one, three, two, four), schema.TransposeOptionsT(), name)

    def _multiply(self, x: int, y: int, name: str, *, transposed: bool = False) -> int:
        """Multiplies matrices of each head, the second one transposed or not."""
        options = schema.BatchMatMulOptionsT()
        options.adjY = transposed
        shape = (*self.shape(x)[:3], self.shape(y)[2 if transposed else 3])
        return self.operator("BATCH_MATMUL", [x, y], shape, options, name)

    def _mean(self, x: int, name: str) -> int:
        """Averages over features, and keeps the axis."""
        options = schema.ReducerOptionsT()
        options.keepDims = True
        axis = self.constant(f"{name}_axis", np.array([len(self.shape(x)) - 1]), "int32")
        return self.operator("MEAN", [x, axis], (*self.shape(x)[:-1], 1), options, name)

    def _binary(self, kind: str, x: int, y: int, name: str) -> int:
        options = {"ADD": schema.AddOptionsT, "SUB": schema.SubOptionsT, "MUL": schema.MulOptionsT}[kind]()
        return self.operator(kind, [x, y], self.shape(x), options, name)
