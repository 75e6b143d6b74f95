"""Embeds photos with a finished classifier: the input features of its last layer."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from model_maker.data import calibration_pictures
from model_maker.data.streaming import stream
from model_maker.errors import DataError
from model_maker.fitting import Fit
from model_maker.inference import addresses
from model_maker.normalization import Normalization, to_input
from model_maker.progress import Progress
from model_maker.tflite import class_rows, vetting
from model_maker.tflite.interpreter import LiteRTRunner
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray[Any, Any]


class PhotoEmbedder:
    """Computes the input features of a classifier's last layer; built on first use.

    The normalization of its input is given beside its metadata, which may lack it.
    """

    def __init__(self, classifier: bytes, normalization: Normalization | None, info: ModelInfo):
        self._classifier, self._normalization, self._resize = classifier, normalization, info.resize
        self._made: bytes | None = None

    def embed(self, photos: Sequence[Any], progress: Progress) -> tuple[Array, list[Any]]:
        """Returns the embeddings of readable photos, float32 [n, D], and these photos."""
        if self._made is None:
            vetting.vet(self._classifier)
            self._made = class_rows.embedder(self._classifier)
        size = Fit.to(LiteRTRunner(self._made).input_shape, self._resize)
        given = (addresses.open_photo(photo) if isinstance(photo, str) else photo for photo in photos)
        vectors, read = [], []
        for done, (photo, result) in enumerate(zip(photos, stream(given, size, self._worker), strict=True), start=1):
            if not isinstance(result, DataError):
                vectors.append(result)
                read.append(photo)
            progress.step(done, len(photos))
        return (np.stack(vectors) if vectors else np.empty((0, 0), np.float32)), read

    def stand_ins(self) -> Array:
        """Returns embeddings of arbitrary images."""
        return self.embed(list(calibration_pictures.pictures(8)), Progress(None))[0]

    def _worker(self) -> Callable[[Array], Array]:
        runner, normalization = LiteRTRunner(self._made or b""), self._normalization

        def work(pixels: Array) -> Array:
            vector: Array = runner.run(to_input(pixels, runner.input_dtype, normalization)).ravel()
            return vector

        return work
