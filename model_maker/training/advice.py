"""advise(): forecasts the gain from more photos, in total and by class, and finds missing kinds of photos."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from model_maker import output_folder, run_record
from model_maker.backbones import embedder
from model_maker.data import object_stores, photo_facts, sources
from model_maker.data.photo_facts import NAMES, NUMBERS, PhotoFacts
from model_maker.embeddings import int8_suitability
from model_maker.errors import DataError, ModelError
from model_maker.evaluation import Metrics
from model_maker.forecasts import Advice, ClassGain, Kind
from model_maker.inference import training_report
from model_maker.inference.training_report import TrainingReport
from model_maker.learning import heads
from model_maker.learning.features import FeatureTable
from model_maker.options import Options, from_record
from model_maker.progress import Progress
from model_maker.tflite import network_layers
from model_maker.tflite.network_layers import Layer
from model_maker.training import learning_curve, training_data
from model_maker.training.learning_curve import Curve
from model_maker.training.training_data import TrainingData, join

Array = np.ndarray[Any, Any]

FACTORS = (1.5, 2.0)
# Each class costs one fit per fold; classes with the lowest F1 have the most to gain.
_CLASSES, _CLASSES_IN_TRAINING = 8, 3
# Maximum photos x features x classes for which `train` measures the curve by default: some seconds.
_QUICK = 1.5e7
# A kind of photo is for example the darkest quarter, or a file format; below the minimum number it proves nothing.
_QUARTER, _FEWEST = 0.25, 8
# Probability of reporting a kind whose photos are not wrong more often, over all kinds (Bonferroni).
_RISK = 0.05


def advise(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Advice:
    """Forecasts the gain from more photos, in total and by class, and finds missing kinds of photos.

    Args:
      model: an output folder of `train`.
      data: its training photos, if they have moved.
      threads: number of threads; all cores by default.
      progress: receives progress events.

    Raises:
      ModelError: not an output folder of `train`, a fine-tuned model, or a multi-label model.
      DataError: its photos are missing, or too few for a curve.

    Examples:
      >>> import model_maker
      >>> advice = model_maker.advise("flowers_model")
      >>> sorted(advice.forecasts)
      [1.5, 2.0]
    """
    progress, folder = Progress(progress), output_folder.home(model)
    record = run_record.load(folder)
    if record["options"].get("multi_label"):
        raise ModelError(
            f"{model} is a multi-label model, but forecasts need one label per photo. Its metrics.json says "
            "which labels have the fewest photos and the lowest F1."
        )
    report = training_report.read(folder, TrainingReport)
    here = {"threads": threads, "engine": "local", "address": None, "shards": None}
    options = from_record(record["options"] | here)
    if options.fine_tune:
        raise ModelError(
            f"{model} was fine-tuned, and a learning curve would fine-tune it dozens of times. Train it without "
            "`fine_tune` for a forecast."
        )
    prepared, fit = _prepared(record, data, options, progress), report.cross_validation
    layers = network_layers.choose(prepared.backbone.layers, fit.layers)
    found = _measured(prepared, layers, fit.regularization, report.test, options, progress)
    if found is None:
        raise DataError(f"A class has fewer than {learning_curve.FEWEST} photos to learn from, too few for a curve.")
    advice, curve = found
    photos = join(prepared.split.train, prepared.split.validation)
    with progress.stage("Read photos"):
        paths = [sample.path for sample in photos.samples]
        facts = list(photo_facts.collect(paths, threads=threads, progress=progress.step))
    return dataclasses.replace(advice, kinds=missing_kinds(curve, photos.classes, facts))


def _prepared(
    record: dict[str, Any], data: str | os.PathLike[str] | None, options: Options, progress: Progress
) -> TrainingData:
    """Returns the photos of a run with their embeddings, which the cache usually has."""
    place = record["data"] if data is None else data
    if not object_stores.place(place).exists():
        raise DataError(f"The training photos are not in {place}. Pass `data=DIR`.")
    with progress.stage("List photos"):
        dataset = run_record.without_skipped(sources.read(place, progress=progress.step), record)
        first = training_data.split(dataset, options, progress)
    with progress.stage("Prepare the backbone"):
        choice = embedder.choose(
            options.model,
            image_size=options.image_size,
            weights_file=options.weights,
            normalization=options.normalization,
        )
        base = embedder.embedder(choice, resize=options.resize, progress=progress)
        backbone = int8_suitability.prepare(base, first.train, progress, threads=options.threads)
    plain = dataclasses.replace(options, augment=None, labels_from_text=None)  # the curve needs no augmentation
    return training_data.prepare(dataset, backbone, plain, progress)


def in_training(
    data: TrainingData, fit: heads.FittedHead, test: Metrics, options: Options, progress: Progress
) -> Advice | None:
    """Returns the forecast that `train` reports; None if a class is too small, or measuring takes too long.

    Args:
      fit: the head on frozen features.
      test: metrics of the test photos.
    """
    size = sum(layer.size for layer in fit.layers)
    if (len(data.split.train) + len(data.split.validation)) * size * len(data.photos.classes) > _QUICK:
        return None
    found = _measured(
        data, fit.layers, fit.regularization, test, options, progress, classes=_CLASSES_IN_TRAINING, repeats=1
    )
    return found and found[0]


def _measured(
    data: TrainingData,
    layers: Sequence[Layer],
    strength: float,
    test: Metrics,
    options: Options,
    progress: Progress,
    *,
    classes: int = _CLASSES,
    repeats: int = 2,
) -> tuple[Advice, Curve] | None:
    photos = join(data.split.train, data.split.validation)
    labels, names = np.array(photos.labels), photos.classes
    counts = np.bincount(labels, minlength=len(names))
    if counts.min() < learning_curve.FEWEST:
        return None
    columns = network_layers.features(data.backbone.layers, layers)
    table = FeatureTable(data.embeddings.select(photos).columns(columns), layers)
    scores = {entry.label: entry.f1 for entry in test.per_class}
    tried = sorted(range(len(names)), key=lambda label: (scores[names[label]], label))[:classes]
    with progress.stage("Measure the learning curve"):
        curve = learning_curve.measure(
            table,
            layers,
            labels,
            weights=heads.class_weights(counts) if options.class_weight == "auto" else np.ones(len(names)),
            strength=strength,
            halve=tried,
            repeats=repeats,
            progress=progress.step,
        )
    now, number, mean = test.top1, test.photos, len(labels) / len(names)
    step = FACTORS[0]
    gains = [
        ClassGain(
            names[label],
            int(counts[label]),
            round((step - 1) * int(counts[label])),
            learning_curve.forecast_class(curve, label, now, number, step),
        )
        for label in tried
    ]
    learned = (learning_curve.FOLDS - 1) / learning_curve.FOLDS * mean
    advice = Advice(
        len(labels),
        mean,
        number,
        now,
        tuple(zip((learned * share for share in learning_curve.SHARES), curve.accuracy, strict=True)),
        {factor: learning_curve.forecast(curve, now, number, factor) for factor in FACTORS},
        tuple(sorted(gains, key=lambda one: -one.top1.value)),
    )
    return advice, curve


def missing_kinds(curve: Curve, classes: Sequence[str], facts: Sequence[PhotoFacts | DataError]) -> tuple[Kind, ...]:
    """Finds kinds of photos that are wrong significantly more often, overall and in each class.

    Args:
      facts: facts of each photo; unreadable ones are left out.

    Returns:
      Kinds that are significant by Fisher's exact test, corrected for all candidates; the most significant first.
    """
    readable = np.array([isinstance(one, PhotoFacts) for one in facts], bool)
    wrong, labels = curve.right[readable, -1] <= 0.5, curve.labels[readable]
    kinds = list(_kinds([one for one in facts if isinstance(one, PhotoFacts)]))
    tried = []
    for label in (None, *range(len(classes))):
        part = np.ones(len(labels), bool) if label is None else labels == label
        for text, members in kinds:
            inside, outside = part & members, part & ~members
            if min(inside.sum(), outside.sum()) >= _FEWEST:
                counts = (int(inside.sum()), int(wrong[inside].sum()), int(outside.sum()), int(wrong[outside].sum()))
                tried.append((_chance(*counts), Kind(text, "" if label is None else classes[label], *counts)))
    clear = sorted((entry for entry in tried if entry[0] * len(tried) < _RISK), key=lambda entry: entry[0])
    return tuple(kind for _, kind in clear)


def _kinds(facts: Sequence[PhotoFacts]) -> Iterator[tuple[str, Array]]:
    """Yields kinds of photos: a description, and which photos belong to it, bool [N]."""
    for name, (noun, few, many) in NUMBERS.items():
        values = np.array([getattr(one, name) for one in facts])
        low, high = np.quantile(values, (_QUARTER, 1 - _QUARTER)) if len(values) else (0.0, 0.0)
        if low < high:
            yield f"{few} photos ({noun} up to {low:.3g})", values <= low
            yield f"{many} photos ({noun} from {high:.3g})", values >= high
    for name, noun in NAMES.items():
        texts = np.array([getattr(one, name) for one in facts])
        for text in np.unique(texts):
            yield f"photos with {noun} {text}" if text else f"photos without {noun}", texts == text


def _chance(photos: int, wrong: int, others: int, others_wrong: int) -> float:
    """Returns the p-value of this many wrong photos in a kind (Fisher's exact test, one-sided)."""
    from scipy.stats import hypergeom  # imported here, because `train` imports this module and scipy is slow to import

    return float(hypergeom.sf(wrong - 1, photos + others, wrong + others_wrong, photos))
