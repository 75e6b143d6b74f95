"""Removes large texts and profiles from PNG files, which Pillow would reject."""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

MARK = b"\x89PNG\r\n\x1a\n"
# A chunk: its length, its name, content, a checksum of four bytes.
_HEAD, _CHECK = struct.Struct(">I4s"), 4
_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
# XMP, which may state the orientation; kept if uncompressed and within Pillow's limit.
_XMP, _MOST_XMP = b"XML:com.adobe.xmp\0\0", 1 << 20
# Compressed bytes that cannot exceed Pillow's limit, a megabyte: zlib's maximum ratio is 1032.
_HARMLESS = 1000


def without_texts(source: BinaryIO) -> BinaryIO:
    """Returns a file that Pillow can open: the source, or a copy in memory without texts if these may be too large."""
    source.seek(0)
    try:
        if source.read(len(MARK)) != MARK:
            return source
        size = sum(length for _, length, name in _chunks(source) if name in _TEXTS)
        if size <= _HARMLESS:
            return source
        source.seek(0)
        return io.BytesIO(_stripped(source.read()))
    finally:
        source.seek(0)


def is_whole(content: bytes) -> bool:
    """Returns whether all chunks are present, from the header to the end."""
    file, names = io.BytesIO(content), []
    file.seek(len(MARK))
    for place, length, name in _chunks(file):
        if place + _HEAD.size + length + _CHECK > len(content):
            return False
        names.append(name)
    return names[:1] == [b"IHDR"] and b"IDAT" in names and names[-1] == b"IEND"


def _stripped(content: bytes) -> bytes:
    file, kept = io.BytesIO(content), [MARK]
    file.seek(len(MARK))
    for place, length, name in _chunks(file):
        whole = content[place : place + _HEAD.size + length + _CHECK]
        xmp = whole[_HEAD.size :].startswith(_XMP) and length < _MOST_XMP
        if name not in _TEXTS or (name == b"iTXt" and xmp):
            kept.append(whole)
    return b"".join(kept)


def _chunks(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Yields offset, length and name of each chunk, from the current position to the end of the image."""
    place, name = file.tell(), b""
    while name != b"IEND" and len(head := file.read(_HEAD.size)) == _HEAD.size:
        length, name = _HEAD.unpack(head)
        yield place, length, name
        place = file.seek(place + _HEAD.size + length + _CHECK)
