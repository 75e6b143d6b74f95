"""Changes the input and output types of a model: raw pixels for a float model, int8 for an int8 one."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.normalization import Normalization
from model_maker.tflite import graph


def accept_pixels(content: bytes, normalization: Normalization) -> bytes:
    """Makes (pixel - mean) / std the first operators of a float `.tflite`, whose input [1, H, W, 3] is normalized so.

    Returns:
      The same model for pixels from 0 to 255, float32, without metadata.
    """
    model = graph.parse(content)
    main = model.subgraphs[0]
    normalized = int(main.inputs[0])
    shape = main.tensors[normalized].shape
    main.tensors[normalized].name = b"normalized"
    pixels, centred = graph.add_tensor(model, graph.INPUT, shape), graph.add_tensor(model, "centred", shape)
    mean = graph.add_tensor(model, "mean", (1,), data=np.array([normalization.mean], np.float32))
    scale = graph.add_tensor(model, "scale", (1,), data=np.array([1 / normalization.std], np.float32))
    main.operators = [
        graph.make_operator(model, "SUB", [pixels, mean], [centred], schema.SubOptionsT()),
        graph.make_operator(model, "MUL", [centred, scale], [normalized], schema.MulOptionsT()),
        *main.operators,
    ]
    main.inputs = [pixels]
    main.tensors[main.outputs[0]].name = graph.OUTPUT.encode()
    model.metadata, model.metadataBuffer = [], None
    graph.sign(model)
    return graph.pack(model)


def bare_int8(content: bytes) -> bytes:
    """Removes the QUANTIZE after the uint8 input of an int8 `.tflite`; the input is then int8, the pixel minus 128."""
    model = graph.parse(content)
    main = model.subgraphs[0]
    first, last = main.operators[0], main.operators[-1]
    main.operators = main.operators[1:-1]
    main.inputs, main.outputs = [int(first.outputs[0])], [int(last.inputs[0])]
    graph.sign(model)
    return graph.pack(model)


def within(content: bytes, normalization: Normalization) -> bytes:
    """Reverses `graph.set_io` on an int8 `.tflite` with uint8 or float32 input and output."""
    model = graph.parse(content)
    entering = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
    inner = bare_int8(content)
    pixel = stated_normalization(content)
    if entering.type != schema.TensorType.UINT8 or pixel is None or pixel.mean == normalization.mean:
        return inner
    model = graph.parse(inner)
    graph.shift_input(model, normalization.mean - pixel.mean, 1 / normalization.std)
    return graph.pack(model)


def stated_normalization(content: bytes) -> Normalization | None:
    """Returns the normalization implied by a quantized input's zero point and scale; None for a float input."""
    model = graph.parse(content)
    main = model.subgraphs[0]
    image = main.tensors[main.inputs[0]]
    least = {schema.TensorType.UINT8: 0, schema.TensorType.INT8: -128}.get(image.type)
    if least is None or image.quantization is None or image.quantization.scale is None:
        return None
    zero_point = 0 if image.quantization.zeroPoint is None else int(image.quantization.zeroPoint[0])
    return Normalization(float(zero_point - least), 1 / float(image.quantization.scale[0]))
