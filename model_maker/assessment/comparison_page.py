"""Two models on one page: figures side by side, and the photos whose answers turned wrong or right."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from model_maker.assessment.model_comparison import ModelComparison, Side, Turned
from model_maker.data import thumbnails
from model_maker.report import pages

# Keeps the page below 2 MB; a thumbnail takes about 8 kB.
_MOST, _SIDE = 100, 240
_SIGNIFICANT = 0.05
LIMITS = (
    "The comparison says how these photos fare, not others: a change that is not significant may still be one. Latency "
    "is that of this machine, not of a phone."
)


def render(found: ModelComparison) -> str:
    """Writes the page."""
    return pages.render(
        "compare_models.html",
        title=f"{found.old.path} and {found.new.path}",
        photos=found.photos,
        verdict=verdict(found),
        rows=rows(found),
        notes=found.notes,
        wrong=_group("Turned wrong", found.turned_wrong),
        right=_group("Turned right", found.turned_right),
        limits=LIMITS,
    )


def verdict(found: ModelComparison) -> str:
    """Says in one line whether the difference is more than chance."""
    low, high = (f"{100 * end:+.1f}" for end in found.change_interval)
    significant = found.p_value < _SIGNIFICANT
    return (
        f"Top-1 changes by {100 * found.change:+.1f} points (95 % interval {low} to {high}); "
        f"McNemar's exact test gives p = {found.p_value:.2g}, "
        f"{'which is significant' if significant else 'which is not significant'} at 5 %."
    )


def rows(found: ModelComparison) -> list[tuple[str, str, str]]:
    """Returns the figures of both models side by side."""
    return [(name, of(found.old), of(found.new)) for name, of in _FIGURES.items()]


def _latency(side: Side) -> str:
    return "not measured" if side.latency_ms is None else f"{side.latency_ms:.1f} ms"


_FIGURES = {
    "top-1": lambda side: f"{100 * side.top1:.1f} %",
    "95 % interval": lambda side: " to ".join(f"{100 * end:.1f} %" for end in side.top1_interval),
    "size": lambda side: f"{side.size_bytes / 1e6:.2f} MB",
    "latency, 1 thread": _latency,
}


def _group(title: str, turned: Sequence[Turned]) -> dict[str, Any]:
    shown = [
        {
            "address": thumbnails.address(entry.photo, _SIDE),
            "name": "/".join(PurePath(str(entry.photo)).parts[-2:]),
            "label": entry.label,
            "old": f"{entry.old} {entry.old_score:.2f}",
            "new": f"{entry.new} {entry.new_score:.2f}",
        }
        for entry in turned[:_MOST]
    ]
    return {"title": title, "count": len(turned), "shown": shown}
