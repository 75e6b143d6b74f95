"""Computes a Core ML program on Linux: coremltools reads the file back, TensorFlow's kernels do its operations.

Core ML itself runs on Apple's systems only. This shows that the file holds the right network, weights and pixels; how
an iPhone rounds is not seen here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray


def read(path: Path):
    """Reads a package back.

    Returns:
      Its description, and its program as coremltools reads it from the file, weights included.
    """
    import coremltools as ct
    from coremltools.converters.mil.frontend.milproto.load import load

    model = ct.models.MLModel(str(path), skip_model_load=True)
    specification = model.get_spec()
    return specification.description, load(
        specification, specification.specificationVersion, file_weights_dir=model.weights_dir
    )


def scores(program: Any, pixels: Array) -> Array:
    """Computes a classifier.

    Args:
      program: from `read`; its only function takes a picture [1, 3, H, W].
      pixels: uint8 [N, H, W, 3].

    Returns:
      float32 [N, C], what its `classify` is given.
    """
    [function] = program.functions.values()
    [entering] = function.inputs
    rows = []
    for picture in pixels.astype(np.float32).transpose(0, 3, 1, 2):
        known = {entering: picture[None]}
        for operation in function.operations:
            if operation.op_type == "classify":
                rows.append(known[operation.probabilities.name].reshape(-1))
            elif operation.op_type != "const":
                known[operation.outputs[0].name] = _compute(operation, known)
    return np.stack(rows).astype(np.float32)


def _compute(operation: Any, known: dict[str, Array]) -> Array:
    inputs = {name: _value(variable, known) for name, variable in operation.inputs.items() if variable is not None}
    return np.asarray(_OPERATIONS[operation.op_type](**inputs))


def _value(variable: Any, known: dict[str, Array]):
    if isinstance(variable, list | tuple):
        return [_value(one, known) for one in variable]
    value = variable.val if variable.val is not None else known[variable.name]
    return value.astype(np.float32) if getattr(value, "dtype", None) == np.float16 else value


def _conv(*, x, weight, strides, pad_type, pad, dilations, groups, bias=None):
    import tensorflow as tf

    image = _padded(x, weight.shape[2:], strides, pad_type, pad, dilations).transpose(0, 2, 3, 1)
    kernel = weight.transpose(2, 3, 1, 0)
    if groups == 1:
        result = tf.nn.conv2d(image, kernel, tuple(strides), "VALID", dilations=tuple(dilations)).numpy()
    else:  # depthwise: [h, w, 1, in * times] to [h, w, in, times]
        kernel = kernel.reshape(*kernel.shape[:2], image.shape[-1], -1)
        strides = (1, *strides, 1)
        result = tf.nn.depthwise_conv2d(image, kernel, strides, "VALID", dilations=tuple(dilations)).numpy()
    return (result + (0 if bias is None else bias)).transpose(0, 3, 1, 2)


def _padded(x: Array, window, strides, pad_type: str, pad, dilations=(1, 1)) -> Array:
    around = list(pad) if pad_type == "custom" else [0, 0, 0, 0]
    if pad_type == "same":
        around = []
        for size, side, stride, dilation in zip(x.shape[2:], window, strides, dilations, strict=True):
            total = max((-(-size // stride) - 1) * stride + (side - 1) * dilation + 1 - size, 0)
            around += [total // 2, total - total // 2]
    return np.pad(x, ((0, 0), (0, 0), (around[0], around[1]), (around[2], around[3])))


def _pad(*, x, pad, mode, constant_val):
    pairs = np.asarray(pad).reshape(-1, 2)
    return np.pad(x, [(0, 0)] * (x.ndim - len(pairs)) + [tuple(pair) for pair in pairs], constant_values=constant_val)


def _softmax(*, x, axis):
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


_OPERATIONS: dict[str, Callable] = {
    "add": lambda *, x, y: x + y,
    "cast": lambda *, x, dtype: x,
    "clip": lambda *, x, alpha, beta: np.clip(x, alpha, beta),
    "concat": lambda *, values, axis, interleave: np.concatenate(values, axis),
    "conv": _conv,
    "expand_dims": lambda *, x, axes: np.expand_dims(x, tuple(axes)),
    "linear": lambda *, x, weight, bias: x @ weight.T + bias,
    "matmul": lambda *, x, y, transpose_x, transpose_y: x @ (y.T if transpose_y else y),
    "mul": lambda *, x, y: x * y,
    "pad": _pad,
    "real_div": lambda *, x, y: x / y,
    "reduce_mean": lambda *, x, axes, keep_dims: x.mean(tuple(axes), keepdims=bool(keep_dims)),
    "relu": lambda *, x: np.maximum(x, 0),
    "relu6": lambda *, x: np.clip(x, 0, 6),
    "reshape": lambda *, x, shape: x.reshape(shape),
    "sigmoid": lambda *, x: 1 / (1 + np.exp(-x)),
    "softmax": _softmax,
    "squeeze": lambda *, x, axes=None: x.squeeze(None if axes is None else tuple(axes)),
    "sub": lambda *, x, y: x - y,
    "tanh": lambda *, x: np.tanh(x),
    "transpose": lambda *, x, perm: x.transpose(perm),
}
