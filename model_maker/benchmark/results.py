"""The record of a measurement: rows, models, machine, load; as JSON and as CSV.

docs/BENCHMARK.md describes the JSON. `result_table` and `benchmark_page` show a record.
"""

import csv
import dataclasses
import io
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_maker import json_records
from model_maker.benchmark.benchmark_model import OpTime, Share
from model_maker.benchmark.environment import Load, Machine
from model_maker.errors import DataError
from model_maker.output_folder import MODEL
from model_maker.terminal import safe_text

FORMAT = "model_maker.benchmark"
# Incremented if a field changes its meaning or is removed, but not for a new field.
VERSION = 1
# With an interval wider than this share of the median, a difference of a few percent may be chance.
_WIDEST_INTERVAL = 0.05


@dataclass(frozen=True)
class Row:
    """One cell: one model with one delegate and thread count, with its numbers or the reason it could not run.

    Attributes:
      model: the path as passed.
      threads: None if it does not apply or is unknown.
      init_ms: opening the model and preparing it to run.
      warmup_ms: mean of the inferences before the measured ones.
      count: measured inferences, to which the following times apply.
      interval_ms: 95 % confidence interval of the median; None without samples.
      memory_mb: memory growth of a process that opens the model and runs it.
      gmacs_per_s: the model's multiply-accumulates in the typical time.
      delegation: how much of the model the delegate runs; None if unknown.
      delegated_kernels: the number of partitions that it runs.
      reason: one sentence on why it could not run; empty if it ran.
      noise: why the numbers are uncertain; empty if they are not.
      ops: time per type of operator, with profiling.
      rounds_ms: the raw samples of each round; empty if the tool does not report them.
    """

    model: str
    delegate: str
    threads: int | None
    init_ms: float | None = None
    first_ms: float | None = None
    warmup_ms: float | None = None
    count: int | None = None
    min_ms: float | None = None
    max_ms: float | None = None
    mean_ms: float | None = None
    std_ms: float | None = None
    median_ms: float | None = None
    p90_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    interval_ms: tuple[float, float] | None = None
    memory_mb: float | None = None
    gmacs_per_s: float | None = None
    delegation: Share | None = None
    delegated_kernels: int | None = None
    reason: str = ""
    noise: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ops: tuple[OpTime, ...] = ()
    rounds_ms: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Model:
    """A measured file; fields are None if the file is not available.

    Attributes:
      path: the path as passed.
      name: a short name, unique in the record.
      macs: multiply-accumulates of one inference.
      top1: accuracy on the photos of `--data`, if passed.
    """

    path: str
    name: str
    sha256: str = ""
    size_bytes: int | None = None
    macs: int | None = None
    parameters: int | None = None
    quantization: str = ""
    top1: float | None = None
    top1_photos: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """One run of `benchmark`.

    Attributes:
      created: date and time, ISO 8601 with the zone.
      settings: of the measurement; plain JSON types.
      interrupted: whether it ended before the measurement was complete.
    """

    created: str
    machine: Machine
    models: tuple[Model, ...]
    rows: tuple[Row, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    load: Load | None = None
    interrupted: bool = False

    def model(self, path: str) -> Model:
        """Returns the model of a row."""
        return next((model for model in self.models if model.path == path), Model(path, path))


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a measurement; `rows` and `load` hold the partial result."""

    def __init__(self, rows: Sequence[Row], load: Load | None = None):
        super().__init__()
        self.rows, self.load = list(rows), load


@dataclass(frozen=True)
class TimeEstimate:
    """A typical time with its 95 % interval; `of` is "median" or "mean"."""

    value_ms: float
    low_ms: float
    high_ms: float
    of: str

    @property
    def width(self) -> float:
        """The interval's width as a share of the value."""
        return (self.high_ms - self.low_ms) / self.value_ms if self.value_ms else 0.0


def estimate(row: Row) -> TimeEstimate | None:
    """Returns the number to show and to compare; None if the row has none.

    The median with its interval; for a tool that does not report samples, the mean plus and minus 1.96 standard errors.
    """
    if row.median_ms is not None and row.interval_ms:
        return TimeEstimate(row.median_ms, *row.interval_ms, "median")
    if row.mean_ms is None:
        return None
    error = 1.96 * row.std_ms / math.sqrt(row.count) if row.count and row.std_ms is not None else 0.0
    return TimeEstimate(row.mean_ms, row.mean_ms - error, row.mean_ms + error, "mean")


def finish(rows: Iterable[Row], models: Sequence[Model], load: Load | None = None) -> tuple[Row, ...]:
    """Adds derived fields: throughput, and why a row is uncertain."""
    macs = {model.path: model.macs for model in models}
    return tuple(_finish(row, macs.get(row.model), load) for row in rows)


def _finish(row: Row, macs: int | None, load: Load | None) -> Row:
    found = estimate(row)
    if row.reason or found is None:
        return row
    noise = []
    if found.width > _WIDEST_INTERVAL:
        noise.append(f"the interval is wider than {100 * _WIDEST_INTERVAL:g} % of the {found.of}")
    noise += load.noise() if load else ()
    speed = macs / found.value_ms / 1e6 if macs and found.value_ms else None
    return dataclasses.replace(row, noise=tuple(noise), gmacs_per_s=speed)


def name_models(paths: Sequence[str]) -> list[str]:
    """Gives each model a short name: of the file, or of the folder for a `model.tflite`; the path if not unique."""
    names = []
    for path in map(Path, paths):
        folder = Path(os.path.abspath(path)).parent.name
        names.append(folder if path.name == MODEL and folder else path.stem)
    return [name if names.count(name) == 1 else path for name, path in zip(names, paths, strict=True)]


def to_json(record: Record) -> str:
    """Writes a record as one JSON document."""
    content = {"format": FORMAT, "version": VERSION} | _rounded(dataclasses.asdict(record))
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str, name: str) -> Record:
    """Parses the output of `to_json`; `name` is for messages.

    Raises:
      DataError: it is not a record, or of an unsupported version.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is not JSON ({error}). Pass a file that `benchmark --json FILE` wrote.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{name} is not a result of `benchmark`. Pass a file that `benchmark --json FILE` wrote.")
    if content.get("version") != VERSION:
        raise DataError(f"{name} has version {content.get('version')}; this is version {VERSION}. Measure again.")
    try:
        return json_records.read(Record, content)
    except ValueError as error:
        raise DataError(f"{name} is damaged: {error}. Measure again.") from error


def read(path: str | os.PathLike[str]) -> Record:
    """Reads a record from a file.

    Raises:
      DataError: it cannot be read, or is not a record.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}. Pass a file that `benchmark --json FILE` wrote.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text. Pass a file that `benchmark --json FILE` wrote.") from error
    return from_json(text, str(path))


_MODEL_COLUMNS = ("name", "size_bytes", "macs", "quantization", "top1")
_ROW_COLUMNS = tuple(
    field.name for field in dataclasses.fields(Row) if field.name not in ("interval_ms", "ops", "rounds_ms")
)


def to_csv(record: Record) -> str:
    """Writes the rows as CSV, each with the properties of its model; the interval has two columns."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*_MODEL_COLUMNS, *_ROW_COLUMNS, "low_ms", "high_ms"))
    for row in record.rows:
        model, found = record.model(row.model), estimate(row)
        cells = [getattr(model, name) for name in _MODEL_COLUMNS] + [getattr(row, name) for name in _ROW_COLUMNS]
        cells += [found.low_ms, found.high_ms] if found else [None, None]
        writer.writerow(csv_cell(cell) for cell in cells)
    return text.getvalue()


def csv_cell(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    text = "; ".join(value) if isinstance(value, tuple) else value
    return safe_text.cell(text) if isinstance(text, str) else text


def _rounded(value: Any) -> Any:
    """Rounds to nanoseconds, the resolution of the measurement."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {name: _rounded(entry) for name, entry in value.items()}
    return [_rounded(entry) for entry in value] if isinstance(value, list | tuple) else value
