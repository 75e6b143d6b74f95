import numpy as np
import pytest
from tiny_network import TinyNetwork

from model_maker.errors import ModelError
from model_maker.tflite import cut, graph, inspection
from model_maker.tflite.interpreter import LiteRTRunner

IMAGE = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
KERNEL = np.random.default_rng(1).normal(size=(6, 1, 1, 3)).astype(np.float32)
HEAD = np.random.default_rng(2).normal(size=(4, 6)).astype(np.float32)
# A convolution 1x1 and a mean over the picture, in either order.
FEATURES = IMAGE.mean(axis=(1, 2)) @ KERNEL[:, 0, 0].T

CLASSIFIERS = {
    "dense": lambda network: network.mean().dense(HEAD),
    "dense and softmax": lambda network: network.mean().dense(HEAD).softmax(),
    "pool, convolution, squeeze": lambda network: network.average_pool().conv(HEAD[:, None, None]).squeeze().softmax(),
    "kept sides": lambda network: network.mean(keep=True).conv(HEAD[:, None, None]).squeeze(),
    "squeeze before": lambda network: network.average_pool().squeeze().dense(HEAD),
}
EMBEDDERS = {
    "mean": lambda network: network.mean(),
    "kept sides": lambda network: network.mean(keep=True),
    "pool": lambda network: network.average_pool(),
    "squeezed": lambda network: network.average_pool().squeeze(),
}


def cut_out(network):
    model = graph.parse(network.content())
    found = cut.cut(model)
    return found, graph.pack(model)


@pytest.mark.parametrize("build", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_a_classifier_is_cut_before_its_last_layer(build):
    found, content = cut_out(build(TinyNetwork().conv(KERNEL)))
    assert (found.features, found.classes) == (6, 4)
    embedding = LiteRTRunner(content).run(IMAGE)
    assert embedding.shape == (1, 6)
    np.testing.assert_allclose(embedding, FEATURES, atol=1e-5)


@pytest.mark.parametrize("build", EMBEDDERS.values(), ids=EMBEDDERS)
def test_an_embedder_stays_whole(build):
    found, content = cut_out(build(TinyNetwork().conv(KERNEL)))
    assert (found.features, found.classes) == (6, 0)
    np.testing.assert_allclose(LiteRTRunner(content).run(IMAGE), FEATURES, atol=1e-5)


def test_the_layers_between_pooling_and_classifier_are_kept():
    # MobileNetV3 has a convolution behind its pooling, and features are what the classifier sees.
    hidden = np.random.default_rng(3).normal(size=(5, 6)).astype(np.float32)
    found, content = cut_out(
        TinyNetwork().conv(KERNEL).mean(keep=True).conv(hidden[:, None, None]).conv(HEAD[:, None, None, :5])
    )
    assert (found.features, found.classes) == (5, 4)
    np.testing.assert_allclose(LiteRTRunner(content).run(IMAGE), FEATURES @ hidden.T, atol=1e-4)


def test_nothing_of_the_classifier_is_left():
    _, content = cut_out(TinyNetwork().conv(KERNEL).average_pool().dense(np.ones((1000, 6))).softmax())
    facts = inspection.inspect(content)
    assert facts.parameters == 6 * 3 + 6 + 2  # two sides of a reshape
    model = graph.parse(content)
    used = {int(index) for operator in model.subgraphs[0].operators for index in (*operator.inputs, *operator.outputs)}
    assert used == set(range(len(model.subgraphs[0].tensors)))  # an orphan makes calibrators fail
    assert len(content) < 4000  # and no buffer of its 24,000 bytes


def test_a_second_output_is_dropped():
    network = TinyNetwork().conv(KERNEL).mean()
    embedding = network.last
    logits = network.dense(HEAD).last
    model = graph.parse(network.content(logits, embedding))
    assert cut.cut(model).features == 6
    assert len(model.subgraphs[0].outputs) == 1


def test_a_network_without_pooling_is_refused():
    model = graph.parse(TinyNetwork().conv(KERNEL).content())
    with pytest.raises(ModelError, match="no global pooling"):
        cut.cut(model)


def test_features_that_do_not_depend_on_the_input_are_refused():
    network = TinyNetwork().conv(KERNEL).mean().dense(HEAD)
    constant = graph.add_tensor(network.model, "constant", (1, 8, 8, 3), data=IMAGE)
    network.main.operators[0].inputs[0] = constant
    with pytest.raises(ModelError, match="do not depend on its input"):
        cut.cut(graph.parse(network.content()))
