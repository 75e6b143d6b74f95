"""A record as one HTML page that needs nothing else: a chart for each model, every number, how it was measured."""

from __future__ import annotations

from html import escape

from model_maker.benchmark import chart
from model_maker.benchmark.report import machine_line, model_line, number, remarks
from model_maker.benchmark.results import Record, Row, estimate

_STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1c1e21; --dim: #5f6670; --line: #dfe3e8; --card: #f6f7f9;
  --warn: #8a5a00; --bad: #b3261e; --c0: #0b62c4; --c1: #b45309; --c2: #0f766e; --c3: #9333ea; --c4: #be123c;
  --c5: #4d7c0f; }
@media (prefers-color-scheme: dark) { :root { --back: #14171a; --text: #e6e8eb; --dim: #9aa3ad; --line: #30363d;
  --card: #1c2126; --warn: #f0b429; --bad: #ff8a80; --c0: #6cb0ff; --c1: #f5a65b; --c2: #4fd1c5; --c3: #c79bff;
  --c4: #ff8fa3; --c5: #a9d46a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 20px 16px 40px; max-width: 1040px; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 16px; margin: 0; overflow-wrap: anywhere; }
p { margin: 4px 0; } .dim { color: var(--dim); font-size: 13px; } .warn { color: var(--warn); }
.bad { color: var(--bad); }
.best { font-size: 17px; margin: 12px 0; } .best b { font-size: 26px; font-variant-numeric: tabular-nums; }
.charts { display: grid; gap: 14px; margin: 16px 0;
  grid-template-columns: repeat(auto-fit, minmax(min(320px, 100%), 1fr)); }
figure { margin: 0; padding: 12px; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
svg { display: block; width: 100%; max-width: 440px; margin: 8px auto 0; font: 12px system-ui, sans-serif; }
.grid { stroke: var(--line); } .tick { fill: var(--dim); } .name { font-weight: 600; stroke: none; }
.line, .bar { fill: none; stroke: currentColor; stroke-width: 2; } .bar { stroke-width: 1.5; }
.flat { stroke: currentColor; stroke-width: 2; stroke-dasharray: 5 4; }
circle { fill: currentColor; } .name { fill: currentColor; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); }
.c4 { color: var(--c4); } .c5 { color: var(--c5); }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 10px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--back); }
@media (max-width: 600px) { th, td { padding: 7px 8px; }
  td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 120px; max-width: 40vw; } }
th { color: var(--dim); font-weight: 600; } td.why { text-align: left; white-space: normal; min-width: 220px; }
ul { padding-left: 20px; margin: 14px 0; } li { overflow-wrap: anywhere; }
"""

_COLOURS = 6
_HEADS = ("median", "95 % interval", "p90", "p99", "min", "max", "mean", "init", "first", "MB", "GMAC/s", "runs")


def render(record: Record) -> str:
    """Writes the page."""
    delegates = list(dict.fromkeys(row.delegate for row in record.rows))
    colours = {name: index % _COLOURS for index, name in enumerate(delegates)}
    body = [
        "<h1>Latency</h1>",
        f'<p class="dim">{escape(machine_line(record))}</p>',
        f'<p class="dim">{escape(record.created)}</p>',
        _best(record),
        f'<div class="charts">{_charts(record, colours)}</div>',
        f'<div class="wide">{_table(record)}</div>',
        _remarks(record),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Latency: '
        f"{escape(', '.join(model.name for model in record.models))}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{chr(10).join(part for part in body if part)}\n</body></html>\n"
    )


def _best(record: Record) -> str:
    times = [(found.value_ms, row) for row in record.rows if not row.reason and (found := estimate(row))]
    if not times:
        return '<p class="best bad">Nothing could be measured.</p>'
    value, row = min(times, key=lambda entry: entry[0])
    return f'<p class="best"><b>{number(value)} ms</b> at best, with {_name(record, row)}</p>'


def _name(record: Record, row: Row, between: str = ", ") -> str:
    threads = "" if row.threads is None else f", {row.threads} thread{'s' if row.threads > 1 else ''}"
    model = escape(record.model(row.model).name) + between if len(record.models) > 1 else ""
    return model + escape(row.delegate + threads)


def _charts(record: Record, colours: dict[str, int]) -> str:
    axis = chart.scale(record.rows)
    figures = []
    for model in record.models:
        rows = [row for row in record.rows if row.model == model.path]
        drawing = chart.draw(model.name, rows, colours, axis) if axis else ""
        head = f'<h2>{escape(model.name)}</h2><p class="dim">{escape(model_line(model))}</p>'
        figures.append(f"<figure>{head}{drawing}</figure>")
    return "".join(figures)


def _table(record: Record) -> str:
    heads = "".join(f"<th>{head}</th>" for head in ("", *_HEADS))
    rows = "".join(_row(record, row) for row in record.rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _row(record: Record, row: Row) -> str:
    name = f"<td>{_name(record, row, '<br>')}</td>"
    if row.reason:
        return f'<tr>{name}<td class="why bad" colspan="{len(_HEADS)}">{escape(row.reason)}</td></tr>'
    found = estimate(row)
    between = f"{number(found.low_ms)} to {number(found.high_ms)}" if found and found.width else "-"
    times = (row.p90_ms, row.p99_ms, row.min_ms, row.max_ms, row.mean_ms, row.init_ms, row.first_ms)
    cells = [f"<b>{number(row.median_ms)}</b>", f'<span class="warn">{between}</span>' if row.noise else between]
    cells += [number(value) for value in (*times, row.memory_mb, row.gmacs_per_s)]
    cells.append("-" if row.count is None else str(row.count))
    return f"<tr>{name}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _remarks(record: Record) -> str:
    found = [(text, style) for text, style in remarks(record) if not text.startswith("failed: ")]
    items = [f'<li class="{"warn" if style == "yellow" else "dim"}">{escape(text)}</li>' for text, style in found]
    items.append('<li class="dim">Times in milliseconds; the bars are 95 % intervals of the median.</li>')
    settings = "; ".join(
        f"{name} {_plain(value)}" for name, value in record.settings.items() if value not in (None, "")
    )
    versions = ", ".join(f"{name} {value}" for name, value in record.machine.versions.items())
    items += [f'<li class="dim">{escape(text)}</li>' for text in (settings, versions) if text]
    return f"<ul>{''.join(items)}</ul>"


def _plain(value) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
