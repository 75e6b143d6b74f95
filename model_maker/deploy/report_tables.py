"""Tables of the report: classes, confusion, the certificate, and whatever else is rows of figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from model_maker.inference.evaluation import most_confused

# From so many classes on the confusion matrix is set small.
_MANY = 16
_MOST_PAIRS = 12


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str) -> str:
    """Writes rows of plain text below heads; the first cell of each row is its head."""
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return framed(caption, f'<table class="full"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>')


def framed(name: str, content: str) -> str:
    """Puts a table into a box that scrolls, also by keyboard."""
    return f'<div class="wide" role="region" tabindex="0" aria-label="{escape(name)}">{content}</div>'


def classes(per_class: dict[str, dict[str, Any]], learned: dict[str, int]) -> str:
    """Writes a row a class, the weakest first.

    Args:
      per_class: as `Metrics.as_dict` has it.
      learned: photos of each class that training saw; empty where that is not known.
    """
    heads = ["class", "F1", "precision", "recall", "tested", *(["learned"] if learned else [])]
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = []
    for label, entry in sorted(per_class.items(), key=lambda item: item[1]["f1"]):
        shares = "".join(
            f'<td class="share" style="--v:{100 * entry[key]:.1f}%">{entry[key]:.3f}</td>'
            for key in ("f1", "precision", "recall")
        )
        counts = [entry["photos"], *([learned.get(label, 0)] if learned else [])]
        cells = shares + "".join(f"<td>{count}</td>" for count in counts)
        body.append(f'<tr><th scope="row">{escape(label)}</th>{cells}</tr>')
    inner = f'<table class="full"><thead><tr>{top}</tr></thead><tbody>{"".join(body)}</tbody></table>'
    return framed("Every class", inner)


def confusion(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Writes the confusion matrix: a row a true class, shaded by the share of that class's photos that are shown.

    See `evaluation.most_confused`.
    """
    labels, counts = most_confused(labels, counts)
    top = "".join(f'<th scope="col" title="{escape(label)}">{escape(label)}</th>' for label in labels)
    body = []
    for index, (label, row) in enumerate(zip(labels, counts, strict=True)):
        total = sum(row)
        cells = "".join(_cell(count, total, hit=index == column) for column, count in enumerate(row))
        body.append(f'<tr><th scope="row" title="{escape(label)}">{escape(label)}</th>{cells}</tr>')
    size = " many" if len(labels) > _MANY else ""
    return framed(
        "Confusion matrix",
        f'<table class="confusion{size}"><thead><tr><th scope="col">true / answer</th>{top}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>",
    )


def _cell(count: int, total: int, *, hit: bool) -> str:
    # End tags may be left out, which halves a matrix of 100 classes.
    if not count:
        return '<td class="h">0' if hit else "<td>"
    shade = math.ceil(5 * count / total)
    return f'<td class="h h{shade}">{count}' if hit else f'<td class="m{shade}">{count}'


def pairs(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Writes which classes are taken for which, the most frequent first; an empty string where none is."""
    wrong = [
        (count, index, column)
        for index, row in enumerate(counts)
        for column, count in enumerate(row)
        if count and index != column
    ]
    wrong.sort(key=lambda entry: (-entry[0], entry[1], entry[2]))
    rows = [
        (labels[index], labels[column], str(count), f"{100 * count / sum(counts[index]):.0f} %")
        for count, index, column in wrong[:_MOST_PAIRS]
    ]
    if not rows:
        return ""
    return table(("what it is", "taken for", "photos", "of the class"), rows, caption="What is taken for what")


def certificate(found: dict[str, Any]) -> str:
    """Writes where a file runs, what it is worth in each app, and which rules it keeps, from `Certificate.as_dict`."""
    state = "It passes" if found["passed"] else "It fails"
    failures = "".join(f"<li>{escape(failure)}</li>" for failure in found["failures"])
    remarks = "".join(f"<li>{escape(remark)}</li>" for remark in (*found["notes"], *found["remarks"]))
    rules = [
        (rule["demand"], rule["by"], "kept" if rule["passed"] else "broken" if rule["binding"] else "missed")
        for rule in found["rules"]
    ]
    unknown = any(run["unknown"] for run in (*found["runtimes"], *found["apps"]))
    figures = ("right", *(["unknown"] if unknown else []), "same answer", "differs by")
    pixels = {"same": "ours", "own": "its own"}
    runtimes = [(run["name"], pixels[run["pixels"]], *_run(run, unknown=unknown)) for run in found["runtimes"]]
    apps = [(run["name"], run["pixels"], *_run(run, unknown=unknown)) for run in found["apps"]]
    in_apps = table(("app", "photos", *figures), apps, caption="Apps")
    return (
        f"<p><b>{state}</b>, run on {found['photos']} photos. The file: sha256 <code>{found['sha256']}</code></p>"
        + (f"<ul>{failures}</ul>" if failures else "")
        + table(("runtime", "pixels", *figures), runtimes, caption="Runtimes")
        + (f"<h3>In apps</h3>{in_apps}" if apps else "")
        + f"<h3>What clients demand</h3>{table(('demand', 'by', 'it is'), rules, caption='Rules')}"
        + (f"<ul>{remarks}</ul>" if remarks else "")
    )


def _run(run: dict[str, Any], *, unknown: bool) -> list[str]:
    if run["right"] is None:
        return ["runs" if run["state"] == "ran" else run["state"], *[""] * (3 if unknown else 2)]
    right, same = (f"{run[count]} of {run['photos']}" for count in ("right", "same_answer"))
    return [right, *([str(run["unknown"] or "")] if unknown else []), same, f"{run['largest_difference']:.3f}"]
