"""Removes temporary files of killed processes: the next process does so.

Each process that creates temporary files keeps a record in the cache directory, and locks it for its lifetime: the
system releases the lock with the process, however it ends. The record lists folders; the process's files in them have a
mark in their names that is unique to the process. So only files of ended processes are ever removed. Records in a copy
of the cache, which nobody locks, are left alone.
"""

import atexit
import contextlib
import itertools
import os
import platform
import re
import secrets
import shutil
import threading
from pathlib import Path
from typing import BinaryIO

from model_maker.system import locks

# Suffix after the mark, of an old output that was about to be replaced.
REPLACED = ".replaced"
_MARKED = re.compile(
    rf"(?P<name>\..*|model_maker)\.(?P<token>[0-9a-f]{{12}})-[0-9a-f]+(?P<replaced>{re.escape(REPLACED)})?", re.DOTALL
)


class _Record:
    """This process's record in one cache directory; has no file if none can be written."""

    def __init__(self, running: Path | None) -> None:
        self.token, self._numbers = secrets.token_hex(6), itertools.count()
        self._pid, self._known, self._file = os.getpid(), set[Path](), self._open(running)

    def _open(self, running: Path | None) -> BinaryIO | None:
        if running is None:
            return None
        try:
            running.mkdir(parents=True, exist_ok=True)
            self._path = running / self.token
            file = locks.open_locked(self._path, wait=True)
        except OSError:  # for example a read-only cache, or a file system without locks
            return None
        self._write(file, _origin(file))
        atexit.register(self._close)
        return file

    def mark(self, folder: Path) -> str:
        if self._file and folder not in self._known:
            self._known.add(folder)
            self._write(self._file, str(folder.absolute()))
        return f".{self.token}-{next(self._numbers):x}"

    def is_of_this_process(self) -> bool:
        return self._pid == os.getpid()  # false in a forked child

    def _write(self, file: BinaryIO, line: str) -> None:
        with contextlib.suppress(OSError):
            file.write(os.fsencode(line) + b"\0")
            file.flush()

    def _close(self) -> None:
        if self._file and self.is_of_this_process():
            with contextlib.suppress(OSError):
                self._file.close()
                self._path.unlink(missing_ok=True)


_records: dict[Path | None, _Record] = {}
_one_at_a_time = threading.Lock()


def mark(running: Path | None, folder: Path) -> str:
    """Returns the suffix of a new name in a folder, which identifies the process.

    The process records the folder in `running`, the folder of such records, unless that is None.
    """
    with _one_at_a_time:
        record = _records.get(running)
        if record is None or not record.is_of_this_process():
            record = _records[running] = _Record(running)
        return record.mark(folder)


def collect(running: Path) -> None:
    """Removes leftovers of ended processes, and restores what they were about to replace."""
    try:
        records = [entry for entry in running.iterdir() if re.fullmatch("[0-9a-f]{12}", entry.name)]
    except OSError:
        return
    for record in records:
        # A locked record belongs to a running process, or is being collected by another one.
        with contextlib.suppress(OSError), locks.locked(record, wait=False) as file:
            file.seek(0)
            origin, *folders = (os.fsdecode(line) for line in file.read().split(b"\0")[:-1] or [b""])
            if origin in ("", _origin(file)):
                for folder in folders:
                    _collect_in(Path(folder), record.name)
                file.truncate(0)  # so that `locked` removes it


def _origin(file: BinaryIO) -> str:
    """Returns where a record was made: on which machine, and as which file, for nobody locks a copy of it."""
    return f"{platform.node()} {os.fstat(file.fileno()).st_ino}"


def _collect_in(folder: Path, token: str) -> None:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        found = _MARKED.fullmatch(name)
        if not found or found["token"] != token:
            continue
        path = folder / name
        original = folder / found["name"].removeprefix(".")
        if found["replaced"] and not os.path.lexists(original):
            with contextlib.suppress(OSError):
                path.rename(original)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()
