"""Latency on an Android device: the official `benchmark_model`, run over adb.

One cell is one model with one delegate and one thread count. What cannot run becomes a cell with its reason, so that a
table never has gaps. `phone` puts files on the device and takes them off again, `benchmark_model` reads what the tool
prints, `binary` knows where the tool comes from.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_maker.benchmark import benchmark_model
from model_maker.benchmark.adb import Answer, Device, DeviceError, DeviceLost
from model_maker.benchmark.official import fill
from model_maker.benchmark.phone import MODEL, DeviceFacts, Workbench
from model_maker.benchmark.results import Interrupted, Row
from model_maker.errors import ModelMakerError

# Signals of Linux, by number; the computer's own table may be macOS's or Windows's.
_SIGNALS = {
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    15: "SIGTERM",
    31: "SIGSYS",
}
_SIGNAL_ADVICE = {
    "SIGILL": "this CPU lacks an instruction that the binary uses",
    "SIGKILL": "Android ended it, usually for lack of memory",
}
# https://developer.android.com/ndk/guides/neuralnetworks/migration-guide
_NNAPI_DEPRECATED_API = 35


@dataclass(frozen=True)
class Delegate:
    """One way of running a model on the device.

    Attributes:
      flag: what `benchmark_model` is told. `--use_xnnpack` given at all, even as true, takes XNNPACK away as the
        default of everything else, so the accelerators leave it unset and what they refuse runs as in an app.
      spoken: how the tool names it in its messages; empty where nothing is delegated.
    """

    flag: str
    spoken: str


DELEGATES = {
    "none": Delegate("--use_xnnpack=false", ""),
    "xnnpack": Delegate("--use_xnnpack=true", "XNNPACK"),
    "nnapi": Delegate("--use_nnapi=true", "NNAPI"),
    "gpu": Delegate("--use_gpu=true", "GPU"),
}


@dataclass(frozen=True)
class Options:
    """How cells are measured.

    Attributes:
      runs: inferences measured, at least; the tool goes on for one second.
      warmup_runs: inferences before, at least; the tool goes on for half a second.
      cpu_mask: the cores to run on, as taskset takes them: hexadecimal, f0 is cores 4 to 7.
      op_profile: also time every type of operator, which slows the inference down a little.
      cooldown_s: the pause between two cells: a warm phone lowers its clock.
      timeout_s: the limit for one cell. From half of it on the tool starts no further inference.
      keep_binary: leave `benchmark_model` on the device for the next time.
    """

    runs: int = 50
    warmup_runs: int = 1
    cpu_mask: str | None = None
    op_profile: bool = False
    cooldown_s: float = 5.0
    timeout_s: float = 300.0
    keep_binary: bool = False


# Called after each cell with: cells done, cells in all, the cell.
Progress = Callable[[int, int, Row], None]


def measure(
    model_paths: Sequence[Path],
    *,
    threads: Sequence[int],
    delegates: Sequence[str],
    device: Device,
    binary: Path,
    options: Options | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """Measures every model with every delegate and thread count.

    Everything that is put on the device is removed at the end, also after an error or Ctrl-C.

    Args:
      model_paths: `.tflite` files.
      threads: CPU threads; what they mean to an accelerator is up to it.
      delegates: keys of DELEGATES.
      device: from `adb.pick`.
      binary: `benchmark_model`, built for the device.
      options: how.
      progress: told of every cell as it is done.

    Returns:
      One cell for each combination: models outermost, thread counts innermost.

    Raises:
      ModelMakerError: an argument makes no sense. Troubles of the device are in the cells.
      Interrupted: Ctrl-C; it holds the cells that were done.
    """
    options = options or Options()
    _check(threads, delegates, options)
    total = len(model_paths) * len(delegates) * len(threads)
    cells: list[Row] = []
    bench = Workbench(device, keep_binary=options.keep_binary)
    session = _Session(bench, options)
    try:
        session.open(binary)
        for model in model_paths:
            refusal = session.load(model)
            for delegate in delegates:
                for count in threads:
                    cell = Row(str(model), delegate, count)
                    cells.append(dataclasses.replace(cell, reason=refusal) if refusal else session.run(cell))
                    if progress:
                        progress(len(cells), total, cells[-1])
    except KeyboardInterrupt:
        raise Interrupted(cells) from None
    finally:
        bench.clean()
    return cells


class _Session:
    """What carries over from one cell to the next."""

    def __init__(self, bench: Workbench, options: Options):
        self._bench = bench
        self._options = options
        self._facts: DeviceFacts | None = None
        self._stopped = ""  # why nothing more can run on this device
        self._warm = False

    def open(self, binary: Path) -> None:
        """Prepares the device; what goes wrong is the reason of every cell."""
        try:
            self._facts = self._bench.prepare(binary)
        except DeviceError as error:
            self._stopped = str(error)

    def load(self, model: Path) -> str:
        """Puts a model on the device; returns why it cannot be measured, or an empty string."""
        if self._stopped:
            return self._stopped
        try:
            self._bench.load(model)
        except DeviceLost as error:
            self._stopped = str(error)
            return self._stopped
        except DeviceError as error:
            return str(error)
        return ""

    def run(self, cell: Row) -> Row:
        """Measures one cell of the loaded model."""
        if self._stopped:
            return dataclasses.replace(cell, reason=self._stopped)
        if self._warm:
            time.sleep(self._options.cooldown_s)
        self._warm = True
        options = self._options
        cell = dataclasses.replace(cell, notes=_notes(cell, options, self._facts))
        mask = _mask(options.cpu_mask) if options.cpu_mask else None
        try:
            answer = self._bench.execute(_arguments(cell, options), cpu_mask=mask, timeout_s=options.timeout_s)
        except DeviceLost as error:
            self._stopped = str(error)
            return dataclasses.replace(cell, reason=self._stopped)
        except DeviceError as error:
            return dataclasses.replace(cell, reason=str(error))
        return _read(cell, answer, options.runs)


def _arguments(cell: Row, options: Options) -> list[str]:
    arguments = [
        f"--graph={MODEL}",
        f"--num_threads={cell.threads}",
        f"--num_runs={options.runs}",
        f"--warmup_runs={options.warmup_runs}",
        f"--max_secs={min(150.0, options.timeout_s / 2):g}",  # 150 is the tool's own limit
        DELEGATES[cell.delegate].flag,
    ]
    return [*arguments, "--enable_op_profiling=true"] if options.op_profile else arguments


def _read(cell: Row, answer: Answer, runs: int) -> Row:
    """Fills a cell with what the tool printed."""
    cell = fill(cell, answer.output, spoken=DELEGATES[cell.delegate].spoken)
    if cell.reason:
        return cell
    if cell.mean_ms is None:
        return dataclasses.replace(cell, reason=_why_not(answer))
    return dataclasses.replace(cell, notes=(*cell.notes, *_observations(cell, answer, runs)))


def _observations(cell: Row, answer: Answer, runs: int) -> Iterator[str]:
    if answer.code != 0:
        yield f"benchmark_model {_ending(answer.code)} after it had printed its results"
    if cell.count is not None and cell.count < runs:
        yield f"only {cell.count} of {runs} runs fitted into the time limit"
    if cell.delegate == "nnapi" and benchmark_model.parse_accelerators(answer.output) == ("nnapi-reference",):
        yield "this device gives NNAPI nothing but its own CPU code (nnapi-reference)"


def _why_not(answer: Answer) -> str:
    said = benchmark_model.parse_failure(answer.output)
    tail = f": {said}." if said else "."
    if answer.code == 0:
        return f"benchmark_model ended well but printed no timings{tail}"
    if answer.code in (126, 127):
        return f"The device cannot start benchmark_model{tail} Use a build for Android."
    if answer.code > 128 and said:
        return f"benchmark_model {_ending(answer.code)}; the last that it said: {said}."
    return f"benchmark_model {_ending(answer.code)}{tail}"


def _ending(code: int) -> str:
    if code <= 128:
        return f"stopped with exit code {code}"
    name = _SIGNALS.get(code - 128, f"signal {code - 128}")
    advice = f"; {_SIGNAL_ADVICE[name]}" if name in _SIGNAL_ADVICE else ""
    return f"crashed ({name}{advice})"


def _notes(cell: Row, options: Options, facts: DeviceFacts | None) -> tuple[str, ...]:
    notes = []
    if cell.delegate == "nnapi" and facts and facts.api and facts.api >= _NNAPI_DEPRECATED_API:
        notes.append("NNAPI is deprecated since Android 15 (API 35)")
    cores = facts.cpus if facts else None
    if options.cpu_mask:
        cores = int(_mask(options.cpu_mask), 16).bit_count()
        notes.append(f"pinned to cores {_mask(options.cpu_mask)} (mask)")
    if cores and cell.threads and cell.threads > cores:
        notes.append(f"{cell.threads} threads on {cores} core{'s' if cores > 1 else ''}")
    if options.op_profile:
        notes.append("measured with the operator profile on")
    return tuple(notes)


def _check(threads: Sequence[int], delegates: Sequence[str], options: Options) -> None:
    for count in threads:
        if count < 1:
            raise ModelMakerError(f"{count} threads cannot run anything. Give 1 or more.")
    for name in delegates:
        if name not in DELEGATES:
            raise ModelMakerError(f"There is no Android delegate {name!r}. Choose from {', '.join(DELEGATES)}.")
    if options.runs < 1 or options.warmup_runs < 1:
        raise ModelMakerError("At least one run and one warm-up run are needed.")
    if options.cooldown_s < 0 or options.timeout_s <= 0:
        raise ModelMakerError("The cool-down must not be negative, and the time limit must be above 0 s.")
    if options.cpu_mask and (
        not re.fullmatch("[0-9a-f]+", _mask(options.cpu_mask)) or not int(_mask(options.cpu_mask), 16)
    ):
        raise ModelMakerError(
            f"{options.cpu_mask!r} is not a CPU mask. Give it in hexadecimal, as f0 for cores 4 to 7."
        )


def _mask(mask: str) -> str:
    """Drops the 0x, which Android's taskset does not take."""
    return mask.lower().removeprefix("0x")
