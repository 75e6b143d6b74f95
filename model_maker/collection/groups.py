"""Groups of photos that are alike: k-means on the directions of their embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from model_maker.errors import DataError

Array = np.ndarray[Any, Any]

# What is left of embeddings: the directions in which they differ most. More cost time and change few groups.
_DIRECTIONS = 64
# Starts of which the best is kept; of each the steps.
_STARTS, _STEPS = 8, 50


def group(vectors: Array, count: int) -> tuple[Array, Array]:
    """Divides vectors into groups, the largest first; equal vectors give equal groups every time.

    Args:
      vectors: float32 [N, E], of length 1.
      count: how many groups.

    Returns:
      int [N], the group of each, and float [N], its cosine to the middle of the group.

    Raises:
      DataError: there are fewer vectors than groups.
    Source: Arthur and Vassilvitskii 2007, "k-means++".
    """
    if len(vectors) < count:
        raise DataError(f"{len(vectors)} photos give no {count} groups: `groups` has to be {len(vectors)} or fewer.")
    from scipy.cluster import vq  # here, for it takes long to import

    points = _reduced(vectors)
    if len(np.unique(points.round(6), axis=0)) < count:
        raise DataError(f"Too many of the photos are the same for {count} groups. Give a smaller number of `groups`.")
    best, members = np.inf, np.empty(0, int)
    for start in range(_STARTS):
        try:
            centers, found = vq.kmeans2(points, count, iter=_STEPS, minit="++", seed=start, missing="raise")
        except vq.ClusterError:  # a group has lost its last photo
            continue
        if (loss := float(np.square(points - centers[found]).sum())) < best:
            best, members = loss, found
    if not len(members):
        raise DataError(f"The photos fall into fewer than {count} groups. Give a smaller number of `groups`.")
    order = np.argsort(-np.bincount(members, minlength=count), kind="stable")
    members = np.argsort(order)[members]
    middles = np.stack([vectors[members == one].mean(axis=0) for one in range(count)])
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    return members, (vectors * middles[members]).sum(axis=1)


def _reduced(vectors: Array) -> Array:
    """Returns the principal components of vectors, float64 [N, at most _DIRECTIONS]."""
    from scipy import linalg

    rows = vectors - vectors.mean(axis=0)
    size = rows.shape[1]
    with threadpool_limits(1, "blas"):  # whose threads wait for each other in busy loops
        _, directions = linalg.eigh(rows.T @ rows, subset_by_index=(max(0, size - _DIRECTIONS), size - 1))
        reduced: Array = (rows @ directions).astype(np.float64)
    return reduced
