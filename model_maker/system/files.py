"""File output: the cache directory, and atomic writes of files and folders.

Temporary files have names by which `leftovers` finds them if the process is killed.
"""

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

from model_maker.errors import OutputError
from model_maker.system import leftovers

# Windows cannot rename a file that another program, such as a virus scanner, has open, mostly for a moment.
PAUSES_S = (0.02, 0.1, 0.5) if sys.platform == "win32" else ()
# Without it, opening a named pipe would wait for a writer. Windows has no named pipes in its file system.
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)
# Maximum size of files read as a whole: real photos, lists and models are smaller, and memory is limited.
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
      OutputError: it is not configured, and the user has no home folder.
    """
    if own := os.environ.get("MODEL_MAKER_CACHE"):
        return Path(own)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "model_maker"
    except RuntimeError:
        raise OutputError(f"This user has no home folder to keep a cache in. {_OTHER_CACHE}") from None


def open_regular(path: str | os.PathLike[str], most_bytes: int = MOST_BYTES) -> BufferedReader:
    """Opens a user-supplied file for reading.

    Raises:
      OSError: it cannot be opened, is not a regular file (a device, a named pipe), or is larger than `most_bytes`.
    """
    # Opening a pipe would wait for a writer, and opening a device may have side effects. The type is checked again
    # after opening, because the name may refer to another file by then.
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
    """Returns the content of a regular file; raises OSError as `open_regular` does."""
    with open_regular(path, most_bytes) as file:
        return file.read(most_bytes + 1)[:most_bytes]


def sha256(path: Path) -> str:
    """Returns the hash of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, content: bytes) -> None:
    """Writes a file atomically, under another name that is then renamed.

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
    """Renames a file or folder; a file replaces an existing one.

    On Windows this fails while either of them, or a file in the folder, is open.
    """
    for pause_s in PAUSES_S:
        with contextlib.suppress(PermissionError):
            os.replace(source, target)
            return
        time.sleep(pause_s)
    os.replace(source, target)


def exists(path: Path) -> bool:
    """Returns whether a path exists; from Python 3.14, `Path.exists` is also false if access is denied.

    Raises:
      OSError: a parent folder cannot be read, the name is too long, or similar.
    """
    try:
        path.stat()
    except OSError as error:
        # On Windows, also a drive without a disk, and an invalid name.
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) or getattr(error, "winerror", 0) in (21, 123):
            return False
        raise
    return True


def write_checked(path: Path, content: bytes) -> None:
    """Writes a cache file, and next to it the hash with which `read_checked` verifies it.

    Raises:
      OutputError: it cannot be written.
    """
    write(path, content)
    write(path.with_suffix(".sha256"), hashlib.sha256(content).hexdigest().encode())


def read_checked(path: Path) -> bytes | None:
    """Returns the content that `write_checked` wrote; None if it is missing or damaged."""
    try:
        content, expected = path.read_bytes(), path.with_suffix(".sha256").read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest().encode() == expected:
        return content
    from absl import logging  # imported here, because child processes import this module, too

    logging.warning("%s in the cache is damaged and is made again.", path)
    return None


@contextlib.contextmanager
def new_directory(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yields an empty folder that becomes `path` if the block succeeds, and is removed if it fails.

    A folder to overwrite stays until the new one is complete.

    Raises:
      OutputError: `path` is not empty and `overwrite` is not set, or it cannot be written.
    """
    check_new(path, overwrite=overwrite)
    path = path.resolve()  # for a link to a folder, replaces the target and keeps the link
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
    """Checks early, before long work, that the folder can be created.

    Args:
      advice: end of the message if it may not.
      mark: a folder may be replaced only if it contains this file; None allows any.

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


def check_new_beside(model: Path, output: Path, *, overwrite: bool, mark: str, maker: str = "this command") -> None:
    """Checks the same for what is made from a model, which replaces only a folder with this mark of its maker.

    Raises:
      OutputError: see `check_new`; or the folder holds the model itself, or was not made by its maker.
    """
    check_new(output, overwrite=overwrite, advice="or pass `overwrite=True` to replace it")
    if model.resolve().is_relative_to(output.resolve()):
        raise OutputError(f"{output} holds the model itself and cannot be replaced. Choose another folder.")
    if output.is_dir() and any(output.iterdir()) and not (output / mark).exists():
        raise OutputError(
            f"{output} holds no {mark}, so it was not made by {maker} and `overwrite=True` does not replace it. "
            "Choose another folder."
        )


def check_new_file(path: Path, *, overwrite: bool = False) -> None:
    """Checks before any work that a file can be written.

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
    """Checks the same for a text file, which may replace only an existing text file.

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
    if parent is None:  # a drive, or below a missing drive
        raise OutputError(f"{path} cannot be created: its parent folder does not exist. Choose another one.")
    if not parent.is_dir():
        raise OutputError(f"{parent} is a file; {path} cannot stand below it. Choose another name.")
    if not os.access(parent, os.W_OK):
        raise OutputError(f"No permission to write in {parent}. Choose another folder.")


def check_new_page(path: Path, *, overwrite: bool = False) -> None:
    """Checks the same for an HTML page, which may replace only an existing page.

    Raises:
      OutputError: see `check_new_file`; or the existing file is not a page.
    """
    check_new_file(path, overwrite=overwrite)
    if path.exists() and path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{path} is no page (.html) and is not replaced. Choose another name.")


def _swap(new: Path, path: Path) -> None:
    if not path.exists():
        rename(new, path)
        return
    # An unused name, because on Windows a folder cannot replace another, not even an empty one.
    old = beside(path)
    old = old.with_name(f"{old.name}{leftovers.REPLACED}")
    rename(path, old)
    try:
        rename(new, path)
    except BaseException:
        rename(old, path)  # restores the old folder
        raise
    shutil.rmtree(old, ignore_errors=True)


def beside(path: Path) -> Path:
    """Returns a new name in the same folder, for something to be removed if this process is killed.

    Unlike with `tempfile`, files and folders of this name get the usual permissions.
    """
    return path.with_name(f".{path.name}{leftovers.mark(_running(), path.parent)}")


@contextlib.contextmanager
def temporary_directory() -> Iterator[Path]:
    """Yields an empty folder in the system's temporary directory; always removed at the end of the block."""
    home = Path(tempfile.gettempdir())
    folder = home / f"model_maker{leftovers.mark(_running(), home)}"
    with explained(folder):
        folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        # On Windows, a file of a killed child process may stay open for a moment.
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
    """Converts OSError to an OutputError that explains why `path` cannot be written."""
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
    """Returns whether a path is not relative, or leads out of its base folder."""
    return bool(path.anchor) or ".." in path.parts  # on Windows "/x" and "C:x" are not absolute, but still lead out
