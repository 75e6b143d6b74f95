"""Progress of long work: stages, steps, notes, time and memory."""

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
    """Receives progress events: stages, steps and notes. Times each stage and forwards all events.

    This class only logs notes. A subclass can show more: it overrides `begin`, `step`, `end` and `note`.

    Args:
      to: receives the same events; may be None.

    Attributes:
      records: of each finished stage: name, wall-clock and CPU seconds, and peak memory of the process so far in
      megabytes, None if unknown.
      notes: all notes.
    """

    def __init__(self, to: Progress | None = None):
        self._to, self._began, self._inside = to, time.perf_counter(), False
        self.records: list[dict[str, Any]] = []
        self.notes: list[str] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a block of work; a nested stage is part of the outer one and not recorded."""
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
        """Reports the number of photos, or other units of work, that are done; 0 restarts the count."""
        if self._to:
            self._to.step(done, total)

    def end(self) -> None:
        """The stage has ended."""
        if self._to:
            self._to.end()

    def note(self, text: str) -> None:
        """Reports an automatic choice, or something skipped, and why."""
        self.notes.append(text)
        if self._to:
            self._to.note(text)
        else:
            logging.info("%s", text)

    @property
    def seconds(self) -> float:
        """Since construction."""
        return time.perf_counter() - self._began


class _Silent(Progress):
    """Shared by callers without progress; stores nothing."""

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
        """Returns the peak memory of this process in megabytes; None if unknown."""
        kernel, counters = ctypes.WinDLL("kernel32"), _MemoryCounters()
        counters.cb = ctypes.sizeof(counters)
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        kernel.K32GetProcessMemoryInfo.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)
        told = kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.cb)
        return counters.PeakWorkingSetSize / (1 << 20) if told else None

else:

    def peak_memory_mb() -> float | None:
        """Returns the peak memory of this process in megabytes; None if unknown."""
        if sys.platform == "linux" and (stated := re.search(r"^VmHWM:\s*(\d+) kB", _status(), re.MULTILINE)):
            return int(stated[1]) / (1 << 10)  # ru_maxrss includes the process before it executed this program
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)

    def _status() -> str:
        try:
            return Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
