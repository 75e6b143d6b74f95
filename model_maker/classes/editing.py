"""edit_classes(): adds, removes, renames and merges classes of a finished `.tflite`, without its training photos.

The backbone inside the file stays; each class is one row of the last layer. A new row is fitted on the new photos and
on the class memory that `train` writes into the file (`tflite.class_memory`); without a memory, it is imprinted from
the new photos.
"""

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_maker import evaluation, output_folder
from model_maker.classes import class_edits
from model_maker.classes.class_edits import Edits, Photos
from model_maker.classes.class_list import ClassList, layer_sizes
from model_maker.classes.photo_embedder import PhotoEmbedder
from model_maker.data import sources
from model_maker.data.dataset import Dataset
from model_maker.errors import DataError, ModelError, about
from model_maker.evaluation import Interval
from model_maker.inference import addresses, training_overlap
from model_maker.inference.classifier import FileClassifier, model_file
from model_maker.learning import likelihoods
from model_maker.output_folder import CARD, LABELS, MODEL
from model_maker.progress import Progress
from model_maker.report import model_card
from model_maker.system import files
from model_maker.tflite import class_memory, class_rows, io_types, metadata, vetting
from model_maker.tflite.class_rows import Rows
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray[Any, Any]

RECORD = "classes.json"
# Integer logits and scores have steps, coarse ones in older files; a misplaced row changes scores by far more.
_ROUNDING = 0.06
_CHECKED = 8


@dataclass(frozen=True)
class NewPhotos:
    """Photos of a class, and how well the model recognizes them.

    Attributes:
      label: the class.
      photos: number of photos used.
      unreadable: number of unreadable photos.
      known_before: number recognized before the edit; None for a new class.
      found: number recognized by rows that were not fitted on them.
      top1_interval: 95 % confidence interval of their share; None for a single photo, which cannot be held out.
    """

    label: str
    photos: int
    unreadable: int
    known_before: int | None
    found: int | None
    top1_interval: Interval | None


@dataclass(frozen=True)
class OldClasses:
    """Accuracy on photos of existing classes: top-1 of both files, 0 to 1, among the classes that they have."""

    photos: int
    before: float
    after: float


@dataclass(frozen=True)
class Edited:
    """The result of `edit_classes`.

    Attributes:
      directory: contains `model.tflite`, `labels.txt`, `classes.json` and `README.md`.
      labels: of the new file, in the order of its scores.
      new: the new photos, by class.
      old: accuracy on existing classes; None if it was not measured.
      memory: whether the file has a class memory.
    """

    directory: Path
    labels: tuple[str, ...]
    new: tuple[NewPhotos, ...]
    old: OldClasses | None
    memory: bool

    def as_dict(self) -> dict[str, Any]:
        """Returns JSON types."""
        return dataclasses.asdict(self) | {"directory": str(self.directory)}


def edit_classes(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    add: Mapping[str, Photos] | None = None,
    more: Mapping[str, Photos] | None = None,
    remove: Iterable[str] = (),
    rename: Mapping[str, str] | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    data: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Edited:
    """Edits the classes of a finished `.tflite` classifier and writes it to a new folder.

    Args:
      model: an output folder of `train`, or any `.tflite` classifier with labels.
      output: the output folder.
      add: photos of new classes, a folder or a single photo each, by label; one photo is enough, five are good.
      more: additional photos of existing classes.
      remove: labels to remove.
      rename: maps old labels to new ones.
      merge: maps a new label to the labels that it replaces.
      data: labeled photos to measure accuracy on existing classes; not measured by default.
      overwrite: whether to replace an existing output folder of `edit_classes`.
      progress: receives stages, steps and notes.

    Raises:
      DataError: a label is missing, already exists or is empty, fewer than two would be left, or no photo can be read.
      ModelError: the file does not end in a layer of classes, or its class memory belongs to another file.
      OutputError: the folder cannot be created.

    Examples:
      >>> import model_maker
      >>> edited = model_maker.edit_classes("flowers_model", "renamed_model", rename={"rose": "garden rose"})
      >>> edited.labels
      ('daisy', 'dandelion', 'garden rose', 'sunflower', 'tulip')
    """
    edits = class_edits.gather(add=add, more=more, remove=remove, rename=rename, merge=merge)
    path, output, progress = model_file(model), Path(output), Progress(progress)
    files.check_new_beside(path, output, overwrite=overwrite, mark=RECORD)
    content = vetting.read(path)
    with about(path):
        info = _described(content)
        labels = class_edits.check(edits, info.labels)
        judged = sources.read(data, least_classes=1) if data is not None else None
        changed = _Change(content, info, edits, progress)
        new = changed.make(labels)
        if changed.moves_rows:
            with progress.stage("Check the file"):
                changed.check(new)
        found = Edited(output, labels, tuple(changed.found), None, changed.has_memory)
        if judged is not None:
            with progress.stage("Evaluate"):
                found = dataclasses.replace(found, old=_judge(content, new, judged, set(info.labels) & set(labels)))
        with progress.stage("Write"):
            record = {"edits": edits.as_dict()} | {
                key: found.as_dict()[key] for key in ("labels", "new", "old", "memory")
            }
            _write(output, path, new, record, changed.photos, overwrite=overwrite)
    return found


def _described(content: bytes) -> ModelInfo:
    """Returns a file's metadata; raises if it has no labels or normalization, which are needed to write it again."""
    info = metadata.read(content)
    if "heads" in info.provenance:
        raise ModelError("it has several heads. Edit the files that it was made of, and combine them again.")
    if not info.labels:
        raise ModelError("it carries no labels. Write them into it with `model_maker metadata` first.")
    metadata.check_single(info, "editing classes", "Change the labels of its photos and train again.")
    normalization = info.normalization or io_types.stated_normalization(content)
    if normalization is None:
        raise ModelError(
            "it does not state what its float input expects. Write that into it with `model_maker metadata` first."
        )
    return dataclasses.replace(info, normalization=normalization)


def _write(
    output: Path, model: Path, content: bytes, record: dict[str, Any], learned: Sequence[Any], *, overwrite: bool
) -> None:
    """Writes the folder atomically, with edits and results as `classes.json`, and the hashes of new training photos."""
    texts = {
        LABELS: "\n".join(record["labels"]),
        RECORD: output_folder.as_json(record | {"sha256": hashlib.sha256(content).hexdigest()}),
        CARD: model_card.render_edited(record, name=output.name, size_bytes=len(content)),
    }
    with files.new_directory(output, overwrite=overwrite) as folder:
        output_folder.write(folder, {MODEL: content, **texts})
        training_overlap.keep(model.parent, folder, more=learned)


class _Change:
    """An edit in progress: the file, its edited classes, and results on new photos."""

    def __init__(self, content: bytes, info: ModelInfo, edits: Edits, progress: Progress):
        self._content, self._info, self._edits, self._progress = content, info, edits, progress
        self._embedder = PhotoEmbedder(content, info.normalization, info)
        self._seen: list[Array] = []
        self.found: list[NewPhotos] = []
        self.has_memory = False
        self.photos: list[Path] = []

    def make(self, labels: tuple[str, ...]) -> bytes:
        """Returns the edited file."""
        memory = class_memory.get(self._content)
        self.has_memory = memory is not None
        sizes = layer_sizes(self._info.provenance)
        # Renaming does not need the layer, and reading it takes a tenth of the time.
        count = len(self._info.labels)
        layer = class_rows.read(self._content) if self.moves_rows else Rows(np.empty((count, 0)), np.empty(count))
        classes = ClassList(self._info.labels, layer, memory, sizes)
        if memory is None and (self._edits.add or self._edits.more):
            self._progress.note(
                "The file has no memory of its classes, so new rows are imprints of the new photos alone, and less "
                "reliable than in a file of `train`."
            )
        for name in self._edits.remove:
            classes.remove(name)
        for one in self._edits.merge:
            classes.merge(one.names, one.into)
        for old, name in self._edits.rename:
            classes.rename(old, name)
        for name, photos in self._edits.more:
            self._learn(classes, name, photos, is_new=False)
        for name, photos in self._edits.add:
            self._learn(classes, name, photos, is_new=True)
        if classes.labels != labels:
            raise ModelError(f"The edits led to {classes.labels}, not to {labels}. Please report this.")
        return self._packed(classes)

    def _learn(self, classes: ClassList, name: str, place: str, *, is_new: bool) -> None:
        with self._progress.stage(f"Learn {name}"):
            listed = list(addresses.expand([place]))
            embedded, paths = self._embedder.embed(listed, self._progress)
            if not len(embedded):
                raise DataError(f"{place}: none of {len(listed)} photos of {name} can be read. Give others.")
            if len(paths) < len(listed):
                self._progress.note(f"{len(listed) - len(paths)} of {len(listed)} photos of {name} cannot be read.")
            known = None if is_new else classes.count_right(name, embedded)
            stand_ins = self._embedder.stand_ins() if classes.needs_stand_ins else np.empty((0, embedded.shape[1]))
            margins = classes.learn(name, embedded, stand_ins, is_new=is_new)
            found = int((margins > 0).sum()) if len(margins) else None
            interval = None if found is None else evaluation.wilson(found, len(margins))
            self.found.append(NewPhotos(name, len(paths), len(listed) - len(paths), known, found, interval))
            self._seen.append(embedded)
            self.photos += paths

    def _packed(self, classes: ClassList) -> bytes:
        content, seen = self._content, np.concatenate(self._seen) if self._seen else np.empty((0, 0), np.float32)
        if classes.rows != list(range(len(self._info.labels))):
            known = [classes.memory.means] if classes.memory and len(seen) else []
            content = class_rows.replace(content, classes.rows, np.concatenate([seen, *known]) if len(seen) else seen)
        own = self._info.label_thresholds
        info = dataclasses.replace(
            self._info,
            labels=classes.labels,
            label_thresholds=tuple(own[row] if isinstance(row, int) else self._info.threshold for row in classes.rows)
            if own
            else (),
            # The promised coverage was measured on photos of the original classes.
            label_sets=self._info.label_sets if not self.moves_rows else None,
            provenance={"classes_edited": self._edits.as_dict(), "from": self._info.provenance},
        )
        new = metadata.write(content, info)
        if classes.memory:
            new = class_memory.put(new, classes.memory)
        vetting.trust_as(new, self._content)
        return new

    @property
    def moves_rows(self) -> bool:
        """Whether the edits change the network, not only labels."""
        return dataclasses.replace(self._edits, rename=()) != Edits()

    def check(self, new: bytes) -> None:
        """Checks that the new file's scores match those computed from embeddings with its last layer."""
        classifier, rows = FileClassifier(new, threads=1), class_rows.read(new)
        photos: list[Any] = list(self.photos[:_CHECKED])
        if not photos:
            shape = (classifier.fit.height, classifier.fit.width, 3)
            photos = [np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)]
        features, _ = PhotoEmbedder(new, self._info.normalization, self._info).embed(photos, Progress(None))
        logits = rows.logits(features)
        expected = likelihoods.softmax(logits)
        scores = np.stack([row for row in classifier.scores(photos) if not isinstance(row, DataError)])
        apart = float(np.abs(scores - expected).max(axis=1).mean())
        if not apart <= _ROUNDING:
            raise ModelError(
                f"The edited file does not reproduce the expected scores (difference {apart:.3f}, allowed "
                f"{_ROUNDING}). Nothing was written; please report this."
            )


def _judge(before: bytes, after: bytes, data: Dataset, kept: set[str]) -> OldClasses:
    """Measures accuracy on photos of the classes that both files have."""
    chosen = [index for index, sample in enumerate(data.samples) if data.classes[sample.label] in kept]
    if not chosen:
        raise DataError("`data` has no photos of classes that are in both models.")
    photos = data.of(chosen)
    names = [photos.classes[label] for label in photos.labels]
    shares = []
    for content in (before, after):
        classifier = FileClassifier(content)
        answers = classifier.score(photos).argmax(axis=1)
        shares.append(
            float(
                np.mean([classifier.labels[int(answer)] == name for answer, name in zip(answers, names, strict=True)])
            )
        )
    return OldClasses(len(names), *shares)
