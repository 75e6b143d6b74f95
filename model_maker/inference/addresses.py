"""What a user may name as photos: files, folders, http(s) addresses, standard input."""

from __future__ import annotations

import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

from model_maker.data.images import FORMATS
from model_maker.errors import DataError

# A photo of 100 megapixels has about 50 MB; more is a mistake or an attack.
MAX_BYTES = 64 << 20
_TIMEOUT_S = 20
_CHUNK = 1 << 16


def expand(names: Iterable[str]) -> Iterator[str]:
    """Yields one name a photo: folders give their photos, visible ones, below them too, in order.

    Raises:
      DataError: a folder without photos.
    """
    for name in names:
        if is_address(name) or name == "-" or not os.path.isdir(name):
            yield name
            continue
        found = [
            str(path)
            for path in sorted(Path(name).rglob("*"))
            if path.suffix.lower() in FORMATS and not any(part.startswith(".") for part in path.relative_to(name).parts)
        ]
        if not found:
            raise DataError(f"{name} holds no photos (JPEG, PNG, WebP, GIF, BMP, TIFF).")
        yield from found


def open_photo(name: str) -> Path | bytes | DataError:
    """Returns what `images.load` takes: a path, or the bytes read from an address or from standard input.

    What cannot be fetched comes back as the DataError that says why, so that other photos go on.
    """
    try:
        if name == "-":
            return _limited(sys.stdin.buffer, "standard input")
        return fetch(name) if is_address(name) else Path(name)
    except DataError as error:
        return error


def is_address(name: str) -> bool:
    return name.lower().startswith(("http://", "https://"))


def fetch(address: str) -> bytes:
    """Downloads a photo.

    Raises:
      DataError: no answer, an error status, or more than MAX_BYTES.
    """
    try:
        request = urllib.request.Request(address, headers={"User-Agent": "model_maker"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            return _limited(answer, address)
    except urllib.error.HTTPError as error:
        raise DataError(f"{address}: the server answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(f"{address}: cannot be fetched ({reason})") from error


def _limited(stream, name: str) -> bytes:
    content = bytearray()
    while chunk := stream.read(_CHUNK):
        content += chunk
        if len(content) > MAX_BYTES:
            raise DataError(f"{name}: more than {MAX_BYTES >> 20} MB; a photo is smaller")
    return bytes(content)
