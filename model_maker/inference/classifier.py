"""Classifier: the public interface to a finished model."""

import dataclasses
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, overload

import numpy as np

from model_maker import evaluation, multi_label_metrics
from model_maker.data import imagenet, in_memory, sources
from model_maker.data.dataset import Dataset, Sample, Skipped
from model_maker.data.images import Photo
from model_maker.data.multi_label import MultiLabelDataset
from model_maker.errors import DataError, ModelError
from model_maker.inference import (
    conformal,
    pipeline_answers,
    precision_thresholds,
    training_overlap,
    views,
)
from model_maker.inference.pipeline_answers import Answer
from model_maker.inference.scoring_model import Progress, ScoringModel
from model_maker.output_folder import MODEL
from model_maker.system import files

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Prediction:
    """One label with its score, from 0 to 1, and its index among the model's outputs.

    If no label reaches its threshold, the label is "unknown", the score is the highest score, and the index is -1.

    Examples:
      >>> from model_maker import Classifier
      >>> [best, *_] = Classifier("flowers_model").predict("rose.jpg")[0]
      >>> best
      Prediction(label='rose', score=0.99..., index=2)
    """

    label: str
    score: float
    index: int


@dataclass(frozen=True)
class Scored:
    """Labeled photos and a model's scores.

    Attributes:
      samples: N photos; their `label` is an index into the dataset's classes, which may be in another order.
      labels: int [N], indices into the model's labels; bool [N, C] for multi-label models.
      scores: float32 [N, C].
    """

    samples: tuple[Sample, ...]
    labels: Array
    scores: Array


class FileClassifier(ScoringModel):
    """An image classifier in a `.tflite` file, or in any other format that `export` writes.

    Args:
      model: the path of a model of one of `runtimes.RUNTIMES`, or of a folder with one, or the bytes of a `.tflite`.
      threads: number of threads; all cores by default.
      kernels: LiteRT's CPU kernels to use, a key of `tflite.interpreter.KERNELS`.
      labels: label names in the order of the scores, or a file of them (see `label_files.read`), for a model without
        labels.
      normalization: of a float input, for a model that does not state it.
      head: name of an output, for files written by `combine`; the first by default.

    Raises:
      ModelError: the file is not a model or not an image classifier, or has no labels or no such head.
      DataError: the labels cannot be read, or their number differs from that of the scores.

    Examples:
      >>> from model_maker import Classifier
      >>> classifier = Classifier("flowers_model")
      >>> classifier.predict(["rose.jpg"], top_k=1)[0][0].label
      'rose'
    """

    def predict(
        self,
        photos: Photo | Iterable[Photo],
        *,
        top_k: int | None = 5,
        threshold: float | None = None,
        channels: str = "rgb",
        allow: Collection[str] | None = None,
        deny: Collection[str] | None = None,
        region: views.Region | None = None,
        rotation: int = 0,
    ) -> list[list[Prediction]]:
        """Classifies photos.

        Args:
          photos: paths, http(s) addresses, bytes of files, open files and uploads, Pillow images, arrays and tensors:
            [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], of PyTorch [3, H, W], from 0 to 255 or floats from 0 to 1. A
            single photo counts as a list of one, [N, H, W, 3] as N photos.
          top_k: maximum number of labels per photo, best first; None for all.
          threshold: lower scores are omitted; the model's own thresholds by default.
          channels: color order of arrays, "rgb" or, for OpenCV, "bgr".
          allow, deny: the only labels to predict, or labels never to predict; at most one of the two.
          region: left, top, right and bottom of the part to classify, as fractions from 0 to 1; the whole photo by
            default.
          rotation: clockwise rotation of that part in degrees, a multiple of 90.

        Returns:
          One list of predictions per photo; a single one, "unknown", if no score reaches the threshold. For multi-label
          models, all labels that reach their thresholds, possibly none.

        Raises:
          DataError: a photo cannot be read, or an argument is invalid.
        """
        if top_k is not None and (not isinstance(top_k, int | np.integer) or top_k < 1):
            raise DataError(f"top_k={top_k!r}: pass a whole number from 1 on, or None for all labels.")
        if threshold is not None and not (isinstance(threshold, int | float | np.number) and 0 <= threshold <= 1):
            raise DataError(f"threshold={threshold!r}: pass a score from 0 to 1.")
        allowed = views.candidates(self.labels, allow, deny)
        view = views.View(region, rotation)
        rows = self._readable(pipeline_answers.read(pipeline_answers.each(photos), channels=channels), view)
        return [self.rank(found, top_k=top_k, threshold=threshold, allowed=allowed) for found in rows]

    @overload  # a str is also an iterable of str, but means one photo: the first overload that matches
    def __call__(  # type: ignore[overload-overlap]
        self, images: Photo, *, top_k: int | None = ..., function_to_apply: str | None = ..., channels: str = ...
    ) -> list[Answer]: ...

    @overload
    def __call__(
        self,
        images: Iterable[Photo],
        *,
        top_k: int | None = ...,
        function_to_apply: str | None = ...,
        channels: str = ...,
    ) -> list[list[Answer]]: ...

    def __call__(
        self,
        images: Photo | Iterable[Photo],
        *,
        top_k: int | None = pipeline_answers.TOP_K,
        function_to_apply: str | None = None,
        channels: str = "rgb",
    ) -> list[Answer] | list[list[Answer]]:
        """Classifies photos like transformers' `pipeline("image-classification")`.

        Args:
          images: one photo or several, as `predict` takes them.
          top_k: maximum number of labels per photo, best first.
          function_to_apply: "softmax" (default) for probabilities, "none" for logits, "sigmoid" of these; see
            `pipeline.answer`.
          channels: as `predict` takes it.

        Returns:
          [{"label": str, "score": float}] for one photo, a list of such lists for several. Ignores thresholds in the
          model.

        Raises:
          DataError: a photo cannot be read or downloaded, or an argument is invalid.

        Examples:
          >>> from model_maker import Classifier
          >>> Classifier("flowers_model")("rose.jpg", top_k=1)
          [{'label': 'rose', 'score': 0.99609375}]
        """
        photos = pipeline_answers.each(images)
        found = list(self.answers(photos, top_k=top_k, function_to_apply=function_to_apply, channels=channels))
        return found[0] if in_memory.is_one(images) else found

    def answers(
        self,
        photos: Iterable[Photo],
        *,
        top_k: int | None = pipeline_answers.TOP_K,
        function_to_apply: str | None = None,
        channels: str = "rgb",
        timeout: float | None = None,
    ) -> Iterator[list[Answer]]:
        """Yields the result of `__call__` for each photo; `timeout` as in `web.fetch`."""
        count, function = pipeline_answers.check(top_k, function_to_apply)
        for scores in self._readable(pipeline_answers.read(photos, channels=channels, timeout=timeout)):
            yield pipeline_answers.answer(
                scores, self.labels, top_k=count, function=function, multi_label=self.info.multi_label
            )

    def rank(
        self,
        scores: Array,
        *,
        top_k: int | None = 5,
        threshold: float | None = None,
        allowed: Array | None = None,
    ) -> list[Prediction]:
        """Returns the best labels for the scores of one photo, best first, ties by index; see `predict`.

        `allowed` is bool [C], from `views.candidates`; None allows all.
        """
        limits = self.thresholds if threshold is None else np.full(len(scores), threshold)
        ranked = np.argsort(-scores, kind="stable")
        ranked = (ranked if allowed is None else ranked[allowed[ranked]])[:top_k]
        best = ranked[0]
        if scores[best] < limits[best] and not self.info.multi_label:
            return [Prediction(precision_thresholds.UNKNOWN, float(scores[best]), -1)]
        kept = (index for index in ranked if scores[index] >= limits[index])
        return [Prediction(self.labels[index], float(scores[index]), int(index)) for index in kept]

    def label_sets(self, photos: Photo | Iterable[Photo], *, channels: str = "rgb") -> list[list[Prediction]]:
        """Returns as many labels per photo as needed for the coverage promised by `train(coverage=)`.

        Args:
          photos: as `predict` takes them.
          channels: as in `predict`.

        Returns:
          One list per photo, best first, never empty. Ignores score thresholds in the model.

        Raises:
          ModelError: the model promises no coverage.
          DataError: a photo cannot be read.

        Examples:
          >>> import model_maker
          >>> result = model_maker.train("flowers", "flowers_promised", coverage=0.95)
          >>> [found] = model_maker.Classifier("flowers_promised").label_sets("rose.jpg")
          >>> " or ".join(one.label for one in found)
          'rose...'
        """
        if self.info.label_sets is None:
            raise ModelError("The model promises no coverage. Train it with `coverage=0.95`.")
        rows = self._readable(pipeline_answers.read(pipeline_answers.each(photos), channels=channels))
        return [self.label_set(scores) for scores in rows]

    def label_set(self, scores: Array) -> list[Prediction]:
        """Returns the label set for the scores of one photo; empty if the model promises no coverage."""
        indices = self.info.label_sets.indices(scores) if self.info.label_sets else []
        return [Prediction(self.labels[index], float(scores[index]), index) for index in indices]

    def evaluate(
        self, data: Dataset | str | os.PathLike[str], *, progress: Progress | None = None
    ) -> evaluation.Metrics:
        """Measures accuracy on labeled photos; returns MultiLabelMetrics for multi-label models.

        Args:
          data: a dataset, or the path of one: a folder with one folder per class.
          progress: called with (done, total).

        Raises:
          DataError: see `score_labelled` and `sources.read`.
        """
        several = self.info.multi_label
        dataset = data if isinstance(data, Dataset) else sources.read_to_judge(data, multi_label=several)[0]
        return self.measure(self.score_labelled(dataset, progress=progress))

    def score_labelled(self, dataset: Dataset, *, progress: Progress | None = None) -> Scored:
        """Scores labeled photos; matches classes by name, and omits unreadable photos.

        Raises:
          DataError: a class of the dataset is not among the labels, or more than half of the photos are unreadable.
        """
        self.indices(dataset.classes)  # raises an error before the long work
        scores, readable = np.empty((len(dataset), len(self.labels)), np.float32), np.ones(len(dataset), bool)
        unreadable = []
        results = self.scores(sample.path for sample in dataset.samples)
        for index, (sample, result) in enumerate(zip(dataset.samples, results, strict=True)):
            if isinstance(result, DataError):
                unreadable.append(Skipped(sample.path, str(result).removeprefix(f"{sample.path}: "), sample.part))
                readable[index] = False
            else:
                scores[index] = result
            if progress:
                progress(index + 1, len(dataset))
        read = dataset.without(unreadable)
        return Scored(read.samples, self.truth(read), scores[readable])

    def truth(self, dataset: Dataset) -> Array:
        """Returns the true labels of photos, as in Scored.

        Raises:
          DataError: a class of the dataset is not among the labels, or photos have several labels and the model
            predicts one.
        """
        names = self.indices(dataset.classes)
        if not self.info.multi_label:
            labels: Array = names[dataset.labels]
            return labels
        found = np.zeros((len(dataset), len(self.labels)), bool)
        if isinstance(dataset, MultiLabelDataset):
            found[:, names] = dataset.targets
        else:
            found[np.arange(len(dataset)), names[dataset.labels]] = True
        return found

    def measure(self, scored: Scored) -> evaluation.Metrics:
        """Measures accuracy from scores, also with the model's thresholds, and separately without its training photos.

        Returns MultiLabelMetrics for multi-label models.
        """
        learned = training_overlap.judge(
            scored.samples,
            scored.labels,
            scored.scores,
            classes=self.labels,
            provenance=self.info.provenance,
            folder=self._folder,
        )
        limits = self.thresholds
        if self.info.multi_label:
            several = multi_label_metrics.measure(scored.scores, scored.labels, self.labels, limits)
            # A union would make every caller with single-label models distinguish the two types.
            return cast(evaluation.Metrics, dataclasses.replace(several, learned_from=learned))
        metrics = evaluation.measure(scored.scores, scored.labels, self.labels)
        answered = evaluation.answered(scored.scores, scored.labels, limits) if limits.any() else None
        sets = self.info.label_sets
        held = conformal.measure(sets, scored.scores, scored.labels, self.labels) if sets else None
        return dataclasses.replace(metrics, answered=answered, learned_from=learned, label_sets=held)

    def indices(self, classes: Sequence[str]) -> Array:
        """Returns the index of each class of a dataset among the labels, int [K].

        ImageNet models also accept WordNet IDs, the folder names of ImageNet.

        Raises:
          DataError: a class is not among them.
        """
        known = {label: index for index, label in reversed(list(enumerate(self.labels)))}
        if (first := imagenet.first_class(self.labels)) is not None:
            by_number = {name: number for name in classes if (number := imagenet.class_of(name)) is not None}
            known = {name: first + number for name, number in by_number.items()} | known
        unknown = sorted(set(classes) - set(known))
        if unknown:
            raise DataError(
                f"The data has classes that the model does not know: {_listed(unknown)}. "
                f"It knows {_listed(self.labels)}."
            )
        return np.array([known[name] for name in classes])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def model_file(path: str | os.PathLike[str]) -> Path:
    """Returns the `.tflite` at a path: itself, or `model.tflite` in an output folder of `train`.

    Raises:
      ModelError: there is none, or it cannot be accessed.
    """
    path, advice = Path(path), "Pass a .tflite file, or a folder that `train` made."
    try:
        if path.is_dir():
            if not (path / MODEL).is_file():
                raise ModelError(f"{path} holds no model.tflite. {advice}")
            return path / MODEL
        if not files.exists(path):
            raise ModelError(f"{path} does not exist. {advice}")
    except OSError as error:
        raise ModelError(f"{path} cannot be opened ({error.strerror}). {advice}") from error
    return path
