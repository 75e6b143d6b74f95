"""Checks untrusted `.keras` and `.h5` files: only layers and operations of image models are allowed.

Keras rebuilds a model from JSON that names classes and functions, some of which run code, or read or download files.
Keras's safe mode is a denylist; this is an allowlist.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model_maker.errors import BackboneError

# Ten times the JSON of the largest image model in Keras.
_MOST_BYTES = 64 << 20
_MODELS = (
    "Functional Sequential Model InputLayer Layer KerasTensor __keras_tensor__ __tuple__ __numpy__ __tensor__ "
    "DTypePolicy slice"
)
_LAYERS = (
    "Conv2D DepthwiseConv2D SeparableConv2D Conv2DTranspose Dense EinsumDense Activation ReLU LeakyReLU PReLU ELU "
    "Softmax BatchNormalization LayerNormalization GroupNormalization UnitNormalization RMSNormalization Dropout "
    "SpatialDropout2D GaussianDropout GaussianNoise AlphaDropout GlobalAveragePooling2D GlobalMaxPooling2D "
    "AveragePooling2D MaxPooling2D ZeroPadding2D Cropping2D UpSampling2D Flatten Reshape Permute RepeatVector Identity "
    "Add Subtract Multiply Average Maximum Minimum Concatenate Dot Rescaling Resizing CenterCrop Normalization "
    "RandomFlip RandomRotation RandomZoom RandomTranslation RandomCrop RandomContrast RandomBrightness RandomHeight "
    "RandomWidth RandomShear RandomHue RandomSaturation RandomGrayscale RandomColorJitter RandomErasing "
    "MultiHeadAttention Attention Embedding SpectralNormalization"
)
_OPERATIONS = (
    "Divide TrueDivide Power Square Sqrt Rsqrt Exp Log Negative Absolute Clip Mean Sum Max Min Var Std Transpose "
    "ExpandDims Squeeze Pad GetItem Stack Split Tile BroadcastTo Matmul Relu Relu6 Sigmoid HardSigmoid HardSwish Silu "
    "Swish Gelu Tanh Softplus LogSoftmax Cast Conv DepthwiseConv MaxPool AveragePool L2Normalize Normalize Resize"
)
_PARTS = (
    "Zeros Ones Constant RandomNormal RandomUniform TruncatedNormal VarianceScaling GlorotUniform GlorotNormal "
    "HeNormal HeUniform LecunNormal LecunUniform Orthogonal IdentityInitializer L1 L2 L1L2 OrthogonalRegularizer "
    "MaxNorm NonNeg UnitNorm MinMaxNorm SeedGenerator"
)
ALLOWED = frozenset(" ".join((_MODELS, _LAYERS, _OPERATIONS, _PARTS)).split())
_FUNCTIONS = (
    "relu relu6 elu selu leaky_relu softmax log_softmax softplus softsign sigmoid hard_sigmoid hard_silu hard_swish "
    "silu swish gelu tanh exponential linear mish"
)
_ACTIVATIONS = frozenset(_FUNCTIONS.split())


def check(path: Path) -> None:
    """Rejects a model with anything that is not allowed.

    Raises:
      BackboneError: it has, or the file is not a Keras model.
    """
    for entry in _named(_configuration(path)):
        name = entry["class_name"]
        if name == "function" and entry.get("config") in _ACTIVATIONS:
            continue
        module = entry.get("module") or "keras"
        if name not in ALLOWED or not (module == "builtins" or str(module).split(".")[0] in ("keras", "tf_keras")):
            raise BackboneError(
                f"{path} names {str(name)[:80]} of {str(module)[:80]}, which is not among the layers that image models "
                "consist of: it may hold Python code or read files, so it is not built. Save the model without it."
            )


def _configuration(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except BackboneError:
        raise
    except Exception as error:  # h5py raises nearly anything for a damaged file
        raise BackboneError(f"{path} cannot be opened as a TensorFlow model: it states no network as JSON.") from error


def _text(path: Path) -> str | bytes:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo("config.json")
            if entry.file_size > _MOST_BYTES:
                raise BackboneError(f"{path} describes its network in {entry.file_size:,} bytes: it is damaged.")
            return archive.read(entry)
    import h5py

    with h5py.File(path, "r") as file:
        found: str | bytes = file.attrs["model_config"]
        return found


def _named(tree: Any) -> Iterator[dict[str, Any]]:
    """Yields every object in the JSON that names a class."""
    waiting = [tree]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            if "class_name" in entry:
                yield entry
            waiting += entry.values()
        elif isinstance(entry, list):
            waiting += entry
