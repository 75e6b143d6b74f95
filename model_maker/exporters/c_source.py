"""A `.tflite` as C sources for TFLite Micro: the bytes, the labels, and the operators that its resolver needs.

The sources are C11 and C++11 alike.
"""

from __future__ import annotations

from model_maker.tflite import inspection
from model_maker.tflite.metadata import ModelInfo

_BYTES_A_LINE = 16
# Where a method of MicroMutableOpResolver is not just the operator's words joined (CONV_2D: AddConv2D).
_METHODS = {"PADV2": "PadV2"}


def header(content: bytes, info: ModelInfo) -> str:
    """Returns `model.h`.

    Args:
      content: the `.tflite`.
      info: its labels.
    """
    facts = inspection.inspect(content)
    [image], [scores] = facts.inputs, facts.outputs
    operators = sorted(facts.operators)
    adding = "\n".join(f"//   resolver.Add{_method(name)}();" for name in operators)
    return f"""// An image classifier for TFLite Micro.
//
// Input:  {_described(image)}: RGB{", each the pixel (0 to 255) less 128" * (image.dtype == "int8")}.
// Output: {_described(scores)}, probabilities.
//
// The operators it needs:
//   tflite::MicroMutableOpResolver<{len(operators)}> resolver;
{adding}

#ifndef MODEL_H_
#define MODEL_H_

#define MODEL_INPUT_HEIGHT {image.shape[1]}
#define MODEL_INPUT_WIDTH {image.shape[2]}
#define MODEL_LABEL_COUNT {len(info.labels)}
#define MODEL_OPERATOR_COUNT {len(operators)}

#ifdef __cplusplus
extern "C" {{
#endif

extern const unsigned char model_data[];
extern const unsigned int model_data_length;
extern const char* const model_labels[MODEL_LABEL_COUNT];

#ifdef __cplusplus
}}
#endif

#endif  // MODEL_H_
"""


def body(content: bytes, info: ModelInfo) -> str:
    """Returns `model.cc`; see `header`."""
    lines = "".join(
        "  " + " ".join(f"0x{byte:02x}," for byte in content[begin : begin + _BYTES_A_LINE]) + "\n"
        for begin in range(0, len(content), _BYTES_A_LINE)
    )
    labels = "".join(f'    "{escaped(label)}",\n' for label in info.labels)
    return f"""#include "model.h"

#ifdef __cplusplus
#define MODEL_ALIGNED alignas(16)
#else
#define MODEL_ALIGNED _Alignas(16)
#endif

MODEL_ALIGNED const unsigned char model_data[] = {{
{lines}}};
const unsigned int model_data_length = {len(content)};

const char* const model_labels[MODEL_LABEL_COUNT] = {{
{labels}}};
"""


def _method(operator: str) -> str:
    """CONV_2D: Conv2D; DEPTHWISE_CONV_2D: DepthwiseConv2D; FULLY_CONNECTED: FullyConnected."""
    return _METHODS.get(operator) or "".join(word.capitalize() for word in operator.split("_")).replace("2d", "2D")


def _described(tensor: inspection.TensorFacts) -> str:
    scaled = "" if tensor.scale is None else f", scale {tensor.scale:.9g}, zero point {tensor.zero_point}"
    return f"{tensor.dtype} {list(tensor.shape)}{scaled}"


def escaped(label: str) -> str:
    """ASCII as it is; all else, quotes and what C reads as an escape or trigraph, byte by byte in octal."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in label.encode()
    )
