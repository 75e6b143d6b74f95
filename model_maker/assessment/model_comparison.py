"""compare_models(): an older and a newer model on the same photos; which answers changed, and what each costs."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_maker import evaluation, run_record
from model_maker.benchmark import host
from model_maker.data.dataset import Dataset
from model_maker.data.entries import Location
from model_maker.errors import DataError
from model_maker.evaluation import Interval
from model_maker.inference import runtimes
from model_maker.inference.classifier import FileClassifier, Scored
from model_maker.progress import Progress
from model_maker.tflite import metadata

Array = np.ndarray[Any, Any]

_ROUNDS = 7


@dataclass(frozen=True)
class Side:
    """One of two models.

    Attributes:
      path: of its file.
      name: in its metadata.
      top1, top1_interval: on the photos.
      size_bytes: of the file, or of all files of a format that has several.
      latency_ms: the median on one thread of this machine; None for what is not a `.tflite`.
      learned_from: how many of the photos it was trained on, in words; empty for none.
    """

    path: Path
    name: str
    top1: float
    top1_interval: Interval
    size_bytes: int
    latency_ms: float | None
    learned_from: str


@dataclass(frozen=True)
class Turned:
    """A photo whose answer became wrong or right: its path, its class, both answers and their scores."""

    photo: Location
    label: str
    old: str
    new: str
    old_score: float
    new_score: float

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)} | {
            "photo": str(self.photo)
        }


@dataclass(frozen=True)
class ModelComparison:
    """The result of `compare_models`.

    Attributes:
      old, new: the models.
      photos: how many were compared.
      turned_wrong, turned_right: photos whose answer became wrong or right, the most confident new answer first.
      both_wrong: photos that both models get wrong.
      change: top-1 of the new model less that of the old one.
      change_interval: its 95 % confidence interval, of paired photos.
      p_value: of McNemar's exact test: how likely so uneven a change is if both models are equally accurate.
      notes: what else to know, one sentence each.
    """

    old: Side
    new: Side
    photos: int
    turned_wrong: tuple[Turned, ...]
    turned_right: tuple[Turned, ...]
    both_wrong: int
    change: float
    change_interval: Interval
    p_value: float
    notes: tuple[str, ...]

    def exceeds(self, allowed: int | None) -> bool:
        """Whether more photos turned wrong than allowed; None allows any number."""
        return allowed is not None and len(self.turned_wrong) > allowed

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        found = dataclasses.asdict(dataclasses.replace(self, turned_wrong=(), turned_right=()))
        for side in ("old", "new"):
            found[side]["path"] = str(found[side]["path"])
        for turned in ("turned_wrong", "turned_right"):
            found[turned] = [entry.as_dict() for entry in getattr(self, turned)]
        return found


def compare_models(
    old: str | os.PathLike[str],
    new: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
) -> ModelComparison:
    """Compares two finished models on the same photos.

    Args:
      old, new: models of any format that `Classifier` opens.
      data: labeled photos; by default the test split of the training data of `old`, or else of `new`. Classes that one
        of the models does not know are left out.
      progress: receives progress events.

    Raises:
      ModelError: a model cannot be opened, or no folder names test photos and no data is given.
      DataError: no photo is of a class that both models know.

    Examples:
      >>> import model_maker
      >>> found = model_maker.compare_models("flowers_model", "flowers_model")
      >>> len(found.turned_wrong), len(found.turned_right), found.p_value
      (0, 0, 1.0)
    """
    progress = Progress(progress)
    classifiers = [FileClassifier(model) for model in (old, new)]
    for classifier in classifiers:
        metadata.check_single(classifier.info, "A comparison", "Measure each model with `evaluate`.")
    dataset, notes = _photos(old, new, data)
    dataset, left_out = _known(dataset, classifiers)
    if left_out:
        notes.append(f"{left_out} photos are of classes that only one of the models knows, and are left out.")
    scored = []
    for name, classifier in zip(("old", "new"), classifiers, strict=True):
        with progress.stage(f"Run the {name} model"):
            scored.append(classifier.score_labelled(dataset, progress=progress.step))
    latencies = _latencies([runtimes.find(model) for model in (old, new)], progress)
    sides = [
        _side(model, classifier, found, latency)
        for model, classifier, found, latency in zip((old, new), classifiers, scored, latencies, strict=True)
    ]
    return _compared(sides, classifiers, scored, notes)


def _photos(
    old: str | os.PathLike[str], new: str | os.PathLike[str], data: str | os.PathLike[str] | None
) -> tuple[Dataset, list[str]]:
    if data is None and not run_record.is_own_test(old, None):
        old = new
    dataset, notes = run_record.photos_for(old, data)
    return dataset, list(notes)


def _known(dataset: Dataset, classifiers: Sequence[FileClassifier]) -> tuple[Dataset, int]:
    """Returns the photos of classes that all classifiers know, and how many others there are."""
    common = []
    for name in dataset.classes:
        try:
            for classifier in classifiers:
                classifier.indices([name])
        except DataError:
            continue
        common.append(name)
    if not common:
        raise DataError("No class of the photos is known to both models. Pass `data=DIR` with photos of their classes.")
    if len(common) == len(dataset.classes):
        return dataset, 0
    kept = [sample for sample in dataset.samples if dataset.classes[sample.label] in common]
    renumbered = [dataclasses.replace(sample, label=common.index(dataset.classes[sample.label])) for sample in kept]
    left_out = len(dataset) - len(kept)
    return dataclasses.replace(dataset, samples=tuple(renumbered), classes=tuple(common)), left_out


def _side(model: str | os.PathLike[str], classifier: FileClassifier, scored: Scored, latency_ms: float | None) -> Side:
    metrics, path = classifier.measure(scored), runtimes.find(model)
    parts = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return Side(
        path,
        classifier.info.name,
        metrics.top1,
        metrics.top1_interval,
        sum(file.stat().st_size for file in parts),
        latency_ms,
        metrics.learned_from.describe(metrics.photos) if metrics.learned_from else "",
    )


def _latencies(paths: Sequence[Path], progress: Progress) -> list[float | None]:
    """Returns the median milliseconds of each file, measured in turns; None for what is not a `.tflite`."""
    files = [path for path in dict.fromkeys(paths) if path.suffix == ".tflite"]
    if not files:
        return [None] * len(paths)
    with progress.stage("Measure latency"):
        rows, _ = host.measure(
            files, threads=[1], delegates=["xnnpack"], options=host.HostOptions(rounds=_ROUNDS), progress=progress.step
        )
    found = {row.model: row.median_ms for row in rows}
    return [found.get(str(path)) for path in paths]


def _compared(
    sides: Sequence[Side], classifiers: Sequence[FileClassifier], scored: Sequence[Scored], notes: list[str]
) -> ModelComparison:
    before, after = scored
    if [sample.path for sample in before.samples] != [sample.path for sample in after.samples]:
        raise DataError("Some photos could be read once and not again. Run the comparison again.")
    right = [found.scores.argmax(axis=1) == found.labels for found in scored]
    order = np.argsort(-after.scores.max(axis=1), kind="stable")

    def turned(was: Array) -> tuple[Turned, ...]:
        return tuple(_turned(int(index), classifiers, scored) for index in order if was[index])

    wrong, won, total = right[0] & ~right[1], right[1] & ~right[0], len(right[0])
    notes += [
        f"{kind} model: {side.learned_from}"
        for kind, side in zip(("Old", "New"), sides, strict=True)
        if side.learned_from
    ]
    return ModelComparison(
        sides[0],
        sides[1],
        total,
        turned(wrong),
        turned(won),
        int((~right[0] & ~right[1]).sum()),
        sides[1].top1 - sides[0].top1,
        evaluation.paired(int(won.sum()), int(wrong.sum()), total),
        evaluation.mcnemar(right[0].tolist(), right[1].tolist()),
        tuple(notes),
    )


def _turned(index: int, classifiers: Sequence[FileClassifier], scored: Sequence[Scored]) -> Turned:
    best = [int(found.scores[index].argmax()) for found in scored]
    old, new = (classifier.labels[answer] for classifier, answer in zip(classifiers, best, strict=True))
    label = classifiers[0].labels[scored[0].labels[index]]
    scores = [float(found.scores[index, answer]) for found, answer in zip(scored, best, strict=True)]
    return Turned(scored[0].samples[index].path, label, old, new, *scores)
