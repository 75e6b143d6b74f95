"""Proof that a finished file behaves as it did in training: on other kernels, against its float model, once written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from model_maker import evaluation
from model_maker.data.dataset import Dataset
from model_maker.errors import ModelError
from model_maker.inference.classifier import Classifier
from model_maker.tflite import inspection

Array = np.ndarray

# Kernels without XNNPACK are 5 and 30 times slower, so a sample of photos has to show that they agree.
KERNEL_PHOTOS = {"none": 16, "reference": 3}
# Rounding embeddings to float16 moves a probability by about 0.001; a wrongly attached head moves it by far more.
_PROMISE = 0.02


def check_integers(content: bytes, kind: str = "int8", *, kept: Mapping[str, str] | None = None) -> None:
    """Checks that no operator between the edges computes in more than was promised.

    Args:
      content: the `.tflite`.
      kind: "int8", which has neither float nor int16, or "int16x8", which has no float.
      kept: operators that are wider on purpose, as `quantize.quantize` was told; each must be what it was kept as.

    Raises:
      ModelError: others are wider, too; the message names them.
    """
    kept = kept or {}
    floats = [name for name, other in kept.items() if other == "float"]
    # An operator that was kept at int16 and is float nevertheless is none that was kept.
    for wider, word, spared in (("int16x8", "float", floats), (kind, "int16", list(kept))):
        if offenders := inspection.wider_operators(content, wider, kept=spared):
            listed = ", ".join(offenders[:3]) + (" ..." if len(offenders) > 3 else "")
            raise ModelError(
                f"The {kind} model still computes in {word} in {len(offenders)} operators: {listed}. "
                "Use `quantize='dynamic'`, or another backbone."
            )


def check_kernels(
    content: bytes,
    dataset: Dataset,
    scores: Array,
    *,
    threads: int | None = None,
    promised: Callable[[str, Dataset], Array] | None = None,
) -> dict:
    """Runs the file on LiteRT's other CPU paths, which some phones and apps use.

    Args:
      content: the `.tflite`.
      dataset: the photos that were scored.
      scores: float32 [N, C], what XNNPACK made of them.
      threads: photos at a time; None for all cores.
      promised: what the file's scores of photos are on a path, where that is known; one photo has to prove it.

    Returns:
      For each path: photos, share of equal top-1, largest difference of a score.

    Raises:
      ModelError: a path cannot run the file, or it gives other scores than promised.
    """
    found = {}
    for kernels, count in KERNEL_PHOTOS.items():
        chosen = dataset.spread(count)
        few, classifier = dataset.of(chosen), Classifier(content, threads=threads, kernels=kernels)
        if promised:
            other = promised(kernels, few)
            check_equal(classifier.score(few.of(range(min(1, len(few))))), other[:1])
        else:
            other = classifier.score(few)
        agreement = evaluation.compare(scores[chosen], other, np.array(dataset.labels)[chosen])
        found[kernels] = {
            "photos": len(chosen),
            "same_top1": agreement.same_top1,
            "largest_difference": agreement.largest_difference,
        }
    return found


def check_same_scores(content: bytes, dataset: Dataset, scores: Array, *, tolerance: float = 0.0) -> None:
    """Checks on a few photos that a file gives the scores it should.

    Args:
      content: the `.tflite`, opened anew.
      dataset, scores: photos and what is expected of them, float32 [N, C].
      tolerance: by how much a score may differ.

    Raises:
      ModelError: it gives others; the file must not ship.
    """
    found = Classifier(content, threads=1).score(replace(dataset, samples=dataset.samples[:4]))
    difference = float(np.abs(found - scores[:4]).max())
    if not difference <= tolerance:  # not a number is a difference, too
        raise ModelError(
            f"The written model gives other scores than the one that was measured (difference {difference:.3f}, "
            f"allowed {tolerance}). Nothing was kept; please report this."
        )


def check_promise(float_content: bytes, dataset: Dataset, scores: Array) -> None:
    """Checks that the float file gives the scores that float features and head promised; see `check_same_scores`."""
    check_same_scores(float_content, dataset, scores, tolerance=_PROMISE)


def check_equal(found: Array, promised: Array) -> None:
    """Checks that the int8 file gives, from pixels, the very scores that were computed from embeddings.

    Args:
      found: float32 [N, C], of the file.
      promised: of the same photos.

    Raises:
      ModelError: it gives others; the file must not ship.
    """
    if not np.array_equal(found, promised):
        photos = int((found != promised).any(axis=1).sum())
        raise ModelError(
            f"The int8 file gives other scores than its embeddings promised, of {photos} of {len(found)} photos. "
            "Nothing was kept; please report this."
        )
