"""From a float model to the file that ships: calibrated, quantized, with the edges that clients accept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_maker.backbones.embedder import Embedder
from model_maker.data.dataset import Dataset
from model_maker.data.streaming import stream
from model_maker.deploy import verify
from model_maker.errors import DataError
from model_maker.progress import Stages
from model_maker.tflite import graph, quantize

CALIBRATION_PHOTOS = 50


@dataclass(frozen=True)
class Form:
    """How a model ships.

    Attributes:
      quantize: one of `quantize.FORMATS`.
      io: one of `graph.IO_TYPES`.
      output_io: the output's type where it is another than the input's.
    """

    quantize: str = "int8"
    io: str = "uint8"
    output_io: str | None = None


def calibration_photos(photos: Dataset) -> list[Path]:
    """Returns those of the lowest hashes: a random sample, and always the same."""
    chosen = sorted(photos.samples, key=lambda sample: sample.digest)[:CALIBRATION_PHOTOS]
    return [sample.path for sample in chosen]


def ship(
    float_model: bytes, base: Embedder, form: Form, *, photos: Sequence, clock: Stages, threads: int | None = None
) -> bytes:
    """Quantizes a float model and gives it its edges.

    Args:
      float_model: `base`, with a head or without.
      base: whose input the model has.
      form: what to make of it.
      photos: what `images.load` takes, to calibrate int8 on.
      clock: hears of progress.
      threads: photos at a time; None for all cores.

    Raises:
      DataError: a photo cannot be read.
      ModelError: the model cannot be had in this form.
    """
    calibration = None
    if form.quantize == "int8":
        calibration = _calibrate(float_model, base, photos, clock, threads)
    normalization = base.normalization
    inner = quantize.quantize(float_model, form.quantize, normalization=normalization, calibration=calibration)
    bare = graph.set_io(
        inner, form.io, mean=normalization.mean, std=normalization.std, output_io=form.output_io or form.io
    )
    if form.quantize == "int8":
        verify.check_int8(bare)
    return bare


def _calibrate(float_model: bytes, base: Embedder, photos: Sequence, clock: Stages, threads: int | None):
    def worker():
        calibrator = quantize.Calibrator(float_model)
        return lambda pixels: calibrator.observe(base.normalization(pixels))

    observed = []
    for result in stream(photos, base.image_size, worker, threads=threads):
        if isinstance(result, DataError):
            raise result
        observed.append(result)
        clock.progress(len(observed), len(photos))
    return quantize.combine(observed)
