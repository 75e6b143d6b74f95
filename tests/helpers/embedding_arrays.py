"""Embeddings whole in memory, as tests compare them."""

import numpy as np
from PIL import Image

from model_maker.embeddings.computing import cache_path, feature_maps
from model_maker.normalization import Normalization

PIXELS = Normalization(mean=127.0, std=128.0)


def embed(dataset, embedder, normalization, **options):
    """Returns what `feature_maps` finds, read: [N, D] of plain photos, else [N, K, D]; and what was skipped."""
    found, skipped = feature_maps(dataset, embedder, normalization, **options)
    vectors = found.read()
    return vectors if found.views > 1 else vectors[:, 0], skipped


def stored(embedder):
    """How many embeddings are in the cache."""
    return cache_path(embedder, PIXELS).with_suffix(".index").stat().st_size / (32 + 4)  # digest, checksum


def expected_means(dataset):
    """By arithmetic: the mean over all pixels of (pixel - 127) / 128, which is PIXELS."""
    return [((np.asarray(Image.open(s.path)).astype(float) - 127) / 128).mean((0, 1)) for s in dataset.samples]
