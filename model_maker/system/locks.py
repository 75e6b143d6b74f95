"""Files that one process has at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# Windows keeps others from reading bytes that are locked, so what stands for a file is a byte that no file reaches.
_LOCKED_BYTE = 1 << 42
_POLL_S = 0.1


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[BinaryIO]:
    """Opens a file to read and append; while the block runs, nobody else who asks here has it.

    It is made where it is missing, and removed if the block leaves it empty.

    Args:
      path: the file; its folder is there.
      wait: for whoever has it.

    Raises:
      BlockingIOError: another has it, and `wait` is not set.
    """
    file = open_locked(path, wait=wait)
    try:
        yield file
    finally:
        with file:
            file.flush()
            empty = not os.fstat(file.fileno()).st_size
            if empty and sys.platform != "win32":
                path.unlink(missing_ok=True)
            _unlock(file)
        if empty and sys.platform == "win32":
            # What is open cannot be removed there: only now can it be, and not if another one has opened it by now.
            with contextlib.suppress(OSError):
                if not path.stat().st_size:
                    path.unlink()


if sys.platform == "win32":

    def _lock(file: BinaryIO, *, wait: bool) -> None:
        while True:
            try:
                _locking(file, msvcrt.LK_NBLCK)
            except PermissionError:
                if not wait:
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
                time.sleep(_POLL_S)  # its own way of waiting gives up after ten seconds
            else:
                return

    def _unlock(file: BinaryIO) -> None:
        _locking(file, msvcrt.LK_UNLCK)

    def _locking(file: BinaryIO, mode: int) -> None:
        """It locks from where the file stands, which is not changed."""
        descriptor = file.fileno()
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, mode, 1)
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)

else:

    def _lock(file: BinaryIO, *, wait: bool) -> None:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


def open_locked(path: Path, *, wait: bool) -> BinaryIO:
    """Opens a file to read and append, and has it until it is closed; see `locked`."""
    while True:
        file = open(path, "a+b")  # noqa: SIM115 - `locked` closes it
        try:
            _lock(file, wait=wait)
            if sys.platform == "win32" or _is_still(file, path):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # whoever had it has removed it meanwhile


def _is_still(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
