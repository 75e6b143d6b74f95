"""Label sets in a model file: which labels to show so that they include the right one at a promised rate.

A text file in the zip appended to the model holds them, which apps can read without a library: the coverage in the
first line, then for each label, in the order of the scores, its limit, the number of photos used to choose it, and
whether these are photos of the label itself (`class`) or of all labels (`all`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from model_maker.errors import ModelError

Array = np.ndarray[Any, Any]

LABEL_SETS = "label_sets.csv"
OWN, ALL = "class", "all"
_DAMAGED = f"The model's {LABEL_SETS} is damaged: {{}}. Train or export the model again."


@dataclass(frozen=True)
class LabelSets:
    """Which labels to show for a photo: the best one, and every other whose score reaches its limit.

    Attributes:
      coverage: promised share of photos whose label is among those shown, for example 0.95.
      limits: minimum score of each label; 0 where there are too few photos for a promise, so the label is always shown.
      photos: the number of photos that each limit was chosen on.
      by_class: whether these are photos of the label itself, so that the coverage holds per class, not only on average.
    """

    coverage: float
    limits: tuple[float, ...]
    photos: tuple[int, ...]
    by_class: tuple[bool, ...]

    def members(self, scores: Array) -> Array:
        """Returns which labels to show, bool [N, C], for scores, float [N, C]."""
        shown = scores >= np.array(self.limits, np.float32)
        shown[np.arange(len(scores)), scores.argmax(axis=1)] = True
        return shown

    def indices(self, scores: Array) -> list[int]:
        """Returns the labels to show for the scores of one photo, float [C], best first."""
        shown = self.members(scores[None])[0]
        return [int(index) for index in np.argsort(-scores, kind="stable") if shown[index]]


def pack(sets: LabelSets) -> bytes:
    """Returns the content of LABEL_SETS."""
    rows = zip(sets.limits, sets.photos, sets.by_class, strict=True)
    lines = [f"{float(limit)},{photos},{OWN if own else ALL}" for limit, photos, own in rows]
    return "\n".join([f"{sets.coverage}", *lines]).encode()


def unpack(content: bytes, *, labels: int) -> LabelSets:
    """Reads the content of LABEL_SETS.

    Raises:
      ModelError: it is damaged, or its number of rows is not the number of labels.
    """
    try:
        first, *lines = content.decode().splitlines()
        rows = [line.split(",") for line in lines]
        sets = LabelSets(
            float(first),
            tuple(float(limit) for limit, _, _ in rows),
            tuple(int(photos) for _, photos, _ in rows),
            tuple({OWN: True, ALL: False}[kind] for _, _, kind in rows),
        )
    except (ValueError, KeyError) as error:
        raise ModelError(_DAMAGED.format("a line cannot be read")) from error
    if not 0 < sets.coverage < 1 or not all(0 <= limit <= 1 for limit in sets.limits):
        raise ModelError(_DAMAGED.format("a number is not a share"))
    if len(sets.limits) != labels:
        raise ModelError(_DAMAGED.format(f"it has {len(sets.limits)} rows, and the model {labels} labels"))
    return sets
