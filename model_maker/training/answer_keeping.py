"""`keep_answers`: averages a head with an older one, so that fewer right predictions become wrong (negative flips).

The weight is chosen on photos that were held out from both heads: the old one is refitted on the remaining ones of its
photos. Among averages whose accuracy is about that of the new head (the paired difference is within one standard error,
and within one point), the one with the fewest negative flips is chosen.

Sources:
  Yan et al. 2021, "Positive-Congruent Training: Towards Regression-Free Model Updates" (negative flips). Wortsman et
  al. 2022, "Robust Fine-Tuning of Zero-Shot Models" (averages of heads).
"""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from model_maker.data.dataset import Dataset
from model_maker.data.streaming import cores
from model_maker.embeddings.store import FeatureMaps
from model_maker.errors import DataError, about
from model_maker.inference import training_overlap
from model_maker.inference.classifier import model_file
from model_maker.inference.training_report import Changes
from model_maker.learning import heads, likelihoods
from model_maker.learning.features import FeatureTable
from model_maker.learning.heads import FittedHead, Head
from model_maker.learning.regression import Problem
from model_maker.tflite import class_rows, metadata, vetting
from model_maker.tflite.network_layers import Layer
from model_maker.training.training_data import TrainingData

Array = np.ndarray

# Candidate weights of the old head.
WEIGHTS = tuple(round(0.1 * step, 1) for step in range(10))
_ITERATIONS = 200
# With few photos, one standard error is several points.
_MOST_LOST = 0.01


@dataclass(frozen=True)
class OldHead:
    """The head of an older model, mapped to the new classes.

    Attributes:
      path: path of the model.
      layers: layers that it uses.
      kernel, bias: float [C, D] and [C]; zeros for unknown classes.
      known: bool [C], which classes it has.
      learned: truncated hashes of its training photos.
    """

    path: str
    layers: tuple[Layer, ...]
    kernel: Array
    bias: Array
    known: Array
    learned: frozenset[str]

    def has_learned(self, photos: Dataset) -> Array:
        """Returns which photos it was trained on, bool [N]."""
        return np.array([sample.digest[: training_overlap.DIGITS] in self.learned for sample in photos.samples])


def read(model: str, data: TrainingData) -> OldHead:
    """Reads the head of an older model.

    Raises:
      ModelError: it is not a model.
      DataError: it is on another backbone, has fewer than two of the classes, or its training photos are unknown.
    """
    path, advice = model_file(model), "Pass an int8 model that `train` made on the same backbone."
    content = vetting.read(path)
    with about(path):
        info = metadata.read(content)
        stated, int8 = info.provenance.get("backbone") or {}, data.backbone.int8
        if int8 is None or not stated or not int8.digest.startswith(str(stated.get("int8"))):
            raise DataError(f"`keep_answers`: it is on another backbone than {data.backbone.name}. {advice}")
        rows = class_rows.read(content)
        layers = tuple(Layer(*row) for row in stated["layers"])
        learned = training_overlap.learned_beside(Path(path).parent)
        if learned is None:
            raise DataError(f"`keep_answers`: no split.json beside it names the photos that it learned from. {advice}")
        classes = data.photos.classes
        known = np.array([name in info.labels for name in classes])
        if known.sum() < 2:
            raise DataError(f"`keep_answers`: it knows {known.sum()} of the classes {', '.join(classes[:5])}. {advice}")
        kernel, bias = np.zeros((len(classes), rows.kernel.shape[1])), np.zeros(len(classes))
        for index in np.flatnonzero(known):
            row = info.labels.index(classes[index])
            kernel[index], bias[index] = rows.kernel[row], rows.bias[row]
    return OldHead(model, layers, kernel, bias, known, frozenset(learned))


def keep(
    fit: FittedHead, old: OldHead, photos: Dataset, data: TrainingData, *, balance: bool
) -> tuple[FittedHead, float, Changes]:
    """Averages a head with an older one.

    Args:
      fit: the new head, with the layers of the old one.
      data: their embeddings.
      balance: whether to weight imbalanced classes equally.

    Returns:
      The average, the weight of the older head, and the effect on photos that neither head was trained on.
    """
    labels = np.array(photos.labels)
    new_logits, old_logits, judged = _held_out(fit, old, photos, data, balance=balance)
    truth = labels[judged]
    found = {weight: average(new_logits, old_logits, old.known, weight) for weight in WEIGHTS}
    weight = choose(found, old_answers(old_logits, old.known), truth)
    temperature, _ = heads.calibrate(found[weight], truth)
    head = averaged(fit.head, old, weight, temperature)
    scores = likelihoods.softmax(found[weight] / temperature)
    counts = changes(found[0.0], found[weight], old_answers(old_logits, old.known), truth)
    top1 = float((found[weight].argmax(axis=1) == truth).mean())
    changed = dataclasses.replace(fit, head=head, held_out=scores, held_out_labels=truth, top1=top1)
    return changed, weight, counts


def on_test(plain: Head, head: Head, old: OldHead, seen: FeatureMaps, labels: Array) -> Changes:
    """Measures the effect of averaging on test photos, by what the heads see of them."""
    answers = old_answers(Head(old.kernel, old.bias).logits(seen), old.known)
    return changes(plain.logits(seen), head.logits(seen), answers, np.asarray(labels))


def averaged(head: Head, old: OldHead, weight: float, temperature: float) -> Head:
    """Returns the average of two heads, divided by a temperature; classes that only the new head has stay."""
    parameters = np.column_stack([head.kernel, head.bias]).astype(np.float64)
    mixed = average(parameters.T, np.column_stack([old.kernel, old.bias]).T, old.known, weight).T / temperature
    return Head(mixed[:, :-1].astype(np.float32), mixed[:, -1].astype(np.float32))


def average(new: Array, old: Array, known: Array, weight: float) -> Array:
    """Averages logits, float [N, C], except those of unknown classes; ignores common offsets."""
    shifted = old - old[:, known].mean(axis=1, keepdims=True) + new[:, known].mean(axis=1, keepdims=True)
    return np.where(known, (1 - weight) * new + weight * shifted, new)


def old_answers(logits: Array, known: Array) -> Array:
    return np.where(known, logits, -np.inf).argmax(axis=1)


def choose(found: dict[float, Array], old: Array, truth: Array) -> float:
    """Returns the weight with the fewest negative flips that loses at most one standard error and one point."""
    plain = found[0.0].argmax(axis=1) == truth
    permitted = {}
    for weight, logits in found.items():
        right = logits.argmax(axis=1) == truth
        lost = plain.astype(float) - right
        if lost.mean() <= min(lost.std(ddof=1) / np.sqrt(len(lost)), _MOST_LOST):
            permitted[weight] = int(((old == truth) & ~right).sum())
    return min(permitted, key=lambda weight: (permitted[weight], weight))


def changes(plain: Array, kept: Array, old: Array, truth: Array) -> Changes:
    """Measures the effect of averaging: logits of the new head, averaged logits, old predictions, true classes."""
    was, right = old == truth, [logits.argmax(axis=1) == truth for logits in (plain, kept)]
    return Changes(
        photos=len(truth),
        top1_alone=float(right[0].mean()),
        top1=float(right[1].mean()),
        turned_wrong_alone=int((was & ~right[0]).sum()),
        turned_wrong=int((was & ~right[1]).sum()),
    )


def _held_out(
    fit: FittedHead, old: OldHead, photos: Dataset, data: TrainingData, *, balance: bool
) -> tuple[Array, Array, Array]:
    """Returns out-of-fold logits of photos by both heads, and which photos these are."""
    labels, learned = np.array(photos.labels), old.has_learned(photos)
    classes = len(photos.classes)
    table = FeatureTable(data.views.select(photos), data.backbone.layers)
    parts = heads.held_out_parts(labels, table, classes)
    features = table.standardize(fit.layers)
    judged = np.any(parts, axis=0)
    logits = np.zeros((2, len(labels), classes))
    places = np.flatnonzero(old.known)
    numbers = np.cumsum(old.known) - 1
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as pool:
        for held in parts:
            for row, chosen, some in (
                (0, ~held, np.arange(classes)),
                (1, ~held & learned & old.known[labels], places),
            ):
                targets = labels[chosen] if row == 0 else numbers[labels[chosen]]
                counts = np.maximum(np.bincount(targets, minlength=len(some)), 1)
                weights = heads.class_weights(counts) if balance else np.ones(len(some))
                problem = Problem(features.rows(chosen), targets, weights, features.spectrum, pool)
                start = np.zeros((len(some), features.size + 1), np.float32)
                parameters = problem.solve(fit.regularization, start, _ITERATIONS, lambda step: None).parameters
                logits[row][np.ix_(held, some)] = features.logits(held, parameters)
    new, older = logits[0][judged] / fit.temperature, logits[1][judged]
    own = old.known[labels[judged]]
    share, _ = heads.calibrate(older[own][:, places], numbers[labels[judged][own]])
    return new, older / share, judged
