"""Joins the means of a network's blocks and its embedding to one vector, on which a head can be fitted.

A `Layer` is one part of that vector. In the joined file each mean is multiplied by its layer's factor, so that all
values have a similar magnitude. In int8 this costs no precision: the multiplication only changes the step of the same
integers. So the vector has a single step, and no operator runs in float.

Source: Evci et al. 2022, "Head2Toe: Utilizing Intermediate Representations for Better Transfer Learning".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.errors import ModelError
from model_maker.tflite import blocks, cut, graph

# Sets of layers, the simplest first; automatic choice picks the simplest that is as good as the best.
SETS = ("last", "top", "all")
CHOICES = ("auto", *SETS)
JOINED = "layers"
_POOLED, _SCALED = "_mean", "_scaled"


@dataclass(frozen=True)
class Layer:
    """One part of the joined vector.

    Attributes:
      name: of the block's output, or of the embedding for the last layer.
      side: height of its map, pixels; 1 for the embedding.
      factor: multiplier of its mean; 1 for the embedding.
    """

    name: str
    size: int
    side: int
    factor: float = 1.0

    @property
    def mean(self) -> str:
        """Name of its mean in a joined file."""
        return self.name + _POOLED if self.side > 1 else self.name

    @property
    def output(self) -> str:
        """Name of the tensor that is joined."""
        return self.name + _SCALED if self.side > 1 else self.name


def find(embedder: bytes) -> tuple[Layer, ...]:
    """Returns the blocks of a float embedder, first to last, then its embedding; all factors are 1."""
    model = graph.parse(embedder)
    main = model.subgraphs[0]
    found = []
    for name in blocks.find(embedder):
        shape = main.tensors[graph.find_tensor(model, name)].shape
        found.append(Layer(name, int(shape[3]), int(shape[1])))
    embedding = main.tensors[main.outputs[0]]
    return (*found, Layer(embedding.name.decode(), int(embedding.shape[-1]), 1))


def choose(layers: Sequence[Layer], name: str) -> tuple[Layer, ...]:
    """Returns one of SETS: the embedding alone, with the blocks of the smallest maps, or with all blocks."""
    *maps, embedding = layers
    if name == "last" or not maps:
        return (embedding,)
    least = min(layer.side for layer in maps)
    return (*(layer for layer in maps if name == "all" or layer.side == least), embedding)


def features(layers: Sequence[Layer], chosen: Sequence[Layer]) -> np.ndarray:
    """Returns the indices of the features of `chosen` within the joined vector of `layers`, int [D]."""
    names = {layer.name for layer in chosen}
    starts = np.cumsum([0, *(layer.size for layer in layers)])
    parts = zip(layers, starts[:-1], starts[1:], strict=True)
    return np.concatenate([np.arange(start, end) for layer, start, end in parts if layer.name in names])


def join(embedder: bytes, layers: Sequence[Layer]) -> bytes:
    """Makes a float embedder, float32 [1, H, H, 3] to [1, D], return the joined vector of its layers, embedding last.

    Returns:
      The embedder unchanged for the embedding alone; else float32 [1, H, H, 3] to float32 [1, sum of sizes].
    """
    *maps, embedding = layers
    if not maps:
        return embedder
    model = graph.parse(embedder)
    main = model.subgraphs[0]
    axes = graph.add_tensor(model, "layers_axes", (2,), "int32", np.array([1, 2], np.int32))
    joined = []
    for layer in maps:
        mean = graph.add_tensor(model, layer.mean, (1, layer.size))
        scaled = graph.add_tensor(model, layer.output, (1, layer.size))
        factor = graph.add_tensor(model, f"{layer.name}_factor", (1,), data=np.array([layer.factor], np.float32))
        options = schema.ReducerOptionsT()
        main.operators += [
            graph.make_operator(model, "MEAN", [graph.find_tensor(model, layer.name), axes], [mean], options),
            graph.make_operator(model, "MUL", [mean, factor], [scaled], schema.MulOptionsT()),
        ]
        joined.append(scaled)
    joined.append(graph.find_tensor(model, embedding.name))
    vector = graph.add_tensor(model, JOINED, (1, sum(layer.size for layer in layers)))
    options = schema.ConcatenationOptionsT()
    options.axis = 1
    main.operators.append(graph.make_operator(model, "CONCATENATION", joined, [vector], options))
    main.outputs = [vector]
    graph.sign(model, JOINED)
    return graph.pack(model)


def select(joined: bytes, chosen: Sequence[Layer]) -> bytes:
    """Reduces a joined file, float or int8, to some layers in order, the embedding last, and the operators they need.

    Raises:
      ModelError: it lacks one of them.
    """
    model = graph.parse(joined)
    return graph.pack(model) if keep(model, chosen) else joined


def keep(model: schema.ModelT, chosen: Sequence[Layer]) -> bool:
    """Reduces the object tree of a joined file to some layers, in place, see `select`; returns whether it had more."""
    main = model.subgraphs[0]
    [vector] = (int(index) for index in main.outputs)
    indices = [graph.find_tensor(model, layer.output) for layer in chosen]
    if indices == [vector]:
        return False
    last = main.operators[-1]
    parts = _joined_parts(model) if graph.operator_name(model, last) == "CONCATENATION" else {}
    if missing := [layer.name for layer, index in zip(chosen, indices, strict=True) if index not in parts]:
        raise ModelError(f"It does not join the layers {', '.join(missing)}.")
    wanted = [parts[index] for index in indices]
    if len(wanted) == 1:
        main.outputs = wanted
    else:
        last.inputs = wanted
        main.tensors[vector].shape = [1, sum(layer.size for layer in chosen)]
    cut.prune(model)
    graph.sign(model, JOINED)
    return True


def _joined_parts(model: schema.ModelT) -> dict[int, int]:
    """Maps each tensor that the last operator joins to the input that it is joined as.

    They differ where quantization could not give a tensor the range of the others, so that an operator in between does.
    """
    main = model.subgraphs[0]
    made = {int(operator.outputs[0]): operator for operator in main.operators}
    parts = {}
    for index in map(int, main.operators[-1].inputs):
        parts[index] = index
        before = made.get(index)
        if before is not None and graph.operator_name(model, before) == "QUANTIZE":
            parts[int(before.inputs[0])] = index
    return parts
