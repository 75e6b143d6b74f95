"""Detects the layout of class folders: which folders are classes, and which are splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple, Protocol

from model_maker.data import images, skipped_files, split_names
from model_maker.data.skipped_files import MASKS, PICTURES, listed
from model_maker.errors import DataError

_HOW = (
    "Pass them as `train_dir`, `val_dir` and `test_dir`, pass only one of them, or list the photos in a manifest "
    "(CSV: path,label,split)."
)


class Folder(Protocol):
    """The interface of a folder."""

    @property
    def name(self) -> str: ...

    @property
    def folders(self) -> Sequence[Folder]:
        """Its subfolders, sorted by name, without hidden ones and leftovers."""

    @property
    def loose(self) -> int:
        """The photos directly in it."""

    @property
    def holds_photos(self) -> bool:
        """Whether it contains photos at any depth."""

    @property
    def is_output(self) -> bool:
        """Whether it holds one of `passed_over.OUTPUTS`."""

    def __str__(self) -> str: ...


class ClassFolder(NamedTuple):
    """A folder of photos of one class; `part` is the split that the layout states, or ""."""

    folder: Folder
    name: str
    part: str = ""


@dataclass(frozen=True)
class ListedFolder:
    """A Folder from a list of files, for archives and object stores.

    Attributes:
      home: the root of `path`, for messages.
      path: path components from there.
      files: names of the files directly in it.
      below: the folders in it, by name.
    """

    home: str
    path: tuple[str, ...]
    files: list[str]
    below: dict[str, ListedFolder]

    @classmethod
    def of(cls, home: str, places: Iterable[Sequence[str]]) -> ListedFolder:
        """Builds the tree from files, each given as path components."""
        root = cls(home, (), [], {})
        for place in places:
            folder = root
            for name in place[:-1]:
                if name not in folder.below:
                    folder.below[name] = cls(home, (*folder.path, name), [], {})
                folder = folder.below[name]
            folder.files.append(place[-1])
        return root

    def __str__(self) -> str:
        return "/".join((self.home, *self.path))

    @property
    def name(self) -> str:
        return self.path[-1] if self.path else ""

    @property
    def folders(self) -> list[ListedFolder]:
        return [self.below[name] for name in sorted(self.below) if not skipped_files.is_passed_over(name)]

    @property
    def loose(self) -> int:
        return sum(images.is_photo(PurePosixPath(name).suffix) for name in self.files)

    @property
    def holds_photos(self) -> bool:
        return bool(self.loose) or any(folder.holds_photos for folder in self.folders)

    @property
    def is_output(self) -> bool:
        return any(name in self.files for name in skipped_files.OUTPUTS)

    def photos(self) -> Iterable[tuple[str, ...]]:
        """Yields the paths of photos in it, without those in training outputs."""
        for name in self.files:
            if images.is_photo(PurePosixPath(name).suffix) and not skipped_files.is_hidden(name):
                yield (*self.path, name)
        for folder in self.folders:
            if not folder.is_output:
                yield from folder.photos()


def arrange(root: Folder, notes: list[str], *, unwrap: bool = False) -> list[ClassFolder]:
    """Detects which folders are classes, and which are splits with classes below.

    Args:
      notes: receives what was skipped and why, one sentence each.
      unwrap: whether to skip a single top-level folder, as in archives.

    Raises:
      DataError: folders may be splits or classes, or images and masks; the message describes them.
    """
    root = _inner(root, unwrap=unwrap)
    folders = _with_photos(root, notes)
    _refuse_masks(root, folders)
    if root.loose and folders:
        skipped_files.note_loose(root.loose, root, notes)
    stated = split_names.read([folder.name for folder in folders])
    if folders and len(stated) == len(folders):
        return _of_parts(folders, stated, notes)
    if _are_parts_among_others(folders, stated):
        return _of_parts(_without_others(root, folders, stated, notes), stated, notes)
    _refuse_versions(root, folders)
    if len(stated) > 1:
        names = " and ".join(sorted(stated))
        notes.append(f"{root} has {names} beside other folders, so all of them are used as classes.")
    if found := _with_parts_inside(folders, notes):
        return found
    for folder in folders:
        _refuse_masks(folder, folder.folders)
    return [ClassFolder(folder, folder.name) for folder in folders]


def _inner(root: Folder, *, unwrap: bool) -> Folder:
    """Skips a single top-level folder: around splits always, around classes only with `unwrap`."""
    while True:
        filled = [folder for folder in root.folders if folder.holds_photos and not folder.is_output]
        if len(filled) != 1 or root.loose:
            return root
        [only] = filled
        below = [folder.name for folder in only.folders if folder.holds_photos]
        stated = split_names.read(below)
        around_parts = len(set(stated.values()) - {""}) > 1 and not only.loose and not split_names.read([only.name])
        if not (around_parts or (unwrap and below and not split_names.read([only.name]))):
            return root
        root = only


def _with_photos(root: Folder, notes: list[str]) -> list[Folder]:
    folders = list(root.folders)
    for folder in folders:
        if folder.is_output:
            kinds = " or ".join(skipped_files.OUTPUTS)
            notes.append(f"{folder} is an output of Model Maker (it holds {kinds}) and is not used.")
    folders = [folder for folder in folders if not folder.is_output]
    empty = [folder for folder in folders if not folder.holds_photos]
    if len(empty) == 1:
        skipped_files.note_empty(empty[0], notes)
    elif empty:
        notes.append(
            f"{listed([folder.name for folder in empty])} in {root} contain no photos and are not used as classes."
        )
    return [folder for folder in folders if folder.holds_photos]


def _of_parts(folders: Sequence[Folder], stated: dict[str, str], notes: list[str]) -> list[ClassFolder]:
    found = []
    for folder in folders:
        part, inner = stated[folder.name], same_inside(folder)
        if not part:
            notes.append(f"{folder} is named like photos without labels: not used.")
            continue
        if inner.loose:
            skipped_files.note_loose(inner.loose, inner, notes)
        classes = _with_photos(inner, notes)
        _refuse_masks(inner, classes)
        for each in classes:
            _refuse_masks(each, each.folders)
        found += [ClassFolder(each, each.name, part) for each in classes]
    return found


def same_inside(folder: Folder) -> Folder:
    """Skips nested folders with the same or a generic name: `seg_train/seg_train/forest`."""
    while True:
        filled = [below for below in folder.folders if below.holds_photos]
        if len(filled) != 1 or folder.loose or not any(below.holds_photos for below in filled[0].folders):
            return folder
        [only] = filled
        if (
            only.name.lower() != folder.name.lower()
            and not split_names.says_nothing(only.name)
            and not split_names.read([only.name])
        ):
            return folder
        folder = only


def _class_names(folder: Folder) -> set[str]:
    return {below.name for below in same_inside(folder).folders if below.holds_photos}


def _are_parts_among_others(folders: Sequence[Folder], stated: dict[str, str]) -> bool:
    """Returns whether folders are certainly splits: by name, one of them for training, with common classes."""
    named = [folder for folder in folders if stated.get(folder.name)]
    if "train" not in stated.values() or len({stated[folder.name] for folder in named}) < 2:
        return False
    learned = set().union(*(_class_names(folder) for folder in named if stated[folder.name] == "train"))
    return any(len(learned & _class_names(folder)) > 1 for folder in named if stated[folder.name] != "train")


def _without_others(root: Folder, folders: Sequence[Folder], stated: dict[str, str], notes: list[str]) -> list[Folder]:
    known = set().union(*(_class_names(folder) for folder in folders if folder.name in stated))
    others = [folder for folder in folders if folder.name not in stated]
    for folder in others:
        if folder.name in known or len(known & _class_names(folder)) > 1:
            raise DataError(
                f"{root}: {listed(sorted(stated))} are dataset splits, and {folder.name} beside them contains the "
                f"same classes. Move it out, or list the photos in a manifest (CSV: path,label,split)."
            )
    notes.append(f"{listed([folder.name for folder in others])} beside {listed(sorted(stated))} in {root}: not used.")
    return [folder for folder in folders if folder.name in stated]


def _refuse_versions(root: Folder, folders: Sequence[Folder]) -> None:
    """Raises an error for folders with the same subfolders: splits or versions of a dataset, not classes."""
    inside = {folder: _significant(_class_names(folder)) for folder in folders if not same_inside(folder).loose}
    names = {folder.name for folder in folders}
    for folder, below in inside.items():
        if len(again := sorted(below & (names - {folder.name}))) > 1:
            raise DataError(
                f"{root}: {folder.name} contains folders named like those beside it ({listed(again)}), so it looks "
                "like a copy or a split of the dataset, not a class. Move it out."
            )
    counts = Counter(name for below in inside.values() for name in below)
    shared = {name for name, count in counts.items() if count > 1}
    alike = [
        folder for folder, below in inside.items() if len(below & shared) > 1 and 2 * len(below & shared) >= len(below)
    ]
    if len(alike) > 1 and 2 * len(alike) >= len(folders) and not _all_state_parts(alike):
        raise DataError(
            f"{root}: {listed([folder.name for folder in alike])} contain the same folders ({listed(sorted(shared))}) "
            f"and look like splits or versions of one dataset, not classes. {_HOW}"
        )


def _significant(names: set[str]) -> set[str]:
    return {name for name in names if not split_names.says_nothing(name) and name.lower() not in PICTURES | MASKS}


def _all_state_parts(folders: Sequence[Folder]) -> bool:
    return all(len(split_names.read(names := sorted(_class_names(folder)))) == len(names) for folder in folders)


def _with_parts_inside(folders: Sequence[Folder], notes: list[str]) -> list[ClassFolder]:
    """Returns classes whose folders contain splits, `roses/train` and `roses/test`; empty unless all do."""
    found = []
    for folder in folders:
        below = [each for each in folder.folders if each.holds_photos]
        stated = split_names.read([each.name for each in below])
        if folder.loose or len(stated) < len(below) or "train" not in stated.values() or len(set(stated.values())) < 2:
            return []
        found += [ClassFolder(each, folder.name, stated[each.name]) for each in below if stated[each.name]]
    return found


def _refuse_masks(home: Folder, folders: Sequence[Folder]) -> None:
    skipped_files.refuse_masks_beside(home, [folder.name for folder in folders if folder.holds_photos])
