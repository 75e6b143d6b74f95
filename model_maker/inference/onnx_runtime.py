"""Runs `.onnx` files in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from model_maker.errors import ModelError
from model_maker.inference import onnx_files, runtimes
from model_maker.inference.opened import RAW, Opened
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray

_TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}


def open_path(path: Path) -> Opened:
    """Opens a file; photos run side by side, so each run takes one thread.

    Raises:
      ModelError: ONNX Runtime refuses it, or it takes other input than pixels.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors come as exceptions
    onnx_files.check(path)
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        # Texts that are no UTF-8 are found out here.
        runner, stated = _Runner(path, session), session.get_modelmeta().custom_metadata_map.get("labels")
    except ModelError:
        raise
    except Exception as error:  # its exceptions have no base of their own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: ONNX Runtime cannot open it ({reason[:200]}).") from error
    labels = runtimes.stated_labels(path, stated) if stated else runtimes.labels_beside(path)
    # A session may run in several threads at once.
    return Opened(ModelInfo(labels, RAW), lambda: runner)


class _Runner:
    def __init__(self, path: Path, session: onnxruntime.InferenceSession):
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _TYPES:
            raise ModelError(f"{path}: it takes {', '.join(entry.type for entry in inputs)}, not one image of pixels.")
        self._session, self._name = session, inputs[0].name
        self.input_dtype = np.dtype(_TYPES[inputs[0].type])
        self.input_shape = tuple(side if isinstance(side, int) else 1 for side in inputs[0].shape)

    def run(self, batch: Array) -> Array:
        try:
            return self._session.run(None, {self._name: batch})[0]
        except Exception as error:  # its exceptions have no base of their own
            raise runtimes.explain_run("ONNX Runtime", error) from error
