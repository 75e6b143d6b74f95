"""What long work tells those who wait for it, and what it cost."""

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


class Reporter:
    """Hears what is being done; this one logs notes and keeps silent otherwise. The command line draws bars."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def progress(self, done: int, total: int) -> None:
        """So many of the stage's photos are done; where it goes on with layers of the network, these count anew."""

    def note(self, text: str) -> None:
        """An automatic choice, or something passed over, and why."""
        logging.info("%s", text)


class Stages:
    """Times stages and hands what happens in them on to a reporter.

    Attributes:
      records: of each finished stage its name, seconds on the clock and of all cores, and the process's peak memory so
        far, megabytes; None where the system does not tell.
      notes: all that was noted.
    """

    def __init__(self, reporter: Reporter):
        self._reporter = reporter
        self._begin = time.perf_counter()
        self.records: list[dict[str, Any]] = []
        self.notes: list[str] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._reporter.stage(name)
        begin, begin_cpu = time.perf_counter(), time.process_time()
        yield
        self.records.append(
            {
                "name": name,
                "seconds": round(time.perf_counter() - begin, 3),
                "cpu_seconds": round(time.process_time() - begin_cpu, 3),
                "peak_memory_mb": None if (peak := peak_memory_mb()) is None else round(peak, 1),
            }
        )

    def progress(self, done: int, total: int) -> None:
        self._reporter.progress(done, total)

    def note(self, text: str) -> None:
        self.notes.append(text)
        self._reporter.note(text)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self._begin


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
