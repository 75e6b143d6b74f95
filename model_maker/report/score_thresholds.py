"""What an app answers from each score on: the rows behind the slider of a report, and of the table below it."""

from collections.abc import Sequence

import numpy as np

from model_maker.inference.classifier import Scored

Array = np.ndarray
Row = tuple[str, str, str]

# Scores from 0 to 1. In float32, in which apps compare scores with a threshold.
_SCORES = (np.arange(101) / 100).astype(np.float32)
# Where the slider starts, and the rows of the table.
START, _SHOWN = 50, (50, 70, 90, 95)


def rows(scored: Scored) -> list[Row]:
    """Returns 101 rows: a score, what is answered from there on, and what of it is right.

    Of photos with one label these are photos with an answer, and right answers. Of photos with several, labels that are
    found, of those that the photos have, and right labels among those shown.
    """
    scores, labels = scored.scores.astype(np.float32), scored.labels
    if labels.ndim == 2:
        shown, right = _from(scores.ravel()), _from(scores[labels.astype(bool)])
        return _rows(right, int(labels.sum()), right, shown)
    best = scores.max(axis=1)
    answered, right = _from(best), _from(best[scores.argmax(axis=1) == labels])
    return _rows(answered, len(labels), right, answered)


def table(found: Sequence[Row]) -> list[Row]:
    """Returns the rows to show where no script runs."""
    return [found[index] for index in _SHOWN]


def _from(scores: Array) -> Array:
    """Returns how many of some scores reach each of _SCORES."""
    return len(scores) - np.searchsorted(np.sort(scores), _SCORES)


def _rows(answered: Array, photos: int, right: Array, shown: Array) -> list[Row]:
    return [
        (f"{index / 100:.2f}", _share(int(some), photos), _share(int(hits), int(among)))
        for index, (some, hits, among) in enumerate(zip(answered, right, shown, strict=True))
    ]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} % ({part} of {whole})" if whole else "none"
