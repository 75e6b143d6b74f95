"""Mixup and cutmix: blends pairs of photos and their labels within a batch.

They work on images and on feature maps, with a random generator that the caller seeds.
"""

import numpy as np

Array = np.ndarray
Rng = np.random.Generator


def mixup(batch: Array, labels: Array, rng: Rng, *, alpha: float) -> tuple[Array, Array]:
    """Blends each photo of a batch, float [N, H, W, C], and its label, float [N, classes] of sum 1, with another one.

    Shares are drawn per photo from Beta(alpha, alpha); 0 leaves the batch unchanged. The results are float32.

    Source: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization".
    """
    partner, share = _draw(len(batch), rng, alpha)
    return _blend(batch, batch[partner], share[:, None, None, None]), _blend(labels, labels[partner], share[:, None])


def cutmix(batch: Array, labels: Array, rng: Rng, *, alpha: float) -> tuple[Array, Array]:
    """Pastes into each photo a box of another, from the same place, and mixes labels by the box's area; see `mixup`.

    Areas are drawn per photo from Beta(alpha, alpha).

    Source: Yun et al. 2019, "CutMix", whose boxes may extend beyond the photo; these do not.
    """
    partner, share = _draw(len(batch), rng, alpha)
    sides = np.array(batch.shape[1:3])
    boxes = np.rint(np.sqrt(share)[:, None] * sides).astype(int)
    corners = rng.integers(0, sides - boxes + 1)
    mixed = batch.astype(np.float32)
    for row, other, (top, left), (height, width) in zip(mixed, partner, corners, boxes, strict=True):
        box = (slice(top, top + height), slice(left, left + width))
        row[box] = batch[other][box]
    pasted = boxes.prod(axis=1) / sides.prod()
    return mixed, _blend(labels, labels[partner], pasted[:, None])


def _draw(number: int, rng: Rng, alpha: float) -> tuple[Array, Array]:
    """Returns partners, int [N], and their shares, float [N]."""
    partner = rng.permutation(number)
    return partner, rng.beta(alpha, alpha, number) if alpha else np.zeros(number)


def _blend(own: Array, other: Array, share: Array) -> Array:
    return ((1 - share) * own + share * other).astype(np.float32)
