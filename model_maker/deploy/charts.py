"""Charts of the report as inline SVG. Colours come from the page's CSS; every figure drawn also stands in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from model_maker.inference.evaluation import Reliability

# In units that are CSS pixels on a phone of 360 px.
_WIDTH, _LEFT, _RIGHT, _TOP = 340, 46, 8, 28
_SIDE, _COUNTS = 230, 44  # of the reliability diagram: its height, and that of the photos counted below it


def interval(low: float, value: float, high: float) -> str:
    """Draws a share with its interval on a line from 0 to 100 %."""
    ends = "".join(
        f'<text class="tick" x="{20 + 3 * share}" y="36" text-anchor="middle">{share}</text>'
        for share in (0, 25, 50, 75, 100)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} 40" class="chart" role="img" aria-label="{100 * value:.1f} %, 95 % interval '
        f'{100 * low:.1f} % to {100 * high:.1f} %"><rect class="track" x="20" y="8" width="300" height="10" rx="5"/>'
        f'<rect class="band" x="{20 + 300 * low:.1f}" y="5" width="{300 * (high - low):.1f}" height="16" rx="4"/>'
        f'<circle class="dot" cx="{20 + 300 * value:.1f}" cy="13" r="6"/>{ends}</svg>'
    )


def reliability(found: Reliability) -> str:
    """Draws how often answers are right against how sure they are, and how many photos each bar stands for."""
    right, bottom = _WIDTH - _RIGHT, _TOP + _SIDE
    step = (right - _LEFT) / len(found.photos)
    parts = [_grid(bottom, [(share / 4, f"{25 * share}") for share in range(5)])]
    parts.append('<text class="tick" x="4" y="11">% right</text>')
    for index, count in enumerate(found.photos):
        if not count:
            continue
        x, share, tall = _LEFT + index * step, found.right[index] / count, _COUNTS * count / found.photos.max()
        tip = f"score {found.confidence[index] / count:.2f}: {100 * share:.1f} % of {count} photos right"
        parts.append(
            f'<g><title>{tip}</title><rect class="bar" x="{x + 1:.1f}" y="{bottom - _SIDE * share:.1f}" '
            f'width="{step - 2:.1f}" height="{_SIDE * share:.1f}"/><rect class="few" x="{x + 1:.1f}" '
            f'y="{bottom + 24 + _COUNTS - tall:.1f}" width="{step - 2:.1f}" height="{tall:.1f}"/></g>'
        )
    parts.append(f'<line class="ideal" x1="{_LEFT}" y1="{bottom}" x2="{right}" y2="{_TOP}"/>')
    for share in (0, 0.5, 1):
        anchor = {0: "start", 0.5: "middle", 1: "end"}[share]
        x = _LEFT + share * (right - _LEFT)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 15}" text-anchor="{anchor}">{share:g}</text>')
    below = bottom + 24 + _COUNTS
    parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{below}" text-anchor="end">photos</text>')
    parts.append(f'<text class="tick" x="{(_LEFT + right) / 2}" y="{below + 18}" text-anchor="middle">score</text>')
    name = "Share of right answers against the score, beside the diagonal on which both are equal"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {below + 24}" class="chart" role="img" aria-label="{name}">{"".join(parts)}</svg>'
    )


def losses(series: Mapping[str, Sequence[float | None]], ticks: Sequence[str], *, axis: str, name: str) -> str:
    """Draws losses, step by step.

    Args:
      series: one or two, name to a loss for each tick; None where there is none.
      ticks: what stands below each step.
      axis: what the steps are.
      name: of the chart, for those who do not see it.
    """
    height, bottom = 170, _TOP + 170
    top = max([loss for values in series.values() for loss in values if loss is not None], default=0) * 1.05 or 1.0
    step = (_WIDTH - _RIGHT - _LEFT - 20) / max(1, len(ticks) - 1)
    parts = [_grid(bottom, [(share / 4, f"{top * share / 4:.2f}") for share in range(5)])]
    parts.append('<text class="tick" x="4" y="11">loss</text>')
    for number, (style, (kind, values)) in enumerate(zip(("first", "second"), series.items(), strict=False)):
        points = [
            (_LEFT + 10 + index * step, bottom - height * loss / top)
            for index, loss in enumerate(values)
            if loss is not None
        ]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(f'<path class="line {style}" d="M{path}"/>' if len(points) > 1 else "")
        parts += [f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
        parts.append(f'<text class="name {style}" x="{_WIDTH - 190 + 85 * number}" y="11">{kind}</text>')
    every = -(-len(ticks) // 12)
    parts += [
        f'<text class="tick" x="{_LEFT + 10 + index * step:.1f}" y="{bottom + 16}" text-anchor="middle">{tick}</text>'
        for index, tick in enumerate(ticks)
        if index % every == 0
    ]
    parts.append(f'<text class="tick" x="{_WIDTH / 2}" y="{bottom + 33}" text-anchor="middle">{axis}</text>')
    return (
        f'<svg viewBox="0 0 {_WIDTH} {bottom + 38}" class="chart" role="img" aria-label="{name}">{"".join(parts)}</svg>'
    )


def _grid(bottom: float, ticks: Sequence[tuple[float, str]]) -> str:
    """Rules lines at shares of the height between `_TOP` and `bottom`."""
    parts = []
    for share, text in ticks:
        y = bottom - share * (bottom - _TOP)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    return "".join(parts)
