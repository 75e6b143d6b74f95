import dataclasses

import numpy as np
import pytest
from tiny_network import residual_network

from model_maker.backbones import int8_backbone
from model_maker.data import calibration_pictures, images
from model_maker.errors import ModelError
from model_maker.tflite import graph, inspection, network_layers
from model_maker.tflite.interpreter import LiteRTRunner
from model_maker.tflite.network_layers import Layer

# What the tiny network is built of: channels and side of its blocks, and its embedding.
SHAPES = [(4, 8), (6, 8), (6, 8), (8, 4), (8, 4), (12, 1)]
FACTORS = [3.0, 0.25, 1.0, 2.0, 0.5, 1.0]
# float32 sums of some dozens of numbers in another order.
ROUNDING = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(scope="module")
def network():
    return residual_network()


@pytest.fixture(scope="module")
def scaled(network):
    """Its layers, each with a factor of its own."""
    return tuple(
        dataclasses.replace(layer, factor=factor)
        for layer, factor in zip(network_layers.find(network), FACTORS, strict=True)
    )


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(3).normal(size=(1, 16, 16, 3)).astype(np.float32)


def activations(content, picture):
    """All activations of a network, by name."""
    exposed, names = graph.expose_activations(content)
    return dict(zip(names, LiteRTRunner(exposed).run_all(picture), strict=True))


def test_layers_are_found_with_their_sizes(network):
    found = network_layers.find(network)
    assert [(layer.size, layer.side) for layer in found] == SHAPES
    assert [layer.factor for layer in found] == [1.0] * 6
    assert len({layer.name for layer in found}) == 6


@pytest.mark.parametrize(
    ("name", "kept"), [("last", [False] * 5), ("top", [False, False, False, True, True]), ("all", [True] * 5)]
)
def test_sets_hold_the_embedding_and_blocks_by_the_size_of_their_maps(name, kept):
    # The smallest maps have a side of 4: the last two blocks.
    whole = tuple(Layer(str(number), *shape) for number, shape in enumerate(SHAPES))
    assert network_layers.choose(whole, name) == tuple(
        layer for layer, wanted in zip(whole, [*kept, True], strict=True) if wanted
    )


@pytest.mark.parametrize("name", network_layers.SETS)
def test_of_an_embedding_alone_all_sets_are_the_same(name):
    alone = (Layer("embedding", 12, 1),)
    assert network_layers.choose(alone, name) == alone


def test_features_of_layers_are_their_columns():
    whole = [Layer("a", 2, 8), Layer("b", 3, 4), Layer("c", 1, 1)]
    assert network_layers.features(whole, whole).tolist() == [0, 1, 2, 3, 4, 5]
    assert network_layers.features(whole, [whole[1]]).tolist() == [2, 3, 4]
    assert network_layers.features(whole, [whole[0], whole[2]]).tolist() == [0, 1, 5]
    # A layer is known by its name: the same with another factor is that layer.
    assert network_layers.features(whole, [dataclasses.replace(whole[2], factor=9.0)]).tolist() == [5]


def test_a_joined_file_gives_the_means_of_blocks_times_their_factors(network, scaled, picture):
    values = activations(network, picture)
    parts = [values[layer.name].mean(axis=(1, 2)) * layer.factor for layer in scaled[:-1]]
    expected = np.concatenate([*parts, values[scaled[-1].name]], axis=1)
    assert expected.shape == (1, 44) and expected.std() > 0.1
    joined = network_layers.join(network, scaled)
    np.testing.assert_allclose(LiteRTRunner(joined).run(picture), expected, **ROUNDING)
    [signature] = graph.parse(joined).signatureDefs
    assert signature.outputs[0].name == b"layers"


def test_an_embedding_alone_needs_no_joining(network, scaled):
    assert network_layers.join(network, scaled[-1:]) == network


@pytest.mark.parametrize("chosen", [[5], [3, 4, 5], [0, 5], [1, 2, 4, 5], range(6)])
def test_selected_layers_are_columns_of_the_joined_vector(network, scaled, picture, chosen):
    joined, some = network_layers.join(network, scaled), [scaled[index] for index in chosen]
    selected = network_layers.select(joined, some)
    whole = LiteRTRunner(joined).run(picture)
    # The same operators on the same numbers.
    np.testing.assert_array_equal(LiteRTRunner(selected).run(picture), whole[:, network_layers.features(scaled, some)])
    # Joining just these gives the same; nothing is left in the file that they do not need.
    np.testing.assert_allclose(
        LiteRTRunner(network_layers.join(network, some)).run(picture), LiteRTRunner(selected).run(picture), **ROUNDING
    )
    means = inspection.inspect(selected).operators["MEAN"]
    assert means == len(some)
    assert len(graph.parse(selected).signatureDefs) == 1


def test_a_layer_that_was_not_joined_cannot_be_selected(network, scaled):
    joined = network_layers.join(network, scaled[2:])
    with pytest.raises(ModelError, match=f"no activation named {scaled[0].output}"):
        network_layers.select(joined, (scaled[0], scaled[-1]))
    # An activation that is there and not joined.
    inside = Layer(scaled[3].mean, 8, 1)
    with pytest.raises(ModelError, match=f"It does not join the layers {scaled[3].mean}") as caught:
        network_layers.select(joined, (inside, scaled[-1]))
    assert "\n" not in str(caught.value)


# --- int8 ---

TOP = [11, 12, 13, 14, 15, 16]  # of Lite0's blocks those of 7 x 7, and the embedding
SIZES = [16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320, 1280]  # table 1, and the head's


@pytest.fixture(scope="module")
def pixels():
    """Drawings and clouds, int8 [6, 1, 224, 224, 3], as the int8 network takes pixels: 128 less."""
    pictures = [images.load(picture, 224) for picture in calibration_pictures.pictures(3)]
    return np.stack(pictures)[:, None].astype(np.int16) - 128


def run(content, pixels, kernels="xnnpack"):
    runner = LiteRTRunner(content, kernels=kernels)
    return np.concatenate([runner.run_all(picture)[0] for picture in pixels]).astype(int)


@pytest.fixture(scope="module")
def integers(int8_lite0, pixels):
    return run(int8_lite0.content, pixels)


@pytest.mark.parametrize("name", network_layers.SETS)
def test_selected_integers_are_those_of_the_joined_file_to_the_bit(int8_lite0, pixels, integers, name):
    chosen = network_layers.choose(int8_lite0.layers, name)
    selected = network_layers.select(int8_lite0.content, chosen)
    columns = {"last": range(1808, 3088), "top": range(sum(SIZES[:11]), 3088), "all": range(3088)}[name]
    assert integers.std() > 10 and integers.shape == (6, 3088)
    np.testing.assert_array_equal(run(selected, pixels), integers[:, columns])


@pytest.mark.parametrize("name", network_layers.SETS)
def test_an_embedding_that_keeps_the_range_of_its_pool_is_selected_as_it_is_joined(tiny_base, tiny_photos, name):
    """Average pooling has one scale for input and output, so that the embedding is quantized anew to be joined."""
    base = dataclasses.replace(tiny_base, content=residual_network(average_pool=True))
    form = int8_backbone.calibrated(base, tiny_photos)
    model = graph.parse(form.content)
    last = model.subgraphs[0].operators[-1]
    assert graph.find_tensor(model, form.layers[-1].name) not in list(last.inputs)
    photos = np.random.default_rng(5).integers(-128, 128, (4, 1, 16, 16, 3), np.int8)
    whole = run(form.content, photos)
    chosen = network_layers.choose(form.layers, name)
    assert whole.std() > 10 and len(chosen) == {"last": 1, "top": 4, "all": 7}[name]
    selected = run(network_layers.select(form.content, chosen), photos)
    np.testing.assert_array_equal(selected, whole[:, network_layers.features(form.layers, chosen)])


@pytest.mark.parametrize(("kernels", "count"), [("none", 4), ("reference", 2)])
def test_other_kernels_give_nearly_the_same_integers(int8_lite0, pixels, integers, kernels, count):
    found = run(int8_lite0.content, pixels[:count], kernels)
    differences = np.abs(found - integers[:count])
    # Kernels round halves to either side, and what that changes adds up over fifty layers. On 36 photos and drawings
    # 0.4 % of the integers differed by more than two steps, none by more than six; those of one layer spread over 6 to
    # 25.
    assert (differences > 2).mean() < 0.01 and differences.max() <= 8
    assert (differences[:, :16] <= 1).all()  # of the first block, behind three layers


def test_all_layers_have_one_step_and_their_zero_is_nought(int8_lite0):
    model = graph.parse(int8_lite0.content)
    main = model.subgraphs[0]
    [last] = [one for one in main.operators if graph.operator_name(model, one) == "CONCATENATION"]
    assert [int(main.tensors[index].shape[-1]) for index in last.inputs] == SIZES
    edges = [main.tensors[index].quantization for index in (*last.inputs, *last.outputs)]
    assert {tuple(edge.scale) for edge in edges} == {(np.float32(int8_lite0.step).item(),)}
    assert {tuple(edge.zeroPoint) for edge in edges} == {(0,)}


@pytest.mark.parametrize("name", network_layers.SETS)
def test_nothing_inside_computes_in_float(int8_lite0, name):
    content = network_layers.select(int8_lite0.content, network_layers.choose(int8_lite0.layers, name))
    facts = inspection.inspect(content)
    assert inspection.wider_operators(graph.parse(content), "int8") == [] and facts.quantization == "int8"
    assert (facts.inputs[0].dtype, facts.outputs[0].dtype) == ("int8", "int8")
    assert facts.outputs[0].shape == (1, {"last": 1280, "top": 2368, "all": 3088}[name])


def test_multiplying_a_mean_leaves_its_integers_as_they_are(int8_lite0, pixels):
    values = activations(int8_lite0.content, pixels[0])
    for layer in int8_lite0.layers[:-1]:
        assert values[layer.mean].any()
        np.testing.assert_array_equal(values[layer.output], values[layer.mean], err_msg=layer.name)
