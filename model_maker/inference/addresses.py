"""What a user may name as photos: files, folders, http(s) addresses, standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from model_maker.data import folders
from model_maker.data.web import fetch, is_address, limited
from model_maker.errors import DataError


def expand(names: Iterable[str]) -> Iterator[str]:
    """Yields one name a photo: folders give their photos, as training sees them: below them too, links
    followed, without hidden folders, thumbnails and outputs, in order.

    Raises:
      DataError: a folder without photos.
    """
    for name in names:
        if is_address(name) or name == "-" or not os.path.isdir(name):
            yield name
            continue
        found = [str(path) for path in folders.photos(Path(name))]
        if not found:
            raise DataError(f"{name} holds no photos (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF).")
        yield from found


def open_photo(name: str) -> Path | bytes | DataError:
    """Returns what `images.load` takes: a path, or the bytes read from an address or from standard input.

    What cannot be fetched comes back as the DataError that says why, so that other photos go on.
    """
    try:
        if name == "-":
            if sys.stdin is None:
                raise DataError("-: standard input is closed; pipe a photo to it")
            return limited(sys.stdin.buffer, "standard input")
        return fetch(name) if is_address(name) else Path(name)
    except DataError as error:
        return error
