"""Splits a float embedder into a trunk, which stays frozen, and a tail, which may be trained."""

import math

from ai_edge_litert import schema_py_generated as schema

from model_maker.errors import ModelError
from model_maker.tflite import cut, graph

FEATURES = "features"
_WIDENING = 2


def seam(content: bytes) -> str:
    """Returns the name of the best activation to split at: the last narrow one before the last stride-2 layer.

    The stages after it contribute most to the classes and, with small maps, cost little: docs/MEASUREMENTS.md has the
    cost of other places. Only one activation may cross the seam, and not one that was expanded for the stride-2 layer.

    Raises:
      ModelError: it never halves its feature maps, or has no such activation.
    """
    model = graph.parse(content)
    main = model.subgraphs[0]
    # Joined means of maps would keep every map live to the end.
    main.outputs = [cut.last_layer(model, int(main.outputs[0]))]
    cut.prune(model)
    alone = crossings(model)
    maps = [index for index in alone if len(main.tensors[index].shape) == 4 and _side(main, index) > 1]
    if not maps:
        raise ModelError("It has no feature maps at which it could be split.")
    last = min(_side(main, index) for index in maps)
    sides = [_side(main, index) for index in maps if _side(main, index) > last]
    if not sides:
        raise ModelError("It never halves its feature maps, so it has no last stages that could be trained alone.")
    stage = [index for index in maps if _side(main, index) == min(sides)]
    # A stride-2 block may expand first, by a convolution and an activation.
    narrowest = min(reversed(stage[-_WIDENING - 1 :]), key=lambda index: _size(main, index))
    return main.tensors[narrowest].name.decode()


def crossing(content: bytes, name: str) -> tuple[str, ...]:
    """Returns the inputs of the layers after an activation: itself, and means of earlier maps joined to the embedding.

    Raises:
      ModelError: there is no such activation, or the later layers need an earlier map.
    """
    model = graph.parse(content)
    main = model.subgraphs[0]
    behind, besides = {graph.find_tensor(model, name)}, []
    made = {int(index) for index in main.inputs} | {int(operator.outputs[0]) for operator in main.operators}
    for operator in main.operators:
        inputs = [int(index) for index in operator.inputs if int(index) in made]
        if behind & set(inputs):
            behind.add(int(operator.outputs[0]))
            besides += [index for index in inputs if index not in behind and index not in besides]
    if any(len(main.tensors[index].shape) != 2 for index in besides):
        raise ModelError(f"The layers after {name} also need earlier activations.")
    return (name, *(main.tensors[index].name.decode() for index in besides))


def trunk(content: bytes, *names: str) -> bytes:
    """Returns the network up to some activations: a float `.tflite`, float32 [1, H, H, 3] to one or several joined.

    Args:
      names: one activation, which keeps its shape [1, h, w, D]; or several, flattened and joined: [1, h * w * D + ...].

    Raises:
      ModelError: there is no such activation.
    """
    model = graph.parse(content)
    main = model.subgraphs[0]
    found = [graph.find_tensor(model, name) for name in names]
    main.outputs = found if len(found) == 1 else [_joined(model, found)]
    cut.prune(model)
    graph.sign(model, FEATURES)
    return graph.pack(model)


def _joined(model: schema.ModelT, tensors: list[int]) -> int:
    """Adds operators that flatten and join activations; returns the joined tensor."""
    main = model.subgraphs[0]
    sizes = [_size(main, index) for index in tensors]
    flat = []
    for index, size in zip(tensors, sizes, strict=True):
        if len(main.tensors[index].shape) > 2:
            row = graph.add_tensor(model, f"{FEATURES}_{index}", (1, size))
            main.operators.append(cut.reshape(model, index, row, (1, size)))
            index = row
        flat.append(index)
    options = schema.ConcatenationOptionsT()
    options.axis = 1
    joined = graph.add_tensor(model, FEATURES, (1, sum(sizes)))
    main.operators.append(graph.make_operator(model, "CONCATENATION", flat, [joined], options))
    return joined


def behind(content: bytes, name: str) -> set[str]:
    """Returns the names of an activation and of all later ones."""
    model = graph.parse(content)
    main = model.subgraphs[0]
    made = [main.tensors[operator.outputs[0]].name.decode() for operator in main.operators]
    return set(made[made.index(name) :])


def crossings(model: schema.ModelT) -> list[int]:
    """Returns the activations, in order, that are the only live one when computed: all later ones depend on them."""
    main = model.subgraphs[0]
    made = {int(index) for index in main.inputs} | {int(operator.outputs[0]) for operator in main.operators}
    last_use: dict[int, int] = {}
    for place, operator in enumerate(main.operators):
        last_use |= {int(index): place for index in operator.inputs if int(index) in made}
    found, alive = [], {int(index) for index in main.inputs}
    for place, operator in enumerate(main.operators):
        alive = {index for index in alive if last_use.get(index, -1) > place}
        alive |= {int(index) for index in operator.outputs}
        if len(alive) == 1:
            found.append(int(operator.outputs[0]))
    return found


def _side(main: schema.SubGraphT, index: int) -> int:
    return int(main.tensors[index].shape[1])


def _size(main: schema.SubGraphT, index: int) -> int:
    return math.prod(int(side) for side in main.tensors[index].shape)
