"""Checks whether a `.tflite` may run in this process: only operators of image classifiers, on tensors of fixed size.

A trial run on one image proves nothing about the next if a model branches, loops, or computes sizes from pixels.
Without these, each run takes the time and memory of the first, which `vetting` measures in a child process.
"""

import math
from collections.abc import Mapping, Sequence

from ai_edge_litert import schema_py_generated as schema

from model_maker.errors import ModelError
from model_maker.tflite import graph

# Part of the cache key of vetted files: increase it when this module rejects more, so that files are checked again.
RULES = 2
# Limit for activations that are live at the same time. EfficientNet-Lite4 in float needs 40 MB; a network of NASNet's
# size for images of 1024 x 1024, the largest published, needs less than half of this.
MOST_ACTIVATION_BYTES = 1 << 30
_ADVICE = "Convert the model again, without loops, conditions, custom operators and dynamic shapes."

# Operators, and the operands that determine the size of their result or must be in a range that is not checked at run
# time. Such an operand must be known before an image is.
_SHAPED = {
    "ARG_MAX": (1,),
    "ARG_MIN": (1,),
    "BATCH_TO_SPACE_ND": (1, 2),
    "BROADCAST_ARGS": (0, 1),
    "BROADCAST_TO": (1,),
    "CUMSUM": (1,),
    "EXPAND_DIMS": (1,),
    "FILL": (0,),
    "GATHER": (1,),
    "MEAN": (1,),
    "MIRROR_PAD": (1,),
    "PAD": (1,),
    "PADV2": (1,),
    "RANGE": (0, 1, 2),
    "REDUCE_ALL": (1,),
    "REDUCE_ANY": (1,),
    "REDUCE_MAX": (1,),
    "REDUCE_MIN": (1,),
    "REDUCE_PROD": (1,),
    "RESHAPE": (1,),
    "RESIZE_BILINEAR": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "REVERSE_V2": (1,),
    "SLICE": (1, 2),
    "SPACE_TO_BATCH_ND": (1, 2),
    "SPLIT": (0,),
    "SPLIT_V": (1, 2),
    "STRIDED_SLICE": (1, 2, 3),
    "SUM": (1,),
    "TILE": (1,),
    "TOPK_V2": (1,),
    "TRANSPOSE": (1,),
    "TRANSPOSE_CONV": (0,),
}
# Operators whose result size follows from the sizes of their operands.
_PLAIN = frozenset(
    (
        *("ABS", "ADD", "ADD_N", "AVERAGE_POOL_2D", "BATCH_MATMUL", "CAST", "CEIL", "CONCATENATION", "CONV_2D", "COS"),
        *("DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV", "ELU", "EQUAL", "EXP", "FLOOR", "GELU"),
        *("FULLY_CONNECTED", "GREATER", "GREATER_EQUAL", "HARD_SWISH", "L2_NORMALIZATION", "L2_POOL_2D", "LEAKY_RELU"),
        *("LESS", "LESS_EQUAL", "LOCAL_RESPONSE_NORMALIZATION", "LOG", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR"),
        *("LOGISTIC", "LOG_SOFTMAX", "MAXIMUM", "MAX_POOL_2D", "MINIMUM", "MUL", "NEG", "NOT_EQUAL", "PACK", "POW"),
        *("PRELU", "QUANTIZE", "RANK", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "ROUND", "RSQRT", "SELECT"),
        *("SELECT_V2", "SHAPE", "SIGN", "SIN", "SOFTMAX", "SPACE_TO_DEPTH", "SQRT", "SQUARE", "SQUARED_DIFFERENCE"),
        *("SQUEEZE", "SUB", "TANH", "UNPACK", "ZEROS_LIKE"),
    )
)
OPERATORS = frozenset(_SHAPED) | _PLAIN
# Operators whose result does not depend on the values of their operands.
_BLIND = ("RANK", "SHAPE", "ZEROS_LIKE")
# On x86, dividing the smallest integer by -1 kills the process.
_REAL = ("DIV", "POW")
_WHOLE = tuple(getattr(schema.TensorType, name) for name in ("INT16", "INT32", "UINT32", "INT64", "UINT64"))
_BYTES = {
    getattr(schema.TensorType, name): size
    for name, size in {
        **dict.fromkeys(("BOOL", "INT4", "INT8", "UINT8"), 1),
        **dict.fromkeys(("FLOAT16", "INT16", "UINT16"), 2),
        **dict.fromkeys(("FLOAT32", "INT32", "UINT32"), 4),
        **dict.fromkeys(("FLOAT64", "INT64"), 8),
    }.items()
}


def check(content: bytes) -> None:
    """Rejects a `.tflite` that may behave differently for another image, or that needs too much memory.

    Raises:
      ModelError: it uses an operator or feature that image classifiers do not need, or is damaged.
    """
    model = graph.parse(content)
    with graph.explained():
        if model.externalBuffers or model.externalBufferGroups:
            raise ModelError("It keeps weights in other files, which a .tflite for phones does not. Export it as one.")
        for part in model.subgraphs:
            for operator in part.operators:
                _check_operator(model, part, operator)
            for tensor in part.tensors:
                _check_tensor(tensor)
        main = model.subgraphs[0]
        _check_inputs(main)
        _check_sizes_known(model, main)
        check_memory(model, [graph.shape(tensor) for tensor in main.tensors])


def check_memory(model: schema.ModelT, shapes: Sequence[Sequence[int]]) -> None:
    """Rejects a model whose live activations take more than MOST_ACTIVATION_BYTES at some point.

    Args:
      shapes: tensor shapes of its main graph, as stored or as computed by a runtime.

    Raises:
      ModelError: they do.
    """
    main = model.subgraphs[0]
    sizes = {
        index: math.prod(shape) * _BYTES[tensor.type]
        for index, (tensor, shape) in enumerate(zip(main.tensors, shapes, strict=False))
        if not _is_constant(model, tensor)
    }
    peak, where = _peak(main, sizes)
    if peak > MOST_ACTIVATION_BYTES:
        raise ModelError(
            f"At {where} it needs {peak / (1 << 30):.1f} GB of memory for activations; "
            f"{MOST_ACTIVATION_BYTES >> 30} GB is allowed. Convert the model for smaller pictures."
        )


def _peak(main: schema.SubGraphT, sizes: Mapping[int, int]) -> tuple[int, str]:
    """Returns the peak number of bytes in use, and the operator where it occurs."""
    last: dict[int, int] = {}
    for place, operator in enumerate(main.operators):
        last |= dict.fromkeys((int(index) for index in (*operator.inputs, *operator.outputs)), place)
    last |= dict.fromkeys((int(index) for index in main.outputs), len(main.operators))
    alive = {int(index) for index in main.inputs}
    peak, where = sum(sizes.get(index, 0) for index in alive), "its input"
    for place, operator in enumerate(main.operators):
        alive |= {int(index) for index in operator.outputs}
        if (used := sum(sizes.get(index, 0) for index in alive)) > peak:
            peak, where = used, f"operator {place + 1} of {len(main.operators)}"
        alive = {index for index in alive if last.get(index, -1) > place}
    return peak, where


def _check_tensor(tensor: schema.TensorT) -> None:
    if tensor.type not in _BYTES:
        name = graph.TYPE_NAMES.get(tensor.type, f"the type {tensor.type}")
        raise ModelError(f"It has a tensor of {name}, no numbers of a known kind. {_ADVICE}")
    if tensor.sparsity is not None:  # its indices are unchecked
        raise ModelError(f"It has a tensor with sparse weights. {_ADVICE}")
    if tensor.isVariable:
        raise ModelError(f"It has a tensor that keeps its value from one picture to the next. {_ADVICE}")
    sides = list(graph.shape(tensor))
    if any(side < 0 for side in sides):
        raise ModelError(f"It has a tensor of the shape {sides}, so it is damaged. Export it again.")


def _check_operator(model: schema.ModelT, part: schema.SubGraphT, operator: schema.OperatorT) -> None:
    name = graph.operator_name(model, operator)
    if name not in OPERATORS:
        code = model.operatorCodes[operator.opcodeIndex].customCode
        own = f" {code.decode(errors='replace')!r}" if code and name == "CUSTOM" else ""
        raise ModelError(f"It has the operator {name}{own}, which image classifiers do not need. {_ADVICE}")
    if name in _REAL and any(part.tensors[index].type in _WHOLE for index in operator.outputs):
        raise ModelError(f"It has the operator {name} on whole numbers, which image classifiers do not need. {_ADVICE}")


def _check_inputs(main: schema.SubGraphT) -> None:
    for index in main.inputs:
        stated = main.tensors[index].shapeSignature
        if stated is not None and any(side < 0 for side in list(stated)[1:]):
            raise ModelError(f"Its input takes pictures of any size ({[int(side) for side in stated]}). {_ADVICE}")


def _check_sizes_known(model: schema.ModelT, main: schema.SubGraphT) -> None:
    """Checks that sizes depend only on constants and shapes, not on the image."""
    known = {index for index, tensor in enumerate(main.tensors) if _is_constant(model, tensor)}
    written = known | {int(index) for index in main.inputs}
    for operator in main.operators:
        name = graph.operator_name(model, operator)
        inputs, outputs = ([int(index) for index in ends] for ends in (operator.inputs, operator.outputs))
        for place in _SHAPED.get(name, ()):
            if place < len(inputs) and inputs[place] >= 0 and inputs[place] not in known:
                raise ModelError(f"Its operator {name} takes a size from the picture that it is given. {_ADVICE}")
        if again := written.intersection(outputs):
            raise ModelError(f"Its operator {name} writes the tensor {min(again)}, which is taken. Export it again.")
        if name in _BLIND or known.issuperset(index for index in inputs if index >= 0):
            known.update(outputs)
        written.update(outputs)


def _is_constant(model: schema.ModelT, tensor: schema.TensorT) -> bool:
    return graph.is_constant(model, tensor) or 0 in graph.shape(tensor)
