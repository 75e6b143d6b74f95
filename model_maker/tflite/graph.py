"""Flatbuffer surgery: sign a model, attach a head, set its input and output types.

Models are edited as the object tree that LiteRT's own tools read and write. Every function takes and returns the bytes
of a file. `inspection` describes the content of a model.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from model_maker.errors import ModelError

Array = np.ndarray

SIGNATURE = "serving_default"
INPUT, OUTPUT = "image", "probabilities"
INSIDE = "_inside"  # suffix of an inner tensor after another one becomes input or output
IO_TYPES = ("uint8", "float32")
_TYPES = {name: getattr(schema.TensorType, name.upper()) for name in (*IO_TYPES, "int8", "int32")}
DTYPES: dict[int, np.dtype] = {
    schema.TensorType.FLOAT32: np.dtype("<f4"),
    schema.TensorType.FLOAT16: np.dtype("<f2"),
    schema.TensorType.INT8: np.dtype("i1"),
    schema.TensorType.UINT8: np.dtype("u1"),
    schema.TensorType.INT16: np.dtype("<i2"),
    schema.TensorType.INT32: np.dtype("<i4"),
    schema.TensorType.INT64: np.dtype("<i8"),
}
NO_MARK = "This is not a .tflite file (no TFL3 mark)."
# The largest operator code that the older, 8-bit field can hold.
_NARROW = 127
TYPE_NAMES = {value: name for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
_OPERATOR_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


def parse(content: bytes) -> schema.ModelT:
    """Reads the object tree of a `.tflite`; buffers stored after the flatbuffer are moved inside.

    Raises:
      ModelError: the bytes are not a `.tflite`, or are damaged.
    """
    if content[4:8] != b"TFL3":
        raise ModelError(NO_MARK)
    with explained():
        model = flatbuffer_utils.read_model_from_bytearray(content)
        for buffer in model.buffers:
            # Buffers from outside the flatbuffer come as bytes, which the packer would write one at a time: seconds.
            if isinstance(buffer.data, bytes):
                buffer.data = np.frombuffer(buffer.data, np.uint8)
        for code in model.operatorCodes:
            # Files from before TensorFlow 2.4 set only the 8-bit field; tools that read the newer one would see ADD.
            code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
            code.deprecatedBuiltinCode = min(code.builtinCode, _NARROW)
        return model


@contextlib.contextmanager
def explained(part: str = "The .tflite file") -> Iterator[None]:
    """Raises ModelError if reading the object tree fails: missing tables, indices out of range."""
    try:
        yield
    except (ModelError, MemoryError):
        raise
    except Exception as error:  # damaged flatbuffers can raise nearly any exception
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise ModelError(f"{part} is damaged ({reason}). Download or export it again.") from error


def pack(model: schema.ModelT) -> bytes:
    """Writes an object tree as a `.tflite` with all buffers inside."""
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def new_model() -> schema.ModelT:
    """Returns an object tree with one empty graph."""
    model, main = schema.ModelT(), schema.SubGraphT()
    model.version, model.operatorCodes, model.buffers = 3, [], [schema.BufferT()]
    main.tensors, main.operators, main.inputs, main.outputs, main.name = [], [], [], [], b"main"
    model.subgraphs = [main]
    return model


def attach_head(embedder: bytes, kernel: Array, bias: Array, *, multi_label: bool = False) -> bytes:
    """Appends a fully connected layer and a softmax (a sigmoid for multi-label heads) to an embedder.

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
    logits = add_tensor(model, "logits", (1, classes))
    probabilities = add_tensor(model, OUTPUT, (1, classes))
    weights = add_tensor(model, "head/kernel", kernel.shape, data=kernel.astype(np.float32))
    biases = add_tensor(model, "head/bias", bias.shape, data=bias.astype(np.float32))
    dense = schema.FullyConnectedOptionsT()
    graph.operators += [
        make_operator(model, "FULLY_CONNECTED", [embedding, weights, biases], [logits], dense),
        make_scores(model, logits, probabilities, multi_label=multi_label),
    ]
    graph.outputs = [probabilities]
    sign(model)
    return pack(model)


def make_scores(model: schema.ModelT, logits: int, scores: int, *, multi_label: bool) -> schema.OperatorT:
    """Returns the operator that turns logits into scores: a softmax, or a sigmoid if `multi_label`."""
    if multi_label:
        return make_operator(model, "LOGISTIC", [logits], [scores], None)
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    return make_operator(model, "SOFTMAX", [logits], [scores], softmax)


def expose_activations(content: bytes) -> tuple[bytes, list[str]]:
    """Makes every float activation an output, so that one run returns them all, with the fast kernels too.

    Returns:
      The model, and the names of its outputs in order.
    """
    model = parse(content)
    graph = model.subgraphs[0]
    graph.outputs = [tensor for operator in graph.operators for tensor in operator.outputs]
    model.signatureDefs = []
    return pack(model), [graph.tensors[index].name.decode() for index in graph.outputs]


def set_io(content: bytes, io: str, *, mean: float, std: float, output_io: str | None = None) -> bytes:
    """Sets the input and output types of a model; adds QUANTIZE or DEQUANTIZE if types differ.

    A uint8 input takes raw pixels: its scale 1 / std and zero point `mean` are the normalization. A zero point is an
    integer, so the fraction of a mean like 127.5 is folded into the first convolution's bias (integers) or added after
    the input (float). A uint8 output has steps of 1 / 256, which suits probabilities. Conversions between uint8 and
    int16 go through int8: no runtime converts int16 to uint8 directly, and older ones not uint8 to int16.

    Args:
      content: a model with int8, int16 or float32 input and output; integer input must be quantized with the same
        normalization.
      io: one of IO_TYPES.
      mean, std: the backbone's normalization.
      output_io: one of IO_TYPES; `io` by default.

    Raises:
      ModelError: a uint8 input cannot represent this mean.
    """
    model = parse(content)
    change_io(model, io, mean=mean, std=std, output_io=output_io)
    return pack(model)


def change_io(model: schema.ModelT, io: str, *, mean: float, std: float, output_io: str | None = None) -> None:
    """Sets the input and output types of an object tree, in place; see `set_io`."""
    graph = model.subgraphs[0]
    output = model.signatureDefs[0].outputs[0].name.decode() if model.signatureDefs else OUTPUT
    zero_point = _zero_point(graph.tensors[graph.inputs[0]], mean)
    if io == "uint8" and not 0 <= zero_point <= 255:
        raise ModelError(f"A uint8 input cannot represent the mean {mean:g} (not within 0 to 255). Use `io='float32'`.")
    if io == "uint8" and zero_point != mean:
        shift_input(model, zero_point - mean, 1 / std)
    graph.operators = [
        *edge_operators(model, graph.inputs, INPUT, io, quantization(1 / std, zero_point), entering=True),
        *graph.operators,
        *edge_operators(model, graph.outputs, output, output_io or io, quantization(1 / 256, 0), entering=False),
    ]
    sign(model, output)


def _zero_point(inner: schema.TensorT, mean: float) -> int:
    """Returns the pixel value of zero: the quantized input's zero point, or the integer nearest to the mean."""
    if inner.type == schema.TensorType.INT8:
        return int(inner.quantization.zeroPoint[0]) + 128
    return round(mean)


def shift_input(model: schema.ModelT, pixels: float, scale: float) -> None:
    """Adds `pixels` times `scale` to a model's input, to make up for a rounded zero point."""
    graph = model.subgraphs[0]
    entering = int(graph.inputs[0])
    if graph.tensors[entering].type == schema.TensorType.FLOAT32:
        graph.tensors[entering].name = b"image_shifted"
        shift = add_tensor(model, "shift", (1,), data=np.array([pixels * scale], np.float32))
        graph.inputs = [add_tensor(model, INPUT, graph.tensors[entering].shape)]
        options = schema.AddOptionsT()
        graph.operators.insert(0, make_operator(model, "ADD", [graph.inputs[0], shift], [entering], options))
        return
    [first, *others] = users(model, entering)
    while not others and (name := operator_name(model, first)) in ("QUANTIZE", "DEQUANTIZE"):
        entering = int(first.outputs[0])
        [first, *others] = users(model, entering)
    if others or name not in ("CONV_2D", "DEPTHWISE_CONV_2D") or len(first.inputs) != 3:
        raise ModelError("This first layer does not allow an exact uint8 input with this mean. Use `io='float32'`.")
    # A convolution is linear: the shift adds the sum of a channel's weights, in steps of its bias.
    weights, bias = (graph.tensors[index] for index in first.inputs[1:])
    sums = constant(model, weights).astype(np.float64).sum((1, 2, 3) if name == "CONV_2D" else (0, 1, 2))
    values = constant(model, bias)
    if values.dtype.kind == "f":
        added = sums * pixels * scale
    else:  # round both to float32 as the file does, so that int8 gives exactly 1
        step = np.float32(scale) / np.float32(graph.tensors[entering].quantization.scale[0])
        added = np.rint(sums * pixels * step)
    set_constant(model, bias, (values + added).astype(values.dtype))


def users(model: schema.ModelT, tensor: int) -> list[schema.OperatorT]:
    return [operator for operator in model.subgraphs[0].operators if tensor in operator.inputs]


def constant(model: schema.ModelT, tensor: schema.TensorT) -> Array:
    """Returns the values of a constant tensor, in its shape.

    Raises:
      ModelError: it has no data, or data of an unsupported type.
    """
    data = model.buffers[tensor.buffer].data
    sides = shape(tensor)
    if data is not None and tensor.type == schema.TensorType.INT4:
        return _unpack_int4(np.frombuffer(bytes(data), np.int8), math.prod(sides)).reshape(sides)
    if data is None or tensor.type not in DTYPES:
        raise ModelError(f"The tensor {(tensor.name or b'').decode(errors='replace')} has no plain numbers.")
    return np.frombuffer(bytes(data), DTYPES[tensor.type]).reshape(sides)


def shape(tensor: schema.TensorT) -> tuple[int, ...]:
    """Returns the shape of a tensor; some writers omit that of a scalar."""
    return () if tensor.shape is None else tuple(int(side) for side in tensor.shape)


def is_constant(model: schema.ModelT, tensor: schema.TensorT) -> bool:
    """Returns whether a tensor has data."""
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def set_constant(model: schema.ModelT, tensor: schema.TensorT, values: Array) -> None:
    """Replaces the values of a constant tensor, in its type (int4: as int8); shared buffers are copied."""
    if tensor.type == schema.TensorType.INT4:
        values = pack_int4(values)
    users = sum(other.buffer == tensor.buffer for other in model.subgraphs[0].tensors)
    if users > 1:
        tensor.buffer = add_buffer(model, values)
    else:
        model.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)


def find_tensor(model: schema.ModelT, name: str) -> int:
    """Returns the index of a tensor.

    Raises:
      ModelError: no tensor has this name.
    """
    for index, tensor in enumerate(model.subgraphs[0].tensors):
        if tensor.name == name.encode():
            return index
    raise ModelError(f"It has no activation named {name}.")


def pack_int4(values: Array) -> Array:
    """Packs two numbers per byte, the first in the lower half."""
    flat = values.astype(np.uint8).ravel() & 15
    flat = np.append(flat, np.zeros(len(flat) % 2, np.uint8))
    return flat[::2] | flat[1::2] << 4


def _unpack_int4(packed: Array, count: int) -> Array:
    """Reverses `pack_int4`; right shifts of int8 keep the sign."""
    return np.stack([packed << 4 >> 4, packed >> 4], axis=1).ravel()[:count]


def operator_name(model: schema.ModelT, operator: schema.OperatorT) -> str:
    """Returns an operator's name in the schema, for example "CONV_2D"; "CUSTOM" for custom operators."""
    return builtin_name(model.operatorCodes[operator.opcodeIndex].builtinCode)


def builtin_name(code: int) -> str:
    """Returns the name of an operator code; "CUSTOM" for others than built-in ones."""
    return _OPERATOR_NAMES.get(code, "CUSTOM")


def edge_operators(model, ends: list[int], name: str, io: str, stated, *, entering: bool) -> list[schema.OperatorT]:
    """Adds an input or output tensor of type `io` and returns the operators that connect it."""
    tensors = model.subgraphs[0].tensors
    inner = tensors[ends[0]]
    if inner.type == _TYPES[io]:
        return []
    path = [int(ends[0])]
    inner.name = f"{name}{INSIDE}".encode()
    if io == "uint8" and inner.type == schema.TensorType.INT16:
        path.insert(0, add_tensor(model, f"{name}_int8", inner.shape, "int8"))
        scale, zero_point = stated.scale[0], stated.zeroPoint[0] - 128
        tensors[path[0]].quantization = quantization(scale, zero_point)
    ends[0] = add_tensor(model, name, inner.shape, io)
    path.insert(0, int(ends[0]))
    if io == "uint8":
        tensors[ends[0]].quantization = stated
    steps = list(pairwise(path if entering else path[::-1]))
    return [_cast(model, begin, end) for begin, end in steps]


def _cast(model: schema.ModelT, begin: int, end: int) -> schema.OperatorT:
    if model.subgraphs[0].tensors[end].type == schema.TensorType.FLOAT32:
        return make_operator(model, "DEQUANTIZE", [begin], [end], schema.DequantizeOptionsT())
    return make_operator(model, "QUANTIZE", [begin], [end], schema.QuantizeOptionsT())


def quantization(scale: float | Array, zero_point: int | Array) -> schema.QuantizationParametersT:
    """Returns quantization parameters: one scale, or one for each row of a kernel."""
    parameters = schema.QuantizationParametersT()
    parameters.scale = np.atleast_1d(scale).astype(np.float32).tolist()
    parameters.zeroPoint = np.atleast_1d(zero_point).astype(int).tolist()
    return parameters


def add_tensor(model: schema.ModelT, name: str, shape, kind: str = "float32", data: Array | None = None) -> int:
    """Adds a tensor, a constant if data is given, and returns its index."""
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name.encode(), [int(side) for side in shape], _TYPES[kind]
    if data is not None:
        tensor.buffer = add_buffer(model, data)
    tensors = model.subgraphs[0].tensors
    tensors.append(tensor)
    return len(tensors) - 1


def add_buffer(model: schema.ModelT, data: Array) -> int:
    """Adds a buffer and returns its index."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data.tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def make_operator(model: schema.ModelT, name: str, inputs: list[int], outputs: list[int], options) -> schema.OperatorT:
    """Makes a built-in operator; `options` is None if it has none. The caller inserts it into the graph."""
    operator = schema.OperatorT()
    operator.opcodeIndex = _opcode(model, getattr(schema.BuiltinOperator, name))
    operator.inputs, operator.outputs = inputs, outputs
    operator.builtinOptions = options
    if options is not None:
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
    return operator


def _opcode(model: schema.ModelT, builtin: int) -> int:
    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == builtin:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, _NARROW), 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def sign(model: schema.ModelT, output: str | Sequence[str] = OUTPUT) -> None:
    """Adds a signature with the names of input and outputs, which litert-quantizer and client tools look up."""
    graph = model.subgraphs[0]

    def named(index: int, name: str) -> schema.TensorMapT:
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), int(index)
        return entry

    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE.encode(), 0
    signature.inputs = [named(graph.inputs[0], INPUT)]
    names = [output] if isinstance(output, str) else output
    signature.outputs = [named(index, name) for index, name in zip(graph.outputs, names, strict=False)]
    model.signatureDefs = [signature]
