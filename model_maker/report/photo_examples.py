"""Photos of a report: errors, the most confident first, and correct answers beside them."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from model_maker.data import streaming, thumbnails
from model_maker.data.entries import Location
from model_maker.inference.classifier import Scored
from model_maker.inference.explanation import Explain, Explanation
from model_maker.report import heat_map

Array = np.ndarray

# Keeps the page far below 3 MB: a thumbnail takes about 8 kB, and 3 ms to make.
MISTAKES, _CORRECT, _SIDE = 24, 12, 200
_MOST_OF_A_CLASS = 3  # correct answers


def worst(scored: Scored, most: int = MISTAKES) -> list[int]:
    """Returns the indices of the most confident errors, the most confident first."""
    scores = scored.scores.max(axis=1)
    wrong = np.flatnonzero(scored.scores.argmax(axis=1) != scored.labels)
    return [int(index) for index in wrong[np.argsort(-scores[wrong], kind="stable")][:most]]


def by_class(scored: Scored, labels: Sequence[str], explain: Explain | None) -> list[dict[str, Any]]:
    """Returns a group of photos for each class: correct answers, and errors beside them.

    The class with the most confident error comes first; of many classes, those with errors that are shown.
    """
    best, wrong = scored.scores.argmax(axis=1), worst(scored)
    found: Sequence[Explanation | None] = [None] * len(wrong)
    if explain:
        found = explain([scored.samples[index].path for index in wrong], [int(best[index]) for index in wrong])
    why = dict(zip(wrong, found, strict=True))
    errors: dict[int, list[int]] = {}
    for index in wrong:
        errors.setdefault(int(scored.labels[index]), []).append(index)
    order = dict.fromkeys([*errors, *np.unique(scored.labels).tolist()])
    correct = _correct(scored, best, list(order))
    chosen = {label: [*correct.get(label, ()), *errors.get(label, ())] for label in order}

    def show(index: int) -> dict[str, Any]:
        photo = _of_one(scored, index, labels, best)
        return photo | _why(scored.samples[index].path, why[index]) if index in why else photo

    every = [index for some in chosen.values() for index in some]
    shown = dict(zip(every, streaming.in_order(show, every, threads=streaming.cores()), strict=True))
    return [
        {
            "title": labels[label],
            "note": f"{int((best[scored.labels == label] == label).sum())} of {int((scored.labels == label).sum())} "
            "correct",
            "photos": [shown[index] for index in some],
        }
        for label, some in chosen.items()
        if some
    ]


def _correct(scored: Scored, best: Array, order: Sequence[int]) -> Mapping[int, list[int]]:
    """Returns correct answers of the first classes, from the most confident to the least."""
    chosen, scores = order[:_CORRECT], scored.scores.max(axis=1)
    each = min(_MOST_OF_A_CLASS, _CORRECT // len(chosen))
    found = {}
    for label in chosen:
        right = np.flatnonzero((scored.labels == label) & (best == label))
        right = right[np.argsort(-scores[right], kind="stable")]
        places = np.linspace(0, len(right) - 1, each) if each > 1 else np.array([(len(right) - 1) // 2])
        if len(right):
            found[label] = right[np.unique(places.astype(int))].tolist()
    return found


def _of_one(scored: Scored, index: int, labels: Sequence[str], best: Array) -> dict[str, Any]:
    true, answer = labels[scored.labels[index]], labels[best[index]]
    right = true == answer
    photo = _photo(scored.samples[index].path, right=right)
    return photo | {
        "alt": f"{true}, classified correctly" if right else f"{true}, classified as {answer}",
        "answers": [(answer, float(scored.scores[index, best[index]]))],
        "true": true,
    }


def of_labels(scored: Scored, labels: Sequence[str], limits: Array) -> tuple[list[dict[str, Any]], int]:
    """Returns groups of photos that may have several labels, and how many have a wrong or a missing one.

    Args:
      scored: photos and their scores.
      labels: C names.
      limits: float [C], the threshold of each label.
    """
    said = scored.scores >= limits
    wrong = said != scored.labels
    distance = np.where(wrong, np.abs(scored.scores - limits), 0).max(axis=1)
    errors = np.flatnonzero(wrong.any(axis=1))
    errors = errors[np.argsort(-distance[errors], kind="stable")]
    right = np.flatnonzero(~wrong.any(axis=1))
    spread = right[np.unique(np.linspace(0, len(right) - 1, _CORRECT // 2).astype(int))] if len(right) else right
    groups = [
        {"title": title, "note": note, "photos": [_of_several(scored, index, labels, said) for index in chosen]}
        for title, note, chosen in (
            ("Errors", "the farthest beyond the threshold first", errors[:MISTAKES]),
            ("Correct", f"exactly the right labels: {len(right)} of {len(said)} photos", spread),
        )
        if len(chosen)
    ]
    return groups, len(errors)


def _of_several(scored: Scored, index: int, labels: Sequence[str], said: Array) -> dict[str, Any]:
    true = ", ".join(labels[at] for at in np.flatnonzero(scored.labels[index])) or "no label"
    right = bool((said[index] == scored.labels[index]).all())
    return _photo(scored.samples[index].path, right=right) | {
        "alt": f"labeled {true}",
        "answers": [(labels[at], float(scored.scores[index, at])) for at in np.flatnonzero(said[index])],
        "true": true,
    }


def _photo(path: Location, *, right: bool) -> dict[str, Any]:
    return {
        "right": right,
        "place": "/".join(PurePath(str(path)).parts[-2:]),
        "address": thumbnails.address(path, _SIDE),
        "heat": "",
        "near": [],
    }


def _why(photo: Location, explanation: Explanation | None) -> dict[str, Any]:
    """Returns the heat map of an answer, and the training photos that speak for it."""
    if explanation is None:
        return {}
    drawn = heat_map.draw(photo, explanation.shares, _SIDE, explanation.fit)
    near = ["/".join(PurePath(entry.path).parts[-2:]) for entry in explanation.training_photos]
    return {"heat": thumbnails.address_of(drawn, _SIDE), "near": near}
