"""How generated code fits photos to the input: the parts of it that depend on the input's shape and on `resize`.

`fitting.Fit` is the same in Python; the function `centered` of each language is its arithmetic.
"""

from dataclasses import dataclass
from pathlib import Path

from model_maker.fitting import CROP, LETTERBOX, STRETCH, Fit

# What generated code says of it.
_DOING = {
    STRETCH: "stretched",
    LETTERBOX: "scaled as a whole, on black",
    CROP: "its middle, scaled",
}


@dataclass(frozen=True)
class Picture:
    """How a language writes it.

    Attributes:
      square, oblong: what declares the size of the input, of {height} and {width}.
      side: the name of the size of a square.
      sides: the names of height and width of an oblong.
      box: left, top, width and height, of those two.
    """

    square: str
    oblong: str
    side: str
    sides: tuple[str, str]
    box: str
    photo: tuple[str, str] = ("width", "height")


PICTURES = {
    "kotlin": Picture(
        "        /** Height and width of the input, pixels. */\n        const val SIZE = {height}",
        "        /** The input, pixels. */\n        const val HEIGHT = {height}\n        const val WIDTH = {width}",
        "SIZE",
        ("HEIGHT", "WIDTH"),
        "intArrayOf(0, 0, {}, {})",
    ),
    "swift": Picture(
        "  /// Height and width of the input, pixels.\n  public static let size = {height}",
        "  /// The input, pixels.\n  public static let inputHeight = {height}\n"
        "  public static let inputWidth = {width}",
        "size",
        ("inputHeight", "inputWidth"),
        "(0, 0, {}, {})",
    ),
    "js": Picture(
        "export const SIZE = {height};  // height and width of the input, pixels",
        "export const HEIGHT = {height}, WIDTH = {width};  // of the input, pixels",
        "SIZE",
        ("HEIGHT", "WIDTH"),
        "[0, 0, {}, {}]",
    ),
    "dart": Picture(
        "/// Height and width of the input, pixels.\nconst int size = {height};",
        "/// The input, pixels.\nconst int inputHeight = {height};\nconst int inputWidth = {width};",
        "size",
        ("inputHeight", "inputWidth"),
        "[0, 0, {}, {}]",
    ),
    "python": Picture(
        "SIZE = {height}  # height and width of the input, pixels",
        "HEIGHT, WIDTH = {height}, {width}  # of the input, pixels",
        "SIZE",
        ("HEIGHT", "WIDTH"),
        "0, 0, {}, {}",
        ("image.width", "image.height"),
    ),
}


def values(language: str, fit: Fit, templates: Path) -> dict[str, str]:
    """Returns what templates take of a Fit, by name; `templates` has the functions `centered`."""
    words = PICTURES[language]
    square = fit.height == fit.width
    height, width = (words.side, words.side) if square else words.sides
    sizes = (words.square if square else words.oblong).format(height=fit.height, width=fit.width)
    photo, shown = ", ".join(words.photo), f"{width}, {height}"
    source, target = words.box.format(*words.photo), words.box.format(width, height)
    centered = ""
    if fit.resize != STRETCH:
        centered = (templates / f"centered_{language}.template").read_text(encoding="utf-8").rstrip("\n")
    if fit.resize == CROP:
        source = f"centered({photo}, {shown})"
    elif fit.resize == LETTERBOX:
        target = f"centered({shown}, {photo})"
    return {
        "height": height,
        "width": width,
        "sizes": sizes,
        "source": source,
        "target": target,
        "doing": _DOING[fit.resize],
        "centered": centered,
    }
