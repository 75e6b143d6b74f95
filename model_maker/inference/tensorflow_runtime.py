"""Runs TensorFlow's formats: SavedModel folders, `.keras` files, TensorFlow.js graphs.

Importing TensorFlow takes 6 s, so it is imported only when a model is opened.
"""

import contextlib
import importlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from model_maker.errors import ModelError, ModelMakerError, first_line
from model_maker.inference import runtimes
from model_maker.inference.opened import RAW, Opened
from model_maker.system import suppressed_output
from model_maker.tensorflow_files import allowed_operators, keras_files, saved_models
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray


def open_path(path: Path) -> Opened:
    """Opens a model of any of the three formats.

    Raises:
      ModelError: it is damaged, would do more than compute, or does not take one image.
    """
    with _explained(path):
        prepare()
        if path.suffix == ".keras":
            function, entering = _keras(path)
        elif (path / "saved_model.pb").is_file():
            function, entering = _saved_model(path)
        else:
            function, entering = _web(path)
    # One for all threads, see LockedRunner.
    runner = LockedRunner(function, tuple(entering.shape), entering.dtype.as_numpy_dtype)
    return Opened(ModelInfo(runtimes.labels_beside(path), RAW), lambda: runner)


def prepare() -> None:
    """Imports TensorFlow silently; its C++ code logs to file descriptor 2, partly before any option takes effect."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with suppressed_output.diverted(lambda line: True):
        importlib.import_module("tensorflow")


class LockedRunner:
    """Runs one call at a time: TensorFlow's oneDNN kernels overwrite each other's memory if two threads call a function
    at once (seen in 2.19), and one call keeps all cores busy anyway.
    """

    def __init__(self, function: Callable, shape: tuple[int | None, ...], dtype):
        self._function, self._lock = function, threading.Lock()
        self.input_shape = tuple(side or 1 for side in shape)
        self.input_dtype = np.dtype(dtype)

    def run(self, batch: Array) -> Array:
        try:
            with self._lock:
                return np.asarray(self._function(batch))
        except Exception as error:  # TensorFlow raises nearly anything
            raise runtimes.explain_run("TensorFlow", error) from error


def _keras(path: Path):
    import keras
    import tensorflow as tf

    keras_files.check(path)
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    [entering] = model.inputs
    specification = tf.TensorSpec(entering.shape, entering.dtype)
    return tf.function(lambda image: model(image, training=False), input_signature=[specification]), specification


def _saved_model(path: Path):
    import tensorflow as tf

    loaded = saved_models.load(str(path), str(path))
    signature = loaded.signatures["serving_default"]
    [(name, specification)] = signature.structured_input_signature[1].items()

    def call(batch: Array):
        # Through `loaded`, because a signature alone does not keep its variables alive.
        [scores] = loaded.signatures["serving_default"](**{name: tf.constant(batch)}).values()
        return scores

    return call, specification


def _web(path: Path):
    """Restores the weights of the graph, which is a TensorFlow graph in JSON."""
    import tensorflow as tf
    from google.protobuf import json_format

    file = path / "model.json" if path.is_dir() else path
    content = json.loads(file.read_text(encoding="utf-8"))
    graph = json_format.ParseDict(content["modelTopology"], tf.compat.v1.GraphDef())
    allowed_operators.check_graph(graph, str(path))
    weights = dict(_weights(file.parent, content["weightsManifest"]))
    for node in graph.node:
        if node.op == "Const":
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(weights[node.name]))
    ends = [content["signature"][kind].values() for kind in ("inputs", "outputs")]
    [entering], [leaving] = ([entry["name"] for entry in end] for end in ends)

    def imported():
        tf.graph_util.import_graph_def(graph, name="")

    wrapped = tf.compat.v1.wrap_function(imported, [])
    pruned = wrapped.prune(wrapped.graph.get_tensor_by_name(entering), wrapped.graph.get_tensor_by_name(leaving))
    return lambda batch: pruned(tf.constant(batch)), wrapped.graph.get_tensor_by_name(entering)


def _weights(folder: Path, manifest: list[dict[str, Any]]) -> Iterator[tuple[str, Array]]:
    for group in manifest:
        for name in group["paths"]:
            if Path(name).name != name or not (folder / name).is_file():
                raise ModelError(f"{folder}: its weights are in {name}, which is not a file in that folder.")
        data = b"".join((folder / name).read_bytes() for name in group["paths"])
        offset = 0
        for entry in group["weights"]:
            dtype, shape = np.dtype(entry["dtype"]).newbyteorder("<"), entry["shape"]
            count = int(np.prod(shape, dtype=int))
            yield entry["name"], np.frombuffer(data, dtype, count, offset).reshape(shape)
            offset += count * dtype.itemsize


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except ModelMakerError as error:
        raise ModelError(str(error)) from error
    except Exception as error:  # TensorFlow raises nearly anything for a damaged or unusual model
        raise ModelError(f"{path}: TensorFlow cannot open it ({type(error).__name__}: {first_line(error)}).") from error
