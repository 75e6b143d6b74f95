"""Folders as a source: `DIR/<class>/**` or `DIR/{train,val|validation,test}/<class>/**`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from model_maker.data import images, layout
from model_maker.data.entries import PART_NAMES, Entry, class_name


def entries(root: Path, notes: list[str]) -> Iterator[Entry]:
    """Lists the photos below class folders, by class, then path.

    Args:
      root: the folder.
      notes: receives what was passed over and why, one sentence each.

    Raises:
      OSError: the folder cannot be opened.
      DataError: a class has a name that cannot be a label.
    """
    # By parts, for Windows compares whole paths regardless of case: the order shall be the same everywhere.
    yield from sorted(_walk(root, notes), key=lambda entry: (entry.class_name, cast(Path, entry.path).parts))


def _walk(root: Path, notes: list[str]) -> Iterator[Entry]:
    folders = _visible_folders(root, notes)
    split = layout.are_parts(root, [folder.name for folder in folders], notes)
    loose = sum(images.is_photo(path.suffix) for path in root.iterdir() if path.is_file())
    if loose and folders:
        layout.note_loose(loose, root, notes)
    others: Counter[str] = Counter()
    for folder in folders:
        part = PART_NAMES[folder.name.lower()] if split else ""
        for class_folder in _visible_folders(folder, notes) if split else [folder]:
            name, found = class_name(class_folder.name, class_folder), False
            for path in _files(class_folder, notes):
                if images.is_photo(path.suffix):
                    found = True
                    yield Entry(path, name, part, images.obstacle(path.suffix))
                else:
                    others[path.suffix.lower() or "no suffix"] += 1
            if not found:
                layout.note_empty(class_folder, notes)
    layout.note_others(others, notes)


def _visible_folders(root: Path, notes: list[str]) -> list[Path]:
    found = (path for path in root.iterdir() if path.is_dir() and path.name != "__MACOSX")
    folders = sorted(found, key=lambda path: path.name)
    for folder in folders:
        hidden = folder.name.startswith(".") and os.access(folder, os.R_OK | os.X_OK)
        if hidden and any(images.is_photo(path.suffix) for path in folder.iterdir()):
            layout.note_hidden(folder, notes)
    return [folder for folder in folders if not layout.is_hidden(folder.name)]


def _files(folder: Path, notes: list[str]) -> Iterator[Path]:
    """Yields visible files below a folder, links followed, each real folder once and none that holds this one."""

    def unreadable(error: OSError) -> None:
        notes.append(f"{error.filename} cannot be opened ({error.strerror}) and is not used.")

    # A link back up would bring the other classes' photos into this one.
    homes = (folder.parent.resolve(), folder.resolve().parent)
    seen = {str(above) for home in homes for above in (home, *home.parents)}
    for current, folders, names in os.walk(folder, followlinks=True, onerror=unreadable):
        real = os.path.realpath(current)
        folders[:] = sorted(name for name in folders if not layout.is_hidden(name))
        if real in seen:
            folders[:] = []
            continue
        seen.add(real)
        yield from (Path(current, name) for name in sorted(names) if not name.startswith("."))
