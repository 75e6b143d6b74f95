"""One more row for a fitted head: from a few photos of a new class and the memory of the old ones.

Old rows stay as they are, so nothing changes between old classes. Against photos drawn from the memory, the new row is
fitted by logistic regression that is drawn towards an imprint of the new photos: with few photos it stays near that,
with many it goes where they lead. The threshold between old and new then comes from photos that the row was not fitted
on: new ones by leaving some out, old ones drawn afresh.

Sources: Qi, Brown, Lowe 2018, "Low-Shot Learning with Imprinted Weights"; Fisher 1936 (the direction of the imprint).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from model_maker.learning.lbfgs import minimize
from model_maker.tflite.class_memory import ClassMemory
from model_maker.tflite.class_rows import Rows

Array = np.ndarray

# All of these were chosen by leaving out each class of two sets of photos in turn; see docs/how-to/classes.md.
# Photos drawn of each old class, and of all of them at most.
_DRAWN, _MOST_DRAWN = 120, 1200
# How strongly the row is drawn towards the imprint.
_PRIOR = 0.3
# The imprint's length beside the mean length of old rows.
_LENGTH = 0.6
# The same where there is no fit behind it, and no threshold.
_TAUGHT_LENGTH = 0.7
# And beside that of many old rows, where the file has no memory: a part of the direction is what five photos have in
# common by chance, and answers to photos of others. Chosen for each class on the other ones and other draws.
_ALONE_LENGTH = 0.95
# Added to the variance of each feature, of unit variance by layer, where directions are weighed.
_RIDGE = 1.0
# What an old photo that is lost counts beside a new one that is found.
_OLD_COUNTS = 12.0
# The share of drawn old photos that the new class may take at most: real ones are further from their mean.
_MOST_LOST = 0.003
_FOLDS = 5
# Where a new row is to be a sum of old ones, these are at least one for so many features.
_SPANNING = 4
# The dimensions in which the square root of a covariance is looked for.
_KRYLOV = 24
_ITERATIONS = 40


@dataclass(frozen=True)
class NewRow:
    """What was fitted.

    Attributes:
      kernel: float32 [D].
      held_out: float32 [n], by how much the new class's logit is above the best other one's for each photo, by a row
        that has not learned from it; empty for a single photo.
    """

    kernel: Array
    bias: float
    held_out: Array


def fit(
    rows: Rows, memory: ClassMemory, photos: Array, *, layers: Sequence[int] = (), prior: Array | None = None
) -> NewRow:
    """Fits the row of a class.

    Args:
      photos: embeddings of the class, float32 [n, D].
      layers: sizes of the parts of an embedding that have a scale of their own; one part by default.
      prior: the kernel to be near to, [D]; an imprint of the photos by default.
    """
    with threadpool_limits(1, "blas"):
        if len(photos) == 1:
            # One photo does not say how far from it others are, so there is nothing to find a threshold by.
            taught = teaching(rows, memory, np.empty(0), layers=layers)
            kernel = taught.kernel(photos[0])
            return NewRow(kernel, float(taught.offset - kernel @ taught.center), np.empty(0, np.float32))
        scaled = _Scaled(rows, memory, layers)
        given = scaled(photos)
        start = None if prior is None else np.asarray(prior, np.float32) * scaled.divisor
        kernel, bias = scaled.row(given, start)
        shift, held_out = scaled.threshold(given, kernel, bias, start)
        real = kernel / scaled.divisor
        return NewRow(real.astype(np.float32), float(bias + shift - real @ scaled.center), held_out)


@dataclass(frozen=True)
class Teaching:
    """What an app needs to imprint classes by itself, by arithmetic that is the same in any language.

    A new row is r = length * d / |d| / divisor with d = (mean of the photos - center) / divisor; its logit of a photo x
    is r.(x - center) + offset.
    """

    center: Array
    divisor: Array
    length: float
    offset: float

    def kernel(self, mean: Array) -> Array:
        """Returns the row of a class whose photos have this mean."""
        direction = (mean - self.center) / self.divisor
        kernel: Array = direction * (self.length / (float(np.linalg.norm(direction)) or 1.0)) / self.divisor
        return kernel.astype(np.float32)


def teaching(rows: Rows, memory: ClassMemory | None, stand_ins: Array, *, layers: Sequence[int] = ()) -> Teaching:
    """Returns how classes are taught beside those of `rows`; see `fit` and `imprint` for the rest."""
    if memory:
        scaled = _Scaled(rows, memory, layers)
        center, divisor = scaled.center, scaled.divisor
    else:
        center, divisor = stand_ins.mean(axis=0), np.ones(rows.kernel.shape[1], np.float32)
    length = _TAUGHT_LENGTH * float(np.linalg.norm(rows.kernel * divisor, axis=1).mean())
    return Teaching(center, divisor, length, float((rows.bias + rows.kernel @ center).mean()))


def imprint(rows: Rows, photos: Array, stand_ins: Array) -> NewRow:
    """Makes the row of a class where nothing is known of the photos of the others.

    Of many old rows, the new one is a row like them. They are class means, weighed by how little features vary inside
    of classes; where means spread alike in all directions, the square root of the rows' covariance says how. So the
    new row is that root times the mean of the new photos, a little shorter than the old ones and with their mean bias,
    and needs no threshold. With more classes than features rows cannot be independent, and the new one also answers to
    photos of others: there it has to be ahead by half of what new photos are.

    Of few old rows, it is the mean of the photos, less that of pictures of anything. There the threshold lies half way
    between new photos and old ones, which are as far from the new row as these are from the best old one.

    Args:
      photos: embeddings of the class, float32 [n, D].
      stand_ins: embeddings of pictures of anything, [m, D]; none are needed where `needs_stand_ins` says so.
    """
    with threadpool_limits(1, "blas"):
        logits = rows.logits(photos)
        best, middle = logits.max(axis=1), logits.mean(axis=1)
        if len(stand_ins):
            center, mean, base = stand_ins.mean(axis=0), np.zeros(photos.shape[1], np.float32), float(middle.mean())
            directions = photos - center
        else:
            center, mean, base = (
                np.zeros(photos.shape[1], np.float32),
                rows.kernel.mean(axis=0),
                float(rows.bias.mean()),
            )
            directions = np.stack([_weighed(rows.kernel - mean, photo) for photo in photos])
        length = float(np.linalg.norm(rows.kernel - rows.kernel.mean(axis=0), axis=1).mean())
        length *= 1.0 if len(stand_ins) else _ALONE_LENGTH
        margins = (photos - center) @ mean + base - best
        kernel = _long(directions.mean(axis=0), length)
        if len(photos) > 1:
            left = [_long(np.delete(directions, at, axis=0).mean(axis=0), length) for at in range(len(photos))]
            held_out = margins + np.einsum("nd,nd->n", photos - center, np.stack(left))
            expected = float(held_out.mean())
        else:
            held_out, expected = np.empty(0), float((margins + (photos - center) @ kernel).mean()) / 2
        if len(stand_ins):
            shift = (float((best - middle).mean()) - expected) / 2
        else:
            shift = 0.0 if len(rows.kernel) <= photos.shape[1] else -max(0.0, expected) / 2
        kernel = (mean + kernel).astype(np.float32)
        return NewRow(kernel, base - float(center @ kernel) + shift, (held_out + shift).astype(np.float32))


def needs_stand_ins(rows: Rows) -> bool:
    """Whether old rows are too few to say how a new one has to look."""
    classes, features = rows.kernel.shape
    return classes * _SPANNING < features


def _long(direction: Array, length: float) -> Array:
    """Returns a vector of that length."""
    scaled: Array = direction * (length / (float(np.linalg.norm(direction)) or 1.0))
    return scaled


def _weighed(centered: Array, photo: Array) -> Array:
    """Returns a photo times the square root of the rows' covariance, by Lanczos' method (1950).

    All singular values would take ten times as long, and give the same direction to a cosine of .9999.
    """
    length = float(np.linalg.norm(photo)) or 1.0
    basis, diagonal, beside = (photo / length)[None], [], []
    for _ in range(_KRYLOV):
        vector = centered.T @ (centered @ basis[-1])
        diagonal.append(float(vector @ basis[-1]))
        vector = vector - basis.T @ (basis @ vector)
        left = float(np.linalg.norm(vector))
        if left <= 1e-6 * diagonal[0]:
            break
        beside.append(left)
        basis = np.concatenate([basis, vector[None] / left])
    size = len(diagonal)
    values, vectors = np.linalg.eigh(
        np.diag(diagonal) + np.diag(beside[: size - 1], 1) + np.diag(beside[: size - 1], -1)
    )
    weighed: Array = length * (vectors @ (np.sqrt(np.maximum(values, 0)) * vectors[0])) @ basis[:size]
    return weighed.astype(np.float32)


class _Scaled:
    """Other classes as the fit sees them: embeddings centered and divided by layer, and photos drawn of them.

    A photo x is taken for the new class where w.x + b is above h, the logarithm of the sum of exp(logit) of the others:
    the softmax over all classes then is a logistic regression with the offset h.
    """

    def __init__(self, rows: Rows, memory: ClassMemory, layers: Sequence[int]):
        self.center = memory.means.mean(axis=0)
        variance = np.square(memory.basis).sum(axis=0) + np.square(memory.spread) + memory.means.var(axis=0)
        self.divisor = np.concatenate(
            [np.full(len(part), np.sqrt(part.mean()) or 1.0) for part in np.split(variance, np.cumsum(layers)[:-1])]
        ).astype(np.float32)
        self._basis, self._spread = memory.basis / self.divisor, memory.spread / self.divisor
        self._kernel = (rows.kernel * self.divisor).astype(np.float32)
        self._bias = (rows.bias + rows.kernel @ self.center).astype(np.float32)
        each = max(1, min(_DRAWN, _MOST_DRAWN // len(memory.counts)))
        own = np.repeat(np.arange(len(memory.counts)), each)
        random = np.random.default_rng(0)
        self._old, fresh = (self(memory.draw(memory.means[own], random)) for _ in range(2))
        self._old_others = self._others(self._old)
        self._weight = np.full(len(own), 1 / each, np.float32)
        self._fresh, logits = fresh, fresh @ self._kernel.T + self._bias
        self._fresh_others, self._fresh_best = _log_sum(logits), logits.max(axis=1)
        self._fresh_right = logits.argmax(axis=1) == own

    def __call__(self, embeddings: Array) -> Array:
        return ((embeddings - self.center) / self.divisor).astype(np.float32)

    def _others(self, scaled: Array) -> Array:
        return _log_sum(scaled @ self._kernel.T + self._bias)

    def row(self, photos: Array, prior: Array | None) -> tuple[Array, float]:
        """Fits kernel and bias."""
        start = self._imprint(photos.mean(axis=0)) if prior is None else prior
        known = np.ones((len(self._old) + len(photos), len(start) + 1), np.float32)
        known[:, :-1] = np.concatenate([self._old, photos])
        others = np.concatenate([self._old_others, self._others(photos)])
        sign = np.repeat(np.array([1, -1], np.float32), [len(self._old), len(photos)])
        weight = np.concatenate([self._weight, np.full(len(photos), 1 / len(photos), np.float32)])
        first = np.append(start, self._bias.mean()).astype(np.float32)
        offset = known @ first - others

        def loss(change: Array) -> tuple[float, Array]:
            wrong = (offset + known @ change) * sign
            gradient = known.T @ (weight * sign * _sigmoid(wrong))
            gradient[:-1] += np.float32(_PRIOR) * change[:-1]
            penalty = 0.5 * _PRIOR * float(change[:-1] @ change[:-1])
            return float(weight @ np.logaddexp(0, wrong)) + penalty, gradient

        found = first + minimize(loss, np.zeros_like(first), _ITERATIONS)[0]
        return found[:-1], float(found[-1])

    def _imprint(self, mean: Array) -> Array:
        """Returns the mean of the photos, as it stands out from the covariance, as long as a row should be."""
        root = np.sqrt(np.square(self._spread) + _RIDGE)
        basis, whitened = self._basis / root, mean / root
        inner = np.eye(len(basis)) + basis @ basis.T
        direction = (whitened - basis.T @ np.linalg.solve(inner, basis @ whitened)) / root
        length = float(np.linalg.norm(direction)) or 1.0
        return (direction * (_LENGTH * np.linalg.norm(self._kernel, axis=1).mean() / length)).astype(np.float32)

    def threshold(self, photos: Array, kernel: Array, bias: float, prior: Array | None) -> tuple[float, Array]:
        """Returns what to add to the bias, and the margins of photos that were left out."""
        lost = np.sort((self._fresh_best - self._fresh @ kernel - bias)[self._fresh_right])
        most = float(np.quantile(lost, min(1.0, _MOST_LOST * len(self._fresh) / max(1, len(lost))))) if len(lost) else 0
        folds = np.arange(len(photos)) % min(_FOLDS, len(photos))
        new, best, old = np.empty(len(photos)), np.empty(len(photos)), []
        for fold in np.unique(folds):
            held = folds == fold
            left_kernel, left_bias = self.row(photos[~held], prior)
            logits = photos[held] @ self._kernel.T + self._bias
            own = photos[held] @ left_kernel + left_bias
            new[held], best[held] = own - _log_sum(logits), own - logits.max(axis=1)
            old.append(self._fresh @ left_kernel + left_bias - self._fresh_others)
        weight = np.tile(self._weight, len(old)) * (_OLD_COUNTS / len(old))
        shift = min(_balance(new, np.concatenate(old), weight), most)
        return shift, (best + shift).astype(np.float32)


def _balance(new: Array, old: Array, weight: Array) -> float:
    """Returns the shift of all margins that makes their loss least, by halving: its slope only rises."""
    low, high = -30.0, 30.0
    for _ in range(40):
        shift = (low + high) / 2
        slope = float(weight @ _sigmoid(old + shift)) - float(_sigmoid(-(new + shift)).mean())
        low, high = (low, shift) if slope > 0 else (shift, high)
    return (low + high) / 2


def _log_sum(logits: Array) -> Array:
    highest = logits.max(axis=1)
    summed: Array = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    return summed


def _sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-np.clip(values, -40, 40)))
