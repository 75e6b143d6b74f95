"""A Backbone becomes its float `.tflite`, once, and is kept in the cache.

The only part of plain training that needs TensorFlow, and only on the first run.
"""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from absl import logging

from model_maker import files
from model_maker.backbones import Backbone, get, weights
from model_maker.errors import BackboneError

INPUT, OUTPUT = "image", "embedding"


def embedder(backbone: Backbone) -> bytes:
    """Returns the backbone as a float `.tflite`: float32 [1, H, W, 3], normalized, to float32 [1, D].

    It is made on first use (about 20 s, imports TensorFlow) and read from the cache after that.

    Raises:
      BackboneError: the weights are missing or damaged.
      OutputError: the cache cannot be written.
    """
    path = cache_path(backbone)
    if content := _read_cached(path):
        return content
    backbone.weights.path()  # a missing package is said before TensorFlow's long start
    content = _convert_in_child(backbone)
    files.write(path, content)
    files.write(path.with_suffix(".sha256"), hashlib.sha256(content).hexdigest().encode())
    return content


def is_cached(backbone: Backbone) -> bool:
    """Whether `embedder` will answer without building."""
    return _read_cached(cache_path(backbone)) is not None


def cache_path(backbone: Backbone) -> Path:
    """Names the cache entry by everything that its bytes depend on."""
    recipe = {
        "image_size": backbone.image_size,
        "variant": backbone.variant,
        "weights": backbone.weights.sha256,
        "code": [_code_digest(str(file)) for file in (backbone.family.__file__, weights.__file__, __file__)],
        "versions": [metadata.version(package) for package in ("tensorflow", "keras")],
    }
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    return files.cache_directory() / "backbones" / f"{backbone.name}-{backbone.image_size}-{key}.tflite"


def convert(model) -> bytes:
    """Converts a Keras model with one image input to a float `.tflite`.

    Args:
      model: keras.Model, float32 [N, H, W, 3] to float32 [N, D].
    """
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    # Freezing first: the converter takes 7 s instead of 26-37 s, and no variable operators stay in the file.
    specification = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name=INPUT)
    concrete = tf.function(lambda image: {OUTPUT: model(image, training=False)}).get_concrete_function(specification)
    frozen = convert_to_constants.convert_variables_to_constants_v2(concrete)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    return converter.convert()


def _convert_in_child(backbone: Backbone) -> bytes:
    """Builds in a process of its own: TensorFlow's memory and its log lines go with it."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "embedder.tflite"
        # -P: a file of the user's called keras.py must not stand in for the package.
        command = [sys.executable, "-P", "-m", __name__, backbone.name, str(backbone.image_size), str(target)]
        child = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if child.returncode:
            raise BackboneError(f"{backbone.name} could not be built. TensorFlow said:\n{child.stderr[-2000:]}")
        return target.read_bytes()


def _read_cached(path: Path) -> bytes | None:
    try:
        content, expected = path.read_bytes(), path.with_suffix(".sha256").read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest().encode() == expected:
        return content
    logging.warning("The cached backbone %s is damaged and is made again.", path)
    return None


@functools.cache
def _code_digest(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]


if __name__ == "__main__":
    name, size, output = sys.argv[1:]
    Path(output).write_bytes(convert(get(name, image_size=int(size)).build()))
