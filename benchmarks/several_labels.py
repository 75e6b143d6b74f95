"""Several labels a photo: pairs of photos side by side, learned with both labels and with one.

`python -m benchmarks.several_labels --data DIR` prints, for each pairing, what the shipped files give on the same test
photos, none of which either has learned from.
"""

import argparse
import csv
import dataclasses
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

import model_maker
from model_maker import multi_label_metrics, run_record
from model_maker.data.multi_label import MultiLabelDataset

PAIRINGS = range(5)


def main() -> None:
    """Prints mAP of both ways, and exact match and F1 of several labels."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.several_labels", description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with a folder of photos for each class")
    data = Path(parser.parse_args().data)
    rows = [measure(data, seed) for seed in PAIRINGS]
    for name, values in (*((f"pairing {seed}", row) for seed, row in enumerate(rows)), ("mean", np.mean(rows, axis=0))):
        several, one, exact, f1 = values
        sys.stdout.write(
            f"{name:10} mAP {100 * several:.1f} %, of one label {100 * one:.1f} %; exact match {100 * exact:.1f} %, "
            f"mean F1 {f1:.3f}\n"
        )


def measure(data: Path, seed: int) -> tuple[float, float, float, float]:
    """Returns mAP with both labels and with one, and exact match and mean F1 with both."""
    with tempfile.TemporaryDirectory() as home:
        several, left = make(data, Path(home) / "pairs", seed=seed)
        both = model_maker.train(several, Path(home) / "both", multi_label=True).directory
        one = model_maker.train(left, Path(home) / "one").directory
        test, _ = run_record.test_part(both)
        unseen = {sample.digest for sample in run_record.test_part(one)[0].samples}
        test = dataclasses.replace(test, samples=tuple(sample for sample in test.samples if sample.digest in unseen))
        assert isinstance(test, MultiLabelDataset)
        found = []
        for model in (both, one):
            classifier = model_maker.Classifier(model)
            scores, limits = classifier.score(test), classifier.thresholds
            found.append(multi_label_metrics.measure(scores, test.targets, classifier.labels, limits))
        first, second = found
    return first.mean_average_precision, second.mean_average_precision, first.exact_match, first.macro_f1


def make(source: Path, folder: Path, *, seed: int = 0, side: int = 224) -> tuple[Path, Path]:
    """Pairs the photos below a folder of classes at random; returns the lists of both labels and of the left ones.

    A pair of one class has one label.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pool = [(home.name, path) for home in sorted(source.iterdir()) for path in sorted(home.iterdir())]
    random.Random(seed).shuffle(pool)
    rows = []
    for number, pair in enumerate(zip(pool[::2], pool[1::2], strict=False)):
        both = Image.new("RGB", (2 * side, side))
        for place, (_, path) in enumerate(pair):
            both.paste(ImageOps.fit(Image.open(path).convert("RGB"), (side, side)), (side * place, 0))
        both.save(folder / f"{number:04}.jpg", quality=92)
        rows.append((f"{number:04}.jpg", *(label for label, _ in pair)))
    write(folder / "several.csv", [(name, "|".join(sorted({*labels}))) for name, *labels in rows])
    write(folder / "left.csv", [(name, labels[0]) for name, *labels in rows])
    return folder / "several.csv", folder / "left.csv"


def write(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    """Writes a list of photos and their labels."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "labels"), *rows])


if __name__ == "__main__":
    main()
