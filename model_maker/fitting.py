"""What learns: a head on frozen features, then the network with it where that is asked for, and the same by folds."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_maker import metrics_record
from model_maker.backbones.int8_backbone import QuantizedEmbedder
from model_maker.data.augment import PRESETS
from model_maker.data.dataset import Dataset, Skipped
from model_maker.errors import ModelError
from model_maker.inference import answering, evaluation
from model_maker.learning import embedding, finetune
from model_maker.learning import head as heads
from model_maker.learning.engines import LOCAL, Engine
from model_maker.learning.features import Embeddings
from model_maker.learning.finetune import Network, Tuned
from model_maker.learning.store import FeatureMaps
from model_maker.learning.watch import Watch
from model_maker.options import Options
from model_maker.progress import Stages
from model_maker.tflite import integer_head as integer_heads
from model_maker.tflite import layers as network_layers
from model_maker.tflite import trunk
from model_maker.tflite.layers import Layer
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray

# Photos that are embedded again to be scored in one go.
_BLOCK = 4096
# Where no photos are set aside for early stopping, as outside a fold, it takes one part in so many.
_STOPPING_PARTS = 8


@dataclass(frozen=True)
class Learned:
    """What came of learning.

    Attributes:
      network: what ships.
      fit: how the head on frozen features came about.
      frozen: the network with that head, which is `network` unless it was fine-tuned to something better.
      tuned: how fine-tuning went; None where it was not asked for.
    """

    network: Network
    fit: heads.Fit
    frozen: Network
    tuned: Tuned | None = None


def learn(
    train: Dataset,
    validation: Dataset,
    base: QuantizedEmbedder,
    options: Options,
    clock: Stages,
    *,
    watch: Watch,
    engine: Engine = LOCAL,
) -> Learned:
    """Fits a head, and fine-tunes the network where options ask for it.

    Args:
      train, validation: readable photos of the same classes. A head on frozen features learns from both, for its
        choices are cross-validated; fine-tuning learns from the first and chooses by the second.
      base: where to begin.
      options: what to do.
      clock: hears of notes.
      watch: opens stages, and follows the fine-tuning.
      engine: where a fine-tuning's photos go through the trunk.
    """
    both = join(train, validation)
    # Fine-tuning has views of its own; the frozen head beside it is the plain one, to compare with.
    augmented = options.augmentation != "none" and not options.fine_tune
    with watch.stage("Fit the head"):
        fit = _fit(both, base, options, clock, augmented=augmented)
        frozen = _network(base, fit)
        if not options.fine_tune:
            return Learned(frozen, fit, frozen)
        tail = _trainable(base, options)
        start = _fit(train, base, options, clock, among=tail)
        whole = _fit(both, base, options, clock, choice="all", among=start.layers)
    photos = finetune.Photos(
        train,
        validation,
        base.normalization,
        PRESETS[options.augmentation],
        views=options.views,
        seed=options.seed,
        threads=options.threads,
        engine=engine,
    )
    tuned = finetune.fine_tune(
        dataclasses.replace(_network(base, start), layers=()),
        photos,
        options.recipe,
        whole=dataclasses.replace(_network(base, whole), layers=()),
        balance=options.class_weight == "auto",
        watch=watch,
    )
    for note in tuned.notes:
        clock.note(note)
    return Learned(tuned.network if tuned.improved else frozen, fit, frozen, tuned)


def unseeing(learned: Learned, train: Dataset, base: QuantizedEmbedder, options: Options, clock: Stages) -> Network:
    """Returns a network like the one that ships, which has not learned from the validation photos."""
    if learned.tuned and learned.tuned.improved:
        return learned.tuned.judged
    return _network(base, _fit(train, base, options, clock, choice="all", among=learned.fit.layers))


def choose_thresholds(
    info: ModelInfo, learned: Learned, validation: Dataset, base: QuantizedEmbedder, options: Options, clock: Stages
) -> tuple[ModelInfo, dict[str, Any]]:
    """Chooses score thresholds by photos that the judging heads have not learned from.

    Returns:
      The metadata with them, and what to report.
    """
    scores, labels = _held_out(learned, validation, base, options)
    scores = answering.in_bytes(scores) if options.io == "uint8" else scores
    report: dict[str, Any] = {}
    if options.precision is not None:
        found = answering.choose(scores, labels, options.precision)
        info = dataclasses.replace(info, threshold=found.score)
        report["all"] = found.as_dict()
    if options.label_precision is not None:
        own = answering.choose_by_label(scores, labels, options.label_precision, least=info.threshold)
        limits = tuple(entry.score for entry in own)
        differ = min(limits) < max(limits)
        info = dataclasses.replace(info, threshold=min(limits), label_thresholds=limits if differ else ())
        report["labels"] = {name: entry.as_dict() for name, entry in zip(info.labels, own, strict=True)}
    metrics_record.warn_unproven(report, clock)
    return info, {"score": info.threshold, **report}


def join(train: Dataset, validation: Dataset) -> Dataset:
    """Returns the photos of two parts as one data set."""
    return dataclasses.replace(train, samples=(*train.samples, *validation.samples))


def embed(
    photos: Dataset,
    base: QuantizedEmbedder,
    options: Options,
    *,
    augmented: bool = False,
    engine: Engine = LOCAL,
    progress: embedding.Progress | None = None,
    tell: embedding.Tell | None = None,
) -> tuple[FeatureMaps, list[Skipped]]:
    """Returns embeddings of photos, plain or in augmented views, as they lie in the store; and what cannot be read.

    See `embedding.feature_maps` for the rest.
    """
    return embedding.feature_maps(
        photos,
        *base.computing,
        views=options.views if augmented else 1,
        augmentation=PRESETS[options.augmentation],
        seed=options.seed,
        threads=options.threads,
        engine=engine,
        progress=progress,
        tell=tell,
    )


def score(network: Network, photos: Dataset, base: QuantizedEmbedder, options: Options) -> Array:
    """Returns float32 [N, C], what a network makes of photos; embeddings that no other run will want are not kept."""
    if not network.layers:
        found, _ = embedding.compute(photos, network.embedder, base.normalization, threads=options.threads)
        return network.head.scores(found)
    maps = features(network, photos, base, options)
    blocks = (maps[start : start + _BLOCK] for start in range(0, max(1, len(maps)), _BLOCK))
    return np.concatenate([network.head.scores(block.astype(np.float32) * np.float32(maps.step)) for block in blocks])


def features(
    network: Network, photos: Dataset, base: QuantizedEmbedder, options: Options, *, kernels: str = "xnnpack"
) -> FeatureMaps:
    """Returns what the head of a frozen network sees of photos, as it lies in the store."""
    maps, _ = embedding.feature_maps(photos, *base.computing, threads=options.threads, kernels=kernels)
    return maps.columns(network_layers.features(base.layers, network.layers))


def float_scores(network: Network, photos: Dataset, base: QuantizedEmbedder, options: Options) -> Array:
    """Returns what the float form of a frozen network makes of photos, float32 [N, C]; its features are kept."""
    maps, _ = embedding.feature_maps(photos, network.embedder, base.normalization, threads=options.threads)
    return network.head.scores(maps[:])


def integer_head(
    network: Network, photos: Dataset, base: QuantizedEmbedder, options: Options
) -> integer_heads.IntegerHead:
    """Rounds the head of a frozen network to integers, on photos that it learned from."""
    seen = features(network, photos, base, options)
    return integer_heads.quantize(network.head.kernel, network.head.bias, seen[:], seen.step)


def attached(head: integer_heads.IntegerHead, network: Network, base: QuantizedEmbedder) -> bytes:
    """Puts the head of a frozen network, in integers, behind the int8 form of its backbone; edges are int8, too."""
    if base.int8 is None:
        raise ModelError(f"{base.name} has no int8 form.")
    return head.attach(network_layers.select(base.int8.content, network.layers))


def estimate_by_folds(dataset: Dataset, base: QuantizedEmbedder, options: Options, clock: Stages) -> dict[str, Any]:
    """Scores every photo by what has not learned from its fold, everything chosen anew inside.

    Returns:
      The metrics; with fine-tuning, those of frozen features, and the paired difference, too.
    """
    labels, folds = np.array(dataset.labels), np.array(dataset.folds(options.folds, seed=options.seed))
    names = ("network", "frozen") if options.fine_tune else ("network",)
    scores = {name: np.empty((len(labels), len(dataset.classes)), np.float32) for name in names}
    for fold in range(options.folds):
        held = folds == fold
        rest, judged = _select(dataset, ~held), _select(dataset, held)
        if options.fine_tune:
            clock.note(f"Fold {fold + 1} of {options.folds}.")
        learned = learn(*part_for_stopping(rest, options), base, options, clock, watch=Watch(clock.progress))
        for name in scores:
            scores[name][held] = score(getattr(learned, name), judged, base, options)
    metrics = evaluation.measure(scores["network"], labels, dataset.classes).as_dict()
    if not options.fine_tune:
        return {"folds": options.folds, **metrics}
    frozen = evaluation.measure(scores["frozen"], labels, dataset.classes)
    change = dataclasses.asdict(evaluation.compare(scores["frozen"], scores["network"], labels))
    return {"folds": options.folds, **metrics, "frozen_top1": frozen.top1, "against_frozen": change}


def part_for_stopping(photos: Dataset, options: Options) -> tuple[Dataset, Dataset]:
    """Divides photos without a validation part into those to learn from and one part in eight to choose by.

    Raises:
      DataError: a class has too few photos.
    """
    stopping = np.array(photos.folds(min(_STOPPING_PARTS, _fewest(photos)), seed=options.seed)) == 0
    return _select(photos, ~stopping), _select(photos, stopping)


def _held_out(learned: Learned, validation: Dataset, base: QuantizedEmbedder, options: Options) -> tuple[Array, Array]:
    """Returns scores, float [M, C], of photos by networks like the one that ships that have not learned from them.

    Of a head on frozen features these are the cross-validated scores of all its photos; of a fine-tuned network, those
    that the network before the last repetition gives to the validation photos.
    """
    if learned.tuned and learned.tuned.improved:
        return score(learned.tuned.judged, validation, base, options), np.array(validation.labels)
    return learned.fit.held_out, learned.fit.held_out_labels


def _fit(
    photos: Dataset,
    base: QuantizedEmbedder,
    options: Options,
    clock: Stages,
    *,
    augmented: bool = False,
    choice: str | None = None,
    among: tuple[Layer, ...] = (),
) -> heads.Fit:
    """Fits a head on what `choice` takes, the option unless given, of the layers that it is `among`."""
    found, _ = embed(photos, base, options, augmented=augmented)
    labels, classes = np.array(photos.labels), len(photos.classes)
    return heads.fit(
        Embeddings(found, base.layers),
        labels,
        classes=classes,
        layers=choice or _choice(base, options),
        among=among,
        balance=options.class_weight == "auto",
        progress=clock.progress,
    )


def _choice(base: QuantizedEmbedder, options: Options) -> str:
    """Returns which layers are chosen among; of a finished file's backbone a head sees all that are there."""
    return "all" if base.is_chosen else options.layers


def _network(base: QuantizedEmbedder, fit: heads.Fit) -> Network:
    """Returns the float network with a head that was fitted on the int8 form of its backbone."""
    embedder = network_layers.join(base.content, fit.layers)
    return Network(embedder, fit.head, fit.layers)


def _trainable(base: QuantizedEmbedder, options: Options) -> tuple[Layer, ...]:
    """Returns the layers that a fine-tuning changes: with the tail alone, those behind the seam."""
    if options.fine_tune != "tail":
        return base.layers
    try:
        behind = trunk.behind(base.content, trunk.seam(base.content))
    except ModelError:  # which fine-tuning itself will say, and better
        return base.layers[-1:]
    return tuple(layer for layer in base.layers if layer.name in behind)


def _fewest(dataset: Dataset) -> int:
    """Returns how many different photos the smallest class has."""
    different = Counter(label for label, _ in {(sample.label, sample.digest) for sample in dataset.samples})
    return min(different.values())


def _select(dataset: Dataset, chosen: Array) -> Dataset:
    samples = (sample for sample, wanted in zip(dataset.samples, chosen, strict=True) if wanted)
    return dataclasses.replace(dataset, samples=tuple(samples))
