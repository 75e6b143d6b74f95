"""The time of a photo in fine-tuning the tail, beside plain Keras `fit`: `python -m benchmarks.fine_tuning`.

Both see the same number of random examples at the same batch size, in one process and in turns. The whole network is
the same one, rebuilt from its file, with batch normalization folded into the convolutions. The backbone and another
place to cut it may follow: `python -m benchmarks.fine_tuning efficientnet_lite0 block12_add`.
"""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from model_maker import backbones
from model_maker.backbones import embedder
from model_maker.learning import fine_tuning, trainer
from model_maker.learning.heads import Head
from model_maker.learning.recipe import Recipe
from model_maker.learning.trainer import Trainer
from model_maker.tflite import keras_model, trunk
from model_maker.tflite.interpreter import LiteRTRunner

CLASSES, BATCHES, ROUNDS = 5, 4, 5
_VIEWS = 4  # the default of `train --views`


def main(name: str = backbones.DEFAULT, cut: str = "") -> None:
    """Prints milliseconds on the clock and of all cores for each photo, medians, and how they compare.

    By default, the tail begins where `train` cuts it.
    """
    trainer.load_tensorflow()
    backbone, recipe = backbones.get(name), Recipe()
    base = embedder.embedder(backbone)
    part = cut or trunk.seam(base.content)
    activations = LiteRTRunner(trunk.trunk(base.content, part))
    random = np.random.default_rng(0)
    head = Head(random.normal(size=(CLASSES, backbone.embedding_size)).astype(np.float32), np.zeros(CLASSES))
    network = fine_tuning.Network(base.content, head)
    worker = Trainer(fine_tuning.with_head(network, part, recipe), recipe, np.ones(CLASSES), learning_rate=1e-4)
    number = BATCHES * recipe.batch_size
    labels = np.eye(CLASSES, dtype=np.float32)[random.integers(0, CLASSES, number)]
    maps = random.normal(size=(number, *activations.output_shape[1:])).astype(np.float32)
    pictures = random.normal(size=(number, backbone.image_size, backbone.image_size, 3)).astype(np.float32)
    whole = _plain_keras(base.content)

    def tail() -> None:
        for begin in range(0, number, recipe.batch_size):
            rows = slice(begin, begin + recipe.batch_size)
            worker.step(maps[rows], labels[rows], progress=0.5)

    def everything() -> None:
        whole.fit(pictures, labels, batch_size=recipe.batch_size, epochs=1, shuffle=False, verbose=0)

    def views() -> None:
        for picture in pictures:
            activations.run(picture[None])

    works = {"tail, a step": tail, "plain Keras fit": everything, "activations of a view, one thread": views}
    found = _measure(works, number)
    for label, (clock, cpu) in found.items():
        sys.stdout.write(f"{label:<36}{clock:8.2f} ms on the clock {cpu:8.2f} ms of CPU a photo\n")
    step, plain, view = (cpu for _, cpu in found.values())
    spread = plain / (step + view * _VIEWS / recipe.epochs)
    sys.stdout.write(f"plain / tail: {plain / step:.1f}, with the activations of {_VIEWS} views: {spread:.1f}\n")


def _measure(works: dict[str, Callable[[], None]], number: int) -> dict[str, tuple[float, float]]:
    """Runs works in turns, so that the machine's moods hit all alike; milliseconds a photo: clock, CPU, medians."""
    times: dict[str, list[tuple[float, float]]] = {label: [] for label in works}
    for turn in range(ROUNDS + 1):
        for label, work in works.items():
            clock, cpu = time.perf_counter(), time.process_time()
            work()
            if turn:  # in the first, graphs are traced
                times[label].append((time.perf_counter() - clock, time.process_time() - cpu))
    return {
        label: (
            1000 * statistics.median(clock for clock, _ in rows) / number,
            1000 * statistics.median(cpu for _, cpu in rows) / number,
        )
        for label, rows in times.items()
    }


def _plain_keras(content: bytes):
    import keras

    features = keras_model.to_keras(content)
    model = keras.Model(features.input, keras.layers.Dense(CLASSES)(features.output))
    model.compile(keras.optimizers.AdamW(1e-4), keras.losses.CategoricalCrossentropy(from_logits=True))
    return model


if __name__ == "__main__":
    main(*sys.argv[1:])
