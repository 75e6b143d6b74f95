"""Whether heat maps point at what answers come from: blanks the strongest cells of test photos, or as many at random.

Usage: python -m benchmarks.blanking MODEL [CELLS]

MODEL is a folder that `train` made. Prints the share of test photos whose answer changes: with cells left out of the
feature maps, and with the same cells of the photo filled with its mean color, whose edges the network sees, too.
"""

import sys

import numpy as np

from model_maker import run_record
from model_maker.data import images
from model_maker.inference.classifier import FileClassifier
from model_maker.inference.explanation import Explainer, Explanation


def main(model: str, cells: int = 12) -> None:
    classifier = FileClassifier(model)
    explainer = Explainer(classifier)
    photos = [images.load(sample.path, classifier.fit) for sample in run_record.test_part(model)[0].samples]
    found = [one for one in explainer.explain(photos) if isinstance(one, Explanation)]
    answers = np.array([one.index for one in found])
    every = [
        [one for one in explainer.explain(photos, labels=[label] * len(photos)) if isinstance(one, Explanation)]
        for label in range(len(classifier.labels))
    ]
    random, side = np.random.default_rng(0), len(found[0].shares)
    orders = {
        "strongest": [np.argsort(-one.shares.ravel())[:cells] for one in found],
        "random": [random.permutation(side**2)[:cells] for _ in found],
    }
    print(f"{len(photos)} photos, {cells} of {side**2} cells blanked; other answers, %:")
    for name, order in orders.items():
        logits = np.array(
            [
                [labels[photo].logit - labels[photo].shares.ravel()[gone].sum() for labels in every]
                for photo, gone in enumerate(order)
            ]
        )
        blanked = [blank(photo, gone, side) for photo, gone in zip(photos, order, strict=True)]
        scores = np.array(list(classifier.scores(blanked)))
        in_maps, in_photos = (100 * (values.argmax(1) != answers).mean() for values in (logits, scores))
        print(f"{name:10} in the maps {in_maps:.1f}, in the photos {in_photos:.1f}")


def blank(photo: np.ndarray, cells: np.ndarray, side: int) -> np.ndarray:
    """Fills cells of a grid of side x side with the mean color of a photo."""
    edges, result = np.rint(np.arange(side + 1) * len(photo) / side).astype(int), photo.copy()
    mean = photo.mean(axis=(0, 1)).astype(np.uint8)
    for row, column in zip(*np.unravel_index(cells, (side, side)), strict=True):
        result[edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = mean
    return result


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
