"""What `classes` prints."""

from model_maker.classes.editing import Edited, NewPhotos
from model_maker.output_folder import MODEL
from model_maker.terminal import rendering
from model_maker.terminal.rendering import escape, percent

# Labels that are listed; those at the end, for new ones are there.
_MOST = 12


def show_edited(found: Edited) -> None:
    """Prints what an edit made, and what is known of its accuracy."""
    names = found.labels if len(found.labels) <= _MOST else ("...", *found.labels[-_MOST:])
    rows = [("classes", escape(f"{len(found.labels)}: {', '.join(names)}"))]
    rows += [(one.label, _known(one)) for one in found.new]
    if found.old:
        rows.append(
            (
                "old classes",
                f"{percent(found.old.after)} on {found.old.photos} photos, {percent(found.old.before)} before",
            )
        )
    elif found.new:
        rows.append(("old classes", "not measured; --data DIR with photos of them measures it"))
    rendering.facts(rendering.console(), rows, [("model", escape(str(found.directory / MODEL)))])


def _known(one: NewPhotos) -> str:
    photos = f"{one.photos} photo" + ("s" if one.photos > 1 else "")
    if one.top1_interval is None:
        return f"{photos}; nothing left to test on, so its accuracy is not known"
    low, high = one.top1_interval
    before = "" if one.known_before is None else f", {one.known_before} before the edit"
    interval = f"95 % interval {100 * low:.0f} % to {100 * high:.0f} %"
    return f"{photos}, {one.found} recognized when left out ({interval}){before}"
