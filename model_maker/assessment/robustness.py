"""robustness(): the accuracy of a model under conditions that phones meet, and what augmentation would regain."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_maker import evaluation, output_folder, run_record
from model_maker.assessment.conditions import CONDITIONS, COVERED, PLAIN
from model_maker.data import images
from model_maker.data.augment import preset
from model_maker.data.dataset import Dataset, Sample
from model_maker.data.streaming import stream
from model_maker.errors import DataError
from model_maker.evaluation import Interval
from model_maker.fitting import Fit
from model_maker.inference.classifier import FileClassifier
from model_maker.options import from_record
from model_maker.progress import Progress
from model_maker.system import files
from model_maker.tflite import metadata
from model_maker.training.train import train

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Measured:
    """One condition.

    Attributes:
      name: a key of `conditions.CONDITIONS`.
      what: what happens to the photo.
      source: where the condition is from; empty for our own.
      top1, top1_interval: share of correct answers, and its 95 % confidence interval.
      score: mean score of the answers.
      change: top-1 less that of the photos as they are.
      change_interval: its 95 % confidence interval, of paired photos.
      augmented_top1: of a model that was trained with augmentation; None unless asked for.
      regained, regained_interval: its top-1 less that of this model; None unless asked for.
    """

    name: str
    what: str
    source: str
    top1: float
    top1_interval: Interval
    score: float
    change: float
    change_interval: Interval
    augmented_top1: float | None = None
    regained: float | None = None
    regained_interval: Interval | None = None


@dataclass(frozen=True)
class Robustness:
    """The result of `robustness`.

    Attributes:
      model: its name.
      photos: how many were measured in each condition.
      conditions: the photos as they are first.
      majority: the share of the most frequent class among the photos, which an answer without looking gets right.
      augment: with what augmentation the other model was trained; None for no other model.
      samples: some of the photos, for the page.
      notes: what else to know, one sentence each.
    """

    model: str
    photos: int
    conditions: tuple[Measured, ...]
    majority: float
    augment: str | None
    samples: tuple[Sample, ...]
    notes: tuple[str, ...]

    @property
    def betrayed(self) -> bool:
        """Whether the background alone gives more correct answers than the most frequent class would."""
        return next(one.top1_interval[0] for one in self.conditions if one.name == COVERED) > self.majority

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        found = {key: value for key, value in dataclasses.asdict(self).items() if key != "samples"}
        return found | {"background_betrays": self.betrayed}


def robustness(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    augment: str | None = None,
    progress: Progress | None = None,
) -> Robustness:
    """Measures a model on photos in conditions that phones meet, see `assessment.conditions`.

    Args:
      model: what `Classifier` opens.
      data: labeled photos; the test split of the training data by default.
      augment: a preset of augmentation: a model is trained with it, on the same photos and with the same options, and
        measured, too. The model has to be in the folder that `train` made.
      progress: receives progress events.

    Raises:
      ModelError, DataError: the model or the photos cannot be read, or nothing says how the model was trained.

    Examples:
      >>> import model_maker
      >>> found = model_maker.robustness("flowers_model")
      >>> [one.name for one in found.conditions][:3]
      ['as they are', 'dusk', 'backlight']
    """
    progress = Progress(progress)
    if augment is not None:
        preset(augment)
        record = run_record.load(output_folder.home(model))
    classifier = FileClassifier(model)
    metadata.check_single(
        classifier.info, "Measuring conditions", "Measure it with `evaluate` on photos taken in them."
    )
    dataset, notes = run_record.photos_for(model, data)
    with progress.stage(f"Measure {len(CONDITIONS)} conditions"):
        read, right, scores = _measure(classifier, dataset, progress)
    other = None
    if augment is not None:
        with files.temporary_directory() as folder:
            options = dataclasses.replace(from_record(record["options"]), augment=augment)
            progress.note(f"Training with `augment={augment}` on the same photos, to compare.")
            made = train(record["data"], Path(folder) / "augmented", options=options, progress=progress).directory
            with progress.stage("Measure the augmented model"):
                again, other, _ = _measure(FileClassifier(made), read, progress)
        if len(again) != len(read):
            raise DataError("Some photos could be read once and not again. Run the command again.")
    measured = tuple(
        _measured(name, right[:, row], right[:, 0], scores[:, row], None if other is None else other[:, row])
        for row, name in enumerate(CONDITIONS)
    )
    counts = np.bincount(read.labels)
    return Robustness(
        classifier.info.name,
        len(read),
        measured,
        float(counts.max() / counts.sum()),
        augment,
        tuple(read.by_digest()[:3]),
        tuple(notes),
    )


def conditions_of(photo: Any, size: int | Fit, digest: str) -> Iterator[tuple[str, Array]]:
    """Yields the name of each condition and a photo in it, uint8 [H, W, 3].

    Raises:
      DataError: the photo cannot be read.
    """
    picture = images.picture(photo)
    pixels = images.resize(picture, size)
    for name, condition in CONDITIONS.items():
        yield name, condition.apply(name, picture, pixels, digest)


def _measure(classifier: FileClassifier, dataset: Dataset, progress: Progress) -> tuple[Dataset, Array, Array]:
    """Returns the photos that can be read, and in each condition of each whether the answer is right, and its score."""
    names = classifier.indices(dataset.classes)

    def load(sample: Sample, size: Fit) -> Array:
        return np.stack([pixels for _, pixels in conditions_of(sample.path, size, sample.digest)])

    def worker() -> Callable[[Array], Array]:
        score = classifier.scorer()
        return lambda views: np.stack([score(view[None]) for view in views])

    right, scores, kept = [], [], []
    results = stream(dataset.samples, classifier.fit, worker, load=load)
    for done, (sample, result) in enumerate(zip(dataset.samples, results, strict=True), start=1):
        if not isinstance(result, DataError):
            kept.append(sample)
            right.append(result.argmax(axis=1) == names[sample.label])
            scores.append(result.max(axis=1))
        progress.step(done, len(dataset))
    if not kept:
        raise DataError("None of the photos can be read. Pass `data=DIR` with other ones.")
    return dataclasses.replace(dataset, samples=tuple(kept)), np.array(right), np.array(scores)


def _measured(name: str, right: Array, plain: Array, scores: Array, other: Array | None) -> Measured:
    condition, total = CONDITIONS[name], len(right)
    found = Measured(
        name,
        condition.what,
        condition.source,
        float(right.mean()),
        evaluation.wilson(int(right.sum()), total),
        float(scores.mean()),
        float(right.mean() - plain.mean()),
        _paired(plain, right) if name != PLAIN else (0.0, 0.0),
    )
    if other is None:
        return found
    return dataclasses.replace(
        found,
        augmented_top1=float(other.mean()),
        regained=float(other.mean() - right.mean()),
        regained_interval=_paired(right, other),
    )


def _paired(first: Array, second: Array) -> Interval:
    return evaluation.paired(int((second & ~first).sum()), int((first & ~second).sum()), len(first))
