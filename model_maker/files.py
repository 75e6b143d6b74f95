"""Where files go: the cache directory, and outputs that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from absl import logging

from model_maker.errors import OutputError


def cache_directory() -> Path:
    """Returns the user's cache directory for this tool: MODEL_MAKER_CACHE, else below XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("MODEL_MAKER_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "model_maker"


def write(path: Path, content: bytes) -> None:
    """Writes a file under another name and renames it, so that no reader ever sees a part of it.

    Raises:
      OutputError: it cannot be written (disk full, no permission).
    """
    aside = None
    with explained(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(aside, 0o666 & ~_umask())
            os.replace(aside, path)
            aside = None
        finally:
            if aside is not None:
                os.unlink(aside)


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
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            os.chmod(aside, 0o777 & ~_umask())
            yield aside
            _swap(aside, path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def check_new(path: Path, *, overwrite: bool = False, advice: str = "or remove it") -> None:
    """Checks early, before long work, that `path` may be made.

    Raises:
      OutputError: it exists and must not be replaced, is not a folder, or its parent cannot be written.
    """
    with explained(path):
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path} is a file; the output is a folder. Choose another name.")
        if path.exists() and any(path.iterdir()) and not overwrite:
            raise OutputError(f"{path} already exists and is not empty. Choose another folder, {advice}.")
        if path.resolve() in (Path.cwd(), *Path.cwd().parents):
            raise OutputError(
                f"{path.resolve()} holds the current folder and cannot be replaced. Choose another folder."
            )
        _check_parent(path)


def check_new_file(path: Path, *, overwrite: bool = False) -> None:
    """Checks before any work that a file may be written there.

    Raises:
      OutputError: it exists and must not be replaced, is a folder, or its parent cannot be written.
    """
    with explained(path):
        if path.is_dir():
            raise OutputError(f"{path} is a folder. Choose another name.")
        if path.exists() and not overwrite:
            raise OutputError(f"{path} already exists. Choose another name, or pass --overwrite to replace it.")
        _check_parent(path)


def check_new_text(path: Path, *, overwrite: bool = False) -> None:
    """The same of text; only a file that is text is ever replaced by some.

    Raises:
      OutputError: see `check_new_file`; or what is there is no text.
    """
    check_new_file(path, overwrite=overwrite)
    with explained(path):
        if path.exists():
            try:
                path.read_bytes().decode()
            except UnicodeDecodeError:
                raise OutputError(f"{path} is no text and is not replaced. Choose another name.") from None


def _check_parent(path: Path) -> None:
    parent = next(folder for folder in path.absolute().parents if folder.exists())
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
        os.replace(new, path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        os.replace(path, old)
        try:
            os.replace(new, path)
        except BaseException:
            os.replace(old, path)  # what stood there comes back
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Says in words why the system will not write to `path`."""
    try:
        yield
    except OSError as error:
        advice = {
            errno.ENOSPC: "The disk is full: free some space, or choose another folder.",
            errno.EACCES: "No permission to write there: choose another folder.",
            errno.EROFS: "It is read-only there: choose another folder.",
        }.get(error.errno or 0, "Choose another folder.")
        raise OutputError(f"Cannot write {path}: {error.strerror or error}. {advice}") from error


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
