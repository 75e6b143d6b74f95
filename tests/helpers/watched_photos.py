"""Photos that note in a file who reads them, or that not everybody can read: what a cluster does is seen by them."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from model_maker.errors import DataError


@dataclass(frozen=True)
class Watched:
    """A photo that says in `log` which process reads it, and takes its time."""

    path: str
    log: str
    seconds: float = 0.0

    def __str__(self):
        return self.path

    def read_bytes(self):
        with open(self.log, "a") as file:
            file.write(f"{os.getpid()} {self.path}\n")
        time.sleep(self.seconds)
        return Path(self.path).read_bytes()


@dataclass(frozen=True)
class OnlyHere:
    """A photo that one process can read, as if its folder were not shared."""

    path: str
    reader: int

    def __str__(self):
        return self.path

    def read_bytes(self):
        if os.getpid() != self.reader:
            raise DataError(f"{self}: no such file")
        return Path(self.path).read_bytes()


@dataclass(frozen=True)
class Twofold:
    """A photo that is another one for all processes but one, as if a folder of the same name held other files."""

    path: str
    other: str
    reader: int

    def __str__(self):
        return self.path

    def read_bytes(self):
        return Path(self.path if os.getpid() == self.reader else self.other).read_bytes()


def readings(log):
    """[(process, photo)], in the order of reading."""
    try:
        lines = Path(log).read_text().splitlines()
    except FileNotFoundError:
        return []
    return [(int(process), photo) for process, photo in map(str.split, lines)]
