"""The robustness of a model on one page: a table of conditions, and photos in each of them."""

from typing import Any

from PIL import Image

from model_maker.assessment.conditions import COVERED
from model_maker.assessment.robustness import Measured, Robustness, conditions_of
from model_maker.data import thumbnails
from model_maker.report import pages

# Of a thumbnail, pixels.
_SIZE = 224
LIMITS = (
    "The conditions are computed from photos, each at one strength; they stand for no camera, and photos that were "
    "taken in such conditions may fare better or worse."
)


def render(found: Robustness) -> str:
    """Writes the page; the photos are opened again."""
    shown: dict[str, list[str]] = {one.name: [] for one in found.conditions}
    for sample in found.samples:
        for name, pixels in conditions_of(sample.path, _SIZE, sample.digest):
            shown[name].append(thumbnails.address_of(Image.fromarray(pixels), _SIZE))
    return pages.render(
        "robustness.html",
        title=f"{found.model or 'Model'}: robustness",
        photos=found.photos,
        augment=found.augment,
        background=background(found),
        betrayed=found.betrayed,
        rows=[_row(one) | {"photos": shown[one.name]} for one in found.conditions],
        notes=found.notes,
        limits=LIMITS,
    )


def background(found: Robustness) -> str:
    """Says what answers without the object mean."""
    covered = next(one for one in found.conditions if one.name == COVERED)
    share = f"With the middle covered, {100 * covered.top1:.1f} % of the answers are still correct"
    chance = f"the most frequent class alone would give {100 * found.majority:.1f} %"
    if found.betrayed:
        return f"{share}; {chance}. So the background, or the rim of the object, gives the class away."
    return f"{share}; {chance}. So the background gives little away."


def _row(one: Measured) -> dict[str, Any]:
    low, high = one.top1_interval
    regained = ""
    if one.regained is not None and one.regained_interval is not None:
        first, last = (f"{100 * end:+.1f}" for end in one.regained_interval)
        regained = f"{100 * one.regained:+.1f} ({first} to {last})"
    return {
        "name": one.name,
        "what": one.what,
        "source": one.source,
        "share": f"{100 * one.top1:.1f}",
        "interval": f"{100 * low:.1f} to {100 * high:.1f} %",
        "change": f"{100 * one.change:+.1f}" if one.change else "0.0",
        "score": f"{one.score:.2f}",
        "regained": regained,
    }
