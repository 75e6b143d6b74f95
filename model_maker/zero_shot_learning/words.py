"""The tier "words": from the vector of a text to the kernel of a class, as learned from ImageNet's classes.

A ridge regression maps text vectors to the published kernels. Its penalty is chosen by leaving out each class once.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_maker.data import imagenet
from model_maker.errors import DataError
from model_maker.progress import SILENT, Progress
from model_maker.zero_shot_learning import head
from model_maker.zero_shot_learning.head import PublishedHead, ZeroShotHead
from model_maker.zero_shot_learning.text_vectors import TextVectors

Array = np.ndarray[Any, Any]

NAME = "words"
PENALTIES = np.geomspace(0.01, 100, 25)


def fit(
    labels: tuple[str, ...], published: PublishedHead, vectors: TextVectors, *, progress: Progress = SILENT
) -> ZeroShotHead:
    """Gives each label the kernel that its text vector stands for.

    Kernels of words that are unlike all ImageNet classes come out short, which would leave them without photos; so all
    have one length, and no bias.

    Raises:
      DataError: there is no vector of a label, or too few of ImageNet's classes.
    """
    kernel = kernels(labels, published, vectors, progress=progress)
    lengths = np.linalg.norm(kernel, axis=1, keepdims=True)
    kernel = kernel / np.maximum(lengths, 1e-12) * np.sqrt(np.mean(lengths**2))
    count = len(vectors.classes(progress)[0])
    meanings = tuple(f"by its text vector, learned on {count} ImageNet classes" for _ in labels)
    return head.centered(labels, kernel, np.zeros(len(labels)), tier=NAME, meanings=meanings, source=vectors.name)


def kernels(
    texts: Sequence[str], published: PublishedHead, vectors: TextVectors, *, progress: Progress = SILENT
) -> Array:
    """Predicts the kernels of texts, less the mean of ImageNet's: float64 [N, D].

    Raises:
      DataError: there is no vector of a text, or too few of ImageNet's classes.
    """
    if len(published.kernel) != len(imagenet.labels()):
        raise DataError(
            f"The tier words learns on ImageNet's 1000 classes, and {published.backbone.name} has others. Choose "
            "another backbone."
        )
    wanted = vectors.embed(texts)
    classes, known = vectors.classes(progress)
    return regress(known.astype(np.float64), published.centered[classes], wanted.astype(np.float64))


def regress(known: Array, targets: Array, wanted: Array) -> Array:
    """Predicts targets, float64 [n, D] of known [n, E], by ridge regression with an intercept.

    Returns:
      float64 [m, D], with the one of PENALTIES under which targets are predicted best that were left out of the fit.
    """
    center, middle = known.mean(axis=0), targets.mean(axis=0)
    rows, values = known - center, targets - middle
    strengths, basis = np.linalg.eigh(rows @ rows.T)
    inside = basis.T @ values
    best, chosen = np.inf, basis
    for penalty in PENALTIES:
        inverse = basis / (strengths + penalty)
        # The intercept takes 1 / n of each row for itself.
        leverage = (inverse * strengths * basis).sum(axis=1) + 1 / len(rows)
        left_out = (values - (inverse * strengths) @ inside) / (1 - leverage)[:, None]
        if (loss := float(np.square(left_out).sum())) < best:
            best, chosen = loss, inverse
    predicted: Array = middle + (wanted - center) @ rows.T @ (chosen @ inside)
    return predicted
