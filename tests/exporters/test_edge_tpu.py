"""Which networks the Edge TPU runs whole, and which operator is named where it does not."""

import numpy as np
import pytest
from tiny_network import FUSED, TinyNetwork

from model_maker.errors import ModelError
from model_maker.exporters import edge_tpu
from model_maker.tflite import graph


def int8_of(network):
    """An int8 model with the operators of a float network, by declaring its tensors so; nothing of it is run."""
    model = graph.parse(network.content())
    for tensor in model.subgraphs[0].tensors:
        if tensor.type == graph.schema.TensorType.FLOAT32:
            tensor.type = graph.schema.TensorType.INT8
    return graph.pack(model)


def conv():
    return TinyNetwork().conv(np.ones((4, 3, 3, 3)))


def test_the_edge_tpu_takes_a_plain_network():
    network = conv().depthwise(np.ones((1, 3, 3, 4)), fused=FUSED.RELU6).mean().dense(np.ones((5, 4))).softmax()
    edge_tpu.check(int8_of(network))
    with pytest.raises(ModelError, match="CONV_2D .* not int8"):
        edge_tpu.check(network.content())


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (lambda: conv().operator("HARD_SWISH", graph.schema.HardSwishOptionsT(), [], (1, 8, 8, 4)), "HARD_SWISH"),
        (lambda: conv().depthwise(np.ones((1, 3, 3, 4)), dilation=2), r"DEPTHWISE_CONV_2D .* is dilated"),
        (lambda: conv().mean().dense(np.ones((16_001, 4))).softmax(), "SOFTMAX .* more than 16000"),
        (lambda: TinyNetwork().squeeze(), "SQUEEZE .* before the last are not 1"),
    ],
)
def test_the_edge_tpu_refuses_and_names_the_operator(network, reason):
    with pytest.raises(ModelError, match=reason):
        edge_tpu.check(int8_of(network()))


def test_the_edge_tpu_refuses_float_and_batch_reductions(make_tiny_model):
    with pytest.raises(ModelError, match="CONV_2D .* not int8"):
        edge_tpu.check(make_tiny_model("none", "float32"))
    model = graph.parse(make_tiny_model())
    main = model.subgraphs[0]
    [mean] = [operator for operator in main.operators if graph.operator_name(model, operator) == "MEAN"]
    graph.set_constant(model, main.tensors[mean.inputs[1]], np.array([0, 1], np.int32))
    with pytest.raises(ModelError, match="MEAN .* reduces other axes"):
        edge_tpu.check(graph.pack(model))
