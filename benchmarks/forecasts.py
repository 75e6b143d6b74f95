"""Forecasts of `advise` against what more photos gained; `python -m benchmarks.forecasts DATA PHOTOS_PER_CLASS...`.

A random part of each class is learned from, and the accuracy with 1.5 and 2 times as many photos is forecast from it
alone. Then heads learn from so many; all are judged on the same photos, which none has seen.
"""

import sys

import numpy as np

from benchmarks.frozen_features import Frozen, load
from model_maker.training import learning_curve

DIVISIONS = 40


def main(data: str, *sizes: str) -> None:
    """Prints a table in Markdown."""
    photos = load(data)
    print("| photos per class, to | test photos | before | after | forecast | error | error of no gain | in interval |")
    print("|---|---|---|---|---|---|---|---|")
    for size in map(int, sizes):
        found = np.array([_division(photos, size, seed) for seed in range(DIVISIONS)])
        for index, factor in enumerate((1.5, 2.0)):
            before, after, forecast, low, high, count = found[:, index].T
            errors = (np.abs(guess - after).mean() for guess in (forecast, before))
            held = np.mean((low <= after) & (after <= high))
            shares = " | ".join(f"{100 * value.mean():.1f} %" for value in (before, after, forecast))
            missed = " | ".join(f"{100 * value:.1f}" for value in errors)
            print(f"| {size}, {int(factor * size)} | {count[0]:.0f} | {shares} | {missed} | {100 * held:.0f} % |")


def _division(photos: Frozen, size: int, seed: int) -> list[list[float]]:
    random = np.random.default_rng(seed)
    places = photos.places(random)
    test = np.flatnonzero(places >= 2 * size)

    def learn(count: float):
        chosen = random.permutation(np.flatnonzero(places < int(count)))
        fit = photos.fit(chosen)
        right = photos.scores(fit.head, test).argmax(axis=1) == photos.labels[test]
        return chosen, fit, float(right.mean())

    chosen, fit, before = learn(size)
    table = photos.table(chosen)
    curve = learning_curve.measure(
        table, table.layers, photos.labels[chosen], weights=np.ones(len(photos.classes)), strength=fit.regularization
    )
    rows = []
    for factor in (1.5, 2.0):
        found = learning_curve.forecast(curve, before, len(test), factor)
        rows.append([before, learn(factor * size)[2], found.value, found.low, found.high, len(test)])
    return rows


if __name__ == "__main__":
    main(*sys.argv[1:])
