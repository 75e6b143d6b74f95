"""Where lines of a terminal end: between words, never between a figure and its unit."""

import re
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells

_UNITS = r"%|ms|s|min|h|px|points?|pixels|photos?|pictures|images|classes|labels?|files?|bytes|[kKMG]B|[A-Z][A-Z\d_]+"
# Blanks within `95 %`, `48 of 50`, `224 x 224`, `6 MEAN`; those within `zero point 127`, `21 to 31 %`, `95 % interval`.
_UNIT = rf"(?<=\d) (?=(?:{_UNITS})(?!\w)|(?:of|x) \d)|(?:(?<=\d of)|(?<=\d x)) (?=\d)"
_NAME = r"(?<=[a-z]{2}) (?=[-+]?\d)|(?<=\d) (?=to [-+]?\d)|(?<=%) (?=interval)"
# What holds together, and what does where that is longer than a line.
_WORDS = [re.compile(pattern) for pattern in (rf"(?:\S|{_UNIT}|{_NAME})+", rf"(?:\S|{_UNIT})+", r"\S+")]
# Where a word that is longer than a line is broken: behind a separator of a path.
_PIECE = re.compile(r"[^/\\]*[/\\]+|[^/\\]+")


def breaks(text: str, width: int, *, hang: int = 0, fold: bool = False) -> list[int]:
    """Returns where the lines of a text begin, but for the first.

    Args:
      width: of the terminal, in cells.
      hang: by how much lines after the first are indented.
      fold: whether to break words that are longer than a line; otherwise they stick out, so that a path or a hash can
        be copied from a terminal, which breaks them without a line's end.
    """
    found: list[int] = []
    indent = len(text) - len(text.lstrip())  # nothing is broken off before the first word
    used = 0  # cells of the line so far, with the blanks behind its last word
    end = 0
    longest = max(width - hang, 1)
    for word in _words(text, longest):
        used += word.start() - end
        end = word.end()
        pieces = [(0, word[0])]
        if cell_len(word[0]) > longest:  # a line of its own would not help
            pieces = list(_pieces(word[0], longest)) if fold else []
        for start, piece in pieces:
            if word.start() + start > indent and used + cell_len(piece) > (longest if found else width):
                found.append(word.start() + start)
                used = 0
            used += cell_len(piece)
        if not pieces:
            used += cell_len(word[0])
    return found


def wrapped(text: str, width: int, *, hang: int = 0) -> str:
    """Returns a line as lines no wider than a terminal, except for words that are longer."""
    starts = [0, *breaks(text, width, hang=hang), len(text)]
    lines = [text[start:stop].rstrip() for start, stop in zip(starts, starts[1:], strict=False)]
    return f"\n{' ' * hang}".join(lines)


def longest_piece(text: str) -> int:
    """Returns the cells of the longest part of a text that is not broken where there is room for it."""
    pieces = (piece for word in _WORDS[1].findall(text) for piece in _PIECE.findall(word))
    return max(map(cell_len, pieces), default=0)


def _words(text: str, longest: int) -> Iterator[re.Match[str]]:
    """Yields words, as many of them together as hold together and fit a line."""
    found = [_WORDS[0].finditer(text)]
    while found:
        word = next(found[-1], None)
        if word is None:
            found.pop()
        elif " " in word[0] and cell_len(word[0]) > longest:
            found.append(_WORDS[len(found)].finditer(text, *word.span()))
        else:
            yield word


def _pieces(word: str, room: int) -> Iterator[tuple[int, str]]:
    """Yields the parts of a word with their places: parts of a path, those that are too long cut."""
    for part in _PIECE.finditer(word):
        start = part.start()
        for piece in chop_cells(part[0], room):
            yield start, piece
            start += len(piece)
