"""Fine-tuning: the network learns with its head, from where the frozen features left off.

What is trained is rebuilt from the float `.tflite` and goes back into it, so any backbone can be tuned, imported ones
too. "tail" trains the last stages on the activations of the frozen trunk, which LiteRT computes once for each view of
each photo; "all" goes on from there with every layer, on fresh views in every epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model_maker.data import augment
from model_maker.data.augment import Augmentation
from model_maker.data.dataset import Dataset, Sample
from model_maker.data.streaming import stream
from model_maker.embeddings.computing import compute, feature_maps
from model_maker.embeddings.engines import LOCAL
from model_maker.embeddings.work import Engine
from model_maker.errors import DataError
from model_maker.learning import heads, trainer
from model_maker.learning.callbacks import NO_CALLBACKS, Callbacks
from model_maker.learning.checkpoint import Checkpoint
from model_maker.learning.epochs import Epochs, Source, again
from model_maker.learning.heads import Head
from model_maker.learning.recipe import Recipe
from model_maker.learning.trainer import Trainer
from model_maker.normalization import Normalization
from model_maker.progress import SILENT, Progress
from model_maker.tflite import keras_model, trunk
from model_maker.tflite.interpreter import Runner
from model_maker.tflite.network_layers import Layer

Array = np.ndarray

PHASES = {"tail": ("tail",), "all": ("tail", "all")}
_HEAD = "head"
# As good as endless: each epoch shows others.
_FRESH_VIEWS = 1 << 30


@dataclass(frozen=True)
class Photos:
    """The photos of a fine-tuning.

    Attributes:
      train: to learn from.
      validation: to choose by, of the same classes.
      normalization: what the network expects.
      augmentation: how views differ from their photo.
      views: how many of each photo are kept for the tail, the plain one among them.
      seed: of the views.
      threads: photos at a time; None for all cores.
      engine: where they go through the frozen trunk.
    """

    train: Dataset
    validation: Dataset
    normalization: Normalization
    augmentation: Augmentation
    views: int = 4
    seed: int = 0
    threads: int | None = None
    engine: Engine = LOCAL


@dataclass(frozen=True)
class Network:
    """An embedder and its head.

    Attributes:
      embedder: a float `.tflite`, float32 [1, H, H, 3] to float32 [1, D], perhaps several layers joined.
      head: on its embeddings.
      layers: what a head on frozen features sees of its backbone, whose int8 form embeds for it; none once the network
        has been tuned.
    """

    embedder: bytes
    head: Head
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class Tuned:
    """What fine-tuning made.

    Attributes:
      network: the best by validation loss, calibrated there, or its repetition with all photos; the one it began with,
        where nothing was better.
      judged: the same before its repetition; it has not learned from the validation photos.
      history: one entry for what it began with, and one for each epoch; see `Epochs`.
      blends: how far each phase's best weights were followed; see `Epochs`.
      notes: what people should know.
    """

    network: Network
    judged: Network
    history: list[dict[str, Any]]
    blends: dict[str, dict[str, float]]
    notes: tuple[str, ...]

    @property
    def improved(self) -> bool:
        """Whether it is another network than it was."""
        return bool(self.blends)


def fine_tune(
    start: Network,
    photos: Photos,
    recipe: Recipe,
    *,
    whole: Network | None = None,
    balance: bool = True,
    progress: Progress = SILENT,
    checkpoint: Checkpoint | None = None,
    callbacks: Callbacks = NO_CALLBACKS,
) -> Tuned:
    """Trains a network further.

    Validation photos choose the epoch and how far to go. What was found is then repeated from `whole`, with the
    validation photos among those to learn from; not so where time is limited.

    Args:
      start: its head has not seen the validation photos.
      photos: what to learn from, and what to choose by.
      recipe: how.
      whole: the same network with a head that has learned from both; None to leave the repetition out.
      balance: whether uneven classes weigh alike.
      progress: receives stages and steps.
      checkpoint: where its state is kept; None for nowhere.
      callbacks: receive each epoch.

    Raises:
      DataError: a batch does not fit into memory, or a photo cannot be read any more.
      ModelError: the network has operators that cannot be trained, or nowhere to be parted.
    """
    trainer.load_tensorflow()
    train, validation = np.array(photos.train.labels), np.array(photos.validation.labels)
    counts = np.bincount(train, minlength=len(photos.train.classes))
    weights = heads.class_weights(counts) if balance else np.ones(len(counts))
    epochs = Epochs(
        recipe, train, validation, len(counts), progress=progress, checkpoint=checkpoint, callbacks=callbacks
    )
    network = start
    for name in PHASES[recipe.scope]:
        if not epochs.is_over(name):
            network = _phase(name, network, photos, recipe, weights, epochs)
    if not epochs.blends:
        epochs.notes.append("Fine-tuning was no better on validation photos than the frozen features, which are kept.")
        return Tuned(start, start, epochs.history, {}, tuple(epochs.notes))
    if not epochs.found:
        epochs.found, epochs.temperature = _pack(network), _temperature(network, photos)
    judged = network = _divided(_unpack(epochs.found) or network, epochs.temperature)
    if whole and recipe.budget_s is None:
        repeated = _repeat(whole, photos, recipe, weights, epochs)
        network = _divided(repeated, epochs.temperature) if repeated else judged
    return Tuned(network, judged, epochs.history, epochs.blends, tuple(epochs.notes))


def _phase(name: str, network: Network, photos: Photos, recipe: Recipe, weights: Array, epochs: Epochs) -> Network:
    """Trains the tail, or everything, and returns the better of what came out and what went in."""
    network = _unpack(epochs.saved_network(name)) or network
    part = _part(name, network)
    with epochs.progress.stage("Compute activations" if part else "Open the network"):
        learned = _source(network.embedder, part, photos, photos.train, epochs.progress)
        judged = _source(network.embedder, part, replace(photos, views=1), photos.validation, epochs.progress)
    with trainer.precision(), epochs.progress.stage(f"Fine-tune ({name})"):
        worker = _worker(network, part, recipe, weights)
        last = name == PHASES[recipe.scope][-1]
        best = epochs.run(name, worker, learned, judged, network=_pack(network), last=last)
        if best is None:
            return network
        worker.set_weights(best)
        return _trained(network, worker)


def _repeat(network: Network, photos: Photos, recipe: Recipe, weights: Array, epochs: Epochs) -> Network | None:
    """Does again, with all photos, what brought something; None where that fails."""
    both = replace(photos.train, samples=(*photos.train.samples, *photos.validation.samples))
    for name in epochs.blends:
        if epochs.is_over(again(name)):
            continue
        network = _unpack(epochs.saved_network(again(name))) or network
        part = _part(name, network)
        with trainer.precision(), epochs.progress.stage(f"Repeat with all photos ({name})"):
            learned = _source(network.embedder, part, photos, both, epochs.progress)
            worker = _worker(network, part, recipe, weights)
            if not epochs.repeat(name, worker, learned, np.array(both.labels), _pack(network)):
                return None
            network = _trained(network, worker)
    return network


def _part(phase: str, network: Network) -> str | None:
    """Returns where the trained part begins; None for the input."""
    return trunk.seam(network.embedder) if phase == "tail" else None


def _worker(network: Network, part: str | None, recipe: Recipe, weights: Array) -> Trainer:
    rate = recipe.learning_rate * (1.0 if part else recipe.whole_rate)
    return Trainer(with_head(network, part, recipe), recipe, weights, learning_rate=rate)


def _trained(network: Network, worker: Trainer) -> Network:
    """Returns the network with the weights that the worker has now."""
    kernel, bias = worker.model.get_layer(_HEAD).get_weights()
    return Network(keras_model.from_keras(network.embedder, worker.model), Head(np.ascontiguousarray(kernel.T), bias))


def with_head(network: Network, part: str | None, recipe: Recipe):
    """Returns keras.Model from activations at `part`, or normalized pixels, to logits."""
    import keras

    body = keras_model.to_keras(network.embedder, start=part)
    embedding = keras.layers.Dropout(recipe.dropout, seed=recipe.seed)(body.output)
    # In half precision, too: a softmax of large numbers needs all digits.
    dense = keras.layers.Dense(len(network.head.bias), name=_HEAD, dtype="float32")
    model = keras.Model(body.input, dense(embedding))
    dense.set_weights([network.head.kernel.T, network.head.bias])
    return model


def _source(embedder: bytes, part: str | None, photos: Photos, dataset: Dataset, progress: Progress) -> Source:
    """Returns where the examples of a data set come from, as `photos` says."""
    if part is None:
        return Pixels(dataset, photos, embedder)
    maps, unreadable = feature_maps(
        dataset,
        trunk.trunk(embedder, part),
        photos.normalization,
        views=photos.views,
        augmentation=photos.augmentation,
        seed=photos.seed,
        threads=photos.threads,
        engine=photos.engine,
        progress=progress,
    )
    if unreadable:
        raise DataError(f"{unreadable[0].path} could be read before and cannot now: {unreadable[0].reason}.")
    return maps


class Pixels:
    """Photos as the whole network takes them, read and augmented anew each time.

    Args:
      dataset: the photos.
      photos: how they are augmented and normalized.
      embedder: a `.tflite` whose input says their size.
    """

    views = _FRESH_VIEWS

    def __init__(self, dataset: Dataset, photos: Photos, embedder: bytes):
        self._samples, self._photos = dataset.samples, photos
        self._size = Runner(embedder).input_shape[1]

    def batch(self, photos: Array, views: Array | int = 0) -> Array:
        """Returns one view of each photo, float32 [B, H, H, 3], normalized; view 0 is the plain photo."""
        wanted = [(self._samples[photo], int(view)) for photo, view in np.broadcast(photos, views)]
        normalize, rows = self._photos.normalization, []
        for result in stream(wanted, self._size, lambda: normalize, threads=self._photos.threads, load=self._load):
            if isinstance(result, DataError):
                raise result
            rows.append(result)
        return np.concatenate(rows)

    def _load(self, wanted: tuple[Sample, int], size: int) -> Array:
        sample, number = wanted
        augmentation, seed = self._photos.augmentation, self._photos.seed
        return augment.views(sample.path, size, augmentation, digest=sample.digest, seed=seed, numbers=[number])


def _temperature(network: Network, photos: Photos) -> float:
    """Returns what suits the validation photos, as LiteRT embeds them."""
    vectors, _ = compute(photos.validation, network.embedder, photos.normalization, threads=photos.threads)
    return heads.calibrate(network.head.logits(vectors), np.array(photos.validation.labels))[0]


def _divided(network: Network, temperature: float) -> Network:
    """Folds a temperature into the head."""
    divisor = np.float32(temperature)
    return Network(network.embedder, Head(network.head.kernel / divisor, network.head.bias / divisor))


def _pack(network: Network) -> dict[str, Array]:
    embedder = np.frombuffer(network.embedder, np.uint8)
    return {"embedder": embedder, "kernel": network.head.kernel, "bias": network.head.bias}


def _unpack(arrays: Mapping[str, Array]) -> Network | None:
    if not arrays:
        return None
    return Network(arrays["embedder"].tobytes(), Head(arrays["kernel"], arrays["bias"]))
