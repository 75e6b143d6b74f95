"""Writes a TensorFlow graph as a TensorFlow.js graph model: `model.json`, and the weights in shards.

Implemented here because the converter's package depends on JAX, Flax and decision forests, of which pip finds no
versions compatible with this TensorFlow. The format is the graph in Protobuf's JSON, with the values of its constants
stored in separate files.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from model_maker.errors import ModelError

FILE = "model.json"
# The format's usual shard size, which browsers can cache.
_SHARD_BYTES = 4 << 20
# Types that TensorFlow.js supports, and the Protobuf field of single values.
_ALONE = {"float32": "float_val", "int32": "int_val"}


def write(frozen, labels: list[str], folder: Path) -> None:
    """Writes a frozen function, from `convert_variables_to_constants_v2` and of one image, as FILE and its shards.

    Raises:
      ModelError: it has a constant of a type that TensorFlow.js does not support.
    """
    import tensorflow as tf
    from google.protobuf import json_format

    graph = frozen.graph.as_graph_def()
    graph.ClearField("library")
    specifications, data = [], bytearray()
    for node in graph.node:
        if node.op == "Const":
            values = tf.make_ndarray(node.attr["value"].tensor)
            _empty(node, values)
            specifications.append({"name": node.name, "shape": list(values.shape), "dtype": str(values.dtype)})
            data += np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()
    shards = [bytes(data[begin : begin + _SHARD_BYTES]) for begin in range(0, len(data), _SHARD_BYTES)]
    names = [f"group1-shard{number}of{len(shards)}.bin" for number in range(1, len(shards) + 1)]
    content = {
        "format": "graph-model",
        "generatedBy": tf.__version__,
        "convertedBy": "Model Maker",
        "signature": {
            "inputs": {"image": _edge(frozen.inputs[0])},
            "outputs": {"probabilities": _edge(frozen.outputs[0])},
        },
        "userDefinedMetadata": {"labels": labels, "input": "RGB pixels, 0 to 255; normalization is inside"},
        "modelTopology": json_format.MessageToDict(graph),
        "weightsManifest": [{"paths": names, "weights": specifications}],
    }
    # Sorted, because Protobuf's order is random.
    (folder / FILE).write_text(json.dumps(content, sort_keys=True), encoding="utf-8", newline="\n")
    for name, shard in zip(names, shards, strict=True):
        (folder / name).write_bytes(shard)


def _empty(node, values: np.ndarray) -> None:
    """Removes the values of a constant, but keeps its type and shape."""
    if values.dtype.name not in _ALONE:
        raise ModelError(f"The constant {node.name} is {values.dtype}, which TensorFlow.js does not support.")
    for field in ("tensor_content", _ALONE[values.dtype.name]):
        node.attr["value"].tensor.ClearField(field)


def _edge(tensor) -> dict[str, Any]:
    sides = [{"size": str(-1 if side is None else side)} for side in tensor.shape]
    return {"name": tensor.name, "dtype": "DT_FLOAT", "tensorShape": {"dim": sides}}
