"""What `train` can be told, and what of it can be refused before any work."""

from __future__ import annotations

import functools
import numbers
import os
from dataclasses import asdict, dataclass, fields
from typing import Any, get_type_hints

from model_maker import backbones, extras
from model_maker.data import augment
from model_maker.errors import DataError
from model_maker.learning import recipe as recipes
from model_maker.learning.engines import ENGINES
from model_maker.learning.recipe import MOST_EPOCHS, Recipe, seconds
from model_maker.tflite import graph, quantize
from model_maker.tflite.network_layers import CHOICES

CLASS_WEIGHTS = ("auto", "none")
_OF_THE_PLACE = ("engine", "address", "shards")
_OF_FINE_TUNING = (
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "dropout",
    "label_smoothing",
    "mix",
    "budget",
)


@dataclass(frozen=True)
class Options:
    """What `train` can be told; `run.json` holds them, and `train --config run.json` reads them back.

    Attributes:
      model: a key of BACKBONES, or the path or address of another model.
      weights: a file to use instead of the backbone's published weights; None for those.
      normalization: "MEAN,STD" that a foreign model's input expects; None to find out.
      quantize: one of `tflite.quantize.FORMATS`.
      max_drop: percentage points of top-1 that quantization may lose; None for no limit. See `deploy.budget`.
      io: "uint8" or "float32", the type of the model's edges.
      image_size: pixels; None for the backbone's own.
      validation, test: shares of the photos, where the folder does not divide them itself.
      augment: one of `data.augment.PRESETS`: what learns also sees augmented views of each training photo. None for
        "standard" in fine-tuning and "none" else.
      views: how many of each photo where they are augmented, the plain one among them.
      layers: one of `tflite.network_layers.CHOICES`, which layers of the backbone the head sees: "last", "top" (those
        of the smallest feature maps), "all", or "auto" for the simplest that cannot be told from the best.
      class_weight: "auto" lets classes weigh alike where their counts are uneven; "none" never does.
      fine_tune: None, or one of `learning.recipe.SCOPES`.
      epochs, batch_size, learning_rate, weight_decay, dropout, label_smoothing, mix: of fine-tuning, see
        `learning.recipe.Recipe`; None for its defaults.
      budget: time for fine-tuning, as "5m"; None for as long as its epochs take.
      precision: share of answers that are to be right: a score threshold is chosen that keeps it, below which photos
        are unknown. None for no threshold. See `inference.answering`.
      label_precision: the same share of the answers of each label; each gets a threshold of its own.
      folds: K for an additional K-fold estimate of accuracy; 0 for none.
      seed: another seed divides the photos, and draws their views, otherwise.
      threads: photos at a time; None for all cores.
      engine: where photos are read and embedded, one of `learning.engines.ENGINES`.
      address, shards: of Ray: the cluster's address, and the folder through which its machines hand embeddings over;
        None for a Ray of our own, or that of RAY_ADDRESS, and for the cache.
      name, author, licence: for the model's metadata; None for the folder's name, nobody, and the weights' licence.

    Raises:
      DataError: a value is of another type. Paths become text, and NumPy's numbers Python's.

    Examples:
      >>> from model_maker import Options
      >>> options = Options(fine_tune="tail", budget="5m")
      >>> options.model, options.augmentation
      ('efficientnet_lite0', 'standard')
    """

    model: str = backbones.DEFAULT
    weights: str | None = None
    normalization: str | None = None
    quantize: str = "int8"
    max_drop: float | None = None
    io: str = "uint8"
    image_size: int | None = None
    validation: float = 0.1
    test: float = 0.2
    augment: str | None = None
    views: int = 4
    layers: str = "auto"
    class_weight: str = "auto"
    fine_tune: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    dropout: float | None = None
    label_smoothing: float | None = None
    mix: float | None = None
    budget: str | None = None
    precision: float | None = None
    label_precision: float | None = None
    folds: int = 0
    seed: int = 0
    threads: int | None = None
    engine: str = "local"
    address: str | None = None
    shards: str | None = None
    name: str | None = None
    author: str | None = None
    licence: str | None = None

    def __post_init__(self) -> None:
        for name, kind in _kinds().items():
            object.__setattr__(self, name, _plain(name, getattr(self, name), kind))

    @property
    def augmentation(self) -> str:
        """The preset that holds."""
        return self.augment or ("standard" if self.fine_tune else "none")

    @property
    def is_augmented(self) -> bool:
        """Whether the head learns from augmented views; beside fine-tuning, which has its own, it is a plain one."""
        return self.augmentation != "none" and not self.fine_tune

    @property
    def decisive(self) -> dict[str, Any]:
        """Those that what is made may depend on, by name: all but where it is computed."""
        return {name: value for name, value in asdict(self).items() if name not in _OF_THE_PLACE}

    @property
    def recipe(self) -> Recipe:
        """How to fine-tune; what is not stated has the recipe's defaults."""
        names = {field.name for field in fields(Recipe)} & {field.name for field in fields(self)}
        stated = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if self.budget:
            stated = {"epochs": MOST_EPOCHS, "budget_s": seconds(self.budget)} | stated
        return Recipe(**stated, scope=self.fine_tune or "tail")


@functools.cache
def _kinds() -> dict[str, Any]:
    return get_type_hints(Options)


def _plain(name: str, value: Any, kind: Any) -> Any:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif isinstance(value, numbers.Integral) and not isinstance(value, bool):
        value = int(value)
    elif isinstance(value, numbers.Real) and not isinstance(value, bool):
        value = float(value)
    fraction = isinstance(0.5, kind)
    # JSON, and Python's callers, write 1 for 1.0. True is no number.
    if isinstance(value, bool) or not isinstance(value, kind | int if fraction else kind):
        wanted = "a number" if fraction else "a whole number" if isinstance(0, kind) else "text"
        raise DataError(f"{name} = {value!r}: train takes {wanted} there.")
    return value


def from_record(record: dict[str, Any]) -> Options:
    """Reads options from JSON, which may have been edited by hand or written by another version.

    Raises:
      DataError: one of them is unknown or of another type; what it is, without saying where.
    """
    if unknown := sorted(record.keys() - _kinds().keys()):
        raise DataError(f"{unknown[0]} = {record[unknown[0]]!r}: train has no such option.")
    return Options(**record)


def check(options: Options) -> None:
    """Checks single values; the name of the model is checked where it is looked up.

    Raises:
      DataError: a value that means nothing, or that needs a package that is not installed.
    """
    check_form(options.quantize, options.io)
    augment.preset(options.augmentation)
    if options.augmentation != "none" and options.views < 2:
        raise DataError(f"--views {options.views}: give 2 or more; the first is the plain photo.")
    if options.max_drop is not None:
        _check_budget(options)
    if options.threads is not None and options.threads < 1:
        raise DataError(f"--threads {options.threads}: give 1 or more.")
    if options.folds and options.folds < 2:
        raise DataError(f"--folds {options.folds}: give 2 or more, or 0 for none.")
    for flag, share in (("--precision", options.precision), ("--label-precision", options.label_precision)):
        if share is not None and not 0 < share < 1:
            raise DataError(f"{flag} {share:g}: give a share above 0 and below 1, as 0.95.")
    if options.layers not in CHOICES:
        raise DataError(f"--layers {options.layers}: choose one of {', '.join(CHOICES)}.")
    if options.class_weight not in CLASS_WEIGHTS:
        raise DataError(f"--class-weight {options.class_weight}: choose one of {', '.join(CLASS_WEIGHTS)}.")
    _check_place(options)
    _check_fine_tuning(options)


def _check_place(options: Options) -> None:
    if options.engine not in ENGINES:
        raise DataError(f"--engine {options.engine}: choose one of {', '.join(ENGINES)}.")
    for flag, value in (("--address", options.address), ("--shards", options.shards)):
        if value is not None and options.engine != "ray":
            raise DataError(f"{flag} {value} belongs to a Ray cluster: add --engine ray.")


def _check_fine_tuning(options: Options) -> None:
    if options.fine_tune is not None:
        recipes.check(options.recipe)
        extras.require("tensorflow", what="--fine-tune", error=DataError)
        return
    for name in _OF_FINE_TUNING:
        if getattr(options, name) is not None:
            raise DataError(f"--{name.replace('_', '-')} belongs to fine-tuning: add --fine-tune tail.")


def _check_budget(options: Options) -> None:
    if not 0 <= (options.max_drop or 0) < 100:  # not a number is out of range, too
        raise DataError(f"--max-drop {options.max_drop:g}: give percentage points, 0 or more and below 100, as 0.5.")
    if options.quantize == "none":
        raise DataError("--max-drop limits what quantization loses, and --quantize none loses nothing. Leave one out.")


def check_form(kind: str, io: str) -> None:
    """Checks the form in which a model is to ship.

    Raises:
      DataError: there is no such quantization, or no such type of edges.
    """
    for value, allowed, flag in ((kind, quantize.FORMATS, "--quantize"), (io, graph.IO_TYPES, "--io")):
        if value not in allowed:
            raise DataError(f"{flag} {value}: choose one of {', '.join(allowed)}.")
