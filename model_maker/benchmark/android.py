"""Latency on an Android device: the official `benchmark_model`, run over adb.

A cell is one model with one delegate and one thread count. A cell that cannot run states the reason, so a table has no
gaps. `phone` copies files to the device and removes them, `benchmark_model` parses the output of the tool, `binary`
finds the tool.
"""

import dataclasses
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_maker.benchmark import benchmark_model
from model_maker.benchmark.adb import AdbReply, Device, DeviceError, DeviceLost
from model_maker.benchmark.device_self_test import DeviceSelfTest
from model_maker.benchmark.official import fill
from model_maker.benchmark.phone import MODEL, DeviceFacts, Workbench
from model_maker.benchmark.results import Interrupted, Row
from model_maker.errors import ModelError, ModelMakerError

# Signals of Linux, by number; the host may be macOS or Windows.
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
class AndroidDelegate:
    """One way of running a model on the device.

    Attributes:
      flag: of `benchmark_model`. Any value of `--use_xnnpack`, even true, disables XNNPACK as the default for other
        operators, so accelerators leave it unset, and operators that they do not support run as in an app.
      spoken: its name in messages of the tool; empty without a delegate.
    """

    flag: str
    spoken: str


DELEGATES = {
    "none": AndroidDelegate("--use_xnnpack=false", ""),
    "xnnpack": AndroidDelegate("--use_xnnpack=true", "XNNPACK"),
    "nnapi": AndroidDelegate("--use_nnapi=true", "NNAPI"),
    "gpu": AndroidDelegate("--use_gpu=true", "GPU"),
}


@dataclass(frozen=True)
class AndroidOptions:
    """Settings of the measurement.

    Attributes:
      runs: minimum number of measured inferences; the tool continues for at least one second.
      warmup_runs: minimum number of warm-up inferences; the tool continues for at least half a second.
      cpu_mask: the cores to run on, as taskset takes them: hexadecimal, f0 is cores 4 to 7.
      op_profile: also profile operators, which slows the inference down slightly.
      cooldown_s: pause between two cells, because a warm phone lowers its clock.
      timeout_s: limit per cell. After half of it the tool starts no further inference.
      keep_binary: leave `benchmark_model` on the device.
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
    options: AndroidOptions | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """Measures every model with every delegate and thread count.

    Removes everything from the device at the end, also after an error or ctrl-C.

    Args:
      threads: CPU threads; their effect on an accelerator depends on the accelerator.
      delegates: keys of DELEGATES.
      device: from `adb.pick`.
      binary: `benchmark_model`, built for the device.

    Returns:
      One cell for each combination: models outermost, thread counts innermost.

    Raises:
      ModelMakerError: an argument is invalid. Failures of the device are in the cells.
      Interrupted: ctrl-C; holds the completed cells.
    """
    options = options or AndroidOptions()
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
    """State that is shared by cells."""

    def __init__(self, bench: Workbench, options: AndroidOptions):
        self._bench = bench
        self._options = options
        self._facts: DeviceFacts | None = None
        self._stopped = ""  # why no further cell can run on this device
        self._warm = False
        self._test: DeviceSelfTest | None = None  # of the loaded model

    def open(self, binary: Path) -> None:
        """Prepares the device; a failure becomes the reason of every cell."""
        try:
            self._facts = self._bench.prepare(binary)
        except DeviceError as error:
            self._stopped = str(error)

    def load(self, model: Path) -> str:
        """Copies a model to the device; returns why it cannot be measured, or an empty string."""
        if self._stopped:
            return self._stopped
        try:
            self._bench.load(model)
            self._test = DeviceSelfTest(model, self._bench)
        except DeviceLost as error:
            self._stopped = str(error)
            return self._stopped
        except (DeviceError, ModelError) as error:
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
            return self._tested(_read(cell, answer, options.runs))
        except DeviceLost as error:
            self._stopped = str(error)
            return dataclasses.replace(cell, reason=self._stopped)
        except DeviceError as error:
            return dataclasses.replace(cell, reason=str(error))

    def _tested(self, cell: Row) -> Row:
        """Adds the self-test's note on the delegate to a cell that ran."""
        if cell.reason or self._test is None:
            return cell
        flag = DELEGATES[cell.delegate].flag
        note = self._test.note(cell.delegate, flag, timeout_s=self._options.timeout_s)
        return dataclasses.replace(cell, notes=(*cell.notes, note)) if note else cell


def _arguments(cell: Row, options: AndroidOptions) -> list[str]:
    arguments = [
        f"--graph={MODEL}",
        f"--num_threads={cell.threads}",
        f"--num_runs={options.runs}",
        f"--warmup_runs={options.warmup_runs}",
        f"--max_secs={min(150.0, options.timeout_s / 2):g}",  # 150 is the tool's own limit
        DELEGATES[cell.delegate].flag,
    ]
    return [*arguments, "--enable_op_profiling=true"] if options.op_profile else arguments


def _read(cell: Row, answer: AdbReply, runs: int) -> Row:
    """Fills a cell from the output of the tool."""
    cell = fill(cell, answer.output, spoken=DELEGATES[cell.delegate].spoken)
    if cell.reason:
        return cell
    if cell.mean_ms is None:
        return dataclasses.replace(cell, reason=_why_not(answer))
    return dataclasses.replace(cell, notes=(*cell.notes, *_observations(cell, answer, runs)))


def _observations(cell: Row, answer: AdbReply, runs: int) -> Iterator[str]:
    if answer.code != 0:
        yield f"benchmark_model {_ending(answer.code)} after it had printed its results"
    if cell.count is not None and cell.count < runs:
        yield f"only {cell.count} of {runs} runs fitted into the time limit"
    if cell.delegate == "nnapi" and benchmark_model.parse_accelerators(answer.output) == ("nnapi-reference",):
        yield "this device has no NNAPI accelerator except the CPU reference (nnapi-reference)"


def _why_not(answer: AdbReply) -> str:
    said = benchmark_model.parse_failure(answer.output)
    tail = f": {said}." if said else "."
    if answer.code == 0:
        return f"benchmark_model succeeded but printed no timings{tail}"
    if answer.code in (126, 127):
        return f"The device cannot start benchmark_model{tail} Use a build for Android."
    if answer.code > 128 and said:
        return f"benchmark_model {_ending(answer.code)}; last message: {said}."
    return f"benchmark_model {_ending(answer.code)}{tail}"


def _ending(code: int) -> str:
    if code <= 128:
        return f"stopped with exit code {code}"
    name = _SIGNALS.get(code - 128, f"signal {code - 128}")
    advice = f"; {_SIGNAL_ADVICE[name]}" if name in _SIGNAL_ADVICE else ""
    return f"crashed ({name}{advice})"


def _notes(cell: Row, options: AndroidOptions, facts: DeviceFacts | None) -> tuple[str, ...]:
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


def _check(threads: Sequence[int], delegates: Sequence[str], options: AndroidOptions) -> None:
    for count in threads:
        if count < 1:
            raise ModelMakerError(f"invalid number of threads: {count}. Pass 1 or more.")
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
            f"{options.cpu_mask!r} is not a CPU mask. Pass it in hexadecimal, for example f0 for cores 4 to 7."
        )


def _mask(mask: str) -> str:
    """Removes the 0x, which Android's taskset does not accept."""
    return mask.lower().removeprefix("0x")
