"""Writes a `.tflite` as C sources for TFLite Micro: the bytes, the labels, and the operators for its resolver.

The sources are valid C11 and C++11.
"""

from model_maker.tflite import inspection
from model_maker.tflite.metadata import ModelInfo

_BYTES_A_LINE = 16
# Methods of MicroMutableOpResolver that are not the operator's name in camel case (CONV_2D: AddConv2D).
_METHODS = {"PADV2": "PadV2"}


def header(content: bytes, info: ModelInfo) -> str:
    """Returns `model.h`."""
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
    """Returns an operator's name in methods, for example DepthwiseConv2D for DEPTHWISE_CONV_2D."""
    return _METHODS.get(operator) or "".join(word.capitalize() for word in operator.split("_")).replace("2d", "2D")


def _described(tensor: inspection.TensorFacts) -> str:
    scaled = "" if tensor.scale is None else f", scale {tensor.scale:.9g}, zero point {tensor.zero_point}"
    return f"{tensor.dtype} {list(tensor.shape)}{scaled}"


def escaped(label: str) -> str:
    """Escapes non-ASCII characters, quotes, backslashes and question marks (trigraphs) byte by byte in octal."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in label.encode()
    )
