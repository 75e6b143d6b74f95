import dataclasses

import numpy as np
import pytest
from tiny_network import FUSED, VALID, TinyNetwork, residual_network

from benchmarks.backbones import RandomWeights
from model_maker import backbones
from model_maker.errors import ModelError
from model_maker.tflite import graph, keras_model, network_layers
from model_maker.tflite.interpreter import LiteRTRunner

pytestmark = pytest.mark.tensorflow

# Two runtimes sum in another order: some units in the last place of the largest number.
ROUNDING = 1e-5


def filters(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def everything():
    """A network with each kind of operator that a backbone holds."""
    network = TinyNetwork(12)
    network.pad((1, 0), (0, 2)).conv(filters(8, 3, 3, 3), filters(8), stride=2, fused=FUSED.RELU6)
    network.depthwise(filters(1, 3, 3, 8, seed=1), filters(8, seed=1), fused=FUSED.RELU)
    before = network.last
    network.depthwise(filters(1, 3, 3, 16, seed=2)).conv(filters(8, 1, 1, 16, seed=3)).combine("ADD", before)
    wide = network.last
    network.mean(keep=True).conv(filters(4, 1, 1, 8, seed=4), fused=FUSED.RELU).conv(filters(8, 1, 1, 4, seed=5))
    network.arithmetic("ADD", 3.0).activation("RELU6").arithmetic("MUL", 1 / 6).combine("MUL", wide)
    network.activation("HARD_SWISH").arithmetic("SUB", filters(8, seed=6)).activation("LOGISTIC")
    network.conv(filters(6, 2, 2, 8, seed=7), padding=VALID).activation("TANH").pool("MAX_POOL_2D", 2)
    return network.mean().dense(filters(5, 6, seed=8), filters(5), fused=FUSED.RELU).dense(filters(3, 5)).softmax()


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(1).normal(size=(4, 12, 12, 3)).astype(np.float32)


def run(content, batch):
    runner = LiteRTRunner(content)
    return np.concatenate([runner.run(picture[None]) for picture in batch])


def test_computes_what_litert_computes(pictures):
    content = everything().content()
    expected = run(content, pictures)
    assert expected.std() > 0.01
    found = np.asarray(keras_model.to_keras(content)(pictures))
    np.testing.assert_allclose(found, expected, atol=ROUNDING)


def test_average_pooling_and_sub_of_activations(pictures):
    network = TinyNetwork(12).conv(filters(4, 3, 3, 3))
    first = network.last
    network.activation("TANH").combine("SUB", first).pool("AVERAGE_POOL_2D", 3).mean()
    content = network.content()
    np.testing.assert_allclose(keras_model.to_keras(content)(pictures), run(content, pictures), atol=ROUNDING)


@pytest.mark.parametrize("axis", [1, 3, -1])
def test_activations_are_joined_along_an_axis(pictures, axis):
    network = TinyNetwork(12).conv(filters(4, 3, 3, 3))
    first = network.last
    network.activation("TANH")
    second = network.last
    network.conv(filters(4, 3, 3, 4, seed=1)).concatenate(first, second, axis=axis)
    assert network.shape == ((1, 36, 12, 4) if axis == 1 else (1, 12, 12, 12))
    content = network.content()
    np.testing.assert_allclose(keras_model.to_keras(content)(pictures), run(content, pictures), atol=ROUNDING)


def test_joined_layers_go_to_keras_and_back():
    base = residual_network()
    factors = dict(zip(range(6), [3.0, 0.25, 1.0, 2.0, 0.5, 1.0], strict=True))
    found = [dataclasses.replace(layer, factor=factors[n]) for n, layer in enumerate(network_layers.find(base))]
    content = network_layers.join(base, found)
    photos = np.random.default_rng(1).normal(size=(4, 16, 16, 3)).astype(np.float32)
    model = keras_model.to_keras(content)
    assert model.output_shape == (None, 44)
    np.testing.assert_allclose(model(photos), run(content, photos), atol=ROUNDING)
    for number, variable in enumerate(model.trainable_variables):
        variable.assign(variable + 0.1 * filters(*variable.shape, seed=number))
    changed = run(keras_model.from_keras(content, model), photos)
    assert np.abs(changed - run(content, photos)).max() > 0.01
    np.testing.assert_allclose(changed, model(photos), atol=ROUNDING * np.abs(changed).max())


def test_real_backbone(lite0):
    picture = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32)
    expected = run(lite0, picture)
    assert expected.std() > 0.1
    np.testing.assert_allclose(keras_model.to_keras(lite0)(picture), expected, atol=ROUNDING * expected.max())


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v4_conv_small"])
def test_networks_with_other_operators(name):
    backbone = backbones.get(name, image_size=64)
    content = backbone.family.build(64, RandomWeights(), **dict(backbone.variant))
    picture = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype(np.float32)
    expected = run(content, picture)
    assert expected.std() > 0.01
    np.testing.assert_allclose(keras_model.to_keras(content)(picture), expected, atol=10 * ROUNDING * expected.max())


def test_weights_go_back_into_the_file(pictures):
    content = everything().content()
    model = keras_model.to_keras(content)
    for number, variable in enumerate(model.trainable_variables):
        variable.assign(variable + 0.1 * filters(*variable.shape, seed=number))
    changed = keras_model.from_keras(content, model)
    expected = np.asarray(model(pictures))
    assert np.abs(expected - run(content, pictures)).max() > 0.01
    np.testing.assert_allclose(run(changed, pictures), expected, atol=ROUNDING)


def test_equal_weights_that_were_stored_once_part(pictures):
    network = TinyNetwork(12).conv(filters(3, 3, 3, 3)).conv(filters(3, 3, 3, 3)).mean()
    tree = graph.parse(network.content())
    first, second = tree.subgraphs[0].operators[:2]
    second.inputs = [second.inputs[0], first.inputs[1], first.inputs[2]]
    content = graph.pack(tree)
    model = keras_model.to_keras(content)
    model.get_layer("conv_2d_1").kernel.assign(2 * model.get_layer("conv_2d_1").kernel)
    np.testing.assert_allclose(
        run(keras_model.from_keras(content, model), pictures), 2 * run(content, pictures), rtol=1e-4
    )


def test_part_of_a_network(pictures):
    network = TinyNetwork(12).conv(filters(4, 3, 3, 3), fused=FUSED.RELU)
    middle = network.main.tensors[network.last].name.decode()
    content = network.conv(filters(5, 3, 3, 4)).mean().content()
    tail = keras_model.to_keras(content, start=middle)
    assert tail.input_shape == (None, 12, 12, 4)
    tree = graph.parse(content)
    tree.subgraphs[0].outputs = [graph.find_tensor(tree, middle)]
    maps = run(graph.pack(tree), pictures)
    np.testing.assert_allclose(tail(maps), run(content, pictures), atol=ROUNDING)


def test_refuses_what_it_does_not_know(make_tiny_model, pictures):
    with pytest.raises(ModelError, match="only float models"):
        keras_model.to_keras(make_tiny_model("dynamic", "float32"))
    network = TinyNetwork(12).conv(filters(3, 3, 3, 3)).mean()
    tree = graph.parse(network.content())
    tree.subgraphs[0].operators[0].builtinOptions.fusedActivationFunction = FUSED.SIGN_BIT
    with pytest.raises(ModelError, match="conv_2d_0 has a fused activation"):
        keras_model.to_keras(graph.pack(tree))
    tree = graph.parse(TinyNetwork(12).conv(filters(3, 3, 3, 3)).activation("ABS").mean().content())
    with pytest.raises(ModelError, match="ABS"):
        keras_model.to_keras(graph.pack(tree))


def test_refuses_a_start_that_is_not_enough():
    network = TinyNetwork(12).conv(filters(3, 3, 3, 3))
    first = network.last
    network.activation("TANH")
    middle = network.main.tensors[network.last].name.decode()
    content = network.combine("ADD", first).mean().content()
    with pytest.raises(ModelError, match="place where the model is cut"):
        keras_model.to_keras(content, start=middle)
    with pytest.raises(ModelError, match="no activation named nowhere"):
        keras_model.to_keras(content, start="nowhere")
