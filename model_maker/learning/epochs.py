"""The epochs of a fine-tuning: order, judgement on validation photos, early stopping, blends, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from model_maker.data import mixing
from model_maker.learning import heads
from model_maker.learning.callbacks import NO_CALLBACKS, Callbacks
from model_maker.learning.checkpoint import Checkpoint
from model_maker.learning.recipe import Recipe
from model_maker.learning.trainer import Trainer
from model_maker.progress import SILENT, Progress

Array = np.ndarray

# Of the time that is given, for the phase before everything is trained: it brings most of the gain.
_FIRST_SHARE = 0.3
# A smaller part of the validation loss is no gain; nor is less than float32 logits can tell.
_GAIN = 1e-4
_LEAST_GAIN = 1e-6
# How far to go from where a phase began to where it ended; between them lie networks that do better than both.
BLENDS = (0.2, 0.4, 0.6, 0.8, 1.0)
# Photos through the network at once where nothing is learned.
_JUDGED = 64


class Source(Protocol):
    """Where a phase's examples come from."""

    @property
    def views(self) -> int:
        """How many there are of each photo."""

    def batch(self, photos: Array, views: Array | int = 0) -> Array:
        """Returns one view of each photo, float32 [B, ...]; view 0 is the plain photo."""


class Epochs:
    """What lives through all phases of a fine-tuning.

    Args:
      recipe: how to train.
      labels: int [N], of the photos to learn from.
      validation: int [M], of those to choose by.
      classes: C.
      progress: receives stages and steps.
      checkpoint: where its state is kept; None for nowhere.
      callbacks: receive each epoch.

    Attributes:
      history: of the network that it began with, then of each epoch: `phase`, `epoch`, `loss`, `validation_loss`,
        `validation_top1`, the `learning_rate` of its last step, `seconds`.
      blends: of each phase that brought something, how far its best weights were followed, of BLENDS, and with what
        `validation_loss` and `validation_top1`.
      notes: what people should know.
      found: arrays of the best network, once all phases are over; empty before.
      temperature: what its logits are divided by.
    """

    def __init__(
        self,
        recipe: Recipe,
        labels: Array,
        validation: Array,
        classes: int,
        *,
        progress: Progress = SILENT,
        checkpoint: Checkpoint | None = None,
        callbacks: Callbacks = NO_CALLBACKS,
    ):
        self._recipe, self._labels, self._validation = recipe, labels, validation
        self.progress, self._checkpoint, self._callbacks = progress, checkpoint, callbacks
        self._one_hot = np.eye(classes, dtype=np.float32)
        facts, self._arrays = checkpoint.load() if checkpoint else ({}, {})
        self._saved_phase: str | None = facts.get("phase")
        self._passed: list[str] = facts.get("passed", [])
        self.history: list[dict[str, Any]] = facts.get("history", [])
        self.blends: dict[str, dict[str, float]] = facts.get("blends", {})
        self.notes: list[str] = facts.get("notes", [])
        self.temperature: float = facts.get("temperature", 1.0)
        self.found: Mapping[str, Array] = self._group("found")
        self._repeated: int = facts.get("repeated", 0)
        self._begin = time.monotonic() - facts.get("spent", 0.0)

    def is_over(self, phase: str) -> bool:
        """Whether the checkpoint stands in a later phase."""
        return phase in self._passed

    def saved_network(self, phase: str) -> dict[str, Array]:
        """Returns what was given to `run` as network when the checkpoint's phase began; empty for another phase."""
        return self._group("network") if phase == self._saved_phase else {}

    def run(
        self, phase: str, worker: Trainer, learned: Source, judged: Source, *, network: Mapping[str, Array], last: bool
    ) -> list[Array] | None:
        """Trains until the epochs, the time or the patience are over.

        Args:
          phase: its name.
          worker: the network; left as it is after the last step.
          learned, judged: the examples, in the order of the labels.
          network: arrays that the checkpoint keeps, from which the phase can be begun again.
          last: whether no phase follows.

        Returns:
          The best weights, or None where none are better than what the phase began with.
        """
        first, best, begin = 0, None, worker.weights()
        if phase == self._saved_phase:
            worker.restore(self._group("state"))
            first = sum(entry["phase"] == phase for entry in self.history)
            best = [values for _, values in sorted(self._group("best").items(), key=lambda item: int(item[0]))] or None
        elif not self.history:
            self.history.append({"phase": "frozen", "epoch": 0, **self._judge(worker, judged)})
        start, end = self._window(last)
        with self._callbacks.open(worker, phase, self._recipe) as callbacks:
            for epoch in range(first, self._recipe.epochs):
                if self._is_stale(phase) or callbacks.stop or self._elapsed() >= end:
                    break
                began = time.monotonic()
                loss = self._epoch(worker, learned, self._labels, epoch, (start, end))
                if not math.isfinite(loss):
                    self.notes.append(f"The loss was no number in epoch {epoch + 1} of {phase}: lower `learning_rate`.")
                    break
                with worker.averaged():
                    entry: dict[str, Any] = {"phase": phase, "epoch": epoch + 1, "loss": loss}
                    entry |= self._judge(worker, judged)
                    entry |= {"learning_rate": worker.rate, "seconds": round(time.monotonic() - began, 3)}
                    self.history.append(entry)
                    if self._best(phase) == len(self.history) - 1:
                        best = worker.weights()
                callbacks.epoch(epoch, entry)
                self._save(phase, worker, best, network)
        self._passed.append(phase)
        return self._blend(phase, worker, judged, begin, best) if best else None

    def repeat(self, phase: str, worker: Trainer, learned: Source, labels: Array, network: Mapping[str, Array]) -> bool:
        """Trains with other photos as long as the phase's best epoch took, and as far as its blend went.

        Args:
          phase: one of `blends`.
          worker: the network; it has the weights to keep when this returns.
          learned, labels: the examples, and int [N] their labels.
          network: as for `run`.

        Returns:
          Whether it went well; not so where a loss was no number.
        """
        begin, name = worker.weights(), again(phase)
        if name == self._saved_phase:
            worker.restore(self._group("state"))
        else:
            self._repeated = 0
        for epoch in range(self._repeated, self.history[self._best(phase)]["epoch"]):
            if not math.isfinite(self._epoch(worker, learned, labels, epoch, (0.0, math.inf))):
                self.notes.append(f"The loss was no number in the repetition of {phase}, which is left out.")
                return False
            self._repeated = epoch + 1
            self._save(name, worker, None, network)
        self._passed.append(name)
        share = np.float32(self.blends[phase]["share"])
        with worker.averaged():
            end = worker.weights()
        worker.set_weights([old + share * (new - old) for old, new in zip(begin, end, strict=True)])
        return True

    def _blend(
        self, phase: str, worker: Trainer, judged: Source, begin: list[Array], end: list[Array]
    ) -> list[Array] | None:
        """Goes from one network towards another as far as validation photos agree, which may be nowhere.

        Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (averages of weights).
        """
        found, losses = [], []
        for share in BLENDS:
            weights = [old + np.float32(share) * (new - old) for old, new in zip(begin, end, strict=True)]
            worker.set_weights(weights)
            logits = self._logits(worker, judged)
            losses.append(heads.losses(logits / heads.calibrate(logits, self._validation)[0], self._validation))
            found.append(({"share": share, **self._measure(logits)}, weights))
        blend, weights = found[nearest_of_the_best(np.array(losses))]
        before = min(entry["validation_loss"] for entry in (self.history[0], *self.blends.values()))
        if not is_better(blend["validation_loss"], before):
            return None
        self.blends[phase] = blend
        return weights

    def _best(self, phase: str) -> int:
        """Returns which entry of the history is the phase's best; see `is_better`."""
        best = None
        for index, entry in enumerate(self.history):
            loss = entry["validation_loss"]
            if entry["phase"] == phase and (best is None or is_better(loss, self.history[best]["validation_loss"])):
                best = index
        return len(self.history) if best is None else best

    def _epoch(self, worker: Trainer, source: Source, every: Array, epoch: int, window: tuple[float, float]) -> float:
        """Shows each photo once, in one of its views; returns the mean loss. `every` holds the photos' labels."""
        recipe, (start, end) = self._recipe, window
        rng = np.random.default_rng((recipe.seed, epoch))
        order = rng.permutation(len(every))
        views = rng.integers(0, source.views, len(order))
        steps = math.ceil(len(order) / recipe.batch_size)
        losses = []
        for step in range(steps):
            chosen = slice(step * recipe.batch_size, (step + 1) * recipe.batch_size)
            batch, labels = source.batch(order[chosen], views[chosen]), self._one_hot[every[order[chosen]]]
            if recipe.mix:
                blend = mixing.mixup if rng.random() < 0.5 else mixing.cutmix
                batch, labels = blend(batch, labels, rng, alpha=recipe.mix)
            done, total = epoch * steps + step, recipe.epochs * steps
            progress = max(done / total, (self._elapsed() - start) / (end - start))
            losses.append(worker.step(batch, labels, progress=progress))
            if not math.isfinite(losses[-1]) or self._elapsed() >= end:
                break
            self.progress.step(done + 1, total if progress == done / total else round((done + 1) / progress))
        return float(np.mean(losses))

    def _judge(self, worker: Trainer, source: Source) -> dict[str, float]:
        return self._measure(self._logits(worker, source))

    def _logits(self, worker: Trainer, source: Source) -> Array:
        """Returns those of the validation photos."""
        number = len(self._validation)
        chunks = np.split(np.arange(number), range(_JUDGED, number, _JUDGED))
        return worker.logits(source.batch(chunk) for chunk in chunks)

    def _measure(self, logits: Array) -> dict[str, float]:
        """Measures on validation photos; the loss is that at its best temperature, for scores are calibrated later."""
        top1 = float((logits.argmax(1) == self._validation).mean())
        return {"validation_loss": heads.calibrate(logits, self._validation)[1], "validation_top1": top1}

    def _is_stale(self, phase: str) -> bool:
        """Whether the last epochs of this phase brought nothing."""
        return len(self.history) - 1 - self._best(phase) >= self._recipe.patience

    def _window(self, last: bool) -> tuple[float, float]:
        """Returns when the phase begins and when its time is over, seconds since the beginning."""
        if self._recipe.budget_s is None:
            return 0.0, math.inf
        return min(self._elapsed(), self._recipe.budget_s), self._recipe.budget_s * (1.0 if last else _FIRST_SHARE)

    def _elapsed(self) -> float:
        return time.monotonic() - self._begin

    def _save(self, phase: str, worker: Trainer, best: list[Array] | None, network: Mapping[str, Array]) -> None:
        if self._checkpoint is None:
            return
        groups = {"state": worker.state(), "network": network, "found": self.found}
        groups["best"] = {str(index): values for index, values in enumerate(best or [])}
        facts = {
            "phase": phase,
            "passed": self._passed,
            "history": self.history,
            "blends": self.blends,
            "notes": self.notes,
            "temperature": self.temperature,
            "repeated": self._repeated,
            "spent": self._elapsed(),
        }
        arrays = {f"{group}:{name}": values for group, entries in groups.items() for name, values in entries.items()}
        self._checkpoint.save(facts, arrays)

    def _group(self, name: str) -> dict[str, Array]:
        return {key.split(":", 1)[1]: values for key, values in self._arrays.items() if key.startswith(f"{name}:")}


def again(phase: str) -> str:
    """Names the repetition of a phase."""
    return f"{phase} again"


def is_better(loss: float, than: float) -> bool:
    """Whether a validation loss is less than another by more than rounding, and by enough to care."""
    return loss < min((1 - _GAIN) * than, than - _LEAST_GAIN)


def nearest_of_the_best(losses: Array) -> int:
    """Returns the first of several networks whose loss cannot be told from the least one.

    Few photos make the least loss a matter of luck; among equals the one nearest to the beginning is the safest.

    Args:
      losses: float [K, M], of each network on each photo, nearest first.

    Source: Breiman et al. 1984, "Classification and Regression Trees", section 3.4.3 (the one-standard-error rule).
    """
    excess = losses - losses[losses.mean(axis=1).argmin()]
    error = excess.std(axis=1, ddof=1) / np.sqrt(losses.shape[1]) if losses.shape[1] > 1 else 0.0
    return int(np.flatnonzero(excess.mean(axis=1) <= error)[0])
