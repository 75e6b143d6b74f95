"""The photos of a certificate, ready for every runtime, and what each head of the file makes of them in LiteRT."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model_maker.apps.preprocessing import AS_TRAINED, PREPARATIONS
from model_maker.data import images
from model_maker.data.dataset import Dataset
from model_maker.data.multi_label import MultiLabelDataset
from model_maker.errors import DataError, ModelError
from model_maker.inference.classifier import FileClassifier
from model_maker.progress import Progress
from model_maker.tflite import metadata

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class HeadTrial:
    """Photos, and what one head makes of them.

    Attributes:
      files: photos that any client decodes, JPEG or PNG.
      pixel_files: the same at the input's size.
      trained: what training did with photos, a key of PREPARATIONS.
      prepared: uint8 [N, H, W, 3] by preparation.
      ours: runs the head in LiteRT.
      head, output: its name and place, of a file that `combine` made.
      truth: int [N], indices of the true labels, of a model of several labels bool [N, C]; None of a head that does not
        know them.
      expected: float32 [N, C], reference scores.
      limits: float32 [C], the threshold of each label.

    All but `files` are empty if LiteRT cannot run the model.
    """

    files: list[Path]
    pixel_files: list[Path] = field(default_factory=list)
    trained: str = ""
    prepared: Mapping[str, Array] = field(default_factory=dict)
    ours: FileClassifier | None = None
    head: str = ""
    output: int = 0
    truth: Array | None = field(default_factory=lambda: np.zeros(0, int))
    expected: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    limits: Array = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass(frozen=True)
class _Head:
    name: str
    output: int
    classifier: FileClassifier


def classifiers(content: bytes, head: str | None) -> list[_Head]:
    """Returns what runs each head of a file, or the one that is named; nothing if LiteRT cannot run it.

    Raises:
      ModelError: it has no head of that name.
    """
    if head is not None:
        FileClassifier(content, head=head)
    try:
        names = list(metadata.read_heads(content)) or [""]
        return [
            _Head(name, output, FileClassifier(content, head=name or None))
            for output, name in enumerate(names)
            if head in (None, name)
        ]
    except ModelError:  # the run in LiteRT reports the reason
        return []


def spread(dataset: Dataset, count: int) -> Dataset:
    """Returns a number of photos, evenly from all classes, independent of their names and order."""
    by_class = defaultdict(list)
    for sample in sorted(dataset.samples, key=lambda sample: sample.digest):
        by_class[dataset.sets[sample.digest] if isinstance(dataset, MultiLabelDataset) else sample.label].append(sample)
    ranked = [(rank, s.digest, s) for samples in by_class.values() for rank, s in enumerate(samples)]
    chosen = {id(sample) for *_, sample in sorted(ranked, key=lambda entry: entry[:2])[:count]}
    return replace(dataset, samples=tuple(sample for sample in dataset.samples if id(sample) in chosen))


def prepare(dataset: Dataset, heads: Sequence[_Head], folder: Path, progress: Progress) -> list[HeadTrial]:
    """Decodes photos for every runtime and runs them in LiteRT.

    Returns:
      A trial of each head; a single one without scores if LiteRT cannot run the file.

    Raises:
      DataError: no photo can be read, or no head knows the classes.
    """
    truths = _truths(dataset, heads)
    files, pixel_files, prepared, read = [], [], defaultdict(list), []
    trained = AS_TRAINED[heads[0].classifier.fit.resize] if heads else ""
    for number, sample in enumerate(dataset.samples):
        progress.step(number, len(dataset))
        try:
            picture = images.picture(sample.path)
        except DataError as error:
            progress.note(f"{error}; it is skipped.")
            continue
        files.append(plain_file(sample.path, picture, folder / f"photo_{number}.png"))
        if heads:
            for name, preparation in PREPARATIONS.items():
                prepared[name].append(preparation.prepare(picture, heads[0].classifier.fit))
            pixel_files.append(folder / f"pixels_{number}.png")
            Image.fromarray(prepared[trained][-1]).save(pixel_files[-1], compress_level=1)
            read.append(number)
    if not files:
        raise DataError("There are no photos to run the model on. Pass `data=DIR` with photos.")
    if not heads:
        return [HeadTrial(files)]
    arrays = {name: np.array(pixels) for name, pixels in prepared.items()}
    trial = HeadTrial(files, pixel_files, trained, arrays)
    return [
        replace(
            trial,
            ours=head.classifier,
            head=head.name,
            output=head.output,
            truth=None if truth is None else truth[read],
            expected=scores(head.classifier, arrays[trained]),
            limits=head.classifier.thresholds,
        )
        for head, truth in zip(heads, truths, strict=True)
    ]


def _truths(dataset: Dataset, heads: Sequence[_Head]) -> list[Array | None]:
    """Returns the photos' true labels among those of each head, see HeadTrial; None where it does not know them."""
    found: list[Array | None] = []
    errors = []
    for head in heads:
        try:
            found.append(head.classifier.truth(dataset))
        except DataError as error:
            found.append(None)
            errors.append(error)
    if heads and len(errors) == len(heads):
        raise errors[0]
    return found


def plain_file(photo: Any, picture: Image.Image, spare: Path) -> Path:
    """Returns the original file if every client decodes it as we do: an upright JPEG in RGB."""
    if isinstance(photo, Path):
        with Image.open(photo) as opened:
            if (opened.format, opened.mode, images.orientation(opened.getexif())) == ("JPEG", "RGB", 1):
                return photo.absolute()
    picture.save(spare, compress_level=1)
    return spare


def scores(classifier: FileClassifier, pixels: Iterable[Array]) -> Array:
    """Returns float32 [N, C] of uint8 [N, H, W, 3]."""
    return np.array(list(classifier.scores(pixels)), np.float32)
