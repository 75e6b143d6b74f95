"""Parses the output of TensorFlow Lite's official `benchmark_model`.

It supports formats from TensorFlow 1.12 to current nightly builds; `android` runs the tool. All functions are pure:
text in, frozen record out. The output has microseconds, the records have milliseconds.
"""

import re
from dataclasses import dataclass
from typing import Literal

Share = Literal["full", "partial", "none"]

# C++ streams print at most six digits and switch to an exponent: "Warmup (avg): 1.00135e+07".
_NUMBER = r"(-?[\d.]+(?:e[+-]?\d+)?)"
# Newer builds print a level; the Android app prints through logcat.
_PREFIX = re.compile(r"^(?:.*\btflite\s*:\s)?(?:(?:INFO|VERBOSE|WARN|WARNING|ERROR):\s?)?")

_SUMMARY = re.compile(
    rf"^Inference timings in us: Init: {_NUMBER}, First inference: {_NUMBER}, "
    rf"Warmup \(avg\): {_NUMBER}, Inference \(avg\): {_NUMBER}"
)
# Builds of TensorFlow 1.x.
_OLD_SUMMARY = re.compile(
    rf"^Average inference timings in us: Warmup: {_NUMBER}, Init: {_NUMBER}, (?:no stats|Inference): {_NUMBER}"
)
# At the start of a line: the operator profile prints "Timings (microseconds): count=...", which is something else.
_COUNT = re.compile(r"^count=(\d+)\b(.*)")
_PAIR = re.compile(rf"\b(\w+)={_NUMBER}")
_MEMORY = re.compile(
    r"^(?:Memory footprint delta from the start of the tool|Peak memory footprint) \(MB\): "
    rf"init={_NUMBER} overall={_NUMBER}"
)
_APPLIED = re.compile(
    r"^(?:Explicitly applied|Applied) (\S+) delegate, and the model graph will be (completely|partially) executed "
    r"(?:by|w/) the delegate(?: w/ (\d+) delegate kernels)?"
)
_NOT_APPLIED = re.compile(r"^Though (\S+) delegate is (?:explicitly )?applied, the model graph will not be executed")
_ACCELERATORS = re.compile(r"^NNAPI accelerators available: \[(.*)\]")

_OPS_TITLE = "Operator-wise Profiling Info for Regular Benchmark Runs"
_OPS_TABLE = "Summary by node type"
_OP = re.compile(rf"^\s*(\S.*?)\s+(\d+)\s+{_NUMBER}\s+{_NUMBER}%\s+{_NUMBER}%\s+{_NUMBER}\s+(\d+)\s*$")

_ERROR = re.compile(r"^(?:.*\bE tflite\s*:|ERROR:|Failed to|Disallowed|CANNOT LINK)")
# Generic messages that explain no failure; the last are messages of the shell for signals.
_BOILERPLATE = re.compile(
    r"Benchmarking failed|Restored (?:original|previous) execution plan|failed to prepare|delegate is not initialized"
    r"|Following operations are not supported|^(?:Segmentation fault|Aborted|Killed|Illegal instruction|Bus error)"
)


@dataclass(frozen=True)
class Timings:
    """One run of the tool.

    Attributes:
      init_ms: loading the model and preparing the interpreter, delegates included.
      first_ms: the first inference; None if the build does not print it.
      mean_ms: mean of the measured inferences.
      count: measured inferences; this and the following are None if only the summary line is available.
      median_ms: None if the build prints no percentiles, like p95_ms.
      memory_mb: growth of the process from its start; None if unknown.
    """

    init_ms: float
    first_ms: float | None
    warmup_ms: float
    mean_ms: float
    count: int | None = None
    min_ms: float | None = None
    max_ms: float | None = None
    std_ms: float | None = None
    median_ms: float | None = None
    p95_ms: float | None = None
    memory_mb: float | None = None


@dataclass(frozen=True)
class Delegation:
    """How much of the model a delegate runs, in how many partitions (None for an old build)."""

    share: Share
    kernels: int | None


@dataclass(frozen=True)
class OpTime:
    """All operators of one type: how many, their time in one inference and its share of the whole."""

    kind: str
    count: int
    mean_ms: float
    percent: float


def parse_timings(text: str) -> Timings | None:
    """Reads the timings; None if the tool did not get as far as its summary line."""
    lines = _lines(text)
    summary = _summary(lines)
    if summary is None:
        return None
    init, first, warmup, mean = summary
    # The tool runs a warm-up and then the measurement, and prints one such line for each.
    runs = [_run(match) for line in lines if (match := _COUNT.match(line))]
    runs = [run for run in runs if run]
    if first is None and len(runs) > 1:
        first = runs[0]["first"]
    measured = runs[-1] if runs else {}
    return Timings(
        init_ms=init / 1e3,
        first_ms=_ms(first),
        warmup_ms=warmup / 1e3,
        mean_ms=mean / 1e3,
        count=int(measured["count"]) if measured else None,
        min_ms=_ms(measured.get("min")),
        max_ms=_ms(measured.get("max")),
        std_ms=_ms(measured.get("std")),
        median_ms=_ms(measured.get("median")),
        p95_ms=_ms(measured.get("p95")),
        memory_mb=_memory(lines),
    )


def parse_delegation(text: str, delegate: str) -> Delegation | None:
    """Reads how much of the model one delegate took.

    Args:
      delegate: the tool's own name of it: XNNPACK, NNAPI or GPU. Other delegates are ignored: the tool replaces
        a missing GPU by XNNPACK, and then the message is about XNNPACK.

    Returns:
      None if the tool does not say that it applied this delegate.
    """
    for line in _lines(text):
        applied = _APPLIED.match(line)
        if applied and applied[1] == delegate:
            if applied[2] == "completely":
                return Delegation("full", 1)  # the tool calls it complete only when one kernel is left
            return Delegation("partial", int(applied[3]) if applied[3] else None)
        refused = _NOT_APPLIED.match(line)
        if refused and refused[1] == delegate:
            return Delegation("none", 0)
    return None


def parse_accelerators(text: str) -> tuple[str, ...]:
    """Reads the accelerators that the device offers to NNAPI; `nnapi-reference` is its own CPU code."""
    for line in _lines(text):
        if match := _ACCELERATORS.match(line):
            return tuple(name.strip() for name in match[1].split(",") if name.strip())
    return ()


def parse_ops(text: str) -> tuple[OpTime, ...]:
    """Reads the operator profile (`--enable_op_profiling`), most expensive type first; empty without one."""
    table = text.rpartition(_OPS_TITLE)[2].rpartition(_OPS_TABLE)[2]
    rows = [match for line in table.splitlines() if (match := _OP.match(line))]
    return tuple(OpTime(row[1], int(row[2]), float(row[3]), float(row[4])) for row in rows)


def parse_failure(text: str) -> str:
    """Finds the line that best explains why the tool failed; empty without output.

    Joins the last message of the tool ("Failed to apply GPU delegate") with the previous message of a library, which is
    the cause.
    """
    kept = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [_PREFIX.sub("", line).strip() for line in kept if _ERROR.match(line) and not _BOILERPLATE.search(line)]
    if not errors:
        said = [line for line in kept if not _BOILERPLATE.search(line)]
        return _PREFIX.sub("", said[-1]).strip().rstrip(".")[:300] if said else ""
    headline = errors[-1].rstrip(".!")
    causes = [error for error in errors[:-1] if not error.startswith("Failed to")]
    return f"{headline}: {causes[-1].rstrip('.')}"[:300] if causes else headline[:300]


def parse_unsupported(text: str, delegate: str) -> str:
    """Finds the message that the device does not support a delegate; empty if there is none."""
    said = re.compile(rf"^{delegate} acceleration is unsupported\b.*")
    return next((match.group().rstrip(".") for line in _lines(text) if (match := said.match(line))), "")


def _lines(text: str) -> list[str]:
    return [_PREFIX.sub("", line.strip()) for line in text.splitlines()]


def _summary(lines: list[str]) -> tuple[float, float | None, float, float] | None:
    """Returns init, first inference, warm-up and mean, in microseconds."""
    for line in reversed(lines):
        if match := _SUMMARY.match(line):
            init, first, warmup, mean = map(float, match.groups())
            return init, first, warmup, mean
        if match := _OLD_SUMMARY.match(line):
            warmup, init, mean = map(float, match.groups())
            return init, None, warmup, mean
    return None


def _run(match: re.Match[str]) -> dict[str, float]:
    """Reads `count=50 first=... std=...` (microseconds); empty for a run without an inference."""
    count, rest = int(match[1]), match[2]
    values = {name: float(value) for name, value in _PAIR.findall(rest)}
    if not count:
        return {}
    if "min" not in values:
        # If all inferences took equally long (or there was only one), the tool prints only that number.
        same = values["curr"]
        values = {"first": same, "min": same, "max": same, "std": 0.0} | values
    return values | {"count": count}


def _memory(lines: list[str]) -> float | None:
    for line in reversed(lines):
        if match := _MEMORY.match(line):
            return float(match[2]) or None  # 0 means unknown
    return None


def _ms(microseconds: float | None) -> float | None:
    return None if microseconds is None else microseconds / 1e3
