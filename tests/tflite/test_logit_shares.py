"""The shares of cells are what the head makes of each cell, and add up to the logit, in every kind of numbers."""

import numpy as np
import pytest
from tiny_network import FUSED, TinyNetwork

from model_maker.errors import ModelError
from model_maker.tflite import class_rows, graph, integer_heads, logit_shares, network_layers
from model_maker.tflite.interpreter import LiteRTRunner

CLASSES = 3


def drawn(size, *, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(CLASSES, size)).astype(np.float32), random.normal(size=CLASSES).astype(np.float32)


def picture(side, *, seed=1):
    return np.random.default_rng(seed).normal(size=(1, side, side, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def joined(tiny_base):
    """A float classifier whose head sees all blocks of the tiny network, with its layers, kernel and bias."""
    layers = network_layers.find(tiny_base.content)
    kernel, bias = drawn(sum(layer.size for layer in layers))
    return graph.attach_head(network_layers.join(tiny_base.content, layers), kernel, bias), layers, kernel, bias


def test_each_cell_has_what_the_head_makes_of_the_map_there(joined, tiny_base):
    content, layers, kernel, bias = joined
    pixels = picture(16)
    maps, names = graph.expose_activations(tiny_base.content)
    activations = dict(zip(names, LiteRTRunner(maps).run_all(pixels), strict=True))
    found = logit_shares.attach(content, blocks=True)
    _, total, *blocks, _ = LiteRTRunner(found.content).run_all(pixels)
    assert (found.side, len(found.blocks)) == (4, 6)
    assert [block.name for block in found.blocks[:-1]] == [layer.name for layer in layers[:-1]]
    expected, start = np.zeros((4, 4, CLASSES)), 0
    for block, shares in zip(found.blocks, blocks, strict=True):
        values = activations[block.name][0].astype(np.float64)
        side, size = values.shape[0], values.shape[2]
        own = values @ kernel[:, start : start + size].T / side**2
        # A map of 8 x 8 has four cells in each of 4 x 4.
        own = own.reshape(4, side // 4, 4, side // 4, CLASSES).sum(axis=(1, 3))
        np.testing.assert_allclose(shares[0], own, atol=1e-5)  # sums of some hundred float32
        expected, start = expected + own, start + size
    np.testing.assert_allclose(total[0], expected, atol=1e-4)
    logits = LiteRTRunner(class_rows.embedder(content)).run(pixels)[0] @ kernel.T + bias
    np.testing.assert_allclose(total[0].sum(axis=(0, 1)) + bias, logits, atol=2e-4)


def test_an_int8_file_keeps_its_scores_and_its_shares_add_up_to_the_logits_of_its_integers(tiny_int8, tiny_photos):
    kernel, bias = drawn(44)
    features = np.random.default_rng(2).integers(0, 100, (50, 44)).astype(np.int8)
    head = integer_heads.quantize(kernel, bias, features, tiny_int8.step)
    content = head.attach(tiny_int8.content)
    found = logit_shares.attach(content)
    assert len(found.blocks) == 6 and not found.unplaced.any()
    plain, explaining = LiteRTRunner(content), LiteRTRunner(found.content)
    integers = LiteRTRunner(tiny_int8.content)
    for seed in range(5):
        pixels = np.random.default_rng(seed).integers(-128, 128, (1, 16, 16, 3)).astype(np.int8)
        scores, shares = explaining.run_all(pixels)
        np.testing.assert_array_equal(scores, plain.run_all(pixels)[0])
        sums = integers.run_all(pixels)[0][0].astype(np.int64) @ head.kernel.T.astype(np.int64) + head.bias
        logits = sums * head.steps.astype(np.float64) * head.feature_step
        total = shares[0].sum(axis=(0, 1)) + head.bias * head.steps.astype(np.float64) * head.feature_step
        # The promise is 2e-4 for logits of some units; float32 keeps seven digits of what is summed.
        np.testing.assert_allclose(total, logits, atol=2e-4 * max(1, np.abs(logits).max() / 10))


def test_cells_that_lie_in_two_are_divided():
    np.testing.assert_allclose(logit_shares.areas(2, 3), [[1, 0.5, 0], [0, 0.5, 1]])
    np.testing.assert_allclose(logit_shares.areas(8, 15).sum(axis=0), np.ones(15), atol=1e-6)
    np.testing.assert_array_equal(logit_shares.areas(7, 7), np.eye(7))


def test_a_map_of_15_cells_keeps_its_sum_on_a_grid_of_4():
    network = TinyNetwork(15)
    wide = network.last
    network.mean()
    first = network.last
    network.last = wide
    network.pool("AVERAGE_POOL_2D", 3).pool("MAX_POOL_2D", 1).mean().concatenate(first, axis=1)
    kernel, bias = drawn(6)
    content = graph.attach_head(network.content(), kernel, bias)
    found, pixels = logit_shares.attach(content), picture(15)
    _, shares = LiteRTRunner(found.content).run_all(pixels)
    assert found.side == 5 and [block.side for block in found.blocks] == [(5, 5), (15, 15)]
    logits = np.tile(pixels.mean(axis=(1, 2))[0], 2) @ kernel.T
    np.testing.assert_allclose(shares[0].sum(axis=(0, 1)), logits, atol=1e-5)


def test_files_of_others_with_a_pooling_and_a_convolution_work():
    kernel, bias = drawn(3)
    network = TinyNetwork(8).average_pool().conv(kernel[:, None, None, :], bias)
    network.squeeze().softmax()
    found, pixels = logit_shares.attach(network.content()), picture(8)
    _, shares = LiteRTRunner(found.content).run_all(pixels)
    np.testing.assert_allclose(shares[0], (pixels[0] @ kernel.T) / 64, atol=1e-6)


def test_what_a_further_layer_makes_of_a_mean_has_no_place():
    network = TinyNetwork(8)
    network.mean()
    mean = network.last
    network.dense(np.eye(3), np.zeros(3), fused=FUSED.RELU).concatenate(mean, axis=1)
    kernel, bias = drawn(6)
    found = logit_shares.attach(graph.attach_head(network.content(), kernel, bias))
    assert found.unplaced.tolist() == [True] * 3 + [False] * 3
    assert [(block.start, block.size) for block in found.blocks] == [(3, 3)]


def test_a_model_without_means_of_maps_says_so():
    network = TinyNetwork(8).mean().dense(np.eye(3), np.zeros(3), fused=FUSED.RELU).dense(*drawn(3)).softmax()
    with pytest.raises(ModelError, match="No input of its last layer is the mean"):
        logit_shares.attach(network.content())
    with pytest.raises(ModelError, match=r"no last layer of classes\. Where an answer comes from"):
        logit_shares.attach(TinyNetwork(8).mean().content())
