"""Decodes names in zip and tar files, whose encoding may be unknown."""

import binascii
import struct
import unicodedata
import zipfile
from collections.abc import Sequence
from pathlib import PurePosixPath

from model_maker.errors import DataError

# APPNOTE 4.6.9: the field in which Info-ZIP and others repeat the name in UTF-8.
_UNICODE_PATH = 0x7075
_UTF8_FLAG = 0x800


def of_zip(path: object, members: Sequence[zipfile.ZipInfo]) -> list[str]:
    """Returns the original names of a zip file's members, with slashes.

    Without a flag a name may be in UTF-8 (macOS, most programs of Unix), in Shift-JIS (Windows in Japan), or in one of
    the code pages of DOS; all names in a file are assumed to have the same encoding.

    Raises:
      DataError: the encoding of folder names is ambiguous, so class names would be a guess.
    """
    names: list[str | None] = []
    for member in members:
        flagged = member.flag_bits & _UTF8_FLAG or member.orig_filename.isascii()
        names.append(member.orig_filename if flagged else _unicode_path(member))
    unknown = [
        member.orig_filename.encode("cp437") for member, name in zip(members, names, strict=True) if name is None
    ]
    decoded = iter(decode(path, unknown))
    known = [next(decoded) if name is None else name for name in names]
    # The format uses slashes; backslashes come from old Windows programs.
    return [name.replace("\\", "/") for name in known]


def of_tar(path: object, names: Sequence[str]) -> list[str]:
    """Returns the names of a tar file's members; those that are not in UTF-8 are decoded as in `of_zip`."""
    broken = [name.encode("utf-8", "surrogateescape") for name in names if not _is_unicode(name)]
    decoded = iter(decode(path, broken))
    return [name if _is_unicode(name) else next(decoded) for name in names]


def decode(path: object, names: Sequence[bytes]) -> list[str]:
    """Decodes names that share an unknown encoding."""
    for encoding, is_likely in (("utf-8", None), ("cp932", _is_japanese)):
        try:
            found = [name.decode(encoding) for name in names]
        except UnicodeDecodeError:
            continue
        if is_likely is None or all(is_likely(part) for name in found for part in name.split("/")):
            return found
    found = [name.decode("cp437") for name in names]
    for name in found:
        folder = "/".join(name.replace("\\", "/").split("/")[:-1])
        if not all(_is_latin(letter) for letter in folder):
            raise DataError(
                f"{path}: the folder {folder[:60]!r} has a name that is not in UTF-8, and its encoding is not stated. "
                "Recreate the archive with names in UTF-8, or unpack it and give the folder."
            )
    return found


def _unicode_path(member: zipfile.ZipInfo) -> str | None:
    """Returns the name in UTF-8 from the field that holds it, if it belongs to the name in the header."""
    extra = member.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        content, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(content) > 5 and content[0] == 1:
            if struct.unpack_from("<I", content, 1)[0] != binascii.crc32(member.orig_filename.encode("cp437")):
                return None
            try:
                return content[5:].decode()
            except UnicodeDecodeError:
                return None
    return None


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_japanese(part: str) -> bool:
    """Returns whether a name is plausible Shift-JIS: bytes of European names would give kanji amid Latin letters."""
    stem = PurePosixPath(part).stem
    foreign = [letter for letter in stem if not letter.isascii()]
    if not foreign:
        return True
    if not all(_is_of_japan(letter) for letter in foreign):
        return False
    kana = any("\u3041" <= letter <= "\u30ff" for letter in foreign)
    return kana or not any(letter.isascii() and letter.isalpha() for letter in stem)


def _is_of_japan(letter: str) -> bool:
    # Kana, kanji, full-width letters and signs; not half-width kana, which any byte above 160 would be.
    return "\u3000" <= letter <= "\u30ff" or "\u4e00" <= letter <= "\u9fff" or "\uff01" <= letter <= "\uff5e"


def _is_latin(letter: str) -> bool:
    return letter.isascii() or (letter.isalpha() and unicodedata.name(letter, "").startswith("LATIN"))
