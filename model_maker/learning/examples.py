"""What fine-tuning learns from: activations of the frozen trunk, or pixels.

LiteRT computes the activations once for each view of each photo, and the embedding cache keeps them. Where time is
limited, the first photos show what a view costs; then as many views are computed as there is time for, or of fewer
photos.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from model_maker.data import augment
from model_maker.data.augment import Augmentation
from model_maker.data.dataset import Dataset, Sample
from model_maker.data.streaming import stream
from model_maker.embeddings.computing import feature_maps
from model_maker.embeddings.engines import LOCAL
from model_maker.embeddings.store import FeatureMaps
from model_maker.embeddings.work import Engine
from model_maker.errors import DataError
from model_maker.fitting import STRETCH, Fit
from model_maker.normalization import Normalization
from model_maker.progress import SILENT, Progress
from model_maker.tflite import trunk
from model_maker.tflite.interpreter import LiteRTRunner

Array = np.ndarray

# Photos between two looks at the clock.
CHUNK = 128
# Practically unlimited: each epoch uses new views.
_FRESH_VIEWS = 1 << 30


@dataclass(frozen=True)
class Photos:
    """The photos of fine-tuning.

    Attributes:
      validation: validation photos of the same classes.
      views: number of views per photo for the tail, including the original.
      seed: of the views.
      resize: how photos are fitted to the input, a key of `fitting.RESIZES`.
    """

    train: Dataset
    validation: Dataset
    normalization: Normalization
    augmentation: Augmentation
    views: int = 4
    seed: int = 0
    threads: int | None = None
    engine: Engine = LOCAL
    resize: str = STRETCH


def activations(
    embedder: bytes, part: str, photos: Photos, dataset: Dataset, progress: Progress, *, views: int | None = None
) -> FeatureMaps:
    """Computes what the trunk gives for views of photos, by default as many as `photos.views`.

    Args:
      embedder: a float `.tflite`.
      part: where it is cut.
      views: K, number of views; the first is the original.
    """
    maps, unreadable = feature_maps(
        dataset,
        trunk.trunk(embedder, *trunk.crossing(embedder, part)),
        photos.normalization,
        photos.resize,
        views=views or photos.views,
        augmentation=photos.augmentation,
        seed=photos.seed,
        threads=photos.threads,
        engine=photos.engine,
        progress=progress,
    )
    if unreadable:
        raise DataError(f"{unreadable[0].path} could be read before and cannot now: {unreadable[0].reason}.")
    return maps


def activations_in_time(
    embedder: bytes,
    part: str,
    photos: Photos,
    dataset: Dataset,
    progress: Progress,
    *,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[FeatureMaps, Array]:
    """Computes as many activations as a time limit allows: fewer views first, then fewer photos, at least a first few.

    Returns:
      The maps, and which photos they are of, int [M].
    """
    begin, number = clock(), len(dataset)
    order = np.random.default_rng(photos.seed).permutation(number)

    def some(rows: Array, views: int) -> FeatureMaps:
        chosen = replace(dataset, samples=tuple(dataset.samples[row] for row in rows))
        return activations(embedder, part, photos, chosen, SILENT, views=views)

    some(order[:CHUNK], photos.views)
    view = max(clock() - begin, 1e-6) / min(number, CHUNK) / photos.views
    affordable = int(seconds / (number * view))
    views, done = min(photos.views, max(1, affordable)), min(number, CHUNK)
    while done < number and clock() - begin < seconds:
        some(order[done : done + CHUNK], views)
        done = min(number, done + CHUNK)
        progress.step(done, number)
    chosen = np.sort(order[:done])
    if done < number or views < photos.views:
        progress.note(f"Time allows {views} views of {done:,} of {number:,} photos.")
    return some(chosen, views), chosen


class Pixels:
    """Input of the whole network, of the size that the embedder takes; photos are read and augmented in each epoch."""

    views = _FRESH_VIEWS

    def __init__(self, dataset: Dataset, photos: Photos, embedder: bytes):
        self._samples, self._photos = dataset.samples, photos
        self._size = Fit.to(LiteRTRunner(embedder).input_shape, photos.resize)

    def batch(self, photos: Array, views: Array | int = 0) -> Array:
        """Returns one view of each photo, float32 [B, H, H, 3], normalized; view 0 is the plain photo."""
        wanted = [(self._samples[photo], int(view)) for photo, view in np.broadcast(photos, views)]
        normalize, rows = self._photos.normalization, []
        for result in stream(wanted, self._size, lambda: normalize, threads=self._photos.threads, load=self._load):
            if isinstance(result, DataError):
                raise result
            rows.append(result)
        return np.concatenate(rows)

    def _load(self, wanted: tuple[Sample, int], size: Fit) -> Array:
        sample, number = wanted
        augmentation, seed = self._photos.augmentation, self._photos.seed
        return augment.views(sample.path, size, augmentation, digest=sample.digest, seed=seed, numbers=[number])
