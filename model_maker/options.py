"""What `train` can be given. Each option is declared once: default, help, flag, check and record derive from that."""

from __future__ import annotations

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
# What each group of options is about, where its title does not say it; `train --help` shows both.
GROUPS = {
    DATA: "",
    LEARNING: "",
    FINE_TUNING: "Train the network, too; needs the extra `tensorflow`.",
    FILE: "",
    EXECUTION: "Where photos are embedded; the model is the same everywhere: docs/SCALING.md.",
}


@dataclass(frozen=True)
class Declaration:
    """What is declared of an option beside its type and default.

    Attributes:
      group: one of GROUPS.
      help: what it means.
      metavar: what stands for its value in the help.
      shown: its default in words, where that is not the value itself.
      choices: where the values it may have stand, as "module:NAME"; those are imported when a value is checked.
      allowed: whether a value means something.
      advice: what to give instead.
      const: the value of the flag where it is given without one.
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
        """Returns the values that it may have."""
        module, name = self.choices.split(":")
        return tuple(getattr(importlib.import_module(module), name))

    def problem(self, value: Any) -> str:
        """Returns what is wrong with a value, and what to give; nothing where it is right."""
        if value is None:
            return ""
        if self.choices and value not in (values := self.values()):
            return f"choose one of {', '.join(values)}."
        return "" if self.allowed(value) else f"give {self.advice}."


def _option(default: Any, group: str, help: str, metavar: str, **more: Any) -> Any:
    return dataclasses.field(default=default, metadata={"declaration": Declaration(group, help, metavar, **more)})


def _count(least: int) -> dict[str, Any]:
    return {"allowed": lambda value: value >= least, "advice": f"{least} or more"}


def _fraction(advice: str, *, zero: bool = False) -> dict[str, Any]:
    # Not a number is out of any range.
    return {"allowed": lambda value: value < 1 and (value >= 0 if zero else value > 0), "advice": advice}


_SMALL = _fraction("a number from 0 to less than 1", zero=True)
_SHARE = _fraction("a share above 0 and below 1, for example 0.95")


@dataclass(frozen=True)
class Options:
    """Options of `train`; `run.json` holds them, and `train --config run.json` reads them back.

    Raises:
      DataError: a value is of another type. Paths become text, and NumPy's numbers Python's.

    Examples:
      >>> from model_maker import Options
      >>> options = Options(fine_tune="tail", budget="5m")
      >>> options.model, options.augmentation
      ('efficientnet_lite0', 'standard')
    """

    model: str = _option(
        "efficientnet_lite0",
        LEARNING,
        "backbone, see `model_maker models`, or the path or address of another model; on the command line several, as"
        " A,B,C, are compared",
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
        "percentage points of top-1 that quantization may lose, for example 0.5; other formats are tried until one"
        " loses no more",
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
    validation: float = _option(0.1, DATA, "share of each class for validation, where the data has no split", "SHARE")
    test: float = _option(0.2, DATA, "share of each class for testing, where the data has no split", "SHARE")
    augment: str | None = _option(
        None,
        DATA,
        "also learn from augmented views of each training photo: none, light, standard or strong",
        "PRESET",
        shown="none; standard in fine-tuning",
        choices="model_maker.data.augment:PRESETS",
    )
    views: int = _option(4, DATA, "views of a photo where photos are augmented, the first plain", "K")
    layers: str = _option(
        "auto",
        LEARNING,
        "backbone layers that the head sees: last, top (those of the smallest feature maps), all, or auto for the"
        " simplest set that cannot be told from the best",
        "SET",
        choices="model_maker.tflite.network_layers:CHOICES",
    )
    class_weight: str = _option(
        "auto",
        LEARNING,
        "auto gives uneven classes equal weight; none does not",
        "HOW",
        choices="model_maker.options:CLASS_WEIGHTS",
    )
    fine_tune: str | None = _option(
        None,
        FINE_TUNING,
        "train the network, too: tail, its last stages, or all of it (default: off; tail where given without SCOPE)",
        "SCOPE",
        shown="-",
        choices="model_maker.learning.recipe:SCOPES",
        const="tail",
    )
    epochs: int | None = _option(
        None, FINE_TUNING, "passes over the photos; with `budget` at most 40", "N", **_count(1)
    )
    batch_size: int | None = _option(None, FINE_TUNING, "photos in a step", "N", **_count(1))
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
        "alpha of mixup and cutmix, which take turns; 0 for neither",
        "ALPHA",
        allowed=lambda value: 0 <= value <= 10,
        advice="a number from 0 to 10",
    )
    budget: str | None = _option(
        None,
        FINE_TUNING,
        "train the best model in so much time: 90s, 5m, 1h",
        "TIME",
        shown="none",
        allowed=lambda value: bool(seconds(value)),
        advice="a time as 90s, 5m or 1h",
    )
    precision: float | None = _option(
        None,
        FILE,
        "choose a score threshold that keeps this share of answers right, for example 0.95; below it a photo is"
        " unknown",
        "SHARE",
        shown="no threshold",
        **_SHARE,
    )
    label_precision: float | None = _option(
        None,
        FILE,
        "choose a threshold for each label that keeps this share of its answers right",
        "SHARE",
        shown="none",
        **_SHARE,
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
    threads: int | None = _option(None, EXECUTION, "photos at a time", "N", shown="one for each core", **_count(1))
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
        "the Ray cluster, or auto for this node's",
        "HOST:PORT",
        shown="Ray on this machine",
    )
    shards: str | None = _option(
        None, EXECUTION, "folder or s3:// address that all machines of the cluster reach", "DIR", shown="the cache"
    )
    name: str | None = _option(None, FILE, "model name in the metadata", "TEXT", shown="the data folder's")
    author: str | None = _option(None, FILE, "author in the metadata", "TEXT", shown="nobody")
    licence: str | None = _option(None, FILE, "licence in the metadata", "TEXT", shown="that of the backbone's weights")

    def __post_init__(self) -> None:
        for name, kind in kinds().items():
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


CLASS_WEIGHTS = ("auto", "none")
_UNITS = {"s": 1, "m": 60, "h": 3600}
_OF_THE_PLACE = ("engine", "address", "shards")


@functools.cache
def kinds() -> dict[str, Any]:
    """Returns the type of each option, by name."""
    return get_type_hints(Options)


@functools.cache
def declarations() -> dict[str, Declaration]:
    """Returns what is declared of each option, by name, in the order of the class."""
    return {field.name: field.metadata["declaration"] for field in fields(Options)}


def seconds(text: str) -> float:
    """Reads a time as people write it, 90s, 5m, 1.5h; 0 where it is none."""
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
    if unknown := sorted(record.keys() - kinds().keys()):
        raise DataError(f"{unknown[0]} = {record[unknown[0]]!r}: train has no such option.")
    return Options(**record)


def check_value(name: str, value: Any) -> None:
    """Checks a single value as its declaration says.

    Raises:
      DataError: it means nothing.
    """
    if problem := declarations()[name].problem(value):
        shown = f"{value:g}" if isinstance(value, float) else repr(value)
        raise DataError(f"`{name}={shown}`: {problem}")


def check(options: Options) -> None:
    """Checks values, each by itself and together; the name of the model is checked where it is looked up.

    Raises:
      DataError: a value that means nothing, or that needs a package that is not installed.
    """
    from model_maker.system import extras

    for name in declarations():
        check_value(name, getattr(options, name))
    if options.augmentation != "none" and options.views < 2:
        raise DataError(f"`views={options.views}`: give 2 or more; the first is the plain photo.")
    if options.max_drop is not None and options.quantize == "none":
        raise DataError(
            "`max_drop` limits what quantization loses, and `quantize='none'` loses nothing. Leave one out."
        )
    for name in ("address", "shards"):
        if (value := getattr(options, name)) is not None and options.engine != "ray":
            raise DataError(f"`{name}={value!r}` belongs to a Ray cluster: add `engine='ray'`.")
    if options.fine_tune is not None:
        extras.require("tensorflow", what="`fine_tune`", error=DataError)
        return
    for name, declaration in declarations().items():
        if declaration.group == FINE_TUNING and getattr(options, name) is not None:
            raise DataError(f"`{name}` belongs to fine-tuning: add `fine_tune='tail'`.")
