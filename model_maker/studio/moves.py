"""Moves: whatever happens to photos in the studio is a move of files, and each can be undone.

The log is a file of JSON lines. A line is on the disk before its files move, so wherever a studio is cut off, `undo`
finds what has moved. Several studios may work on one folder: whoever moves has the log locked.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_maker.errors import DataError, OutputError
from model_maker.system import files, locks, moved_files

# A place: the name of a base folder, and the path below it with slashes.
Place = tuple[str, str]


@dataclass(frozen=True)
class Action:
    """What was done: the number of the line that states it, what it was, for people, and moves from where to where.

    `note` is what was noted instead of a move.
    """

    number: int
    what: str
    moves: tuple[tuple[Place, Place], ...]
    note: str = ""


class MoveLog:
    """Moves files between named folders on one file system, and back; each move is in the log."""

    def __init__(self, bases: Mapping[str, Path], log: Path):
        self._bases, self._log = dict(bases), log

    def carry_out(self, what: str, wanted: Iterable[tuple[Path, Path]]) -> list[Path]:
        """Moves files and folders; one whose new name is taken gets a number behind it.

        Returns:
          Where they are now; what has vanished meanwhile is left out.

        Raises:
          OutputError: the system refuses.
        """
        with files.explained(self._log), locks.locked(self._log) as log:
            pairs, taken = [], set[Path]()
            for source, target in wanted:
                if os.path.lexists(source):
                    pairs.append((source, moved_files.free_name(target, taken)))
                    taken.add(pairs[-1][1])
            if pairs:
                stated = [[self._place(source), self._place(target)] for source, target in pairs]
                moved_files.append(log, {"what": what, "moves": stated})
            for source, target in pairs:
                target.parent.mkdir(parents=True, exist_ok=True)
                os.rename(source, target)
        return [target for _, target in pairs]

    def put(self, source: Path, target: Path) -> Path:
        """Gives a new file its name, or the next one that is free; it is no action that could be undone.

        Raises:
          OutputError: the system refuses.
        """
        with files.explained(target), locks.locked(self._log):
            target.parent.mkdir(parents=True, exist_ok=True)
            named = moved_files.free_name(target)
            os.rename(source, named)
        return named

    def note(self, what: str, note: str) -> None:
        """Writes a note into the log, which moves nothing and can be undone all the same.

        Raises:
          OutputError: the system refuses.
        """
        with files.explained(self._log), locks.locked(self._log) as log:
            moved_files.append(log, {"what": what, "moves": [], "note": note})

    def notes(self) -> frozenset[str]:
        """Returns the notes that are not undone."""
        return frozenset(action.note for action in self._done() if action.note)

    def undo(self) -> str:
        """Takes the last action back that is not; returns what it was.

        Raises:
          DataError: there is none.
          OutputError: the system refuses.
        """
        with files.explained(self._log), locks.locked(self._log) as log:
            log.seek(0)
            done = self._standing(log.read())
            if not done:
                raise DataError("There is nothing to undo.")
            action = done[-1]
            for origin, now in reversed(action.moves):
                source, target = self._path(now), self._path(origin)
                if os.path.lexists(source):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.rename(source, moved_files.free_name(target))
            moved_files.append(log, {"undone": action.number})
        return action.what

    def last(self) -> Action | None:
        """Returns what `undo` would take back."""
        done = self._done()
        return done[-1] if done else None

    def _done(self) -> list[Action]:
        try:
            return self._standing(self._log.read_bytes())
        except FileNotFoundError:
            return []

    def _standing(self, content: bytes) -> list[Action]:
        """Reads the actions that are not undone; of a line that a crash cut off, nothing has moved."""
        standing: dict[int, Action] = {}
        for number, line in enumerate(content.splitlines()):
            try:
                entry = json.loads(line)
                if "undone" in entry:
                    standing.pop(entry["undone"], None)
                    continue
                moves = tuple((_read(origin), _read(now)) for origin, now in entry["moves"])
                standing[number] = Action(number, str(entry["what"]), moves, str(entry.get("note", "")))
            except (ValueError, TypeError, KeyError):
                continue
        return list(standing.values())

    def _place(self, path: Path) -> Place:
        for name, base in self._bases.items():
            if path.is_relative_to(base):
                return name, path.relative_to(base).as_posix()
        raise OutputError(f"{path} lies outside of the studio's folders.")

    def _path(self, place: Place) -> Path:
        name, below = place
        if name not in self._bases or files.leads_out(Path(below)):
            raise DataError(f"{self._log} names {below!r}, outside of the studio's folders. It was not written here.")
        return self._bases[name] / below


def _read(place: Sequence[str]) -> Place:
    name, below = place
    return str(name), str(below)
