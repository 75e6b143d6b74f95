"""Reads label files, which other tools put next to a model: lines, numbered lines, or JSON."""

import json
import os
import re
from pathlib import Path
from typing import Any

from model_maker.errors import DataError

# Teachable Machine numbers its labels: `0 daisy`.
_NUMBERED = re.compile(r"(\d+)[ :,\t]+(\S.*)")
# Names of the first score in early TensorFlow models.
_BACKGROUND = ("background", "???", "__background__", "dummy")
_MOST_BYTES = 16 << 20


def read(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Returns the labels of a file, in the order of the model's scores.

    Args:
      path: one label per line, with or without its number before it; or `.json` with a list, {"0": "daisy"} or
        {"daisy": 0}.

    Raises:
      DataError: it cannot be read, or does not map labels to indices.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path} is too large for a file of labels: {path.stat().st_size:,} bytes.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}). Pass a file with one label per line.") from error
    except ValueError as error:  # also for an invalid file name
        raise DataError(f"{path} is not UTF-8 text. Pass a file with one label per line.") from error
    labels = _of_json(path, text) if path.suffix.lower() == ".json" else _of_lines(text)
    if not labels:
        raise DataError(f"{path} holds no labels. Pass a file with one label per line.")
    for number, label in enumerate(labels, 1):
        if not label.strip() or not label.isprintable():
            raise DataError(f"{path}: label {number}, {label!r}, is not a name. Pass one label per line, without gaps.")
    return labels


def check_count(labels: tuple[str, ...], scores: int, path: object) -> None:
    """Checks that there is a label for each score.

    Raises:
      DataError: their numbers differ; the message suggests a reason.
    """
    if len(labels) == scores:
        return
    hint = "Pass the labels of this model."
    if len(labels) == scores + 1 and labels[0].strip().lower() in _BACKGROUND:
        hint = f"The first, {labels[0]!r}, belongs to models that score the background, too: leave that line out."
    elif len(labels) == scores - 1:
        hint = "If the model scores the background first, put a line for it before the others."
    raise DataError(f"{path} has {len(labels)} labels, and the model gives {scores} scores. {hint}")


def _of_lines(text: str) -> tuple[str, ...]:
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n") if text.strip() else []
    numbered = [_NUMBERED.fullmatch(line.strip()) for line in lines]
    if len(lines) > 1 and all(match and int(match[1]) == place for place, match in enumerate(numbered)):
        return tuple(match[2].strip() for match in numbered if match)
    return tuple(lines)


def _of_json(path: Path, text: str) -> tuple[str, ...]:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({str(error)[:80]}).") from error
    if isinstance(found, dict) and found and all(isinstance(value, int) for value in found.values()):
        found = {str(number): name for name, number in found.items()}
    if isinstance(found, dict):
        if set(found) != {str(number) for number in range(len(found))}:
            raise DataError(f"{path} does not number its labels from 0 to {len(found) - 1}.")
        found = [found[str(number)] for number in range(len(found))]
    if not isinstance(found, list) or not all(isinstance(label, str) for label in found):
        raise DataError(f'{path} is neither a list of labels, nor {{"0": "daisy"}}, nor {{"daisy": 0}}.')
    return tuple(found)
