"""Writes OpenVINO's IR, which OpenVINO itself converts from a float `.tflite`."""

import json
import re
from pathlib import Path

from model_maker.errors import ModelError
from model_maker.inference.runtimes import OPENVINO_LABELS
from model_maker.packaging.export_source import ExportSource

FILE = "model.xml"


def write(source: ExportSource, folder: Path) -> Path:
    """Writes `model.xml` and `model.bin`, float32, with the labels inside.

    Raises:
      ModelError: OpenVINO cannot read the model.
    """
    import openvino

    from model_maker.inference.openvino_runtime import core

    float_file = folder / "pixels.tflite"
    float_file.write_bytes(source.pixels_model)
    try:
        model = core().read_model(float_file)
        shape = model.input().get_partial_shape()
        shape[0] = -1
        model.reshape(shape)
        if model.output().get_partial_shape()[0].is_static:  # a reshape inside fixes the batch size to 1
            model = core().read_model(float_file)
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot read the model: {str(error).strip().splitlines()[-1][:200]}") from error
    finally:
        float_file.unlink()
    model.output().get_tensor().set_names({"probabilities"})
    for number, node in enumerate(model.get_ordered_ops()):
        # OpenVINO numbers unnamed nodes consecutively in a process; renumber them so that equal models give equal
        # files.
        if re.fullmatch(r"[A-Za-z]+_\d+", node.get_friendly_name()):
            node.set_friendly_name(f"{node.get_type_name()}_{number}")
    model.set_rt_info(json.dumps(source.info.labels), OPENVINO_LABELS)
    model.set_rt_info("RGB pixels, 0 to 255; normalization is inside", ["model_info", "input"])
    openvino.save_model(model, folder / FILE, compress_to_fp16=False)
    return folder / FILE
