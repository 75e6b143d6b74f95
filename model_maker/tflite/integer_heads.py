"""Quantized heads: a fitted head in int8, for the joined layers of an int8 backbone.

Features have one step, weights one per class, biases the product of both, logits one of their own; scores have steps of
1 / 256. A head on its own is a small file with the same two operators, so its scores for cached embeddings equal the
scores of the full file for their photos.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from threadpoolctl import threadpool_limits

from model_maker.errors import ModelError
from model_maker.tflite import graph, rounding
from model_maker.tflite.interpreter import LiteRTRunner

Array = np.ndarray

LOGITS = "logits"
_INPUT = "features"
# Features whose weights are rounded together: more take seconds, and gain less than a logit step.
_TOGETHER = 256
# Photos from which correlations between features are estimated.
_PHOTOS = 2048
# The sigmoid of this is within half a step (1 / 256) of 1.
_MOST_LOGIT = 8.0
# Photos whose features are in memory at a time.
BLOCK = 4096


class IntegerFeatures(Protocol):
    """int8 [N, D]: an array, or what reads its rows from a store."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Array: ...


@dataclass(frozen=True)
class IntegerHead:
    """A linear classifier on int8 features.

    Attributes:
      kernel: int8 [C, D].
      steps: float32 [C], weight step of each class.
      bias: int32 [C], in units of a feature's step times the class's.
      feature_step: quantization step of the features; their zero point is 0.
      logit_step, logit_zero: step and zero point of the int8 logits.
      multi_label: whether each label has an independent score: a sigmoid instead of the softmax.
    """

    kernel: Array
    steps: Array
    bias: Array
    feature_step: float
    logit_step: float
    logit_zero: int
    multi_label: bool = False

    def scores(self, features: IntegerFeatures, *, kernels: str = "xnnpack") -> Array:
        """Returns the scores of a file with this head, float32 [N, C], for int8 features [N, D]."""
        runner = LiteRTRunner(self._alone(), kernels=kernels)
        rows = [runner.run(row[None])[0] for block in _blocks(features) for row in block]
        return np.array(rows, np.float32).reshape(len(features), len(self.bias))

    def attach(self, embedder: bytes) -> bytes:
        """Appends the head to an int8 embedder, int8 [1, H, H, 3] to int8 [1, D].

        Returns:
          A classifier with the output `probabilities`, int8 [1, C], and a signature.

        Raises:
          ModelError: the number, step or type of its features is not what the head expects.
        """
        model = graph.parse(embedder)
        self.append(model)
        return graph.pack(model)

    def _alone(self) -> bytes:
        model = graph.new_model()
        features = graph.add_tensor(model, _INPUT, (1, self.kernel.shape[1]), "int8")
        main = model.subgraphs[0]
        main.tensors[features].quantization = graph.quantization(self.feature_step, 0)
        main.inputs = main.outputs = [features]
        self._append(model)
        return graph.pack(model)

    def append(self, model: schema.ModelT) -> None:
        """Appends the head to the object tree of an int8 embedder, in place; see `attach`."""
        self._append(model)
        graph.sign(model)

    def _append(self, model: schema.ModelT) -> None:
        main = model.subgraphs[0]
        [features] = (int(index) for index in main.outputs)
        tensor, (classes, size) = main.tensors[features], self.kernel.shape
        given = tensor.quantization
        if tensor.type != schema.TensorType.INT8 or given is None or list(tensor.shape) != [1, size]:
            raise ModelError(f"The head expects {size} int8 features; the embedder gives {list(tensor.shape)}.")
        if np.float32(given.scale[0]) != np.float32(self.feature_step) or given.zeroPoint[0] != 0:
            raise ModelError("The head was fitted on features with another quantization step than the embedder's.")
        kernel = graph.add_tensor(model, "head/kernel", self.kernel.shape, "int8", self.kernel)
        bias = graph.add_tensor(model, "head/bias", (classes,), "int32", self.bias)
        main.tensors[kernel].quantization = graph.quantization(self.steps, np.zeros(classes, int))
        products = np.float32(self.feature_step) * self.steps
        main.tensors[bias].quantization = graph.quantization(products, np.zeros(classes, int))
        logits = graph.add_tensor(model, LOGITS, (1, classes), "int8")
        main.tensors[logits].quantization = graph.quantization(self.logit_step, self.logit_zero)
        scores = graph.add_tensor(model, graph.OUTPUT, (1, classes), "int8")
        main.tensors[scores].quantization = graph.quantization(1 / 256, -128)
        dense = schema.FullyConnectedOptionsT()
        main.operators += [
            graph.make_operator(model, "FULLY_CONNECTED", [features, kernel, bias], [logits], dense),
            graph.make_scores(model, logits, scores, multi_label=self.multi_label),
        ]
        main.outputs = [scores]


def quantize(
    kernel: Array, bias: Array, features: IntegerFeatures, feature_step: float, *, multi_label: bool = False
) -> IntegerHead:
    """Rounds a fitted head to integers so that its logits for the given photos change least.

    Args:
      kernel: float [C, D], for dequantized features.
      bias: float [C].
      features: int8 [N, D], of the training photos; read in blocks.
      feature_step: quantization step of the features.
      multi_label: as in IntegerHead.
    """
    if not multi_label:  # an offset common to all logits changes no score, but widens their range
        kernel, bias = kernel - kernel.mean(axis=0), bias - bias.mean()
    kernel = kernel.astype(np.float64)
    # Even if a class's weights are zero, its bias must fit into int32.
    least = np.maximum(np.abs(bias) / feature_step / 2**30, 1e-12)
    steps = np.maximum(np.abs(kernel).max(axis=1) / 127, least).astype(np.float32)
    seen = features[:: max(1, -(-len(features) // _PHOTOS))].astype(np.float32)
    rounded = np.empty(kernel.shape)
    with threadpool_limits(1, "blas"):  # BLAS threads are slower on matrices this small
        for start in range(0, kernel.shape[1], _TOGETHER):
            part = slice(start, start + _TOGETHER)
            second = (seen[:, part].T @ seen[:, part])[None]
            weights = kernel[None, :, part].transpose(0, 2, 1)
            rounded[:, part] = rounding.round_together(weights, steps[None].astype(np.float64), second)[0].T
        # The bias absorbs the mean error of rounding the weights.
        lost = (kernel - rounded * steps[:, None]) @ seen.mean(axis=0) * feature_step
        products = np.float32(feature_step) * steps
        whole_bias = np.clip(np.rint((bias + lost) / products), -(2**31) + 1, 2**31 - 1)
        low, high = _range(features, rounded, whole_bias, products)
    if multi_label:  # scores beyond these saturate at 0 and 255 of 256; the others gain finer steps
        low, high = max(low, -_MOST_LOGIT), min(high, _MOST_LOGIT)
    logit_step = (high - low) / 255 or 1.0
    zero = int(np.clip(np.rint(-128 - low / logit_step), -128, 127))
    return IntegerHead(
        rounded.astype(np.int8),
        steps,
        whole_bias.astype(np.int32),
        feature_step,
        float(np.float32(logit_step)),
        zero,
        multi_label,
    )


def _range(features: IntegerFeatures, kernel: Array, bias: Array, products: Array) -> tuple[float, float]:
    """Returns the lowest and the highest logit of all classes, at most and at least 0."""
    low, high, turned = 0.0, 0.0, kernel.T.astype(np.float32)
    for block in _blocks(features):
        logits = (block.astype(np.float32) @ turned + bias) * products
        low, high = min(low, float(logits.min())), max(high, float(logits.max()))
    return low, high


def _blocks(features: IntegerFeatures) -> Iterator[Array]:
    return (features[start : start + BLOCK] for start in range(0, len(features), BLOCK))
