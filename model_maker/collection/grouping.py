"""Clusters of similar photos: spherical k-means on their embeddings."""

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from model_maker.errors import DataError

Array = np.ndarray[Any, Any]

# Principal components kept of embeddings. More cost time and change few groups.
_DIRECTIONS = 64
# Random starts, of which the best is kept, and steps of each.
_STARTS, _STEPS = 8, 50


def group(vectors: Array, count: int) -> tuple[Array, Array]:
    """Clusters vectors, float32 [N, E] of length 1, into groups, the largest first; deterministic.

    Returns:
      int [N], the group of each, and float [N], its cosine similarity to the group's center.

    Raises:
      DataError: there are fewer vectors than groups.
    Source: Arthur and Vassilvitskii 2007, "k-means++".
    """
    if len(vectors) < count:
        raise DataError(f"{len(vectors)} photos cannot form {count} groups: `groups` must be {len(vectors)} or fewer.")
    from scipy.cluster import vq  # imported here, because it is slow to import

    points = _reduced(vectors)
    if len(np.unique(points.round(6), axis=0)) < count:
        raise DataError(f"Too many of the photos are the same for {count} groups. Give a smaller number of `groups`.")
    best, members = np.inf, np.empty(0, int)
    for start in range(_STARTS):
        try:
            centers, found = vq.kmeans2(points, count, iter=_STEPS, minit="++", seed=start, missing="raise")
        except vq.ClusterError:  # a group has become empty
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
    with threadpool_limits(1, "blas"):  # its threads busy-wait for each other
        _, directions = linalg.eigh(rows.T @ rows, subset_by_index=(max(0, size - _DIRECTIONS), size - 1))
        reduced: Array = (rows @ directions).astype(np.float64)
    return reduced
