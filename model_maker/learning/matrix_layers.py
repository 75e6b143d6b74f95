"""Convolutions that train faster on processors, with the weights of Keras' own; TensorFlow is imported inside.

A 1x1 convolution is one matrix product, and so are its two gradients: a core does 1.5 times as many operations in
them as in TensorFlow's convolutions. The filter gradient of a depthwise convolution with a large filter on small maps
is a product for each channel: of every place of the input with every place of the output.
"""

import functools
from types import SimpleNamespace

import numpy as np

Array = np.ndarray

# TensorFlow has a fast filter gradient for filters up to 3x3; beyond, a product is faster for maps up to so many
# places. See docs/MEASUREMENTS.md.
_FAST_SIDE = 3
_MOST_PLACES = 100


@functools.cache
def layers(*, half: bool = False) -> SimpleNamespace:
    """Returns `Conv2D` and `DepthwiseConv2D`, subclasses of those of Keras.

    Args:
      half: whether training multiplies matrices in bfloat16, and their gradients; weights and sums stay float32.
    """
    import keras

    class Conv2D(keras.layers.Conv2D):
        def call(self, inputs, training=False):
            if self.kernel_size != (1, 1) or self.strides != (1, 1) or self.groups != 1:
                return super().call(inputs)
            return _pointwise(inputs, self.kernel, self.bias if self.use_bias else None, half=half and training)

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
        def call(self, inputs):
            if not self._is_product(inputs):
                return super().call(inputs)
            result = _depthwise(inputs, self.kernel, self.padding.upper())
            return result + self.bias if self.use_bias else result

        def _is_product(self, inputs) -> bool:
            sides = inputs.shape[1:3]
            plain = self.strides == (1, 1) and self.dilation_rate == (1, 1) and self.depth_multiplier == 1
            return plain and max(self.kernel_size) > _FAST_SIDE and None not in sides and np.prod(sides) <= _MOST_PLACES

    return SimpleNamespace(Conv2D=Conv2D, DepthwiseConv2D=DepthwiseConv2D)


def _pointwise(inputs, kernel, bias, *, half: bool):
    import tensorflow as tf

    inward, outward = kernel.shape[2:]
    rows, columns = tf.reshape(inputs, [-1, inward]), tf.reshape(kernel, [inward, outward])
    if half:
        rows, columns = tf.cast(rows, tf.bfloat16), tf.cast(columns, tf.bfloat16)
    result = tf.cast(tf.matmul(rows, columns), inputs.dtype)
    if bias is not None:
        result = tf.nn.bias_add(result, bias)
    return tf.reshape(result, tf.concat([tf.shape(inputs)[:3], [outward]], 0))


def _depthwise(inputs, kernel, padding: str):
    import tensorflow as tf

    @tf.custom_gradient
    def convolve(inputs, kernel):
        def gradient(upstream):
            back = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(inputs),
                filter=kernel,
                out_backprop=upstream,
                strides=[1, 1, 1, 1],
                padding=padding,
            )
            return back, _filter_gradient(inputs, upstream, kernel.shape, padding)

        return tf.nn.depthwise_conv2d(inputs, kernel, [1, 1, 1, 1], padding), gradient

    return convolve(inputs, tf.convert_to_tensor(kernel))


def _filter_gradient(inputs, upstream, shape, padding: str):
    """Sums the products of places that each tap of the filter joins: [h, w, C, 1]."""
    import tensorflow as tf

    channels = shape[2]
    before, after = (
        tf.transpose(tf.reshape(maps, [-1, int(np.prod(maps.shape[1:3])), channels]), [2, 0, 1])
        for maps in (inputs, upstream)
    )
    products = tf.matmul(before, after, transpose_a=True)
    taps = tf.constant(_taps(tuple(inputs.shape[1:3]), tuple(upstream.shape[1:3]), tuple(shape[:2]), padding))
    sums = tf.matmul(tf.cast(taps, products.dtype), tf.reshape(products, [channels, -1]), transpose_b=True)
    return tf.reshape(sums, shape)


@functools.cache
def _taps(inside: tuple[int, int], outside: tuple[int, int], filter_shape: tuple[int, int], padding: str) -> Array:
    """Tells which places each tap joins: float32 [taps, places of the input * places of the output], 0 or 1."""
    found = np.zeros((*filter_shape, *inside, *outside), np.float32)
    before = [(side - 1) // 2 if padding == "SAME" else 0 for side in filter_shape]
    for place in np.ndindex(*outside):
        for tap in np.ndindex(*filter_shape):
            row, column = (place[axis] + tap[axis] - before[axis] for axis in (0, 1))
            if 0 <= row < inside[0] and 0 <= column < inside[1]:
                found[(*tap, row, column, *place)] = 1
    return found.reshape(filter_shape[0] * filter_shape[1], -1)
