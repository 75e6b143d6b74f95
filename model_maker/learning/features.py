"""Features for fitting a head: standardized by layer, in memory or streamed from the store."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from model_maker.embeddings.store import BLOCK, FeatureMaps
from model_maker.errors import ModelError
from model_maker.learning.spectrum import SAMPLE, Spectrum
from model_maker.tflite import network_layers
from model_maker.tflite.network_layers import Layer

Array = np.ndarray

# Standardized features above this are streamed: 10,000 photos of 3,088 features. A fit in memory holds them twice, as a
# whole and less the photos of a fold; streamed, it is half as fast.
IN_MEMORY_BYTES = 128 << 20
# From so many rows on a fit is preconditioned; with fewer it takes as long without.
MANY = 1024
# With fewer rows than this share of the features, rows are expressed in their own basis.
FEW = 0.5
# Added to the diagonal of the Gram matrix, as a share of its mean: copies of a photo must not make it singular.
_JITTER = 1e-7


class FeatureRows(Protocol):
    """The features of some photos in all views, view by view, followed by a constant 1."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice) -> Array:
        """Returns float32 [B, D + 1]."""


class Features(Protocol):
    """Centered features; each layer is divided by a single number, because relative sizes carry information.

    Centers and divisors are those of photos without augmentation, as on the phone.

    Attributes:
      size: D, the number of features.
      streamed: whether they are read from the store.
      spectrum: of all photos; None where they are few.
    """

    size: int
    streamed: bool

    @property
    def spectrum(self) -> Spectrum | None: ...

    def rows(self, photos: Array | slice) -> FeatureRows:
        """Returns all views of some photos; `photos` is bool [N] or a slice."""

    def logits(self, photos: Array, parameters: Array) -> Array:
        """Applies kernel and bias, float32 [C, D + 1], to the plain views of some photos, bool [N]: float32 [n, C]."""

    def unstandardized(self, parameters: Array) -> tuple[Array, Array]:
        """Converts parameters to kernel [C, F] and bias [C] for original embeddings."""


class FeatureTable:
    """The features of N photos by layer; standardizes any set of layers.

    Args:
      values: [N, F] or [N, K, F], K views of each photo, the plain one first; or the same in a store.
      layers: the layers of F; a single one by default.
      step: scale of integers; a store has its own.
    """

    def __init__(self, values: Array | FeatureMaps, layers: Sequence[Layer] = (), step: float = 1.0):
        self.streamed = False
        self._products: dict[str, Array] = {}
        if isinstance(values, FeatureMaps):
            step, size = values.step, values.shape[0]
            self.streamed = 4 * len(values) * values.views * size > IN_MEMORY_BYTES
            if self.streamed:
                self._maps, (self._center, self._square) = values, _moments(values)
            else:
                values = values.read()
        if isinstance(values, np.ndarray):
            self._values, size = values if values.ndim == 3 else values[:, None], values.shape[-1]
        self._step, self.layers = step, tuple(layers) or (Layer("embedding", size, 1),)

    def standardize(self, chosen: Sequence[Layer]) -> Features:
        """Returns the features of some layers, in the order of all."""
        if self.streamed:
            columns = network_layers.features(self.layers, chosen)
            scale = np.concatenate([self._divisors(layer) for layer in chosen])
            return _Streamed(self._maps, columns, self._center[columns], scale, self._step)
        center, scale, whole = self._standardized
        columns = network_layers.features(self.layers, chosen)
        start, size = int(columns[0]), len(columns)
        # Sets of layers that end with the last one share memory.
        ends = start + size == len(center)
        features = whole[..., start:] if ends else whole[..., np.append(columns, len(center))]
        count, products = features.shape[0] * features.shape[1], None
        if count < FEW * size:
            products = functools.reduce(np.add, map(self._product, chosen), np.zeros((count, count)))
        return _InMemory(features, center[columns], scale[columns], self._step, products)

    def logits(self, kernel: Array, bias: Array) -> Array:
        """Applies a kernel, float [C, D] on the last layer, to all views of all photos: float32 [N, K, C]."""
        columns = network_layers.features(self.layers, self.layers[-1:])
        turned = kernel.T.astype(np.float32) * np.float32(self._step)

        def of(values: Array) -> Array:
            return values[..., columns].astype(np.float32) @ turned + bias.astype(np.float32)

        if not self.streamed:
            return of(self._values)
        every = np.arange(len(self._maps))
        blocks = [every[start : start + BLOCK] for start in range(0, len(every), BLOCK)]
        views = range(self._maps.views)
        return np.concatenate([np.stack([of(self._maps[block, view]) for view in views], axis=1) for block in blocks])

    @functools.cached_property
    def _standardized(self) -> tuple[Array, Array, Array]:
        """What was subtracted and what it was divided by, float32 [F]; all that is left, [N, K, F + 1], ends with 1."""
        photos, views, size = self._values.shape
        center, scale = np.empty(size, np.float32), np.empty(size, np.float32)
        whole = np.ones((photos, views, size + 1), np.float32)
        for layer in self.layers:
            columns = network_layers.features(self.layers, [layer])
            features = self._values[..., columns].astype(np.float32)
            center[columns] = features[:, 0].mean(axis=0)
            with np.errstate(invalid="ignore"):  # of features that are not finite, which ends below
                features -= center[columns]
            scale[columns] = divisor = _divisor(np.mean(features[:, 0] ** 2), layer)
            whole[..., columns] = features / divisor
        return center, scale, whole

    def _product(self, layer: Layer) -> Array:
        """Returns the products of all rows with each other in one layer, which all sets share."""
        if layer.name not in self._products:
            columns = network_layers.features(self.layers, [layer])
            rows = self._standardized[2][..., columns].reshape(-1, layer.size).astype(np.float64)
            self._products[layer.name] = rows @ rows.T
        return self._products[layer.name]

    def _divisors(self, layer: Layer) -> Array:
        columns = network_layers.features(self.layers, [layer])
        with np.errstate(invalid="ignore"):  # of features that are not finite, which ends below
            variance = np.mean(self._square[columns] - self._center[columns] ** 2)
        return np.full(layer.size, _divisor(variance, layer))


def _divisor(variance: np.floating, layer: Layer) -> np.float32:
    if not np.isfinite(variance):
        raise ModelError(
            f"Features of layer {layer.name} are not finite numbers on some photos, so no head can be fitted on them. "
            "Check what the model's input expects, `normalization=MEAN,STD`, or take another model."
        )
    # Rounding may make the variance of equal features negative.
    return np.float32(np.sqrt(max(float(variance), 0.0)) or 1.0)


def _moments(maps: FeatureMaps) -> tuple[Array, Array]:
    """Returns the mean and the mean square of each feature of the plain views, float64 [F], in stored units."""
    total = squares = np.zeros(maps.shape[0])
    for start in range(0, len(maps), BLOCK):
        block = maps[start : start + BLOCK].astype(np.float64)
        total, squares = total + block.sum(axis=0), squares + np.square(block).sum(axis=0)
    return total / len(maps), squares / len(maps)


def _spectrum(rows: FeatureRows) -> Spectrum | None:
    """Estimates the spectrum from rows evenly spread over all, if they are many."""
    return Spectrum.of(rows[:: -(-len(rows) // SAMPLE)][:, :-1]) if len(rows) >= MANY else None


def _unstandardized(kernel: Array, bias: Array, center: Array, scale: Array, step: float) -> tuple[Array, Array]:
    kernel = kernel / (scale * step)
    return kernel, bias - kernel @ (center * step)


def _solve_transposed(lower: Array, right: Array, *, block: int = 256) -> Array:
    """Solves L^T X = B for a lower triangle L; scipy does the same, and takes longer to import than a whole fit."""
    found = right.copy()
    for end in range(len(lower), 0, -block):
        start = max(0, end - block)
        found[start:end] = np.linalg.solve(lower[start:end, start:end].T, found[start:end])
        found[:start] -= lower[start:end, :start].T @ found[start:end]
    return found


class _InMemory:
    """Features [N, K, D + 1], the last of which is 1."""

    streamed = False

    def __init__(self, features: Array, center: Array, scale: Array, step: float, products: Array | None):
        self._center, self._scale, self._step, self._whole = center, scale, step, features
        self._features, self._factor = features, None
        if products is not None:
            # Rows are as many as their own basis has directions, and lie in it as a triangle. The penalty of a kernel
            # is the same in any orthonormal basis, and nothing outside of it helps: the minimum stays where it is.
            products[np.diag_indices_from(products)] += _JITTER * np.trace(products) / len(products)
            self._factor = np.linalg.cholesky(products)
            self._features = np.ones((*features.shape[:2], len(products) + 1), np.float32)
            self._features[..., :-1] = self._factor.reshape(*features.shape[:2], -1)
        self.size = self._features.shape[2] - 1

    @functools.cached_property
    def spectrum(self) -> Spectrum | None:
        return _spectrum(self.rows(slice(None)))

    def rows(self, photos: Array | slice) -> Array:
        return self._features[photos].reshape(-1, self.size + 1)

    def logits(self, photos: Array, parameters: Array) -> Array:
        return self._features[photos, 0, :-1] @ parameters[:, :-1].T + parameters[:, -1]

    def unstandardized(self, parameters: Array) -> tuple[Array, Array]:
        kernel = parameters[:, :-1].astype(np.float64)
        if self._factor is not None:
            # Rows X are L B with a triangle L and the basis B, so a kernel A in it is A L^-1 X.
            rows = self._whole[..., :-1].reshape(len(self._factor), -1)
            kernel = _solve_transposed(self._factor, kernel.T).T @ rows
        return _unstandardized(kernel, parameters[:, -1], self._center, self._scale, self._step)


class _Streamed:
    streamed = True

    def __init__(self, maps: FeatureMaps, columns: Array, center: Array, scale: Array, step: float):
        self._maps, self.views, self._step = maps, maps.views, step
        self._center, self._scale, self.size = center, scale, len(columns)
        # Adjacent columns are a view without a copy.
        follow = columns[-1] - columns[0] + 1 == len(columns)
        self._columns: Array | slice = slice(int(columns[0]), int(columns[-1]) + 1) if follow else columns
        self._factor, self._shift = (1 / scale).astype(np.float32), (center / scale).astype(np.float32)

    @functools.cached_property
    def spectrum(self) -> Spectrum | None:
        return _spectrum(self.rows(slice(None)))

    def rows(self, photos: Array | slice) -> _StreamedRows:
        return _StreamedRows(self, np.arange(len(self._maps))[photos])

    def logits(self, photos: Array, parameters: Array) -> Array:
        chosen = np.flatnonzero(photos)
        blocks = (chosen[start : start + BLOCK] for start in range(0, len(chosen), BLOCK))
        return np.concatenate([self.read(block, 0) @ parameters.T for block in blocks])

    def read(self, photos: Array, views: Array | int) -> Array:
        """Returns one view of each of some photos: float32 [B, D + 1]."""
        values = self._maps[photos, views][:, self._columns]
        rows = np.ones((len(values), self.size + 1), np.float32)
        np.multiply(values, self._factor, out=rows[:, :-1], dtype=np.float32, casting="unsafe")
        rows[:, :-1] -= self._shift
        return rows

    def unstandardized(self, parameters: Array) -> tuple[Array, Array]:
        kernel = parameters[:, :-1].astype(np.float64)
        return _unstandardized(kernel, parameters[:, -1], self._center, self._scale, self._step)


class _StreamedRows:
    def __init__(self, features: _Streamed, photos: Array):
        self._features, self._photos = features, photos

    def __len__(self) -> int:
        return len(self._photos) * self._features.views

    def __getitem__(self, rows: slice) -> Array:
        photos, views = np.divmod(np.arange(*rows.indices(len(self))), self._features.views)
        return self._features.read(self._photos[photos], views)
