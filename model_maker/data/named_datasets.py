"""Published datasets by name: NAMED, each downloaded on first use, verified, and read from the cache.

A record holds addresses, sizes, hashes and the dataset's stated licence.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from absl import logging

from model_maker.data import archives
from model_maker.data.entries import ListedPhoto
from model_maker.errors import DataError, ModelMakerError
from model_maker.system import downloads, files

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Archive:
    """A file of a dataset, its size and hash, and the split that it contains, if any."""

    url: str
    size_bytes: int
    sha256: str
    part: str = ""


@dataclass(frozen=True, slots=True)
class NamedDataset:
    """A published dataset; can replace a Path of a dataset.

    Attributes:
      name: as users write it.
      home: the page that describes it.
      summary: what its photos show.
    """

    name: str
    files: tuple[Archive, ...]
    licence: str
    home: str
    summary: str

    def __str__(self) -> str:
        return self.name

    @property
    def size_bytes(self) -> int:
        """Total size of its files."""
        return sum(file.size_bytes for file in self.files)

    def resolve(self) -> NamedDataset:
        return self

    def is_dir(self) -> bool:
        return True

    def exists(self) -> bool:
        """Always true: it is in the cache, or can be downloaded."""
        return True

    def place(self, file: Archive) -> Path:
        """Returns the cache path of a file; the name identifies its content."""
        name = file.url.rsplit("/", 1)[1]
        return files.cache_directory() / "datasets" / self.name / f"{file.sha256[:16]}-{name}"

    def fetch(self, notes: list[str], progress: Progress | None = None) -> None:
        """Downloads missing files, with progress in kilobytes; resumes interrupted downloads.

        Raises:
          DataError: a file cannot be downloaded, or is not the published one.
        """
        missing = [file for file in self.files if not self.place(file).exists()]
        if not missing:
            return
        size = sum(file.size_bytes for file in missing) / 1e6
        told = f"{self.name}: {size:.0f} MB from {self.home}, licence {self.licence}"
        logging.info("Downloading %s.", told)
        for file in missing:
            self._fetch(file, progress or (lambda done, total: None))
        notes.append(f"Downloaded {told}, to {self.place(missing[0]).parent}.")

    def _fetch(self, file: Archive, progress: Progress) -> None:
        try:
            url = downloads.address(file.url)
            if not downloads.reachable(url):
                raise DataError(
                    f"{self.name} is not here, and {url} cannot be reached. Fetch it elsewhere, and put it at "
                    f"{self.place(file)}."
                )
            downloads.fetch(url, self.place(file), sha256=file.sha256, progress=progress)
        except DataError:
            raise
        except ModelMakerError as error:
            raise DataError(f"{self.name}: {error}") from error


def find(name: object) -> NamedDataset | None:
    """Returns the dataset of that name; None if a file or folder has this name, or no dataset does."""
    found = NAMED.get(name) if isinstance(name, str) else None
    return found if found and not Path(found.name).exists() else None


def like(name: str) -> str:
    """Returns a question that suggests the nearest name in NAMED for a misspelled one, else an empty string."""
    near = difflib.get_close_matches(name, NAMED, n=1)
    return f" Or is it the published dataset {near[0]}?" if near else ""


def accepts(place: object) -> bool:
    return isinstance(place, NamedDataset)


def entries(data: NamedDataset, notes: list[str]) -> Iterator[ListedPhoto]:
    """Lists the photos of all its files, in their order."""
    for file in data.files:
        for entry in archives.entries(data.place(file), notes):
            yield entry._replace(part=file.part) if file.part else entry


def _imagenette(size: int, size_bytes: int, sha256: str) -> NamedDataset:
    return NamedDataset(
        "imagenette" if size == 320 else f"imagenette_{size}",
        (Archive(f"https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-{size}.tgz", size_bytes, sha256),),
        "ImageNet's terms (research, not commercial)",
        "https://github.com/fastai/imagenette",
        f"10 classes of ImageNet, short side {size} pixels",
    )


def _beans(part: str, file: str, size_bytes: int, sha256: str) -> Archive:
    return Archive(f"https://storage.googleapis.com/ibeans/{file}.zip", size_bytes, sha256, part)


# Sizes and hashes as TensorFlow Datasets publishes them.
NAMED = {
    data.name: data
    for data in (
        NamedDataset(
            "tf_flowers",
            (
                Archive(
                    "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz",
                    228_813_984,
                    "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
                ),
            ),
            "CC BY 2.0, by photo (LICENSE.txt inside)",
            "https://www.tensorflow.org/datasets/catalog/tf_flowers",
            "3670 photos of 5 kinds of flowers",
        ),
        _imagenette(320, 341_553_947, "5020a9130cea0348272823cb12d2db7e981c6f2afa3dce71ccd5b8013005c55e"),
        _imagenette(160, 98_948_031, "88daccb09b6fce93f45e6c09ddeb269cce705549e6bff322092a2a5a11489863"),
        NamedDataset(
            "beans",
            (
                _beans(
                    "train",
                    "train",
                    143_812_152,
                    "284fe8456ce20687f4367ae7ad94a64577e7f9fde2c2c6b1c74340ab5dc82715",
                ),
                _beans(
                    "validation",
                    "validation",
                    18_504_213,
                    "90b7aa1c26d91d9afff07a30bbc67a5ea34f1f1397f068d8675be09d7d0c602d",
                ),
                _beans("test", "test", 17_708_541, "ca67b15d960d1e2fd9d23fd8498ce86818ead90755c630a43baf19ec4af09312"),
            ),
            "MIT",
            "https://github.com/AI-Lab-Makerere/ibean",
            "1295 photos of bean leaves, healthy or with one of two diseases",
        ),
    )
}
