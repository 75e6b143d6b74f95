"""Who follows a fine-tuning: progress, Keras callbacks, TensorBoard."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_maker.learning.checkpoint import Checkpoint
from model_maker.learning.recipe import Recipe
from model_maker.learning.trainer import Trainer


@dataclass
class Watch:
    """Who follows a fine-tuning, and where its state is kept.

    Attributes:
      progress: called with (done, total) steps.
      stage: opens a named stage for as long as its block lasts.
      checkpoint: None for nowhere.
      callbacks: of Keras; each phase is a training of its own to them.
      log_directory: for TensorBoard; None for nowhere.
    """

    progress: Callable[[int, int], None] = lambda done, total: None
    stage: Callable[[str], contextlib.AbstractContextManager] = lambda name: contextlib.nullcontext()
    checkpoint: Checkpoint | None = None
    callbacks: Sequence[Any] = ()
    log_directory: Path | None = None


class Listeners:
    """Keras callbacks and TensorBoard, which hear of epochs."""

    def __init__(self, watch: Watch, worker: Trainer, phase: str, recipe: Recipe):
        import keras
        import tensorflow as tf

        self._worker = worker
        self._callbacks = keras.callbacks.CallbackList(
            list(watch.callbacks), model=worker.model, epochs=recipe.epochs, verbose=0
        )
        self._board = tf.summary.create_file_writer(str(watch.log_directory / phase)) if watch.log_directory else None

    def __enter__(self) -> Listeners:
        self._callbacks.on_train_begin()
        return self

    def __exit__(self, *_) -> None:
        self._callbacks.on_train_end()
        if self._board:
            self._board.close()

    @property
    def stop(self) -> bool:
        """Whether a callback has asked for an end."""
        return bool(getattr(self._worker.model, "stop_training", False))

    def epoch(self, epoch: int, entry: dict[str, Any]) -> None:
        """An epoch is over; `entry` as in the history."""
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
