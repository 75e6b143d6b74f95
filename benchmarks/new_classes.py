"""What a class is worth that is added to a finished head: each class of a dataset is left out in turn.

    python -m benchmarks.new_classes flowers clothing

Photos of the class are added to a head that was fitted without it: by `learning.new_class`, by an imprint on the scale
of the old rows, and by fitting anew on all old photos and the same new ones with classes weighed alike.
"""

import sys
from pathlib import Path

import numpy as np

from model_maker.backbones import embedder
from model_maker.data import sources
from model_maker.embeddings import int8_suitability
from model_maker.learning import heads, new_class
from model_maker.learning.features import FeatureTable
from model_maker.options import Options
from model_maker.progress import Progress
from model_maker.tflite import class_memory, network_layers
from model_maker.tflite.class_rows import Rows
from model_maker.training import training_data

Array = np.ndarray

SEEDS, COUNTS, TEST = range(5), (1, 5, 30), 0.25
METHODS = ("classes", "imprint", "all photos")


def measure(data: Path) -> dict[tuple[int, str], list[tuple[float, ...]]]:
    """Returns top-1 over all, recall of the new class, top-1 of old classes, and what these lost, for each trial."""
    photos, options = sources.read(data), Options()
    base = embedder.embedder(embedder.choose(options.model))
    backbone = int8_suitability.prepare(base, photos, Progress(None))
    embedded, _ = training_data.embed(photos, backbone, options)
    values, labels = embedded.maps[:], np.array(embedded.photos.labels)
    found: dict[tuple[int, str], list[tuple[float, ...]]] = {}
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        order = [random.permutation(np.flatnonzero(labels == label)) for label in range(labels.max() + 1)]
        test = np.concatenate([rows[: int(TEST * len(rows))] for rows in order])
        train = [rows[int(TEST * len(rows)) :] for rows in order]
        for new in range(len(train)):
            trial = _Trial(values, labels, backbone.layers, embedded.maps.step, train, test, new)
            for count in COUNTS:
                for method in METHODS:
                    found.setdefault((count, method), []).append(trial.judge(method, train[new][:count]))
    return found


class _Trial:
    """A head without one class."""

    def __init__(self, values, labels, layers, step, train, test, new):
        self._values, self._layers, self._step, self._new = values, layers, step, new
        self._old = [label for label in range(len(train)) if label != new]
        self._rows = np.concatenate([train[label] for label in self._old])
        self._own = np.repeat(range(len(self._old)), [len(train[label]) for label in self._old])
        self._fit = heads.fit(FeatureTable(values[self._rows], layers, step), self._own, classes=len(self._old))
        columns = network_layers.features(layers, self._fit.layers)
        self._real = values[:, columns].astype(np.float32) * np.float32(step)
        self._memory = class_memory.summarize(
            values[self._rows][:, columns], self._own, classes=len(self._old), step=step
        )
        self._test = test
        places = {label: place for place, label in enumerate([*self._old, new])}
        self._truth = np.array([places[label] for label in labels[test]])

    def judge(self, method: str, photos: Array) -> tuple[float, ...]:
        """Returns top-1 over all, recall of the new class, top-1 of the old ones, and points that these lost."""
        head, given = self._fit.head, self._real[photos]
        logits = head.logits(self._real[self._test])
        is_new = self._truth == len(self._old)
        before = (logits[~is_new].argmax(axis=1) == self._truth[~is_new]).mean()
        if method == "all photos":
            logits = self._anew(photos)
        else:
            rows, sizes = Rows(head.kernel, head.bias), [layer.size for layer in self._fit.layers]
            if method == "classes":
                row = new_class.fit(rows, self._memory, given, layers=sizes)
                own = self._real[self._test] @ row.kernel + row.bias
            else:
                # As long as the old rows are in the mean, with their mean bias: Qi, Brown, Lowe 2018.
                taught = new_class.teaching(rows, self._memory, np.empty(0), layers=sizes)
                direction = (given.mean(axis=0) - taught.center) / taught.divisor
                kernel = (
                    direction / np.linalg.norm(direction) * np.linalg.norm(rows.kernel * taught.divisor, axis=1).mean()
                )
                own = (self._real[self._test] - taught.center) @ (kernel / taught.divisor) + taught.offset
            logits = np.hstack([logits, own[:, None]])
        right = logits.argmax(axis=1) == self._truth
        old = right[~is_new].mean()
        return float(right.mean()), float(right[is_new].mean()), float(old), float(100 * (before - old))

    def _anew(self, photos: Array) -> Array:
        count = max(2, len(photos))  # a fit needs two photos of each class
        rows = np.concatenate([self._rows, np.resize(photos, count)])
        labels = np.append(self._own, np.full(count, len(self._old)))
        table = FeatureTable(self._values[rows], self._layers, self._step)
        fit = heads.fit(table, labels, classes=len(self._old) + 1, layers=self._fit.chosen)
        return fit.head.logits(self._real[self._test])


def main(names: list[str]) -> None:
    """Prints a table for each dataset."""
    for name in names:
        path = Path(name)
        print(f"\n| {path.name}: photos | method | top-1 of all | recall of the new | top-1 of the old | points lost |")
        print("|---|---|---|---|---|---|")
        for (count, method), trials in measure(path).items():
            mean = np.mean(trials, axis=0)
            print(f"| {count} | {method} | {mean[0]:.3f} | {mean[1]:.2f} | {mean[2]:.3f} | {mean[3]:.1f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
