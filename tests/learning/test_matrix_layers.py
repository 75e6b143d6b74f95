import numpy as np
import pytest
from needs import load

from model_maker.learning import matrix_layers

pytestmark = pytest.mark.tensorflow
keras, tf = load("keras"), load("tensorflow")


def answers(convolution, maps, upstream):
    """What a layer gives, and the gradients of its input, kernel and bias, for seeded weights."""
    convolution.build(maps.shape)
    random = np.random.default_rng(1)
    convolution.set_weights([random.normal(size=weights.shape) for weights in convolution.get_weights()])
    with tf.GradientTape() as tape:
        tape.watch(maps)
        result = convolution(maps, training=True)
        total = tf.reduce_sum(result * upstream)
    return [result, *tape.gradient(total, [maps, *convolution.trainable_variables])]


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("Conv2D", {"filters": 7, "kernel_size": 1}),
        ("Conv2D", {"filters": 7, "kernel_size": 1, "use_bias": False}),
        ("Conv2D", {"filters": 7, "kernel_size": 3}),
        ("Conv2D", {"filters": 7, "kernel_size": 1, "strides": 2}),
        ("DepthwiseConv2D", {"kernel_size": 5, "padding": "same"}),
        ("DepthwiseConv2D", {"kernel_size": 5, "padding": "valid"}),
        ("DepthwiseConv2D", {"kernel_size": (5, 3), "padding": "same", "use_bias": False}),
        ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same"}),
        ("DepthwiseConv2D", {"kernel_size": 5, "strides": 2, "padding": "same"}),
    ],
)
def test_they_compute_what_keras_computes(kind, arguments):
    random = np.random.default_rng(0)
    maps = tf.constant(random.normal(size=(3, 6, 7, 4)), tf.float32)
    make = getattr(keras.layers, kind)
    upstream = random.normal(size=make(**arguments)(maps).shape).astype(np.float32)
    expected = answers(make(**arguments), maps, upstream)
    found = answers(getattr(matrix_layers.layers(), kind)(**arguments), maps, upstream)
    for one, other in zip(found, expected, strict=True):
        # The same sums of up to 126 products of about 1, in another order.
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_half_precision_is_for_training_only():
    maps = tf.constant(np.random.default_rng(0).normal(size=(3, 6, 7, 16)), tf.float32)
    convolution = matrix_layers.layers(half=True).Conv2D(8, 1)
    exact = np.asarray(maps).reshape(-1, 16) @ np.asarray((convolution(maps), convolution.kernel)[1])[0, 0]
    np.testing.assert_allclose(np.reshape(convolution(maps, training=False), (-1, 8)), exact, atol=1e-5)
    rounded = np.reshape(convolution(maps, training=True), (-1, 8))
    # bfloat16 has 8 bits: factors are off by up to 1/512 each, and so is the result; the sums are exact.
    assert 1e-4 < np.abs(rounded - exact).max() < 3 / 256 * np.abs(exact).max()
    assert rounded.dtype == np.float32
