"""The order of the pile: which unlabelled photos to label first, sorted as `label` does and kept for a reload."""

from typing import Any

from model_maker.errors import DataError
from model_maker.progress import Progress
from model_maker.studio import kept_work, labelling
from model_maker.studio.workspace import QUEUE, Workspace, shown


def sort(workspace: Workspace, progress: Progress) -> None:
    """Sorts the pile and keeps the order.

    Raises:
      DataError: there is no pile, or no photos with labels.
    """
    before = kept_work.marks(photo.path for photo in workspace.pile())
    if not before:
        raise DataError("There are no photos to label: drop some first.")
    found = labelling.suggest(workspace.photos, list(before), progress=progress)
    queue = [
        kept_work.named(one.path, workspace.unlabelled, before[one.path]) | {"guess": one.guess, "score": one.score}
        for one in found
    ]
    kept_work.write(workspace.side / QUEUE, {"queue": queue})


def kept(workspace: Workspace) -> list[dict[str, Any]]:
    """Returns what is still in the pile, in its order, for the page; empty where it was not sorted."""
    record = kept_work.read(workspace.side / QUEUE)
    try:
        return [
            {
                "id": workspace.id_of(photo),
                "name": shown(photo.name),
                "guess": shown(entry["guess"]),
                "score": min(1.0, max(0.0, float(entry["score"]))),
            }
            for entry in (record or {"queue": []})["queue"]
            if (photo := kept_work.unchanged(entry, workspace.unlabelled)) is not None
        ]
    except kept_work.DAMAGE:
        return []
