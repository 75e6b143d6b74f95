"""MobileCLIP's image tower, a FastViT, as a float `.tflite`: convolutions, and attention in its last stage.

Training uses parallel branches with batch normalization. Branches and normalization are linear, so they are merged into
one convolution here (reparameterization).

Source: Vasu et al. 2023, "FastViT: A Fast Hybrid Vision Transformer using Structural Reparameterization"; and 2024,
"MobileCLIP: Fast Image-Text Models through Multi-Modal Reinforced Training".
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.clip.layers import Dense, TokenLayers, scaled
from model_maker.clip.records import FastViTStage, Tower
from model_maker.clip.tensors import TRUNK, Tensors

Array = np.ndarray

_EPSILON = 1e-5  # of batch normalizations
_HEAD = 32  # features of a head of attention
_LARGE, _SMALL = 7, 3  # kernels of what halves a map
# Channels of the last layer by those of the last stage; and shares of channels between the layers of a gate.
_WIDER, _GATE, _LAST_GATE = 2, 4, 16


def build(tower: Tower, stages: tuple[FastViTStage, ...], tensors: Tensors) -> bytes:
    """Writes the network; see `image_network.build`."""
    net = _FastViT(tower.image_size, Branches(tensors))
    # (pixel / 255 - mean) / std of a channel, from (pixel - 127.5) / 127.5: the offset goes before the first layer, for
    # what is padded there are zeros behind it.
    scale = 0.5 / np.array(tower.image_std)
    x = net.binary("ADD", net.photo, net.constant("offset", 1 - 2 * np.array(tower.image_mean)), "pixels")
    width = stages[0].width
    x = net.mobile_one(x, f"{TRUNK}.stem.0", width, 3, stride=2, scale=scale)
    x = net.mobile_one(x, f"{TRUNK}.stem.1", width, 3, stride=2, depthwise=True)
    x = net.mobile_one(x, f"{TRUNK}.stem.2", width, 1)
    for index, stage in enumerate(stages):
        x = net.stage(x, f"{TRUNK}.stages.{index}", stage)
    x = net.mobile_one(
        x, name := f"{TRUNK}.final_conv", wider := _WIDER * stages[-1].width, 3, depthwise=True, gate=True
    )
    x = net.pool(x, f"{name}.pooled")
    return net.finish(net.dense(x, "embedding", tensors.dense(f"{TRUNK}.head.fc", tower.embedding_size, wider)))


class Branches:
    """Kernels [outputs, inputs, K, K] and biases of convolutions, joined from the branches of training."""

    def __init__(self, tensors: Tensors):
        self.tensors = tensors

    def normalization(self, name: str, width: int) -> tuple[Array, Array]:
        """Returns factor and offset of a batch normalization, float64 [width]."""
        factor, offset, mean, variance = (
            self.tensors.get(f"{name}.{part}", width).astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = factor / np.sqrt(variance + _EPSILON)
        return factor, offset - mean * factor

    def convolution(self, name: str, outputs: int, inputs: int, kernel: int, *, within: int | None = None) -> Dense:
        """Returns a convolution and the normalization behind it, in the middle of a kernel of the size `within`."""
        factor, bias = self.normalization(f"{name}.bn", outputs)
        weights = self.tensors.get(f"{name}.conv.weight", outputs, inputs, kernel, kernel)
        side = ((within or kernel) - kernel) // 2
        padded = np.pad(weights.astype(np.float64), ((0, 0), (0, 0), (side, side), (side, side)))
        return padded * factor[:, None, None, None], bias

    def identity(self, name: str, width: int, inputs: int, kernel: int) -> Dense:
        """Returns a normalization alone as a convolution."""
        factor, bias = self.normalization(name, width)
        return unchanged(width, inputs, kernel) * factor[:, None, None, None], bias

    def mobile_one(self, name: str, outputs: int, inputs: int, kernel: int, *, same: bool) -> Dense:
        """Joins the branches of a MobileOne block: the convolution, one of a pixel, and the input as it is.

        Args:
          outputs, inputs, kernel: of the convolution; `inputs` of each of its groups.
          same: whether what comes out has the form of what goes in.
        """
        found = [self.convolution(f"{name}.conv_kxk.0", outputs, inputs, kernel)]
        if kernel > 1:
            found.append(self.convolution(f"{name}.conv_scale", outputs, inputs, 1, within=kernel))
        if same:
            found.append(self.identity(f"{name}.identity", outputs, inputs, kernel))
        return joined(found)

    def layer_scale(self, name: str, width: int) -> Array:
        """Returns the factors of what a block adds, float64 [width]."""
        return self.tensors.get(f"{name}.gamma", width, 1, 1).reshape(-1).astype(np.float64)

    def rep_mixer(self, name: str, width: int) -> Dense:
        """Joins what mixes neighbors: the input, and the scaled difference of a block and a normalization."""
        mixed = self.mobile_one(f"{name}.mixer", width, 1, 3, same=True)
        plain = self.identity(f"{name}.norm.identity", width, 1, 3)
        factor = self.layer_scale(f"{name}.layer_scale", width)
        kernel = unchanged(width, 1, 3) + factor[:, None, None, None] * (mixed[0] - plain[0])
        return kernel, factor * (mixed[1] - plain[1])


def joined(branches: list[Dense]) -> Dense:
    """Returns the one convolution that gives the sum of several."""
    kernels, biases = zip(*branches, strict=True)
    return np.sum(kernels, axis=0), np.sum(biases, axis=0)


def unchanged(width: int, inputs: int, kernel: int) -> Array:
    """Returns the kernel that changes nothing, [width, inputs, K, K]."""
    found = np.zeros((width, inputs, kernel, kernel))
    rows = np.arange(width)
    found[rows, rows % inputs, kernel // 2, kernel // 2] = 1
    return found


class _FastViT(TokenLayers):
    """Layers over maps, [1, H, W, C]."""

    def __init__(self, image_size: int, branches: Branches):
        super().__init__(image_size)
        self._branches = branches
        self._tensors = branches.tensors

    def stage(self, x: int, name: str, stage: FastViTStage) -> int:
        """Adds what halves the map, if it is not yet of the stage's width, and the stage's blocks."""
        if self.shape(x)[3] != stage.width:
            x = self._halve(x, f"{name}.downsample.proj", stage)
        if stage.attention:
            places = self._tensors.convolution(f"{name}.pos_emb.pos_enc", stage.width, 1, _LARGE)
            x = self.convolve(
                x, f"{name}.pos_emb", (places[0] + unchanged(stage.width, 1, _LARGE), places[1]), depthwise=True
            )
        for index in range(stage.blocks):
            block = f"{name}.blocks.{index}"
            if stage.attention:
                x = self._attention(x, block, stage.width)
            else:
                mixer = self._branches.rep_mixer(f"{block}.token_mixer", stage.width)
                x = self.convolve(x, f"{block}.mixed", mixer, depthwise=True)
            x = self._perceive(x, block, stage)
        return x

    def mobile_one(
        self,
        x: int,
        name: str,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        depthwise: bool = False,
        gate: bool = False,
        scale: Array | None = None,
    ) -> int:
        """Adds a MobileOne block; `gate` adds squeeze-excite before the activation, `scale` is that of its input."""
        inputs = self.shape(x)[3]
        same = stride == 1 and inputs == outputs
        weights, bias = self._branches.mobile_one(name, outputs, 1 if depthwise else inputs, kernel, same=same)
        if scale is not None:
            weights = weights * scale[:, None, None]
        x = self.convolve(x, f"{name}.joined", (weights, bias), stride=stride, depthwise=depthwise)
        if gate:
            x = self._gate(x, f"{name}.se", outputs // _LAST_GATE)
        return self.gelu(x, name)

    def _halve(self, x: int, name: str, stage: FastViTStage) -> int:
        """Adds a large kernel in steps of two, and a layer of one pixel."""
        layers = [
            self._branches.convolution(f"{name}.0.{part}_conv", stage.width, 1, kernel, within=_LARGE)
            for part, kernel in (("large", _LARGE), ("small", _SMALL))
        ]
        x = self.convolve(x, f"{name}.0.joined", joined(layers), stride=2, depthwise=True)
        if stage.gated:
            x = self._gate(x, f"{name}.0.se", stage.width // _GATE)
        x = self.gelu(x, f"{name}.0")
        return self.mobile_one(x, f"{name}.1", stage.width, 1)

    def _attention(self, x: int, name: str, width: int) -> int:
        """Adds attention of all places to all, behind a normalization, to what came in."""
        _, high, wide, _ = self.shape(x)
        factor, offset = self._branches.normalization(f"{name}.norm", width)
        kernels = self._tensors.get(f"{name}.token_mixer.qkv.weight", 3 * width, width).astype(np.float64)
        layers = {
            letter: (kernel * factor, kernel @ offset)
            for letter, kernel in zip("qkv", np.split(kernels, 3), strict=True)
        }
        kernel, bias = self._tensors.dense(f"{name}.token_mixer.proj", width, width)
        grown = self._branches.layer_scale(f"{name}.layer_scale_1", width)
        layers["out"] = kernel * grown[:, None], bias * grown
        tokens, heads, inner = self.reshape(x, f"{name}.tokens", 1, high * wide, width), width // _HEAD, f"{name}.mixed"
        query = self.dense(tokens, f"{inner}.q", scaled(layers["q"], width, heads))
        y = self.attend(query, tokens, inner, layers, heads)
        return self.add(x, self.reshape(y, f"{name}.map", 1, high, wide, width), f"{name}.attended")

    def _perceive(self, x: int, name: str, stage: FastViTStage) -> int:
        """Adds a large kernel and two layers of one pixel, the activation between them, to what came in."""
        mlp = f"{name}.mlp"
        y = self.convolve(
            x, f"{mlp}.conv", self._branches.convolution(f"{mlp}.conv", stage.width, 1, _LARGE), depthwise=True
        )
        y = self.convolve(y, f"{mlp}.fc1", self._tensors.convolution(f"{mlp}.fc1", stage.hidden, stage.width, 1))
        y = self.gelu(y, f"{mlp}.activated")
        kernel, bias = self._tensors.convolution(f"{mlp}.fc2", stage.width, stage.hidden, 1)
        grown = self._branches.layer_scale(f"{name}.layer_scale{'_2' if stage.attention else ''}", stage.width)
        y = self.convolve(y, f"{mlp}.fc2", (kernel * grown[:, None, None, None], bias * grown))
        return self.add(x, y, name)

    def _gate(self, x: int, name: str, reduced: int) -> int:
        """Weighs channels by what the whole picture holds: pooled, reduced, widened, sigmoid, multiplied."""
        width = self.shape(x)[3]
        y = self.pool(x, f"{name}.pooled", keep=True)
        y = self.convolve(
            y, f"{name}.fc1", self._tensors.convolution(f"{name}.fc1", reduced, width, 1), activation="RELU"
        )
        y = self.convolve(y, f"{name}.fc2", self._tensors.convolution(f"{name}.fc2", width, reduced, 1))
        y = self.operator("LOGISTIC", [y], self.shape(y), None, f"{name}.shares")
        return self.binary("MUL", x, y, name)

    def convolve(
        self, x: int, name: str, layer: Dense, *, stride: int = 1, depthwise: bool = False, activation: str = "NONE"
    ) -> int:
        """Adds a convolution of the kernel [outputs, inputs, K, K]; as many zeros stand around on all four sides."""
        weights, bias = layer
        outputs, _, kernel, _ = weights.shape
        _, high, wide, channels = self.shape(x)
        if stride > 1 and kernel > 1:  # where "same" would put one zero more behind than before
            side = kernel // 2
            around = self.constant(f"{name}_pads", np.array([(0, 0), (side, side), (side, side), (0, 0)]), "int32")
            shape = (1, high + 2 * side, wide + 2 * side, channels)
            x = self.operator("PAD", [x, around], shape, schema.PadOptionsT(), f"{name}_padded")
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        options.padding = schema.Padding.SAME if stride == 1 else schema.Padding.VALID
        options.strideH = options.strideW = stride
        options.fusedActivationFunction = getattr(schema.ActivationFunctionType, activation)
        if depthwise:
            options.depthMultiplier = outputs // channels
        order = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
        inputs = [x, self.constant(f"{name}_kernel", weights.transpose(order)), self.constant(f"{name}_bias", bias)]
        kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        return self.operator(kind, inputs, (1, high // stride, wide // stride, outputs), options, name)
