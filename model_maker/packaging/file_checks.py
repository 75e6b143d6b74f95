"""Checks that the finished file gives the scores of training: on other kernels, and after writing."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.data.dataset import Dataset
from model_maker.errors import ModelError
from model_maker.inference.classifier import FileClassifier
from model_maker.inference.training_report import KernelAgreement
from model_maker.tflite import graph, inspection
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray

# Kernels without XNNPACK are 5 and 30 times slower, so they are compared on a sample of photos.
KERNEL_PHOTOS = {"none": 16, "reference": 3}
# Rounding embeddings to float16 moves a probability by about 0.001; a wrongly attached head moves it by far more.
_PROMISE = 0.02


def check_integers(content: bytes, kind: str = "int8", *, kept: Mapping[str, str] | None = None) -> None:
    """Checks that no operator between input and output computes with more precision than its kind allows.

    Args:
      kind: "int8", which has neither float nor int16, or "int16x8", which has no float.
      kept: operators with higher precision by intention, as passed to `quantize.quantize`; each must have that type.

    Raises:
      ModelError: other operators have a higher precision; the message names them.
    """
    check_operators(graph.parse(content), kind, kept=kept)


def check_operators(model: schema.ModelT, kind: str = "int8", *, kept: Mapping[str, str] | None = None) -> None:
    """Checks the operators of an object tree; see `check_integers`."""
    kept = kept or {}
    floats = [name for name, other in kept.items() if other == "float"]
    # An operator that should be int16 but is float is an offender.
    for wider, word, spared in (("int16x8", "float", floats), (kind, "int16", list(kept))):
        if offenders := inspection.wider_operators(model, wider, kept=spared):
            listed = ", ".join(offenders[:3]) + (" ..." if len(offenders) > 3 else "")
            raise ModelError(
                f"The {kind} model still has {len(offenders)} {word} operators: {listed}. "
                "Use `quantize='dynamic'`, or another backbone."
            )


def check_kernels(
    content: bytes,
    dataset: Dataset,
    scores: Array,
    *,
    threads: int | None = None,
    promised: Callable[[str, Dataset], Array] | None = None,
) -> dict[str, KernelAgreement]:
    """Runs the file on LiteRT's other CPU kernels, which some phones and apps use.

    Args:
      scores: float32 [N, C], the scores on XNNPACK.
      promised: expected scores by kernels, where known; verified on one photo.

    Returns:
      The agreement by name of the kernels.

    Raises:
      ModelError: the kernels cannot run the file, or its scores differ from those expected.
    """
    found = {}
    for kernels, count in KERNEL_PHOTOS.items():
        chosen = dataset.spread(count)
        few, classifier = dataset.of(chosen), FileClassifier(content, threads=threads, kernels=kernels)
        if promised:
            other = promised(kernels, few)
            check_equal(classifier.score(few.of(range(min(1, len(few))))), other[:1])
        else:
            other = classifier.score(few)
        largest = float(np.abs(scores[chosen] - other).max())
        same = _same_answers(scores[chosen], other, classifier.info)
        found[kernels] = KernelAgreement(photos=len(chosen), largest_difference=largest, **same)
    return found


def _same_answers(scores: Array, other: Array, info: ModelInfo) -> dict[str, float]:
    """Returns the share of photos with the same best label, or with the same labels for multi-label models."""
    if info.multi_label:
        return {"same_labels": float(((scores >= info.limits) == (other >= info.limits)).all(axis=1).mean())}
    return {"same_top1": float((scores.argmax(axis=1) == other.argmax(axis=1)).mean())}


def check_same_scores(content: bytes, dataset: Dataset, scores: Array, *, tolerance: float = 0.0) -> None:
    """Checks the scores of a file, float32 [N, C], on a few photos; they may differ by a tolerance.

    Raises:
      ModelError: the scores differ; the file must not ship.
    """
    found = FileClassifier(content, threads=1).score(replace(dataset, samples=dataset.samples[:4]))
    difference = float(np.abs(found - scores[:4]).max())
    if not difference <= tolerance:  # NaN counts as a difference
        raise ModelError(
            f"The scores of the written model differ from those that were measured (difference {difference:.3f}, "
            f"allowed {tolerance}). No output was written; please report this."
        )


def check_promise(float_content: bytes, dataset: Dataset, scores: Array) -> None:
    """Checks that the float file gives the scores computed from float features and head; see `check_same_scores`."""
    check_same_scores(float_content, dataset, scores, tolerance=_PROMISE)


def check_equal(found: Array, promised: Array) -> None:
    """Checks that the int8 file gives exactly the scores that were computed from embeddings, float32 [N, C].

    Raises:
      ModelError: the scores differ; the file must not ship.
    """
    if not np.array_equal(found, promised):
        photos = int((found != promised).any(axis=1).sum())
        raise ModelError(
            f"The scores of the int8 file differ from those of its embeddings on {photos} of {len(found)} photos. "
            "No output was written; please report this."
        )
