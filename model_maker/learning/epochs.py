"""The epochs of fine-tuning: order, validation, early stopping, weight averaging, checkpoints."""

import contextlib
import math
import time
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from model_maker.data import mixing
from model_maker.data.streaming import in_order
from model_maker.learning import heads, likelihoods
from model_maker.learning.callbacks import NO_CALLBACKS, Callbacks
from model_maker.learning.checkpoint import Checkpoint
from model_maker.learning.recipe import Recipe
from model_maker.learning.trainer import Trainer
from model_maker.progress import SILENT, Progress

Array = np.ndarray

# Share of the time limit for the phase before all layers are trained, which has most of the gain.
_FIRST_SHARE = 0.3
# Share of a phase's time that may be spent on the activations that it learns from.
_ACTIVATIONS_SHARE = 0.4
# What follows the last epoch judges the validation photos so many times, blends and temperature; its time is kept
# back, but no more than this share.
_JUDGED_AFTER, _MOST_KEPT_BACK = 8, 0.1
# What a repetition may take longer than the epochs that it repeats.
_SAFETY = 1.2
# A smaller relative improvement of the validation loss does not count, nor one below the precision of float32 logits.
_GAIN = 1e-4
_LEAST_GAIN = 1e-6
# Fractions between the weights at the start and at the end of a phase; networks in between are better than both.
BLENDS = (0.2, 0.4, 0.6, 0.8, 1.0)
# Batch size of inference.
_JUDGED = 64


class BatchSource(Protocol):
    """The source of a phase's examples."""

    @property
    def views(self) -> int:
        """Number of views per photo."""

    def batch(self, photos: Array, views: Array | int = 0) -> Array:
        """Returns one view of each photo, float32 [B, ...]; view 0 is not augmented."""


class Epochs:
    """The state of all phases of fine-tuning.

    Args:
      labels: int [N], of the training photos.
      validation: int [M], of the validation photos.

    Attributes:
      history: of the initial network, then of each epoch: `phase`, `epoch`, `loss`, `validation_loss`,
        `validation_top1`, the `learning_rate` of its last step, `seconds`.
      blends: of each phase with an improvement, the fraction of BLENDS that was used, with its `validation_loss` and
      `validation_top1`.
      found: arrays of the best network after all phases; empty before.
      temperature: divisor of its logits.
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
        self._judging = math.inf
        self._begin = time.monotonic() - facts.get("spent", 0.0)

    def is_over(self, phase: str) -> bool:
        """Whether the checkpoint belongs to a later phase."""
        return phase in self._passed

    def saved_network(self, phase: str) -> dict[str, Array]:
        """Returns the network passed to `run` at the start of the checkpoint's phase; empty for another phase."""
        return self._group("network") if phase == self._saved_phase else {}

    def seconds_for_activations(self, last: bool) -> float | None:
        """Returns the time for what a phase learns from; None without a limit."""
        if self._recipe.budget_s is None:
            return None
        end = self._recipe.budget_s * (1.0 if last else _FIRST_SHARE)
        return max(0.0, _ACTIVATIONS_SHARE * end - self._elapsed())

    def has_time_to_repeat(self, more: float) -> bool:
        """Whether the epochs to be repeated, with `more` times the photos, probably end within the time limit."""
        if self._recipe.budget_s is None:
            return True
        repeated = sum(
            entry["seconds"]
            for phase in self.blends
            for entry in self.history
            if entry["phase"] == phase and entry["epoch"] <= self.history[self._best(phase)]["epoch"]
        )
        return self._elapsed() + _SAFETY * more * repeated < self._recipe.budget_s

    def run(
        self,
        phase: str,
        worker: Trainer,
        learned: BatchSource,
        judged: BatchSource,
        *,
        network: Mapping[str, Array],
        last: bool,
        chosen: Array | None = None,
    ) -> list[Array] | None:
        """Trains until the epochs, the time limit or the patience are exhausted.

        Args:
          worker: the network; left as it is after the last step.
          learned, judged: the examples, in the order of the labels.
          chosen: int [M], which training photos `learned` has; all by default.
          network: arrays in the checkpoint from which the phase can restart.

        Returns:
          The best weights, or None if none are better than the initial ones.
        """
        first, best, begin = 0, None, worker.weights()
        if phase == self._saved_phase:
            worker.restore(self._group("state"))
            first = sum(entry["phase"] == phase for entry in self.history)
            best = [values for _, values in sorted(self._group("best").items(), key=lambda item: int(item[0]))] or None
        elif not self.history:
            self.history.append({"phase": "frozen", "epoch": 0, **self._judge(worker, judged)})
        start, every = self._elapsed(), self._labels if chosen is None else self._labels[chosen]
        with self._callbacks.open(worker, phase, self._recipe) as callbacks:
            for epoch in range(first, self._recipe.epochs):
                end = self._end(last)
                if self._is_stale(phase) or callbacks.stop or self._elapsed() >= end:
                    break
                began = time.monotonic()
                loss = self._epoch(worker, learned, every, epoch, (start, end))
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

    def repeat(
        self, phase: str, worker: Trainer, learned: BatchSource, labels: Array, network: Mapping[str, Array]
    ) -> bool:
        """Repeats a phase on other photos, up to its best epoch and with its blend.

        Args:
          phase: one of `blends`.
          worker: the network; it has the weights to keep when this returns.
          learned, labels: the examples, and int [N] their labels.
          network: as for `run`.

        Returns:
          Whether it succeeded; False if a loss was NaN.
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
        self, phase: str, worker: Trainer, judged: BatchSource, begin: list[Array], end: list[Array]
    ) -> list[Array] | None:
        """Averages the weights of two networks with the best fraction by validation loss, possibly 0.

        Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (averages of weights).
        """
        found, losses = [], []
        for share in BLENDS:
            weights = [old + np.float32(share) * (new - old) for old, new in zip(begin, end, strict=True)]
            worker.set_weights(weights)
            logits = self._logits(worker, judged)
            losses.append(
                likelihoods.softmax_losses(logits / heads.calibrate(logits, self._validation)[0], self._validation)
            )
            found.append(({"share": share, **self._measure(logits)}, weights))
        blend, weights = found[nearest_of_the_best(np.array(losses))]
        before = min(entry["validation_loss"] for entry in (self.history[0], *self.blends.values()))
        fewer = self._recipe.budget_s is not None and blend["validation_top1"] < self.history[0]["validation_top1"]
        if fewer or not is_better(blend["validation_loss"], before):
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

    def _epoch(
        self, worker: Trainer, source: BatchSource, every: Array, epoch: int, window: tuple[float, float]
    ) -> float:
        """Trains one epoch with one view per photo; returns the mean loss. `every` has the labels of the photos."""
        recipe, (start, end) = self._recipe, window
        rng = np.random.default_rng((recipe.seed, epoch))
        order = rng.permutation(len(every))
        views = rng.integers(0, source.views, len(order))
        steps = math.ceil(len(order) / recipe.batch_size)

        def load(step: int) -> tuple[Array, Array]:
            chosen = slice(step * recipe.batch_size, (step + 1) * recipe.batch_size)
            batch, labels = source.batch(order[chosen], views[chosen]), self._one_hot[every[order[chosen]]]
            if not recipe.mix:
                return batch, labels
            blend = mixing.mixup if rng.random() < 0.5 else mixing.cutmix
            return blend(batch, labels, rng, alpha=recipe.mix)

        losses = []
        # One thread loads ahead while the others compute; only one, so that `rng` is asked in order.
        with contextlib.closing(in_order(load, range(steps), threads=1)) as batches:
            for step, (batch, labels) in enumerate(batches):
                done, total = epoch * steps + step, recipe.epochs * steps
                progress = max(done / total, (self._elapsed() - start) / (end - start))
                losses.append(worker.step(batch, labels, progress=progress))
                if not math.isfinite(losses[-1]) or self._elapsed() >= end:
                    break
                self.progress.step(done + 1, total if progress == done / total else round((done + 1) / progress))
        return float(np.mean(losses))

    def _judge(self, worker: Trainer, source: BatchSource) -> dict[str, float]:
        began = time.monotonic()
        found = self._measure(self._logits(worker, source))
        self._judging = min(self._judging, time.monotonic() - began)
        return found

    def _logits(self, worker: Trainer, source: BatchSource) -> Array:
        """Returns the logits of the validation photos."""
        number = len(self._validation)
        chunks = np.split(np.arange(number), range(_JUDGED, number, _JUDGED))
        return worker.logits(source.batch(chunk) for chunk in chunks)

    def _measure(self, logits: Array) -> dict[str, float]:
        """Evaluates on validation photos; the loss is at the best temperature, as scores are calibrated later."""
        top1 = float((logits.argmax(1) == self._validation).mean())
        return {"validation_loss": heads.calibrate(logits, self._validation)[1], "validation_top1": top1}

    def _is_stale(self, phase: str) -> bool:
        """Whether the last epochs of this phase had no improvement."""
        return len(self.history) - 1 - self._best(phase) >= self._recipe.patience

    def _end(self, last: bool) -> float:
        """Returns the time limit of the epochs of a phase, in seconds since the beginning."""
        budget = self._recipe.budget_s
        if budget is None:
            return math.inf
        return budget * (1.0 if last else _FIRST_SHARE) - min(_JUDGED_AFTER * self._judging, _MOST_KEPT_BACK * budget)

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
    """Whether a validation loss is lower than another by more than rounding, and by a relevant amount."""
    return loss < min((1 - _GAIN) * than, than - _LEAST_GAIN)


def nearest_of_the_best(losses: Array) -> int:
    """Returns the first of several networks whose loss is not significantly above the lowest one.

    With few photos the lowest loss may be chance; among equals the one closest to the initial network is the safest.

    Args:
      losses: float [K, M], of each network on each photo, nearest first.

    Source: Breiman et al. 1984, "Classification and Regression Trees", section 3.4.3 (the one-standard-error rule).
    """
    excess = losses - losses[losses.mean(axis=1).argmin()]
    error = excess.std(axis=1, ddof=1) / np.sqrt(losses.shape[1]) if losses.shape[1] > 1 else 0.0
    return int(np.flatnonzero(excess.mean(axis=1) <= error)[0])
