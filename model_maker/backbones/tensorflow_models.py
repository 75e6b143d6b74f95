"""Converts TensorFlow models to `.tflite`: `.keras` and `.h5` files, SavedModel folders, TF Hub and Kaggle handles.

`importers` extracts a backbone from the result. Models run in a child process, and only if they use nothing but what
image models need: see `allowed_operators` and `keras_files`.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import Any

from model_maker.backbones import input_range
from model_maker.errors import BackboneError, first_line
from model_maker.fitting import Fit
from model_maker.system import downloads, extras, files, limited_process
from model_maker.tensorflow_files import keras_files, saved_models
from model_maker.tflite import metadata

LIMIT_S = 600.0
# Packages required for each kind of model.
PACKAGES = {
    "keras": ("tensorflow",),
    "saved_model": ("tensorflow", "tensorflow_hub", "pkg_resources"),
    "hub": ("tensorflow", "tensorflow_hub", "pkg_resources"),
}
_KERAS = (".keras", ".h5", ".hdf5")
_HANDLE = re.compile(r"https?://.+|[\w.-]+/[\w.-]+/[\w.-]+/[\w.-]+(/\d+)?")
_OUTPUTS = ("feature_vector", "embedding", "pooled", "default", "logits")


def kind(address: str) -> str | None:
    """Returns the kind of TensorFlow model at an address: "keras", "saved_model", "hub", or None for others."""
    path = Path(address)
    if path.suffix in _KERAS:
        return "keras"
    if (path / "saved_model.pb").is_file():
        return "saved_model"
    if not path.exists() and path.suffix != ".tflite" and not address.startswith((".", "/")) and _HANDLE.match(address):
        return "hub"
    return None


def is_download(address: str) -> bool:
    """Whether an address is downloaded through tensorflow-hub."""
    return kind(address) == "hub"


def convert(address: str, image_size: int | None) -> bytes:
    """Converts a model to a float `.tflite` in a child process.

    Args:
      address: a model for which `kind` is not None.
      image_size: pixels, for models that take any size.

    Raises:
      BackboneError: it cannot be downloaded, opened or converted, or would do more than compute.
    """
    if is_download(address) and address.startswith("http") and not downloads.reachable(address):
        host = address.split("/")[2]
        if not _is_in_hub_cache(address):
            raise BackboneError(
                f"{address} is not in the cache of tensorflow-hub, and {host} cannot be reached. Connect once, or give "
                "the folder of the unpacked SavedModel instead; TFHUB_CACHE_DIR names the cache."
            )
    return limited_process.run(__name__, address, str(image_size or ""), what=address, limit_s=LIMIT_S)


def hub_cache() -> str:
    """Returns the cache folder of tensorflow-hub: TFHUB_CACHE_DIR, or a folder in our own cache."""
    return os.environ.get("TFHUB_CACHE_DIR") or str(files.cache_directory() / "hub")


def _is_in_hub_cache(address: str) -> bool:
    # tensorflow-hub names a folder by the sha1 of the handle.
    return (Path(hub_cache()) / hashlib.sha1(address.encode()).hexdigest()).is_dir()


def _convert(address: str, image_size: str) -> bytes:
    size = int(image_size) if image_size else None
    os.environ["TFHUB_CACHE_DIR"] = hub_cache()
    try:
        if kind(address) == "keras":
            return _from_keras(address, size)
        return _from_saved_model(_fetched(address) if is_download(address) else address, address, size)
    except BackboneError:
        raise
    except Exception as error:  # TensorFlow raises nearly anything for a damaged or unusual model
        raise BackboneError(f"{address} cannot be opened as a TensorFlow model: {first_line(error, 300)}") from error


def _convert_function(function, shape: tuple[int, int, int], dtype) -> bytes:
    """Converts a function of one image batch, [1, H, W, 3] of a type, to [1, D], to a float `.tflite`."""
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    # Freeze first: the converter then takes 7 s instead of 26-37 s, and leaves no variable operators in the file.
    specification = tf.TensorSpec((1, *shape), dtype, name="image")
    concrete = tf.function(lambda image: {"embedding": function(image)}).get_concrete_function(specification)
    frozen = convert_to_constants.convert_variables_to_constants_v2(concrete)
    return tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert()


def _from_keras(address: str, image_size: int | None) -> bytes:
    import keras
    import tensorflow as tf

    keras_files.check(Path(address))
    # Nor are custom classes loaded.
    model = keras.saving.load_model(address, compile=False, safe_mode=True)
    if any(isinstance(layer, keras.layers.Lambda) for layer in model._flatten_layers()):
        raise BackboneError(f"{address} holds Python code (a Lambda layer), which is not run. Save it without.")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise BackboneError(f"{address} has {len(model.inputs)} inputs and {len(model.outputs)} outputs, not one each.")
    size = _size(address, tuple(model.inputs[0].shape), image_size)
    content = _convert_function(lambda image: model(image, training=False), (*size, 3), tf.float32)
    if any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers[:3]):
        # The converter may fold it into the first convolution, so the graph would not show that the input is raw
        # pixels.
        return metadata.write(content, metadata.ModelInfo(normalization=input_range.PIXELS), embedder=True)
    return content


def _fetched(address: str) -> str:
    """Downloads a model through tensorflow-hub and returns its folder."""
    import tarfile

    import tensorflow_hub

    # Unpacking rejects members outside the folder, links out of it, and devices.
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    if not address.startswith("http"):
        address = f"https://www.kaggle.com/models/{address}"
    try:
        return tensorflow_hub.resolve(address)
    except ImportError as error:
        raise BackboneError(
            f"{address} is fetched through the package kagglehub, which is not installed. "
            f"Run: {extras.command('kagglehub')}, or give the folder of the unpacked SavedModel."
        ) from error


def _from_saved_model(folder: str, address: str, image_size: int | None) -> bytes:
    import tensorflow as tf

    loaded = saved_models.load(folder, address)
    signatures = dict(loaded.signatures)
    chosen = next((name for name in ("serving_default", "default", "image_feature_vector") if name in signatures), None)
    if callable(loaded) and not chosen:
        size = _size(address, (None, None, None, 3), image_size)
        return _convert_function(lambda image: _output(loaded(image), address), (*size, 3), tf.float32)
    if chosen is None:
        listed = ", ".join(signatures) or "none"
        raise BackboneError(f"{address} has no signature serving_default or default, only: {listed}.")
    signature = signatures[chosen]
    _, inputs = signature.structured_input_signature
    if len(inputs) != 1:
        raise BackboneError(f"{address} takes {len(inputs)} inputs ({', '.join(inputs)}); an image model takes one.")
    [(name, spec)] = inputs.items()
    size = _size(address, tuple(spec.shape), image_size)

    def call(image):
        return _output(signature(**{name: tf.cast(image, spec.dtype)}), address)

    return _convert_function(call, (*size, 3), tf.float32)


def _output(result: Any, address: str):
    """Returns the tensor of features: the only output, or the one with a matching name."""
    if not isinstance(result, dict):
        return result
    if len(result) == 1:
        return next(iter(result.values()))
    for name in _OUTPUTS:
        if name in result:
            return result[name]
    raise BackboneError(f"{address} has several outputs, none of which is named for features: {', '.join(result)}.")


def _size(address: str, shape: tuple[int | None, ...], asked: int | None) -> tuple[int, int]:
    """Returns height and width of the input."""
    if len(shape) != 4 or shape[3] not in (3, None):
        raise BackboneError(f"{address} takes an input of shape {list(shape)}; an image model takes [N, H, W, 3].")
    height, width = shape[1:3]
    if height is None and width is None:
        if asked is None:
            raise BackboneError(f"{address} takes images of any size. Choose one with `image_size`, for example 224.")
        return asked, asked
    if height is None or width is None:
        raise BackboneError(f"{address} fixes one side of its input only: {height} x {width}. Save it with both sides.")
    if asked is not None and (asked, asked) != (height, width):
        raise BackboneError(f"{address} takes {Fit(height, width).size} pixels, not {asked}: leave `image_size` out.")
    return height, width


if __name__ == "__main__":
    limited_process.answer(_convert)
