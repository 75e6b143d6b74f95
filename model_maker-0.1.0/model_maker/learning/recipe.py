"""How a network is fine-tuned: numbers only, so that they can be checked before TensorFlow starts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from model_maker.errors import DataError

SCOPES = ("tail", "all")
# With --budget, more epochs than this gain nothing: early stopping comes first.
MOST_EPOCHS = 40
_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune; the defaults are measured, see docs/MEASUREMENTS.md.

    Attributes:
      scope: one of SCOPES. "tail" trains the last stages, "all" the tail first and then everything.
      epochs: passes over the photos, each of which shows one view of each.
      batch_size: photos in a step.
      learning_rate: the highest; it rises over the first `warmup` of all steps and falls to 0 as half a cosine.
      weight_decay: of AdamW, per step and unit of learning rate.
      dropout: share of the embedding that each step leaves out before the head.
      label_smoothing: share of a label that all classes divide.
      mix: alpha of mixup and cutmix, which take turns at random; 0 for neither.
      average: decay of the running mean of weights (EMA) that is kept instead of the weights themselves.
      patience: epochs without a better validation loss after which it stops.
      warmup: share of all steps.
      whole_rate: learning rate of "all" where everything is trained, as a share of `learning_rate`.
      budget_s: seconds for everything, or None; the learning rate then falls with time, so results depend on speed.
      seed: of order, views, dropout and mixing.
    """

    scope: str = "tail"
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    dropout: float = 0.2
    label_smoothing: float = 0.1
    mix: float = 0.0
    average: float = 0.99
    patience: int = 5
    warmup: float = 0.1
    whole_rate: float = 0.2
    budget_s: float | None = None
    seed: int = 0


def check(recipe: Recipe) -> None:
    """Checks single values, named as the command line's flags.

    Raises:
      DataError: a value that means nothing.
    """
    if recipe.scope not in SCOPES:
        raise DataError(f"--fine-tune {recipe.scope}: choose one of {', '.join(SCOPES)}.")
    for flag, count in (("--epochs", recipe.epochs), ("--batch-size", recipe.batch_size)):
        if count < 1:
            raise DataError(f"{flag} {count}: give 1 or more.")
    if not 0 < recipe.learning_rate < 1:
        raise DataError(f"--learning-rate {recipe.learning_rate:g}: give a number between 0 and 1, as 0.0005.")
    for flag, value in (
        ("--weight-decay", recipe.weight_decay),
        ("--dropout", recipe.dropout),
        ("--label-smoothing", recipe.label_smoothing),
    ):
        if not 0 <= value < 1:
            raise DataError(f"{flag} {value:g}: give a number from 0 to less than 1.")
    if not 0 <= recipe.mix <= 10:
        raise DataError(f"--mix {recipe.mix:g}: give a number from 0 to 10.")


def seconds(text: str) -> float:
    """Reads a time as people write it: 90s, 5m, 1.5h.

    Raises:
      DataError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if not found or float(found[1]) <= 0:
        raise DataError(f"--budget {text}: give a time as 90s, 5m or 1h.")
    return float(found[1]) * _UNITS[found[2]]
