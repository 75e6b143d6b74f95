"""Finds the blocks of a network in its graph: the feature maps that everything behind them depends on."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from model_maker.tflite import graph, trunk

# What is put behind a convolution by some writers, and inside it by others.
_ACTIVATIONS = ("RELU", "RELU6", "HARD_SWISH", "LOGISTIC", "TANH", "PRELU", "ELU", "LEAKY_RELU")
# What they give lies inside a block, or repeats what came before.
_INSIDE = ("DEPTHWISE_CONV_2D", "PAD", "PADV2", "QUANTIZE", "DEQUANTIZE")


def find(content: bytes) -> list[str]:
    """Names the output of each block, [1, H, W, C] with H above 1, from the first to the last.

    An output is alone when it is made: what lies inside a residual block is not. Expansions, which are wider than what
    follows them, are left out, and so is the map whose mean is the embedding itself.

    Args:
      content: a float embedder.
    """
    model = graph.parse(content)
    main = model.subgraphs[0]
    producers = {int(operator.outputs[0]): operator for operator in main.operators}
    maps = [
        index
        for index in trunk.crossings(model)
        if len(main.tensors[index].shape) == 4
        and main.tensors[index].shape[1] > 1
        and not _is_inside(model, producers, index)
        and not _is_activated(model, index)
    ]
    kept: list[int] = []
    for index in reversed(maps):
        if not kept or _width(main, index) <= _width(main, kept[-1]):
            kept.append(index)
    return [main.tensors[index].name.decode() for index in reversed(kept) if not _is_pooled_to_output(model, index)]


def _width(main: schema.SubGraphT, index: int) -> int:
    return int(main.tensors[index].shape[3])


def _is_inside(model: schema.ModelT, producers: dict[int, schema.OperatorT], index: int) -> bool:
    """Whether a map is what a depthwise convolution gives, activated or weighted by channel."""
    while graph.operator_name(model, producers[index]) in (*_ACTIVATIONS, "MUL"):
        index = int(producers[index].inputs[0])
        if index not in producers:
            return False
    return graph.operator_name(model, producers[index]) in _INSIDE


def _is_activated(model: schema.ModelT, index: int) -> bool:
    users = graph.users(model, index)
    return len(users) == 1 and graph.operator_name(model, users[0]) in _ACTIVATIONS


def _is_pooled_to_output(model: schema.ModelT, index: int) -> bool:
    """Whether the embedding is the mean of a map, perhaps in another shape."""
    main = model.subgraphs[0]
    output = int(main.outputs[0])
    while len(users := graph.users(model, index)) == 1 and graph.operator_name(model, users[0]) in ("MEAN", "RESHAPE"):
        index = int(users[0].outputs[0])
    return index == output
