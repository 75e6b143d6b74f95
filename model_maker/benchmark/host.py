"""Latency on this machine.

Every cell (a model, a delegate, a thread count) is first tried in a separate process, then opened here and warmed up.
Then rounds interleave all cells, so that a drift of the machine affects all equally.
"""

import contextlib
import ctypes
import dataclasses
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model_maker.benchmark.delegates import DELEGATES, Session
from model_maker.benchmark.environment import Load, LoadWatch
from model_maker.benchmark.input_data import photo_inputs, random_input
from model_maker.benchmark.latency import Latency
from model_maker.benchmark.probe import Helper
from model_maker.benchmark.results import Interrupted, Row
from model_maker.data.entries import Location
from model_maker.data.streaming import cores
from model_maker.errors import ModelMakerError
from model_maker.system import suppressed_output
from model_maker.tflite import interpreter, metadata, vetting

Array = np.ndarray
# Called with (done, total) steps of work; steps differ in duration.
Progress = Callable[[int, int], None]

# Init and first inference happen once per process, so their median is taken over this many processes, if they are fast.
_PROBES = 3
_QUICK_S = 0.5
# Warm-up ends when the median of the last inferences equals that of those before. It lasts a minimum time, because the
# CPU clock rises with a delay, and a maximum time, because some machines never settle.
_WINDOW = 3
_STABLE = 0.03
_SHORTEST_WARMUP_S = 0.2
_LONGEST_WARMUP_S = 2.0
# Duration of a cell in one round: long compared to a scheduler time slice, short compared to a drift of the clock.
_TURN_S = 0.1
_MOST_RUNS = 100
_ROUNDS = 20
# On a busy machine rounds end early after this many seconds per cell, but not before a minimum number of rounds.
_ROUNDS_S = 3.5
_FEWEST_ROUNDS = 5
# Exceptions of LiteRT for an unsupported model or input.
_FAILURES = (ModelMakerError, RuntimeError, ValueError)


@dataclass(frozen=True)
class HostOptions:
    """Settings of the measurement.

    Attributes:
      rounds: number of rounds; None for 20, or fewer (at least five) if the machine is slow.
      runs: minimum number of measured inferences per cell; None for as many as fill a tenth of a second per round.
      timeout_s: the limit for opening a model and running it once.
    """

    rounds: int | None = None
    runs: int | None = None
    timeout_s: float = 60.0
    seed: int = 0


@dataclass
class _Cell:
    row: Row
    path: Path
    session: Session | None = None
    inputs: list[Array] = field(default_factory=list)
    runs: int = 1  # in each turn
    rounds_ms: list[tuple[float, ...]] = field(default_factory=list)


def measure(
    model_paths: Sequence[Path],
    *,
    threads: Sequence[int],
    delegates: Sequence[str],
    options: HostOptions | None = None,
    photos: Sequence[Location] = (),
    progress: Progress | None = None,
    helper: Helper | None = None,
) -> tuple[list[Row], Load]:
    """Measures every model with every delegate and thread count.

    Args:
      threads: CPU threads; a delegate without any gets one row.
      delegates: keys of DELEGATES.
      photos: input of the models; random bytes without photos, or if a model does not take photos.
      helper: an already started helper, which saves a quarter of a second; it will be closed.

    Returns:
      One row per combination (models outermost, thread counts innermost), and the load during the measurement.

    Raises:
      ModelMakerError: an argument is invalid. A cell that cannot run is a row with the reason.
      Interrupted: ctrl-C; holds the completed rounds.
    """
    options = options or HostOptions()
    _check(threads, delegates, options)
    cells = [
        _Cell(Row(str(path), delegate, count), path)
        for path in model_paths
        for delegate in delegates
        for count in (threads if DELEGATES[delegate].threaded else [None])
    ]
    steps = _StepCounter(len(cells) * (2 + (options.rounds or _ROUNDS)), progress)
    watch: LoadWatch | None = None
    try:
        with helper or Helper() as helper:
            for cell in cells:
                cell.row = _try_out(cell, helper, options)
                steps.done()
        for cell in cells:
            with contextlib.nullcontext() if DELEGATES[cell.row.delegate].threaded else quiet():
                _open(cell, options, photos)
            steps.done()
        watch = LoadWatch()
        _take_turns([cell for cell in cells if cell.session], options, steps)
    except KeyboardInterrupt:
        rows = [_finished(cell, "Interrupted before it was measured.") for cell in cells]
        raise Interrupted(rows, watch.load() if watch else None) from None
    finally:
        with quiet() if "gpu" in delegates else contextlib.nullcontext():
            for cell in cells:
                cell.session = None
    return [_finished(cell) for cell in cells], watch.load()


class _StepCounter:
    """Counts steps for the progress callback."""

    def __init__(self, total: int, progress: Progress | None):
        self._total, self._progress, self._done = total, progress, 0

    def done(self) -> None:
        self._done += 1
        if self._progress:
            self._progress(self._done, self._total)


def _try_out(cell: _Cell, helper: Helper, options: HostOptions) -> Row:
    """Returns the row with init, first inference and memory, or with the reason it cannot run."""
    row = cell.row
    try:
        kernels = row.delegate if row.delegate in interpreter.KERNELS else "xnnpack"
        vetting.vet(interpreter.read(cell.path), kernels)
    except ModelMakerError as error:
        return dataclasses.replace(row, reason=str(error))
    found: list[dict] = []
    begin = time.perf_counter()
    while not found or (len(found) < _PROBES and time.perf_counter() - begin < _QUICK_S):
        answer = helper.probe(cell.path, row.delegate, threads=row.threads or 1, timeout_s=options.timeout_s)
        if "reason" in answer:
            return dataclasses.replace(row, reason=answer["reason"])
        found.append(answer)
    told = [name for name in ("init_ms", "first_ms", "memory_mb") if found[0][name] is not None]
    middle = {name: statistics.median(one[name] for one in found) for name in told}
    complete = found[0].get("complete")
    notes = [*found[0].get("notes", ())]
    if row.threads and row.threads > cores():
        notes.append(f"{row.threads} threads on {cores()} core{'s' if cores() > 1 else ''}")
    return dataclasses.replace(
        row, **middle, delegation=None if complete is None else "full" if complete else "partial", notes=tuple(notes)
    )


def _open(cell: _Cell, options: HostOptions, photos: Sequence[Location]) -> None:
    """Opens the model here, and warms it up."""
    if cell.row.reason:
        return
    try:
        session = DELEGATES[cell.row.delegate].open(cell.path, cell.row.threads or 1)
        cell.inputs, note = _inputs(cell.path, session, options, photos)
        session.set_input(cell.inputs[0])
        warm_ms, spent = warm_up(session)
    except _FAILURES as error:
        cell.row = dataclasses.replace(cell.row, reason=str(error))
        return
    cell.session, cell.runs = session, runs_in_a_turn(spent[-1], options)
    notes = (*cell.row.notes, note) if note else cell.row.notes
    cell.row = dataclasses.replace(cell.row, warmup_ms=warm_ms, notes=notes)


def _inputs(path: Path, session: Session, options: HostOptions, photos: Sequence[Location]) -> tuple[list[Array], str]:
    shape, dtype = session.input_shape, session.input_dtype
    note = ""
    if photos:
        with contextlib.suppress(ModelMakerError):
            normalization = metadata.read(interpreter.read(path)).normalization
            if found := photo_inputs(photos, shape, dtype, normalization):
                return found, ""
        note = "random input: the file does not state how it takes photos"
    return [random_input(shape, dtype, seed=options.seed)], note


def warm_up(session: Session) -> tuple[float, list[float]]:
    """Runs until the latency is stable; returns the mean in milliseconds, and the last medians."""
    samples: list[float] = []
    begin = time.perf_counter()
    while True:
        samples.append(_timed(session))
        spent = time.perf_counter() - begin
        recent = [statistics.median(samples[start:][:_WINDOW]) for start in (-2 * _WINDOW, -_WINDOW)]
        settled = len(samples) >= 2 * _WINDOW and abs(recent[1] - recent[0]) <= _STABLE * recent[0]
        if (settled and spent > _SHORTEST_WARMUP_S) or (len(samples) >= _WINDOW and spent > _LONGEST_WARMUP_S):
            return statistics.fmean(samples), recent


def runs_in_a_turn(typical_ms: float, options: HostOptions) -> int:
    if options.runs:
        return math.ceil(options.runs / (options.rounds or _ROUNDS))
    return max(1, min(_MOST_RUNS, round(_TURN_S * 1e3 / max(typical_ms, 1e-3))))


def _take_turns(cells: Sequence[_Cell], options: HostOptions, steps: _StepCounter) -> None:
    planned, begin = options.rounds or _ROUNDS, time.perf_counter()
    for turn in range(planned):
        for cell in cells:
            if not cell.row.reason:
                _take_turn(cell, turn)
            steps.done()
        late = time.perf_counter() - begin > _ROUNDS_S * len(cells)
        if late and options.rounds is None and options.runs is None and _FEWEST_ROUNDS <= turn + 1 < planned:
            for cell in cells:
                note = f"{turn + 1} rounds instead of {planned}, to save time; --rounds {planned} measures them all"
                cell.row = dataclasses.replace(cell.row, notes=(*cell.row.notes, note))
            return


def _take_turn(cell: _Cell, turn: int) -> None:
    assert cell.session
    try:
        cell.session.set_input(cell.inputs[turn % len(cell.inputs)])
        cell.session.invoke()  # not counted: the CPU caches hold another cell's weights
        cell.rounds_ms.append(tuple(_timed(cell.session) for _ in range(cell.runs)))
    except _FAILURES as error:
        cell.row = dataclasses.replace(cell.row, reason=str(error))
        cell.rounds_ms.clear()


def _timed(session: Session) -> float:
    begin = time.perf_counter_ns()
    session.invoke()
    return (time.perf_counter_ns() - begin) / 1e6


def _finished(cell: _Cell, otherwise: str = "") -> Row:
    if not cell.rounds_ms:
        return dataclasses.replace(cell.row, reason=cell.row.reason or otherwise)
    latency = Latency(tuple(cell.rounds_ms))
    return dataclasses.replace(cell.row, rounds_ms=latency.rounds_ms, **latency.summary())


def _check(threads: Sequence[int], delegates: Sequence[str], options: HostOptions) -> None:
    for count in threads:
        if count < 1:
            raise ModelMakerError(f"invalid number of threads: {count}. Pass 1 or more.")
    for name in delegates:
        if name not in DELEGATES:
            raise ModelMakerError(f"There is no delegate {name!r} on this machine. Choose from {', '.join(DELEGATES)}.")
    if min(options.rounds or 1, options.runs or 1) < 1 or 0 in (options.rounds, options.runs):
        raise ModelMakerError("At least one round and one run are needed.")
    if options.timeout_s <= 0:
        raise ModelMakerError("The time limit must be above 0 s.")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppresses the messages of the GPU accelerator, which `probe` has parsed.

    Some go to stdout, where they would break a JSON document.
    """
    if suppressed_output.is_console() or not suppressed_output.may_redirect():
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in kept:
        os.dup2(nowhere, descriptor)
    try:
        yield
    finally:
        # C buffers stdout. All loaded modules share the C library, which has a different name on Windows.
        ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None).fflush(None)
        for descriptor, terminal in kept.items():
            os.dup2(terminal, descriptor)
            os.close(terminal)
        os.close(nowhere)
