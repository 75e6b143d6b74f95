"""Annotated copies: predictions drawn onto a copy of the image."""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from model_maker.data import images
from model_maker.errors import DataError
from model_maker.inference.predict_inputs import Item
from model_maker.system import files

# Height of letters: the image's shorter side / _SHARE, at least _LEAST pixels.
_SHARE, _LEAST = 18, 12
_QUALITY = 92
_BAND = (0, 0, 0, 160)

Keep = Callable[[Item, Sequence[str]], None]


def annotated(picture: Image.Image, lines: Sequence[str]) -> Image.Image:
    """Returns a copy with lines of text on a dark band at the bottom, the best label first.

    Pillow's built-in font has Latin, Greek and Cyrillic letters; others appear as boxes.
    """
    font = ImageFont.load_default(max(_LEAST, min(picture.size) // _SHARE))
    text, copy = "\n".join(lines), picture.convert("RGB")
    draw = ImageDraw.Draw(copy, "RGBA")
    left, top, right, bottom = draw.multiline_textbbox((0, 0), text, font=font)
    margin = max(2, round((bottom - top) / len(lines) / 3))
    place = picture.height - (bottom - top) - 2 * margin
    draw.rectangle((0, max(0, place), picture.width, picture.height), fill=_BAND)
    draw.multiline_text((margin - left, max(0, place) + margin - top), text, fill="white", font=font)
    return copy


@contextlib.contextmanager
def album(folder: str | None, named: Sequence[str]) -> Iterator[Keep]:
    """Yields a function that saves an annotated copy of an image; the folder is created when the block succeeds.

    Args:
      folder: the folder to create; None saves nothing.
      named: names of the classified photos and folders. `folder` must not be inside them, or the next run would
        classify the copies.

    Raises:
      DataError: the folder is inside one of them.
      OutputError: it is not empty, or cannot be written.
    """
    if folder is None:
        yield lambda item, lines: None
        return
    path = Path(folder)
    check_apart(path, named, parameter="save")
    with files.new_directory(path) as new:
        taken: set[str] = set()

        def keep(item: Item, lines: Sequence[str]) -> None:
            pixels: Any = item.photo
            name = copy_name(item.name, taken)
            annotated(images.picture(pixels), lines).save(new / name, quality=_QUALITY)

        yield keep


def check_apart(folder: Path, named: Sequence[str], *, parameter: str) -> None:
    """Raises a DataError if an output folder is inside a folder whose photos are classified."""
    for name in named:
        if Path(name).is_dir() and folder.resolve().is_relative_to(Path(name).resolve()):
            raise DataError(
                f"`{parameter}='{folder}'` lies in {name}, whose photos are classified. Choose a folder elsewhere."
            )


def copy_name(shown: str, taken: set[str]) -> str:
    """Returns a unique name for a copy: that of the photo, or that of the video with the frame number."""
    base, _, frame = shown.rpartition("#") if re.search(r"#\d+$", shown) else (shown, "", "")
    stem = re.sub(r"[^\w.-]+", "_", Path(base).stem).strip("._") or "picture"
    stem += f"_{int(frame):06}" if frame else ""
    names = (f"{stem}{'' if number == 1 else f'_{number}'}.jpg" for number in range(1, len(taken) + 2))
    name = next(name for name in names if name.lower() not in taken)
    taken.add(name.lower())
    return name
