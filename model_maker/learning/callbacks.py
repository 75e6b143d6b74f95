"""Keras callbacks and TensorBoard logs of a fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_maker.learning.recipe import Recipe
from model_maker.learning.trainer import Trainer


@dataclass(frozen=True)
class Callbacks:
    """Receivers of the epochs of fine-tuning.

    Attributes:
      keras: `keras.callbacks.Callback` objects; each phase is a training of its own to them.
      tensorboard: folder for TensorBoard logs; None for none.
    """

    keras: Sequence[Any] = ()
    tensorboard: Path | None = None

    def open(self, worker: Trainer, phase: str, recipe: Recipe) -> OpenCallbacks:
        """Begins a phase."""
        return OpenCallbacks(self, worker, phase, recipe)


NO_CALLBACKS = Callbacks()


class OpenCallbacks:
    """Callbacks of one phase; the context ends the phase for them."""

    def __init__(self, callbacks: Callbacks, worker: Trainer, phase: str, recipe: Recipe):
        import keras
        import tensorflow as tf

        self._worker = worker
        self._callbacks = keras.callbacks.CallbackList(
            list(callbacks.keras), model=worker.model, epochs=recipe.epochs, verbose=0
        )
        folder = callbacks.tensorboard
        self._board = tf.summary.create_file_writer(str(folder / phase)) if folder else None

    def __enter__(self) -> OpenCallbacks:
        self._callbacks.on_train_begin()
        return self

    def __exit__(self, *_) -> None:
        self._callbacks.on_train_end()
        if self._board:
            self._board.close()

    @property
    def stop(self) -> bool:
        """Whether a callback has requested a stop."""
        return bool(getattr(self._worker.model, "stop_training", False))

    def epoch(self, epoch: int, entry: dict[str, Any]) -> None:
        """Reports the end of an epoch; `entry` is as in the history."""
        import tensorflow as tf

        logs = {"loss": entry["loss"], "val_loss": entry["validation_loss"], "val_accuracy": entry["validation_top1"]}
        logs["learning_rate"] = entry["learning_rate"]
        self._callbacks.on_epoch_begin(epoch)
        self._callbacks.on_epoch_end(epoch, logs)
        if self._board:
            with self._board.as_default():
                for name, value in logs.items():
                    tf.summary.scalar(name, value, step=epoch + 1)
            self._board.flush()
