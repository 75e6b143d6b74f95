"""The head: logistic regression on frozen embeddings, of one label a photo or several, and selection of layers."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from model_maker.data.streaming import cores
from model_maker.embeddings.store import FeatureMaps
from model_maker.errors import DataError
from model_maker.inference.training_report import Tried
from model_maker.learning.features import FeatureTable
from model_maker.learning.likelihoods import SIGMOID, SOFTMAX, Likelihood
from model_maker.learning.regression import Problem
from model_maker.learning.regularization_path import PATH_ITERATIONS, RegularizationPath, Walk, offset_progress
from model_maker.tflite import network_layers
from model_maker.tflite.network_layers import Layer

Array = np.ndarray
Progress = Callable[[int, int], None]

# From strong to weak, relative to the mean loss of a photo, on embeddings of unit variance. Half decades: between two
# neighbours cross-validated accuracy moves by less than its own noise.
REGULARIZATION = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
# Tried first if there is a prior: then little may be learned from few photos.
_STRONGER = (100.0, 10.0, 3.0, 1.0)
# Above this ratio of the largest class to the smallest, classes are weighted equally and not by their count.
UNEVEN = 2.0
# Photos x classes above which cross-validation uses three folds instead of five, to save time.
_LARGE = 100_000
_FINAL_ITERATIONS = 200
# Of a stream one photo in so many is held out, or as many as put an accuracy within 0.4 points.
_PARTS, MOST_HELD_OUT = 10, 20_000


@dataclass(frozen=True)
class Head:
    """A linear classifier on embeddings, temperature folded in.

    Attributes:
      kernel: float32 [C, D].
      bias: float32 [C].
      multi_label: whether photos may have several labels, so that each has a score for itself.
    """

    kernel: Array
    bias: Array
    multi_label: bool = False

    def logits(self, embeddings: Array | FeatureMaps) -> Array:
        """Maps [N, D], which a store gives in blocks, to float32 [N, C]."""
        if isinstance(embeddings, FeatureMaps):
            parts = [self.logits(block) for block in embeddings.blocks()]
            return np.concatenate([np.empty((0, len(self.bias)), np.float32), *parts])
        return embeddings.astype(np.float32) @ self.kernel.T + self.bias

    def scores(self, embeddings: Array | FeatureMaps) -> Array:
        """The same as `logits`, converted to probabilities."""
        return _likelihood(self.multi_label).scores(self.logits(embeddings))


@dataclass(frozen=True)
class Prior:
    """What is known of classes before their photos are: a head on the last layer, towards which others are regularized.

    Attributes:
      kernel: float [C, D]; zeros for a class of which nothing is known.
      bias: float [C].
    """

    kernel: Array
    bias: Array


@dataclass(frozen=True)
class LayerCandidate:
    """A set of layers with the cross-validated results of its heads.

    Attributes:
      loss: mean calibrated loss of held-out photos.
      top1: their accuracy, 0 to 1; of several labels, the share of photos with exactly these above one half.
      behind: by how much a photo's loss is above that of the best set in the mean; `behind_error` its standard error.
    """

    layers: tuple[Layer, ...]
    loss: float
    top1: float
    behind: float = 0.0
    behind_error: float = 0.0


@dataclass(frozen=True)
class FittedHead:
    """A head and the details of its fit.

    Attributes:
      head: fitted on all photos that were given.
      chosen: the name of its set of layers, see `tflite.network_layers.SETS`.
      candidates: the sets that were compared, by name.
      regularization: the chosen one of REGULARIZATION.
      temperature: what logits were divided by.
      class_weights: float [C]; all 1 where classes are even.
      top1: cross-validated accuracy, 0 to 1, see LayerCandidate.
      held_out: float [M, C], calibrated scores of photos by heads that have not learned from them.
      held_out_labels: int [M]; of several labels, bool [M, C].
      path: regularizations from strong to weak, until the loss rose.
      prior_scale: what the logits of the prior were multiplied by; 0 without one.
    """

    head: Head
    chosen: str
    candidates: dict[str, LayerCandidate]
    regularization: float
    temperature: float
    class_weights: Array
    top1: float
    held_out: Array
    held_out_labels: Array
    path: tuple[Tried, ...] = ()
    prior_scale: float = 0.0

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What the head sees."""
        return self.candidates[self.chosen].layers


def fit(
    embeddings: FeatureTable | Array | FeatureMaps,
    labels: Array,
    *,
    classes: int,
    layers: str = "auto",
    among: Sequence[Layer] = (),
    folds: Sequence[int] | None = None,
    balance: bool = True,
    prior: Prior | None = None,
    progress: Progress | None = None,
) -> FittedHead:
    """Fits a head on frozen embeddings: softmax, or sigmoid where photos may have several labels.

    Layers, regularization and temperature come from cross-validated logits of the plain photos; the head itself is then
    fitted on all photos, in all their views. What is in a store and large (see `features`) stays there and is read once
    for each step of the search; one held-out part then stands for the folds.

    Args:
      embeddings: of N photos, of one layer where they are just numbers.
      labels: int [N], values in [0, classes); or bool [N, C], the labels that each photo has.
      layers: one of `tflite.network_layers.CHOICES`. "auto" takes the simplest set whose loss cannot be told from the
        best one's: the paired difference is within one standard error.
      among: the layers that a set may hold; all unless given.
      folds: the fold of each photo; five, stratified in the given order, by default.
      balance: whether uneven classes weigh alike; of no effect on several labels.
      prior: what to regularize towards, in the place of zero; its logits are scaled to suit the photos.
      progress: called with (done, total) steps; those that prove unnecessary count as done.

    Returns:
      The head, whose probabilities are calibrated.

    Raises:
      DataError: a class has fewer than two photos, or none where there is a prior; a label has fewer than two photos
        with it, or without.
    Source:
      Guo et al. 2017, "On Calibration of Modern Neural Networks" (temperature).
    """
    labels = np.asarray(labels)
    likelihood = _likelihood(labels.ndim == 2)
    weights = _weights(labels, classes, 1 if prior else 2, balance=balance)
    given = embeddings if isinstance(embeddings, FeatureTable) else FeatureTable(embeddings)
    held_out = held_out_parts(labels, given, classes) if folds is None else _parts(np.asarray(folds))
    sets = _sets(tuple(among) or given.layers, layers)
    offsets, scale = _offsets(prior, given, labels)
    strengths = (*_STRONGER, *REGULARIZATION) if prior else REGULARIZATION
    path = len(strengths) * len(held_out) * PATH_ITERATIONS
    total = len(sets) * path + _FINAL_ITERATIONS

    def report(step: int) -> None:
        if progress:
            progress(step, total)

    # One BLAS thread for each of ours: BLAS's own wait for each other in busy loops, which is many times slower
    # whenever another process wants a core.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as pool:
        search = RegularizationPath(labels, weights, held_out, pool, strengths, offsets, likelihood)
        walks: dict[str, Walk] = {}
        for number, (name, some) in enumerate(sets.items()):
            walks[name] = search.walk(given.standardize(some), partial(offset_progress, report, number * path))
        chosen, candidates = _choose(sets, walks, labels[np.any(held_out, axis=0)], weights, likelihood)
        best = walks[chosen]
        whole = Problem(
            best.features.rows(slice(None)), labels, weights, best.features.spectrum, pool, offsets, likelihood
        )
        step = partial(offset_progress, report, len(sets) * path)
        parameters = whole.solve(best.strength, np.mean(best.parameters, axis=0), _FINAL_ITERATIONS, step).parameters
        report(total)
        kernel, bias = best.features.unstandardized(parameters)
    if prior:
        kernel[:, -prior.kernel.shape[1] :] += scale * prior.kernel
        bias = bias + scale * prior.bias
    if likelihood.is_shared:
        # What all logits share changes no score; a search that ends before its minimum leaves some of it.
        kernel, bias = kernel - kernel.mean(axis=0), bias - bias.mean()
    kernel, bias = (kernel / best.temperature).astype(np.float32), (bias / best.temperature).astype(np.float32)
    head = Head(kernel, bias, labels.ndim == 2)
    truth, scores = labels[np.any(held_out, axis=0)], likelihood.scores(best.logits / best.temperature)
    return FittedHead(
        head,
        chosen,
        candidates,
        best.strength,
        best.temperature,
        weights,
        candidates[chosen].top1,
        scores,
        truth,
        best.walked,
        scale,
    )


def _likelihood(multi_label: bool) -> Likelihood:
    return SIGMOID if multi_label else SOFTMAX


def _weights(labels: Array, classes: int, least: int, *, balance: bool) -> Array:
    """Returns the weight of each class, after a check that all have photos enough."""
    if labels.ndim == 2:
        having = labels.sum(axis=0)
        fewest = np.minimum(having, len(labels) - having)
        if fewest.min() < least:
            label = int(fewest.argmin())
            raise DataError(
                f"Label {label} has {having[label]} photos with it and {len(labels) - having[label]} without it to "
                f"learn from; each needs {least} of both."
            )
        return np.ones(classes)
    counts = np.bincount(labels, minlength=classes)
    if (fewest := counts.min()) < least:
        found, needed = "1 photo" if fewest else "no photo", "one" if least == 1 else "two"
        raise DataError(f"Class {int(counts.argmin())} has {found} to learn from; each needs {needed}.")
    return class_weights(counts) if balance else np.ones(classes)


def _offsets(prior: Prior | None, given: FeatureTable, labels: Array) -> tuple[Array | None, float]:
    """Returns the logits of a prior, float32 [N, K, C], scaled to suit the photos, which it has not learned from."""
    if prior is None:
        return None, 0.0
    offsets = given.logits(prior.kernel, prior.bias)
    scale = 1 / calibrate(offsets[:, 0], labels)[0]
    return offsets * np.float32(scale), scale


def _sets(layers: Sequence[Layer], name: str) -> dict[str, tuple[Layer, ...]]:
    """Returns the sets to compare, the simplest first; those that are the same once."""
    names = network_layers.SETS if name == "auto" else (name,)
    different: dict[tuple[Layer, ...], str] = {}
    for one in names:
        different.setdefault(network_layers.choose(layers, one), one)
    return {one: some for some, one in different.items()}


def _choose(
    sets: dict[str, tuple[Layer, ...]], walks: dict[str, Walk], truth: Array, weights: Array, likelihood: Likelihood
) -> tuple[str, dict[str, LayerCandidate]]:
    """Takes the simplest set that is within one standard error of the best."""
    share = likelihood.shares(truth, weights)
    share = share / share.mean()
    single = {name: share * likelihood.losses(walk.logits / walk.temperature, truth) for name, walk in walks.items()}
    best = min(single, key=lambda name: single[name].mean())
    candidates = {}
    for name, walk in walks.items():
        behind = single[name] - single[best]
        error = float(behind.std(ddof=1) / np.sqrt(len(behind)))
        right = float(likelihood.right(walk.logits, truth).mean())
        candidates[name] = LayerCandidate(sets[name], float(single[name].mean()), right, float(behind.mean()), error)
    chosen = next(name for name, one in candidates.items() if one.behind <= one.behind_error)
    return chosen, candidates


def calibrate(logits: Array, labels: Array) -> tuple[float, float]:
    """Finds the temperature that suits logits best: float [N, C], of labels, int [N].

    Returns:
      What to divide the logits by, and the mean loss that is left.
    """
    share = np.ones(len(labels))
    temperature = SOFTMAX.temperature(logits, labels, share)
    return temperature, SOFTMAX.loss_at(temperature, logits, labels, share)


def class_weights(counts: Array) -> Array:
    """Returns a weight for each class, mean 1 over photos: equal unless counts differ by more than UNEVEN."""
    if counts.max() <= UNEVEN * counts.min():
        return np.ones(len(counts))
    return counts.sum() / (len(counts) * counts)


def held_out_parts(labels: Array, features: FeatureTable, classes: int) -> list[Array]:
    """Chooses the parts that regularization and temperature are found on, bool [N] each."""
    likelihood = _likelihood(labels.ndim == 2)
    if features.streamed:
        return [likelihood.folds(labels, max(_PARTS, len(labels) // MOST_HELD_OUT)) == 0]
    folds = 5 if len(labels) * classes < _LARGE else 3
    if labels.ndim == 2:
        having = labels.sum(axis=0)
        return _parts(likelihood.folds(labels, min(folds, int(having.min()), int((len(labels) - having).min()))))
    fewest = int(np.bincount(labels).min())
    if fewest == 1:  # with a prior: classes take turns, so that each part lacks some of them
        return _parts((likelihood.folds(labels, len(labels)) + labels) % min(folds, len(labels)))
    return _parts(likelihood.folds(labels, min(folds, fewest)))


def _parts(folds: Array) -> list[Array]:
    return [folds == number for number in np.unique(folds)]
