"""Embeddings of a dataset for measurements that fit many heads: `load` computes them once, the cache keeps them."""

from dataclasses import dataclass

import numpy as np

from model_maker import backbones
from model_maker.backbones import embedder
from model_maker.data import sources
from model_maker.embeddings import int8_suitability
from model_maker.learning import heads
from model_maker.learning.features import FeatureTable
from model_maker.options import Options
from model_maker.progress import SILENT
from model_maker.tflite import network_layers
from model_maker.training import training_data

Array = np.ndarray


@dataclass(frozen=True)
class Frozen:
    """Features of the last layer: integers [N, D], their step, labels [N], names of classes."""

    features: Array
    step: float
    labels: Array
    classes: tuple[str, ...]

    def fit(self, photos: Array) -> heads.FittedHead:
        """Fits a head on some photos, int [M], as `train` does."""
        return heads.fit(self.table(photos), self.labels[photos], classes=len(self.classes))

    def table(self, photos: Array) -> FeatureTable:
        """Returns the features of some photos."""
        return FeatureTable(self.features[photos], step=self.step)

    def scores(self, head: heads.Head, photos: Array) -> Array:
        """Returns scores, float32 [M, C]."""
        return head.scores(self.features[photos].astype(np.float32) * np.float32(self.step))

    def places(self, random: np.random.Generator) -> Array:
        """Numbers the photos of each class in a random order, int [N]."""
        places = np.empty(len(self.labels), int)
        for label in range(len(self.classes)):
            members = random.permutation(np.flatnonzero(self.labels == label))
            places[members] = np.arange(len(members))
        return places


def load(data: str) -> Frozen:
    """Embeds a dataset with the default backbone."""
    options, dataset = Options(), sources.read(data)
    base = embedder.embedder(backbones.get(options.model))
    backbone = int8_suitability.prepare(base, training_data.split(dataset, options, SILENT).train, SILENT)
    found, _ = training_data.embed(dataset, backbone, options)
    columns = network_layers.features(backbone.layers, network_layers.choose(backbone.layers, "last"))
    maps = found.maps.columns(columns)
    return Frozen(maps[:], maps.step, np.array(found.photos.labels), found.photos.classes)
