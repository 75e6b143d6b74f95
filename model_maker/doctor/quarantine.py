"""Quarantine: photos are moved out of a data set, never deleted, and put back from a log.

The log is a file of JSON lines in the quarantine. A line is on the disk before its photo moves, so wherever a run is
cut off, `put_back` finds every photo that has moved. Paths in it are relative, so both folders may be moved meanwhile.
"""

from __future__ import annotations

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
from model_maker.doctor.checks import DEFAULT_MENDING, MENDING
from model_maker.doctor.diagnosis import Diagnosis
from model_maker.errors import DataError, OutputError
from model_maker.system import files, locks

LOG = "moves.jsonl"


@dataclass(frozen=True)
class Moves:
    """What was moved.

    Attributes:
      quarantine: the folder.
      moved: where the photos are now.
      left: photos that were not moved, and why.
    """

    quarantine: Path
    moved: tuple[Path, ...]
    left: tuple[tuple[Path, str], ...]


def default_place(data: str | os.PathLike[str]) -> Path:
    """Returns the quarantine of a data folder unless told: beside it, where it cannot be taken for a class."""
    data = Path(data).resolve()
    if not data.name:
        raise OutputError(f"There is no place beside {data} for a quarantine. Give `quarantine`.")
    return data.with_name(f"{data.name}_quarantine")


def check(data: str | os.PathLike[str], kinds: Sequence[str], quarantine: str | os.PathLike[str] | None = None) -> Path:
    """Checks, before any work, that findings of some kinds can be mended; returns the quarantine.

    Raises:
      DataError: the data is no folder, or a kind cannot be mended.
      OutputError: the quarantine lies in the data, or cannot be written.
    """
    root, place = _places(data, quarantine)
    for kind in kinds:
        if kind not in MENDING:
            raise DataError(f"`kinds={kind!r}`: choose among {', '.join(MENDING)}.")
    for folder in (root, next((above for above in (place, *place.parents) if above.exists()), place)):
        if not os.access(folder, os.W_OK):
            raise OutputError(f"No permission to write in {folder}. Change that, or give another `quarantine`.")
    if place.exists() and any(place.iterdir()) and not (place / LOG).exists():
        raise OutputError(f"{place} holds other things. Give another `quarantine`.")
    return place


def mend(
    diagnosis: Diagnosis, kinds: Sequence[str] = DEFAULT_MENDING, quarantine: str | os.PathLike[str] | None = None
) -> Moves:
    """Moves the removable photos of some kinds of findings into a quarantine.

    Args:
      diagnosis: of a folder.
      kinds: keys of CHECKS that mend.
      quarantine: a folder outside of the data; `<data>_quarantine` beside it unless told.

    Returns:
      Moves; photos that have changed since the diagnosis, or cannot be moved, are left where they are.

    Raises:
      DataError, OutputError: as `check`, before anything has moved; or the log cannot be written.

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
                digest = _digest(path)
                if digest != diagnosis.digests.get(path, hashlib.sha256().hexdigest()):
                    left.append((path, "it has changed since it was examined"))
                    continue
                target = _free(place / kind / home)
                target.parent.mkdir(parents=True, exist_ok=True)
                to = target.relative_to(place)
                _append(log, {"from": home.as_posix(), "to": to.as_posix(), "kind": kind, "sha256": digest})
                move(root / home, target)
                moved.append(target)
            except OSError as error:
                left.append((path, error.strerror or str(error)))
    return Moves(place, tuple(moved), tuple(left))


def planned(diagnosis: Diagnosis, kinds: Sequence[str]) -> dict[Path, str]:
    """Returns the photos that `mend` would move, each with the kind of finding that it is moved for."""
    wanted: dict[Path, str] = {}
    for kind in kinds:
        for finding in diagnosis.findings.get(kind, ()):
            for path in finding.removable:
                if isinstance(path, Path):
                    wanted.setdefault(path, kind)
    return wanted


def put_back(data: str | os.PathLike[str], quarantine: str | os.PathLike[str] | None = None) -> Moves:
    """Puts everything that `mend` moved back where it was, and removes the quarantine where it is then empty.

    Args:
      data: the folder.
      quarantine: as for `mend`.

    Returns:
      Moves, `moved` being the photos in their old places. A photo whose old place is taken stays in the quarantine.

    Raises:
      DataError: the data is no folder, or there is no log in the quarantine, or it is none.

    Examples:
      >>> import model_maker
      >>> moves = model_maker.put_back("flowers")
      >>> [path.name for path in moves.moved]
      ['tulip_001.jpg']
    """
    root, place = _places(data, quarantine)
    if not (place / LOG).is_file():
        raise DataError(f"{place} holds no {LOG}, so there is nothing to undo. Give the right `quarantine`.")
    moved, left = [], []
    with _log(place) as log:
        for entry in reversed(_entries(log, place)):
            source, target = place / entry["to"], root / entry["from"]
            if not os.path.lexists(source):  # never moved, or put back by an earlier run
                continue
            try:
                if os.path.lexists(target):
                    if _digest(target) != entry["sha256"] or _digest(source) != entry["sha256"]:
                        left.append((source, f"{target} is taken by another file"))
                        continue
                    source.unlink()  # between two disks, a move was cut off behind the copying
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
    home = object_stores.place(data)
    if not isinstance(home, Path) or sources.source_of(home) is not sources.SOURCES["folder"]:
        raise DataError(f"{data} is no folder of photos by class, and only such can be mended. Mend it by hand.")
    root = home.resolve()
    place = Path(quarantine).resolve() if quarantine is not None else default_place(data)
    if place == root or root in place.parents:
        raise OutputError(f"{place} lies in the data, where it would be read as a class. Give another `quarantine`.")
    if place.exists() and not place.is_dir():
        raise OutputError(f"{place} is a file; the quarantine is a folder. Give another `quarantine`.")
    return root, place


@contextlib.contextmanager
def _log(place: Path) -> Iterator[BinaryIO]:
    """Opens the log for reading and appending; one run at a time."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        with locks.locked(place / LOG, wait=False) as file:
            yield file
    except BlockingIOError:
        raise OutputError(f"Another run uses {place}. Wait for its end.") from None
    except OSError as error:
        raise OutputError(f"Cannot write {place / LOG}: {error.strerror or error}. What has moved is in it.") from error


def _append(log: BinaryIO, entry: dict[str, str]) -> None:
    line = json.dumps(entry).encode() + b"\n"
    end = log.seek(0, os.SEEK_END)
    if end:
        log.seek(end - 1)
        if log.read(1) != b"\n":  # a line that a crash cut off: its photo has not moved
            line = b"\n" + line
    log.write(line)
    log.flush()
    os.fsync(log.fileno())


def _entries(log: BinaryIO, place: Path) -> list[dict[str, str]]:
    """Reads the log; of lines that a crash cut off, nothing has moved."""
    log.seek(0)
    found = []
    for line in log.read().splitlines():
        try:
            entry = json.loads(line)
            names = [Path(entry["from"]), Path(entry["to"])]
        except (ValueError, TypeError, KeyError):
            continue
        if any(map(files.leads_out, names)):
            raise DataError(f"{place / LOG} names {entry['from']!r}, outside of the data. It was not written here.")
        found.append(entry)
    return found


def _free(target: Path) -> Path:
    """Returns a name that nothing has yet."""
    number, free = 1, target
    while os.path.lexists(free):
        number += 1
        free = target.with_name(f"{target.stem} ({number}){target.suffix}")
    return free


def move(source: Path, target: Path) -> None:
    """Moves a file, between disks by a copy that appears whole."""
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
    """Copies a file with its times, or a link, until it is on the disk."""
    if source.is_symlink():
        shutil.copy2(source, target, follow_symlinks=False)
        return
    # Written out while it is open to write, without which Windows refuses.
    with open(source, "rb") as original, open(target, "xb") as copy:
        shutil.copyfileobj(original, copy)
        copy.flush()
        os.fsync(copy.fileno())
    shutil.copystat(source, target)


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_empty(place: Path) -> None:
    """Removes folders that hold nothing, from the deepest up to the quarantine itself."""
    for current, _, _ in os.walk(place, topdown=False):
        with contextlib.suppress(OSError):  # not empty
            os.rmdir(current)
