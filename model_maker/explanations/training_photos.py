"""The photos that a finished model learned from, with the features that its head sees of them."""

import os
from typing import Any

import numpy as np

from model_maker import output_folder, run_record
from model_maker.backbones import embedder, int8_backbone
from model_maker.data.dataset import Dataset
from model_maker.embeddings import computing
from model_maker.embeddings.store import FeatureMaps
from model_maker.errors import ModelMakerError
from model_maker.inference.classifier import FileClassifier
from model_maker.learning.evidence import TrainingPhotos
from model_maker.options import from_record
from model_maker.progress import Progress
from model_maker.tflite import class_rows, metadata, network_layers
from model_maker.tflite.interpreter import LiteRTRunner
from model_maker.tflite.network_layers import Layer


def of(model: str | os.PathLike[str], classifier: FileClassifier, progress: Progress) -> TrainingPhotos | None:
    """Returns the training and validation photos of a model; None with a note where its folder does not name them.

    Their embeddings are those of `train` as far as the cache has them.
    """
    content = classifier.content
    if content is None:
        return None
    try:
        metadata.check_single(classifier.info, "A list of training photos", "The heat maps stand for themselves.")
        split, notes = run_record.parts(model)
        photos = Dataset((*split.train.samples, *split.validation.samples), split.train.classes)
        names = classifier.indices(photos.classes)
        rows, layers = class_rows.read(content), _layers(classifier.info.provenance)
        maps = _kept(model, classifier.info.provenance, layers, photos, progress)
        if maps is None:
            seeing = class_rows.embedder(content)
            is_float = LiteRTRunner(seeing).input_dtype == np.float32
            normalization = classifier.info.normalization if is_float else None
            maps, bad = computing.feature_maps(photos, seeing, normalization, classifier.fit.resize, progress=progress)
            photos = photos.without(bad)
    except ModelMakerError as error:
        progress.note(f"No training photos are named: {error}")
        return None
    for note in notes:
        progress.note(note)
    sizes = [layer.size for layer in layers] if layers else [rows.kernel.shape[1]]
    return TrainingPhotos(photos.samples, names[np.array(photos.labels, int)], classifier.labels, maps, sizes, rows)


def _layers(provenance: dict[str, Any]) -> list[Layer]:
    """Returns the layers that the head sees, as `train` wrote them; empty where it did not."""
    backbone = provenance.get("backbone")
    if not isinstance(backbone, dict):
        return []
    try:
        return [Layer(*row) for row in backbone["layers"]]
    except (KeyError, TypeError):
        return []


def _kept(
    model: str | os.PathLike[str], provenance: dict[str, Any], layers: list[Layer], photos: Dataset, progress: Progress
) -> FeatureMaps | None:
    """Returns the embeddings that `train` kept; None where the int8 backbone of the file cannot be had again."""
    if not layers:
        return None
    try:
        options = from_record(run_record.load(output_folder.home(model))["options"])
        choice = embedder.choose(
            options.model,
            image_size=options.image_size,
            weights_file=options.weights,
            normalization=options.normalization,
        )
        form = int8_backbone.int8_backbone(embedder.embedder(choice, resize=options.resize), [])
        if not form.digest.startswith(provenance["backbone"]["int8"]):
            return None
        maps, bad = computing.feature_maps(photos, form.embedder, None, options.resize, progress=progress)
        return None if bad else maps.columns(network_layers.features(form.layers, layers))
    except (ModelMakerError, KeyError, StopIteration, ValueError):
        return None
