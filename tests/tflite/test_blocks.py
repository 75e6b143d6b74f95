import numpy as np
import pytest
from tiny_network import FUSED, TinyNetwork

from benchmarks.backbones import RandomWeights
from model_maker import backbones
from model_maker.tflite import blocks, cut, graph, network_layers


def filters(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def built(name):
    backbone = backbones.get(name)
    return backbone.family.build(backbone.image_size, RandomWeights(), **dict(backbone.variant))


def maps(content):
    """Channels, side and kind of what is found, in order; the kind is the operator that gives it."""
    model = graph.parse(content)
    tensors, found = model.subgraphs[0].tensors, []
    for name in blocks.find(content):
        index = graph.find_tensor(model, name)
        [operator] = [one for one in model.subgraphs[0].operators if index in one.outputs]
        _, side, _, channels = tensors[index].shape
        found.append((channels, side, graph.operator_name(model, operator)))
    return found


def staged(*stages):
    """Stages of inverted residual blocks: the first of each changes the width, those behind it add their input."""
    first, further = "CONV_2D", "ADD"
    return [(out, side, first if index == 0 else further) for out, side, repeats in stages for index in range(repeats)]


def test_efficientnet_lite0_has_sixteen_blocks():
    # EfficientNet's table 1, stages 2 to 8: channels, resolution behind the stride, layers.
    expected = staged((16, 112, 1), (24, 56, 2), (40, 28, 2), (80, 14, 3), (112, 14, 3), (192, 7, 4), (320, 7, 1))
    assert len(expected) == 16 and maps(built("efficientnet_lite0")) == expected


def test_mobilenet_v1_gives_what_its_pointwise_convolutions_give():
    # MobileNets' table 1 at a quarter of the width: the first convolution, then a pointwise one behind each depthwise
    # one; of the thirteenth the embedding is the mean.
    pointwise = [(16, 112), (32, 56), (32, 56), (64, 28), (64, 28), *6 * [(128, 14)], (256, 7)]
    assert maps(built("mobilenet_v1_0.25")) == [(*row, "CONV_2D") for row in [(8, 112), *pointwise]]


def test_mobilenet_v2_gives_its_bottlenecks():
    # Table 2: channels, resolution behind the stride, repeats.
    stages = (16, 112, 1), (24, 56, 2), (32, 28, 3), (64, 14, 4), (96, 14, 3), (160, 7, 3), (320, 7, 1)
    assert maps(built("mobilenet_v2")) == staged(*stages)


@pytest.mark.parametrize(("name", "swish"), [("", "HARD_SWISH"), ("_minimalistic", "CONV_2D")])
def test_mobilenet_v3_gives_blocks_and_what_is_activated(name, swish):
    # Table 2 of the paper; the last convolution is a map of its own, for the embedding is a layer behind its mean. No
    # block here is an expansion (72 and more channels), a gated depthwise output (16 x 56 x 56 is one of either kind),
    # or a convolution that hard swish follows.
    stages = (16, 56, 1), (24, 28, 2), (40, 14, 3), (48, 14, 2), (96, 7, 3)
    found = maps(built(f"mobilenet_v3_small{name}"))
    assert found == [(16, 112, swish), *staged(*stages), (576, 7, swish)]


def test_mobilenet_v4_gives_its_blocks():
    # The table of MNv4-Conv-S. Stages 1 and 2 are a convolution and a pointwise one each, of which the first of stage 2
    # is wider: 96 channels, then 64.
    stages = (32, 112, 1), (32, 56, 1), (32, 56, 1), (64, 28, 1), (96, 14, 6), (128, 7, 6), (960, 7, 1)
    assert maps(built("mobilenet_v4_conv_small")) == staged(*stages)


def test_what_is_added_is_activated_before_it_is_a_block():
    network = TinyNetwork(16).conv(filters(4, 3, 3, 3), stride=2, fused=FUSED.RELU)
    for number in range(2):
        before = network.last
        network.conv(filters(4, 3, 3, 4, seed=number), fused=FUSED.RELU).conv(filters(4, 3, 3, 4, seed=9 + number))
        network.combine("ADD", before).activation("RELU")
    content = network.conv(filters(6, 1, 1, 4), fused=FUSED.RELU).mean().content()
    assert maps(content) == [(4, 8, "CONV_2D"), (4, 8, "RELU"), (4, 8, "RELU")]


@pytest.mark.parametrize("gate_first", [False, True])
def test_a_gated_depthwise_output_lies_inside_its_block(gate_first):
    # Where a block does not widen, its depthwise output is as narrow as its end.
    network = TinyNetwork(16).conv(filters(4, 3, 3, 3)).depthwise(filters(1, 3, 3, 4), fused=FUSED.RELU)
    gated = network.last
    network.mean(keep=True).conv(filters(4, 1, 1, 4)).activation("LOGISTIC")
    gate = network.last
    if not gate_first:
        network.last = gated
    network.combine("MUL", gated if gate_first else gate)
    network.main.tensors[network.last].shape = network.main.tensors[gated].shape
    content = network.conv(filters(4, 1, 1, 4)).conv(filters(6, 3, 3, 4)).mean().content()
    assert maps(content) == [(4, 16, "CONV_2D"), (4, 16, "CONV_2D")]


def test_a_map_that_its_own_sigmoid_gates_is_not_yet_activated():
    network = TinyNetwork(16)
    for inputs, outputs in ((3, 4), (4, 4), (4, 8)):
        network.conv(filters(outputs, 3, 3, inputs))
        plain = network.last
        network.activation("LOGISTIC").combine("MUL", plain)  # SiLU
    assert maps(network.mean().content()) == [(4, 16, "MUL"), (4, 16, "MUL")]


@pytest.mark.parametrize("pooled", ["mean", "average_pool", "parts"])
def test_the_map_whose_mean_is_the_embedding_is_no_block_beside_it(pooled):
    network = TinyNetwork(8).conv(filters(4, 3, 3, 3)).conv(filters(6, 1, 1, 4))
    if pooled == "mean":
        network.mean()
    elif pooled == "average_pool":
        network.average_pool().squeeze()
    else:
        network.pool("AVERAGE_POOL_2D", 2).mean()
    tree = graph.parse(network.content())
    cut.cut(tree)  # as imported models are
    assert maps(graph.pack(tree)) == [(4, 8, "CONV_2D")]


@pytest.mark.parametrize("name", ["tiny_embedder", "conv_embedder"])
def test_a_network_without_blocks_has_its_embedding_alone(request, name):
    content = request.getfixturevalue(name)
    assert blocks.find(content) == []
    [embedding] = network_layers.find(content)
    assert (embedding.size, embedding.side, embedding.factor) == ({"tiny_embedder": 3, "conv_embedder": 16}[name], 1, 1)
