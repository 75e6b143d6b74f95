"""One network under training: its steps, its running mean, its whole state. TensorFlow is imported inside.

It knows neither photos nor epochs; `epochs` brings both.
"""

import contextlib
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from model_maker.errors import DataError
from model_maker.learning import matrix_layers
from model_maker.learning.recipe import Recipe
from model_maker.system import processor, suppressed_output

Array = np.ndarray

# Parts of a batch that the cores compute side by side; a graphics card takes it whole.
_PARTS = 2
# Of activations: kept for the way back, their gradients, and what kernels need beside.
_COPIES = 3
# Of libraries that look for graphics cards, or tell what the processor can do.
_GREETINGS = re.compile(rb"(WARNING: All log messages before absl|[EWI]\d{4} |\d{4}-\d\d-\d\d .* [EWI] )")


class Trainer:
    """Trains a Keras model that ends in logits.

    Args:
      model: keras.Model, float32 [N, ...] to float32 [N, C].
      class_weights: float [C], what an example of each class weighs.
      learning_rate: the highest.

    Attributes:
      rate: the learning rate of the last step.

    Raises:
      DataError: a batch does not fit into memory.
    """

    def __init__(self, model, recipe: Recipe, class_weights: Array, *, learning_rate: float):
        import keras
        import tensorflow as tf

        check_memory(model, recipe.batch_size)
        self.model, self._recipe, self._highest, self.rate = model, recipe, learning_rate, 0.0
        self._class_weights = np.asarray(class_weights, np.float32)
        self._optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=recipe.weight_decay)
        if keras.config.dtype_policy().name == "mixed_float16":
            self._optimizer = keras.optimizers.LossScaleOptimizer(self._optimizer)
        self._optimizer.build(model.trainable_variables)
        self._means = [tf.Variable(variable) for variable in model.trainable_variables]
        self._steps = 0
        self._compiled = tf.function(self._step, reduce_retracing=True)
        self._forward = tf.function(self._answer, reduce_retracing=True)

    def step(self, batch: Array, labels: Array, *, progress: float) -> float:
        """Learns from one batch; returns the mean loss.

        Args:
          batch: float32 [N, ...].
          labels: float32 [N, C], of sum 1.
          progress: how much of the training is over, 0 to 1; sets the learning rate.

        Raises:
          DataError: memory ran out.
        """
        import tensorflow as tf

        smoothing = self._recipe.label_smoothing
        weights = labels @ self._class_weights
        targets = ((1 - smoothing) * labels + smoothing / labels.shape[1]).astype(np.float32)
        decay = min(self._recipe.average, (1 + self._steps) / (10 + self._steps))
        self._steps += 1
        self.rate = self._highest * schedule(progress, self._recipe.warmup)
        weights /= weights.sum()
        try:
            numbers = (tf.constant(value, tf.float32) for value in (self.rate, decay))
            return float(self._compiled(_divided(batch, targets, weights), *numbers))
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:
            raise _too_large(len(batch)) from error

    def _step(self, parts, rate, decay):
        import tensorflow as tf

        self._optimizer.learning_rate.assign(rate)
        trained = self.model.trainable_variables
        losses, gradients = zip(*(self._gradients(*part) for part in parts), strict=True)
        summed = [tf.add_n(of_parts) for of_parts in zip(*gradients, strict=True)]
        self._optimizer.apply_gradients(zip(summed, trained, strict=True))
        for mean, variable in zip(self._means, trained, strict=True):
            mean.assign(decay * mean + (1 - decay) * variable)
        return tf.add_n(losses)

    def _gradients(self, batch, targets, weights):
        """Returns what a part of a batch adds to the loss, and its gradients."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            logits = tf.cast(self.model(batch, training=True), tf.float32)
            loss = tf.reduce_sum(weights * tf.nn.softmax_cross_entropy_with_logits(targets, logits))
            scaled = self._optimizer.scale_loss(loss)
        return loss, tape.gradient(scaled, self.model.trainable_variables)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Puts the running mean in the place of the weights, for as long as the block lasts."""
        weights = [variable.numpy() for variable in self.model.trainable_variables]
        try:
            self.set_weights([mean.numpy() for mean in self._means])
            yield
        finally:
            self.set_weights(weights)

    def weights(self) -> list[Array]:
        """Returns what is trained."""
        return [variable.numpy() for variable in self.model.trainable_variables]

    def set_weights(self, weights: Iterable[Array]) -> None:
        """Restores what `weights` returned."""
        for variable, values in zip(self.model.trainable_variables, weights, strict=True):
            variable.assign(values)

    def logits(self, batches: Iterable[Array]) -> Array:
        """Maps batches of examples to float32 [N, C], nothing left out."""
        return np.concatenate([part.numpy() for batch in batches for part in self._forward(_divided(batch))])

    def _answer(self, parts):
        import tensorflow as tf

        return [tf.cast(self.model(batch, training=False), tf.float32) for (batch,) in parts]

    def state(self) -> dict[str, Array]:
        """Returns all on which the next step depends: weights, moments, running mean, the dropout's generator."""
        return {name: variable.numpy() for name, variable in self._variables()} | {"steps": np.array(self._steps)}

    def restore(self, state: dict[str, Array]) -> None:
        """Restores what `state` returned."""
        for name, variable in self._variables():
            variable.assign(state[name])
        self._steps = int(state["steps"])

    def _variables(self) -> Iterator[tuple[str, Any]]:
        groups = {"model": self.model.variables, "optimizer": self._optimizer.variables, "mean": self._means}
        for group, variables in groups.items():
            for index, variable in enumerate(variables):
                yield f"{group}/{index}", variable


def _divided(*arrays: Array) -> list[tuple[Any, ...]]:
    """Divides a batch into parts that TensorFlow computes side by side.

    One product of matrices seldom keeps two cores busy; two that do not depend on each other do. Their number is
    fixed, so that sums have the same order on any number of cores.
    """
    import tensorflow as tf

    number = 1 if has_graphics_card() else min(_PARTS, len(arrays[0]))
    pieces = [np.array_split(values, number) for values in arrays]
    return [tuple(map(tf.constant, part)) for part in zip(*pieces, strict=True)]


def load_tensorflow() -> None:
    """Imports TensorFlow and Keras, which takes 6 seconds; its greetings of missing graphics cards are kept back."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with suppressed_output.diverted(lambda line: bool(_GREETINGS.match(line))):
        import keras  # noqa: F401
        import tensorflow as tf

        # The same order of sums in every run: what is trained can be repeated, and gone on with, to the bit.
        tf.config.experimental.enable_op_determinism()
        tf.config.list_physical_devices()  # looks for graphics cards now, and says so now


@contextlib.contextmanager
def precision() -> Iterator[None]:
    """Trains in half precision where there is a graphics card, which is made for it; weights stay float32."""
    import keras

    before = keras.config.dtype_policy()
    try:
        if has_graphics_card():
            keras.config.set_dtype_policy("mixed_float16")
        yield
    finally:
        keras.config.set_dtype_policy(before)


def has_graphics_card() -> bool:
    """Whether TensorFlow computes on a graphics card."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def convolutions() -> Any:
    """Returns the classes of convolutions to train with; None for those of Keras, which suit a graphics card."""
    return None if has_graphics_card() else matrix_layers.layers(half=processor.multiplies_halves())


def schedule(progress: float, warmup: float) -> float:
    """Returns the share of the highest learning rate: a straight rise, then half a cosine.

    Source: Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts".
    """
    rise = min(1.0, progress / warmup) if warmup else 1.0
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def check_memory(model, batch_size: int) -> None:
    """Checks roughly that the activations of a batch fit into what is free.

    Raises:
      DataError: they do not.
    """
    numbers = sum(math.prod(layer.output.shape[1:]) for layer in model.layers)
    free = free_memory()
    if free is not None and 4 * _COPIES * batch_size * numbers > free:
        raise _too_large(batch_size, 4 * _COPIES * batch_size * numbers, free)


def free_memory() -> int | None:
    """Returns the bytes that may be had without swapping, where the system tells."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _too_large(batch_size: int, needed: float | None = None, free: float | None = None) -> DataError:
    figures = f" (about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free)" if needed and free else ""
    return DataError(
        f"A batch of {batch_size} photos does not fit into memory{figures}. Lower `batch_size`, "
        "take `fine_tune='tail'`, or a smaller `model` or `image_size`."
    )
