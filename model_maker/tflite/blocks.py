"""Finds the blocks of a network in its graph: the feature maps on which all later operators depend."""

from ai_edge_litert import schema_py_generated as schema

from model_maker.tflite import graph, trunk

# Some writers emit activations as operators after a convolution, others fuse them into it.
_ACTIVATIONS = ("RELU", "RELU6", "HARD_SWISH", "LOGISTIC", "TANH", "PRELU", "ELU", "LEAKY_RELU")
# Their outputs lie inside a block, or repeat an earlier feature map.
_INSIDE = ("DEPTHWISE_CONV_2D", "PAD", "PADV2", "QUANTIZE", "DEQUANTIZE")
# Operators that reduce a feature map to its mean.
_POOLING = ("MEAN", "AVERAGE_POOL_2D", "RESHAPE")


def find(content: bytes) -> list[str]:
    """Returns the name of each block's output in a float embedder, [1, H, W, C] with H > 1, first to last.

    A block's output is the only live activation when it is computed, unlike tensors inside a residual block. Expansions
    (wider than the layer that follows) are left out, and so is the map whose mean is the embedding itself.
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
    """Whether a map is the output of a depthwise convolution, possibly activated or scaled per channel."""
    tensors = model.subgraphs[0].tensors
    while graph.operator_name(model, producers[index]) in (*_ACTIVATIONS, "MUL"):
        # Either factor may be the channel weight; the map is the factor of full size.
        ends = [int(end) for end in producers[index].inputs]
        index = next((end for end in ends if list(tensors[end].shape) == list(tensors[index].shape)), ends[0])
        if index not in producers:
            return False
    return graph.operator_name(model, producers[index]) in _INSIDE


def _is_activated(model: schema.ModelT, index: int) -> bool:
    """Whether only activations use a map; SiLU is two operators."""
    return {graph.operator_name(model, user) for user in graph.users(model, index)} <= {*_ACTIVATIONS, "MUL"}


def _is_pooled_to_output(model: schema.ModelT, index: int) -> bool:
    """Whether the embedding is the mean of a map, perhaps in another shape."""
    main = model.subgraphs[0]
    output = int(main.outputs[0])
    while len(users := graph.users(model, index)) == 1 and graph.operator_name(model, users[0]) in _POOLING:
        index = int(users[0].outputs[0])
    return index == output
