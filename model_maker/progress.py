"""Progress of long work: stages, steps and notes, and what it cost."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from absl import logging

if sys.platform == "win32":
    import ctypes
else:
    import resource


class Progress:
    """Follows work: its stages, their steps, and notes. Each stage is timed, and everything is handed on.

    This one keeps silent but for notes, which it logs. A subclass shows more: it overrides `begin`, `step`, `end` and
    `note`.

    Args:
      to: receives the same; None for nobody.

    Attributes:
      records: of each finished stage its name, seconds on the clock and of all cores, and the process's peak memory so
        far, megabytes; None where the system does not say.
      notes: all of them.
    """

    def __init__(self, to: Progress | None = None):
        self._to, self._began, self._inside = to, time.perf_counter(), False
        self.records: list[dict[str, Any]] = []
        self.notes: list[str] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a block of work; a stage inside another one is a part of it and not named."""
        if self._inside:
            yield
            return
        self._inside = True
        try:
            self.begin(name)
            began, began_cpu = time.perf_counter(), time.process_time()
            yield
            self.records.append(
                {
                    "name": name,
                    "seconds": round(time.perf_counter() - began, 3),
                    "cpu_seconds": round(time.process_time() - began_cpu, 3),
                    "peak_memory_mb": None if (peak := peak_memory_mb()) is None else round(peak, 1),
                }
            )
            self.end()
        finally:
            self._inside = False

    def begin(self, name: str) -> None:
        """A stage begins."""
        if self._to:
            self._to.begin(name)

    def step(self, done: int, total: int) -> None:
        """So many of the stage's photos, or other pieces of work, are done; 0 begins to count anew."""
        if self._to:
            self._to.step(done, total)

    def end(self) -> None:
        """The stage is over."""
        if self._to:
            self._to.end()

    def note(self, text: str) -> None:
        """An automatic choice, or something passed over, and why."""
        self.notes.append(text)
        if self._to:
            self._to.note(text)
        else:
            logging.info("%s", text)

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return time.perf_counter() - self._began


class _Silent(Progress):
    """For callers who follow nothing: one object for all of them, which keeps nothing."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        yield

    def note(self, text: str) -> None:
        pass


SILENT = _Silent()


if sys.platform == "win32":

    class _MemoryCounters(ctypes.Structure):
        """PROCESS_MEMORY_COUNTERS of psapi.h."""

        _fields_ = [
            ("cb", ctypes.c_uint32),
            ("PageFaultCount", ctypes.c_uint32),
            ("PeakWorkingSetSize", ctypes.c_size_t),
            ("WorkingSetSize", ctypes.c_size_t),
            ("QuotaPeakPagedPoolUsage", ctypes.c_size_t),
            ("QuotaPagedPoolUsage", ctypes.c_size_t),
            ("QuotaPeakNonPagedPoolUsage", ctypes.c_size_t),
            ("QuotaNonPagedPoolUsage", ctypes.c_size_t),
            ("PagefileUsage", ctypes.c_size_t),
            ("PeakPagefileUsage", ctypes.c_size_t),
        ]

    def peak_memory_mb() -> float | None:
        """Returns the most memory this process has held, in megabytes; None where the system does not tell."""
        kernel, counters = ctypes.WinDLL("kernel32"), _MemoryCounters()
        counters.cb = ctypes.sizeof(counters)
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        kernel.K32GetProcessMemoryInfo.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)
        told = kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.cb)
        return counters.PeakWorkingSetSize / (1 << 20) if told else None

else:

    def peak_memory_mb() -> float | None:
        """Returns the most memory this process has held, in megabytes; None where the system does not tell."""
        if sys.platform == "linux" and (stated := re.search(r"^VmHWM:\s*(\d+) kB", _status(), re.MULTILINE)):
            return int(stated[1]) / (1 << 10)  # ru_maxrss counts what the process was before it became this program
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)

    def _status() -> str:
        try:
            return Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
