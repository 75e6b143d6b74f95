"""Parses results of TensorFlow Lite's iOS benchmark app.

The app (tensorflow/lite/tools/benchmark/ios) runs the same tool as on Android. It writes no file: the tool prints to
the console of Xcode, and the app shows a short text on the screen. Both can be saved and parsed here.
"""

import dataclasses
import re
from pathlib import Path

from model_maker.benchmark.official import fill
from model_maker.benchmark.results import Model, Row
from model_maker.errors import DataError

# Xcode's console prefixes the system log with date, process and thread.
_PREFIX = re.compile(r"^.*?\bTFLiteBenchmark\S*\[\d+[:\d]*\]:?\s*(?:<\w+>:?\s*)?")
# The first line of a run, with builds that log STARTING! and those that do not.
_START = re.compile(r"^(?:INFO: )?(?:STARTING!|Log parameter values verbosely|Min num runs|Graph)\b.*", re.MULTILINE)
_SUMMARY = "Inference timings in us"
_PARAMETER = re.compile(r"^(?:INFO: )?([A-Z][^\[\]:]*?) ?: \[(.*)\]$", re.MULTILINE)
_SIZE = re.compile(r"The input model file size \(MB\): ([\d.]+)")
_XNNPACK = re.compile(r"Created TensorFlow Lite XNNPACK delegate for CPU")

# The tool's parameter -> our name of the delegate, and its name in messages.
_DELEGATES = {"Use CoreML": ("coreml", "COREML"), "Use gpu": ("gpu", "GPU"), "Use xnnpack": ("xnnpack", "XNNPACK")}

_NUMBER = r"(-?[\d.]+(?:e[+-]?\d+)?)"
_SCREEN = re.compile(
    rf"Startup latency: {_NUMBER} ms\s+Inference:\s+- Num runs: (\d+)\s+- Average: {_NUMBER} ms\s+"
    rf"- Min: {_NUMBER} ms\s+- Max: {_NUMBER} ms\s+- Std deviation: {_NUMBER} ms"
    rf"(?:\s+Warmup:\s+- Num runs: \d+\s+- Average: {_NUMBER} ms)?"
)


def read(
    text: str, name: str, *, threads: int | None = None, delegate: str | None = None
) -> tuple[list[Row], list[Model]]:
    """Parses every run in a saved console log or screen.

    Args:
      name: of the file, for messages, and for a model that the text does not name.
      threads, delegate: values that the text does not state (the screen states neither).

    Returns:
      One row per run, and the models.

    Raises:
      DataError: it has no run, or contradicts `threads` or `delegate`.
    """
    log = "\n".join(_PREFIX.sub("", line).rstrip() for line in text.splitlines())
    rows, models = [], {}
    for part in _runs(log):
        row = _row(part, threads, delegate, name)
        if row:
            rows.append(row)
            size = _SIZE.search(part)
            found = Model(row.model, Path(row.model).stem, size_bytes=round(float(size[1]) * 1e6) if size else None)
            models[row.model] = found
    if not rows:
        rows = [_from_screen(match, threads, delegate, name) for match in _SCREEN.finditer(log)]
        models = {row.model: Model(row.model, row.model) for row in rows}
    if not rows:
        raise DataError(
            f"{name} has no result of the iOS benchmark app: neither the console's line {_SUMMARY!r} nor the screen's "
            "'Startup latency'. Save the whole console of Xcode, or the app's text."
        )
    return rows, list(models.values())


def _runs(log: str) -> list[str]:
    """Splits a log after each summary, where the parameters of the next run follow."""
    starts = [0]
    for match in _START.finditer(log):
        if _SUMMARY in log[starts[-1] : match.start()]:
            starts.append(match.start())
    return [log[begin:end] for begin, end in zip(starts, [*starts[1:], len(log)], strict=True)]


def _row(part: str, threads: int | None, delegate: str | None, name: str) -> Row | None:
    parameters = {found[1].strip(): found[2] for found in _PARAMETER.finditer(part)}
    stated = next((key for key in _DELEGATES if parameters.get(key) in ("1", "true")), None)
    ours, spoken = _DELEGATES[stated] if stated else ("xnnpack" if _XNNPACK.search(part) else None, "")
    said = int(parameters["Num threads"]) if parameters.get("Num threads", "").isdigit() else None
    row = Row(
        model=Path(parameters["Graph"]).name if "Graph" in parameters else name,
        delegate=_agreed("delegate", ours, delegate, name) or "none",
        # Without the parameter the tool uses one thread.
        threads=_agreed("threads", said, threads, name) or 1,
    )
    filled = fill(row, part, spoken=spoken)
    return filled if filled.mean_ms is not None or filled.reason else None


def _from_screen(match: re.Match[str], threads: int | None, delegate: str | None, name: str) -> Row:
    init, count, mean, least, most, std, warmup = match.groups()
    row = Row(model=name, delegate=delegate or "unknown", threads=threads)
    return dataclasses.replace(
        row,
        init_ms=float(init),
        count=int(count),
        mean_ms=float(mean),
        min_ms=float(least),
        max_ms=float(most),
        std_ms=float(std),
        warmup_ms=float(warmup) if warmup else None,
    )


def _agreed(what: str, said, given, name: str):
    if None not in (said, given) and said != given:
        raise DataError(f"{name} states {what} {said}, not {given}. Leave --{what} out.")
    return given if said is None else said
