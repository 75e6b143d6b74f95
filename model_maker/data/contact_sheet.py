"""Contact sheets: augmented views of some photos in one image, for choosing the strength, or photos side by side.

Uses Pillow and not matplotlib, because one pixel of a view has to be one pixel of the sheet.
"""

import contextlib
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from model_maker.data import augment, images
from model_maker.data.dataset import Dataset, Sample
from model_maker.data.entries import Location
from model_maker.errors import DataError, OutputError
from model_maker.system import files

Array = np.ndarray

# Suffix to Pillow's format and its options. Chroma at full resolution keeps letters sharp.
FORMATS = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 90, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 90, "subsampling": 0}),
}
_CELL = 224  # pixels per side: the default backbone's input
_GAP, _MARGIN, _LABELS = 8, 28, 190  # between cells, around the sheet, for names to the left of rows
_HEADER = 116
_PAPER, _INK, _FAINT, _ACCENT = (250, 250, 248), (28, 30, 33), (112, 116, 122), (20, 110, 190)
_TITLE, _TEXT, _SMALL = 36, 22, 17  # heights of letters, pixels


def check(path: Path, *, overwrite: bool) -> None:
    """Checks early that a sheet can be written.

    Raises:
      OutputError: the suffix is not in FORMATS, or the file exists and must not be replaced.
    """
    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"{path}: the suffix selects the format; use one of {', '.join(FORMATS)}.")
    files.check_new_file(path, overwrite=overwrite)


def write(path: Path, sheet: Image.Image) -> None:
    """Writes a sheet atomically in the format of the suffix.

    Raises:
      OutputError: it cannot be written.
    """
    form, options = FORMATS[path.suffix.lower()]
    file = io.BytesIO()
    sheet.save(file, form, **options)
    files.write(path, file.getvalue())


def draw(dataset: Dataset, preset: str, *, photos: int = 6, views: int = 8, seed: int = 0) -> Image.Image:
    """Draws a row for each photo, at most `photos`: the original, then its augmented views.

    Raises:
      DataError: no photo can be read, or a number is invalid.
    """
    for value, name in ((photos, "photos"), (views, "views")):
        if not 1 <= value <= 50:
            raise DataError(f"`{name}={value}`: pass 1 to 50.")
    strengths = augment.preset(preset, parameter="preset")
    rows: list[tuple[Sample, Array]] = []
    for sample in in_turn(dataset):
        try:
            made = augment.views(sample.path, _CELL, strengths, digest=sample.digest, seed=seed, numbers=range(views))
        except DataError as error:
            reason = error
            continue
        rows.append((sample, made))
        if len(rows) == photos:
            break
    if not rows:
        raise DataError(f"None of the photos can be read; the last error: {reason}")
    names = [(dataset.classes[sample.label], Path(str(sample.path)).name) for sample, _ in rows]
    return _lay_out(
        [made for _, made in rows],
        names,
        f"Augmentation: {preset}",
        f"seed {seed}  -  plain: as on the phone; the other views are for training only",
    )


def grid(photos: Sequence[tuple[Location, str]], title: str, remark: str, *, columns: int = 5) -> Image.Image:
    """Draws photos side by side, each whole with a line of text below, under a title and a remark.

    Unreadable photos leave their cell empty.
    """
    columns = max(1, min(columns, len(photos)))
    width_step, height_step, top = _CELL + _GAP, _CELL + _GAP + _TEXT, _MARGIN + _HEADER - _TEXT
    rows = math.ceil(len(photos) / columns)
    lines = max(math.ceil(_font(size).getlength(text)) for size, text in ((_TITLE, title), (_TEXT, remark)))
    width = 2 * _MARGIN + max(columns * width_step - _GAP, lines)
    sheet = Image.new("RGB", (width, top + rows * height_step + _MARGIN), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN), title, _INK, _font(_TITLE))
    pen.text((_MARGIN, _MARGIN + 44), remark, _FAINT, _font(_TEXT))
    for index, (place, line) in enumerate(photos):
        x, y = _MARGIN + index % columns * width_step, top + index // columns * height_step
        with contextlib.suppress(DataError), images.opened(place) as image:
            small = images.to_rgb(image)
            small.thumbnail((_CELL, _CELL))
            sheet.paste(small, (x + (_CELL - small.width) // 2, y + (_CELL - small.height) // 2))
        pen.text((x, y + _CELL + _SMALL), _fitted(line, _SMALL, _CELL), _INK, _font(_SMALL), anchor="ls")
    return sheet


def in_turn(dataset: Dataset) -> Iterator[Sample]:
    """Yields one photo of each class, then another of each, in the order of their hashes, so always the same."""
    place: dict[str, int] = {}
    count: dict[int, int] = {}
    for sample in sorted(dataset.samples, key=lambda sample: sample.digest):
        place[str(sample.path)] = count[sample.label] = count.get(sample.label, -1) + 1
    yield from sorted(dataset.samples, key=lambda sample: (place[str(sample.path)], sample.label))


def _lay_out(rows: list[Array], names: list[tuple[str, str]], title: str, remark: str) -> Image.Image:
    """Lays out rows, each uint8 [K, S, S, 3], below a title, to the right of their names."""
    columns, step = len(rows[0]), _CELL + _GAP
    left, top = _MARGIN + _LABELS, _MARGIN + _HEADER
    # The text may be wider than a single column.
    width = max(left + columns * step - _GAP, _MARGIN + math.ceil(_font(_TEXT).getlength(remark))) + _MARGIN
    sheet = Image.new("RGB", (width, top + len(rows) * step - _GAP + _MARGIN), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN), title, _INK, _font(_TITLE))
    pen.text((_MARGIN, _MARGIN + 44), remark, _FAINT, _font(_TEXT))
    for column in range(columns):
        name = "plain" if column == 0 else f"view {column}"
        place = (left + column * step + _CELL // 2, top - 10)
        pen.text(place, name, _INK if column else _ACCENT, _font(_TEXT), anchor="ms")
    for number, (row, (label, file)) in enumerate(zip(rows, names, strict=True)):
        y = top + number * step
        pen.text((_MARGIN, y + _CELL // 2 - 4), _fitted(label, _TEXT), _INK, _font(_TEXT), anchor="ls")
        pen.text((_MARGIN, y + _CELL // 2 + 20), _fitted(file, _SMALL), _FAINT, _font(_SMALL), anchor="ls")
        for column, pixels in enumerate(row):
            sheet.paste(Image.fromarray(pixels), (left + column * step, y))
        pen.rectangle((left - 3, y - 3, left + _CELL + 2, y + _CELL + 2), outline=_ACCENT, width=2)
    return sheet


def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(height)


def _fitted(text: str, height: int, room: int = _LABELS - 16) -> str:
    """Shortens a name to a width, by default that to the left of rows; keeps its end, which distinguishes files."""
    text = text.encode(errors="replace").decode()
    font = _font(height)
    shown, kept = text, len(text)
    while font.getlength(shown) > room:
        kept -= 1
        shown = f"{text[: kept // 3]}...{text[len(text) - (kept - kept // 3) :]}"
    return shown
