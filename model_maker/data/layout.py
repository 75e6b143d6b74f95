"""The layout of class folders, wherever they lie: what is a class, what a part, what is passed over, in words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import NamedTuple, Protocol

from model_maker.data import images, parts
from model_maker.data.entries import Entry
from model_maker.errors import DataError
from model_maker.output_folder import RUN

# What NAS boxes, galleries, macOS, Windows and notebooks put beside photos; in lower case. What begins with a dot is
# hidden anyway.
_LEFTOVERS = frozenset(
    [
        "__macosx",
        "_macosx",
        "@eadir",
        "#recycle",
        "@recycle",
        "@recently-snapshot",
        "#snapshot",
        "$recycle.bin",
        "recycler",
        "lost+found",
        "thumbnails",
        "_thumbnails",
        "_thumbs",
        "__pycache__",
        "found.000",
    ]
    + ["system volume information", "temporary items", "network trash folder", "lightroom previews.lrdata"]
)
# Files that only outputs hold: of training, and of `doctor --fix`.
OUTPUTS = (RUN, "moves.jsonl")
_PICTURES = frozenset(
    [
        "image",
        "images",
        "img",
        "imgs",
        "photo",
        "photos",
        "picture",
        "pictures",
        "jpegimages",
        "rgb",
        "original",
        "originals",
    ]
)
_MASKS = frozenset(
    [
        "mask",
        "masks",
        "groundtruth",
        "gt",
        "segmentation",
        "segmentations",
        "segmentationclass",
        "segmentationobject",
        "seg",
        "label",
        "labels",
        "annotation",
        "annotations",
    ]
)
_MASK_NAME = re.compile(r"(.+?)[ _.-]+(?:mask|seg|segmentation|gt|groundtruth)(?:[ _.-]*\d+)?", re.IGNORECASE)
# Of a folder's photos, this share named as masks of others is no accident.
_MANY_MASKS = 0.2
_HOW = (
    "Name them train, val and test, give one of them alone, or list the photos in a manifest (CSV: path,label,split)."
)


class Folder(Protocol):
    """A folder as this module sees it."""

    @property
    def name(self) -> str: ...

    @property
    def folders(self) -> Sequence[Folder]:
        """Those in it that are neither hidden nor left over, sorted by name."""

    @property
    def loose(self) -> int:
        """Photos directly in it."""

    @property
    def holds_photos(self) -> bool:
        """Whether there are photos in it, however deep."""

    @property
    def is_output(self) -> bool:
        """Whether it holds one of OUTPUTS."""

    def __str__(self) -> str: ...


class ClassFolder(NamedTuple):
    """A folder of photos of one class.

    Attributes:
      folder: the folder.
      name: of the class.
      part: the part that the layout states, or "".
    """

    folder: Folder
    name: str
    part: str = ""


@dataclass(frozen=True)
class ListedFolder:
    """A Folder made of a list of files, as archives and object stores give it.

    Attributes:
      home: what the path below is taken from, for messages.
      path: from there, as parts.
      files: names of the files directly in it.
      below: the folders in it, by name.
    """

    home: str
    path: tuple[str, ...]
    files: list[str]
    below: dict[str, ListedFolder]

    @classmethod
    def of(cls, home: str, places: Iterable[Sequence[str]]) -> ListedFolder:
        """Makes the tree of files that are given as parts of their paths."""
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
        return [self.below[name] for name in sorted(self.below) if not is_passed_over(name)]

    @property
    def loose(self) -> int:
        return sum(images.is_photo(PurePosixPath(name).suffix) for name in self.files)

    @property
    def holds_photos(self) -> bool:
        return bool(self.loose) or any(folder.holds_photos for folder in self.folders)

    @property
    def is_output(self) -> bool:
        return any(name in self.files for name in OUTPUTS)

    def photos(self) -> Iterable[tuple[str, ...]]:
        """Yields the places of photos in it, without those in outputs of training."""
        for name in self.files:
            if images.is_photo(PurePosixPath(name).suffix) and not is_hidden(name):
                yield (*self.path, name)
        for folder in self.folders:
            if not folder.is_output:
                yield from folder.photos()


def is_hidden(name: str) -> bool:
    """Tells whether a file or folder of that name is not meant to be seen."""
    return name.startswith(".") or name == "__MACOSX"


def is_passed_over(name: str) -> bool:
    """Tells whether a folder of that name is hidden, or left by a program that keeps thumbnails or rubbish there."""
    return is_hidden(name) or is_leftover(name)


def is_leftover(name: str) -> bool:
    """Tells whether a program left a folder of that name, so that renaming would not make it a class."""
    return name.lower().lstrip(".") in _LEFTOVERS or name.lower() in (".thumbs", ".ipynb_checkpoints", ".trash")


def arrange(root: Folder, notes: list[str], *, unwrap: bool = False) -> list[ClassFolder]:
    """Finds out which folders are classes, and which are parts with classes below.

    Args:
      root: the data set.
      notes: receives what was passed over and why, one sentence each.
      unwrap: whether a folder that holds all is passed through, as archives have one.

    Raises:
      DataError: folders that may be parts or classes, or pictures and masks; the message says what was seen.
    """
    root = _inner(root, unwrap=unwrap)
    folders = _with_photos(root, notes)
    _refuse_masks_beside(root, folders)
    if root.loose and folders:
        note_loose(root.loose, root, notes)
    stated = parts.read([folder.name for folder in folders])
    if folders and len(stated) == len(folders):
        return _of_parts(folders, stated, notes)
    if _are_parts_among_others(folders, stated):
        return _of_parts(_without_others(root, folders, stated, notes), stated, notes)
    _refuse_versions(root, folders)
    if len(stated) > 1:
        names = " and ".join(sorted(stated))
        notes.append(f"{root} has {names} beside other folders, so all of them are taken as classes.")
    if found := _with_parts_inside(folders, notes):
        return found
    for folder in folders:
        _refuse_masks_beside(folder, folder.folders)
    return [ClassFolder(folder, folder.name) for folder in folders]


def _inner(root: Folder, *, unwrap: bool) -> Folder:
    """Passes through folders that hold everything: around parts always, around classes if `unwrap` says so."""
    while True:
        filled = [folder for folder in root.folders if folder.holds_photos and not folder.is_output]
        if len(filled) != 1 or root.loose:
            return root
        [only] = filled
        below = [folder.name for folder in only.folders if folder.holds_photos]
        stated = parts.read(below)
        around_parts = len(set(stated.values()) - {""}) > 1 and not only.loose and not parts.read([only.name])
        if not (around_parts or (unwrap and below and not parts.read([only.name]))):
            return root
        root = only


def _with_photos(root: Folder, notes: list[str]) -> list[Folder]:
    folders = list(root.folders)
    for folder in folders:
        if folder.is_output:
            notes.append(f"{folder} is an output of Model Maker (it holds run.json or moves.jsonl) and is not used.")
    folders = [folder for folder in folders if not folder.is_output]
    empty = [folder for folder in folders if not folder.holds_photos]
    if len(empty) == 1:
        note_empty(empty[0], notes)
    elif empty:
        notes.append(
            f"{_some([folder.name for folder in empty])} in {root} hold no photos, so there are no such classes."
        )
    return [folder for folder in folders if folder.holds_photos]


def _of_parts(folders: Sequence[Folder], stated: dict[str, str], notes: list[str]) -> list[ClassFolder]:
    found = []
    for folder in folders:
        part, inner = stated[folder.name], _same_inside(folder)
        if not part:
            notes.append(f"{folder} is named as photos without labels: not used.")
            continue
        if inner.loose:
            note_loose(inner.loose, inner, notes)
        classes = _with_photos(inner, notes)
        _refuse_masks_beside(inner, classes)
        for each in classes:
            _refuse_masks_beside(each, each.folders)
        found += [ClassFolder(each, each.name, part) for each in classes]
    return found


def _same_inside(folder: Folder) -> Folder:
    """Passes through folders of the same name, or of none that says anything: `seg_train/seg_train/forest`."""
    while True:
        filled = [below for below in folder.folders if below.holds_photos]
        if len(filled) != 1 or folder.loose or not any(below.holds_photos for below in filled[0].folders):
            return folder
        [only] = filled
        if (
            only.name.lower() != folder.name.lower()
            and not parts.says_nothing(only.name)
            and not parts.read([only.name])
        ):
            return folder
        folder = only


def _class_names(folder: Folder) -> set[str]:
    return {below.name for below in _same_inside(folder).folders if below.holds_photos}


def _are_parts_among_others(folders: Sequence[Folder], stated: dict[str, str]) -> bool:
    """Tells whether some folders are parts for sure: named so, one of them for training, with classes in common."""
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
                f"{root}: {_some(sorted(stated))} are parts of a data set, and {folder.name} beside them holds its "
                f"classes again. Move it out, or list the photos in a manifest (CSV: path,label,split)."
            )
    notes.append(f"{_some([folder.name for folder in others])} beside {_some(sorted(stated))} in {root}: not used.")
    return [folder for folder in folders if folder.name in stated]


def _refuse_versions(root: Folder, folders: Sequence[Folder]) -> None:
    """Refuses folders that hold the same folders: parts or versions of a data set, and no classes."""
    inside = {folder: _telling(_class_names(folder)) for folder in folders if not _same_inside(folder).loose}
    names = {folder.name for folder in folders}
    for folder, below in inside.items():
        if len(again := sorted(below & (names - {folder.name}))) > 1:
            raise DataError(
                f"{root}: {folder.name} holds folders named as those beside it ({_some(again)}), so it looks like a "
                "copy or a part of the data set, not a class. Move it out."
            )
    counts = Counter(name for below in inside.values() for name in below)
    shared = {name for name, count in counts.items() if count > 1}
    alike = [
        folder for folder, below in inside.items() if len(below & shared) > 1 and 2 * len(below & shared) >= len(below)
    ]
    if len(alike) > 1 and 2 * len(alike) >= len(folders) and not _all_state_parts(alike):
        raise DataError(
            f"{root}: {_some([folder.name for folder in alike])} hold the same folders ({_some(sorted(shared))}), so "
            f"they look like parts or versions of one data set, not classes. {_HOW}"
        )


def _telling(names: set[str]) -> set[str]:
    return {name for name in names if not parts.says_nothing(name) and name.lower() not in _PICTURES | _MASKS}


def _all_state_parts(folders: Sequence[Folder]) -> bool:
    return all(len(parts.read(names := sorted(_class_names(folder)))) == len(names) for folder in folders)


def _with_parts_inside(folders: Sequence[Folder], notes: list[str]) -> list[ClassFolder]:
    """Returns classes whose folders hold parts, `roses/train` and `roses/test`; nothing if it is not so in all."""
    found = []
    for folder in folders:
        below = [each for each in folder.folders if each.holds_photos]
        stated = parts.read([each.name for each in below])
        if folder.loose or len(stated) < len(below) or "train" not in stated.values() or len(set(stated.values())) < 2:
            return []
        found += [ClassFolder(each, folder.name, stated[each.name]) for each in below if stated[each.name]]
    return found


def _refuse_masks_beside(home: Folder, folders: Sequence[Folder]) -> None:
    plain = {re.sub(r"[\W_]+", "", folder.name.lower()): folder for folder in folders if folder.holds_photos}
    pictures, masks = sorted(_PICTURES & plain.keys()), sorted(_MASKS & plain.keys())
    if pictures and masks:
        raise DataError(
            f"{home} holds {plain[pictures[0]].name} and {plain[masks[0]].name}: the latter look like masks, which are "
            "no photos of a class. Move them out of the data; if they are photos, rename the folder."
        )


def refuse_mask_files(entries: Iterable[Entry]) -> None:
    """Refuses masks that lie among their photos, as `a_mask.png` beside `a.png`.

    Raises:
      DataError: in some folder there are many of them.
    """
    stems: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        home, _, name = str(entry.path).replace("\\", "/").rpartition("/")
        stems[home].add(name.rpartition(".")[0])
    for home, found in stems.items():
        masks = [stem for stem in found if (match := _MASK_NAME.fullmatch(stem)) and match[1] in found]
        if len(masks) > _MANY_MASKS * len(found):
            first = min(masks)
            raise DataError(
                f"{home}: {counted(len(masks), 'picture')} of {len(found)} are named as masks of others (the first: "
                f"{first}). Move masks out of the data; if they are photos, rename them."
            )


def spelling_notes(names: Iterable[str]) -> list[str]:
    """Tells of classes whose names hardly differ, or that say what a model should answer by a threshold."""
    alike: dict[str, list[str]] = defaultdict(list)
    notes = []
    for name in sorted(names):
        alike[_key(name)].append(name)
    for group in alike.values():
        if len(group) > 1:
            spelled = " and ".join(map(repr, group))
            notes.append(
                f"The classes {spelled} differ in spelling only and are learned as different ones; merge them."
            )
    for key in ("unknown", "unlabeled", "unlabelled", "unsorted", "untitled folder", "new folder"):
        for name in alike.get(key, ()):
            notes.append(
                f"{name!r} is learned as a class like the others. If its photos have no label yet, move them out; for "
                "photos of something else, answer by a threshold."
            )
    return notes


def same_but_for_spelling(name: str, names: Iterable[str]) -> str | None:
    """Returns the name among others that differs from one in spelling only."""
    return next((other for other in names if other != name and _key(other) == _key(name)), None)


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()


def _some(names: Sequence[str], most: int = 4) -> str:
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def note_hidden(folder: object, notes: list[str]) -> None:
    """Tells of a folder of photos that is passed over because of its name."""
    notes.append(f"{folder} is hidden (its name starts with a dot) and is not used; rename it to make it a class.")


def note_passed_over(counts: Counter[str], notes: list[str]) -> None:
    """Tells of photos in hidden and leftover folders, counted by the folder's name."""
    if counts:
        names = _some(sorted(counts))
        notes.append(
            f"{counted(counts.total(), 'photo')} in {names} (hidden, or left there by other programs): not used."
        )


def note_loose(count: int, home: object, notes: list[str]) -> None:
    """Tells of photos beside the class folders."""
    notes.append(f"{counted(count, 'photo')} directly in {home}, outside any class folder: not used.")


def note_empty(folder: object, notes: list[str]) -> None:
    """Tells of a class folder without photos."""
    notes.append(f"{folder} holds no photos, so there is no such class.")


def note_others(others: Counter[str], notes: list[str]) -> None:
    """Tells of files that are no photos, counted by suffix."""
    if others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
        notes.append(f"{counted(others.total(), 'other file')} not used, being no photos ({kinds}).")


def passed_over_in(places: Iterable[PurePath]) -> Counter[str]:
    """Counts photos in hidden and leftover folders, by the first such folder."""
    found: Counter[str] = Counter()
    for place in places:
        name = next((name for name in place.parts[:-1] if is_passed_over(name)), None)
        if name and images.is_photo(place.suffix):
            found[name] += 1
    return found


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
