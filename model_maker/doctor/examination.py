"""Evidence: all that is known of a data set before anything is called wrong."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from model_maker.backbones import embedder
from model_maker.backbones.int8_backbone import QuantizedEmbedder
from model_maker.data import images, skipped_files, sources
from model_maker.data.dataset import PARTS, Dataset, Skipped
from model_maker.data.entries import Location, spelled
from model_maker.doctor import file_properties, label_errors, near_duplicates
from model_maker.doctor.file_properties import Facts
from model_maker.doctor.label_errors import Judgement
from model_maker.embeddings import computing, int8_suitability
from model_maker.errors import DataError
from model_maker.progress import Progress
from model_maker.tflite import network_layers

Array = np.ndarray


@dataclass(frozen=True)
class Evidence:
    """What checks look at.

    Attributes:
      dataset: the photos that can be read; `skipped` are those that cannot.
      facts: of each photo, in order.
      vectors: float16 [N, D], embeddings; empty without photos.
      numbers: int [N], equal for photos of one picture.
      judgement: what embeddings tell of each photo.
      strays: photos that are not read, for their file's name does not say that they are photos.
      digests: sha256 of the unreadable files whose bytes could be read, by path.
    """

    dataset: Dataset
    facts: tuple[Facts, ...]
    vectors: Array
    numbers: Array
    judgement: Judgement
    strays: tuple[Path, ...]
    digests: dict[Location, str]

    @cached_property
    def labels(self) -> Array:
        return np.array(self.dataset.labels, int)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The part of each photo: as the source states it, else as training divides photos; "" where it cannot."""
        samples = self.dataset.samples
        if any(sample.part for sample in samples):
            return tuple(sample.part or "train" for sample in samples)
        try:
            split = self.dataset.split()
        except DataError:
            return ("",) * len(samples)
        place = {s.path: part for part in PARTS for s in getattr(split, part).samples}
        return tuple(place[sample.path] for sample in samples)

    @cached_property
    def names_of_file(self) -> Counter[str]:
        """Under how many names the real file behind a photo that has a twin is listed; links to it do not count."""
        twin = (self.dataset.samples[index].path for group in self.members() for index in group)
        return Counter(os.path.realpath(path) for path in twin if isinstance(path, Path) and not path.is_symlink())

    @property
    def states_parts(self) -> bool:
        """Whether the source states which photos are for testing."""
        return any(sample.part for sample in self.dataset.samples)

    def members(self) -> list[list[int]]:
        """Returns the photos of each picture that there is more than one of, the one to keep first.

        That is no link; one of the test part, where there is one, so that measurements stay comparable; then the
        largest; then the one with the shortest name, which is seldom that of a copy.
        """
        found: dict[int, list[int]] = {}
        for index in np.flatnonzero(near_duplicates.sizes(self.numbers) > 1):
            found.setdefault(int(self.numbers[index]), []).append(int(index))
        return [sorted(group, key=self._precedence) for group in found.values()]

    def _precedence(self, index: int) -> tuple:
        sample, fact = self.dataset.samples[index], self.facts[index]
        part = ("test", "validation", "train", "").index(sample.part)
        # Not a link, which would be left without its file.
        linked = isinstance(sample.path, Path) and sample.path.is_symlink()
        name = spelled(sample.path)
        return linked, part, -fact.width * fact.height, len(name), name


def gather(data: str | os.PathLike[str], model: str, progress: Progress, *, threads: int | None = None) -> Evidence:
    """Reads all photos once, embeds those not seen before, finds twins, judges labels.

    Raises:
      DataError: no such data, or no photos in it.
      BackboneError: there is no such model.
    """
    choice = embedder.choose(model)
    with progress.stage("List photos"):
        dataset = sources.read(data, least_classes=1, progress=progress.step)
    digests = {sample.path: sample.digest for sample in dataset.samples}
    # Told better by the check of that name, which leaves out unreadable files.
    spare = sources.conflict_notes(dataset)
    dataset = dataclasses.replace(dataset, notes=tuple(note for note in dataset.notes if note not in spare))
    paths = [sample.path for sample in dataset.samples]
    with progress.stage("Read photos"):
        results = list(file_properties.collect(paths, threads=threads, progress=progress.step))
    dataset = _without(
        dataset,
        {
            path: str(result).removeprefix(f"{path}: ").removeprefix("the picture: ")
            for path, result in zip(paths, results, strict=True)
            if isinstance(result, DataError)
        },
    )
    known = tuple(result for result in results if isinstance(result, Facts))
    vectors = np.empty((0, 1), np.float16)
    if len(dataset):
        with progress.stage(f"Prepare {choice.name}"):
            embeds = embedder.embedder(choice, progress=progress)
            base = int8_suitability.prepare(embeds, dataset, progress, threads=threads)
        with progress.stage("Embed photos"):
            dataset, known, vectors = _embed(dataset, known, base, progress, threads)
    with progress.stage("Compare photos"):
        numbers = _numbers(dataset, known, vectors)
    with progress.stage("Judge labels"):
        labels = np.array(dataset.labels, int)
        judged = label_errors.judge(vectors, labels, numbers, classes=len(dataset.classes))
    return Evidence(dataset, known, vectors, numbers, judged, strays_in(str(data)), digests)


def _embed(
    dataset: Dataset, known: tuple[Facts, ...], base: QuantizedEmbedder, progress: Progress, threads: int | None
) -> tuple[Dataset, tuple[Facts, ...], Array]:
    """Returns photos, their facts and their embeddings, less what a change of the folder made unreadable meanwhile."""
    found, gone = computing.feature_maps(dataset, *base.computing, threads=threads, progress=progress)
    # The last layer: copies and labels are judged by what the network makes of a photo in the end.
    vectors = found.columns(network_layers.features(base.layers, base.layers[-1:])).read()[:, 0].astype(np.float16)
    lost = {entry.path: entry.reason for entry in gone}
    kept = tuple(fact for sample, fact in zip(dataset.samples, known, strict=True) if sample.path not in lost)
    return _without(dataset, lost), kept, vectors


def _without(dataset: Dataset, reasons: dict[Location, str]) -> Dataset:
    """Returns a data set less unreadable photos, however many there are."""
    kept = tuple(sample for sample in dataset.samples if sample.path not in reasons)
    gone = tuple(Skipped(s.path, reasons[s.path], s.part) for s in dataset.samples if s.path in reasons)
    return dataclasses.replace(dataset, samples=kept, skipped=dataset.skipped + gone)


def _numbers(dataset: Dataset, known: tuple[Facts, ...], vectors: Array) -> Array:
    if not known:
        return np.empty(0, int)
    return near_duplicates.groups(
        [sample.digest for sample in dataset.samples],
        np.array([fact.hash for fact in known], np.uint64),
        np.array([fact.mirrored for fact in known], np.uint64),
        np.array([fact.spread for fact in known]),
        label_errors.directions(vectors),
    )


def strays_in(root: str) -> tuple[Path, ...]:
    """Lists visible files below a folder whose content, not whose name, is that of a photo."""
    found = []
    for current, folders, names in os.walk(root):  # nothing where the data is no folder here
        folders[:] = [name for name in folders if not skipped_files.is_hidden(name)]
        paths = (Path(current, name) for name in sorted(names) if not skipped_files.is_hidden(name))
        found += [path for path in paths if not images.is_photo(path.suffix) and holds_photo(path)]
    return tuple(sorted(found, key=lambda path: path.parts))


def holds_photo(path: Path) -> bool:
    try:
        with images.opened(path):
            return True
    except DataError:
        return False
