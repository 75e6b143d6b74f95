"""A record as a self-contained HTML page: a chart per model, all numbers, settings."""

from collections.abc import Iterator
from typing import Any

from model_maker.benchmark.result_table import machine_line, model_line, number, remarks
from model_maker.benchmark.results import Record, Row, TimeEstimate, estimate
from model_maker.report import drawing, pages
from model_maker.system import dates

_TIMES = ("median", "95 % interval", "p90", "p99", "min", "max", "mean", "init", "first")
_HEADS = (*(f"{name}, ms" for name in _TIMES), "memory, MB", "speed, GMAC/s", "runs")


def render(record: Record) -> str:
    """Writes the page."""
    charts = drawing.draw(dict(wanted_charts(record)))
    return pages.render(
        "benchmark.html",
        machine=machine_line(record),
        created=dates.shown(record.created),
        best=_best(record),
        models=[
            {"name": model.name, "facts": model_line(model), "chart": charts.get(f"{index}.svg")}
            for index, model in enumerate(record.models)
        ],
        heads=_HEADS,
        rows=[_row(record, row) for row in record.rows],
        remarks=list(_remarks(record)),
    )


def _measured(rows: tuple[Row, ...]) -> list[tuple[Row, TimeEstimate]]:
    return [(row, found) for row in rows if not row.reason and (found := estimate(row))]


def _best(record: Record) -> dict[str, str] | None:
    measured = _measured(record.rows)
    if not measured:
        return None
    row, found = min(measured, key=lambda entry: entry[1].value_ms)
    model = [record.model(row.model).name] if len(record.models) > 1 else []
    return {"ms": number(found.value_ms), "name": ", ".join((*model, _delegate(row)))}


def _delegate(row: Row) -> str:
    return row.delegate if row.threads is None else f"{row.delegate}, {row.threads} thread{'s' * (row.threads > 1)}"


def wanted_charts(record: Record) -> Iterator[tuple[str, drawing.Wanted]]:
    """Returns a figure per model, all on one scale, with a color per delegate."""
    measured = _measured(record.rows)
    lows = [found.low_ms for _, found in measured if found.low_ms > 0]
    limits = (min(lows, default=0), max((found.high_ms for _, found in measured), default=0))
    colours = {name: index for index, name in enumerate(dict.fromkeys(row.delegate for row in record.rows))}
    for index, model in enumerate(record.models):
        lines: dict[tuple[str, bool], dict[str, Any]] = {}
        for row, found in measured:
            if row.model == model.path and limits[0]:
                line: dict[str, Any] = {"name": row.delegate, "colour": colours[row.delegate], "points": []}
                point = (row.threads, found.value_ms, found.low_ms, found.high_ms)
                # A delegate without threads is a horizontal line.
                lines.setdefault((row.delegate, row.threads is None), line)["points"].append(point)
        for line in lines.values():
            line["points"].sort(key=lambda point: point[0] or 0)
        if lines:
            yield f"{index}.svg", drawing.Wanted("latency", {"lines": list(lines.values()), "limits": limits})


def _row(record: Record, row: Row) -> dict[str, Any]:
    name = {"model": record.model(row.model).name if len(record.models) > 1 else "", "delegate": _delegate(row)}
    found = estimate(row)
    times = (row.p90_ms, row.p99_ms, row.min_ms, row.max_ms, row.mean_ms, row.init_ms, row.first_ms)
    return name | {
        "reason": row.reason,
        "median": number(row.median_ms),
        "interval": f"{number(found.low_ms)} to {number(found.high_ms)}" if found and found.width else "-",
        "noisy": bool(row.noise),
        "cells": [
            *(number(value) for value in (*times, row.memory_mb, row.gmacs_per_s)),
            "-" if row.count is None else str(row.count),
        ],
    }


def _remarks(record: Record) -> Iterator[tuple[str, bool]]:
    """Yields remarks, and whether each is a warning."""
    for text, style in remarks(record):
        if not text.startswith("failed: "):
            yield text, style == "yellow"
    yield "In the chart, bars are 95 % intervals of the median.", False
    settings = (f"{name} {_plain(value)}" for name, value in record.settings.items() if value not in (None, ""))
    versions = (f"{name} {value}" for name, value in record.machine.versions.items())
    yield from ((text, False) for text in ("; ".join(settings), ", ".join(versions)) if text)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
