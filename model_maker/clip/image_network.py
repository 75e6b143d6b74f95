"""The image tower as a float `.tflite`: patches as tokens through a transformer, or what `fastvit` builds."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.clip import fastvit
from model_maker.clip.layers import TokenLayers, scaled
from model_maker.clip.records import Blocks, Tower
from model_maker.clip.tensors import Tensors
from model_maker.normalization import Normalization

Array = np.ndarray

# What the file's input expects of pixels. Each channel's own scale, which phone metadata cannot state, is in the first
# layer's weights; nothing is padded there, so that is exact.
NORMALIZATION = Normalization(mean=127.5, std=127.5)
_PREFIX = "vision_model"


def build(tower: Tower, tensors: Tensors) -> bytes:
    """Writes the network of a tower.

    Returns:
      A float `.tflite`: [1, H, H, 3], normalized by NORMALIZATION, to [1, D], not of length 1.

    Raises:
      BackboneError: the weights are another network's.
    """
    if not isinstance(tower.image, Blocks):
        return fastvit.build(tower, tower.image, tensors)
    net = _Transformer(tower, tower.image, tensors)
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


class _Transformer(TokenLayers):
    """Layers of a transformer over tokens, [1, T, width]."""

    def __init__(self, tower: Tower, blocks: Blocks, tensors: Tensors):
        super().__init__(tower.image_size)
        self._tower, self._tensors, self._blocks = tower, tensors, blocks

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
        layers = {letter: self._tensors.dense(f"{inner}.{letter}_proj", width, width) for letter in "qkv"}
        query = self.dense(y, f"{inner}.q", self._scaled(layers["q"]))
        y = self.attend(query, y, inner, layers | {"out": self._out(inner)}, self._blocks.heads)
        x = self.add(x, y, f"{name}.attended")
        y = self.perceive(self.normalize(x, f"{name}.layer_norm2"), f"{name}.mlp")
        return self.add(x, y, name)

    def summary(self, x: int, name: str) -> int:
        """Adds SigLIP's end: what a learned token finds in all others, [1, 1, width]."""
        width, inner = self._blocks.width, f"{name}.attention"
        layers = self._tensors.joined(inner, width)
        # What it asks for is the same of every photo.
        kernel, bias = self._scaled(layers["q"])
        query = self._tensors.get(f"{name}.probe", 1, 1, width) @ kernel.T.astype(np.float64) + bias
        layers |= {"out": self._out(inner)}
        x = self.attend(self.constant(f"{name}.query", query), x, inner, layers, self._blocks.heads)
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
        centred = self.binary("SUB", x, self._mean(x, f"{name}.mean"), f"{name}.centred")
        squares = self.binary("MUL", centred, centred, f"{name}.squares")
        epsilon = self.constant(f"{name}.epsilon", np.array([self._tower.epsilon]))
        variance = self.binary("ADD", self._mean(squares, f"{name}.variance"), epsilon, f"{name}.guarded")
        inverse = self.operator("RSQRT", [variance], self.shape(variance), None, f"{name}.inverse")
        x = self.binary("MUL", centred, inverse, f"{name}.unit")
        x = self.binary("MUL", x, self.constant(f"{name}.factor", factor), f"{name}.scaled")
        return self.binary("ADD", x, self.constant(f"{name}.offset", offset), name)

    def first(self, x: int) -> int:
        """Takes the first token, [1, width]."""
        width = self._blocks.width
        begin, size = (
            self.constant(f"first_{name}", np.array(value), "int32")
            for name, value in (("begin", [0, 0, 0]), ("size", [1, 1, width]))
        )
        token = self.operator("SLICE", [x, begin, size], (1, 1, width), schema.SliceOptionsT(), "first")
        return self.reshape(token, "first_flat", 1, width)

    def _activate(self, x: int, name: str) -> int:
        if self._tower.activation == "quick_gelu":
            steep = self.binary("MUL", x, self.constant(f"{name}.slope", np.array([1.702])), f"{name}.steep")
            share = self.operator("LOGISTIC", [steep], self.shape(steep), None, f"{name}.share")
            return self.binary("MUL", x, share, name)
        return self.gelu(x, name, approximate=self._tower.activation == "gelu_tanh")

    def _out(self, name: str) -> tuple[Array, Array]:
        """Returns the layer behind attention."""
        return self._tensors.dense(f"{name}.out_proj", self._blocks.width, self._blocks.width)

    def _scaled(self, layer: tuple[Array, Array]) -> tuple[Array, Array]:
        return scaled(layer, self._blocks.width, self._blocks.heads)

    def _mean(self, x: int, name: str) -> int:
        """Averages over features, and keeps the axis."""
        options = schema.ReducerOptionsT()
        options.keepDims = True
        axis = self.constant(f"{name}_axis", np.array([len(self.shape(x)) - 1]), "int32")
        return self.operator("MEAN", [x, axis], (*self.shape(x)[:-1], 1), options, name)
