"""Finding: one problem, and the photos that have it."""

from dataclasses import dataclass

from model_maker.data.entries import Location

# The most serious first: distorts training or its measurement; should be checked; for information.
SEVERITIES = ("serious", "look", "know")


@dataclass(frozen=True)
class Finding:
    """One problem.

    Attributes:
      text: a short description, shown after the names of the photos.
      photos: the affected photos; among copies, the one to keep comes first.
      removable: those of them that `mend` moves, if this kind of finding can be fixed that way.
      suggestion: the class that a photo looks like; empty for findings of other kinds.
      score: confidence for ranking; higher is more confident.
    """

    text: str
    photos: tuple[Location, ...] = ()
    removable: tuple[Location, ...] = ()
    suggestion: str = ""
    score: float = 0.0
