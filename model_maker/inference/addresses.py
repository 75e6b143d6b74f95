"""Resolves names of photos: files, folders, http(s) addresses, standard input."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from model_maker.data import folders
from model_maker.data.web import fetch, is_address, limited
from model_maker.errors import DataError


def expand(names: Iterable[str]) -> Iterator[str]:
    """Yields one name per photo. Folders expand to their photos like in training: recursively and in order, following
    links, without hidden folders, thumbnails and outputs.

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
    """Returns a path, or the bytes read from an address or standard input, for `images.load`.

    Returns a DataError if it cannot be read, so that processing of other photos continues.
    """
    try:
        if name == "-":
            if sys.stdin is None:
                raise DataError("-: standard input is closed; pipe a photo to it")
            return limited(sys.stdin.buffer, "standard input")
        return fetch(name) if is_address(name) else Path(name)
    except DataError as error:
        return error
