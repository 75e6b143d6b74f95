"""Converts a float model to the shipped file: calibration, quantization, input and output types for clients."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ai_edge_litert import schema_py_generated as schema

from model_maker.backbones.embedder import Embedder
from model_maker.data.dataset import Dataset
from model_maker.data.entries import Location
from model_maker.data.streaming import stream
from model_maker.errors import DataError
from model_maker.normalization import Normalization
from model_maker.packaging import file_checks
from model_maker.progress import Progress
from model_maker.tflite import class_memory, graph, metadata, quantize, vetting
from model_maker.tflite.class_memory import ClassMemory
from model_maker.tflite.metadata import ModelInfo

CALIBRATION_PHOTOS = 50
# In docs/MEASUREMENTS.md ranges of 300 photos were no better than those of 100.
MORE_PHOTOS = 150


@dataclass(frozen=True)
class Form:
    """The form of a shipped model.

    Attributes:
      quantize: one of `quantize.FORMATS`.
      io: one of `graph.IO_TYPES`.
      output_io: the output type, if it differs from the input type.
      kept: operators with higher precision, as `quantize.quantize` takes them.
      rule: one of `quantize.RULES`, which combines the ranges of photos.
      more: whether to observe the ranges of further photos that are not sampled.
    """

    quantize: str = "int8"
    io: str = "uint8"
    output_io: str | None = None
    kept: Mapping[str, str] = field(default_factory=dict)
    rule: str = "extremes"
    more: bool = False

    @property
    def is_plain_int8(self) -> bool:
        """Whether the int8 backbone provides this form without calibration."""
        return self == Form("int8", self.io, output_io=self.output_io)


class Calibrations:
    """Calibration data of a float model, computed lazily and only once.

    Args:
      float_model: `base`, with a head or without.
      base: the embedder with the same input.
      photos: as `images.load` takes them; all are sampled, which takes megabytes per photo.
      more: further photos, for ranges only.
    """

    def __init__(
        self,
        float_model: bytes,
        base: Embedder,
        photos: Sequence,
        *,
        more: Sequence = (),
        progress: Progress,
        threads: int | None = None,
    ):
        self._model, self._base, self._photos, self._more = float_model, base, photos, more
        self._progress, self._threads = progress, threads
        self._ranges: list[quantize.Ranges] = []
        self.further: list[quantize.Ranges] = []
        self._samples: dict = {}

    @property
    def progress(self) -> Callable[[int, int], None]:
        """Receives the progress of conversions."""
        return self._progress.step

    def get(self, *, rule: str = "extremes", more: bool = False) -> quantize.Calibration:
        """Combines the observations.

        Raises:
          DataError: a photo cannot be read.
        """
        if not self._ranges:
            observed = self._observe(self._photos, sample=True)
            self._ranges = [entry.ranges for entry in observed]
            self._samples = quantize.combine(observed).samples
        if more and not self.further:
            self.further = [entry.ranges for entry in self._observe(self._more, sample=False)]
        ranges = self._ranges + (self.further if more else [])
        return quantize.Calibration(quantize.combine_ranges(ranges, rule=rule), self._samples)

    def _observe(self, photos: Sequence, *, sample: bool) -> list[quantize.Calibration]:
        def worker():
            calibrator = quantize.Calibrator(self._model)
            return lambda pixels: calibrator.observe(self._base.normalization(pixels), sample=sample)

        observed = []
        for result in stream(photos, self._base.fit, worker, threads=self._threads):
            if isinstance(result, DataError):
                raise result
            observed.append(result)
            self._progress.step(len(observed), len(photos))
        return observed


def by_hash(photos: Dataset) -> list[Location]:
    """Returns photos in the order of their hashes, which is random but deterministic."""
    return [sample.path for sample in photos.by_digest()]


def calibration_photos(paths: Sequence[Location]) -> tuple[Sequence[Location], Sequence[Location]]:
    """Splits photos, best ones first, into those to sample and those for ranges only."""
    return paths[:CALIBRATION_PHOTOS], paths[CALIBRATION_PHOTOS : CALIBRATION_PHOTOS + MORE_PHOTOS]


def convert(
    float_model: bytes,
    base: Embedder,
    form: Form,
    *,
    photos: Sequence,
    more: Sequence = (),
    progress: Progress,
    threads: int | None = None,
) -> bytes:
    """Quantizes a float model and sets its input and output types.

    Args:
      float_model: `base`, with a head or without.
      base: the embedder with the same input.
      photos, more: for calibration, see `Calibrations`.

    Raises:
      DataError: a photo cannot be read.
      ModelError: the conversion is not possible.
    """
    if note := task_library_warning(form):
        progress.note(note)
    return convert_calibrated(
        float_model, base, form, Calibrations(float_model, base, photos, more=more, progress=progress, threads=threads)
    )


def with_io_types(whole: schema.ModelT, normalization: Normalization, io: str) -> bytes:
    """Sets the types of an int8 classifier, [1, H, H, 3] to [1, C], an object tree; it has to compute in integers.

    Raises:
      ModelError: it has float operators.
    """
    graph.change_io(whole, io, mean=normalization.mean, std=normalization.std, output_io=io)
    file_checks.check_operators(whole)
    return graph.pack(whole)


def with_metadata(bare: bytes, info: ModelInfo, memory: ClassMemory | None = None) -> bytes:
    """Writes metadata and class memory into a model that this package built, and records it as vetted."""
    content = metadata.write(bare, info)
    if memory:
        content = class_memory.put(content, memory)
    vetting.trust(content)
    return content


def task_library_warning(form: Form) -> str | None:
    """Returns a warning if the runtime in TFLite Task Library, of 2023, cannot run the form; others can."""
    if form.quantize == "int4":
        return "int4 does not run in apps on TFLite Task Library, whose runtime is older; MediaPipe and LiteRT run it."
    if "int16x8" in form.kept.values() or (form.quantize, form.io) == ("int16x8", "uint8"):
        return (
            "int16 after int8 or uint8 does not run in apps on TFLite Task Library; int16x8 with `io='float32'` does."
        )
    return None


def convert_calibrated(float_model: bytes, base: Embedder, form: Form, calibrations: Calibrations) -> bytes:
    """Converts like `convert`, with calibration data that may already exist."""
    calibrated = form.quantize in quantize.CALIBRATED
    calibration = calibrations.get(rule=form.rule, more=form.more) if calibrated else None
    normalization = base.normalization
    inner = quantize.quantize(
        float_model,
        form.quantize,
        normalization=normalization,
        calibration=calibration,
        kept=form.kept,
        progress=calibrations.progress,
    )
    bare = graph.set_io(
        inner, form.io, mean=normalization.mean, std=normalization.std, output_io=form.output_io or form.io
    )
    if form.quantize in quantize.STATIC:
        file_checks.check_integers(bare, form.quantize, kept=form.kept)
    return bare
