"""File locks between processes."""

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

# On Windows others cannot read locked bytes, so the lock is on a byte beyond the end of any file.
_LOCKED_BYTE = 1 << 42
_POLL_S = 0.1


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[BinaryIO]:
    """Opens a file for reading and appending, and holds an exclusive lock on it while the block runs.

    The file is created if it is missing, and removed if it is empty at the end.

    Raises:
      BlockingIOError: the file is locked, and `wait` is not set.
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
            # Windows cannot remove an open file, so only now, and not if another process has opened it meanwhile.
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
                time.sleep(_POLL_S)  # Windows's own waiting gives up after ten seconds
            else:
                return

    def _unlock(file: BinaryIO) -> None:
        _locking(file, msvcrt.LK_UNLCK)

    def _locking(file: BinaryIO, mode: int) -> None:
        """Locks at _LOCKED_BYTE, and restores the file position."""
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
    """Opens a file for reading and appending, and holds its lock until it is closed; see `locked`."""
    while True:
        file = open(path, "a+b")  # noqa: SIM115 - `locked` closes it
        try:
            _lock(file, wait=wait)
            if sys.platform == "win32" or _is_still(file, path):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # its previous holder has removed it meanwhile


def _is_still(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
