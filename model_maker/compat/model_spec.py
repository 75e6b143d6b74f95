"""Model specs: names of the original, backbones of this package, imported models."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from model_maker.backbones import BACKBONES, tensorflow_models
from model_maker.backbones import get as backbone
from model_maker.compat import absent
from model_maker.compat.notices import warn_unused
from model_maker.errors import BackboneError

if TYPE_CHECKING:
    from model_maker.compat.config import QuantizationConfig
    from model_maker.compat.data_loader import DataLoader
else:  # type checkers accept every name of a module with __getattr__
    __getattr__ = absent.module_getattr(__name__)


class ModelSpec:
    """A backbone.

    Args:
      uri: a backbone's name, or the path or address of a model: a `.tflite`, `.keras` or `.h5` file, a SavedModel
        folder, or a TF Hub address, which is downloaded on first use with a note.
      compat_tf_versions: has no effect here.
      input_image_shape: [H, H], pixels; may be set later. None for that of a file, or [224, 224] for an address.
      name: for display.

    Attributes:
      mean_rgb, stddev_rgb: normalization of an imported model's input, (pixel - mean) / std. By default it is
      detected from the model; if that is not possible, these defaults are used with a warning.
    """

    mean_rgb: Sequence[float] = [0.0]
    stddev_rgb: Sequence[float] = [255.0]

    def __init__(
        self,
        uri: str,
        compat_tf_versions: Any = None,
        input_image_shape: Sequence[int] | None = None,
        name: str = "",
    ):
        warn_unused("ModelSpec", compat_tf_versions=compat_tf_versions)
        self.uri = str(uri)
        if input_image_shape is None and tensorflow_models.is_download(self.uri):
            input_image_shape = [224, 224]
        self.input_image_shape = None if input_image_shape is None else list(input_image_shape)
        self.name = name or self.uri

    @property
    def image_size(self) -> int | None:
        """Height and width of the input, pixels; None for the model's own.

        Raises:
          BackboneError: they differ.
        """
        shape = self.input_image_shape
        if shape is None:
            return None
        if len(shape) != 2 or shape[0] != shape[1]:
            raise BackboneError(f"input_image_shape {shape}: it must be square; pass [H, H], for example [224, 224].")
        return int(shape[0])

    @property
    def normalization(self) -> str | None:
        """The normalization of the input as `Options` takes it; None if not set, for detection.

        Raises:
          BackboneError: the channels differ.
        """
        if self.mean_rgb is ModelSpec.mean_rgb and self.stddev_rgb is ModelSpec.stddev_rgb:
            return None
        mean, std = set(self.mean_rgb), set(self.stddev_rgb)
        if len(mean) != 1 or len(std) != 1:
            raise BackboneError(
                f"mean_rgb {list(self.mean_rgb)}, stddev_rgb {list(self.stddev_rgb)}: phone clients support one "
                "number for all channels; pass one each, for example [127.5]."
            )
        return f"{mean.pop():g},{std.pop():g}"

    def get_default_quantization_config(self, representative_data: DataLoader) -> QuantizationConfig:
        """Returns int8 with uint8 input and output, the default of `export`."""
        from model_maker.compat.config import QuantizationConfig

        return QuantizationConfig.for_int8(representative_data)


ImageClassifierSpec = ModelSpec


def _of(name: str) -> functools.partial[ModelSpec]:
    size = BACKBONES[name].image_size
    return functools.partial(ModelSpec, uri=name, input_image_shape=[size, size], name=name)


def _resnet_50(**_: Any) -> ModelSpec:
    nearest = BACKBONES["efficientnet_lite1"]
    raise BackboneError(
        f"resnet_50 is not a backbone of this package. The closest is {nearest.name} ({nearest.top1:g} % on ImageNet "
        "with a fifth of its parameters). To import the original network, use ModelSpec(uri=...) with a folder or "
        "TF Hub address."
    )


IMAGE_CLASSIFICATION_MODELS = [*(f"efficientnet_lite{number}" for number in range(5)), "mobilenet_v2", "resnet_50"]
MODEL_SPECS: dict[str, Callable[..., ModelSpec]] = {
    name: _of(name) for name in IMAGE_CLASSIFICATION_MODELS if name != "resnet_50"
}
MODEL_SPECS |= {"resnet_50": _resnet_50}
# Prefixes of model specs of the original's other tasks.
_OTHER_TASKS = ("average_word_vec", "bert", "mobilebert", "audio_", "recommendation", "efficientdet")


def get(spec_or_str: str | ModelSpec | Callable[..., ModelSpec], *args: Any, **kwargs: Any) -> ModelSpec:
    """Returns a spec by name, or the result of a class or function, or a spec itself.

    Args:
      spec_or_str: one of IMAGE_CLASSIFICATION_MODELS or of this package's backbones, a spec, or a class or function.
      *args, **kwargs: for the class or function.

    Raises:
      BackboneError: there is no such backbone; the message names the closest.
    """
    if isinstance(spec_or_str, str):
        if spec_or_str.startswith(_OTHER_TASKS):
            raise BackboneError(f"{spec_or_str} belongs to another task; only image classification is supported.")
        return (MODEL_SPECS.get(spec_or_str) or _of(backbone(spec_or_str).name))(*args, **kwargs)
    if isinstance(spec_or_str, ModelSpec):
        return spec_or_str
    if callable(spec_or_str):
        return spec_or_str(*args, **kwargs)
    raise BackboneError(f"{spec_or_str!r} is not a model_spec: pass a name, or a ModelSpec.")
