"""Groups of photos as one HTML page that needs nothing else: what a search found, what went into which folder."""

from collections.abc import Sequence
from dataclasses import dataclass

from model_maker.data import thumbnails
from model_maker.data.entries import Location
from model_maker.report import pages

# Of a thumbnail, pixels; on the page it is half as large, for sharp screens.
_SIDE = 240


@dataclass(frozen=True)
class Group:
    """Some photos below a heading.

    Attributes:
      title, text: the heading and the line below it.
      photos: where each lies, its name, and what is said of it.
    """

    title: str
    text: str
    photos: Sequence[tuple[Location, str, str]]


def render(title: str, lead: str, groups: Sequence[Group]) -> str:
    """Writes the page; photos are opened again for their thumbnails, which carry no EXIF."""
    return pages.render(
        "photo_groups.html",
        title=title,
        lead=lead,
        groups=[
            {
                "title": group.title,
                "text": group.text,
                "photos": [
                    {"address": thumbnails.address(place, _SIDE), "name": name, "text": text}
                    for place, name, text in group.photos
                ],
            }
            for group in groups
        ],
    )
