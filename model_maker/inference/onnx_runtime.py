"""Runs `.onnx` files in ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnxruntime

from model_maker.errors import ModelError, first_line
from model_maker.inference import onnx_files, runtimes
from model_maker.inference.opened import RAW, Opened
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray

_TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}


def open_path(path: Path) -> Opened:
    """Opens a file; uses one thread per run, because photos run in parallel.

    Raises:
      ModelError: ONNX Runtime cannot open it, or its input is not pixels.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised as exceptions
    onnx_files.check(path)
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        # Raises for strings that are not UTF-8.
        runner, stated = _OnnxRunner(path, session), session.get_modelmeta().custom_metadata_map.get("labels")
    except ModelError:
        raise
    except Exception as error:  # its exceptions have no common base class
        raise ModelError(f"{path}: ONNX Runtime cannot open it ({first_line(error)}).") from error
    labels = runtimes.stated_labels(path, stated) if stated else runtimes.labels_beside(path)
    # Sessions are thread-safe.
    return Opened(ModelInfo(labels, RAW), lambda: runner)


class _OnnxRunner:
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
        except Exception as error:  # its exceptions have no common base class
            raise runtimes.explain_run("ONNX Runtime", error) from error
