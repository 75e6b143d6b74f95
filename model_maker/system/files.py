"""Where files go: the cache directory, and outputs that appear whole or not at all.

What is made on the way has names by which `leftovers` finds it, should the process be killed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path, PurePath

from absl import logging

from model_maker.errors import OutputError
from model_maker.system import leftovers

# Windows renames nothing that another program, such as a virus scanner, has open, which mostly is for a moment.
PAUSES_S = (0.02, 0.1, 0.5) if sys.platform == "win32" else ()
# Opening a named pipe would wait for somebody to write. Windows has none among its files.
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)
# What is read as a whole: no photo, list or model that people use is larger, and memory would not do.
MOST_BYTES = 1 << 30
_OTHER_CACHE = "Set MODEL_MAKER_CACHE to a folder that can be written."
_DENIED = (
    "No permission to write there, or another program has it open: close that, or choose another folder."
    if sys.platform == "win32"
    else "No permission to write there: choose another folder."
)


def cache_directory() -> Path:
    """Returns the user's cache directory for this tool: MODEL_MAKER_CACHE, else below XDG_CACHE_HOME or ~/.cache.

    Raises:
      OutputError: nothing says where that is.
    """
    if own := os.environ.get("MODEL_MAKER_CACHE"):
        return Path(own)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "model_maker"
    except RuntimeError:
        raise OutputError(f"This user has no home folder to keep a cache in. {_OTHER_CACHE}") from None


def open_regular(path: str | os.PathLike[str], most_bytes: int = MOST_BYTES) -> BufferedReader:
    """Opens a file that somebody has named, to read.

    Raises:
      OSError: it cannot be opened, is none that has an end (a device, a named pipe), or is larger than that.
    """
    # Opening a pipe would wait for somebody to write, and opening a device may do something. It is looked at again
    # once it is open, for the name may stand for another file by then.
    if stat.S_ISREG(os.stat(path).st_mode):
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | _AT_ONCE))  # noqa: SIM115 - handed on
        facts = os.fstat(file.fileno())
        if stat.S_ISREG(facts.st_mode) and facts.st_size <= most_bytes:
            return file
        file.close()
        if stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EFBIG, f"larger than {most_bytes >> 20} MB")
    elif os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError(errno.EINVAL, "no regular file")


def read_regular(path: str | os.PathLike[str], most_bytes: int = MOST_BYTES) -> bytes:
    """Returns the content of such a file; raises OSError as `open_regular` does."""
    with open_regular(path, most_bytes) as file:
        return file.read(most_bytes + 1)[:most_bytes]


def write(path: Path, content: bytes) -> None:
    """Writes a file under another name and renames it, so that no reader ever sees a part of it.

    Raises:
      OutputError: it cannot be written (disk full, no permission).
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = beside(path)
        try:
            with open(aside, "xb") as file:
                file.write(content)
            rename(aside, path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


def rename(source: Path, target: Path) -> None:
    """Gives a file or folder another name; a file takes the place of one that has it.

    On Windows this fails while somebody has either of them open, or a file in the folder.
    """
    for pause_s in PAUSES_S:
        with contextlib.suppress(PermissionError):
            os.replace(source, target)
            return
        time.sleep(pause_s)
    os.replace(source, target)


def exists(path: Path) -> bool:
    """Tells whether something is there; `Path.exists` says no, from Python 3.14, to what cannot be looked at, too.

    Raises:
      OSError: a folder above it may not be read, its name is too long, or the like.
    """
    try:
        path.stat()
    except OSError as error:
        # On Windows also a drive without a disk, and a name that no file can have.
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) or getattr(error, "winerror", 0) in (21, 123):
            return False
        raise
    return True


def write_checked(path: Path, content: bytes) -> None:
    """Writes a file of the cache, and beside it the hash by which `read_checked` knows that it is whole.

    Raises:
      OutputError: it cannot be written.
    """
    write(path, content)
    write(path.with_suffix(".sha256"), hashlib.sha256(content).hexdigest().encode())


def read_checked(path: Path) -> bytes | None:
    """Returns what `write_checked` wrote, or None where it is missing or damaged."""
    try:
        content, expected = path.read_bytes(), path.with_suffix(".sha256").read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest().encode() == expected:
        return content
    logging.warning("%s in the cache is damaged and is made again.", path)
    return None


@contextlib.contextmanager
def new_directory(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Gives an empty folder that becomes `path` when the block ends well, and vanishes when it does not.

    Args:
      path: the folder to make.
      overwrite: whether a folder that stands there is replaced; it stays as it is until the new one is complete.

    Raises:
      OutputError: `path` holds something and `overwrite` is not set, or it cannot be written.
    """
    check_new(path, overwrite=overwrite)
    path = path.resolve()  # a link to a folder stays, and what it points to is replaced
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = beside(path)
        aside.mkdir()
        try:
            yield aside
            _swap(aside, path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def check_new(path: Path, *, overwrite: bool = False, advice: str = "or remove it", mark: str | None = None) -> None:
    """Checks early, before long work, that `path` may be made.

    Args:
      path: the folder.
      overwrite: whether one that exists may be replaced.
      advice: what to do where it may not.
      mark: the file by which a folder is known to be replaceable; None replaces any.

    Raises:
      OutputError: it exists and must not be replaced, is not a folder, or its parent cannot be written.
    """
    with explained(path):
        if exists(path) and not path.is_dir():
            raise OutputError(f"{path} is a file; the output is a folder. Choose another name.")
        if path.exists() and any(path.iterdir()) and not overwrite:
            raise OutputError(f"{path} already exists and is not empty. Choose another folder, {advice}.")
        if path.resolve() in (Path.cwd(), *Path.cwd().parents):
            raise OutputError(
                f"{path.resolve()} holds the current folder and cannot be replaced. Choose another folder."
            )
        _check_parent(path)
        if mark and path.is_dir() and any(path.iterdir()) and not (path / mark).exists():
            raise OutputError(
                f"{path} holds no {mark}, so it was not made here and `overwrite=True` does not replace it. "
                "Choose another folder."
            )


def check_new_file(path: Path, *, overwrite: bool = False) -> None:
    """Checks before any work that a file may be written there.

    Raises:
      OutputError: it exists and must not be replaced, is a folder, or its parent cannot be written.
    """
    with explained(path):
        if path.is_dir():
            raise OutputError(f"{path} is a folder. Choose another name.")
        if exists(path) and not overwrite:
            raise OutputError(f"{path} already exists. Choose another name, or pass `overwrite=True` to replace it.")
        _check_parent(path)


def check_new_text(path: Path, *, overwrite: bool = False) -> None:
    """The same of text; only a file that is text is ever replaced by some.

    Raises:
      OutputError: see `check_new_file`; or the existing file is not text.
    """
    check_new_file(path, overwrite=overwrite)
    with explained(path):
        if path.exists():
            try:
                path.read_bytes().decode()
            except UnicodeDecodeError:
                raise OutputError(f"{path} is not a text file and is not replaced. Choose another name.") from None


def _check_parent(path: Path) -> None:
    parent = next((folder for folder in path.absolute().parents if folder.exists()), None)
    if parent is None:  # a drive, or below one that is not there
        raise OutputError(f"{path} cannot be created: its parent folder does not exist. Choose another one.")
    if not parent.is_dir():
        raise OutputError(f"{parent} is a file; {path} cannot stand below it. Choose another name.")
    if not os.access(parent, os.W_OK):
        raise OutputError(f"No permission to write in {parent}. Choose another folder.")


def check_new_page(path: Path, *, overwrite: bool = False) -> None:
    """The same of a page; only a page is ever replaced by one.

    Raises:
      OutputError: see `check_new_file`; or what is there is none.
    """
    check_new_file(path, overwrite=overwrite)
    if path.exists() and path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{path} is no page (.html) and is not replaced. Choose another name.")


def _swap(new: Path, path: Path) -> None:
    if not path.exists():
        rename(new, path)
        return
    # A name that nothing has: on Windows no folder, be it empty, is replaced by another.
    old = beside(path)
    old = old.with_name(f"{old.name}{leftovers.REPLACED}")
    rename(path, old)
    try:
        rename(new, path)
    except BaseException:
        rename(old, path)  # what stood there comes back
        raise
    shutil.rmtree(old, ignore_errors=True)


def beside(path: Path) -> Path:
    """Returns a new name in the same folder, of what has to vanish if this process is killed.

    What is made under it has the permissions of any file or folder there.
    """
    return path.with_name(f".{path.name}{leftovers.mark(_running(), path.parent)}")


@contextlib.contextmanager
def temporary_directory() -> Iterator[Path]:
    """Gives an empty folder among the system's temporary ones; it is gone when the block ends, however that ends."""
    home = Path(tempfile.gettempdir())
    folder = home / f"model_maker{leftovers.mark(_running(), home)}"
    with explained(folder):
        folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        # On Windows the file of a child that was ended may be open for a moment longer.
        shutil.rmtree(folder, ignore_errors=True)


def collect_leftovers() -> None:
    """Removes leftovers of killed processes, and restores what they were about to replace."""
    if running := _running():
        leftovers.collect(running)


def _running() -> Path | None:
    try:
        return cache_directory() / "running"
    except OutputError:
        return None


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Says in words why the system will not write to `path`."""
    try:
        yield
    except OSError as error:
        advice = {
            errno.ENOSPC: "The disk is full: free some space, or choose another folder.",
            errno.EACCES: _DENIED,
            errno.EROFS: "It is read-only there: choose another folder.",
        }.get(error.errno or 0, "Choose another folder.")
        if (running := _running()) and path.is_relative_to(running.parent):
            full = "The disk is full: free some space. " if error.errno == errno.ENOSPC else ""
            advice = f"{full}{_OTHER_CACHE}"
        raise OutputError(f"Cannot write {path}: {error.strerror or error}. {advice}") from error


def leads_out(path: PurePath) -> bool:
    """Tells whether a relative path is none, or leaves the folder that it is taken from."""
    return bool(path.anchor) or ".." in path.parts  # "/x" and "C:x" are not absolute on Windows, but not below, either
