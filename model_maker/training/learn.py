"""Fits a head on frozen features, and fine-tunes the network if requested."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.data.augment import PRESETS
from model_maker.data.dataset import Dataset
from model_maker.data.multi_label import MultiLabelDataset
from model_maker.embeddings import computing
from model_maker.embeddings.computing import Embeddings
from model_maker.embeddings.engines import LOCAL
from model_maker.embeddings.work import Engine
from model_maker.errors import ModelError
from model_maker.inference import conformal, precision_thresholds
from model_maker.inference.precision_thresholds import Threshold
from model_maker.inference.training_report import Kept
from model_maker.learning import examples, fine_tuning, heads, recipe
from model_maker.learning.callbacks import NO_CALLBACKS, Callbacks
from model_maker.learning.checkpoint import Checkpoint
from model_maker.learning.features import FeatureTable
from model_maker.learning.fine_tuning import Network, Tuned
from model_maker.options import Options
from model_maker.progress import Progress
from model_maker.tflite import graph, integer_heads, network_layers, trunk
from model_maker.tflite.integer_heads import IntegerHead
from model_maker.tflite.label_sets import LabelSets
from model_maker.tflite.metadata import ModelInfo
from model_maker.tflite.network_layers import Layer
from model_maker.training import answer_keeping, metrics_record
from model_maker.training.training_data import TrainingData, join

Array = np.ndarray


@dataclass(frozen=True)
class Learned:
    """The result of learning.

    Attributes:
      network: the network to ship.
      fit: details of the head on frozen features.
      frozen: the network with that head; the same as `network` unless fine-tuning improved it.
      tuned: details of fine-tuning; None without.
      kept: what averaging with an older head did; None without.
    """

    network: Network
    fit: heads.FittedHead
    frozen: Network
    tuned: Tuned | None = None
    kept: Kept | None = None


def learn(
    data: TrainingData,
    options: Options,
    progress: Progress,
    *,
    checkpoint: Checkpoint | None = None,
    callbacks: Callbacks = NO_CALLBACKS,
    engine: Engine = LOCAL,
) -> Learned:
    """Fits a head, and fine-tunes the network if the options request it.

    A head on frozen features is trained on training and validation photos, because its choices are cross-validated;
    fine-tuning trains on the former and selects by the latter.

    Args:
      data: photos and their embeddings.
      options: of training.
      progress: receives progress events.
      checkpoint: stores the state of fine-tuning; may be None.
      callbacks: receive its epochs.
      engine: computes the feature maps of the trunk.
    """
    train, validation = data.split.train, data.split.validation
    both = join(train, validation)
    if options.keep_answers is not None:
        return _keeping(both, data, options, progress)
    with progress.stage("Fit the head"):
        fit = _fit(both, data, options, progress)
        frozen = _network(data, fit)
        if not options.fine_tune:
            return Learned(frozen, fit, frozen)
        # The layers of the head that would ship otherwise, so that fine-tuning begins where frozen features end.
        layers = _mixable(data, fit.layers) if options.mix else fit.layers
        start = _fit(train, data, options, progress, choice="all", among=layers)
        whole = _fit(both, data, options, progress, choice="all", among=layers) if layers != fit.layers else fit
    photos = examples.Photos(
        train,
        validation,
        data.backbone.normalization,
        PRESETS[options.augmentation],
        views=options.views,
        seed=options.seed,
        threads=options.threads,
        engine=engine,
        resize=data.backbone.resize,
    )
    try:
        tuned = fine_tuning.fine_tune(
            dataclasses.replace(_network(data, start), layers=()),
            photos,
            recipe.of(options, len(train)),
            whole=dataclasses.replace(_network(data, whole), layers=()),
            balance=options.class_weight == "auto",
            progress=progress,
            checkpoint=checkpoint,
            callbacks=callbacks,
        )
    except KeyboardInterrupt:
        if checkpoint and checkpoint.path.exists():
            progress.note("The same command with `resume=True` continues after the last finished epoch.")
        raise
    for note in tuned.notes:
        progress.note(note)
    return Learned(tuned.network if tuned.improved else frozen, fit, frozen, tuned)


def _keeping(both: Dataset, data: TrainingData, options: Options, progress: Progress) -> Learned:
    """Fits a head on the layers of an older one, and averages both."""
    balance, test = options.class_weight == "auto", data.split.test
    old = answer_keeping.read(str(options.keep_answers), data)
    with progress.stage("Fit the head"):
        plain = _fit(both, data, options, progress, choice="all", among=old.layers, views=data.views)
    with progress.stage("Average with the old head"):
        fit, weight, held_out = answer_keeping.keep(plain, old, both, data, balance=balance)
    network = _network(data, fit)
    on_test = answer_keeping.on_test(plain.head, fit.head, old, data.features(network, test), np.array(test.labels))
    return Learned(network, fit, network, kept=Kept(old.path, weight, held_out, on_test))


def unseeing(learned: Learned, data: TrainingData, options: Options, progress: Progress) -> Network:
    """Returns a network like the shipped one that was not trained on the validation photos."""
    if learned.tuned and learned.tuned.improved:
        return learned.tuned.judged
    return _network(data, _fit(data.split.train, data, options, progress, choice="all", among=learned.fit.layers))


def choose_thresholds(
    info: ModelInfo, learned: Learned, data: TrainingData, options: Options, progress: Progress
) -> tuple[ModelInfo, Threshold | None, dict[str, Threshold]]:
    """Chooses score thresholds by photos that the scoring heads were not trained on.

    Returns:
      The metadata with thresholds, the one of `precision`, and those of `label_precision` by label.
    """
    scores, labels = _held_out(learned, data, options)
    scores = precision_thresholds.in_bytes(scores) if options.io == "uint8" else scores
    overall, by_label = None, {}
    if options.precision is not None:
        overall = precision_thresholds.choose(scores, labels, options.precision)
        info = dataclasses.replace(info, threshold=overall.score)
    if options.label_precision is not None:
        own = precision_thresholds.choose_by_label(scores, labels, options.label_precision, least=info.threshold)
        limits = tuple(entry.score for entry in own)
        differ = min(limits) < max(limits)
        info = dataclasses.replace(info, threshold=min(limits), label_thresholds=limits if differ else ())
        by_label = dict(zip(info.labels, own, strict=True))
    metrics_record.warn_unproven(overall, by_label, progress)
    return info, overall, by_label


def choose_label_sets(
    learned: Learned, data: TrainingData, options: Options, coverage: float, *, in_bytes: bool
) -> LabelSets:
    """Chooses how many labels to show, by photos that the scoring heads were not trained on; see `_held_out`.

    The shipped head has learned from the training and the validation photos, so its own scores of them are too good to
    calibrate on; those of heads that were trained without them are what new photos get.

    Args:
      learned, data, options: of the model.
      coverage: above 0 and below 1.
      in_bytes: whether the file states scores in steps of 1/256.
    """
    scores, labels = _held_out(learned, data, options)
    scores = precision_thresholds.in_bytes(scores) if in_bytes else scores
    return conformal.choose(scores, labels, coverage)


def score(network: Network, photos: Dataset, data: TrainingData, options: Options) -> Array:
    """Returns the scores of a network, float32 [N, C]; embeddings of a fine-tuned network are not cached."""
    if not network.layers:
        expected = data.backbone.normalization, data.backbone.resize
        found, _ = computing.compute(photos, network.embedder, *expected, threads=options.threads)
        return network.head.scores(found)
    return network.head.scores(data.features(network, photos))


def float_scores(network: Network, photos: Dataset, data: TrainingData, options: Options) -> Array:
    """Returns the scores of the float network, float32 [N, C]."""
    if not network.layers:
        return score(network, photos, data, options)
    # All layers are computed, as other trainings of these photos may choose others: the cache then has them.
    backbone, expected = data.backbone, (data.backbone.normalization, data.backbone.resize)
    maps, _ = computing.feature_maps(photos, backbone.joined, *expected, threads=options.threads)
    return network.head.scores(maps.columns(network_layers.features(backbone.layers, network.layers)))


def integer_head(network: Network, photos: Dataset, data: TrainingData) -> IntegerHead:
    """Quantizes the head of a frozen network to integers, calibrated on its training photos."""
    seen = data.features(network, photos)
    head = network.head
    return integer_heads.quantize(head.kernel, head.bias, seen, seen.step, multi_label=head.multi_label)


def attached(head: IntegerHead, network: Network, data: TrainingData) -> schema.ModelT:
    """Returns the int8 backbone of a frozen network with its integer head; input and output are int8, too."""
    if data.backbone.int8 is None:
        raise ModelError(f"{data.backbone.name} has no int8 form.")
    model = graph.parse(data.backbone.int8.content)
    network_layers.keep(model, network.layers)
    head.append(model)
    return model


def _held_out(learned: Learned, data: TrainingData, options: Options) -> tuple[Array, Array]:
    """Returns scores, float [M, C], of photos by networks like the shipped one that were not trained on them.

    For a head on frozen features, the cross-validated scores of all its photos; for a fine-tuned network, the scores
    of the validation photos before the final training on all photos.
    """
    if learned.tuned and learned.tuned.improved:
        validation = data.split.validation
        return score(learned.tuned.judged, validation, data, options), np.array(validation.labels)
    return learned.fit.held_out, learned.fit.held_out_labels


def _fit(
    photos: Dataset,
    data: TrainingData,
    options: Options,
    progress: Progress,
    *,
    choice: str | None = None,
    among: tuple[Layer, ...] = (),
    views: Embeddings | None = None,
) -> heads.FittedHead:
    """Fits a head on the layers that `choice` selects, by default the option, `among` some layers."""
    plain = choice is not None or bool(among)  # with fine-tuning, which has its own augmentation
    found = (views or (data.embeddings if plain else data.views)).select(photos)
    labels = photos.targets if isinstance(photos, MultiLabelDataset) else np.array(photos.labels)
    return heads.fit(
        FeatureTable(found, data.backbone.layers),
        labels,
        classes=len(photos.classes),
        layers=choice or _choice(data, options),
        among=among,
        balance=options.class_weight == "auto",
        prior=data.prior.head if data.prior else None,
        progress=progress.step,
    )


def _choice(data: TrainingData, options: Options) -> str:
    """Returns the candidate layers; with the backbone of a finished file, all that it has."""
    return "all" if data.backbone.is_chosen else options.layers


def _network(data: TrainingData, fit: heads.FittedHead) -> Network:
    """Returns the float network with a head that was fitted on the int8 backbone."""
    return Network(network_layers.join(data.backbone.content, fit.layers), fit.head, fit.layers)


def _mixable(data: TrainingData, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Returns those of some layers that follow the cut: means of earlier maps cannot be computed from mixed maps."""
    content = data.backbone.content
    try:
        behind = trunk.behind(content, trunk.seam(content))
    except ModelError:  # fine-tuning itself will raise a better error
        return layers[-1:]
    return tuple(layer for layer in layers if layer.name in behind)
