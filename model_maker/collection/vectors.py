"""Vectors for comparing photos: embeddings of a backbone or of an image tower, cached in stores."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from model_maker.backbones import embedder
from model_maker.backbones.int8_backbone import QuantizedEmbedder
from model_maker.backbones.registry import Backbone
from model_maker.data import images
from model_maker.data.dataset import Dataset, Skipped
from model_maker.data.images import Photo
from model_maker.data.streaming import cores
from model_maker.embeddings import computing
from model_maker.embeddings.store import EmbeddingStore, FeatureMaps, pack
from model_maker.embeddings.work import Work
from model_maker.errors import DataError
from model_maker.fitting import Fit
from model_maker.progress import Progress
from model_maker.system import files
from model_maker.tflite import network_layers
from model_maker.tflite.interpreter import LiteRTRunner
from model_maker.zero_shot_learning import int8_model, towers
from model_maker.zero_shot_learning.towers import ImageTowerLike

Array = np.ndarray[Any, Any]

# Photos per comparison step, so that their vectors fit into the CPU cache.
_BLOCK = 1024


@dataclass(frozen=True)
class Vectors:
    """Vectors [E] of the readable photos, in order, read from the store only for comparison; what was skipped."""

    photos: Dataset
    maps: FeatureMaps
    skipped: tuple[Skipped, ...]

    def read(self) -> Array:
        """Returns all vectors, float32 [N, E], of length 1."""
        parts = [self._block(slice(start, start + _BLOCK)) for start in range(0, len(self.maps), _BLOCK)]
        return np.concatenate([part / _lengths(part)[:, None] for part in parts])

    def compare(self, direction: Array, *, cosine: bool) -> Array:
        """Returns the dot product of each vector with a direction, float32 [N]; divided by the vector's length if
        `cosine`.
        """
        wanted = direction.astype(np.float32) / (np.linalg.norm(direction) if cosine else 1)

        def compared(start: int) -> Array:
            block = self._block(slice(start, start + _BLOCK))
            products: Array = block @ wanted
            return products / _lengths(block) if cosine else products * np.float32(self.maps.step)

        with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as pool:
            return np.concatenate(list(pool.map(compared, range(0, len(self.maps), _BLOCK))))

    def _block(self, rows: slice) -> Array:
        block: Array = self.maps[rows].astype(np.float32)
        return block


def _lengths(block: Array) -> Array:
    lengths: Array = np.sqrt(np.einsum("ij,ij->i", block, block))
    return np.maximum(lengths, np.float32(1e-12))


def prepared(model: str, *, progress: Progress) -> QuantizedEmbedder:
    """Prepares a backbone: in int8 if given by name, unchanged if given as a file.

    Raises:
      BackboneError: there is none of that name, or it is unavailable.
    """
    choice = embedder.choose(model)
    base = embedder.embedder(choice, progress=progress)
    form = int8_model.int8_form(base) if isinstance(choice, Backbone) else None
    return QuantizedEmbedder.of(base, form)


def by_backbone(photos: Dataset, backbone: QuantizedEmbedder, *, progress: Progress) -> Vectors:
    """Embeds photos that are not cached yet, as `train` does, in the same store."""
    maps, skipped = computing.feature_maps(photos, *backbone.computing, progress=progress)
    last = network_layers.features(backbone.layers, backbone.layers[-1:])
    return Vectors(photos.without(skipped), maps.columns(last), tuple(skipped))


def of_photo(photo: Photo, backbone: QuantizedEmbedder) -> Array:
    """Embeds one photo, float32 [E].

    Raises:
      DataError: it cannot be read.
    """
    content, normalization, resize = backbone.computing
    pixels = images.load(photo, Fit.to(LiteRTRunner(content).input_shape, resize))
    vector: Array = Work(content, normalization).worker()(pixels[None])[0]
    return vector[-backbone.layers[-1].size :].astype(np.float32)


def by_tower(
    photos: Dataset, tower: Callable[[], ImageTowerLike], *, name: str, size: int, progress: Progress
) -> Vectors:
    """Embeds photos with an image tower, see `by_backbone`; it is opened only if a photo has to be embedded.

    Its name is part of the cache key, `size` the length of its vectors.
    """
    key = hashlib.sha256(f"{name} {images.PREPROCESSING}".encode()).hexdigest()[:24]
    store = EmbeddingStore(files.cache_directory() / "embeddings" / f"tower-{key}.vectors", size)
    names = pack(sample.digest for sample in photos.samples)
    missing, skipped = np.flatnonzero(store.find(names) < 0), []
    opened = tower() if len(missing) else None
    lacking = [photos.samples[index] for index in missing]
    results = towers.embed_each((sample.path for sample in lacking), opened) if opened else iter(())
    for done, (index, sample, vector) in enumerate(zip(missing, lacking, results, strict=True), start=1):
        if isinstance(vector, DataError):
            skipped.append(Skipped(sample.path, str(vector).removeprefix(f"{sample.path}: ")))
        else:
            store.append(names[[index]], vector.astype(store.dtype)[None])
        progress.step(len(photos) - len(missing) + done, len(photos))
    read = photos.without(skipped)
    rows = store.find(pack(sample.digest for sample in read.samples), check=False)
    return Vectors(read, FeatureMaps(store, rows[:, None], (size,)), tuple(skipped))
