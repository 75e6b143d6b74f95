"""Uploads: what a page sends becomes photos, whole or not at all; photos are stored unchanged."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from model_maker.data import archives, images
from model_maker.data.web import MAX_BYTES
from model_maker.errors import DataError
from model_maker.studio.workspace import Workspace
from model_maker.system import files

MOST_ARCHIVE_BYTES = 2 << 30
_MOST_MEMBERS = 20_000
# What stays free on the disk for everybody else.
_SPARE_BYTES = 1 << 29


@contextmanager
def aside(workspace: Workspace, suffix: str) -> Iterator[Path]:
    """Gives a name for a file on its way in; whatever is left under it is removed, also after a kill."""
    folder = files.beside(workspace.side / "incoming")
    with files.explained(folder):
        folder.mkdir()
    try:
        yield folder / f"upload{suffix}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def limit(name: str) -> int:
    """Returns how many bytes a file of that name may have."""
    return MOST_ARCHIVE_BYTES if is_archive(name) else MAX_BYTES


def is_archive(name: str) -> bool:
    """Tells whether a file is one that photos are taken out of."""
    return name.lower().endswith(".zip")


def check_size(workspace: Workspace, name: str, size_bytes: int) -> None:
    """Refuses a file by what is said of its size, before any of it is read.

    Raises:
      DataError: it is too large for what it is, or for the disk.
    """
    most = limit(name)
    if size_bytes > most:
        raise DataError(f"{size_bytes / 1e6:,.0f} MB is more than the {most >> 20} MB that are taken: make it smaller.")
    if size_bytes > shutil.disk_usage(workspace.side).free - _SPARE_BYTES:
        raise DataError("The disk is nearly full: free some space.")


async def receive(body: AsyncIterator[bytes], path: Path, most: int) -> None:
    """Writes a body to a file.

    Raises:
      DataError: it is larger than that, whatever was said of it.
    """
    size = 0
    with open(path, "xb") as file:
        async for chunk in body:
            size += len(chunk)
            if size > most:
                raise DataError(f"More than {most >> 20} MB: make it smaller.")
            file.write(chunk)


def take_photo(workspace: Workspace, received: Path, name: str, folder: Path) -> None:
    """Puts a photo into a folder of the workspace.

    Raises:
      DataError: it is none; the message says what it is.
    """
    try:
        with images.opened(received):
            pass
    except DataError as error:
        raise DataError(str(error).removeprefix(f"{received}: ")) from error
    workspace.put(received, folder, name)


def take_archive(workspace: Workspace, received: Path, home: Path | None) -> tuple[int, list[str]]:
    """Puts the photos of an archive into classes; returns how many, and what was refused of it and why.

    Args:
      home: the folder of all; None to go by the archive's folders, which make classes where there are none.

    Raises:
      DataError: it is damaged or not to be trusted, or its photos lie in no folders and there is no class for them.
    """
    try:
        members = archives.photos(received)
        whole = sum(size for _, size in members)
        if len(members) > _MOST_MEMBERS or whole > shutil.disk_usage(workspace.side).free - _SPARE_BYTES:
            raise DataError(f"It holds {len(members):,} photos of {whole / 1e6:,.0f} MB, more than can be taken.")
        homes = {member: home for member, _ in members} if home else _homes(workspace, received)
        count, refused = 0, []
        for member, folder in homes.items():
            with aside(workspace, PurePosixPath(member.name).suffix) as path:
                path.write_bytes(member.read_bytes())
                try:
                    take_photo(workspace, path, member.name, folder)
                    count += 1
                except DataError as error:
                    refused.append(f"{member.name}: {error}")
    except DataError as error:
        raise DataError(str(error).replace(f"{received}/", "").replace(str(received), "This archive")) from error
    return count, refused


def _homes(workspace: Workspace, received: Path) -> dict[archives.ZipMember, Path]:
    """Returns the class folder of each photo, by the folders inside the archive."""
    found: dict[archives.ZipMember, str] = {}
    for entry in archives.entries(received, []):
        if isinstance(entry.path, archives.ZipMember) and not entry.reason:
            found[entry.path] = entry.class_name
    if not found:
        raise DataError(f"{received} holds no folders of photos: drop it on a class.")
    known = workspace.classes()
    for name in sorted(set(found.values())):
        if name not in known:
            workspace.add_class(name)
    return {member: workspace.home_of(name) for member, name in found.items()}
