"""What embeddings promise of an int8 file: the scores of photos without their pixels."""

from dataclasses import dataclass

import numpy as np

from model_maker.data.dataset import Dataset
from model_maker.embeddings import computing
from model_maker.learning.fine_tuning import Network
from model_maker.options import Options
from model_maker.tflite import network_layers
from model_maker.tflite.integer_heads import IntegerHead
from model_maker.training.training_data import TrainingData

Array = np.ndarray


@dataclass(frozen=True)
class Promise:
    """The scores of a file: an int8 backbone and an integer head.

    Attributes:
      head: its head.
      network: the network that the file is made of.
      data, options: of its training.
    """

    head: IntegerHead
    network: Network
    data: TrainingData
    options: Options

    @property
    def is_exact(self) -> bool:
        """Whether the file computes the same embeddings: float input with a fraction in its mean rounds each pixel."""
        return self.options.io != "float32" or not self.data.backbone.normalization.mean % 1

    def scores(self, kernels: str, photos: Dataset) -> Array:
        """Returns the scores with some kernels of LiteRT, float32 [N, C]."""
        if kernels == "xnnpack":
            return self.head.scores(self.data.features(self.network, photos), kernels=kernels)
        backbone = self.data.backbone
        maps, _ = computing.feature_maps(photos, *backbone.computing, threads=self.options.threads, kernels=kernels)
        columns = network_layers.features(backbone.layers, self.network.layers)
        return self.head.scores(maps.columns(columns), kernels=kernels)
