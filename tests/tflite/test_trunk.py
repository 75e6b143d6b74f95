import numpy as np
import pytest
from tiny_network import FUSED, TinyNetwork

from model_maker.errors import ModelError
from model_maker.tflite import inspection, keras_model, network_layers, trunk
from model_maker.tflite.interpreter import LiteRTRunner
from model_maker.tflite.network_layers import Layer


def filters(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def staged(*, widen=True, shortcut=True):
    """16 x 16 to 8 x 8, a block there, and one that halves to 4 x 4; names of the activations between them."""
    network, names = TinyNetwork(16), []

    def note():
        names.append(network.main.tensors[network.last].name.decode())

    network.conv(filters(4, 3, 3, 3), stride=2, fused=FUSED.RELU6)
    note()
    before = network.last
    network.conv(filters(12, 1, 1, 4, seed=1), fused=FUSED.RELU6).conv(filters(4, 1, 1, 12, seed=2))
    if shortcut:
        network.combine("ADD", before)
    note()
    if widen:
        network.conv(filters(12, 1, 1, 4, seed=3)).activation("TANH")
    channels = network.shape[3]
    network.depthwise(filters(1, 3, 3, channels, seed=4), stride=2).conv(filters(6, 1, 1, channels, seed=5))
    return network.mean().content(), names


@pytest.mark.parametrize("widen", [True, False])
def test_seam_is_the_last_narrow_activation_before_the_last_halving(widen):
    content, names = staged(widen=widen)
    assert trunk.seam(content) == names[1]


@pytest.mark.tensorflow
def test_nothing_else_crosses_the_seam():
    """Of two activations that live side by side, neither is the seam."""
    network = TinyNetwork(16).conv(filters(4, 3, 3, 3), stride=2)
    before = network.last
    name = network.main.tensors[before].name.decode()
    network.conv(filters(2, 1, 1, 4)).conv(filters(4, 1, 1, 2), stride=1).combine("ADD", before)
    content = network.depthwise(filters(1, 3, 3, 4), stride=2).mean().content()
    assert trunk.seam(content) != name
    keras_model.to_keras(content, start=trunk.seam(content))


@pytest.mark.tensorflow
def test_trunk_and_tail_are_the_whole():
    content, _ = staged()
    name = trunk.seam(content)
    base = trunk.trunk(content, name)
    picture = np.random.default_rng(1).normal(size=(1, 16, 16, 3)).astype(np.float32)
    maps = LiteRTRunner(base).run(picture)
    assert maps.shape == (1, 8, 8, 4)
    expected = LiteRTRunner(content).run(picture)
    assert expected.std() > 0.01
    # Two runtimes sum in another order.
    np.testing.assert_allclose(keras_model.to_keras(content, start=name)(maps), expected, atol=1e-5)


@pytest.mark.tensorflow
def test_means_of_earlier_maps_cross_with_the_seam():
    content, names = staged()
    layers = [Layer(names[0], 4, 8, 0.5), Layer(names[1], 4, 8, 2.0)]
    embedding = network_layers.find(content)[-1]
    joined = network_layers.join(content, (*layers, embedding))
    seam = trunk.seam(joined)
    # The mean of the seam's own maps can be computed behind it.
    assert trunk.crossing(joined, seam) == (seam, layers[0].output)
    assert trunk.crossing(content, seam) == (seam,)
    base = trunk.trunk(joined, *trunk.crossing(joined, seam))
    picture = np.random.default_rng(1).normal(size=(1, 16, 16, 3)).astype(np.float32)
    row = LiteRTRunner(base).run(picture)
    assert row.shape == (1, 8 * 8 * 4 + 4)
    np.testing.assert_array_equal(
        row[0, :256].reshape(1, 8, 8, 4), LiteRTRunner(trunk.trunk(content, seam)).run(picture)
    )
    first = LiteRTRunner(trunk.trunk(content, names[0])).run(picture)
    np.testing.assert_allclose(row[0, 256:], 0.5 * first[0].mean(axis=(0, 1)), rtol=1e-5)
    tail = keras_model.to_keras(joined, start=trunk.crossing(joined, seam))
    np.testing.assert_allclose(tail(row), LiteRTRunner(joined).run(picture), atol=1e-5)


def test_an_earlier_map_cannot_cross():
    network = TinyNetwork(16).conv(filters(4, 3, 3, 3), stride=2)
    before = network.last
    network.conv(filters(4, 1, 1, 4))
    middle = network.main.tensors[network.last].name.decode()
    content = network.combine("ADD", before).mean().content()
    with pytest.raises(ModelError, match="also need earlier activations"):
        trunk.crossing(content, middle)


def test_real_backbone_is_parted_before_its_last_stages(lite0):
    base = trunk.trunk(lite0, trunk.seam(lite0))
    facts = inspection.inspect(base)
    # Stage 5 of Lite0 gives 14 x 14 x 112; stages 6 and 7 and the head's convolution follow (FLOPs by the stage table).
    assert facts.outputs[0].shape == (1, 14, 14, 112)
    assert 0.6 < facts.macs / inspection.inspect(lite0).macs < 0.7


def test_a_network_that_never_halves_cannot_be_parted(conv_embedder, tiny_embedder):
    for content in (conv_embedder, tiny_embedder):
        with pytest.raises(ModelError, match="split|halves"):
            trunk.seam(content)
