"""What the studio keeps of its work for a reload or a restart: JSON beside the photos, with a mark of each photo.

Such a file is not trusted: photos, or the file itself, may have changed since. A photo counts only while its mark is
unchanged, and a file that cannot be read counts as missing.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from model_maker.system import files

# Of a photo: its size in bytes, and when it was changed last.
Mark = tuple[int, int]
# What reading a file of another form may raise.
DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


def mark(photo: Path) -> Mark | None:
    """Returns the mark of a photo; None where there is none."""
    try:
        facts = photo.stat()
    except (OSError, ValueError):  # a null character in its name
        return None
    return facts.st_size, facts.st_mtime_ns


def marks(photos: Iterable[Path]) -> dict[Path, Mark]:
    """Returns the marks of photos, as far as they are there."""
    return {photo: found for photo in photos if (found := mark(photo))}


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Writes such a file, whole or not at all; of two studios, the later one's stays.

    Raises:
      OutputError: it cannot be written.
    """
    files.write(path, json.dumps(content).encode())


def read(path: Path) -> dict[str, Any] | None:
    """Returns its content, unchecked; None where there is none."""
    try:
        found = json.loads(path.read_bytes())
    except DAMAGE:
        return None
    return found if isinstance(found, dict) else None


def named(photo: Path, base: Path, was: Mark) -> dict[str, Any]:
    """Returns what such a file says of a photo below a folder."""
    return {"path": photo.relative_to(base).as_posix(), "mark": list(was)}


def unchanged(entry: Mapping[str, Any], base: Path) -> Path | None:
    """Returns the photo that an entry of `named` means; None where it is gone, was changed, or lies elsewhere."""
    below = Path(entry["path"])
    photo = base / below
    return photo if not files.leads_out(below) and mark(photo) == tuple(entry["mark"]) else None
