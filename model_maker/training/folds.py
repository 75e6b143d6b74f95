"""Accuracy by K-fold cross-validation."""

import dataclasses
from collections import Counter

import numpy as np

from model_maker import evaluation, multi_label_metrics
from model_maker.data.dataset import Dataset, Split
from model_maker.data.multi_label import MultiLabelDataset
from model_maker.inference import label_thresholds
from model_maker.inference.training_report import Folds
from model_maker.options import Options
from model_maker.progress import Progress
from model_maker.training.learn import learn, score
from model_maker.training.training_data import TrainingData

Array = np.ndarray

# Share of photos for early stopping, one in this number, if there is no validation split.
_STOPPING_PARTS = 8


def estimate(data: TrainingData, options: Options, progress: Progress) -> Folds:
    """Scores every photo by a model trained on the other folds, with all choices repeated inside each fold.

    Returns:
      The metrics; with fine-tuning, also those of frozen features, and the paired difference.
    """
    photos = data.photos
    several = isinstance(photos, MultiLabelDataset)
    folds = np.array(photos.folds(options.folds, seed=options.seed))
    names = ("network", "frozen") if options.fine_tune else ("network",)
    scores = {name: np.empty((len(photos), len(photos.classes)), np.float32) for name in names}
    limits = np.zeros_like(scores["network"])
    for fold in range(options.folds):
        held = folds == fold
        judged = _select(photos, held)
        if options.fine_tune:
            progress.note(f"Fold {fold + 1} of {options.folds}.")
        rest = _select(photos, ~held)
        split = Split(*((rest, rest.of([])) if several else part_for_stopping(rest, options)), judged)
        learned = learn(dataclasses.replace(data, split=split), options, progress)
        limits[held] = label_thresholds.limits(learned.fit.held_out, learned.fit.held_out_labels) if several else 0
        for name in scores:
            scores[name][held] = score(getattr(learned, name), judged, data, options)
    if isinstance(photos, MultiLabelDataset):
        measured = multi_label_metrics.measure(scores["network"], photos.targets, photos.classes, limits)
        return Folds(options.folds, measured)
    labels = np.array(photos.labels)
    metrics = evaluation.measure(scores["network"], labels, photos.classes)
    if not options.fine_tune:
        return Folds(options.folds, metrics)
    frozen = evaluation.measure(scores["frozen"], labels, photos.classes)
    return Folds(options.folds, metrics, frozen.top1, evaluation.compare(scores["frozen"], scores["network"], labels))


def part_for_stopping(photos: Dataset, options: Options) -> tuple[Dataset, Dataset]:
    """Splits photos without a validation split: one in eight becomes validation.

    Raises:
      DataError: a class has too few photos.
    """
    stopping = np.array(photos.folds(min(_STOPPING_PARTS, _fewest(photos)), seed=options.seed)) == 0
    return _select(photos, ~stopping), _select(photos, stopping)


def _fewest(dataset: Dataset) -> int:
    """Returns the number of different photos in the smallest class."""
    different = Counter(label for label, _ in {(sample.label, sample.digest) for sample in dataset.samples})
    return min(different.values())


def _select(dataset: Dataset, chosen: Array) -> Dataset:
    samples = (sample for sample, wanted in zip(dataset.samples, chosen, strict=True) if wanted)
    return dataclasses.replace(dataset, samples=tuple(samples))
