"""Workspace: a folder of photos, what the studio keeps beside it, and the model that comes of it.

The folders are the state: whatever shows a page is read from them, so studios, other programs and the command line may
all work on the same photos. Photos have identifiers that are made here; no path ever comes from a page.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_maker.data import folders, skipped_files, split_names
from model_maker.data.skipped_files import counted
from model_maker.errors import DataError, OutputError
from model_maker.studio import names
from model_maker.studio.moves import MoveLog
from model_maker.system import files, moved_files

MOST_PHOTOS = 100_000
_PHOTOS, _SIDE = "photos", "studio"
# Files beside the photos: the log of moves, the last check, the order of the pile.
_MOVES, FINDINGS, QUEUE = "moves.jsonl", "findings.json", "queue.json"


@dataclass(frozen=True)
class Photo:
    """A photo on the page: the identifier by which the page knows it, and where it lies."""

    id: str
    path: Path


class Workspace:
    """Photos by class, unlabelled ones, and a trash.

    Args:
      data: the folder of class folders; made where it is missing.

    Attributes:
      side: beside it, `<data>_studio`: trash, unlabelled photos, the log of moves, the last result.
      model: beside it, `<data>_model`, as `train` names it.

    Raises:
      DataError: it is not a folder, or its photos are divided into parts.
      OutputError: it cannot be made, or written to.
    """

    def __init__(self, data: str | os.PathLike[str]):
        root = Path(data).resolve()
        if not root.name:
            raise DataError(f"{root} is not a folder of photos: pass one with a folder for each class.")
        if root.exists() and not root.is_dir():
            raise DataError(f"{root} is a file: give a folder that holds a folder of photos for each class.")
        with files.explained(root):
            root.mkdir(parents=True, exist_ok=True)
        self.photos = _classes_of(root)
        self.side = root.with_name(f"{root.name}_studio")
        self.model = root.with_name(f"{root.name}_model")
        self.trash, self.unlabelled = self.side / "trash", self.side / "unlabelled"
        for folder in (self.photos, self.photos.parent):
            if not os.access(folder, os.W_OK):
                raise OutputError(f"No permission to write in {folder}. Change that, or choose another folder.")
        with files.explained(self.side):
            self.side.mkdir(exist_ok=True)
        self._moves = MoveLog({_SIDE: self.side, _PHOTOS: self.photos}, self.side / _MOVES)
        self._known: dict[str, Path] = {}

    def classes(self) -> dict[str, list[Photo]]:
        """Returns the photos of each class, empty ones too, by name."""
        return {folder.name: self._list(folder) for folder in self._folders()}

    def pile(self) -> list[Photo]:
        """Returns the photos that have no label yet."""
        return self._list(self.unlabelled) if self.unlabelled.is_dir() else []

    def last_action(self) -> str:
        """Returns what `undo` would take back; empty where there is nothing."""
        action = self._moves.last()
        return action.what if action else ""

    def stamp(self) -> str:
        """Returns what changes whenever somebody adds or moves photos, trains, checks or sorts, for a few looks."""
        kept = [self.side / name for name in (_MOVES, FINDINGS, QUEUE)]
        watched = [*self._folders(), self.photos, self.unlabelled, *kept, self.model]
        facts = [f"{path.name} {_changed(path)}" for path in watched]
        return hashlib.sha256("\n".join(facts).encode(errors="surrogateescape")).hexdigest()[:16]

    def path(self, photo: object) -> Path:
        """Returns where a photo lies.

        Raises:
          DataError: there is none of that identifier.
        """
        name = photo if isinstance(photo, str) else ""
        if name not in self._known:
            self.classes()
            self.pile()
        found = self._known.get(name)
        if found is None or not found.is_file():
            raise DataError("This photo is no longer there: somebody has moved it.")
        return found

    def id_of(self, path: Path) -> str:
        """Returns the identifier of a photo in this workspace."""
        base, name = (self.side, _SIDE) if path.is_relative_to(self.side) else (self.photos, _PHOTOS)
        spelled = f"{name}\0{path.relative_to(base).as_posix()}".encode(errors="surrogateescape")
        identifier = hashlib.sha256(spelled).hexdigest()[:20]
        self._known[identifier] = path
        return identifier

    def add_class(self, text: object) -> str:
        """Makes an empty class; returns its name."""
        name = names.new_class(text, self._by_name())
        with files.explained(self.photos / name):
            (self.photos / name).mkdir()
        return name

    def rename_class(self, old: object, new: object) -> str:
        """Gives a class another name."""
        folder = self.home_of(old)
        name = names.new_class(new, [other for other in self._by_name() if other != folder.name])
        if name != folder.name:
            self._moves.carry_out(f"renamed {folder.name} to {name}", [(folder, self.photos / name)])
        return name

    def merge_classes(self, one: object, into: object) -> None:
        """Moves all photos of a class to another one, and takes the class away."""
        source, target = self.home_of(one), self.home_of(into)
        if source == target:
            raise DataError("A class cannot be merged with itself: choose another one.")
        wanted = [(path, target / path.name) for path in folders.photos(source)]
        self._moves.carry_out(f"merged {source.name} into {target.name}", wanted)
        _remove_empty(source)

    def delete_class(self, name: object) -> None:
        """Moves a class with its photos to the trash."""
        folder = self.home_of(name)
        self._moves.carry_out(f"deleted the class {folder.name}", [(folder, self._bin() / folder.name)])

    def move(self, photos: Sequence[object], to: object) -> None:
        """Moves photos to a class."""
        target = self.home_of(to)
        paths = [path for path in map(self.path, photos) if path.parent != target]
        what = f"moved {counted(len(paths), 'photo')} to {target.name}"
        self._moves.carry_out(what, [(path, target / path.name) for path in paths])

    def delete(self, photos: Sequence[object]) -> None:
        """Moves photos to the trash."""
        paths, place = list(map(self.path, photos)), self._bin()
        self._moves.carry_out(
            f"deleted {counted(len(paths), 'photo')}", [(path, place / path.parent.name / path.name) for path in paths]
        )

    def accept(self, what: str, finding: str) -> None:
        """Notes that a finding of a check is to be left alone."""
        self._moves.note(what, finding)

    def accepted(self) -> frozenset[str]:
        """Returns the findings that are to be left alone."""
        return self._moves.notes()

    def undo(self) -> str:
        """Takes the last action back; returns what it was."""
        return self._moves.undo()

    def put(self, source: Path, folder: Path, name: str) -> Path:
        """Takes a new file into a folder of this workspace.

        Raises:
          DataError: there are too many photos.
        """
        if len(self._known) > MOST_PHOTOS:
            raise DataError(f"A studio keeps {MOST_PHOTOS:,} photos at most; `train` takes more from a folder.")
        placed = self._moves.put(source, folder / names.photo_file(name))
        self.id_of(placed)
        return placed

    def _folders(self) -> list[Path]:
        with files.explained(self.photos):
            found = [Path(entry.path) for entry in os.scandir(self.photos) if entry.is_dir()]
        visible = [
            folder
            for folder in found
            if not skipped_files.is_passed_over(folder.name)
            and not any((folder / name).is_file() for name in skipped_files.OUTPUTS)
        ]
        return sorted(visible, key=lambda folder: folder.name)

    def _by_name(self) -> dict[str, Path]:
        return {folder.name: folder for folder in self._folders()}

    def home_of(self, name: object) -> Path:
        """Finds the folder of a class: what a page says is compared with what is there, and never made a path."""
        found = self._by_name().get(name) if isinstance(name, str) else None
        if found is None:
            raise DataError(f"There is no class {str(name)[:60]!r}: somebody has renamed or deleted it.")
        return found

    def _list(self, folder: Path) -> list[Photo]:
        return [Photo(self.id_of(path), path) for path in folders.photos(folder)]

    def _bin(self) -> Path:
        """Returns a new folder in the trash, which is made when something moves there."""
        return moved_files.free_name(self.trash / "deleted")


def as_dict(workspace: Workspace) -> dict[str, Any]:
    """Returns what a page shows of the photos, as plain JSON types."""

    def plain(photos: Iterable[Photo]) -> list[dict[str, str]]:
        return [{"id": photo.id, "name": shown(photo.path.name)} for photo in photos]

    classes = workspace.classes()
    return {
        "folder": shown(workspace.photos),
        "classes": [{"name": shown(name), "photos": plain(photos)} for name, photos in classes.items()],
        "listing": listing(classes),
        "unlabelled": plain(workspace.pile()),
        "undo": shown(workspace.last_action()),
        "stamp": workspace.stamp(),
    }


def listing(classes: Mapping[str, Sequence[Photo]]) -> str:
    """Returns what is the same as long as no photo comes, moves or goes."""
    return hashlib.sha256("".join(photo.id for group in classes.values() for photo in group).encode()).hexdigest()


def shown(name: object) -> str:
    """Returns a name as a page can have it: bytes that are no text are replaced."""
    return str(name).encode(errors="replace").decode()


def _classes_of(root: Path) -> Path:
    """Returns the folder with the class folders; photos that are divided already are none of the studio's."""
    inner = folders.within(root)
    found = [path.name for path in inner.iterdir() if path.is_dir()]
    parts = split_names.read(found)
    if len(set(parts.values()) - {""}) > 1:
        raise DataError(
            f"{root} is divided into {' and '.join(sorted(parts))}, and the studio works on one folder for each class: "
            "give one of these, or use `train`."
        )
    loose = sum(path.is_file() and folders.is_picture(path) for path in inner.iterdir())
    if loose and not found:
        raise DataError(
            f"{root} holds {counted(loose, 'photo')} and no folder of a class: give the folder above it, or a new "
            "one, and drop these photos there."
        )
    return inner


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _remove_empty(folder: Path) -> None:
    """Removes a folder and those below it, as far as they hold nothing."""
    for current, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(current)
        except OSError:  # something else is in it, and stays
            return
