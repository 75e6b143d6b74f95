"""Explanations of several photos as one HTML page that needs nothing else."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from model_maker.data import images, thumbnails
from model_maker.inference.explanation import Evidence, Explanation
from model_maker.report import heat_map, pages

# Of a thumbnail, pixels; on the page it is half as large, for sharp screens.
_SIDE = 320
LIMITS = (
    "A heat map shows what this model used, not what is true: a map on the background says that the model learned the "
    "background. A cell sees what surrounds it, too, so borders are soft."
)


@dataclass(frozen=True)
class Shown:
    """One photo on the page.

    Attributes:
      name: as it is shown.
      text: what is said of it, or an empty string.
      photo, heat: `data:` addresses of the photo and its heat map.
      explanation: of its answer.
    """

    name: str
    text: str
    photo: str
    heat: str
    explanation: Explanation


def shown(name: str, text: str, photo: Any, explanation: Explanation) -> Shown:
    """Draws a photo for the page; `photo` is a picture, or what `images.load` takes."""
    picture = images.picture(photo)
    drawn = heat_map.draw(picture, explanation.shares, _SIDE, explanation.fit)
    return Shown(name, text, thumbnails.address_of(picture, _SIDE), thumbnails.address_of(drawn, _SIDE), explanation)


def of(photos: Sequence[Shown], found: Sequence[Explanation]) -> list[Shown]:
    """Returns photos with what was found of their answers since they were drawn."""
    return [dataclasses.replace(one, explanation=more) for one, more in zip(photos, found, strict=True)]


def render(title: str, photos: Sequence[Shown]) -> str:
    """Writes the page."""
    return pages.render(
        "explanations.html",
        title=title,
        lead=LIMITS,
        photos=[
            {
                "answer": f"{one.explanation.label} {one.explanation.score:.3f}",
                "name": one.name,
                "text": one.text,
                "sum": describe(one.explanation),
                "address": one.photo,
                "heat": one.heat,
                "training": [_training(entry) for entry in one.explanation.training_photos],
            }
            for one in photos
        ],
    )


def describe(explanation: Explanation) -> str:
    """Returns the sum behind an answer in one line."""
    positive = float(explanation.shares[explanation.shares > 0].sum())
    negative = float(explanation.shares[explanation.shares < 0].sum())
    more = f" {explanation.unplaced:+.2f} without a place" if explanation.unplaced else ""
    sides = f"{positive:.2f} for it - {-negative:.2f} against it"
    return f"Logit {explanation.logit:.2f} = {sides}{more} {explanation.bias:+.2f} bias."


def _training(entry: Evidence) -> dict[str, str]:
    return {
        "label": entry.label,
        "name": "/".join(PurePath(entry.path).parts[-2:]),
        "weight": f"{100 * entry.weight:.1f} %",
        "address": thumbnails.address(entry.photo, _SIDE),
    }
