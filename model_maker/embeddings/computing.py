"""Computes embeddings: LiteRT on every core, streaming, cached by content hash in one store per embedder."""

import contextlib
import functools
import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from model_maker.data import augment, images
from model_maker.data.augment import PRESETS, Augmentation
from model_maker.data.dataset import Dataset, Skipped
from model_maker.data.streaming import stream
from model_maker.embeddings.engines import LOCAL
from model_maker.embeddings.store import FORMAT, EmbeddingStore, FeatureMaps, pack
from model_maker.embeddings.work import Engine, Wanted, Work, stored_type
from model_maker.errors import DataError, OutputError
from model_maker.fitting import STRETCH, Fit
from model_maker.normalization import Normalization
from model_maker.progress import SILENT, Progress
from model_maker.system import files
from model_maker.tflite import in_place
from model_maker.tflite.in_place import Ends
from model_maker.tflite.interpreter import LiteRTRunner

Array = np.ndarray


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of the readable photos, in order, with one or several views each, computed once for all."""

    photos: Dataset
    maps: FeatureMaps

    def select(self, part: Dataset) -> FeatureMaps:
        """Returns the features of some of the photos, in the order of `part`."""
        return self.maps.of(np.array([self._rows[sample.digest] for sample in part.samples], int))

    @functools.cached_property
    def _rows(self) -> dict[str, int]:
        return {sample.digest: row for row, sample in enumerate(self.photos.samples)}


def compute(
    dataset: Dataset,
    embedder: bytes,
    normalization: Normalization | None,
    resize: str = STRETCH,
    *,
    threads: int | None = None,
) -> tuple[Array, list[Skipped]]:
    """Embeds photos without caching, for embedders that are used only once.

    Returns:
      float16 [N, D] of the photos that can be read, in order, and the photos that cannot.
    """
    size = Fit.to(LiteRTRunner(embedder).input_shape, resize)
    results = stream((s.path for s in dataset.samples), size, Work(embedder, normalization).worker, threads=threads)
    vectors, skipped = [], []
    for sample, result in zip(dataset.samples, results, strict=True):
        if isinstance(result, DataError):
            skipped.append(Skipped(sample.path, str(result).removeprefix(f"{sample.path}: "), sample.part))
        else:
            vectors.append(result[0])
    return np.stack(vectors), skipped


def look_up(dataset: Dataset, embedder: bytes, resize: str = STRETCH, *, threads: int | None = None) -> Array:
    """Returns [N, D] of readable photos by an embedder of raw pixels, from the cache if it has all of them.

    Does not write to the cache.
    """
    store = _store(in_place.ends(embedder), cache_path(embedder, None, resize=resize))
    rows = store.find(_names(dataset, 1, PRESETS["none"], 0))[:, 0]
    if (rows >= 0).all():
        return store.read(rows)
    return compute(dataset, embedder, None, resize, threads=threads)[0]


def feature_maps(
    dataset: Dataset,
    embedder: bytes,
    normalization: Normalization | None,
    resize: str = STRETCH,
    *,
    views: int = 1,
    augmentation: Augmentation = PRESETS["none"],
    seed: int = 0,
    threads: int | None = None,
    engine: Engine = LOCAL,
    kernels: str = "xnnpack",
    progress: Progress = SILENT,
) -> tuple[FeatureMaps, list[Skipped]]:
    """Computes the embeddings of photos that are not cached yet, and adds them to the cache.

    Args:
      embedder: a `.tflite`, [1, H, W, 3] to [1, ...], float32 or int8.
      normalization: of the embedder's input; None for raw pixels.
      resize: how photos are fitted to its input, a key of `fitting.RESIZES`.
      views: K, number of views per photo; the first is the original, shared by all augmentations.
      augmentation, seed: of the other views.
      engine: where to embed; this machine by default.
      progress: receives the number of photos done, including cached ones, and a note if only some are cached.

    Returns:
      FeatureMaps of the photos that can be read, in order, and the photos that cannot.
    """
    stated: LiteRTRunner | Ends = in_place.ends(embedder)
    path = cache_path(embedder, normalization, kernels, resize=resize)
    store, names = _store(stated, path), _names(dataset, views, augmentation, seed)
    rows = store.find(names)
    if (rows < 0).any():
        stated = LiteRTRunner(embedder)  # LiteRT's shapes may differ from those that the file states
        store = _store(stated, path)
        rows = store.find(names)
    size, shape = Fit.to(stated.input_shape, resize), stated.output_shape[1:]
    missing = _Lacking(dataset, names, rows)
    known = int((rows >= 0).all(axis=1).sum())
    if 0 < known < len(dataset):
        progress.note(f"{known:,} of {len(dataset):,} photos were embedded before.")
    work = Work(embedder, normalization, augmentation, seed, kernels, name=path.stem)
    with contextlib.closing(engine.embed(missing, work, size, threads=threads)) as results:
        unreadable = _compute(missing, results, store, total=len(dataset), progress=progress)
    skipped = [Skipped(s.path, unreadable[s.digest], s.part) for s in dataset.samples if s.digest in unreadable]
    if missing:
        rows = store.find(names[[sample.digest not in unreadable for sample in dataset.samples]], check=False)
    if (rows < 0).any():
        raise OutputError(store.lost)
    return FeatureMaps(store, rows, shape, stated.output_step), skipped


def _store(embedder: LiteRTRunner | Ends, path: Path) -> EmbeddingStore:
    return EmbeddingStore(path, math.prod(embedder.output_shape[1:]), stored_type(embedder))


def cache_path(
    embedder: bytes, normalization: Normalization | None, kernels: str = "xnnpack", *, resize: str = STRETCH
) -> Path:
    """Returns the path of the store, derived from everything except the photo that affects an embedding."""
    runtime = f"litert-{metadata.version('ai-edge-litert')}"
    pixels = images.preprocessing(resize)
    recipe = f"{FORMAT} {hashlib.sha256(embedder).hexdigest()} {normalization} {pixels} {runtime} {kernels}"
    return files.cache_directory() / "embeddings" / f"{hashlib.sha256(recipe.encode()).hexdigest()[:24]}.vectors"


def _names(dataset: Dataset, views: int, augmentation: Augmentation, seed: int) -> Array:
    """Returns the store's key of each view of each photo, [N, K]."""
    names = (
        augment.identity(sample.digest, augmentation, seed=seed, number=number)
        for sample in dataset.samples
        for number in range(views)
    )
    return pack(names).reshape(len(dataset), views)


class _Lacking(Sequence[Wanted]):
    """Views that are not in the store, each photo once; entries are created lazily, since there may be a million.

    Keys of the views and their rows in the store are [N, K]; a row is -1 if missing.
    """

    def __init__(self, dataset: Dataset, names: Array, rows: Array):
        self._samples, self._names, self._rows = dataset.samples, names, rows
        lacking = np.flatnonzero((rows < 0).any(axis=1))
        _, first = np.unique(names[lacking, 0], return_index=True)
        self._photos = lacking[np.sort(first)]

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index):
        photo = self._photos[index]
        numbers = np.flatnonzero(self._rows[photo] < 0)
        return self._samples[photo], {int(number): self._names[photo, number].tobytes().hex() for number in numbers}


def _compute(
    missing: Sequence[Wanted],
    results: Iterator[Array | DataError],
    store: EmbeddingStore,
    *,
    total: int,
    progress: Progress,
) -> dict[str, str]:
    """Adds each result to the store immediately; returns digest -> reason for unreadable photos."""
    unreadable: dict[str, str] = {}
    done = total - len(missing)
    if done:
        progress.step(done, total)
    for (sample, names), result in zip(missing, results, strict=True):
        if isinstance(result, DataError):
            unreadable[sample.digest] = str(result).removeprefix(f"{sample.path}: ")
        else:
            store.append(pack(names.values()), result)
        done += 1
        progress.step(done, total)
    return unreadable
