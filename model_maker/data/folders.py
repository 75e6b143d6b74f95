"""Folders as a source: `DIR/<class>/**` or `DIR/{train,val|validation,test}/<class>/**`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import cast

from model_maker.data import images, layout, skipped_files
from model_maker.data.entries import ListedPhoto, class_name


def entries(root: Path, notes: list[str]) -> Iterator[ListedPhoto]:
    """Lists the photos below class folders, by class, then path.

    Raises:
      OSError: the folder cannot be opened.
      DataError: a class name is not a valid label, or folders may be splits or classes.
    """
    # By path components, because Windows ignores case in whole paths: the order must be the same everywhere.
    yield from sorted(_walk(root, notes), key=lambda entry: (entry.class_name, cast(Path, entry.path).parts))


def _walk(root: Path, notes: list[str]) -> Iterator[ListedPhoto]:
    os.listdir(root)  # raises an error if it cannot be opened
    home, passed = _Folder(root), Counter[str]()
    for hidden in home.passed_over:
        if _is_meant(hidden):
            skipped_files.note_hidden(hidden, notes)
        else:
            passed.update(_count(hidden))
    others: Counter[str] = Counter()
    for each in layout.arrange(home, notes):
        folder = cast(_Folder, each.folder).path
        name = class_name(each.name, folder)
        for path in _files(folder, notes, passed):
            if is_picture(path):
                yield ListedPhoto(path, name, each.part, images.obstacle(path.suffix))
            else:
                others[path.suffix.lower() or "no suffix"] += 1
    skipped_files.note_passed_over(passed, notes)
    skipped_files.note_others(others, notes)


def within(root: Path) -> Path:
    """Returns the folder with the classes; skips nested folders of the same name: `seg_train/seg_train`."""
    return cast(_Folder, layout.same_inside(_Folder(root))).path


def photos(root: Path) -> list[Path]:
    """Returns the photos below a folder as training lists them, following links, ordered by path."""
    return sorted(filter(is_picture, _files(root, [], Counter())), key=lambda path: path.parts)


def is_picture(path: Path) -> bool:
    """Returns whether a file is a photo by its suffix, or by its content if it has no suffix."""
    return images.is_photo(path.suffix) or (not path.suffix and path.is_file() and images.begins_as_photo(path))


class _Folder:
    """A layout.Folder on this machine, read lazily."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def _listing(self) -> tuple[list[Path], list[Path]]:
        try:
            with os.scandir(self.path) as found:
                listed = [(entry.is_dir(), Path(entry.path)) for entry in found]
        except OSError:  # the walk over its files reports it
            return [], []
        listed.sort(key=lambda entry: entry[1].name)
        return [path for is_dir, path in listed if is_dir], [path for is_dir, path in listed if not is_dir]

    @cached_property
    def folders(self) -> list[_Folder]:
        above = {str(each) for each in (self.path.resolve(), *self.path.resolve().parents)}
        visible = (path for path in self._listing[0] if not skipped_files.is_passed_over(path.name))
        return [_Folder(path) for path in visible if not path.is_symlink() or os.path.realpath(path) not in above]

    @property
    def passed_over(self) -> list[Path]:
        return [path for path in self._listing[0] if skipped_files.is_passed_over(path.name)]

    @cached_property
    def loose(self) -> int:
        return sum(is_picture(path) for path in self._listing[1] if not skipped_files.is_hidden(path.name))

    @cached_property
    def holds_photos(self) -> bool:
        return any(is_picture(path) for path in _files(self.path, [], Counter()))

    @cached_property
    def is_output(self) -> bool:
        return any((self.path / name).is_file() for name in skipped_files.OUTPUTS)


def _is_meant(folder: Path) -> bool:
    """Returns whether a hidden folder may be meant as a class: it directly contains photos."""
    if skipped_files.is_leftover(folder.name) or not os.access(folder, os.R_OK | os.X_OK):
        return False
    return any(images.is_photo(path.suffix) for path in folder.iterdir())


def _count(folder: Path) -> Counter[str]:
    count = sum(images.is_photo(Path(name).suffix) for _, _, names in os.walk(folder) for name in names)
    return Counter({folder.name: count} if count else {})


def _files(folder: Path, notes: list[str], passed: Counter[str]) -> Iterator[Path]:
    """Yields visible files below a folder, links followed, each real folder once and none that holds this one.

    `passed` counts photos in hidden and leftover folders, by name.
    """

    def unreadable(error: OSError) -> None:
        notes.append(f"{error.filename} cannot be opened ({error.strerror}) and is not used.")

    # A link to a parent folder would add photos of other classes to this one.
    homes = (folder.parent.resolve(), folder.resolve().parent)
    seen = {str(above) for home in homes for above in (home, *home.parents)}
    for current, folders, names in os.walk(folder, followlinks=True, onerror=unreadable):
        real = os.path.realpath(current)
        if real in seen:
            folders[:] = []
            continue
        seen.add(real)
        if any(name in names for name in skipped_files.OUTPUTS):
            notes.append(f"{current} is an output of Model Maker and is not used.")
            folders[:] = []
            continue
        for name in folders:
            if skipped_files.is_passed_over(name):
                passed.update(_count(Path(current, name)))
        folders[:] = sorted(name for name in folders if not skipped_files.is_passed_over(name))
        yield from (Path(current, name) for name in sorted(names) if not name.startswith("."))
