"""The labelling queue against choosing at random: accuracy by labels; `python -m benchmarks.labelling --data DIR`.

Three tenths of the photos are for testing. Of the others some are labelled to begin with, as many of each class; then
in each round the queue, or chance, chooses some more. The head is that of training, on the backbone's last layer.
"""

import argparse
import sys
from collections.abc import Callable

import numpy as np

from model_maker.backbones import embedder
from model_maker.backbones.registry import DEFAULT
from model_maker.data import sources
from model_maker.embeddings import computing, int8_suitability
from model_maker.learning import heads
from model_maker.progress import Progress
from model_maker.studio import labelling_queue
from model_maker.tflite import network_layers

Array = np.ndarray
# Vectors and labels, those that are labelled, the others, how many to choose, a generator: which of the others.
Chooser = Callable[[Array, Array, Array, Array, int, np.random.Generator], Array]

SEEDS = range(5)
FIRST, ROUNDS, STEP = 25, 10, 10
_TEST = 0.3


def main() -> None:
    """Prints the mean accuracy of each way after each round, and how many labels fewer the queue needs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.labelling", description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with a folder of photos for each class")
    vectors, labels = embed(parser.parse_args().data)
    curves = {}
    for name, choose in {"random": at_random, "queue": by_queue}.items():
        runs = [run(vectors, labels, choose, seed=seed) for seed in SEEDS]
        curves[name] = np.mean(runs, axis=0)
        sys.stdout.write(f"{name:7}{' '.join(f'{100 * value:5.1f}' for value in curves[name])}\n")
    counts = len(np.unique(labels)) * per_class(labels) + STEP * np.arange(ROUNDS + 1)
    sys.stdout.write(f"labels {' '.join(f'{count:5}' for count in counts)}\n")
    for accuracy, needed, others in savings(counts, curves["queue"], curves["random"]):
        sys.stdout.write(
            f"{100 * accuracy:.1f} %: {needed:.0f} labels instead of {others:.0f}, {1 - needed / others:.0%} fewer\n"
        )


def embed(data: str) -> tuple[Array, Array]:
    """Returns float32 [N, D] of the default backbone's last layer, and int [N]."""
    progress = Progress()
    dataset = sources.read(data)
    backbone = int8_suitability.prepare(embedder.embedder(embedder.choose(DEFAULT)), dataset, progress)
    maps, gone = computing.feature_maps(dataset, *backbone.computing)
    last = maps.columns(network_layers.features(backbone.layers, backbone.layers[-1:]))
    return last.read()[:, 0].astype(np.float32), np.array(dataset.without(gone).labels)


def per_class(labels: Array) -> int:
    """Returns how many photos of each class are labelled to begin with; a head needs two."""
    return max(labelling_queue.LEAST, FIRST // len(np.unique(labels)))


def run(vectors: Array, labels: Array, choose: Chooser, *, seed: int) -> list[float]:
    """Returns accuracy on the test photos to begin with and after each round."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels))
    test, rest = np.split(order, [int(_TEST * len(order))])
    first = [rest[labels[rest] == label][: per_class(labels)] for label in np.unique(labels)]
    labelled = np.concatenate(first)
    found = []
    for number in range(ROUNDS + 1):
        head = heads.fit(vectors[labelled], labels[labelled], classes=labels.max() + 1).head
        found.append(float((head.logits(vectors[test]).argmax(1) == labels[test]).mean()))
        if number < ROUNDS:
            others = np.setdiff1d(rest, labelled)
            labelled = np.concatenate([labelled, others[choose(vectors, labels, labelled, others, STEP, random)]])
    return found


def at_random(
    vectors: Array, labels: Array, labelled: Array, others: Array, count: int, random: np.random.Generator
) -> Array:
    return random.choice(len(others), count, replace=False)


def by_queue(
    vectors: Array, labels: Array, labelled: Array, others: Array, count: int, random: np.random.Generator
) -> Array:
    return labelling_queue.queue(vectors[labelled], labels[labelled], vectors[others], count=count).order


def savings(counts: Array, queue: Array, chance: Array) -> list[tuple[float, float, float]]:
    """Returns, for each accuracy that chance reaches after a round, that and the labels that queue and chance need."""
    best = np.maximum.accumulate(queue)
    found = []
    for count, accuracy in zip(counts[1:], np.maximum.accumulate(chance)[1:], strict=True):
        if accuracy <= best[-1]:
            after = int(np.argmax(best >= accuracy))
            before = max(0, after - 1)
            span = best[after] - best[before]
            share = (accuracy - best[before]) / span if span > 0 else 0.0
            found.append(
                (float(accuracy), float(counts[before] + share * (counts[after] - counts[before])), float(count))
            )
    return found


if __name__ == "__main__":
    main()
