"""What long work tells those who wait for it, and what it cost."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from absl import logging


class Reporter:
    """Hears what is being done; this one logs notes and keeps silent otherwise. The command line draws bars."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def progress(self, done: int, total: int) -> None:
        """So many of the stage's photos are done."""

    def note(self, text: str) -> None:
        """An automatic choice, or something passed over, and why."""
        logging.info("%s", text)


class Stages:
    """Times stages and hands what happens in them on to a reporter.

    Attributes:
      records: of each finished stage its name, seconds on the clock and of all cores, and the process's peak memory so
        far, megabytes.
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
                "peak_memory_mb": round(peak_memory_mb(), 1),
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


def peak_memory_mb() -> float:
    """Returns the most memory this process has held, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
