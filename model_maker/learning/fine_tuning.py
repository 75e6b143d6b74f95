"""Fine-tuning: trains the network together with its head, starting from frozen features.

The trained part is rebuilt from the float `.tflite` and written back, so any backbone can be tuned, also imported
ones. "tail" trains the last stages on the activations of the frozen trunk, which LiteRT computes once for each view of
each photo; "all" continues from there with every layer, on fresh views in every epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model_maker.embeddings.computing import compute
from model_maker.learning import examples, heads, trainer
from model_maker.learning.callbacks import NO_CALLBACKS, Callbacks
from model_maker.learning.checkpoint import Checkpoint
from model_maker.learning.epochs import BatchSource, Epochs, again
from model_maker.learning.examples import Photos, Pixels
from model_maker.learning.heads import Head
from model_maker.learning.recipe import Recipe
from model_maker.learning.trainer import Trainer
from model_maker.progress import SILENT, Progress
from model_maker.tflite import keras_model, trunk
from model_maker.tflite.network_layers import Layer

Array = np.ndarray

PHASES = {"tail": ("tail",), "all": ("tail", "all")}
_HEAD = "head"
# A repetition gained +0.2 and -1.4 points on 600 and 300 photos, both within the noise: so only where it is quick.
REPEATED_BELOW = 1500


@dataclass(frozen=True)
class Network:
    """An embedder and its head.

    Attributes:
      embedder: a float `.tflite`, float32 [1, H, H, 3] to float32 [1, D], perhaps several layers joined.
      layers: backbone layers that feed a head on frozen features, computed by the int8 backbone; empty for a tuned
      network.
    """

    embedder: bytes
    head: Head
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class Tuned:
    """The result of fine-tuning.

    Attributes:
      network: the best by validation loss, calibrated there, or its repetition with all photos; the one it began with,
        where nothing was better.
      judged: the same before its repetition; it has not learned from the validation photos.
      history: one entry for what it began with, and one for each epoch; see `Epochs`.
      blends: how far each phase's best weights were followed; see `Epochs`.
    """

    network: Network
    judged: Network
    history: list[dict[str, Any]]
    blends: dict[str, dict[str, float]]
    notes: tuple[str, ...]

    @property
    def improved(self) -> bool:
        """Whether fine-tuning changed the network."""
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

    Validation photos choose the epoch and how far to go. With fewer photos than REPEATED_BELOW, what was found is then
    repeated from `whole`, with the validation photos among those to learn from, if the time limit allows it.

    Args:
      start: a network whose head was not trained on the validation photos.
      whole: the same network with a head that has learned from both; None to leave the repetition out.
      balance: whether to weight imbalanced classes equally.

    Raises:
      DataError: a batch does not fit into memory, or a photo cannot be read any more.
      ModelError: the network has operators that cannot be trained, or no place to cut it.
    """
    train, validation = np.array(photos.train.labels), np.array(photos.validation.labels)
    counts = np.bincount(train, minlength=len(photos.train.classes))
    weights = heads.class_weights(counts) if balance else np.ones(len(counts))
    epochs = Epochs(
        recipe, train, validation, len(counts), progress=progress, checkpoint=checkpoint, callbacks=callbacks
    )
    trainer.load_tensorflow()  # part of the time limit, which began with `epochs`
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
    if whole and len(train) < REPEATED_BELOW and epochs.has_time_to_repeat((len(train) + len(validation)) / len(train)):
        repeated = _repeat(whole, photos, recipe, weights, epochs)
        network = _divided(repeated, epochs.temperature) if repeated else judged
    return Tuned(network, judged, epochs.history, epochs.blends, tuple(epochs.notes))


def _phase(name: str, network: Network, photos: Photos, recipe: Recipe, weights: Array, epochs: Epochs) -> Network:
    """Trains the tail, or everything, and returns the better of the initial and the trained network."""
    network = _unpack(epochs.saved_network(name)) or network
    part = _part(name, network)
    last = name == PHASES[recipe.scope][-1]
    with epochs.progress.stage("Compute activations" if part else "Open the network"):
        learned, chosen, judged = _sources(network, part, photos, epochs, last=last)
    with trainer.precision(), epochs.progress.stage(f"Fine-tune ({name})"):
        worker = _worker(network, part, recipe, weights)
        best = epochs.run(name, worker, learned, judged, network=_pack(network), last=last, chosen=chosen)
        if best is None:
            return network
        worker.set_weights(best)
        return _trained(network, worker)


def _repeat(network: Network, photos: Photos, recipe: Recipe, weights: Array, epochs: Epochs) -> Network | None:
    """Repeats the phases with an improvement on all photos; None if that fails."""
    both = replace(photos.train, samples=(*photos.train.samples, *photos.validation.samples))
    for name in epochs.blends:
        if epochs.is_over(again(name)):
            continue
        network = _unpack(epochs.saved_network(again(name))) or network
        part = _part(name, network)
        with trainer.precision(), epochs.progress.stage(f"Repeat with all photos ({name})"):
            learned: BatchSource = (
                examples.activations(network.embedder, part, photos, both, epochs.progress)
                if part
                else Pixels(both, photos, network.embedder)
            )
            worker = _worker(network, part, recipe, weights)
            if not epochs.repeat(name, worker, learned, np.array(both.labels), _pack(network)):
                return None
            network = _trained(network, worker)
    return network


def _part(phase: str, network: Network) -> str | None:
    """Returns the start of the trained part; None for the input."""
    return trunk.seam(network.embedder) if phase == "tail" else None


def _worker(network: Network, part: str | None, recipe: Recipe, weights: Array) -> Trainer:
    rate = recipe.learning_rate * (1.0 if part else recipe.whole_rate)
    return Trainer(with_head(network, part, recipe), recipe, weights, learning_rate=rate)


def _trained(network: Network, worker: Trainer) -> Network:
    """Returns the network with the current weights of the worker."""
    kernel, bias = worker.model.get_layer(_HEAD).get_weights()
    return Network(keras_model.from_keras(network.embedder, worker.model), Head(np.ascontiguousarray(kernel.T), bias))


def with_head(network: Network, part: str | None, recipe: Recipe):
    """Returns keras.Model from activations at `part`, or normalized pixels, to logits."""
    import keras

    start = trunk.crossing(network.embedder, part) if part else None
    body = keras_model.to_keras(network.embedder, start=start, convolutions=trainer.convolutions())
    embedding = keras.layers.Dropout(recipe.dropout, seed=recipe.seed)(body.output)
    # Also with half precision: a softmax of large numbers needs full precision.
    dense = keras.layers.Dense(len(network.head.bias), name=_HEAD, dtype="float32")
    model = keras.Model(body.input, dense(embedding))
    dense.set_weights([network.head.kernel.T, network.head.bias])
    return model


def _sources(
    network: Network, part: str | None, photos: Photos, epochs: Epochs, *, last: bool
) -> tuple[BatchSource, Array, BatchSource]:
    """Returns the source of training photos, which of them it has, and the source of validation photos."""
    every, progress = np.arange(len(photos.train)), epochs.progress
    if part is None:
        sources = (Pixels(dataset, photos, network.embedder) for dataset in (photos.train, photos.validation))
        return next(sources), every, next(sources)
    judged = examples.activations(network.embedder, part, photos, photos.validation, progress, views=1)
    seconds = epochs.seconds_for_activations(last)
    if seconds is None:
        return examples.activations(network.embedder, part, photos, photos.train, progress), every, judged
    learned, chosen = examples.activations_in_time(
        network.embedder, part, photos, photos.train, progress, seconds=seconds
    )
    return learned, chosen, judged


def _temperature(network: Network, photos: Photos) -> float:
    """Returns what suits the validation photos, as LiteRT embeds them."""
    found = photos.validation, network.embedder, photos.normalization, photos.resize
    vectors, _ = compute(*found, threads=photos.threads)
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
