"""The options of `train`, each declared once; default, help, flag, check and record derive from the declaration."""

import dataclasses
import functools
import importlib
import numbers
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, get_type_hints

from model_maker.errors import DataError

DATA, LEARNING, FINE_TUNING, FILE, EXECUTION = "data", "learning", "fine-tuning", "model file", "execution"
# Descriptions of groups in `train --help`, where the title is not enough.
GROUPS = {
    DATA: "",
    LEARNING: "",
    FINE_TUNING: "Also train the network; needs the extra `tensorflow`.",
    FILE: "",
    EXECUTION: "Where photos are embedded. Does not change the model, see docs/SCALING.md.",
}


@dataclass(frozen=True)
class Declaration:
    """The declaration of an option, besides its type and default.

    Attributes:
      group: one of GROUPS.
      help: its meaning.
      metavar: placeholder for its value in the help.
      shown: the default in words, if not the value itself.
      choices: registry of allowed values as "module:NAME"; imported when a value is checked.
      allowed: whether a value is valid.
      advice: description of valid values.
      const: the value of the flag without an argument.
    """

    group: str
    help: str
    metavar: str
    shown: str = ""
    choices: str = ""
    allowed: Callable[[Any], bool] = lambda value: True
    advice: str = ""
    const: str | None = None

    def values(self) -> Sequence[str]:
        """Returns the allowed values."""
        module, name = self.choices.split(":")
        return tuple(getattr(importlib.import_module(module), name))

    def problem(self, value: Any) -> str:
        """Returns how to correct a value; empty if it is valid."""
        if value is None:
            return ""
        if self.choices and value not in (values := self.values()):
            return f"choose one of {', '.join(values)}."
        return "" if self.allowed(value) else f"pass {self.advice}."


def _option(default: Any, group: str, help: str, metavar: str, **more: Any) -> Any:
    return dataclasses.field(default=default, metadata={"declaration": Declaration(group, help, metavar, **more)})


def _count(least: int) -> dict[str, Any]:
    return {"allowed": lambda value: value >= least, "advice": f"{least} or more"}


def _fraction(advice: str, *, zero: bool = False) -> dict[str, Any]:
    # NaN is out of any range.
    return {"allowed": lambda value: value < 1 and (value >= 0 if zero else value > 0), "advice": advice}


_SMALL = _fraction("a number from 0 to less than 1", zero=True)
_SHARE = _fraction("a share above 0 and below 1, for example 0.95")


@dataclass(frozen=True)
class Options:
    """Options of `train`; `run.json` records them, and `train --config run.json` reads them back.

    Raises:
      DataError: a value has the wrong type. Paths are converted to text, NumPy scalars to Python numbers.

    Examples:
      >>> from model_maker import Options
      >>> options = Options(fine_tune="tail", budget="5m")
      >>> options.model, options.augmentation
      ('efficientnet_lite0', 'standard')
    """

    model: str = _option(
        "efficientnet_lite0",
        LEARNING,
        "backbone, see `model_maker models`, or the path or address of another model; the command line compares"
        " several, for example A,B,C",
        "NAME",
    )
    weights: str | None = _option(
        None, LEARNING, "weights file to use instead of the published weights", "FILE", shown="the published ones"
    )
    normalization: str | None = _option(
        None,
        LEARNING,
        "normalization of an imported model's input, in pixels, for example 127.5,127.5",
        "MEAN,STD",
        shown="found in the model",
    )
    quantize: str = _option(
        "int8",
        FILE,
        "quantization: int8, int16x8, int4, dynamic, float16 or none",
        "KIND",
        choices="model_maker.tflite.quantize:FORMATS",
    )
    max_drop: float | None = _option(
        None,
        FILE,
        "maximum loss of top-1 by quantization in percentage points, for example 0.5; tries other formats until"
        " one loses no more",
        "POINTS",
        shown="no limit",
        allowed=lambda value: 0 <= value < 100,
        advice="percentage points, 0 or more and below 100, for example 0.5",
    )
    io: str = _option(
        "uint8", FILE, "type of input and output: uint8 or float32", "TYPE", choices="model_maker.tflite.graph:IO_TYPES"
    )
    image_size: int | None = _option(
        None, LEARNING, "input size, height and width", "PIXELS", shown="the backbone's own"
    )
    resize: str = _option(
        "stretch",
        DATA,
        "how photos are fitted to the input: stretch, letterbox (scaled as a whole, on black) or crop (the center)",
        "HOW",
        choices="model_maker.fitting:RESIZES",
    )
    validation: float = _option(0.1, DATA, "validation share of each class, if the dataset has no such split", "SHARE")
    test: float = _option(0.2, DATA, "test share of each class, if the dataset has no such split", "SHARE")
    augment: str | None = _option(
        None,
        DATA,
        "augmentation of training photos: none, light, standard or strong",
        "PRESET",
        shown="none; standard when fine-tuning",
        choices="model_maker.data.augment:PRESETS",
    )
    views: int = _option(4, DATA, "views per augmented photo; the first is not augmented", "K")
    multi_label: bool = _option(
        False,
        LEARNING,
        "photos may have several labels, or none: each label gets a score and a threshold of its own",
        "",
        shown="-",
    )
    layers: str = _option(
        "auto",
        LEARNING,
        "backbone layers that feed the head: last, top (those with the smallest feature maps), all, or auto for the"
        " simplest set that is statistically as good as the best",
        "SET",
        choices="model_maker.tflite.network_layers:CHOICES",
    )
    labels_from_text: str | None = _option(
        None,
        LEARNING,
        "start the head from the names of the classes, for classes of few photos: known, words, or a folder of text"
        " vectors, see docs/how-to/zero-shot.md (default: off; known where given without TIER)",
        "TIER",
        shown="-",
        const="known",
    )
    keep_answers: str | None = _option(
        None,
        LEARNING,
        "an older model on the same backbone: average towards its head as far as accuracy permits, so that fewer photos"
        " turn wrong",
        "MODEL",
        shown="none",
    )
    class_weight: str = _option(
        "auto",
        LEARNING,
        "auto weights imbalanced classes equally; none does not",
        "HOW",
        choices="model_maker.options:CLASS_WEIGHTS",
    )
    fine_tune: str | None = _option(
        None,
        FINE_TUNING,
        "also train the network: its last stages (tail) or all of it (all) (default: off; tail without SCOPE)",
        "SCOPE",
        shown="-",
        choices="model_maker.learning.recipe:SCOPES",
        const="tail",
    )
    epochs: int | None = _option(
        None, FINE_TUNING, "passes over the training photos", "N", shown="10, or 5 for many photos", **_count(1)
    )
    batch_size: int | None = _option(None, FINE_TUNING, "photos per step", "N", **_count(1))
    learning_rate: float | None = _option(
        None,
        FINE_TUNING,
        "peak learning rate",
        "RATE",
        **_fraction("a number between 0 and 1, for example 0.0005"),
    )
    weight_decay: float | None = _option(None, FINE_TUNING, "weight decay of AdamW", "RATE", **_SMALL)
    dropout: float | None = _option(None, FINE_TUNING, "dropout before the head", "SHARE", **_SMALL)
    label_smoothing: float | None = _option(None, FINE_TUNING, "label smoothing", "SHARE", **_SMALL)
    mix: float | None = _option(
        None,
        FINE_TUNING,
        "alpha of mixup and cutmix, which alternate; 0 disables both",
        "ALPHA",
        allowed=lambda value: 0 <= value <= 10,
        advice="a number from 0 to 10",
    )
    budget: str | None = _option(
        None,
        FINE_TUNING,
        "time limit for fine-tuning, activations included: 90s, 5m, 1h",
        "TIME",
        shown="none",
        allowed=lambda value: bool(seconds(value)),
        advice="a time such as 90s, 5m or 1h",
    )
    precision: float | None = _option(
        None,
        FILE,
        "choose a score threshold with this precision, for example 0.95; below it a photo is unknown",
        "SHARE",
        shown="no threshold",
        **_SHARE,
    )
    label_precision: float | None = _option(
        None,
        FILE,
        "choose a score threshold with this precision for each label",
        "SHARE",
        shown="none",
        **_SHARE,
    )
    coverage: float | None = _option(
        None,
        FILE,
        "choose how many labels to show so that the right one is among them this often, for example 0.95",
        "SHARE",
        shown="no label sets",
        **_SHARE,
    )
    self_test: bool = _option(
        False,
        FILE,
        "put eight drawn pictures and their scores into the model, by which apps test the delegates of a phone",
        "",
        shown="left out; about 0.2 MB",
    )
    memory: bool = _option(
        True,
        FILE,
        "whether the model keeps a memory of its classes, by which `model_maker classes` adds others",
        "",
        shown="kept; at most 60 KB for 5 classes",
    )
    folds: int = _option(
        0,
        DATA,
        "also estimate accuracy by K-fold cross-validation",
        "K",
        shown="0, off",
        allowed=lambda value: value == 0 or value >= 2,
        advice="2 or more, or 0 for none",
    )
    seed: int = _option(0, DATA, "random seed for the split and augmentation", "N")
    threads: int | None = _option(None, EXECUTION, "number of parallel threads", "N", shown="one per core", **_count(1))
    engine: str = _option(
        "local",
        EXECUTION,
        "where photos are embedded: local or ray",
        "NAME",
        choices="model_maker.embeddings.engines:ENGINES",
    )
    address: str | None = _option(
        None,
        EXECUTION,
        "address of the Ray cluster, or auto for the one of this node",
        "HOST:PORT",
        shown="Ray on this machine",
    )
    shards: str | None = _option(
        None, EXECUTION, "folder or s3:// address that all machines of the cluster can reach", "DIR", shown="the cache"
    )
    name: str | None = _option(None, FILE, "model name in the metadata", "TEXT", shown="the data folder's")
    author: str | None = _option(None, FILE, "author in the metadata", "TEXT", shown="nobody")
    licence: str | None = _option(None, FILE, "licence in the metadata", "TEXT", shown="that of the backbone's weights")

    def __post_init__(self) -> None:
        for name, kind in kinds().items():
            object.__setattr__(self, name, _plain(name, getattr(self, name), kind))

    @property
    def augmentation(self) -> str:
        """The augmentation preset in effect."""
        return self.augment or ("standard" if self.fine_tune else "none")

    @property
    def is_augmented(self) -> bool:
        """Whether the head is trained on augmented views; with fine-tuning, which augments itself, it is not."""
        return self.augmentation != "none" and not self.fine_tune

    @property
    def decisive(self) -> dict[str, Any]:
        """The options that the model may depend on, by name: all except those of execution."""
        return {name: value for name, value in asdict(self).items() if name not in _OF_THE_PLACE}

    @property
    def stated(self) -> dict[str, Any]:
        """The decisive options as models state them: newer ones only where they change something.

        So an option that is added later leaves the bytes of all other models as they were.
        """
        return {name: value for name, value in self.decisive.items() if value != _NEWER.get(name, ...)}


# Options that suppose one label a photo, and what to do instead.
_NOT_OF_SEVERAL_LABELS = {
    "coverage": "Leave it out: each label has a threshold, and all labels that reach theirs are shown.",
    "fine_tune": "Leave one of them out: the head is trained on frozen features.",
    "keep_answers": "Leave one of them out.",
    "labels_from_text": "Leave one of them out.",
    "max_drop": "Leave it out; metrics.json compares the file with its float model.",
    "precision": "Pass `label_precision` for a threshold of each label.",
}
CLASS_WEIGHTS = ("auto", "none")
_UNITS = {"s": 1, "m": 60, "h": 3600}
# Options that were added after models began to state their options, with their defaults.
_NEWER = {"resize": "stretch"}
_OF_THE_PLACE = ("engine", "address", "shards")


@functools.cache
def kinds() -> dict[str, Any]:
    """Returns the type of each option, by name."""
    return get_type_hints(Options)


@functools.cache
def declarations() -> dict[str, Declaration]:
    """Returns the declaration of each option, by name, in the order of the class."""
    return {field.name: field.metadata["declaration"] for field in fields(Options)}


def seconds(text: str) -> float:
    """Parses a duration such as 90s, 5m or 1.5h into seconds; 0 if it is invalid."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


def _plain(name: str, value: Any, kind: Any) -> Any:
    if kind is bool:
        if not isinstance(value, bool):
            raise DataError(f"{name} = {value!r}: train takes True or False there.")
        return value
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif isinstance(value, numbers.Integral) and not isinstance(value, bool):
        value = int(value)
    elif isinstance(value, numbers.Real) and not isinstance(value, bool):
        value = float(value)
    fraction = isinstance(0.5, kind)
    # JSON and Python callers write 1 for 1.0. True is not a number.
    if isinstance(value, bool) or not isinstance(value, kind | int if fraction else kind):
        wanted = "a number" if fraction else "a whole number" if isinstance(0, kind) else "text"
        raise DataError(f"{name} = {value!r}: train expects {wanted}.")
    return value


def from_record(record: dict[str, Any]) -> Options:
    """Reads options from JSON, which may be edited by hand or written by another version.

    Raises:
      DataError: an option is unknown or has the wrong type; the message does not name the file.
    """
    if unknown := sorted(record.keys() - kinds().keys()):
        raise DataError(f"{unknown[0]} = {record[unknown[0]]!r}: train has no such option.")
    return Options(**record)


def check_value(name: str, value: Any) -> None:
    """Checks a single value against its declaration.

    Raises:
      DataError: it is invalid.
    """
    if problem := declarations()[name].problem(value):
        shown = f"{value:g}" if isinstance(value, float) else repr(value)
        raise DataError(f"`{name}={shown}`: {problem}")


def check(options: Options) -> None:
    """Checks all values and their combinations; the name of the model is checked when it is looked up.

    Raises:
      DataError: a value is invalid, or needs a package that is not installed.
    """
    from model_maker.system import extras

    for name in declarations():
        check_value(name, getattr(options, name))
    if options.augmentation != "none" and options.views < 2:
        raise DataError(f"`views={options.views}`: pass 2 or more; the first view is not augmented.")
    if options.max_drop is not None and options.quantize == "none":
        raise DataError(
            "`max_drop` limits the loss by quantization, but `quantize='none'` does not quantize. Leave one out."
        )
    if options.labels_from_text is not None and options.fine_tune is not None:
        raise DataError("`labels_from_text` is for a head on frozen features: leave it or `fine_tune` out.")
    if options.multi_label:
        for name, advice in _NOT_OF_SEVERAL_LABELS.items():
            if getattr(options, name) is not None:
                raise DataError(f"`{name}` does not work with `multi_label=True`. {advice}")
    if options.keep_answers is not None:
        _check_keeping(options)
    for name in ("address", "shards"):
        if (value := getattr(options, name)) is not None and options.engine != "ray":
            raise DataError(f"`{name}={value!r}` applies to a Ray cluster: add `engine='ray'`.")
    if options.fine_tune is not None:
        extras.require("tensorflow", what="`fine_tune`", error=DataError)
        return
    for name, declaration in declarations().items():
        if declaration.group == FINE_TUNING and getattr(options, name) is not None:
            raise DataError(f"`{name}` applies to fine-tuning: add `fine_tune='tail'`.")


def _check_keeping(options: Options) -> None:
    """Checks what `keep_answers` goes with: a plain head on the layers of the old one."""
    defaults = {"layers": "auto", "fine_tune": None, "labels_from_text": None, "folds": 0, "max_drop": None}
    for name, default in defaults.items():
        if (value := getattr(options, name)) != default:
            raise DataError(f"`keep_answers` cannot be combined with `{name}={value}`: leave one out.")
