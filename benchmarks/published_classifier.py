"""What a class is worth that is added to a published ImageNet classifier, whose file has no memory of its classes.

    python -m benchmarks.published_classifier MODEL.tflite IMAGENET_PHOTOS flowers clothing

Each class of the datasets is added from five of its photos, in ten splits: how many of 20 others the new row finds, and
how many ImageNet photos keep their answers.
"""

import sys
from pathlib import Path

import numpy as np

from model_maker.classes.photo_embedder import PhotoEmbedder
from model_maker.data import sources
from model_maker.learning import new_class
from model_maker.progress import Progress
from model_maker.tflite import class_rows, io_types, metadata

SPLITS, GIVEN, OTHERS = 10, 5, 20


def main(model: str, old: str, *datasets: str) -> None:
    """Prints a table with a line for each class."""
    content = Path(model).read_bytes()
    rows = class_rows.read(content)
    info = metadata.read(content)
    embedder = PhotoEmbedder(content, info.normalization or io_types.stated_normalization(content), info)
    known, _ = embedder.embed(sorted(Path(old).iterdir()), Progress(None))
    print(f"| class | recall, mean (least) | of {len(known)} answers kept, mean (least) |\n|---|---|---|")
    for name in datasets:
        data = sources.read(Path(name))
        for label, words in enumerate(data.classes):
            photos = [sample.path for sample in data.samples if sample.label == label]
            vectors, _ = embedder.embed(photos, Progress(None))
            found = np.array([_trial(rows, vectors, known, seed) for seed in range(SPLITS)])
            (recall, kept), (worst, fewest) = found.mean(axis=0), found.min(axis=0)
            print(f"| {words} | {recall:.2f} ({worst:.2f}) | {kept:.1f} ({fewest:.0f}) |", flush=True)


def _trial(rows: class_rows.Rows, vectors: np.ndarray, known: np.ndarray, seed: int) -> tuple[float, int]:
    order = np.arange(len(vectors)) if seed == 0 else np.random.default_rng(seed - 1).permutation(len(vectors))
    row = new_class.imprint(rows, vectors[order[:GIVEN]], np.empty((0, vectors.shape[1]), np.float32))

    def taken(photos: np.ndarray) -> np.ndarray:
        return photos @ row.kernel + row.bias > rows.logits(photos).max(axis=1)

    return float(taken(vectors[order[GIVEN : GIVEN + OTHERS]]).mean()), int((~taken(known)).sum())


if __name__ == "__main__":
    main(*sys.argv[1:])
