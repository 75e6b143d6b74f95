"""Converts a quantized `.tflite` to the float model that it approximates."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.errors import ModelError
from model_maker.tflite import graph

Array = np.ndarray

_INTEGERS = tuple(getattr(schema.TensorType, name) for name in ("INT4", "INT8", "UINT8", "INT16", "INT32", "INT64"))
_LOWEST = {schema.TensorType.INT8: -128, schema.TensorType.UINT8: 0}


def dequantize(model: schema.ModelT) -> None:
    """Converts an object tree to float32 in place: weights, biases, activations, input and output.

    QUANTIZE and DEQUANTIZE are removed. Converters drop a ReLU6 that the range of an int8 tensor makes redundant, so
    the activation is restored where a range begins at zero.

    Args:
      model: from `graph.parse`; full integer, dynamic-range, float16, or already float.

    Raises:
      ModelError: weights of an unsupported type.
    """
    main = model.subgraphs[0]
    for operator in main.operators:
        _restore_activation(main, operator)
        _scale_bias(main, operator)
    for tensor in main.tensors:
        _to_float(model, tensor)
    _drop_casts(model)


def _restore_activation(main: schema.SubGraphT, operator: schema.OperatorT) -> None:
    options, tensor = operator.builtinOptions, main.tensors[operator.outputs[0]]
    kinds = schema.ActivationFunctionType
    if getattr(options, "fusedActivationFunction", None) != kinds.NONE or isinstance(options, schema.Pool2DOptionsT):
        return
    if tensor.type in _LOWEST and _is_quantized(tensor) and _zero_points(tensor)[0] == _LOWEST[tensor.type]:
        # 6 / 255 in float32; a range learned in training ends within a few steps of 6.
        ends_at_six = abs(255 * float(tensor.quantization.scale[0]) - 6) < 0.1
        options.fusedActivationFunction = kinds.RELU6 if ends_at_six else kinds.RELU


def _scale_bias(main: schema.SubGraphT, operator: schema.OperatorT) -> None:
    """Adds a bias's scale, input scale times weight scale, which some writers leave out."""
    if len(operator.inputs) != 3 or min(operator.inputs) < 0:
        return
    image, weights, bias = (main.tensors[index] for index in operator.inputs)
    known = _is_quantized(image) and _is_quantized(weights) and not _is_quantized(bias)
    if bias.type == schema.TensorType.INT32 and known:
        bias.quantization = schema.QuantizationParametersT()
        bias.quantization.scale = float(image.quantization.scale[0]) * np.asarray(weights.quantization.scale)


def _to_float(model: schema.ModelT, tensor: schema.TensorT) -> None:
    if tensor.sparsity is not None:
        raise ModelError("Its weights are sparse, which this package cannot convert to float.")
    quantized = tensor.type in _INTEGERS and _is_quantized(tensor)
    if quantized or tensor.type == schema.TensorType.FLOAT16:
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data):
            values = graph.constant(model, tensor).astype(np.float32)
            values = _real(values, tensor) if quantized else values
            tensor.buffer = graph.add_buffer(model, values.astype(np.float32))
        tensor.type = schema.TensorType.FLOAT32
    if tensor.type == schema.TensorType.FLOAT32:
        tensor.quantization = None


def _real(values: Array, tensor: schema.TensorT) -> Array:
    scale, zero_points = np.asarray(tensor.quantization.scale, np.float32), _zero_points(tensor)
    shape = [1] * values.ndim
    if len(scale) > 1:
        shape[tensor.quantization.quantizedDimension] = -1
    with np.errstate(over="ignore", invalid="ignore"):
        real = (values - zero_points.reshape(shape)) * scale.reshape(shape)
    if not np.isfinite(real).all():
        raise ModelError("Its weights are not finite numbers, so it is damaged. Download or export it again.")
    return real


def _drop_casts(model: schema.ModelT) -> None:
    """Removes QUANTIZE and DEQUANTIZE, which have no effect between float tensors."""
    main = model.subgraphs[0]
    same: dict[int, int] = {}
    kept = []
    for operator in main.operators:
        operator.inputs = [same.get(int(index), int(index)) for index in operator.inputs]
        if graph.operator_name(model, operator) in ("QUANTIZE", "DEQUANTIZE"):
            same[int(operator.outputs[0])] = operator.inputs[0]
        else:
            kept.append(operator)
    main.operators = kept
    main.outputs = [same.get(int(index), int(index)) for index in main.outputs]


def _is_quantized(tensor: schema.TensorT) -> bool:
    quantization = tensor.quantization
    return quantization is not None and quantization.scale is not None and len(quantization.scale) > 0


def _zero_points(tensor: schema.TensorT) -> Array:
    """Returns one zero point per scale; some writers omit zeros."""
    stated = tensor.quantization.zeroPoint
    if stated is None or not len(stated):
        return np.zeros(len(tensor.quantization.scale), np.float32)
    return np.broadcast_to(np.asarray(stated, np.float32), (len(tensor.quantization.scale),))
