"""compare(): trains several models on the same photos, measures them and recommends one."""

import dataclasses
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_maker import evaluation, output_folder, run_record
from model_maker.backbones import BACKBONES, embedder
from model_maker.benchmark import host
from model_maker.benchmark.environment import this_machine
from model_maker.data import sources
from model_maker.data.dataset import Dataset
from model_maker.errors import BackboneError, DataError, ModelMakerError, OutputError
from model_maker.inference import training_report
from model_maker.inference.classifier import FileClassifier
from model_maker.inference.training_report import TrainingReport
from model_maker.options import Options, check
from model_maker.progress import Progress
from model_maker.system import files
from model_maker.training.train import train

FILE = "comparison.json"
THREADS = (1, 4)
_ROUNDS = 7
# Significance level of differences.
_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Entry:
    """One model of a comparison.

    Attributes:
      name: name of the folder in the output.
      top1, top1_interval: of the shipped file on the test photos; None, like all numbers, if there is a `failure`.
      drop: top-1 of its float model minus its own.
      size_bytes: of the file.
      latency_ms: the median on this machine by number of threads.
      right: for each test photo, whether the prediction is correct.
      on_front: whether it is on the Pareto front of accuracy, size and latency.
      failure: why there is no model.
    """

    name: str
    top1: float | None = None
    top1_interval: tuple[float, float] | None = None
    drop: float | None = None
    size_bytes: int | None = None
    latency_ms: dict[int, float] = dataclasses.field(default_factory=dict)
    right: tuple[bool, ...] = ()
    on_front: bool = False
    failure: str = ""


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`.

    Attributes:
      directory: contains a folder per model, and `comparison.json`.
      entries: in the requested order.
      recommended: a name; None if no model is within the limits.
      reason: one sentence on the recommendation.
    """

    directory: Path
    entries: tuple[Entry, ...]
    recommended: str | None
    reason: str


def compare(
    data: str | os.PathLike[str],
    models: Sequence[str],
    output: str | os.PathLike[str] | None = None,
    *,
    max_size_mb: float | None = None,
    max_latency_ms: float | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Comparison:
    """Trains several models on the same photos and recommends one.

    A model whose folder is complete, from the same photos and options, is not trained again, so an interrupted
    comparison continues where it stopped. A failure does not stop the other models.

    Args:
      data: as for `train`.
      models: names of backbones, paths or addresses.
      output: output folder; `<data name>_models` by default.
      max_size_mb, max_latency_ms: limits for the recommendation; latency on one thread of this machine.
      overwrite: whether to replace existing models with other options.
      progress: receives progress events.
      **options: for each training, see `Options`.

    Raises:
      DataError, BackboneError, OutputError: an error that affects all models, or all models failed.

    Examples:
      >>> import model_maker
      >>> models = ["efficientnet_lite0", "my_embedder.tflite"]
      >>> found = model_maker.compare("flowers", models, quantize="float16")
      >>> found.recommended
      'efficientnet_lite0'
    """
    progress = Progress(progress)
    if options.get("multi_label"):
        raise DataError("`multi_label=True` trains one model at a time: pass one `model`, and compare their mAP.")
    names = _check(models, max_size_mb, max_latency_ms, options)
    output = Path(output) if output is not None else Path(f"{sources.title(data)}_models")
    if output.is_file():
        raise OutputError(f"{output} is a file, but the output must be a folder. Choose another name.")
    dataset = sources.read(data)
    entries = []
    for model, name in zip(models, names, strict=True):
        chosen = Options(**options, model=model)
        try:
            if not _is_finished(output / name, chosen, dataset):
                progress.note(f"Training {name}.")
                train(data, output / name, overwrite=overwrite, progress=progress, options=chosen)
            else:
                progress.note(f"{name} exists already with the same photos and options.")
            entries.append(_read(output / name))
        except ModelMakerError as error:
            entries.append(Entry(name, failure=str(error)))
    if all(entry.failure for entry in entries):
        raise BackboneError(f"None of the models could be trained. {names[0]}: {entries[0].failure}")
    entries = mark_front(_with_latency(output, entries, progress))
    recommended, reason = recommend(entries, max_size_mb=max_size_mb, max_latency_ms=max_latency_ms)
    found = Comparison(output, tuple(entries), recommended, reason)
    limits = {"max_size_mb": max_size_mb, "max_latency_ms": max_latency_ms}
    files.write(output / FILE, (json.dumps(as_dict(found) | {"limits": limits}, indent=2) + "\n").encode())
    return found


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """Returns JSON types."""
    entries = [dataclasses.asdict(entry) for entry in comparison.entries]
    for entry in entries:
        del entry["right"]
    return {
        "models": entries,
        "recommended": comparison.recommended,
        "reason": comparison.reason,
        "machine": dataclasses.asdict(this_machine()),
    }


def mark_front(entries: Sequence[Entry]) -> list[Entry]:
    """Marks the Pareto front of top-1, size and latency on one thread."""

    def values(entry: Entry) -> tuple[float, float, float]:
        return -(entry.top1 or 0), entry.size_bytes or math.inf, entry.latency_ms.get(1, math.inf)

    def dominates(one: Entry, other: Entry) -> bool:
        pairs = list(zip(values(one), values(other), strict=True))
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)

    trained = [entry for entry in entries if not entry.failure]
    return [
        dataclasses.replace(entry, on_front=not entry.failure and not any(dominates(other, entry) for other in trained))
        for entry in entries
    ]


def recommend(
    entries: Sequence[Entry], *, max_size_mb: float | None = None, max_latency_ms: float | None = None
) -> tuple[str | None, str]:
    """Recommends the most accurate model within the limits, and names a faster one without significant difference.

    Source: McNemar 1947, exact test, on the photos that only one of two models classifies correctly.
    """
    trained = [entry for entry in entries if not entry.failure]
    within = [entry for entry in trained if _excess(entry, max_size_mb, max_latency_ms) <= 1]
    if not within:
        nearest = min(trained, key=lambda entry: _excess(entry, max_size_mb, max_latency_ms))
        return None, f"No model is within the limits; {nearest.name} is the closest ({_figures(nearest)})."
    best = max(within, key=lambda entry: (entry.top1 or 0, -entry.latency_ms.get(1, math.inf)))
    reason = f"{best.name} is the most accurate"
    reason += " within the limits" if len(within) < len(trained) else ""
    quicker = [
        entry
        for entry in within
        if entry.latency_ms.get(1, math.inf) < best.latency_ms.get(1, 0)
        and evaluation.mcnemar(best.right, entry.right) >= _SIGNIFICANT
    ]
    if not quicker:
        return best.name, f"{reason} ({_figures(best)})."
    fastest = min(quicker, key=lambda entry: entry.latency_ms[1])
    times = best.latency_ms[1] / fastest.latency_ms[1]
    return best.name, (
        f"{reason} ({_figures(best)}); on {len(best.right)} test photos {fastest.name}, {times:.1f} times as fast, "
        "is not significantly different."
    )


def _check(
    models: Sequence[str], max_size_mb: float | None, max_latency_ms: float | None, options: dict[str, Any]
) -> list[str]:
    """Returns the names of the folders; raises errors before any work if possible."""
    for limit, name in ((max_size_mb, "max_size_mb"), (max_latency_ms, "max_latency_ms")):
        if limit is not None and not limit > 0:
            raise DataError(f"`{name}={limit:g}`: pass a number above 0.")
    choices = []
    for model in models:
        chosen = Options(**options, model=model)
        check(chosen)
        choices.append(
            embedder.choose(
                model,
                image_size=chosen.image_size,
                weights_file=chosen.weights,
                normalization=chosen.normalization if model not in BACKBONES else None,
            )
        )
    names = [choice.name for choice in choices]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"`model` names {twice[0]} more than once.")
    return names


def _is_finished(folder: Path, options: Options, dataset: Dataset) -> bool:
    if not (folder / output_folder.RUN).exists():
        return False
    record = run_record.load(folder)
    decisive, known = options.decisive, {**Options().decisive, **record["options"]}  # older records lack newer options
    if {name: known[name] for name in decisive} != decisive:
        return False
    try:
        return bool(run_record.without_skipped(dataset, record).fingerprint == record["fingerprint"])
    except (KeyError, TypeError):  # edited manually
        return False


def _read(folder: Path) -> Entry:
    """Reads the metrics of `train`, and runs the file on each test photo."""
    report = training_report.read(folder, TrainingReport)
    test, _ = run_record.test_part(folder)
    scores = FileClassifier(folder).score(test)
    return Entry(
        folder.name,
        top1=report.test.top1,
        top1_interval=report.test.top1_interval,
        drop=0.0 - report.agreement.accuracy_change,  # on the same photos; never -0.0
        size_bytes=(folder / output_folder.MODEL).stat().st_size,
        right=tuple(bool(value) for value in scores.argmax(1) == np.array(test.labels)),
    )


def _with_latency(output: Path, entries: Sequence[Entry], progress: Progress) -> list[Entry]:
    """Measures all models in interleaved rounds, so that disturbances affect all equally."""
    paths = [output / entry.name / output_folder.MODEL for entry in entries if not entry.failure]
    with progress.stage("Measure latency"):
        rows, _ = host.measure(
            paths,
            threads=THREADS,
            delegates=["xnnpack"],
            options=host.HostOptions(rounds=_ROUNDS),
            progress=progress.step,
        )
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        if row.median_ms is not None and row.threads is not None:
            found.setdefault(row.model, {})[row.threads] = row.median_ms
    return [
        dataclasses.replace(entry, latency_ms=found.get(str(output / entry.name / output_folder.MODEL), {}))
        for entry in entries
    ]


def _excess(entry: Entry, max_size_mb: float | None, max_latency_ms: float | None) -> float:
    """Returns the largest ratio of a value to its limit; 1 or less is within the limits."""
    size = (entry.size_bytes or math.inf) / 1e6 / (max_size_mb or math.inf)
    return max(size, entry.latency_ms.get(1, math.inf) / (max_latency_ms or math.inf) if max_latency_ms else 0)


def _figures(entry: Entry) -> str:
    latency = f", {entry.latency_ms[1]:.1f} ms" if 1 in entry.latency_ms else ""
    return f"{100 * (entry.top1 or 0):.1f} %, {(entry.size_bytes or 0) / 1e6:.2f} MB{latency}"
