"""Finding: one thing that is wrong, and the photos that it is about."""

from __future__ import annotations

from dataclasses import dataclass

from model_maker.data.entries import Location

# From the most serious on: it misleads training or its measurement; it should be looked at; it is good to know.
SEVERITIES = ("serious", "look", "know")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
      text: what, in a few words; it stands behind the photos' names.
      photos: whom it concerns; of copies, the one to keep first.
      removable: those of them that mending moves aside, where this kind of finding can be mended so.
      suggestion: the class that a photo looks like; empty where the finding is not about that.
      score: how sure, for ranking; higher is surer.
    """

    text: str
    photos: tuple[Location, ...] = ()
    removable: tuple[Location, ...] = ()
    suggestion: str = ""
    score: float = 0.0
