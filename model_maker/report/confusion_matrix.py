"""The confusion matrix of a report, as tables: counts, per cent of the actual class, most frequent confusions."""

import math
from collections.abc import Sequence
from typing import Any

from model_maker import evaluation

Row = tuple[str, ...]

_MOST_PAIRS = 12
# From this number of classes on, a matrix takes the whole width and a small font.
_WIDE, _MANY = 9, 16


def pairs(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> list[Row]:
    """Returns pairs of true and predicted class, the most frequent first."""
    wrong = [
        (count, index, column)
        for index, row in enumerate(counts)
        for column, count in enumerate(row)
        if count and index != column
    ]
    wrong.sort(key=lambda entry: (-entry[0], entry[1], entry[2]))
    return [
        (labels[index], labels[column], str(count), f"{100 * count / sum(counts[index]):.0f} %")
        for count, index, column in wrong[:_MOST_PAIRS]
    ]


def matrices(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Returns the cells of the confusion matrix with CSS class and text, as counts and per cent of the actual class."""
    shown, part = evaluation.most_confused(labels, counts)
    totals = {label: sum(row) for label, row in zip(labels, counts, strict=True)}
    rows, shares = [], []
    for index, (label, row) in enumerate(zip(shown, part, strict=True)):
        shades = [math.ceil(5 * count / max(1, sum(row))) for count in row]
        kinds = ["m"] * len(row)
        kinds[index] = "h"
        rows.append((label, _cells(kinds, shades, [str(count) for count in row])))
        shares.append((label, _cells(kinds, shades, [_rounded(count, totals[label]) for count in row])))
    matrices = (
        ("Confusion matrix", "Counts", rows),
        ("Confusion matrix in per cent", "Per cent of the actual class", shares),
    )
    return {
        "labels": shown,
        "matrices": matrices,
        "all": len(labels),
        "wide": len(shown) >= _WIDE,
        "many": len(shown) > _MANY,
    }


def _cells(kinds: Sequence[str], shades: Sequence[int], texts: Sequence[str]) -> list[tuple[str, int, str]]:
    """Returns cells; one off the diagonal without photos is empty."""
    return [
        (kind, shade, text if shade or kind == "h" else "")
        for kind, shade, text in zip(kinds, shades, texts, strict=True)
    ]


def _rounded(count: int, total: int) -> str:
    """Returns whole per cent; a single one of many photos is not 0."""
    share = 100 * count / max(1, total)
    return "<1" if 0 < share < 0.5 else f"{share:.0f}"
