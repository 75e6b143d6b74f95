"""A head without photos on the int8 backbone that training uses: the file that ships, and its float model."""

import dataclasses
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_maker.backbones import embedder, int8_backbone
from model_maker.backbones.embedder import Embedder
from model_maker.backbones.int8_backbone import Int8Backbone
from model_maker.backbones.int8_recipe import Int8Recipe
from model_maker.data import calibration_pictures, images
from model_maker.packaging import quantized_file
from model_maker.progress import Progress
from model_maker.system import files
from model_maker.tflite import graph, integer_heads, network_layers
from model_maker.tflite.integer_heads import IntegerHead
from model_maker.tflite.interpreter import LiteRTRunner
from model_maker.tflite.metadata import ModelInfo
from model_maker.version import __version__
from model_maker.zero_shot_learning import head, label_names, tiers
from model_maker.zero_shot_learning.head import PublishedHead, ZeroShotHead
from model_maker.zero_shot_learning.text_vectors import TextVectors

Array = np.ndarray[Any, Any]

# The features of a photo lie about 1.7 times the kernel of its class from the mean of all, by 36 photos of ImageNet; as
# much again covers what else differs between photos. Drawn pictures alone show a fifth of the range of logits.
_TOWARDS_CLASS = 4.0
_PICTURES = 25  # of each kind


@dataclass(frozen=True)
class ZeroShotModel:
    """A classifier that was made without photos.

    Attributes:
      head: float; `integers` the same as the file has it.
      integers: on the embedding of the int8 backbone.
      bare: the int8 `.tflite`, `float_bare` the float one, both without metadata.
      info: what both say of themselves, but for an accuracy.
      base: the backbone.
    """

    head: ZeroShotHead
    integers: IntegerHead
    bare: bytes
    float_bare: bytes
    info: ModelInfo
    base: Embedder

    def file(self, accuracy: dict[str, Any] | None = None) -> bytes:
        """Returns the int8 file with its metadata, and what was measured of it, if anything."""
        return quantized_file.with_metadata(self.bare, self._info(accuracy))

    def float_file(self, accuracy: dict[str, Any] | None = None) -> bytes:
        """Returns the float file with the same metadata."""
        return quantized_file.with_metadata(self.float_bare, self._info(accuracy))

    def _info(self, accuracy: dict[str, Any] | None) -> ModelInfo:
        more = {"metrics": accuracy} if accuracy else {}
        return dataclasses.replace(self.info, provenance=self.info.provenance | more)


def build(
    labels: Sequence[str],
    *,
    model: str,
    tier: str | None = None,
    vectors: TextVectors | None = None,
    weights: str | None = None,
    progress: Progress,
) -> ZeroShotModel:
    """Makes a classifier of labels; see `phone_file.zero_shot_file`."""
    checked = label_names.check(labels)
    chosen = tiers.choose(checked, tier, vectors, classes=head.classes_of(model))
    with progress.stage(f"Prepare {model}"):
        published = head.published(model, weights, progress=progress)
        base = embedder.embedder(published.backbone, progress=progress)
        form = int8_form(base)
    with progress.stage("Make the head"):
        found = tiers.fit(checked, published, chosen, vectors, progress=progress)
        trunk = network_layers.select(form.content, network_layers.choose(form.layers, "last"))
        integers = integer_heads.quantize(found.kernel, found.bias, _seen(trunk, form, published), form.step)
        whole = graph.parse(trunk)
        integers.append(whole)
        bare = quantized_file.with_io_types(whole, base.normalization, "uint8")
        float_bare = graph.attach_head(base.content, found.kernel, found.bias)
    return ZeroShotModel(found, integers, bare, float_bare, _described(found, base, vectors), base)


def int8_form(base: Embedder) -> Int8Backbone:
    """Returns the int8 form of a backbone: by its packaged recipe, or calibrated on drawn pictures."""
    recipe = int8_backbone.RECIPES / f"{base.name}.npz"
    if recipe.is_file() and Int8Recipe.read(recipe).float_sha256 == hashlib.sha256(base.content).hexdigest():
        return int8_backbone.int8_backbone(base, [])
    pictures = list(calibration_pictures.pictures(_PICTURES))
    return int8_backbone.calibrated_on(base, pictures, [hashlib.sha256(one.tobytes()).hexdigest() for one in pictures])


def _seen(trunk: bytes, form: Int8Backbone, published: PublishedHead) -> Array:
    """Returns features that the head's integers are made for, int8 [N, D].

    They are those of drawn pictures, and of what a photo of each ImageNet class would be like: the mean of these, and
    from there towards the kernel of the class.
    """
    key = hashlib.sha256(trunk).hexdigest()[:16]
    path = files.cache_directory() / "zero_shot" / f"{key}-{calibration_pictures.__name__}.npy"
    if kept := files.read_checked(path):
        drawn = np.load(io.BytesIO(kept), allow_pickle=False)
    else:
        mean, std = form.normalization.mean, form.normalization.std
        runner = LiteRTRunner(graph.set_io(trunk, "uint8", mean=mean, std=std, output_io="int8"))
        size = runner.input_shape[1]
        pixels = (images.load(picture, size)[None] for picture in calibration_pictures.pictures(_PICTURES))
        drawn = np.concatenate([runner.run_all(photo)[0] for photo in pixels])
        packed = io.BytesIO()
        np.save(packed, drawn, allow_pickle=False)
        files.write_checked(path, packed.getvalue())
    likely = drawn.mean(axis=0) + _TOWARDS_CLASS * published.centered / form.step
    return np.concatenate([drawn, np.clip(np.rint(likely), -128, 127).astype(np.int8)])


def _described(found: ZeroShotHead, base: Embedder, vectors: TextVectors | None) -> ModelInfo:
    restricted = (
        f"; {vectors.name}, from which its kernels come: {vectors.licence}" if vectors and vectors.licence else ""
    )
    return ModelInfo(
        labels=found.labels,
        normalization=base.normalization,
        name=f"zero-shot {label_names.listed(found.labels, 3)}",
        version="1",
        licence=base.licence + restricted,
        description=(
            f"Image classifier for {len(found.labels)} classes, made without photos of them from the published kernels "
            f"of {base.name}. Tier: {found.tier} ({found.source})."
        ),
        provenance={
            "model_maker": __version__,
            "zero_shot": {
                "tier": found.tier,
                "source": found.source,
                "backbone": base.name,
                "labels": dict(zip(found.labels, found.meanings, strict=True)),
            },
        },
    )
