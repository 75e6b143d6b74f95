"""What a head's logits say of a photo: SOFTMAX, that it has one of the labels; SIGMOID, which of the labels it has.

The truth is int [N], a label a photo, for the first, and bool [N, C], its labels, for the second.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model_maker.data import multi_label

Array = np.ndarray


@dataclass(frozen=True)
class Likelihood:
    """Loss and scores of logits, float [N, C].

    Attributes:
      scores: logits to probabilities [N, C].
      losses: (logits, truth) to the loss of each photo, float64 [N].
      residual: (logits, truth) to losses [N] and gradient [N, C], in float32; overwrites the logits.
      curve: (inverse temperature, logits, truth) to slope and curvature of each photo's loss, float64 [N].
      right: (logits, truth) to bool [N], whether the answer is correct.
      folds: (truth, count) to the fold of each photo, int [N], the labels spread evenly.
      shares: (truth, weights [C]) to the weight of each photo, float [N].
      is_shared: whether logits compete, so that what is added to all of them changes nothing.
    """

    scores: Callable[[Array], Array]
    losses: Callable[[Array, Array], Array]
    residual: Callable[[Array, Array], tuple[Array, Array]]
    curve: Callable[[float, Array, Array], tuple[Array, Array]]
    right: Callable[[Array, Array], Array]
    folds: Callable[[Array, int], Array]
    shares: Callable[[Array, Array], Array]
    is_shared: bool

    def temperature(self, logits: Array, truth: Array, share: Array) -> float:
        """Minimizes the loss over the temperature: Newton's method on its inverse, in which it is convex."""
        inverse = 1.0
        for _ in range(50):
            slopes, curvatures = self.curve(inverse, logits.astype(np.float64), truth)
            slope, curvature = np.average(slopes, weights=share), np.average(curvatures, weights=share)
            step = slope / max(curvature, 1e-12)
            # A held-out set without a single mistake has no minimum: the walk is bounded.
            inverse = float(np.clip(inverse - np.clip(step, -0.5 * inverse, inverse), 0.05, 20.0))
            if abs(step) < 1e-6:
                break
        return 1.0 / inverse

    def loss_at(self, temperature: float, logits: Array, truth: Array, share: Array) -> float:
        """Returns the mean loss of logits that are divided by a temperature."""
        return float(np.average(self.losses(logits / temperature, truth), weights=share))


def softmax(logits: Array) -> Array:
    """Maps logits [N, C] to probabilities [N, C]."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def sigmoid(logits: Array) -> Array:
    """Maps logits [N, C] to probabilities [N, C], each for itself."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1, small) / (1 + small)


def softmax_losses(logits: Array, labels: Array) -> Array:
    """Returns the loss of each photo, float64 [N], of logits [N, C]: minus the log of its class's probability."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]


def sigmoid_losses(logits: Array, targets: Array) -> Array:
    """Returns the loss of each photo, float64 [N]: the sum of the binary cross-entropies of its labels."""
    exact = logits.astype(np.float64)
    return (np.maximum(exact, 0) - exact * targets + np.log1p(np.exp(-np.abs(exact)))).sum(axis=1)


def _softmax_residual(logits: Array, labels: Array) -> tuple[Array, Array]:
    own = (np.arange(len(labels)), labels)
    logits -= logits.max(axis=1, keepdims=True)
    right = logits[own]
    residual = np.exp(logits, out=logits)
    total = residual.sum(axis=1, keepdims=True)
    losses = np.log(total[:, 0]) - right
    residual /= total
    residual[own] -= 1
    return losses, residual


def _sigmoid_residual(logits: Array, targets: Array) -> tuple[Array, Array]:
    small = np.exp(-np.abs(logits))
    losses = (np.maximum(logits, 0) - logits * targets + np.log1p(small)).sum(axis=1)
    residual = np.where(logits >= 0, np.float32(1), small) / (1 + small)
    return losses, residual - targets


def _softmax_curve(inverse: float, logits: Array, labels: Array) -> tuple[Array, Array]:
    scores = softmax(inverse * logits)
    mean = (scores * logits).sum(axis=1)
    return mean - logits[np.arange(len(labels)), labels], (scores * logits**2).sum(axis=1) - mean**2


def _sigmoid_curve(inverse: float, logits: Array, targets: Array) -> tuple[Array, Array]:
    scores = sigmoid(inverse * logits)
    return (logits * (scores - targets)).sum(axis=1), (logits**2 * scores * (1 - scores)).sum(axis=1)


def _stratified(labels: Array, count: int) -> Array:
    """Deals the photos of each class to so many folds in turn: int [N]."""
    order, counts = np.argsort(labels, kind="stable"), np.bincount(labels)
    folds = np.empty(len(labels), int)
    folds[order] = (np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)) % count
    return folds


SOFTMAX = Likelihood(
    softmax,
    softmax_losses,
    _softmax_residual,
    _softmax_curve,
    right=lambda logits, labels: logits.argmax(axis=1) == labels,
    folds=_stratified,
    shares=lambda labels, weights: weights[labels],
    is_shared=True,
)
SIGMOID = Likelihood(
    sigmoid,
    sigmoid_losses,
    _sigmoid_residual,
    _sigmoid_curve,
    right=lambda logits, targets: ((logits >= 0) == targets).all(axis=1),
    folds=multi_label.deal,
    shares=lambda targets, weights: np.ones(len(targets)),
    is_shared=False,
)
