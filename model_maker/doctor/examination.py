"""Examination: all data that checks use, collected in one pass over a dataset."""

import dataclasses
import os
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from model_maker.backbones import embedder
from model_maker.backbones.int8_backbone import QuantizedEmbedder
from model_maker.data import images, skipped_files, sources
from model_maker.data.dataset import PARTS, Dataset, Skipped
from model_maker.data.entries import Location, spelled
from model_maker.data.multi_label import MultiLabelDataset
from model_maker.data.photo_facts import PhotoFacts
from model_maker.doctor import file_properties, label_errors, near_duplicates
from model_maker.doctor.file_properties import FileProperties
from model_maker.doctor.label_errors import LabelErrors
from model_maker.embeddings import computing, int8_suitability
from model_maker.errors import DataError
from model_maker.progress import Progress
from model_maker.tflite import network_layers

Array = np.ndarray


@dataclass(frozen=True)
class Examination:
    """The input of checks.

    Attributes:
      dataset: the readable photos; `skipped` has the unreadable files.
      properties: of each photo, in order.
      vectors: float16 [N, D], embeddings; empty without photos.
      numbers: int [N], equal for near duplicates.
      label_errors: scores of each photo's label, from embeddings.
      strays: photos that are not used because their file names have no suffix of a photo.
      digests: sha256 of the unreadable files whose bytes could be read, by path.
    """

    dataset: Dataset
    properties: tuple[FileProperties, ...]
    vectors: Array
    numbers: Array
    label_errors: LabelErrors
    strays: tuple[Path, ...]
    digests: dict[Location, str]

    @cached_property
    def labels(self) -> Array:
        return np.array([sample.label for sample in self.dataset.samples], int)

    @property
    def is_multi_label(self) -> bool:
        """Whether photos may have several labels."""
        return isinstance(self.dataset, MultiLabelDataset)

    def having(self, label: int) -> Array:
        """Returns which photos have a label, bool [N]."""
        several = self.dataset.targets if isinstance(self.dataset, MultiLabelDataset) else None
        return self.labels == label if several is None else several[:, label]

    def label_of(self, index: int) -> Hashable:
        """Returns the label of a photo, or the set of its labels."""
        sample = self.dataset.samples[index]
        return self.dataset.sets[sample.digest] if isinstance(self.dataset, MultiLabelDataset) else sample.label

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The split of each photo: as the source states it, else as training splits the dataset; "" if it cannot."""
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
        """The number of listed paths to the real file of each duplicate; links to it do not count."""
        paths = (self.dataset.samples[index].path for group in self.members() for index in group)
        return Counter(os.path.realpath(path) for path in paths if isinstance(path, Path) and not path.is_symlink())

    @property
    def facts(self) -> list[PhotoFacts]:
        """What each photo is like apart from what it shows."""
        return [file.facts for file in self.properties]

    @property
    def states_parts(self) -> bool:
        """Whether the source states a test split."""
        return any(sample.part for sample in self.dataset.samples)

    def members(self) -> list[list[int]]:
        """Returns the groups of near duplicates, the photo to keep first.

        Preferred are: files over links; photos of the test split, so that measurements stay comparable; the largest;
        the shortest name, because copies tend to have longer names.
        """
        found: dict[int, list[int]] = {}
        for index in np.flatnonzero(near_duplicates.sizes(self.numbers) > 1):
            found.setdefault(int(self.numbers[index]), []).append(int(index))
        return [sorted(group, key=self._precedence) for group in found.values()]

    def _precedence(self, index: int) -> tuple:
        sample, file = self.dataset.samples[index], self.properties[index]
        part = ("test", "validation", "train", "").index(sample.part)
        # Not a link, which would lose its file.
        linked = isinstance(sample.path, Path) and sample.path.is_symlink()
        name = spelled(sample.path)
        return linked, part, -file.width * file.height, len(name), name


def examine(
    data: str | os.PathLike[str],
    model: str,
    progress: Progress,
    *,
    multi_label: bool = False,
    threads: int | None = None,
) -> Examination:
    """Reads all photos once, embeds new ones, finds near duplicates and assesses labels.

    Raises:
      DataError: the dataset does not exist, or has no photos.
      BackboneError: the model does not exist.
    """
    choice = embedder.choose(model)
    with progress.stage("List photos"):
        dataset = sources.read(data, least_classes=1, multi_label=multi_label, progress=progress.step)
    digests = {sample.path: sample.digest for sample in dataset.samples}
    # The check of that name reports this without unreadable files.
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
    known = tuple(result for result in results if isinstance(result, FileProperties))
    vectors = np.empty((0, 1), np.float16)
    if len(dataset):
        with progress.stage(f"Prepare {choice.name}"):
            embeds = embedder.embedder(choice, progress=progress)
            base = int8_suitability.prepare(embeds, dataset, progress, threads=threads)
        with progress.stage("Embed photos"):
            dataset, known, vectors = _embed(dataset, known, base, progress, threads)
    with progress.stage("Compare photos"):
        numbers = _numbers(dataset, known, vectors)
    with progress.stage("Assess labels"):
        judged = _judged(dataset, vectors, numbers)
    return Examination(dataset, known, vectors, numbers, judged, strays_in(str(data)), digests)


def _judged(dataset: Dataset, vectors: Array, numbers: Array) -> LabelErrors:
    if isinstance(dataset, MultiLabelDataset):
        return label_errors.find_several(vectors, dataset.targets, numbers)
    return label_errors.find(vectors, np.array(dataset.labels, int), numbers, classes=len(dataset.classes))


def _embed(
    dataset: Dataset,
    known: tuple[FileProperties, ...],
    base: QuantizedEmbedder,
    progress: Progress,
    threads: int | None,
) -> tuple[Dataset, tuple[FileProperties, ...], Array]:
    """Returns photos, properties and embeddings without photos that have become unreadable meanwhile."""
    found, gone = computing.feature_maps(dataset, *base.computing, threads=threads, progress=progress)
    # The last layer: duplicates and labels are compared by the final embedding.
    vectors = found.columns(network_layers.features(base.layers, base.layers[-1:])).read()[:, 0].astype(np.float16)
    lost = {entry.path: entry.reason for entry in gone}
    kept = tuple(file for sample, file in zip(dataset.samples, known, strict=True) if sample.path not in lost)
    return _without(dataset, lost), kept, vectors


def _without(dataset: Dataset, reasons: dict[Location, str]) -> Dataset:
    """Returns a dataset without unreadable photos, however many there are."""
    kept = tuple(sample for sample in dataset.samples if sample.path not in reasons)
    gone = tuple(Skipped(s.path, reasons[s.path], s.part) for s in dataset.samples if s.path in reasons)
    return dataclasses.replace(dataset, samples=kept, skipped=dataset.skipped + gone)


def _numbers(dataset: Dataset, known: tuple[FileProperties, ...], vectors: Array) -> Array:
    if not known:
        return np.empty(0, int)
    return near_duplicates.groups(
        [sample.digest for sample in dataset.samples],
        np.array([file.hash for file in known], np.uint64),
        np.array([file.mirrored for file in known], np.uint64),
        np.array([file.spread for file in known]),
        label_errors.directions(vectors),
    )


def strays_in(root: str) -> tuple[Path, ...]:
    """Lists visible files below a folder that are photos by content, but not by name."""
    found = []
    for current, folders, names in os.walk(root):  # yields nothing unless it is a local folder
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
