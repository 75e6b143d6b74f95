"""Lists the photos of a folder at any depth, with their hashes, which are cached between listings."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model_maker.data import folders, sources
from model_maker.data.dataset import Dataset, Sample, Skipped
from model_maker.data.entries import ListedPhoto
from model_maker.errors import DataError
from model_maker.progress import SILENT, Progress
from model_maker.system import files

# Photos hashed between two progress reports.
_SLICE = 256


def read(folder: str | os.PathLike[str], *, progress: Progress = SILENT) -> Dataset:
    """Lists the photos below a folder, in the order of their paths; all have one class without a name.

    Files with the same size and modification time as in the last listing are not hashed again.

    Raises:
      DataError: it is not a folder, or contains no photos.
    """
    home = Path(folder)
    if not home.is_dir():
        raise DataError(f"{home} is not a folder. Pass a folder with photos.")
    found = folders.photos(home)
    if not found:
        raise DataError(f"{home} holds no photos (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF).")
    place = _memory(home)
    before = {home / name: row for name, row in _remembered(place).items()}
    now: dict[str, list[Any]] = {}
    samples, skipped = [], []
    for done, (path, state, (digest, reason)) in enumerate(_hashed(found, before), start=1):
        if digest:
            samples.append(Sample(path, 0, digest))
            now[path.relative_to(home).as_posix()] = [*state, digest]
        else:
            skipped.append(Skipped(path, reason))
        if done % _SLICE == 0 or done == len(found):
            progress.step(done, len(found))
    if now != {path.relative_to(home).as_posix(): row for path, row in before.items()}:
        files.write_checked(place, json.dumps(now).encode())
    return Dataset(tuple(samples), ("",), tuple(skipped))


def _hashed(paths: list[Path], before: dict[Path, list[Any]]) -> Iterator[tuple[Path, list[int], tuple[str, str]]]:
    """Yields each file, its size and modification time, and its hash or the reason there is none."""
    for start in range(0, len(paths), _SLICE):
        some = paths[start : start + _SLICE]
        states = [_state(path) for path in some]
        known = {
            path: (row[2], "")
            for path, state in zip(some, states, strict=True)
            if (row := before.get(path)) and row[:2] == state
        }
        new = [path for path in some if path not in known]
        known |= zip(new, sources.hash_all([ListedPhoto(path, "") for path in new]), strict=True)
        yield from ((path, state, known[path]) for path, state in zip(some, states, strict=True))


def _state(path: Path) -> list[int]:
    try:
        facts = path.stat()
    except OSError:  # reading it reports the reason
        return [-1, -1]
    return [facts.st_size, facts.st_mtime_ns]


def _memory(home: Path) -> Path:
    key = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:24]
    return files.cache_directory() / "collections" / f"{key}.json"


def _remembered(place: Path) -> dict[str, list[Any]]:
    kept = files.read_checked(place)
    found: dict[str, list[Any]] = json.loads(kept) if kept else {}
    return found
