"""What moves of files need: names that are free, and a log of JSON lines that survives a crash."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO


def free_name(target: Path, taken: Iterable[Path] = ()) -> Path:
    """Returns a path that nothing has yet: the one given, or with a number behind its name."""
    number, free = 1, target
    while free in taken or os.path.lexists(free):
        number += 1
        free = target.with_name(f"{target.stem} ({number}){target.suffix}")
    return free


def append(log: BinaryIO, entry: Mapping[str, object]) -> None:
    """Writes a line to disk; of a line before it that a crash cut off, nothing has moved."""
    line = json.dumps(entry).encode() + b"\n"
    end = log.seek(0, os.SEEK_END)
    if end:
        log.seek(end - 1)
        if log.read(1) != b"\n":
            line = b"\n" + line
    log.write(line)
    log.flush()
    os.fsync(log.fileno())
