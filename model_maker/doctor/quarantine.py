"""Quarantine: moves photos out of a dataset, never deletes them, and moves them back from a log.

The log is a JSON Lines file in the quarantine. Each line is written to disk before its photo moves, so `put_back`
finds every moved photo even after a crash. Paths are relative, so both folders may be moved meanwhile.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from model_maker.data import object_stores, sources
from model_maker.doctor.checks import DEFAULT_FIXES, FIXABLE
from model_maker.doctor.diagnosis import Diagnosis
from model_maker.errors import DataError, OutputError
from model_maker.system import files, locks, moved_files

LOG = "moves.jsonl"


@dataclass(frozen=True)
class Moves:
    """The moved photos.

    Attributes:
      quarantine: the folder.
      moved: new paths of the photos.
      left: photos that were not moved, and why.
    """

    quarantine: Path
    moved: tuple[Path, ...]
    left: tuple[tuple[Path, str], ...]


def default_place(data: str | os.PathLike[str]) -> Path:
    """Returns the default quarantine of a dataset folder: beside it, so that it cannot be read as a class."""
    data = Path(data).resolve()
    if not data.name:
        raise OutputError(f"{data} has no parent folder for a quarantine. Pass `quarantine`.")
    return data.with_name(f"{data.name}_quarantine")


def folder_of(data: str | os.PathLike[str]) -> Path | None:
    """Returns the folder of a dataset out of which photos can be moved: one with a folder for each class."""
    home = object_stores.place(data)
    return home if isinstance(home, Path) and sources.source_of(home) is sources.SOURCES["folder"] else None


def check(data: str | os.PathLike[str], kinds: Sequence[str], quarantine: str | os.PathLike[str] | None = None) -> Path:
    """Checks, before any work, that some kinds of findings can be fixed; returns the quarantine.

    Raises:
      DataError: the dataset is not a folder, or a kind cannot be fixed.
      OutputError: the quarantine is inside the dataset, or cannot be written.
    """
    root, place = _places(data, quarantine)
    for kind in kinds:
        if kind not in FIXABLE:
            raise DataError(f"`kinds={kind!r}`: choose from {', '.join(FIXABLE)}.")
    for folder in (root, next((above for above in (place, *place.parents) if above.exists()), place)):
        if not os.access(folder, os.W_OK):
            raise OutputError(f"No permission to write in {folder}. Change that, or choose another `quarantine`.")
    if place.exists() and any(place.iterdir()) and not (place / LOG).exists():
        raise OutputError(f"{place} is not empty and not a quarantine. Choose another `quarantine`.")
    return place


def mend(
    diagnosis: Diagnosis, kinds: Sequence[str] = DEFAULT_FIXES, quarantine: str | os.PathLike[str] | None = None
) -> Moves:
    """Moves the removable photos of some kinds of findings to a quarantine.

    Args:
      diagnosis: of a folder.
      kinds: keys of CHECKS whose findings can be fixed.
      quarantine: a folder outside of the dataset; `<data>_quarantine` beside it by default.

    Returns:
      Moves; photos that have changed since the diagnosis, or cannot be moved, stay in place.

    Raises:
      DataError, OutputError: see `check`, before anything is moved; or the log cannot be written.

    Examples:
      >>> import model_maker
      >>> diagnosis = model_maker.diagnose("flowers")
      >>> moves = model_maker.mend(diagnosis, ["outliers"])
      >>> moves.quarantine.name, [path.name for path in moves.moved]
      ('flowers_quarantine', ['tulip_001.jpg'])
    """
    place = check(diagnosis.data, kinds, quarantine)
    root = Path(diagnosis.data).resolve()
    wanted = planned(diagnosis, kinds)
    moved, left = [], []
    if not wanted:
        return Moves(place, (), ())
    with _log(place) as log:
        for path, kind in wanted.items():
            home = Path(os.path.abspath(path)).relative_to(os.path.abspath(diagnosis.data))
            try:
                digest = files.sha256(path)
                if digest != diagnosis.digests.get(path, hashlib.sha256().hexdigest()):
                    left.append((path, "it has changed since the diagnosis"))
                    continue
                target = moved_files.free_name(place / kind / home)
                target.parent.mkdir(parents=True, exist_ok=True)
                to = target.relative_to(place)
                moved_files.append(log, {"from": home.as_posix(), "to": to.as_posix(), "kind": kind, "sha256": digest})
                move(root / home, target)
                moved.append(target)
            except OSError as error:
                left.append((path, error.strerror or str(error)))
    return Moves(place, tuple(moved), tuple(left))


def planned(diagnosis: Diagnosis, kinds: Sequence[str]) -> dict[Path, str]:
    """Returns the photos that `mend` would move, each with its kind of finding."""
    wanted: dict[Path, str] = {}
    for kind in kinds:
        for finding in diagnosis.findings.get(kind, ()):
            for path in finding.removable:
                if isinstance(path, Path):
                    wanted.setdefault(path, kind)
    return wanted


def put_back(data: str | os.PathLike[str], quarantine: str | os.PathLike[str] | None = None) -> Moves:
    """Moves everything that `mend` moved back in place, and removes the quarantine if it is empty then.

    Args:
      data: the folder.
      quarantine: as for `mend`.

    Returns:
      Moves with the restored paths. A photo whose path is taken by another file stays in the quarantine.

    Raises:
      DataError: the dataset is not a folder, or the quarantine has no valid log.

    Examples:
      >>> import model_maker
      >>> moves = model_maker.put_back("flowers")
      >>> [path.name for path in moves.moved]
      ['tulip_001.jpg']
    """
    root, place = _places(data, quarantine)
    if not (place / LOG).is_file():
        raise DataError(f"{place} holds no {LOG}, so there is nothing to undo. Pass the correct `quarantine`.")
    moved, left = [], []
    with _log(place) as log:
        for entry in reversed(_entries(log, place)):
            source, target = place / entry["to"], root / entry["from"]
            if not os.path.lexists(source):  # never moved, or restored by an earlier run
                continue
            try:
                if os.path.lexists(target):
                    if files.sha256(target) != entry["sha256"] or files.sha256(source) != entry["sha256"]:
                        left.append((source, f"{target} is taken by another file"))
                        continue
                    source.unlink()  # a move between disks was interrupted after copying
                else:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    move(source, target)
                moved.append(target)
            except OSError as error:
                left.append((source, error.strerror or str(error)))
        if not left:
            log.truncate(0)  # and so it is removed
    _remove_empty(place)
    return Moves(place, tuple(moved), tuple(left))


def _places(data: str | os.PathLike[str], quarantine: str | os.PathLike[str] | None) -> tuple[Path, Path]:
    home = folder_of(data)
    if home is None:
        raise DataError(f"{data} is not a folder of class folders, so it must be fixed by hand.")
    root = home.resolve()
    place = Path(quarantine).resolve() if quarantine is not None else default_place(data)
    if place == root or root in place.parents:
        raise OutputError(f"{place} is inside the dataset and would be read as a class. Choose another `quarantine`.")
    if place.exists() and not place.is_dir():
        raise OutputError(f"{place} is a file, but the quarantine must be a folder. Choose another `quarantine`.")
    return root, place


@contextlib.contextmanager
def _log(place: Path) -> Iterator[BinaryIO]:
    """Opens the log for reading and appending, with a lock."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        with locks.locked(place / LOG, wait=False) as file:
            yield file
    except BlockingIOError:
        raise OutputError(f"Another run is using {place}. Wait until it ends.") from None
    except OSError as error:
        raise OutputError(f"Cannot write {place / LOG}: {error.strerror or error}. It has the moved photos.") from error


def _entries(log: BinaryIO, place: Path) -> list[dict[str, str]]:
    """Reads the log; ignores a line truncated by a crash, whose photo has not moved."""
    log.seek(0)
    found = []
    for line in log.read().splitlines():
        try:
            entry = json.loads(line)
            names = [Path(entry["from"]), Path(entry["to"])]
        except (ValueError, TypeError, KeyError):
            continue
        if any(map(files.leads_out, names)):
            raise DataError(f"{place / LOG} names {entry['from']!r}, outside of the dataset. It was not written here.")
        found.append(entry)
    return found


def move(source: Path, target: Path) -> None:
    """Moves a file, between disks by an atomic copy."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        aside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            _copy(source, aside)
            os.rename(aside, target)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        source.unlink()


def _copy(source: Path, target: Path) -> None:
    """Copies a file with its times, or a link, and syncs it to disk."""
    if source.is_symlink():
        shutil.copy2(source, target, follow_symlinks=False)
        return
    # Windows syncs only files that are open for writing.
    with open(source, "rb") as original, open(target, "xb") as copy:
        shutil.copyfileobj(original, copy)
        copy.flush()
        os.fsync(copy.fileno())
    shutil.copystat(source, target)


def _remove_empty(place: Path) -> None:
    """Removes empty folders, from the deepest up to the quarantine itself."""
    for current, _, _ in os.walk(place, topdown=False):
        with contextlib.suppress(OSError):  # not empty
            os.rmdir(current)
