"""Inspects a `.tflite`: inputs, outputs, operators, multiply-accumulates, remaining float operators."""

import math
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from model_maker.tflite import graph

_TYPE_NAMES = {value: name.lower() for value, name in graph.TYPE_NAMES.items()}
# Operators whose second input is weights.
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")
_FLOATS = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)


@dataclass(frozen=True)
class TensorFacts:
    """An input or output of a model, with scale and zero point if it is quantized."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a model file.

    Attributes:
      inputs, outputs: its input and output tensors.
      operators: name to count, most frequent first.
      parameters: number of values in constant tensors.
      macs: multiply-accumulates of one inference (convolutions and fully connected layers).
      quantization: one of `quantize.FORMATS`, inferred from the tensors; the prevailing one in a mixed model.
      float_operators: operators between input and output that use a float tensor.
    """

    size_bytes: int
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    operators: dict[str, int]
    parameters: int
    macs: int
    quantization: str
    float_operators: tuple[str, ...]


def inspect(content: bytes) -> ModelFacts:
    """Reads the facts of a `.tflite`.

    Raises:
      ModelError: it is not a `.tflite`, or is damaged.
    """
    model = graph.parse(content)
    with graph.explained():
        return _model_facts(len(content), model, model.subgraphs[0])


def _model_facts(size_bytes: int, model, main) -> ModelFacts:
    names = [graph.operator_name(model, operator) for operator in main.operators]
    constants = [tensor for tensor in main.tensors if graph.is_constant(model, tensor)]
    return ModelFacts(
        size_bytes=size_bytes,
        inputs=tuple(_facts(main.tensors[index]) for index in main.inputs),
        outputs=tuple(_facts(main.tensors[index]) for index in main.outputs),
        operators=dict(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))),
        parameters=sum(math.prod(tensor.shape) for tensor in constants if tensor.shape is not None),
        macs=sum(_macs(main, operator, name) for operator, name in zip(main.operators, names, strict=True)),
        quantization=_quantization(main, constants),
        float_operators=tuple(_touching(main, names, _FLOATS)),
    )


def wider_operators(model: schema.ModelT, kind: str, *, kept: Collection[str] = ()) -> list[str]:
    """Lists operators with a tensor that "int8" or "int16x8" does not allow, except input and output.

    Args:
      model: from `graph.parse`.
      kind: "int8" (no float, no int16) or "int16x8" (no float).
      kept: outputs of operators that are wider on purpose; these and their casts are left out.

    Returns:
      "NAME (output tensor)" of each.

    Raises:
      ModelError: it is damaged.
    """
    with graph.explained():
        names = [graph.operator_name(model, operator) for operator in model.subgraphs[0].operators]
        types = _FLOATS if kind == "int16x8" else (*_FLOATS, schema.TensorType.INT16)
        return list(_touching(model.subgraphs[0], names, types, kept))


def wider_weights(content: bytes, types: Collection[str], *, kept: Collection[str] = ()) -> list[str]:
    """Lists the layers whose weights have another type.

    Args:
      types: allowed weight types, for example "int8"; a DEQUANTIZE counts as the type that it reads.
      kept: outputs of operators that are left out.

    Returns:
      "NAME (output tensor)" of each.

    Raises:
      ModelError: the file is not a `.tflite`, or it is damaged.
    """
    model = graph.parse(content)
    main = model.subgraphs[0]
    with graph.explained():
        operators = [(graph.operator_name(model, operator), operator) for operator in main.operators]
        casts = {int(each.outputs[0]): int(each.inputs[0]) for name, each in operators if name == "DEQUANTIZE"}
        found = []
        for name, operator in operators:
            if name not in _WEIGHTED or _gives(main, operator) in kept:
                continue
            weights = main.tensors[casts.get(int(operator.inputs[1]), int(operator.inputs[1]))]
            if graph.is_constant(model, weights) and _TYPE_NAMES[weights.type] not in types:
                found.append(f"{name} ({_gives(main, operator)})")
        return found


def _touching(main, names: list[str], types: tuple[int, ...], kept: Collection[str] = ()) -> Iterator[str]:
    spared = [_gives(main, operator) in kept for operator in main.operators]
    allowed = {int(index) for index in (*main.inputs, *main.outputs)}
    for operator, on_purpose in zip(main.operators, spared, strict=True):
        allowed |= set(_ends(operator)) if on_purpose else set()
    for operator, name, on_purpose in zip(main.operators, names, spared, strict=True):
        touched = [index for index in _ends(operator) if main.tensors[index].type in types]
        cast = name in ("QUANTIZE", "DEQUANTIZE") and allowed.issuperset(touched)
        if touched and not cast and not on_purpose:
            yield f"{name} ({_gives(main, operator)})"


def _ends(operator) -> list[int]:
    return [int(index) for index in (*operator.inputs, *operator.outputs) if index >= 0]


def _gives(main, operator) -> str:
    """Returns the name of an operator's output, as it was before `graph.set_io` added another tensor."""
    return _text(main.tensors[operator.outputs[0]]).removesuffix(graph.INSIDE)


def _macs(main, operator, name: str) -> int:
    if name not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return 0
    outputs = math.prod(main.tensors[operator.outputs[0]].shape)
    weights = main.tensors[operator.inputs[1]].shape
    # Weights are [out, h, w, in], depthwise [1, h, w, channels], fully connected [out, in].
    return outputs * math.prod(weights[1:3] if name == "DEPTHWISE_CONV_2D" else weights[1:])


def _facts(tensor) -> TensorFacts:
    quantization = tensor.quantization
    quantized = quantization is not None and quantization.scale is not None and len(quantization.scale) == 1
    quantized = quantized and math.isfinite(quantization.scale[0])
    # Some writers omit a zero point of 0.
    stated = quantized and quantization.zeroPoint is not None
    return TensorFacts(
        name=_text(tensor),
        shape=graph.shape(tensor),
        dtype=_TYPE_NAMES[tensor.type],
        scale=float(quantization.scale[0]) if quantized else None,
        zero_point=(int(quantization.zeroPoint[0]) if stated else 0) if quantized else None,
    )


def _text(tensor) -> str:
    return (tensor.name or b"").decode(errors="replace")


def _quantization(main, constants) -> str:
    types = {tensor.type for tensor in constants if tensor.shape is not None and len(tensor.shape) > 1}
    if schema.TensorType.INT4 in types:
        return "int4"
    if schema.TensorType.FLOAT16 in types:
        return "float16"
    if not types & {schema.TensorType.INT8, schema.TensorType.UINT8}:
        return "none"
    activations = [main.tensors[index].type for operator in main.operators for index in operator.outputs]
    if sum(kind in _FLOATS for kind in activations) >= len(activations) / 2:
        return "dynamic"
    return "int16x8" if activations.count(schema.TensorType.INT16) > len(activations) / 2 else "int8"
