"""Which training photos speak for an answer.

The kernel of a head with an L2 penalty is a sum over the photos that it learned from, each times what the head still
lacked on it: the class less the score. So a logit is a sum over these photos, too, each with its similarity to the
photo in question.

Source: Yeh et al. 2018, "Representer Point Selection for Explaining Deep Neural Networks".
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_maker.data.dataset import Sample
from model_maker.embeddings.store import FeatureMaps
from model_maker.errors import DataError, ModelError
from model_maker.inference.classifier import FileClassifier
from model_maker.inference.explanation import Evidence, Explain, Explainer, Explanation
from model_maker.learning import heads, likelihoods
from model_maker.tflite.class_rows import Rows

Array = np.ndarray

COUNT = 3


@dataclass(frozen=True)
class TrainingPhotos:
    """The photos that a head learned from.

    Attributes:
      labels: int [N], indices into the classes.
      maps: what the head sees of the photos.
      sizes: how many features each layer of the head's input has, in order.
    """

    samples: Sequence[Sample]
    labels: Array
    classes: Sequence[str]
    maps: FeatureMaps
    sizes: Sequence[int]
    rows: Rows

    def add_to(self, explanations: Sequence[Explanation], *, count: int = COUNT) -> list[Explanation]:
        """Returns the explanations with the photos that speak most for each, the strongest first."""
        if not explanations:
            return []
        added = self.added(explanations)
        return [
            dataclasses.replace(explanation, training_photos=self._strongest(column, count))
            for explanation, column in zip(explanations, added.T, strict=True)
        ]

    def _strongest(self, added: Array, count: int) -> tuple[Evidence, ...]:
        whole = float(np.maximum(added, 0).sum()) or 1.0
        best = [index for index in np.argsort(-added, kind="stable")[:count] if added[index] > 0]
        return tuple(
            Evidence(self.samples[i].path, self.classes[self.labels[i]], float(added[i]) / whole) for i in best
        )

    def added(self, explanations: Sequence[Explanation]) -> Array:
        """Returns what each photo adds to each logit, up to a constant: float [N, E]."""
        center, scale = self._standard()
        asked = (np.stack([one.features for one in explanations]) - center) / scale
        wanted = np.array([one.index for one in explanations])
        weights = heads.class_weights(np.maximum(np.bincount(self.labels, minlength=len(self.rows.bias)), 1))
        added = np.empty((len(self.maps), len(explanations)))
        for start, values in self._blocks():
            labels = self.labels[start : start + len(values)]
            lacking = -likelihoods.softmax(self.rows.logits(values).astype(np.float64))
            lacking[np.arange(len(values)), labels] += 1
            lacking *= weights[labels][:, None]
            added[start : start + len(values)] = lacking[:, wanted] * (((values - center) / scale) @ asked.T)
        return added

    def _standard(self) -> tuple[Array, Array]:
        """Returns the mean of each feature, and what features are divided by: one number for each layer."""
        total = squares = np.zeros(self.maps.shape[0])
        for _, values in self._blocks():
            total, squares = total + values.sum(axis=0), squares + np.square(values, dtype=np.float64).sum(axis=0)
        center = total / len(self.maps)
        variance = np.maximum(squares / len(self.maps) - center**2, 0)
        parts = np.split(variance, np.cumsum(self.sizes)[:-1])
        scales = [np.full(len(part), np.sqrt(part.mean()) or 1.0) for part in parts]
        return center, np.concatenate(scales)

    def _blocks(self) -> Iterator[tuple[int, Array]]:
        start = 0
        for values in self.maps.blocks():
            yield start, values.reshape(len(values), -1)
            start += len(values)


def explaining(classifier: FileClassifier, known: TrainingPhotos | None) -> Explain | None:
    """Returns what explains answers for a page, by the photos that it learned from if they are known.

    None where this model's answers cannot be explained.
    """
    try:
        explainer = Explainer(classifier)
    except ModelError:
        return None

    def explain(photos: Sequence[Any], labels: Sequence[int]) -> list[Explanation | None]:
        results = list(explainer.explain(photos, labels=labels))
        found = [one for one in results if isinstance(one, Explanation)]
        added = iter(known.add_to(found) if known else found)
        return [None if isinstance(one, DataError) else next(added) for one in results]

    return explain
