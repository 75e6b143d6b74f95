"""Labels as users give them: a list, one line with commas, or a file with one a line."""

import csv
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from model_maker.data import wordnet
from model_maker.errors import DataError
from model_maker.system import files


def parse(text: str) -> list[str]:
    """Reads labels: separated by commas, quoted where a label has one, or a `.txt` with one a line.

    Raises:
      DataError: the file cannot be read.

    Examples:
      >>> from model_maker.zero_shot_learning import labels
      >>> labels.parse('cat, "dog, barking"')
      ['cat', 'dog, barking']
    """
    if text.lower().endswith(".txt") and os.path.isfile(text):
        try:
            lines = files.read_regular(Path(text)).decode("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"{text} cannot be read as labels ({error}). Give a text file, one label a line."
            ) from error
        return [line.strip() for line in lines if line.strip()]
    try:
        rows = list(csv.reader([text], skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise DataError(f"The labels {text} have an open quotation mark. Quote a label as in '\"a, b\",c'.") from error
    return [label.strip() for row in rows for label in row]


def check(labels: Sequence[str]) -> tuple[str, ...]:
    """Returns labels that can be told apart.

    Raises:
      DataError: there are fewer than two, one is empty or no single line, or two are the same word.
    """
    found = tuple(labels)
    for label in found:
        if not isinstance(label, str) or not label.strip() or len(label.splitlines()) != 1:
            raise DataError(f"The label {label!r} is empty or not one line. Give each label as a word or a few.")
    if len(found) < 2:
        given = f"There is one label, {found[0]!r}" if found else "There are no labels"
        raise DataError(f"{given}: a classifier needs two or more to choose from, for example 'cat,dog'.")
    counts = Counter(wordnet.normalized(label) for label in found)
    if twice := [label for label in found if counts[wordnet.normalized(label)] > 1]:
        raise DataError(f"These labels are the same word: {listed(twice)}. Give each once.")
    return found


def listed(names: Sequence[str], most: int = 8) -> str:
    """Returns names in a line, the first few of many."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
