"""MobileNet V1, V2 and V3, as Keras Applications defines them, with the weights that it publishes.

Source:
  Howard et al. 2017, "MobileNets"; Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks";
  Howard et al. 2019, "Searching for MobileNetV3".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model_maker.errors import BackboneError

Array = np.ndarray

WEIGHTS = "https://storage.googleapis.com/tensorflow/keras-applications"
_CLASSES = 1000


def weights_url(architecture: str, alpha: float, image_size: int) -> str:
    """Returns where Keras Applications keeps the weights, classifier included.

    Args:
      architecture: as in `build`.
      alpha: one of those published.
      image_size: one of those published for it, pixels.
    """
    if architecture == "v1":
        text = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}[alpha]
        return f"{WEIGHTS}/mobilenet/mobilenet_{text}_{image_size}_tf.h5"
    if architecture == "v2":
        return f"{WEIGHTS}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{image_size}.h5"
    _, size, *minimalistic = architecture.split("_")
    middle = "_minimalistic" if minimalistic else ""
    return f"{WEIGHTS}/mobilenet_v3/weights_mobilenet_v3_{size}{middle}_{image_size}_{alpha}_float.h5"


def build(image_size: int, *, architecture: str, alpha: float):
    """Builds the feature extractor, with random weights.

    Args:
      image_size: pixels.
      architecture: "v1", "v2", "v3_large", "v3_small", or the latter two with "_minimalistic".
      alpha: the factor of all widths.

    Returns:
      keras.Model: float32 [N, image_size, image_size, 3], normalized, to float32 [N, D], what the ImageNet classifier
      sees.
    """
    import keras

    full = _network(image_size, architecture, alpha, top=architecture.startswith("v3"))
    if architecture.startswith("v3"):
        # V3 has a layer between the pooling and the classifier, which is part of "the top" for Keras.
        return keras.Model(full.input, keras.layers.Flatten(name="embedding")(full.get_layer("logits").input))
    return keras.Model(full.input, keras.layers.GlobalAveragePooling2D(name="embedding")(full.output))


def load(model, path: Path, *, architecture: str, alpha: float) -> None:
    """Puts published weights into a model made by `build`; every layer with weights receives its own.

    Args:
      model: keras.Model from `build` with the same architecture and alpha.
      path: `.h5` of Keras 2 or `.weights.h5` of Keras 3, with the classifier or (V1, V2) without.

    Raises:
      BackboneError: the file is no weights file, or another network's.
    """
    image_size, failure = model.input_shape[1], None
    for top in (True, False):
        full = _network(image_size, architecture, alpha, top=top)
        for variable in full.weights:
            variable.assign(np.full(variable.shape, np.nan))
        try:
            full.load_weights(path)
            for layer in model.layers:
                if layer.weights:
                    layer.set_weights(_complete(full.get_layer(layer.name).get_weights(), layer.name))
            return
        except (ValueError, OSError, KeyError) as error:
            failure = failure or error
    reason = str(failure).strip().splitlines()[0][:200]
    raise BackboneError(f"{path} does not hold the weights of MobileNet {architecture} with alpha {alpha} ({reason}).")


def classifier(path: Path) -> tuple[Array, Array]:
    """Returns the published ImageNet classifier: kernel float32 [1000, D] and bias float32 [1000].

    Raises:
      BackboneError: the file holds none.
    """
    import h5py

    found: list[tuple[Array, Array]] = []

    def visit(_, group) -> None:
        if not isinstance(group, h5py.Group):
            return
        arrays = [item[()] for item in group.values() if isinstance(item, h5py.Dataset)]
        kernels = [array for array in arrays if array.ndim > 1 and array.shape[-1] == _CLASSES]
        biases = [array for array in arrays if array.shape == (_CLASSES,)]
        if len(kernels) == len(biases) == 1:
            found.append((kernels[0].reshape(-1, _CLASSES).T, biases[0]))

    try:
        with h5py.File(path) as file:
            file.visititems(visit)
    except OSError as error:
        raise BackboneError(f"{path} cannot be read as HDF5 ({error}).") from error
    if len(found) != 1:
        raise BackboneError(f"{path} holds no classifier of {_CLASSES} classes, only the network before it.")
    return found[0]


def _complete(weights: list[Array], name: str) -> list[Array]:
    """Keras passes over what a file lacks, with a warning at most; what it did not fill is still no number."""
    if any(np.isnan(array).any() for array in weights):
        raise ValueError(f"it lacks the layer {name}")
    return weights


def _network(image_size: int, architecture: str, alpha: float, *, top: bool):
    from keras import applications

    shape = (image_size, image_size, 3)
    options = {"input_shape": shape, "alpha": alpha, "weights": None, "include_top": top}
    if architecture == "v1":
        return applications.MobileNet(**options)
    if architecture == "v2":
        return applications.MobileNetV2(**options)
    make = applications.MobileNetV3Large if "large" in architecture else applications.MobileNetV3Small
    return make(**options, minimalistic="minimalistic" in architecture, include_preprocessing=False)
