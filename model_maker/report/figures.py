"""Every figure: one function per kind, in one style. `drawing` calls them in a child process.

A `title` stands above the figure; a `wide` one is a file of its own, others are parts of a page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from model_maker.evaluation import MOST_SHOWN, most_confused

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, DIM, LINE, RED = "#1c1e21", "#5a616b", "#dfe3e8", "#b3261e"
SERIES = ("#0b62c4", "#b45309", "#0f766e", "#9333ea", "#be123c", "#4d7c0f")
BLUE, GREEN = SERIES[0], SERIES[2]
_MARKERS = "os^DvP"

# A unit is a CSS pixel on a page; figures of pages fit a phone of 360 px.
_PER_INCH = 72
_PAGE, _FILE = 340, 620  # widths
_SMALL, _TEXT, _TITLE = 11, 12, 16  # font sizes
_NAMES = 200  # space for the name of a class
_CELL_WITH_COUNT = 26  # minimum side of a cell of the confusion matrix to show its count
_LOGARITHMIC = 6  # from this ratio on, the axis is logarithmic, else fast delegates would lie flat

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # which matplotlib brings
    "text.parse_math": False,  # a label may hold dollars
    "text.color": INK,
    "svg.fonttype": "none",
    "figure.dpi": _PER_INCH,
    "figure.titlesize": _TITLE,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 8 / _PER_INCH,
    "figure.constrained_layout.h_pad": 8 / _PER_INCH,
    **{f"axes.spines.{side}": False for side in ("left", "right", "top", "bottom")},
    "axes.axisbelow": True,
    "axes.labelcolor": DIM,
    "axes.labelsize": _SMALL,
    "grid.color": LINE,
    **{f"{axis}tick.{name}": value for axis in "xy" for name, value in (
        ("color", LINE), ("labelcolor", DIM), ("labelsize", _SMALL), ("major.size", 0), ("minor.size", 0))},
    "legend.frameon": False,
    "legend.fontsize": _SMALL,
    "lines.linewidth": 2,
    "lines.markersize": 6,
}  # fmt: skip


def interval(*, low: float, value: float, high: float) -> Figure:
    """Draws a share with its interval on a line from 0 to 100 %."""
    figure = _figure(_PAGE, 46)
    axes = figure.add_subplot(xlim=(-3, 103), ylim=(-1, 1), yticks=())
    axes.set_xticks((0, 25, 50, 75, 100), ("0", "25", "50", "75", "100 %"))
    axes.plot((0, 100), (0, 0), color=LINE, linewidth=10, solid_capstyle="round", clip_on=False)
    axes.plot((100 * low, 100 * high), (0, 0), color=BLUE, alpha=0.45, linewidth=16, clip_on=False)
    axes.plot((100 * value,), (0,), "o", color=BLUE, markersize=12, clip_on=False)
    return figure


def calibration(*, photos: Sequence[int], right: Sequence[float], title: str = "", wide: bool = False) -> Figure:
    """Draws accuracy against scores, and the number of photos in each bin.

    Args:
      photos: number in bins of equal width by their best score.
      right: number of correct predictions in each bin.
    """
    width = _FILE if wide else _PAGE
    figure = _figure(width, 1.02 * width, title)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
    counts = np.array(photos)
    step = 1 / len(counts)
    left = np.arange(len(counts)) * step + 0.05 * step
    shares = 100 * np.array(right) / np.maximum(1, counts)
    upper.bar(left, shares, 0.9 * step, align="edge", color=BLUE)
    upper.plot((0, 1), (0, 100), color=INK, linestyle=(0, (4, 3)), linewidth=1.5)
    upper.set(xlim=(0, 1), ylim=(0, 102), yticks=range(0, 101, 20), ylabel="% correct")
    lower.bar(left, counts, 0.9 * step, align="edge", color=DIM)
    most = max(1, int(counts.max()))
    lower.set(ylim=(0, 1.05 * most), yticks=(_round(most),), ylabel="photos", xlabel="score")
    for axes in (upper, lower):
        axes.grid(axis="y")
    figure.align_ylabels()
    return figure


def losses(
    *,
    series: Mapping[str, Sequence[float | None]],
    ticks: Sequence[str],
    axis: str,
    title: str = "",
    wide: bool = False,
) -> Figure:
    """Draws losses, step by step.

    Args:
      series: name to a loss for each tick; None where there is none.
      ticks: names of the steps.
      axis: label of the axis.
    """
    figure = _figure(_FILE if wide else _PAGE, 380 if wide else 240, title)
    axes = figure.add_subplot(xlabel=axis, ylabel="loss")
    for (name, values), colour, marker, line in zip(series.items(), (BLUE, RED), _MARKERS, ("-", "--"), strict=False):
        known = [(index, loss) for index, loss in enumerate(values) if loss is not None]
        axes.plot(*zip(*known, strict=True), marker=marker, linestyle=line, color=colour, label=name, clip_on=False)
    axes.set_ylim(0, 1.05 * max(1e-6, axes.dataLim.y1))
    every = -(-len(ticks) // (16 if wide else 8))
    axes.set_xticks(range(0, len(ticks), every), ticks[::every])
    axes.grid(axis="y")
    if len(series) > 1:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(series), borderaxespad=0)
    return figure


def confusion(*, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Figure:
    """Draws a confusion matrix: a row for each actual class, shaded by the share of its photos.

    Args:
      labels: C names.
      counts: [C, C]; of more than MOST_SHOWN classes, those with the most errors are drawn.
    """
    title = "Confusion matrix"
    if len(labels) > MOST_SHOWN:
        title += f": the {MOST_SHOWN} of {len(labels)} classes with the most errors"
    labels, counts = most_confused(labels, counts)
    classes = len(labels)
    cell = min(64, max(700 // classes, min(30, 1400 // classes), 14))
    size = min(_TEXT, cell - 3)
    names = [_fitted(label, size) for label in labels]
    room, side = max(_length(name, size) for name in names), cell * classes
    margin, above = 34, 30  # of the axis labels, and of the title
    width = max(margin + room + side + 24, _length(title, _TITLE) + 32)
    height = above + margin + room + side + 16
    figure = _figure(width, height, title)
    figure.set_layout_engine("none")
    axes = figure.add_axes(
        ((margin + room + 8) / width, 12 / height, side / width, side / height),
        xlim=(0, classes),
        ylim=(classes, 0),
        xlabel="Predicted",
        ylabel="Actual",
    )
    _cells(axes, np.array(counts), with_counts=cell >= _CELL_WITH_COUNT)
    axes.xaxis.set_label_position("top")
    axes.tick_params(labelsize=size, labelcolor=INK, labeltop=True, labelbottom=False, pad=4)
    middles = np.arange(classes) + 0.5
    axes.set_xticks(middles, names, rotation=90)
    axes.set_yticks(middles, names)
    return figure


def _cells(axes: Axes, counts: np.ndarray[Any, Any], *, with_counts: bool) -> None:
    classes = len(counts)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    # A single error among many photos must be visible.
    strength = np.where(counts > 0, 0.12 + 0.88 * shares, 0)[..., None]
    ink = np.where(np.eye(classes, dtype=bool)[..., None], _rgb(BLUE), _rgb(RED))
    edges = np.arange(classes + 1)
    axes.pcolormesh(edges, edges, 1 + (ink - 1) * strength, edgecolors=LINE, linewidth=0.8, clip_on=False)
    if with_counts:
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.45 else INK
            middle = (column + 0.5, row + 0.5)
            axes.text(
                *middle, str(counts[row, column]), color=colour, fontsize=_TEXT, ha="center", va="center_baseline"
            )


def class_scores(*, labels: Sequence[str], scores: Mapping[str, Sequence[float]]) -> Figure:
    """Draws F1, precision and recall of each class, the lowest F1 first.

    Args:
      labels: C names.
      scores: "f1", "precision" and "recall", each a share for each class.
    """
    order = sorted(range(len(labels)), key=lambda index: scores["f1"][index])[:MOST_SHOWN]
    title = "Classes by F1"
    if len(labels) > MOST_SHOWN:
        title += f": the lowest {MOST_SHOWN} of {len(labels)}"
    step, places = 24, range(len(order))
    figure = _figure(_FILE, step * len(order) + 110, title)
    axes = figure.add_subplot(xlim=(0, 1), ylim=(len(order) - 0.4, -0.6))
    found = {name: [values[index] for index in order] for name, values in scores.items()}
    keys: list[Any] = [axes.barh(places, found["f1"], height=0.62, color=BLUE, alpha=0.35, label="F1")]
    for name, marker, colour in (("precision", "D", GREEN), ("recall", "o", RED)):
        keys += axes.plot(found[name], places, marker, color=colour, mec="white", label=name, clip_on=False)
    axes.set_yticks(places, [_fitted(labels[index], _TEXT) for index in order])
    axes.tick_params(axis="y", labelcolor=INK, labelsize=_TEXT)
    for place, value in zip(places, found["f1"], strict=True):
        axes.text(1.02, place, f"{value:.3f}", color=DIM, fontsize=_SMALL, va="center_baseline")
    axes.grid(axis="x")
    axes.legend(handles=keys, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0)
    return figure


def precision_recall(
    *, curves: Mapping[str, Mapping[str, Sequence[float]]], title: str = "", wide: bool = False
) -> Figure:
    """Draws precision against recall, a line for each label.

    Args:
      curves: of each label its `recall` and `precision`, from the highest score on; at most as many as SERIES.
    """
    width = _FILE if wide else _PAGE
    figure = _figure(width, width, title)
    axes = figure.add_subplot(xlim=(0, 101), ylim=(0, 102), xlabel="% of the photos found", ylabel="% correct")
    for (name, curve), colour in zip(curves.items(), SERIES, strict=False):
        recall, precision = (100 * np.array(curve[key]) for key in ("recall", "precision"))
        axes.step(recall, precision, where="pre", color=colour, label=_fitted(name, _SMALL, 90), clip_on=False)
    axes.grid()
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0, handlelength=1.2)
    return figure


def latency(*, lines: Sequence[Mapping[str, Any]], limits: tuple[float, float], width: int = _PAGE) -> Figure:
    """Draws latency against threads, a line for each delegate, with intervals.

    Args:
      lines: of each delegate its `name`, the index of its `colour`, and `points`: threads (None where the delegate has
        none), milliseconds, and the ends of the interval.
      limits: smallest and largest milliseconds of all figures to compare.
    """
    figure = _figure(width, 260)
    axes = figure.add_subplot(ylabel="ms", xlabel="threads")
    low, high = limits
    if high / low >= _LOGARITHMIC:
        from matplotlib.ticker import LogLocator, NullLocator

        axes.set(yscale="log", ylabel="ms, logarithmic", ylim=(low / 1.15, high * 1.15))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(0, 1.08 * high)
    axes.yaxis.set_major_formatter("{x:g}")
    counts = sorted({point[0] for line in lines for point in line["points"] if point[0] is not None})
    for line in sorted(lines, key=lambda line: -line["points"][-1][1]):  # in the order of the lines, from top to bottom
        colour, name = SERIES[line["colour"] % len(SERIES)], _fitted(line["name"], _SMALL, 90)
        if line["points"][0][0] is None:
            axes.axhline(line["points"][0][1], color=colour, linestyle=(0, (5, 4)), label=name)
            continue
        threads, values, lows, highs = (np.array(column) for column in zip(*line["points"], strict=True))
        places = np.searchsorted(counts, threads)
        marker = _MARKERS[line["colour"] % len(_MARKERS)]
        around = (values - lows, highs - values)
        axes.errorbar(places, values, around, color=colour, marker=marker, capsize=4, elinewidth=1.5, label=name)
    axes.set_xlim(-0.3, max(1, len(counts)) - 0.7)
    axes.set_xticks(range(len(counts)), [str(count) for count in counts])
    axes.grid(axis="y")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), borderaxespad=0, handlelength=1.4)
    return figure


KINDS: dict[str, Callable[..., Figure]] = {
    "calibration": calibration,
    "class_scores": class_scores,
    "confusion": confusion,
    "interval": interval,
    "latency": latency,
    "losses": losses,
    "precision_recall": precision_recall,
}


def _round(most: int) -> int:
    """Returns the largest of 1, 2, 5, 10, 20, 50 and so on up to a number."""
    power = 10 ** (len(str(most)) - 1)
    return max(step * power for step in (1, 2, 5) if step * power <= most)


def _figure(width: float, height: float, title: str = "") -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / _PER_INCH, height / _PER_INCH))
    if title:
        figure.suptitle(title, x=16 / width, ha="left")
    return figure


def _fitted(text: str, size: float, room: float = _NAMES) -> str:
    """Shortens a name in the middle to fit; replaces characters that XML cannot contain."""
    text = text.encode(errors="replace").decode()
    text = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
    shown, kept = text, len(text)
    while _length(shown, size) > room:
        kept -= 1
        shown = f"{text[: kept - kept // 3]}...{text[len(text) - kept // 3 :]}"
    return shown


def _length(text: str, size: float) -> float:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties(family="DejaVu Sans")))
    font.set_size(size, _PER_INCH)
    font.set_text(text)
    return float(font.get_width_height()[0]) / 64


def _rgb(colour: str) -> np.ndarray[Any, Any]:
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
