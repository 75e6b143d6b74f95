"""Latency: raw milliseconds and derived statistics, independent of how they were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

# Enough for two digits of an interval's ends (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", 13.3).
_RESAMPLES = 2000
_SEED = 0
# With fewer rounds, resampling whole rounds gives only a handful of different results.
_FEWEST_ROUNDS = 5


@dataclass(frozen=True)
class Latency:
    """The samples of one cell.

    Attributes:
      rounds_ms: the samples of each round in order; none of them empty.

    Examples:
      >>> Latency.of([2.0, 1.0, 4.0]).median_ms
      2.0
    """

    rounds_ms: tuple[tuple[float, ...], ...]

    def __post_init__(self):
        if not self.rounds_ms or not all(self.rounds_ms):
            raise ValueError("Latency needs at least one sample in each round.")

    @classmethod
    def of(cls, samples_ms: Sequence[float]) -> Latency:
        """Makes one from the samples of a single round."""
        return cls((tuple(samples_ms),))

    @cached_property
    def samples_ms(self) -> np.ndarray:
        """All samples, float64 [N]."""
        return np.concatenate([np.asarray(samples, np.float64) for samples in self.rounds_ms])

    @property
    def count(self) -> int:
        return len(self.samples_ms)

    @property
    def median_ms(self) -> float:
        return float(np.median(self.samples_ms))

    @property
    def mean_ms(self) -> float:
        return float(self.samples_ms.mean())

    @property
    def min_ms(self) -> float:
        return float(self.samples_ms.min())

    @property
    def max_ms(self) -> float:
        return float(self.samples_ms.max())

    @property
    def std_ms(self) -> float:
        """Population standard deviation (divided by N), as in `benchmark_model`."""
        return float(self.samples_ms.std())

    def percentile_ms(self, percent: float) -> float:
        """Interpolates between the two nearest samples."""
        return float(np.percentile(self.samples_ms, percent))

    @cached_property
    def interval_ms(self) -> tuple[float, float]:
        """The 95 % interval of the median, by the percentile bootstrap.

        Resamples whole rounds: samples of one round share the state of the machine, and treating them as independent
        would give an interval that is much too narrow. With fewer than five rounds it resamples single samples.
        """
        random = np.random.default_rng(_SEED)
        rounds = [np.asarray(samples, np.float64) for samples in self.rounds_ms]
        if len(rounds) < _FEWEST_ROUNDS:
            draws = random.integers(0, self.count, (_RESAMPLES, self.count))
            medians = [np.median(self.samples_ms[draw]) for draw in draws]
        else:
            draws = random.integers(0, len(rounds), (_RESAMPLES, len(rounds)))
            medians = [np.median(np.concatenate([rounds[index] for index in draw])) for draw in draws]
        low, high = np.percentile(medians, [2.5, 97.5])
        return float(low), float(high)

    def summary(self) -> dict[str, Any]:
        """Returns all statistics by their names in `results.Row`."""
        return {
            "count": self.count,
            "min_ms": self.min_ms,
            "max_ms": self.max_ms,
            "mean_ms": self.mean_ms,
            "std_ms": self.std_ms,
            "median_ms": self.median_ms,
            "p90_ms": self.percentile_ms(90),
            "p95_ms": self.percentile_ms(95),
            "p99_ms": self.percentile_ms(99),
            "interval_ms": self.interval_ms,
        }
