"""What `train` can be told, and what of it can be refused before any work."""

from __future__ import annotations

from dataclasses import dataclass

from model_maker import backbones
from model_maker.errors import DataError
from model_maker.tflite import graph, quantize


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
      folds: K for an additional K-fold estimate of accuracy; 0 for none.
      seed: another seed divides the photos otherwise.
      threads: photos at a time; None for all cores.
      name, author, licence: for the model's metadata; None for the folder's name, nobody, and the weights' licence.
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
    folds: int = 0
    seed: int = 0
    threads: int | None = None
    name: str | None = None
    author: str | None = None
    licence: str | None = None


def check(options: Options) -> None:
    """Checks single values; the name of the model is checked where it is looked up.

    Raises:
      DataError: a value that means nothing.
    """
    check_form(options.quantize, options.io)
    if options.max_drop is not None:
        _check_budget(options)
    if options.threads is not None and options.threads < 1:
        raise DataError(f"--threads {options.threads}: give 1 or more.")
    if options.folds and options.folds < 2:
        raise DataError(f"--folds {options.folds}: give 2 or more, or 0 for none.")


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
