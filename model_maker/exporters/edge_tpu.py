"""Operators that the Edge TPU supports, and their conditions.

Source: coral.ai/docs/edgetpu/models-intro, "Supported operations" and "Model requirements". The compiler maps the first
unsupported operator and all later ones to the CPU, so a single one defeats the purpose.
"""

import math
from collections.abc import Callable

from ai_edge_litert import schema_py_generated as schema

from model_maker.errors import ModelError
from model_maker.tflite import graph

_INTEGERS = (schema.TensorType.INT8, schema.TensorType.UINT8, schema.TensorType.INT32)
_MOST_CLASSES = 16_000

Term = Callable[[schema.ModelT, schema.OperatorT], str]


def check(content: bytes) -> None:
    """Checks every operator of an int8 `.tflite`.

    Raises:
      ModelError: one is not supported, or violates its conditions; the message names it.
    """
    model = graph.parse(content)
    for operator in model.subgraphs[0].operators:
        name = graph.operator_name(model, operator)
        if name not in OPERATORS:
            reason = "is none that it runs"
        else:
            reason = _tensors(model, operator) or OPERATORS[name](model, operator)
        if reason:
            output = _tensor(model, operator.outputs[0])
            raise ModelError(
                f"The Edge TPU cannot run this model: {name} ({(output.name or b'').decode(errors='replace')}) "
                f"{reason}. Train another backbone, for example mobilenet_v2."
            )


def _tensors(model: schema.ModelT, operator: schema.OperatorT) -> str:
    for index in (*operator.inputs, *operator.outputs):
        if index < 0:
            continue
        tensor = _tensor(model, index)
        if tensor.type not in _INTEGERS:
            return "touches a tensor that is not int8"
        shape = list(graph.shape(tensor))
        signature = [] if tensor.shapeSignature is None else list(tensor.shapeSignature)
        if any(side < 1 for side in (*shape, *signature)):
            return "has a tensor whose size is not constant"
        if len(shape) > 3 and not graph.is_constant(model, tensor) and math.prod(shape[:-3]) != 1:
            return f"has a tensor {shape}, of more than three dimensions"
    return ""


def _free(model: schema.ModelT, operator: schema.OperatorT) -> str:
    return ""


def _no_activation(model: schema.ModelT, operator: schema.OperatorT) -> str:
    fused = operator.builtinOptions.fusedActivationFunction != schema.ActivationFunctionType.NONE
    return "has a fused activation" if fused else ""


def _joins_activations(model: schema.ModelT, operator: schema.OperatorT) -> str:
    if any(graph.is_constant(model, _tensor(model, index)) for index in operator.inputs):
        return "joins a constant"
    return _no_activation(model, operator)


def _even_dilation(model: schema.ModelT, operator: schema.OperatorT) -> str:
    options = operator.builtinOptions
    same = options.dilationWFactor == options.dilationHFactor
    return "" if same else "is dilated otherwise along x than along y"


def _no_dilation(model: schema.ModelT, operator: schema.OperatorT) -> str:
    options = operator.builtinOptions
    return "is dilated" if (options.dilationWFactor, options.dilationHFactor) != (1, 1) else ""


def _plain_dense(model: schema.ModelT, operator: schema.OperatorT) -> str:
    if operator.builtinOptions.weightsFormat != schema.FullyConnectedOptionsWeightsFormat.DEFAULT:
        return "has shuffled weights"
    return _one_vector(model, operator)


def _one_vector(model: schema.ModelT, operator: schema.OperatorT) -> str:
    shape = _tensor(model, operator.outputs[0]).shape
    return "" if math.prod(shape) == shape[-1] else f"gives {list(shape)}, not one vector"


def _short_vector(model: schema.ModelT, operator: schema.OperatorT) -> str:
    size = math.prod(_tensor(model, operator.outputs[0]).shape)
    return _one_vector(model, operator) or (f"gives {size} numbers, more than {_MOST_CLASSES}") * (size > _MOST_CLASSES)


def _plane_only(model: schema.ModelT, operator: schema.OperatorT) -> str:
    axes = {int(axis) for axis in graph.constant(model, _tensor(model, operator.inputs[1])).reshape(-1)}
    return "" if axes <= {1, 2} else "reduces other axes than height and width"


def _not_the_batch(model: schema.ModelT, operator: schema.OperatorT) -> str:
    axes = {int(axis) for axis in graph.constant(model, _tensor(model, operator.inputs[1])).reshape(-1)}
    return "reduces the batch" if 0 in axes else ""


def _pads_plane(model: schema.ModelT, operator: schema.OperatorT) -> str:
    around = graph.constant(model, _tensor(model, operator.inputs[1]))
    return "" if len(around) == 4 and not around[[0, 3]].any() else "pads other axes than height and width"


def _leading_ones(model: schema.ModelT, operator: schema.OperatorT) -> str:
    shape = [int(side) for side in _tensor(model, operator.inputs[0]).shape]
    return "" if math.prod(shape) == shape[-1] else f"squeezes {shape}, whose sizes before the last are not 1"


def _tensor(model: schema.ModelT, index: int) -> schema.TensorT:
    return model.subgraphs[0].tensors[index]


# The published operators that image classifiers use; others are rejected, even if the Edge TPU supports them.
OPERATORS: dict[str, Term] = {
    "ADD": _free,
    "AVERAGE_POOL_2D": _no_activation,
    "CONCATENATION": _joins_activations,
    "CONV_2D": _even_dilation,
    "DEPTHWISE_CONV_2D": _no_dilation,
    "FULLY_CONNECTED": _plain_dense,
    "LOGISTIC": _free,
    "MAXIMUM": _free,
    "MAX_POOL_2D": _no_activation,
    "MEAN": _plane_only,
    "MINIMUM": _free,
    "MUL": _free,
    "PAD": _pads_plane,
    "QUANTIZE": _free,
    "REDUCE_MAX": _not_the_batch,
    "RELU": _free,
    "RELU6": _free,
    "RELU_N1_TO_1": _free,
    "RESHAPE": _free,
    "SOFTMAX": _short_vector,
    "SQUEEZE": _leading_ones,
    "SUB": _free,
    "SUM": _not_the_batch,
    "TANH": _free,
}
