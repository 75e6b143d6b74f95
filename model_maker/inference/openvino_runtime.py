"""Runs OpenVINO's IR, an `.xml` with its `.bin`, on the CPU."""

from pathlib import Path

import numpy as np
import openvino

from model_maker.errors import ModelError
from model_maker.inference import runtimes
from model_maker.inference.opened import RAW, Opened
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray

# Otherwise some processors compute in bfloat16, which changes the third digit of scores.
_CONFIGURATION = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}


def core() -> openvino.Core:
    """Returns a Core that keeps no model files open, since Windows cannot remove open files."""
    found = openvino.Core()
    found.set_property({"ENABLE_MMAP": False})
    return found


def open_path(path: Path) -> Opened:
    """Opens a model.

    Raises:
      ModelError: OpenVINO cannot open it, or it has several inputs.
    """
    reader = core()
    try:
        model = reader.read_model(path)
        compiled = reader.compile_model(model, "CPU", _CONFIGURATION)
    except Exception as error:  # mostly RuntimeError; others for strings that are not UTF-8
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise ModelError(f"{path}: OpenVINO cannot open it ({reason[:200]}).") from error
    if len(compiled.inputs) != 1:
        raise ModelError(f"{path}: it has {len(compiled.inputs)} inputs; an image model has one.")
    stated = (
        model.get_rt_info(runtimes.OPENVINO_LABELS).astype(str) if model.has_rt_info(runtimes.OPENVINO_LABELS) else None
    )
    labels = runtimes.stated_labels(path, stated) if stated else runtimes.labels_beside(path)
    return Opened(ModelInfo(labels, RAW), lambda: _OpenVinoRunner(compiled))


class _OpenVinoRunner:
    def __init__(self, compiled: openvino.CompiledModel):
        self._request = compiled.create_infer_request()
        entering = compiled.input(0)
        self.input_dtype = np.dtype(entering.get_element_type().to_dtype())
        self.input_shape = tuple(side.get_length() if side.is_static else 1 for side in entering.get_partial_shape())

    def run(self, batch: Array) -> Array:
        try:
            return np.array(next(iter(self._request.infer([batch]).values())))
        except RuntimeError as error:
            raise runtimes.explain_run("OpenVINO", error) from error
