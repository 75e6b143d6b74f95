"""An inline SVG: latency against threads, a line a delegate, with intervals. Colours come from the page's CSS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from model_maker.benchmark.report import number
from model_maker.benchmark.results import Row, estimate

# In units that are CSS pixels on a phone of 360 px.
WIDTH, HEIGHT = 340, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 76, 24, 36
_LABEL_GAP = 13
# From this ratio on the fast delegates would lie flat on a linear axis.
_LOG_FROM = 6


@dataclass(frozen=True)
class Scale:
    """Maps milliseconds to a height; `ticks` are round numbers."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def y(self, value: float) -> float:
        low, high, value = (math.log10(v) for v in (self.low, self.high, max(value, self.low))) if self.log else (
            self.low, self.high, value)  # fmt: skip
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - (value - low) / (high - low))


def scale(rows: Sequence[Row]) -> Scale | None:
    """Makes the scale that holds all rows' intervals; None if no row has a time."""
    found = [estimate(row) for row in rows if not row.reason]
    lows = [entry.low_ms for entry in found if entry and entry.low_ms > 0]
    highs = [entry.high_ms for entry in found if entry]
    if not lows or max(highs) <= 0:
        return None
    least, most = min(lows), max(highs)
    if most / least < _LOG_FROM:
        step = _round_step(most / 4)
        count = math.ceil(most * 1.02 / step)
        return Scale(0, count * step, False, tuple(step * index for index in range(count + 1)))
    steps = [mantissa * 10**power for power in range(-6, 7) for mantissa in (1, 2, 5)]
    low = max(step for step in steps if step <= least)
    high = min(step for step in steps if step >= most)
    return Scale(low, high, True, tuple(step for step in steps if low <= step <= high))


def draw(title: str, rows: Sequence[Row], colours: dict[str, int], axis: Scale) -> str:
    """Draws one model.

    Args:
      title: for those who cannot see it.
      rows: of the model.
      colours: delegate to the number of its CSS class.
      axis: the same for all models of a page, so that they can be compared.
    """
    counts = sorted({row.threads for row in rows if row.threads is not None and estimate(row) and not row.reason})
    left, right = _LEFT + 14, WIDTH - _RIGHT - 6
    middle = (left + right) / 2
    places = {
        count: middle if len(counts) == 1 else left + (right - left) * index / (len(counts) - 1)
        for index, count in enumerate(counts)
    }
    parts = [_grid(axis, places)]
    ends: list[tuple[float, str, int]] = []
    for name, colour in colours.items():
        drawn = [row for row in rows if row.delegate == name and estimate(row) and not row.reason]
        if drawn:
            shapes, end = _line(drawn, places, axis, (left, right))
            parts.append(f'<g class="c{colour}">{shapes}</g>')
            ends.append((end, name, colour))
    parts += _labels(ends)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}: latency against threads">'
        f"{''.join(parts)}</svg>"
    )


def _grid(axis: Scale, places: dict[int, float]) -> str:
    parts = []
    for tick in axis.ticks:
        y = axis.y(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    parts.append(f'<text class="tick" x="4" y="11">ms{", logarithmic" if axis.log else ""}</text>')
    for count, x in places.items():
        parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 20}" text-anchor="middle">{count}</text>')
    if places:
        middle = (_LEFT + WIDTH - _RIGHT) / 2
        parts.append(f'<text class="tick" x="{middle}" y="{HEIGHT - 5}" text-anchor="middle">threads</text>')
    return "".join(parts)


def _line(rows: Sequence[Row], places: dict[int, float], axis: Scale, ends: tuple[float, float]) -> tuple[str, float]:
    """Returns a delegate's shapes, and the height at which its name belongs."""
    shapes, path, last = [], [], 0.0
    for row in sorted(rows, key=lambda row: row.threads or 0):
        found = estimate(row)
        assert found
        y, low, high = axis.y(found.value_ms), axis.y(found.low_ms), axis.y(found.high_ms)
        tip = f"{row.delegate}{f', {row.threads} threads' if row.threads else ''}: {number(found.value_ms)} ms"
        tip = f"<title>{escape(tip)} ({number(found.low_ms)} to {number(found.high_ms)})</title>"
        if row.threads is None:
            left, right = ends
            shapes.append(f'<g>{tip}<line class="flat" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/></g>')
        else:
            x = places[row.threads]
            bar = f"M{x - 4:.1f} {low:.1f}h8M{x:.1f} {low:.1f}V{high:.1f}M{x - 4:.1f} {high:.1f}h8"
            shapes.append(f'<g>{tip}<path class="bar" d="{bar}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="4"/></g>')
            path.append(f"{x:.1f} {y:.1f}")
        last = y
    line = f'<path class="line" d="M{"L".join(path)}"/>' if len(path) > 1 else ""
    return line + "".join(shapes), last


def _labels(ends: list[tuple[float, str, int]]) -> list[str]:
    """Writes the names at the lines' ends, pushed apart where they would lie on each other."""
    parts, free = [], -math.inf
    for y, name, colour in sorted(ends):
        free = max(y, free + _LABEL_GAP)
        parts.append(f'<text class="name c{colour}" x="{WIDTH - _RIGHT + 6}" y="{free + 4:.1f}">{escape(name)}</text>')
    return parts


def _round_step(value: float) -> float:
    power = 10 ** math.floor(math.log10(value))
    return next(mantissa * power for mantissa in (1, 2, 2.5, 5, 10) if mantissa * power >= value * 0.999)
