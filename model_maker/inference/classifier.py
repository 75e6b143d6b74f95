"""Classifier: a finished model, as users hold it."""

from __future__ import annotations

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
    pipeline,
    precision_thresholds,
    training_overlap,
    views,
)
from model_maker.inference.pipeline import Answer
from model_maker.inference.scoring_model import Progress, ScoringModel
from model_maker.output_folder import MODEL
from model_maker.system import files

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Prediction:
    """One label with its score, from 0 to 1, and its index among the model's outputs.

    Where no label reaches its threshold, the label is "unknown", the score is the best one, and the index is -1.

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
    """Labelled photos and what a model says of them.

    Attributes:
      samples: N photos; their own `label` is that of the dataset, whose classes may have another order.
      labels: int [N], indices into the model's labels; of a model of several labels bool [N, C].
      scores: float32 [N, C].
    """

    samples: tuple[Sample, ...]
    labels: Array
    scores: Array


class Classifier(ScoringModel):
    """An image classifier in a `.tflite` file, or in any other format that `export` writes.

    Args:
      model: the path of a model of one of `runtimes.RUNTIMES`, or of a folder with one, or the bytes of a `.tflite`.
      threads: number of threads; all cores by default.
      kernels: which of LiteRT's CPU paths, a key of `tflite.interpreter.KERNELS`.
      labels: names of the scores, or a file of them (see `label_files.read`), for a model that carries none.
      normalization: what a float input expects, for a model that does not say.
      head: name of the output, of a file that `combine` made; the first by default.

    Raises:
      ModelError: not a model, not an image classifier, one without labels, or without such a head.
      DataError: the labels cannot be read, or are not as many as the scores.

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
            [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], of PyTorch [3, H, W], from 0 to 255 or floats from 0 to 1. One
            alone is taken as a list of one, [N, H, W, 3] as N.
          top_k: how many labels for each photo, best first; None for all.
          threshold: lower scores are omitted; the model's own thresholds by default.
          channels: the order of colours in arrays, "rgb" or, as OpenCV has them, "bgr".
          allow, deny: labels that alone may be the answer, or that may not; one of the two.
          region: left, top, right and bottom of the part that is classified, as shares from 0 to 1; all by default.
          rotation: degrees clockwise by which that part is turned before, a multiple of 90.

        Returns:
          One list of predictions for each photo; a single one, "unknown", where no score suffices. Of a model of
          several labels, those that reach their thresholds: possibly none.

        Raises:
          DataError: a photo cannot be read, or an argument means nothing.
        """
        if top_k is not None and (not isinstance(top_k, int | np.integer) or top_k < 1):
            raise DataError(f"top_k={top_k!r}: pass a whole number from 1 on, or None for all labels.")
        if threshold is not None and not (isinstance(threshold, int | float | np.number) and 0 <= threshold <= 1):
            raise DataError(f"threshold={threshold!r}: pass a score from 0 to 1.")
        allowed = views.candidates(self.labels, allow, deny)
        view = views.View(region, rotation)
        rows = self._readable(pipeline.read(pipeline.each(photos), channels=channels), view)
        return [self.rank(found, top_k=top_k, threshold=threshold, allowed=allowed) for found in rows]

    @overload  # a text is several texts, too, and yet one photo: the first that fits
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
        top_k: int | None = pipeline.TOP_K,
        function_to_apply: str | None = None,
        channels: str = "rgb",
    ) -> list[Answer] | list[list[Answer]]:
        """Classifies photos as `pipeline("image-classification")` of transformers does.

        Args:
          images: one photo or several, as `predict` takes them.
          top_k: how many labels for each photo, best first; all where there are fewer.
          function_to_apply: "softmax" (default) for probabilities, "none" for logits, "sigmoid" of these; see
            `pipeline.answer`.
          channels: as `predict` takes it.

        Returns:
          [{"label": str, "score": float}] for one photo, a list of such lists for several. Thresholds in the model play
          no part.

        Raises:
          DataError: a photo cannot be read or fetched, or an argument means nothing.

        Examples:
          >>> from model_maker import Classifier
          >>> Classifier("flowers_model")("rose.jpg", top_k=1)
          [{'label': 'rose', 'score': 0.99609375}]
        """
        photos = pipeline.each(images)
        found = list(self.answers(photos, top_k=top_k, function_to_apply=function_to_apply, channels=channels))
        return found[0] if in_memory.is_one(images) else found

    def answers(
        self,
        photos: Iterable[Photo],
        *,
        top_k: int | None = pipeline.TOP_K,
        function_to_apply: str | None = None,
        channels: str = "rgb",
        timeout: float | None = None,
    ) -> Iterator[list[Answer]]:
        """Yields what a call gives of each photo, one after another; `timeout` as `web.fetch` takes it."""
        count, function = pipeline.check(top_k, function_to_apply)
        for scores in self._readable(pipeline.read(photos, channels=channels, timeout=timeout)):
            yield pipeline.answer(
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
        """Returns the best labels of one row of scores, best first, ties by index; see `predict`.

        `allowed` is bool [C], as `views.candidates` returns it; None for all.
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
        """Returns as many labels for each photo as it takes to keep the coverage that `train(coverage=)` promised.

        Args:
          photos: as `predict` takes them.
          channels: as there.

        Returns:
          One list for each photo, best first, never empty. Score thresholds in the model play no part.

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
        rows = self._readable(pipeline.read(pipeline.each(photos), channels=channels))
        return [self.label_set(scores) for scores in rows]

    def label_set(self, scores: Array) -> list[Prediction]:
        """Returns the label set of one row of scores; empty if the model promises no coverage."""
        indices = self.info.label_sets.indices(scores) if self.info.label_sets else []
        return [Prediction(self.labels[index], float(scores[index]), index) for index in indices]

    def evaluate(
        self, data: Dataset | str | os.PathLike[str], *, progress: Progress | None = None
    ) -> evaluation.Metrics:
        """Measures accuracy on labelled photos; of a model of several labels, the result is a MultiLabelMetrics.

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
        """Scores labelled photos; classes are matched by name, unreadable photos are left out.

        Args:
          dataset: the photos.
          progress: called with (done, total).

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
        """Returns the true labels of photos as in Scored.

        Raises:
          DataError: a class of the dataset is not among the labels, or photos have several and the model gives one.
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
        """Measures accuracy from scores, by its own thresholds, too, and apart from photos that it learned from.

        Of a model of several labels, the result is a MultiLabelMetrics.
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
            # A union would make every program that measures models of one label tell the two apart.
            return cast(evaluation.Metrics, dataclasses.replace(several, learned_from=learned))
        metrics = evaluation.measure(scored.scores, scored.labels, self.labels)
        answered = evaluation.answered(scored.scores, scored.labels, limits) if limits.any() else None
        sets = self.info.label_sets
        held = conformal.measure(sets, scored.scores, scored.labels, self.labels) if sets else None
        return dataclasses.replace(metrics, answered=answered, learned_from=learned, label_sets=held)

    def indices(self, classes: Sequence[str]) -> Array:
        """Returns the index of each class of a dataset among the labels, int [K].

        Those of a model of ImageNet also go by WordNet's numbers, as ImageNet's folders do.

        Raises:
          DataError: one is not.
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
    """Returns the `.tflite` that a path means: itself, or `model.tflite` in a folder that `train` made.

    Raises:
      ModelError: there is none, or it may not be looked at.
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
