"""Archives as a source: reads zip and tar in place, without unpacking.

The content is untrusted: path traversal, links, encrypted files and decompression bombs are errors.
"""

import bz2
import functools
import gzip
import hashlib
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import cast

from model_maker.data import archive_names, images, layout, skipped_files
from model_maker.data.entries import ListedPhoto, class_name
from model_maker.data.web import MAX_BYTES
from model_maker.errors import DataError
from model_maker.system import files

_COMPRESSED = {".tar.gz": gzip, ".tgz": gzip, ".tar.bz2": bz2, ".tbz2": bz2, ".tar.xz": lzma, ".txz": lzma}
SUFFIXES = (".zip", ".tar", *_COMPRESSED)
# Maximum compression ratio: photos are hardly compressible, drawings up to ten times; more is a decompression bomb.
_MOST_RATIO = 100
_SLACK_BYTES = 64 << 20
# Maximum number of empty files; more are an error if they outnumber the photos.
_FEW_EMPTY = 1000
_CHUNK = 1 << 20
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError)


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A photo inside a zip file: its original name, and its name as stored in zipfile."""

    archive: str
    name: str
    stored: str

    def __str__(self) -> str:
        return f"{self.archive}/{self.name}"

    def read_bytes(self) -> bytes:
        """Returns the photo; its checksum is verified."""
        try:
            return _opened(self.archive, os.stat(self.archive).st_mtime_ns).read(self.stored)
        except (*_BROKEN, KeyError, RuntimeError) as error:
            raise DataError(f"{self}: damaged ({error})") from error


@dataclass(frozen=True, slots=True)
class TarMember:
    """A photo inside a tar file.

    Attributes:
      tar: the uncompressed file; `archive` is what the user named.
      offset, size: its position in `tar`, bytes.
    """

    tar: str
    archive: str
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.archive}/{self.name}"

    def read_bytes(self) -> bytes:
        with open(self.tar, "rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


def accepts(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def entries(path: Path, notes: list[str]) -> Iterator[ListedPhoto]:
    """Lists the photos of an archive by class, then name; skips a single top-level folder.

    Notes list skipped files, and a compressed tar that was unpacked into the cache.

    Raises:
      DataError: it is damaged or unsafe.
    """
    try:
        members = _zip_members(path) if path.suffix.lower() == ".zip" else _tar_members(path, notes)
    except _BROKEN as error:
        raise DataError(f"{path} is damaged ({error or 'it ends too early'}). Recreate it.") from error
    found: dict[PurePosixPath, ZipMember | TarMember] = {}
    others: Counter[str] = Counter()
    reasons, visible = {}, []
    every = [(PurePosixPath(member.name), member, size) for member, size in members]
    for place, member, size in every:
        if any(map(skipped_files.is_passed_over, place.parts)):
            continue
        visible.append(place)
        if not images.is_photo(place.suffix):
            others[place.suffix.lower() or "no suffix"] += 1
            continue
        found[place] = member
        reasons[place] = images.obstacle(place.suffix) or (
            f"more than {MAX_BYTES >> 20} MB; a photo is smaller" if size > MAX_BYTES else ""
        )
    classes = _classes(path, visible, set(found), notes)
    skipped_files.note_passed_over(skipped_files.passed_over_in(place for place, _, _ in every), notes)
    skipped_files.note_others(others, notes)
    for place, (name, part) in sorted(classes.items(), key=lambda item: (item[1][0], item[0])):
        yield ListedPhoto(found[place], name, part, reasons[place])


def photos(path: Path) -> list[tuple[ZipMember, int]]:
    """Lists the photos of a zip file in all folders, with their sizes in bytes.

    Raises:
      DataError: it is damaged or unsafe.
    """
    try:
        members = _zip_members(path)
    except _BROKEN as error:
        raise DataError(f"{path} is damaged ({error or 'it ends too early'}). Recreate it.") from error
    places = ((PurePosixPath(member.name), member, size) for member, size in members)
    return [
        (member, size)
        for place, member, size in places
        if images.is_photo(place.suffix) and not any(map(skipped_files.is_passed_over, place.parts))
    ]


def _classes(
    path: Path, members: list[PurePosixPath], places: set[PurePosixPath], notes: list[str]
) -> dict[PurePosixPath, tuple[str, str]]:
    """Returns class and stated split of each photo, from its folders."""
    tree = layout.ListedFolder.of(str(path), (member.parts for member in members))
    found = {}
    for each in layout.arrange(tree, notes, unwrap=True):
        name = class_name(each.name, each.folder)
        for parts in cast(layout.ListedFolder, each.folder).photos():
            if (place := PurePosixPath(*parts)) in places:
                found[place] = (name, each.part)
    return found


def _zip_members(path: Path) -> list[tuple[ZipMember, int]]:
    every = _opened(str(path), path.stat().st_mtime_ns).infolist()
    named = zip(every, archive_names.of_zip(path, every), strict=True)
    found = [(entry, name) for entry, name in named if not name.endswith("/")]
    for entry, name in found:
        # zipfile sanitizes names; the checks use the names in the archive.
        _check_name(path, name)
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise _refused(path, f"{name!r} is a link")
        if entry.flag_bits & 1:
            raise _refused(path, f"{name!r} is encrypted")
    _check_sizes(path, [name for _, name in found], [entry.file_size for entry, _ in found])
    return [(ZipMember(str(path), name, entry.filename), entry.file_size) for entry, name in found]


def _tar_members(path: Path, notes: list[str]) -> list[tuple[TarMember, int]]:
    plain = _plain(path, notes)
    found = []
    with tarfile.open(plain, "r:") as tar:
        for entry in tar:
            tar.members = []  # type: ignore[attr-defined]  # else it keeps all members in memory
            _check_name(path, entry.name)
            if entry.isdir():
                continue
            if not entry.isreg() or entry.issparse():
                raise _refused(path, f"{entry.name!r} is a link or not a regular file")
            found.append(TarMember(str(plain), str(path), entry.name, entry.offset_data, entry.size))
    names = archive_names.of_tar(path, [member.name for member in found])
    found = [replace(member, name=name) for member, name in zip(found, names, strict=True)]
    _check_sizes(path, [member.name for member in found], [member.size for member in found])
    return [(member, member.size) for member in found]


def _check_name(path: Path, name: str) -> None:
    place = PurePosixPath(name.replace("\\", "/"))
    if place.is_absolute() or ".." in place.parts or "\\" in name or "\0" in name or name[1:2] == ":":
        raise _refused(path, f"the name {name[:80]!r} points outside of it")


def _check_sizes(path: Path, names: list[str], sizes: list[int]) -> None:
    if sum(sizes) > path.stat().st_size * _MOST_RATIO + _SLACK_BYTES:
        raise _refused(path, f"it would unpack to {sum(sizes) / 1e6:.0f} MB, more than {_MOST_RATIO} times its size")
    empty = sizes.count(0)
    if empty > max(_FEW_EMPTY, len(sizes) - empty):
        raise _refused(path, f"{empty} of its {len(sizes)} files are empty")
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise _refused(path, f"it contains {twice!r} twice")


def _refused(path: Path, reason: str) -> DataError:
    return DataError(f"{path} is rejected: {reason}. Unpack it with a tool that you trust, and give the folder.")


@functools.lru_cache(maxsize=4)
def _opened(path: str, _mtime_ns: int) -> zipfile.ZipFile:
    """Opens a zip file once for all threads of this process; opens it again if it has changed."""
    return zipfile.ZipFile(path)


def _plain(path: Path, notes: list[str]) -> Path:
    """Returns an uncompressed tar file: the archive itself, or its copy in the cache."""
    module = next((module for suffix, module in _COMPRESSED.items() if path.name.lower().endswith(suffix)), None)
    if module is None:
        return path
    facts = path.stat()
    identity = f"{path.resolve()} {facts.st_size} {facts.st_mtime_ns}"
    plain = files.cache_directory() / "archives" / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.tar"
    if not plain.exists():
        most = facts.st_size * _MOST_RATIO + _SLACK_BYTES
        with files.explained(plain):
            plain.parent.mkdir(parents=True, exist_ok=True)
        with module.open(path, "rb") as packed:
            unpack(path, packed, plain, most)
    size = plain.stat().st_size
    notes.append(f"{path} is compressed as a whole; its photos are read from a copy in the cache, {size / 1e6:.0f} MB.")
    return plain


def unpack(path: Path, packed, plain: Path, most: int) -> None:
    aside = files.beside(plain)
    try:
        with files.explained(plain):
            file = open(aside, "xb")  # noqa: SIM115 - the next line closes it
        with file:
            while chunk := _read(path, packed):
                with files.explained(plain):
                    file.write(chunk)
                if file.tell() > most:
                    raise _refused(path, f"it unpacks to more than {_MOST_RATIO} times its size")
        files.rename(aside, plain)
    finally:
        aside.unlink(missing_ok=True)


def _read(path: Path, packed) -> bytes:
    try:
        return packed.read(_CHUNK)
    except OSError as error:  # gzip and bz2 raise it for damaged files
        raise DataError(f"{path} is damaged ({error}). Recreate it.") from error
