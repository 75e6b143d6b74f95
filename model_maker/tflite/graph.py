"""Flatbuffer surgery: sign a model, attach a head, set the types of its edges.

Models are edited as the object tree that LiteRT's own tools read and write. Every function takes and returns the bytes
of a file. What a model contains is told by `inspection`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from model_maker.errors import ModelError

Array = np.ndarray

SIGNATURE = "serving_default"
INPUT, OUTPUT = "image", "probabilities"
IO_TYPES = ("uint8", "float32")
_TYPES = {"uint8": schema.TensorType.UINT8, "float32": schema.TensorType.FLOAT32}


def parse(content: bytes) -> schema.ModelT:
    """Reads the object tree of a `.tflite`; buffers stored behind the flatbuffer are brought inside.

    Raises:
      ModelError: the bytes are not a `.tflite`, or are damaged.
    """
    if content[4:8] != b"TFL3":
        raise ModelError("This is not a .tflite file (no TFL3 mark).")
    with explained():
        model = flatbuffer_utils.read_model_from_bytearray(content)
        for buffer in model.buffers:
            # Buffers from behind come as bytes, which the packer would write one by one: seconds instead of none.
            if isinstance(buffer.data, bytes):
                buffer.data = np.frombuffer(buffer.data, np.uint8)
        return model


@contextlib.contextmanager
def explained(part: str = "The .tflite file") -> Iterator[None]:
    """Says that a file is damaged where reading its object tree fails: missing tables, indices that lead nowhere."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # damaged flatbuffers surface as nearly any error
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise ModelError(f"{part} is damaged ({reason}). Download or export it again.") from error


def pack(model: schema.ModelT) -> bytes:
    """Writes an object tree as a `.tflite` with all buffers inside."""
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def attach_head(embedder: bytes, kernel: Array, bias: Array) -> bytes:
    """Appends a fully connected layer and a softmax to an embedder.

    Args:
      embedder: a float `.tflite` with the output [1, D].
      kernel: float [C, D].
      bias: float [C].

    Returns:
      A float classifier with the output `probabilities` [1, C] and a signature.

    Raises:
      ModelError: the embedding's size is not D.
    """
    model = parse(embedder)
    graph = model.subgraphs[0]
    [embedding] = graph.outputs
    size = int(graph.tensors[embedding].shape[-1])
    if kernel.shape[1] != size:
        raise ModelError(f"The head expects {kernel.shape[1]} features, the embedder gives {size}.")
    classes = len(bias)
    logits = _add_tensor(model, "logits", (1, classes))
    probabilities = _add_tensor(model, OUTPUT, (1, classes))
    weights = _add_tensor(model, "head/kernel", kernel.shape, data=kernel.astype(np.float32))
    biases = _add_tensor(model, "head/bias", bias.shape, data=bias.astype(np.float32))
    dense = schema.FullyConnectedOptionsT()
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    graph.operators += [
        _operator(model, "FULLY_CONNECTED", [embedding, weights, biases], [logits], dense),
        _operator(model, "SOFTMAX", [logits], [probabilities], softmax),
    ]
    graph.outputs = [probabilities]
    _sign(model)
    return pack(model)


def expose_activations(content: bytes) -> tuple[bytes, list[str]]:
    """Makes every float activation an output, so that one run shows them all, on the fast kernels too.

    Returns:
      The model, and the names of its outputs in order.
    """
    model = parse(content)
    graph = model.subgraphs[0]
    graph.outputs = [tensor for operator in graph.operators for tensor in operator.outputs]
    model.signatureDefs = []
    return pack(model), [graph.tensors[index].name.decode() for index in graph.outputs]


def set_io(content: bytes, io: str, *, mean: float, std: float) -> bytes:
    """Gives a classifier the edges that phone clients accept; QUANTIZE or DEQUANTIZE stands where types differ.

    A uint8 input takes raw pixels: its scale 1 / std and its zero point `mean` are the normalization itself. A uint8
    output has steps of 1 / 256.

    Args:
      content: a classifier with int8 or float32 edges; an int8 input must be quantized by the same normalization.
      io: one of IO_TYPES.
      mean, std: the backbone's normalization.

    Raises:
      ModelError: a uint8 input is asked for and the mean is not a whole number, which a zero point has to be.
    """
    if io == "uint8" and mean != round(mean):
        raise ModelError(
            f"A uint8 input cannot state the mean {mean:g}, which is not a whole number. Use --io float32."
        )
    model = parse(content)
    graph = model.subgraphs[0]
    graph.operators = [
        *_edge(model, graph.inputs, INPUT, io, _quantization(1 / std, round(mean)), entering=True),
        *graph.operators,
        *_edge(model, graph.outputs, OUTPUT, io, _quantization(1 / 256, 0), entering=False),
    ]
    _sign(model)
    return pack(model)


def _edge(model, ends: list[int], name: str, io: str, quantization, *, entering: bool) -> list[schema.OperatorT]:
    """Puts a tensor of type `io` at the edge and returns the operator that joins it to the inner one."""
    tensors = model.subgraphs[0].tensors
    inner = tensors[ends[0]]
    if inner.type == _TYPES[io]:
        return []
    inner_index = int(ends[0])
    inner.name = f"{name}_inside".encode()
    ends[0] = _add_tensor(model, name, inner.shape, io)
    if io == "uint8":
        tensors[ends[0]].quantization = quantization
    path = [ends[0], inner_index] if entering else [inner_index, ends[0]]
    if tensors[path[1]].type == schema.TensorType.FLOAT32:
        return [_operator(model, "DEQUANTIZE", path[:1], path[1:], schema.DequantizeOptionsT())]
    return [_operator(model, "QUANTIZE", path[:1], path[1:], schema.QuantizeOptionsT())]


def _quantization(scale: float, zero_point: int) -> schema.QuantizationParametersT:
    quantization = schema.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = [scale], [zero_point]
    return quantization


def _add_tensor(model: schema.ModelT, name: str, shape, io: str = "float32", data: Array | None = None) -> int:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name.encode(), [int(side) for side in shape], _TYPES[io]
    if data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data.tobytes(), np.uint8)
        model.buffers.append(buffer)
        tensor.buffer = len(model.buffers) - 1
    tensors = model.subgraphs[0].tensors
    tensors.append(tensor)
    return len(tensors) - 1


def _operator(model: schema.ModelT, name: str, inputs: list[int], outputs: list[int], options) -> schema.OperatorT:
    operator = schema.OperatorT()
    operator.opcodeIndex = _opcode(model, getattr(schema.BuiltinOperator, name))
    operator.inputs, operator.outputs = inputs, outputs
    operator.builtinOptions = options
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
    return operator


def _opcode(model: schema.ModelT, builtin: int) -> int:
    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == builtin:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _sign(model: schema.ModelT) -> None:
    """Names the model's input and output, as ai-edge-quantizer and the clients' tools look them up."""
    graph = model.subgraphs[0]

    def named(index: int, name: str) -> schema.TensorMapT:
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), int(index)
        return entry

    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE.encode(), 0
    signature.inputs = [named(graph.inputs[0], INPUT)]
    signature.outputs = [named(graph.outputs[0], OUTPUT)]
    model.signatureDefs = [signature]
