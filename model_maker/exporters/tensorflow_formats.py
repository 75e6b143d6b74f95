"""Formats written through TensorFlow, each in a child process: SavedModel, Keras, TensorFlow.js, ONNX, Core ML.

All are converted from a float `.tflite` that takes raw pixels, rebuilt as a Keras model; ONNX directly from the file.
"""

import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_maker.errors import ModelError
from model_maker.exporters import tfjs
from model_maker.inference import isolated_runtime
from model_maker.packaging.export_source import ExportSource, scores
from model_maker.system import files, limited_process

Array = np.ndarray

LIMIT_S = 1800.0
OPSET = 13  # from 2020, supported by every current runtime; these models need nothing newer


def write(source: ExportSource, folder: Path, *, kind: str, opset: int = OPSET) -> tuple[Path, Array | None]:
    """Writes a format of WRITERS in a child process, which also opens it again.

    Returns:
      The model, and its scores on the probes, float32 [N, C]; None if they are computed elsewhere or not available.

    Raises:
      BackboneError: it cannot be written; the message includes TensorFlow's.
    """
    with files.temporary_directory() as aside:
        (aside / "pixels.tflite").write_bytes(source.pixels_model)
        np.save(aside / "probes.npy", source.probes)
        facts: dict[str, Any] = {
            "labels": source.info.labels,
            "author": source.info.author,
            "licence": source.info.licence,
        }
        facts["opset"] = opset
        facts["description"] = source.info.description or source.info.name
        (aside / "facts.json").write_text(json.dumps(facts), encoding="utf-8", newline="\n")
        found = limited_process.run(
            __name__, kind, str(aside), str(folder), what=f"{source.name} as {kind}", limit_s=LIMIT_S
        )
    return folder / WRITERS[kind].file, np.load(io.BytesIO(found)) if found else None


def _answer(kind: str, aside: str, folder: str) -> bytes:
    """Runs in the child: writes the format, opens it again, and returns its scores as `.npy`, or empty bytes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    facts = json.loads((Path(aside) / "facts.json").read_text(encoding="utf-8"))
    writer = WRITERS[kind]
    writer.write(Path(aside) / "pixels.tflite", Path(folder), facts)
    if writer.score is None:
        return b""
    with isolated_runtime.in_this_process():  # this process has just written it
        found = writer.score(Path(folder) / writer.file, np.load(Path(aside) / "probes.npy"))
    if found is None:
        return b""
    file = io.BytesIO()
    np.save(file, found)
    return file.getvalue()


def _keras_model(float_file: Path):
    from model_maker.tflite import keras_model

    return keras_model.to_keras(float_file.read_bytes())


def _function(float_file: Path):
    """Returns the model as a TensorFlow function of a batch of images, and the Keras model that it runs."""
    import tensorflow as tf

    model = _keras_model(float_file)
    specification = tf.TensorSpec(model.inputs[0].shape, tf.float32, name="image")

    @tf.function(input_signature=[specification])
    def probabilities(image):
        return {"probabilities": model(image, training=False)}

    return probabilities, model


def _keras(float_file: Path, folder: Path, facts: dict) -> None:
    _keras_model(float_file).save(folder / "model.keras")


def _saved_model(float_file: Path, folder: Path, facts: dict) -> None:
    import tensorflow as tf

    holder = tf.Module()
    holder.function, holder.model = _function(float_file)
    tf.saved_model.save(holder, str(folder), signatures={"serving_default": holder.function})


def _tfjs(float_file: Path, folder: Path, facts: dict) -> None:
    from tensorflow.python.framework import convert_to_constants

    function, _ = _function(float_file)
    frozen = convert_to_constants.convert_variables_to_constants_v2(function.get_concrete_function())
    tfjs.write(frozen, facts["labels"], folder)


def _onnx(float_file: Path, folder: Path, facts: dict) -> None:
    import onnx
    import tf2onnx

    model, _ = tf2onnx.convert.from_tflite(str(float_file), opset=facts["opset"])
    if not any(node.op_type == "Reshape" for node in model.graph.node):  # a reshape would fix the batch size to 1
        for edge in (*model.graph.input, *model.graph.output):
            edge.type.tensor_type.shape.dim[0].dim_param = "N"
    del model.graph.value_info[:]
    _rename(model.graph)
    model.graph.name, model.graph.doc_string = "classifier", facts["description"]
    model.doc_string = facts["description"]
    stated = {"labels": json.dumps(facts["labels"]), "input": "RGB pixels, 0 to 255; normalization is inside"}
    onnx.helper.set_model_props(model, stated | {key: facts[key] for key in ("author", "licence") if facts[key]})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "model.onnx")


def _rename(graph) -> None:
    """Numbers the names inside a graph in the order of their use; tf2onnx's own differ from run to run."""
    edges = [edge.name for edge in (*graph.input, *graph.output)]
    names = dict(zip(edges, edges, strict=True))
    for node in graph.node:
        for name in (*node.input, *node.output):
            names.setdefault(name, f"t{len(names)}" if name else "")  # an optional input may have no name
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
        node.name = f"{node.op_type}_{node.output[0]}"
    constants = {names[entry.name]: entry for entry in graph.initializer if entry.name in names}
    for name, entry in constants.items():
        entry.name = name
    ordered = [constants[name] for name in names.values() if name in constants]
    copies = [type(entry).FromString(entry.SerializeToString()) for entry in ordered]
    del graph.initializer[:]
    graph.initializer.extend(copies)


def _core_ml(float_file: Path, folder: Path, facts: dict) -> None:
    """Writes an ML Program that takes an image; it computes in float16, Core ML's default."""
    import coremltools as ct

    height, width = _keras_model(float_file).inputs[0].shape[1:3]
    with files.temporary_directory() as saved:
        _saved_model(float_file, saved, facts)
        model = ct.convert(
            str(saved),
            source="tensorflow",
            inputs=[ct.ImageType(name="image", shape=(1, height, width, 3), color_layout=ct.colorlayout.RGB)],
            classifier_config=ct.ClassifierConfig(list(facts["labels"])),
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS15,
        )
    model.short_description, model.author, model.license = facts["description"], facts["author"], facts["licence"]
    model.user_defined_metadata["labels"] = json.dumps(facts["labels"])
    model.save(str(folder / "model.mlpackage"))


def _open_core_ml(path: Path, pixels: Array) -> None:
    """Opens the file again and checks its input and output. Core ML itself runs on Apple's systems only."""
    import coremltools as ct

    description = ct.models.MLModel(str(path), skip_model_load=True).get_spec().description
    size = description.input[0].type.imageType
    if (size.height, size.width) != pixels.shape[1:3]:
        raise ModelError(f"{path} takes pictures of {size.height} x {size.width} pixels, not {pixels.shape[1]}.")


@dataclass(frozen=True)
class Writer:
    """How the child writes a format.

    Attributes:
      write: called with the float model for raw pixels, the folder, and the metadata.
      file: the model in the folder; empty for the folder itself.
      score: opens the model and runs it on pixels, or returns None if nothing here can run it; None if running needs no
        TensorFlow, so no child.
    """

    write: Callable[[Path, Path, dict], None]
    file: str
    score: Callable[[Path, Array], Array | None] | None = scores


WRITERS = {
    "saved_model": Writer(_saved_model, ""),
    "keras": Writer(_keras, "model.keras"),
    "tfjs": Writer(_tfjs, tfjs.FILE),
    "onnx": Writer(_onnx, "model.onnx", None),
    "coreml": Writer(_core_ml, "model.mlpackage", _open_core_ml),
}

if __name__ == "__main__":
    limited_process.answer(_answer)
