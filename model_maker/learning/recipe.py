"""How a network is fine-tuned: numbers only, so that they can be checked before TensorFlow starts."""

from dataclasses import dataclass, fields

from model_maker.options import Options, seconds

SCOPES = ("tail", "all")
# With few photos the validation loss falls for up to 10 epochs; with 2,345 it was flat from the fourth on, so they see
# 11,000 views, 5 epochs, and as many views are for all in between. See docs/MEASUREMENTS.md.
MOST_EPOCHS, LEAST_EPOCHS, _VIEWS = 10, 5, 11_000


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
      budget_s: seconds for everything, or None; where they do not suffice for all epochs, the learning rate falls with
        time, so results depend on speed.
      seed: of order, views, dropout and mixing.
    """

    scope: str = "tail"
    epochs: int = MOST_EPOCHS
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


def of(options: Options, photos: int = 0) -> Recipe:
    """Returns how options have a network fine-tuned; the default number of epochs depends on the training photos."""
    names = {field.name for field in fields(Recipe)} & {field.name for field in fields(options)}
    stated = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    stated = {"epochs": default_epochs(photos)} | stated
    if options.budget:
        stated["budget_s"] = seconds(options.budget)
    return Recipe(**stated, scope=options.fine_tune or "tail")


def default_epochs(photos: int) -> int:
    """Returns the number of epochs for a number of training photos, see docs/MEASUREMENTS.md."""
    return min(MOST_EPOCHS, max(LEAST_EPOCHS, round(_VIEWS / max(1, photos))))
