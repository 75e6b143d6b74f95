"""ClassList: the classes of a model during editing: labels, rows of the last layer, and class memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from model_maker.learning import new_class
from model_maker.tflite.class_memory import ClassMemory
from model_maker.tflite.class_rows import Rows

Array = np.ndarray[Any, Any]

# Samples drawn from the memory of each merged class.
_DRAWN = 60
# Maximum weight of old photos, drawn from the memory, relative to the new photos of the same class.
_OLD_SHARE = 3


class ClassList:
    """The classes during editing.

    Args:
      memory: their class memory; None if the file has none.
      sizes: sizes of the parts of an embedding that have their own scale; ignored if they do not add up.

    Attributes:
      rows: for each class, the index of a row of the layer, or a new kernel and bias.
    """

    def __init__(self, labels: Sequence[str], layer: Rows, memory: ClassMemory | None, sizes: Sequence[int]):
        self._labels, self._layer, self.memory = list(labels), layer, memory
        self._sizes = list(sizes) if sum(sizes) == layer.kernel.shape[1] else []
        self.rows: list[int | tuple[Array, float]] = list(range(len(self._labels)))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in order."""
        return tuple(self._labels)

    @property
    def needs_stand_ins(self) -> bool:
        """Whether `learn` needs embeddings of arbitrary images."""
        return self.memory is None and new_class.needs_stand_ins(self._layer)

    def remove(self, name: str) -> None:
        """Removes a class."""
        self._drop([self._labels.index(name)])

    def rename(self, old: str, name: str) -> None:
        """Renames a class."""
        self._labels[self._labels.index(old)] = name

    def merge(self, names: Sequence[str], into: str) -> None:
        """Merges classes into one, at the position of the first."""
        places = [self._labels.index(name) for name in names]
        rows = self._real(places)
        counts = self.memory.counts[places] if self.memory else np.ones(len(places))
        shares = counts / counts.sum()
        kernel = shares @ rows.kernel
        # If all rows are equal, their probabilities add up.
        bias, mean = float(shares @ rows.bias + np.log(len(places))), np.empty(0)
        if self.memory:
            mean = shares @ self.memory.means[places]
            others = [place for place in range(len(self._labels)) if place not in places]
            if len(others):
                drawn = self._drawn(np.repeat(self.memory.means[places], _DRAWN, axis=0))
                fitted = new_class.fit(
                    self._real(others), self.memory.select(others), drawn, layers=self._sizes, prior=kernel
                )
                kernel, bias = fitted.kernel, fitted.bias
        first = min(places)
        self._drop(places)
        self._insert(first, into, (kernel.astype(np.float32), bias), mean, int(counts.sum()))

    def count_right(self, name: str, photos: Array) -> int:
        """Returns how many photos the current rows classify as a given class."""
        answers = self._real(range(len(self._labels))).logits(photos).argmax(axis=1)
        return int((answers == self._labels.index(name)).sum())

    def learn(self, name: str, photos: Array, stand_ins: Array, *, is_new: bool) -> Array:
        """Fits the row of a class to photos, float32 [n, D].

        Returns:
          Margin over the best other class for each photo, by rows that were not fitted on it; empty for a single photo.
        """
        place = len(self._labels) if is_new else self._labels.index(name)
        others = [index for index in range(len(self._labels)) if index != place]
        rows = self._real(others)
        old = None if is_new else self._real([place])
        mean, count, known = photos.mean(axis=0), len(photos), np.empty((0, photos.shape[1]), np.float32)
        if self.memory and old:
            before, own = int(self.memory.counts[place]), self.memory.means[place]
            known = self._drawn(np.repeat(own[None], min(before, _OLD_SHARE * len(photos)), axis=0))
            mean, count = (own * before + mean * count) / (before + count), before + count
        if self.memory:
            prior = old.kernel[0] if old else None
            fitted = new_class.fit(
                rows, self.memory.select(others), np.concatenate([photos, known]), layers=self._sizes, prior=prior
            )
        else:
            fitted = new_class.imprint(rows, photos, stand_ins)
        row = (fitted.kernel, fitted.bias)
        if old and not self.memory:
            # The number of photos behind the old row is unknown, so both count equally.
            row = ((fitted.kernel + old.kernel[0]) / 2, float(fitted.bias + old.bias[0]) / 2)
        if not is_new:
            self._drop([place])
        self._insert(place, name, row, mean, count)
        return fitted.held_out[: len(photos)]

    def _drawn(self, centers: Array) -> Array:
        assert self.memory
        return self.memory.draw(centers.astype(np.float32), np.random.default_rng(1))

    def _real(self, places: Sequence[int] | range) -> Rows:
        """Returns the dequantized rows of some classes."""
        chosen = [self.rows[place] for place in places]
        kernel = np.stack([self._layer.kernel[row] if isinstance(row, int) else row[0] for row in chosen])
        bias = np.array([self._layer.bias[row] if isinstance(row, int) else row[1] for row in chosen], np.float32)
        return Rows(kernel.astype(np.float32), bias)

    def _drop(self, places: Sequence[int]) -> None:
        kept = [place for place in range(len(self._labels)) if place not in places]
        self._labels, self.rows = [self._labels[place] for place in kept], [self.rows[place] for place in kept]
        if self.memory:
            self.memory = self.memory.select(kept)

    def _insert(self, place: int, name: str, row: tuple[Array, float], mean: Array, count: int) -> None:
        self._labels.insert(place, name)
        self.rows.insert(place, row)
        if self.memory:
            last = len(self._labels) - 1
            order = [*range(place), last, *range(place, last)]
            self.memory = self.memory.with_class(mean, count).select(order)


def layer_sizes(provenance: Mapping[str, Any]) -> list[int]:
    """Returns the sizes of the parts of an embedding from the provenance of `train`; empty for other files."""
    while isinstance(provenance.get("from"), dict):
        provenance = provenance["from"]
    try:
        return [int(size) for _, size, _, _ in provenance["backbone"]["layers"]]
    except (KeyError, TypeError, ValueError):
        return []
