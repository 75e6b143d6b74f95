"""organize(): sorts a folder of photos into folders, by labels, by a model or by similarity; the originals stay."""

import csv
import io
import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_maker.collection import grouping, photos, vectors
from model_maker.data.dataset import Dataset
from model_maker.data.skipped_files import UNSURE
from model_maker.errors import DataError, OutputError, about
from model_maker.inference.classifier import FileClassifier
from model_maker.progress import Progress
from model_maker.report import photo_page
from model_maker.system import files
from model_maker.terminal import safe_text
from model_maker.tflite import metadata
from model_maker.zero_shot_learning import classify
from model_maker.zero_shot_learning.text_vectors import TEMPLATE

Array = np.ndarray[Any, Any]

UNSURE_FOLDER, RECORD, EXAMPLES = "unsure", "organized.csv", "examples.html"
# By default a label must be this many times as likely as the next one.
_MARGIN = 2.0
_SHOWN = 12  # examples of each folder
# Parts of folder names that some file system does not allow.
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]|^\.+|[. ]+$')
_COLUMNS = ("photo", "folder", "copy", "label", "score", "second", "second_score")


@dataclass(frozen=True)
class Place:
    """The destination of a photo.

    Attributes:
      label: the best label; `folder` is derived from it, or is UNSURE_FOLDER.
      score: score of the label; for groups the cosine similarity to the group's center.
      second, second_score: the second best label and its score.
    """

    photo: int
    label: str
    folder: str
    score: float
    second: str = ""
    second_score: float = 0.0


@dataclass(frozen=True)
class Organized:
    """The result of sorting a folder of photos.

    Attributes:
      directory: the output folder.
      by: "labels", "model" or "groups".
      tier: the zero-shot tier that was used; empty for a model and for groups.
      source: source of the tier's words, or the model, or the backbone.
      folders: number of photos in each folder.
      skipped: photos that could not be read, and why.
    """

    directory: Path
    by: str
    tier: str
    source: str
    folders: dict[str, int]
    skipped: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Returns JSON types."""
        return {
            "output": str(self.directory),
            "by": self.by,
            "tier": self.tier or None,
            "source": self.source,
            "folders": self.folders,
            "skipped": self.skipped,
        }


def organize(
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    model: str | os.PathLike[str] | None = None,
    groups: int | None = None,
    backbone: str = "efficientnet_lite0",
    tier: str | None = None,
    text_vectors: str | os.PathLike[str] | None = None,
    tower: str | None = None,
    accept_licence: str | None = None,
    hypothesis_template: str = TEMPLATE,
    threshold: float | None = None,
    link: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Organized:
    """Sorts the photos of a folder into folders that `train` reads; they are copied or linked, never moved.

    Args:
      data: the folder of photos, in folders of any depth.
      output: the folder to make: `<label>/`, `unsure/`, `organized.csv` and `examples.html`.
      labels: sort by labels that no model was trained on; see `zero_shot`.
      model: or by a model, as `Classifier` takes it.
      groups: or into so many groups of photos that are alike.
      backbone: what compares, for labels and groups.
      tier, text_vectors, tower, accept_licence, hypothesis_template: for labels; see `zero_shot`.
      threshold: the score from which on a label is sure; by default the model's own, or else a label has to be twice as
        likely as the next one.
      link: whether to make symbolic links instead of copies.
      overwrite: whether a folder that stands there, made by this, is replaced.
      progress: receives stages, steps and notes.

    Returns:
      Organized.

    Raises:
      DataError, ModelError, OutputError: each with one line that says what to do.

    Examples:
      >>> import model_maker
      >>> model_maker.organize("flowers", "by_likeness", groups=2).by
      'groups'
    """
    output, report = Path(output), Progress(progress)
    _check(Path(data), output, labels, model, groups, threshold, overwrite=overwrite)
    tier_of, source = "", backbone
    classifier: Any = None
    if labels is not None:
        found = classify.prepare(
            labels,
            hypothesis_template=hypothesis_template,
            model=backbone,
            tier=tier,
            text_vectors=text_vectors,
            tower=tower,
            accept_licence=accept_licence,
            progress=report,
        )
        classifier, tier_of, source = found.classifier, found.tier, found.source
    elif model is not None:
        classifier, source = FileClassifier(model), Path(model).name
        with about(model):
            metadata.check_single(classifier.info, "sorting into folders", "List its labels with `predict`.")
    if classifier is not None:
        folder_names(classifier.labels)
    with report.stage("List photos"):
        pile = photos.read(data, progress=report)
    skipped = {str(one.path): one.reason for one in pile.skipped}
    if classifier is not None:
        with report.stage("Classify"):
            places, unreadable = _classified(pile, classifier, threshold, report)
    else:
        places, unreadable = _grouped(pile, groups or 0, backbone, report)
    skipped |= unreadable
    for name, reason in skipped.items():
        report.note(f"{name}: {reason}; it is left out.")
    with report.stage("Link" if link else "Copy"):
        _write(pile, places, Path(data), output, link=link, overwrite=overwrite, progress=report)
    counts = Counter(place.folder for place in places)
    by = "groups" if classifier is None else "labels" if labels is not None else "model"
    return Organized(output, by, tier_of, source, dict(sorted(counts.items())), skipped)


def folder_names(labels: Sequence[str]) -> dict[str, str]:
    """Returns a folder name for each label that is valid on every system.

    Raises:
      DataError: two labels lead to the same folder, or one to a reserved name.
    """
    found: dict[str, str] = {}
    taken: dict[str, str] = {UNSURE_FOLDER: ""}
    for label in labels:
        name = _UNSAFE.sub("_", label)
        if (other := taken.setdefault(name.casefold(), label)) != label:
            reason = f"the same as for {other!r}" if other else "which is reserved for uncertain photos"
            raise DataError(f"The label {label!r} gives the folder {name}, {reason}. Choose another label.")
        found[label] = name
    return found


def _check(
    data: Path,
    output: Path,
    labels: Sequence[str] | None,
    model: str | os.PathLike[str] | None,
    groups: int | None,
    threshold: float | None,
    *,
    overwrite: bool,
) -> None:
    if sum(given is not None for given in (labels, model, groups)) != 1:
        raise DataError("Say how to sort: give one of `labels`, `model` and `groups`.")
    if groups is not None and groups < 2:
        raise DataError(f"`groups={groups}`: give 2 or more.")
    if threshold is not None and not 0 <= threshold <= 1:
        raise DataError(f"`threshold={threshold:g}`: give a score from 0 to 1.")
    files.check_new(output, overwrite=overwrite, advice="or pass `overwrite=True` to replace it", mark=RECORD)
    check_apart(data, output)


def check_apart(data: Path, output: Path) -> None:
    """Raises an OutputError if the output folder is inside the photos' folder, or contains it."""
    home, target = data.resolve(), output.resolve()
    if target.is_relative_to(home) or home.is_relative_to(target):
        raise OutputError(f"{output} and {data}: one contains the other. Choose an output folder elsewhere.")


def _classified(
    pile: Dataset, classifier: classify.Answering, threshold: float | None, report: Progress
) -> tuple[list[Place], dict[str, str]]:
    names, places, unreadable = folder_names(classifier.labels), [], {}
    own = getattr(classifier, "thresholds", np.zeros(len(classifier.labels)))
    for index, scores in enumerate(classifier.scores(sample.path for sample in pile.samples)):
        report.step(index + 1, len(pile))
        path = pile.samples[index].path
        if isinstance(scores, DataError):
            unreadable[str(path)] = str(scores).removeprefix(f"{path}: ")
            continue
        first, second = (int(row) for row in np.argsort(-scores, kind="stable")[:2])
        if threshold is not None or own.any():
            sure = scores[first] >= (own[first] if threshold is None else threshold)
        else:
            sure = scores[first] >= _MARGIN * scores[second]
        label, other = classifier.labels[first], classifier.labels[second]
        folder = names[label] if sure else UNSURE_FOLDER
        places.append(Place(index, label, folder, float(scores[first]), other, float(scores[second])))
    return places, unreadable


def _grouped(pile: Dataset, count: int, backbone: str, report: Progress) -> tuple[list[Place], dict[str, str]]:
    with report.stage(f"Prepare {backbone}"):
        prepared = vectors.prepared(backbone, progress=report)
    with report.stage("Embed new photos"):
        found = vectors.by_backbone(pile, prepared, progress=report)
    with report.stage("Group"):
        members, cosines = grouping.group(found.read(), count)
    rows = {id(sample): index for index, sample in enumerate(pile.samples)}
    width = len(str(count))
    places = [
        Place(rows[id(sample)], name := f"group_{group + 1:0{width}}", name, float(cosine))
        for sample, group, cosine in zip(found.photos.samples, members, cosines, strict=True)
    ]
    return places, {str(one.path): one.reason for one in found.skipped}


def _write(
    pile: Dataset,
    places: Sequence[Place],
    data: Path,
    output: Path,
    *,
    link: bool,
    overwrite: bool,
    progress: Progress,
) -> None:
    """Writes the folder atomically."""
    rows = []
    with files.new_directory(output, overwrite=overwrite) as folder:
        taken: Counter[tuple[str, str]] = Counter()
        for done, place in enumerate(places, start=1):
            path = Path(str(pile.samples[place.photo].path))
            copy = _free_name(path, place.folder, taken)
            (folder / place.folder).mkdir(exist_ok=True)
            _bring(path, folder / place.folder / copy, link=link)
            second = (place.second, f"{place.second_score:.4f}") if place.second else ("", "")
            shown = (path.relative_to(data).as_posix(), place.folder, copy, place.label, f"{place.score:.4f}", *second)
            rows.append([safe_text.cell(cell) for cell in shown])
            progress.step(done, len(places))
        unsure = [row for row in rows if row[1] == UNSURE_FOLDER]
        if unsure:
            _write_rows(folder / UNSURE_FOLDER / UNSURE, unsure)
        _write_rows(folder / RECORD, rows)
        page = _page(pile, places, data, output)
        (folder / EXAMPLES).write_text(page, encoding="utf-8", errors="backslashreplace", newline="\n")


def _free_name(path: Path, folder: str, taken: Counter[tuple[str, str]]) -> str:
    """Returns a unique name for a copy in its folder, because photos of several folders may share names."""
    name = path.name
    while taken[folder, name.casefold()]:
        taken[folder, path.name.casefold()] += 1
        name = f"{path.stem}-{taken[folder, path.name.casefold()]}{path.suffix}"
    taken[folder, name.casefold()] += 1
    return name


def _bring(path: Path, target: Path, *, link: bool) -> None:
    if not link:
        shutil.copy2(path, target)
        return
    try:
        target.symlink_to(path.resolve())
    except OSError as error:
        raise OutputError(f"No link can be made in {target.parent.name} ({error.strerror}): copy instead.") from error


def _write_rows(path: Path, rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_COLUMNS, *rows])
    path.write_text(text.getvalue(), encoding="utf-8", errors="backslashreplace", newline="\n")


def _page(pile: Dataset, places: Sequence[Place], data: Path, output: Path) -> str:
    by_folder: dict[str, list[Place]] = {}
    for place in places:
        by_folder.setdefault(place.folder, []).append(place)
    shown = []
    for name, members in sorted(by_folder.items()):
        best = sorted(members, key=lambda place: -place.score)[:_SHOWN]
        examples = []
        for place in best:
            path = Path(str(pile.samples[place.photo].path))
            text = f"{place.label} {place.score:.3f}" if name == UNSURE_FOLDER else f"{place.score:.3f}"
            examples.append((path, path.relative_to(data).as_posix(), text))
        shown.append(photo_page.Group(name, f"{len(members):,} photos, most confident first", examples))
    return photo_page.render(output.name, f"{len(places):,} photos in {len(by_folder)} folders", shown)
