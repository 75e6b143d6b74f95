"""Attributes the logits of a classifier to cells of the photo: adds the contribution of each cell as an output.

A linear head on means of feature maps is a sum over their cells, so each cell contributes to a logit the head's weights
times the map's values there, divided by the number of cells. The contributions of all maps on one grid, those of
features without a location, and the bias add up to the logit; no gradients are needed.

Source: Zhou et al. 2016, "Learning Deep Features for Discriminative Localization", which uses the last map only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.errors import ModelError
from model_maker.tflite import class_rows, graph
from model_maker.tflite.class_rows import Rows

Array = np.ndarray

SHARES, FEATURES = "shares", "features"
# Operators that only change shape or type.
_SAME = ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE")
_ENDS = (class_rows.SOFTMAX, class_rows.SIGMOID)
_ADVICE = (
    "Where an answer comes from can be computed where the last layer sees means of feature maps, as in files that "
    "`train` makes."
)


@dataclass(frozen=True)
class PooledMap:
    """A feature map whose mean is an input of the last layer.

    Attributes:
      side: its height and width.
      start, size: range of its means among the last layer's input features.
    """

    name: str
    side: tuple[int, int]
    start: int
    size: int


@dataclass(frozen=True)
class Explaining:
    """A classifier with additional outputs.

    Attributes:
      content: the `.tflite`. Outputs: the scores; float32 [1, side, side, C], the shares summed over all blocks; with
        `blocks`, the shares of each block and the features, float32 [1, D].
      side: cells of the grid, in each direction.
      blocks: the blocks whose cells these are, first to last.
    """

    content: bytes
    side: int
    blocks: tuple[PooledMap, ...]
    rows: Rows

    @property
    def unplaced(self) -> Array:
        """Which features have no location in the photo, bool [D]."""
        found = np.ones(self.rows.kernel.shape[1], bool)
        for block in self.blocks:
            found[block.start : block.start + block.size] = False
        return found


@dataclass(frozen=True)
class _Part:
    """A map and its means: both tensors, and the factor between them, one number or one per channel."""

    map: int
    means: int
    factor: Array
    start: int


def attach(content: bytes, *, blocks: bool = False) -> Explaining:
    """Adds the shares of cells to the outputs of a classifier; its scores do not change.

    Rounding of integers between a map and its mean is spread evenly over the cells, so the sum is that of the features.

    Args:
      content: a `.tflite`, float or quantized.
      blocks: whether the shares of each block and the features are outputs, too.

    Raises:
      ModelError: it does not end in a layer with a softmax or a sigmoid, or none of this layer's inputs is the mean of
        a map.
    """
    model = graph.parse(content)
    try:
        rows = class_rows.of(model, ends=_ENDS)
    except ModelError as error:  # whose advice is about editing classes
        raise ModelError(f"{str(error).split('. ')[0].removesuffix('.')}. {_ADVICE}") from error
    with graph.explained():
        main, features = model.subgraphs[0], class_rows.features(model, ends=_ENDS)
        parts = _parts(model, features)
        if not parts:
            raise ModelError(f"No input of its last layer is the mean of a feature map. {_ADVICE}")
        side = min(min(main.tensors[part.map].shape[1:3]) for part in parts)
        own = [_shares(model, part, rows.kernel, int(side)) for part in parts]
        total = own[0]
        for more in own[1:]:
            total = _operate(model, "ADD", schema.AddOptionsT(), [total, more], main.tensors[total].shape)
        outputs, names = [int(main.outputs[0]), total], [graph.OUTPUT, SHARES]
        found = tuple(_block(main, part) for part in parts)
        if blocks:
            outputs += [*own, _real(model, features)]
            names += [*(f"{SHARES}_{number}" for number in range(len(own))), FEATURES]
        main.outputs = outputs
        model.metadata, model.metadataBuffer = [], None
        graph.sign(model, names)
        return Explaining(graph.pack(model), int(side), found, rows)


def areas(coarse: int, fine: int) -> Array:
    """Returns the fraction of each fine cell in each coarse one, float32 [coarse, fine]; columns add up to 1."""
    edges, cells = np.arange(coarse + 1) * fine / coarse, np.arange(fine)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    return np.maximum(overlap, 0).astype(np.float32)


def _block(main: schema.SubGraphT, part: _Part) -> PooledMap:
    tensor = main.tensors[part.map]
    _, height, width, size = (int(side) for side in tensor.shape)
    return PooledMap((tensor.name or b"").decode(errors="replace"), (height, width), part.start, size)


def _parts(model: schema.ModelT, features: int) -> list[_Part]:
    """Returns the means of maps among the inputs of the last layer."""
    main = model.subgraphs[0]
    made = {int(operator.outputs[0]): operator for operator in main.operators}
    found, start = [], 0
    for tensor in _joined(model, made, features):
        if part := _mean(model, made, tensor, start):
            found.append(part)
        start += _size(main, tensor)
    return found


def _joined(model: schema.ModelT, made: dict[int, schema.OperatorT], tensor: int) -> list[int]:
    """Returns the parts of a concatenated vector in order, or the vector itself."""
    operator = made.get(tensor)
    if operator is None:
        return [tensor]
    name = graph.operator_name(model, operator)
    if name in _SAME:
        inner = _joined(model, made, int(operator.inputs[0]))
        return inner if len(inner) > 1 else [tensor]
    if name != "CONCATENATION":
        return [tensor]
    return [part for each in operator.inputs for part in _joined(model, made, int(each))]


def _mean(model: schema.ModelT, made: dict[int, schema.OperatorT], tensor: int, start: int) -> _Part | None:
    """Traces a vector back to the map whose mean it is; None if it is not a mean."""
    main, at, factor = model.subgraphs[0], tensor, np.ones(1)
    while (operator := made.get(at)) is not None:
        name, entering = graph.operator_name(model, operator), [int(index) for index in operator.inputs]
        if name in _SAME and _size(main, entering[0]) == _size(main, at):
            at = entering[0]
        elif name == "MUL" and (scaled := _constant_factor(model, made, entering, _size(main, at))):
            at, factor = scaled[0], factor * scaled[1]
        elif _pools_all(model, operator, name):
            return _Part(entering[0], tensor, factor, start)
        else:
            return None
    return None


def _constant_factor(
    model: schema.ModelT, made: dict[int, schema.OperatorT], ends: Sequence[int], size: int
) -> tuple[int, Array] | None:
    """Returns a product's computed factor, and the values of the constant one."""
    constants = [end for end in ends if end not in made and end not in list(model.subgraphs[0].inputs)]
    if len(constants) != 1:
        return None
    values = class_rows.real(model, constants[0]).astype(np.float64).ravel()
    computed = next(end for end in ends if end != constants[0])
    return (computed, values) if values.size in (1, size) else None


def _pools_all(model: schema.ModelT, operator: schema.OperatorT, name: str) -> bool:
    """Whether an operator averages over a whole map."""
    tensors = model.subgraphs[0].tensors
    before, after = tensors[int(operator.inputs[0])].shape, tensors[int(operator.outputs[0])].shape
    if before is None or after is None or len(before) != 4 or math.prod(int(side) for side in after) != before[3]:
        return False
    if name == "MEAN":
        axes = graph.constant(model, tensors[int(operator.inputs[1])]).ravel()
        return sorted(int(axis) % 4 for axis in axes) == [1, 2]
    options = operator.builtinOptions
    return (
        name == "AVERAGE_POOL_2D"
        and options.fusedActivationFunction == schema.ActivationFunctionType.NONE
        and (options.filterHeight, options.filterWidth) == (before[1], before[2])
    )


def _size(main: schema.SubGraphT, tensor: int) -> int:
    return math.prod(int(side) for side in main.tensors[tensor].shape)


def _shares(model: schema.ModelT, part: _Part, kernel: Array, side: int) -> int:
    """Adds operators that compute the shares of a map's cells on the grid, float32 [1, side, side, C]."""
    main = model.subgraphs[0]
    _, height, width, size = (int(length) for length in main.tensors[part.map].shape)
    classes, cells = len(kernel), side * side
    own = kernel[:, part.start : part.start + size]
    tall = _reshape(model, _real(model, part.map), (height, width * size))
    tall = _multiply(model, areas(side, height), tall, (side, width * size))
    grid = _multiply(model, areas(side, width)[None], _reshape(model, tall, (side, width, size)), (side, side, size))
    weights = own * (part.factor / (height * width))
    shares = _dense(model, _reshape(model, grid, (cells, size)), weights, (cells, classes))
    axis = graph.add_tensor(model, "shares_axis", (1,), "int32", np.array([0], np.int32))
    options = schema.ReducerOptionsT()
    options.keepDims = True
    mean = _operate(model, "MEAN", options, [shares, axis], (1, classes))
    vector = _reshape(model, _real(model, part.means), (1, size))
    wanted = _dense(model, vector, own / cells, (1, classes))
    rest = _operate(model, "SUB", schema.SubOptionsT(), [wanted, mean], (1, classes))
    whole = _operate(model, "ADD", schema.AddOptionsT(), [shares, rest], (cells, classes))
    return _reshape(model, whole, (1, side, side, classes))


def _real(model: schema.ModelT, tensor: int) -> int:
    """Returns a float tensor: itself, or a dequantized copy."""
    entry = model.subgraphs[0].tensors[tensor]
    if entry.type == schema.TensorType.FLOAT32:
        return tensor
    return _operate(model, "DEQUANTIZE", schema.DequantizeOptionsT(), [tensor], entry.shape)


def _reshape(model: schema.ModelT, tensor: int, shape: Sequence[int]) -> int:
    sides = graph.add_tensor(model, "shares_shape", (len(shape),), "int32", np.array(shape, np.int32))
    options = schema.ReshapeOptionsT()
    options.newShape = [int(side) for side in shape]
    return _operate(model, "RESHAPE", options, [tensor, sides], shape)


def _multiply(model: schema.ModelT, left: Array, right: int, shape: Sequence[int]) -> int:
    constant = graph.add_tensor(model, "shares_areas", left.shape, data=left.astype(np.float32))
    return _operate(model, "BATCH_MATMUL", schema.BatchMatMulOptionsT(), [constant, right], shape)


def _dense(model: schema.ModelT, tensor: int, kernel: Array, shape: Sequence[int]) -> int:
    weights = graph.add_tensor(model, "shares_kernel", kernel.shape, data=kernel.astype(np.float32))
    zeros = graph.add_tensor(model, "shares_bias", (len(kernel),), data=np.zeros(len(kernel), np.float32))
    return _operate(model, "FULLY_CONNECTED", schema.FullyConnectedOptionsT(), [tensor, weights, zeros], shape)


def _operate(model: schema.ModelT, name: str, options, inputs: list[int], shape: Sequence[int]) -> int:
    """Appends an operator and returns its output, float32."""
    main = model.subgraphs[0]
    output = graph.add_tensor(model, f"{SHARES}_{len(main.tensors)}", shape)
    main.operators.append(graph.make_operator(model, name, inputs, [output], options))
    return output
