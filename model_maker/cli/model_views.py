"""How a model and the list of backbones look in a terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_maker.fitting import STRETCH, Fit
from model_maker.terminal import rendering
from model_maker.terminal.rendering import escape, percent
from model_maker.tflite.inspection import ModelFacts, TensorFacts
from model_maker.tflite.metadata import ModelInfo


def show_model(path: Path, facts: ModelFacts, info: ModelInfo, heads: Mapping[str, ModelInfo]) -> None:
    """Prints the output of `inspect`; `heads` is what is known of each output by name, if there are several."""
    rows: list[tuple[str, str]] = []
    rows.append(("file", f"{escape(str(path))}  [dim]{facts.size_bytes:,} bytes[/]"))
    for name in ("name", "version", "author", "licence", "description"):
        if text := getattr(info, name):
            rows.append((name, escape(text)))
    for kind, tensors in (("input", facts.inputs), ("output", facts.outputs)):
        for tensor in tensors:
            rows.append((kind, _tensor(tensor)))
    if info.normalization:
        rows.append(("normalization", f"(pixel - {info.normalization.mean:g}) / {info.normalization.std:g}"))
    if info.resize != STRETCH:
        rows.append(("photos", Fit.to(facts.inputs[0].shape, info.resize).description))
    rows.append(("quantization", facts.quantization))
    if facts.quantization == "int8":
        inside = ", ".join(facts.float_operators[:3])
        rows.append(("float inside", f"[red]{escape(inside)}[/]" if inside else "none"))
    rows.append(("parameters", f"{facts.parameters:,}"))
    rows.append(("MACs", f"{facts.macs / 1e6:,.0f} million"))
    rows.append(("operators", ", ".join(f"{count} {name}" for name, count in facts.operators.items())))
    for name, head in heads.items() if heads else [("", info)]:
        rows.append((f"labels {name}".strip(), _labels(head.labels)))
        if head.threshold:
            most = f" to {max(head.limits):.3g}, by label" if head.label_thresholds else ""
            rows.append(("threshold", f"{head.threshold:.3g}{most}; lower scores are unknown"))
        if sets := head.label_sets:
            limits = f"{min(sets.limits):.3g} to {max(sets.limits):.3g}"
            rows.append(("label sets", f"{100 * sets.coverage:g} % promised; limits {limits}"))
    for name, value in _flat(info.provenance.get("metrics")).items():
        rows.append((name, value))
    if fingerprint := info.provenance.get("fingerprint"):
        rows.append(("data", escape(str(fingerprint)[:16])))
    rendering.facts(rendering.console(), rows)


def show_models(rows: list[dict[str, Any]], default: str) -> None:
    """Prints the registry; models that need no download are marked."""
    console = rendering.console()
    shown = [column for column in _COLUMNS if console.width >= _SHOWN_FROM.get(column, 0)]
    table = rendering.table("model", *shown, "")
    table.columns[0].no_wrap = True
    for row in rows:
        name = f"[bold]{row['name']}[/]" if row["name"] == default else row["name"]
        cells = dict(zip(_COLUMNS, (cell.split()[0] for cell in _model_cells(row)), strict=True))
        if row.get("latency_ms", 0) >= 100:
            cells["ms>"] = f"{row['latency_ms']:.0f}"
        table.add_row(name, *(cells[column] for column in shown), "*" if row["offline"] else "")
    console.print(table)
    rendering.caption(
        console,
        f"{_legend(shown)} MB, ms: int8 classifier on one thread, as measured once. *: needs no download. "
        f"The default is {default}.",
    )


def models_markdown(rows: list[dict[str, Any]], default: str) -> str:
    """Returns the registry as a Markdown table, as the documentation shows it."""
    lines = [
        "| model | input | parameters | MACs | top-1, % | top-5, % | int8 top-1, % | int8 MB | int8 ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        name = f"{row['name']} (default)" if row["name"] == default else row["name"]
        lines.append(f"| {' | '.join((name, *_model_cells(row)))} |")
    return "\n".join(lines) + "\n"


_COLUMNS = ("px>", "param>", "MACs>", "top-1>", "top-5>", "int8>", "MB>", "ms>")
# Columns to leave out of narrower terminals; the longest name has 32 characters.
_SHOWN_FROM = {"top-5>": 87, "param>": 80, "MACs>": 73, "int8>": 67, "px>": 61}


def _legend(shown: Sequence[str]) -> str:
    """Says what the columns hold, of those that are shown."""
    names = [column.removesuffix(">") for column in shown]
    millions = ", ".join(name for name in names if name in ("param", "MACs"))
    shares = ", ".join(name for name in names if name in ("top-1", "top-5", "int8"))
    return (
        f"{f'{millions}: millions. ' if millions else ''}{shares}: published ImageNet accuracy, percent"
        f"{', float and int8' if 'int8' in names else ''}"
        f"{'.' if len(shown) == len(_COLUMNS) else '; more in a wider terminal.'}"
    )


def _model_cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{row['image_size']} px",
        f"{row['parameters'] / 1e6:.1f} M",
        f"{row['macs'] / 1e6:.0f} M",
        *(f"{row[key]:.1f}" if row[key] is not None else "-" for key in ("top1", "top5", "top1_int8")),
        f"{row['size_bytes'] / 1e6:.1f}" if "size_bytes" in row else "-",
        f"{row['latency_ms']:.1f}" if "latency_ms" in row else "-",
    )


def _tensor(tensor: TensorFacts) -> str:
    text = f"{escape(str(list(tensor.shape)))} {tensor.dtype}"
    if tensor.scale:
        text += f"  [dim]scale {tensor.scale:.6g}, zero point {tensor.zero_point}[/]"
    return text


def _labels(labels: tuple[str, ...]) -> str:
    shown = ", ".join(labels[:10]) + (f" ... ({len(labels)} in all)" if len(labels) > 10 else "")
    return escape(shown) or "none"


def _flat(metrics: Any) -> dict[str, str]:
    """Formats text that other tools wrote into a model, which may be anything."""
    names = {"top1": "top-1 on test", "float_top1": "float top-1", "mean_average_precision": "mAP on test"}
    known = metrics if isinstance(metrics, dict) else {}
    return {text: percent(known[key]) for key, text in names.items() if isinstance(known.get(key), int | float)}
