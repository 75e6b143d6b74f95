"""A head that comes from the names of its classes, and the published head that it is made from."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from model_maker.backbones import embedder
from model_maker.backbones.registry import BACKBONES, Backbone
from model_maker.errors import BackboneError
from model_maker.progress import SILENT, Progress

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class PublishedHead:
    """The ImageNet classifier that was published with a backbone: kernel float32 [C, D] and bias float32 [C]."""

    backbone: Backbone
    kernel: Array
    bias: Array

    @property
    def centered(self) -> Array:
        """The kernels less their mean, float64, of the same shape: what all logits share changes no score."""
        kernel: Array = self.kernel.astype(np.float64)
        return kernel - kernel.mean(axis=0)


@dataclass(frozen=True)
class ZeroShotHead:
    """A linear classifier on the embeddings of a backbone, made without a photo of its classes.

    Attributes:
      labels: C names, as they were given.
      kernel: float32 [C, D], centered over the labels.
      bias: float32 [C], centered, too.
      tier: which of `tiers.TIERS` made it.
      meanings: what each label was taken for, in words.
      source: what the tier knows words from.
    """

    labels: tuple[str, ...]
    kernel: Array
    bias: Array
    tier: str
    meanings: tuple[str, ...]
    source: str


def published(model: str, weights: str | None = None, *, progress: Progress = SILENT) -> PublishedHead:
    """Reads the published classifier of a backbone.

    Raises:
      BackboneError: there is no such backbone, its weights cannot be had, or no ImageNet classifier is in them.
    """
    backbone = embedder.choose(model, weights_file=weights)
    if not isinstance(backbone, Backbone):
        raise BackboneError(
            f"{model} is an imported model without published kernels of ImageNet's classes, from which labels without "
            "photos get theirs. Give the name of a backbone, see `model_maker models`."
        )
    kernel, bias = backbone.family.classifier(embedder.weights_of(backbone, progress=progress))
    if kernel.shape != (backbone.classes, backbone.embedding_size):
        raise BackboneError(
            f"The weights of {model} hold a classifier of {len(kernel)} classes, not the published {backbone.classes}."
        )
    return PublishedHead(backbone, kernel, bias)


def classes_of(model: str) -> int:
    """Returns how many classes the published classifier of a backbone has; 1000 for any other name."""
    return BACKBONES[model].classes if model in BACKBONES else 1000


def centered(
    labels: tuple[str, ...], kernel: Array, bias: Array, *, tier: str, meanings: tuple[str, ...], source: str
) -> ZeroShotHead:
    """Makes a head of kernels and biases: without what all labels share, which would take up the range of int8."""
    kernel, bias = kernel - kernel.mean(axis=0), bias - bias.mean()
    return ZeroShotHead(labels, kernel.astype(np.float32), bias.astype(np.float32), tier, meanings, source)
