"""Embeddings as a head is fitted on them: standardized, whole in memory or streamed from the store."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from model_maker.learning.store import FeatureMaps

Array = np.ndarray

# Standardized features above this are streamed: 25,000 photos of 1280 features. A fit in memory holds them five times
# (once for each fold less its own photos, and as a whole); streamed, it is half as fast.
IN_MEMORY_BYTES = 128 << 20
# Photos of which a stream is made at a time, beside the fit's own pieces of work.
_BLOCK = 1024
# Rows that are converted at a time, so that they stay in a core's own cache.
_ROWS = 64


class Rows(Protocol):
    """The features of some photos in all their views, view by view, and a constant 1 behind them."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice) -> Array:
        """Returns float32 [B, D + 1]."""


class Features(Protocol):
    """Centered features, all divided by one number; relative sizes carry information and stay.

    Both numbers are those of the plain photos, which are what the phone sees.

    Attributes:
      center: float [D].
      scale: what they were divided by.
      streamed: whether they stay in the store.
    """

    center: Array
    scale: float
    streamed: bool

    def rows(self, photos: Array | slice) -> Rows:
        """Returns all views of some photos; `photos` is bool [N] or a slice."""

    def logits(self, photos: Array, parameters: Array) -> Array:
        """Applies kernel and bias, float32 [C, D + 1], to the plain views of some photos, bool [N]: float32 [n, C]."""


def standardize(embeddings: Array | FeatureMaps) -> Features:
    """Standardizes embeddings, float16 [N, D] or [N, K, D], where they are."""
    if isinstance(embeddings, np.ndarray):
        return _InMemory(embeddings if embeddings.ndim == 3 else embeddings[:, None])
    size = len(embeddings) * embeddings.views * embeddings.shape[0] * 4
    return _InMemory(embeddings.read()) if size <= IN_MEMORY_BYTES else _Streamed(embeddings)


class _InMemory:
    streamed = False

    def __init__(self, views: Array):
        features = views.astype(np.float32)
        self.center = features[:, 0].mean(axis=0)
        features -= self.center
        self.scale = float(np.sqrt(np.mean(features[:, 0] ** 2))) or 1.0
        features /= np.float32(self.scale)
        self._features = features

    def rows(self, photos: Array | slice) -> Array:
        depth = self._features.shape[2]
        chosen = self._features[photos].reshape(-1, depth)
        rows = np.ones((len(chosen), depth + 1), np.float32)
        rows[:, :-1] = chosen
        return rows

    def logits(self, photos: Array, parameters: Array) -> Array:
        return self._features[photos, 0] @ parameters[:, :-1].T + parameters[:, -1]


class _Streamed:
    streamed = True

    def __init__(self, maps: FeatureMaps):
        self._maps, self.views = maps, maps.views
        total = squares = np.zeros(maps.shape[0])
        for start in range(0, len(maps), _BLOCK):
            block = maps[start : start + _BLOCK].astype(np.float64)
            total, squares = total + block.sum(axis=0), squares + np.square(block).sum(axis=0)
        center = total / len(maps)
        self.center = center.astype(np.float32)
        # Of features that are all alike rounding may leave less than nothing.
        self.scale = math.sqrt(max(0.0, float(np.mean(squares / len(maps) - center**2)))) or 1.0
        # Every float16 there is, divided by the scale: looking it up takes half the time of converting and dividing.
        with np.errstate(invalid="ignore"):
            self._divided = np.arange(1 << 16, dtype=np.uint16).view(np.float16) / np.float32(self.scale)
        self._center = (center / self.scale).astype(np.float32)

    def rows(self, photos: Array | slice) -> _StreamedRows:
        return _StreamedRows(self, np.arange(len(self._maps))[photos])

    def logits(self, photos: Array, parameters: Array) -> Array:
        chosen = np.flatnonzero(photos)
        blocks = (chosen[start : start + _BLOCK] for start in range(0, len(chosen), _BLOCK))
        return np.concatenate([self.read(block, 0) @ parameters.T for block in blocks])

    def read(self, photos: Array, views: Array | int) -> Array:
        """Returns one view of each of some photos: float32 [B, D + 1]."""
        bits = self._maps[photos, views].view(np.uint16)
        rows = np.ones((len(bits), bits.shape[1] + 1), np.float32)
        for start in range(0, len(bits), _ROWS):
            some = slice(start, start + _ROWS)
            np.subtract(self._divided.take(bits[some], mode="clip"), self._center, out=rows[some, :-1])
        return rows


class _StreamedRows:
    def __init__(self, features: _Streamed, photos: Array):
        self._features, self._photos = features, photos

    def __len__(self) -> int:
        return len(self._photos) * self._features.views

    def __getitem__(self, rows: slice) -> Array:
        photos, views = np.divmod(np.arange(*rows.indices(len(self))), self._features.views)
        return self._features.read(self._photos[photos], views)
