"""Aliases of formats, and unsupported formats with advice on how to get them."""

from collections.abc import Sequence

from model_maker.errors import DataError

# Names in other tools, and their meaning without `half` and `int8`.
ALIASES = {
    "tflite": "tflite-int8",
    "litert": "tflite-int8",
    "engine": "tensorrt",
    "pb": "graphdef",
    "mlpackage": "coreml",
    "savedmodel": "saved_model",
    "torch_script": "torchscript",
    "paddlepaddle": "paddle",
    "web_model": "tfjs",
}
# Formats with a single precision, and the flag that requests it anyway.
_ALWAYS = {"coreml": "half", "edgetpu": "int8", "c_header": "int8"}
_WITH_FLAG = {"half": "tflite-float16", "int8": "tflite-int8"}

_FROM_PYTORCH = "it is made from a network in PyTorch, and this one is a .tflite."
_ONNX = "Export `formats='onnx'`, then"
# Unsupported formats: the reason, and how to convert from a supported one.
ELSEWHERE = {
    "torchscript": f"{_FROM_PYTORCH} {_ONNX} run model.onnx in ONNX Runtime, or read it into PyTorch with onnx2torch.",
    "tensorrt": f"its engines fit one GPU and are built on its machine. {_ONNX} there: trtexec --onnx=model.onnx "
    "--saveEngine=model.engine.",
    "ncnn": f"its converter is a program of its own. {_ONNX}: pnnx model.onnx.",
    "paddle": f"its converter is a program of its own. {_ONNX}: x2paddle --framework=onnx --model=model.onnx "
    "--save_dir=paddle.",
    "graphdef": "TensorFlow 2 replaced frozen graphs by SavedModel, which every TensorFlow since 1.x reads. Export "
    "`formats='saved_model'`.",
    "executorch": f"{_FROM_PYTORCH} On phones LiteRT runs the .tflite as it is. {_ONNX} "
    "read model.onnx into PyTorch with onnx2torch and call torch.export.",
    "mnn": f"its converter is a program of its own. {_ONNX}: MNNConvert -f ONNX --modelFile model.onnx "
    "--MNNModel model.mnn --bizCode model.",
    "rknn": f"Rockchip's toolkit makes it for one chip. {_ONNX} give model.onnx to load_onnx of RKNN-Toolkit2.",
    "qnn": f"Qualcomm's SDK makes it for one chip. {_ONNX}: qnn-onnx-converter --input_network model.onnx, or use ONNX "
    "Runtime's QNN provider.",
    "imx": f"Sony's converter makes it for the IMX500. {_ONNX} give model.onnx to its toolkit.",
}


def resolve(name: str, known: Sequence[str], *, half: bool = False, int8: bool = False) -> str:
    """Resolves a name from the user to a known format, with 16-bit weights (`half`) or integers (`int8`).

    Raises:
      DataError: it is unknown, unsupported, or not available in that precision.
    """
    given = name.strip().lower()
    found = ALIASES.get(given, given)
    if reason := ELSEWHERE.get(found):
        raise DataError(f"`formats={name!r}` is not written here: {reason}")
    asked = "half" if half else "int8" if int8 else None
    if given in ("tflite", "litert") and asked:
        found = _WITH_FLAG[asked]
    if found not in known:
        raise DataError(f"`formats={name!r}`: choose from {', '.join(known)}, or all.")
    if asked and found != _WITH_FLAG[asked] and _ALWAYS.get(found) != asked:
        raise DataError(
            f"`{asked}=True` has no effect on `formats={name!r}`. It selects {_WITH_FLAG[asked]}; leave it "
            "out for other formats."
        )
    return found
