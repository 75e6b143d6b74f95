"""Coverage and size of label sets over random divisions; `python -m benchmarks.label_sets DATA...`.

A fifth of each class is for testing. Calibrated on cross-validated scores of the rest, as `train --coverage` does, and,
for comparison, on an eighth of the rest that the head then lacks.
"""

import sys

import numpy as np

from benchmarks.frozen_features import Frozen, load
from model_maker.inference import conformal, precision_thresholds
from model_maker.tflite.label_sets import LabelSets

DIVISIONS, ASKED, ALONE = 100, (0.9, 0.95), 8


def main(*datasets: str) -> None:
    """Prints a table in Markdown: means over divisions, and the spread of the coverage between them."""
    print("| photos | asked | calibrated on | held | spread | worst class | labels | top-1 |")
    print("|---|---|---|---|---|---|---|---|")
    for data in datasets:
        photos = load(data)
        found = [_division(photos, seed) for seed in range(DIVISIONS)]
        for asked in ASKED:
            for way in ("cross-validated scores", "photos held out"):
                rows = np.array([one[asked, way] for one in found])
                held, worst, size, top1 = rows.mean(axis=0)
                print(
                    f"| {data} | {100 * asked:g} % | {way} | {100 * held:.1f} % | {100 * rows[:, 0].std():.1f} | "
                    f"{100 * worst:.1f} % | {size:.2f} | {100 * top1:.1f} % |"
                )


def _division(photos: Frozen, seed: int) -> dict[tuple[float, str], list[float]]:
    random = np.random.default_rng(seed)
    places, counts = photos.places(random), np.bincount(photos.labels)
    share = places / counts[photos.labels]
    test, rest = share < 0.2, share >= 0.2
    alone = rest & (places % ALONE == 0)
    fit = photos.fit(random.permutation(np.flatnonzero(rest)))
    less = photos.fit(random.permutation(np.flatnonzero(rest & ~alone)))
    found = {}
    for asked in ASKED:
        crossed = conformal.choose(precision_thresholds.in_bytes(fit.held_out), fit.held_out_labels, asked)
        apart = conformal.choose(_scores(photos, less.head, alone), photos.labels[alone], asked)
        found[asked, "cross-validated scores"] = _held(photos, crossed, fit.head, test)
        found[asked, "photos held out"] = _held(photos, apart, less.head, test)
    return found


def _scores(photos: Frozen, head, chosen) -> np.ndarray:
    return precision_thresholds.in_bytes(photos.scores(head, np.flatnonzero(chosen)))


def _held(photos: Frozen, sets: LabelSets, head, test) -> list[float]:
    scores, labels = _scores(photos, head, test), photos.labels[test]
    found = conformal.measure(sets, scores.astype(np.float32), labels, photos.classes)
    worst = min(entry.coverage for entry in found.per_class)
    return [found.whole.coverage, worst, found.whole.size, float((scores.argmax(axis=1) == labels).mean())]


if __name__ == "__main__":
    main(*sys.argv[1:])
