"""Turns a float classifier into an embedder by cutting off its last layer; embedders stay as they are."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.errors import ModelError
from model_maker.tflite import graph

EMBEDDING = "embedding"
_POOLS = ("MEAN", "AVERAGE_POOL_2D", "MAX_POOL_2D", "SUM", "REDUCE_MAX")
_WEIGHTED = ("FULLY_CONNECTED", "CONV_2D")


@dataclass(frozen=True)
class Cut:
    """The length of the embedding, and the outputs of the layer that was cut off; 0 if there was none."""

    features: int
    classes: int


def cut(model: schema.ModelT) -> Cut:
    """Makes the input of the classifying layer, float32 [1, D], the model's output, in place.

    The classifying layer is the last layer with weights after the last global pooling. Operators that do not lead to
    the embedding are removed.

    Args:
      model: a float object tree with one image input, from `dequantize`.

    Raises:
      ModelError: it has no global pooling, or its output does not follow from its input.
    """
    main = model.subgraphs[0]
    names = [graph.operator_name(model, operator) for operator in main.operators]
    pooled = [index for index, name in enumerate(names) if name in _POOLS and _is_vector(main, index)]
    if not pooled:
        raise ModelError("It has no global pooling, whose output would be its features.")
    tail = range(pooled[-1] + 1, len(names))
    weighted = [index for index in tail if names[index] in _WEIGHTED]
    if weighted:
        embedding = int(main.operators[weighted[-1]].inputs[0])
        classes = _length(main.tensors[main.operators[weighted[-1]].outputs[0]])
    else:
        embedding, classes = _last_vector(main, pooled[-1]), 0
    embedding = last_layer(model, embedding)
    size = _length(main.tensors[embedding])
    main.outputs = [embedding]
    prune(model)
    replace_squeezes(model)
    _flatten(model, size)
    graph.sign(model, EMBEDDING)
    return Cut(size, classes)


def last_layer(model: schema.ModelT, embedding: int) -> int:
    """Returns the embedding itself if `network_layers.join` has joined it to the means of feature maps."""
    main = model.subgraphs[0]
    producers = [operator for operator in main.operators if embedding in operator.outputs]
    if main.tensors[embedding].name != b"layers" or not producers:
        return embedding
    joined = graph.operator_name(model, producers[0]) == "CONCATENATION"
    return int(producers[0].inputs[-1]) if joined else embedding


def _last_vector(main: schema.SubGraphT, pool: int) -> int:
    """Returns an embedder's output if it has just one, else the output of its last pooling."""
    return int(main.outputs[0]) if len(main.outputs) == 1 else int(main.operators[pool].outputs[0])


def _is_vector(main: schema.SubGraphT, index: int) -> bool:
    """Whether an operator reduces a feature map to one vector, [1, 1, 1, D] or [1, D]."""
    operator = main.operators[index]
    before, after = main.tensors[operator.inputs[0]].shape, main.tensors[operator.outputs[0]].shape
    if before is None or after is None or len(before) != 4:
        return False
    return math.prod(after) == after[-1] == before[-1]


def _length(tensor: schema.TensorT) -> int:
    if tensor.shape is None or math.prod(tensor.shape) != tensor.shape[-1]:
        raise ModelError(f"Its features have the shape {list(tensor.shape or [])}, not [1, D].")
    return int(tensor.shape[-1])


def prune(model: schema.ModelT) -> None:
    """Removes operators, tensors and buffers that the output does not need; leftovers make calibrators fail."""
    main = model.subgraphs[0]
    needed = {int(index) for index in main.outputs}
    kept = []
    for operator in reversed(main.operators):
        if needed & {int(index) for index in operator.outputs}:
            needed |= {int(index) for index in (*operator.inputs, *operator.outputs) if index >= 0}
            kept.append(operator)
    main.operators = kept[::-1]
    if int(main.inputs[0]) not in needed:
        raise ModelError("Its features do not depend on its input.")
    tensors = sorted(needed)
    renumbered = {old: new for new, old in enumerate(tensors)}

    def renumber(indices: Iterable[int]) -> list[int]:
        return [renumbered.get(int(index), -1) for index in indices]

    for operator in main.operators:
        operator.inputs, operator.outputs = renumber(operator.inputs), renumber(operator.outputs)
    main.inputs, main.outputs = renumber(main.inputs), renumber(main.outputs)
    main.tensors = [main.tensors[index] for index in tensors]
    prune_buffers(model)


def prune_buffers(model: schema.ModelT) -> None:
    """Removes buffers that no tensor uses, metadata and signatures too, in place."""
    buffers = [schema.BufferT()]  # the first is empty by convention
    for tensor in model.subgraphs[0].tensors:
        tensor.shapeSignature = None
        data = model.buffers[tensor.buffer]
        tensor.buffer = 0
        if data.data is not None and len(data.data):
            buffers.append(data)
            tensor.buffer = len(buffers) - 1
    model.buffers, model.metadata, model.metadataBuffer, model.signatureDefs = buffers, [], None, []


def replace_squeezes(model: schema.ModelT) -> None:
    """Replaces SQUEEZE with RESHAPE, which litert-quantizer supports."""
    main = model.subgraphs[0]
    for index, operator in enumerate(main.operators):
        if graph.operator_name(model, operator) == "SQUEEZE":
            [entering], [leaving] = operator.inputs, operator.outputs
            main.operators[index] = reshape(model, entering, leaving, main.tensors[leaving].shape)


def _flatten(model: schema.ModelT, size: int) -> None:
    main = model.subgraphs[0]
    [embedding] = main.outputs
    if list(main.tensors[embedding].shape) != [1, size]:
        flat = graph.add_tensor(model, EMBEDDING, (1, size))
        main.operators.append(reshape(model, embedding, flat, (1, size)))
        main.outputs = [flat]
    main.tensors[main.outputs[0]].name = EMBEDDING.encode()


def reshape(model: schema.ModelT, entering: int, leaving: int, shape: Iterable[int]) -> schema.OperatorT:
    """Returns a RESHAPE operator."""
    sides = np.array(list(shape), np.int32)
    constant = graph.add_tensor(model, f"shape_of_{leaving}", (len(sides),), "int32", sides)
    options = schema.ReshapeOptionsT()
    options.newShape = [int(side) for side in sides]
    return graph.make_operator(model, "RESHAPE", [entering, constant], [leaving], options)
