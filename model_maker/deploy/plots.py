"""The report's plots as PNG files, for slides and papers: confusion, calibration, classes, losses."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from model_maker.inference.evaluation import Reliability, most_confused

# A fine-tuning's losses: name and key in its history. Before the first epoch there is only that of validation.
TUNING = (("training", "loss"), ("validation", "validation_loss"))
ALWAYS = ("confusion.png", "calibration.png", "per_class.png")

Colour = tuple[int, int, int]

_PAPER, _INK, _FAINT, _LINE = (255, 255, 255), (28, 30, 33), (90, 97, 107), (223, 227, 232)
_BLUE, _RED, _GREEN = (11, 98, 196), (179, 38, 30), (15, 118, 110)
_MARGIN, _TITLE, _TEXT = 28, 26, 16  # around a plot, and heights of letters, pixels
_NAMES = 170  # the room for names of classes
# Sides of the confusion matrix's cells, and from which on they hold figures.
_CELLS, _CELL_WITH_FIGURE = (14, 64), 26
_MATRIX = 1400  # what the cells share, pixels
_DIAGRAM = 480  # side of the reliability diagram
_BAR, _BARS = 9, 400  # height and full length of a class's bars


def draw(
    test: dict[str, Any],
    reliability: Reliability,
    *,
    path: Sequence[dict[str, float]] = (),
    history: Sequence[dict[str, Any]] = (),
) -> dict[str, bytes]:
    """Draws all plots.

    Args:
      test: `Metrics.as_dict` of the test part.
      reliability: of the same photos.
      path: losses of photos held out by regularization, as `metrics.json` holds them, where they are known.
      history: epochs of a fine-tuning, as `metrics.json` holds them, where there was one.

    Returns:
      File name to PNG.
    """
    labels = list(test["per_class"])
    found = (
        _confusion(labels, test["confusion"]),
        _calibration(reliability, test["ece"]),
        _per_class(test["per_class"]),
    )
    plots = dict(zip(ALWAYS, found, strict=True))
    if path:
        title, ticks = "Fitting the head: loss of photos held out", [f"{entry['regularization']:g}" for entry in path]
        plots["head.png"] = _losses(title, {"held out": [entry["loss"] for entry in path]}, ticks, "regularization")
    if history:
        series = {name: [entry.get(key) for entry in history] for name, key in TUNING}
        epochs = [str(index) for index in range(len(history))]
        plots["fine_tuning.png"] = _losses("Fine-tuning: loss by epoch", series, epochs, "epoch")
    return {name: _png(plot) for name, plot in plots.items()}


def _png(plot: Image.Image) -> bytes:
    file = io.BytesIO()
    plot.save(file, "PNG")
    return file.getvalue()


def _sheet(width: int, height: int, title: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN), title, _INK, _font(_TITLE))
    return sheet, pen


def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(height)


def _fitted(text: str, height: int) -> str:
    """Cuts a name to the room for it."""
    text = text.encode(errors="replace").decode()
    shown = text
    while _font(height).getlength(shown) > _NAMES:
        text = text[:-1]
        shown = f"{text}..."
    return shown


def _shade(colour: Colour, share: float) -> Colour:
    red, green, blue = (round(255 + (ink - 255) * share) for ink in colour)
    return red, green, blue


def _confusion(labels: list[str], counts: list[list[int]]) -> Image.Image:
    all_classes = len(labels)
    labels, counts = most_confused(labels, counts)
    title = "Confusion: true class by answer"
    title += f", the {len(labels)} classes with the most mistakes" if len(labels) < all_classes else ""
    cell = min(_CELLS[1], max(_CELLS[0], _MATRIX // len(labels)))
    letters = min(_TEXT, cell - 2)
    names = [_fitted(label, letters) for label in labels]
    room = math.ceil(max(_font(letters).getlength(name) for name in names))
    left, top = _MARGIN + room + 10, _MARGIN + 50 + room + 10
    side = cell * len(labels)
    sheet, pen = _sheet(left + max(side, 400 - room) + _MARGIN, top + side + _MARGIN, title)
    for index, (name, row) in enumerate(zip(names, counts, strict=True)):
        place = index * cell + cell // 2
        pen.text((left - 10, top + place), name, _INK, _font(letters), anchor="rm")
        sheet.paste(_upright(name, letters, room), (left + place - letters // 2 - 2, top - room - 10))
        for column, count in enumerate(row):
            x, y = left + column * cell, top + index * cell
            share = count / max(1, sum(row))
            colour = _BLUE if index == column else _RED
            # A single mistake among many photos has to be seen, too.
            pen.rectangle((x, y, x + cell, y + cell), _shade(colour, 0.12 + 0.88 * share if count else 0), _LINE)
            if count and cell >= _CELL_WITH_FIGURE:
                ink = _PAPER if share > 0.45 else _INK
                pen.text((x + cell // 2, y + cell // 2), str(count), ink, _font(letters), anchor="mm")
    return sheet


def _upright(text: str, height: int, room: int) -> Image.Image:
    """Writes a name from bottom to top, ending where the matrix begins."""
    strip = Image.new("RGB", (room, height + 4), _PAPER)
    ImageDraw.Draw(strip).text((0, height // 2 + 2), text, _INK, _font(height), anchor="lm")
    return strip.transpose(Image.Transpose.ROTATE_90)


def _calibration(found: Reliability, ece: float) -> Image.Image:
    left, top = _MARGIN + 50, _MARGIN + 76
    right, bottom = left + _DIAGRAM, top + _DIAGRAM
    sheet, pen = _sheet(right + _MARGIN, bottom + 70, f"Calibration: ECE {ece:.3f}")
    for tick in range(6):
        y, x = bottom - _DIAGRAM * tick / 5, left + _DIAGRAM * tick / 5
        pen.line((left, y, right, y), _LINE)
        pen.text((left - 8, y), f"{20 * tick}", _FAINT, _font(_TEXT), anchor="rm")
        pen.text((x, bottom + 8), f"{tick / 5:g}", _FAINT, _font(_TEXT), anchor="mt")
    step = _DIAGRAM / len(found.photos)
    for index, count in enumerate(found.photos):
        if count:
            x, share = left + index * step, found.right[index] / count
            pen.rectangle((x + 2, bottom - _DIAGRAM * share, x + step - 2, bottom), _BLUE)
    pen.line((left, bottom, right, top), _INK, 2)
    pen.text((left + _DIAGRAM // 2, bottom + 34), "score of the answer", _FAINT, _font(_TEXT), anchor="mt")
    pen.text((_MARGIN, top - 16), "% right", _FAINT, _font(_TEXT), anchor="ls")
    return sheet


def _per_class(per_class: dict[str, dict[str, Any]]) -> Image.Image:
    colours = {"f1": _BLUE, "precision": _GREEN, "recall": _RED}
    left, top, step = _MARGIN + _NAMES + 10, _MARGIN + 82, 3 * _BAR + 14
    sheet, pen = _sheet(
        left + _BARS + 60 + _MARGIN, top + step * len(per_class) + _MARGIN, "Classes, the weakest first"
    )
    for number, (key, colour) in enumerate(colours.items()):
        x, y = left + number * 130, _MARGIN + 58
        pen.rectangle((x, y - 6, x + 12, y + 6), colour)
        pen.text((x + 20, y), "F1" if key == "f1" else key, _INK, _font(_TEXT), anchor="lm")
    for index, (label, entry) in enumerate(sorted(per_class.items(), key=lambda item: item[1]["f1"])):
        y = top + index * step
        middle = y + 3 * _BAR // 2
        pen.text((left - 10, middle), _fitted(label, _TEXT), _INK, _font(_TEXT), anchor="rm")
        for number, (key, colour) in enumerate(colours.items()):
            high = y + number * _BAR
            pen.rectangle((left, high, left + _BARS * entry[key], high + _BAR - 2), colour)
        pen.text((left + _BARS + 10, middle), f"{entry['f1']:.3f}", _FAINT, _font(_TEXT), anchor="lm")
    return sheet


def _losses(title: str, series: Mapping[str, Sequence[float | None]], ticks: Sequence[str], axis: str) -> Image.Image:
    """Losses step by step, one or two series; None where there is none."""
    left, top = _MARGIN + 60, _MARGIN + 76
    right, bottom = left + _DIAGRAM, top + _DIAGRAM // 2
    sheet, pen = _sheet(right + _MARGIN, bottom + 70, title)
    most = 1.05 * max(1e-6, *(loss for values in series.values() for loss in values if loss is not None))
    for tick in range(5):
        y = bottom - (bottom - top) * tick / 4
        pen.line((left, y, right, y), _LINE)
        pen.text((left - 8, y), f"{most * tick / 4:.2f}", _FAINT, _font(_TEXT), anchor="rm")
    step = _DIAGRAM / max(1, len(ticks) - 1)
    for index in range(0, len(ticks), math.ceil(len(ticks) / 12)):
        pen.text((left + index * step, bottom + 8), ticks[index], _FAINT, _font(_TEXT), anchor="mt")
    for number, ((name, values), colour) in enumerate(zip(series.items(), (_BLUE, _RED), strict=False)):
        points = [
            (left + index * step, bottom - (bottom - top) * loss / most)
            for index, loss in enumerate(values)
            if loss is not None
        ]
        pen.line(points, colour, 2)
        for x, y in points:
            pen.ellipse((x - 4, y - 4, x + 4, y + 4), colour)
        pen.text((right - 230 + 130 * number, top - 16), name, colour, _font(_TEXT), anchor="ls")
    pen.text((left + _DIAGRAM // 2, bottom + 34), axis, _FAINT, _font(_TEXT), anchor="mt")
    return sheet
