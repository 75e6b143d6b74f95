"""CHECKS: what can be wrong with a data set, one record a kind; to look for something new, add one."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_maker.data import images, split_names
from model_maker.data.entries import spelled
from model_maker.doctor import fallback_decoders
from model_maker.doctor.examination import Examination
from model_maker.doctor.findings import Finding

# Sides below this are blurred by enlargement to the 224 pixels that most backbones take, 3.5 times and more.
TINY_PIXELS = 64
# Spread below which a photo is one colour; noise of a covered lens lies below it.
ONE_COLOUR = 4.0
# Robust standard deviations from the median, beyond which nothing is near a photo. Of 600 photos of flowers ten lie
# beyond, from a limousine to a chocolate cake; of four photos of animals and food put among them, all.
_FAR = 2.5
# Photos of the largest class to one of the smallest, above which it is told; `train` weighs classes above 2.
_UNEVEN = 5.0
# Photos, of a class or in all, below which anything measured on them is hardly more than a guess.
_FEW = 20
# How many times likelier another class must be than a photo's own: to be told, and to be no close call.
_DOUBT, _SURE = math.log(1.5), math.log(3)
_DAMAGE = ("damaged", "empty file", "not a ")


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong.

    Attributes:
      title: a heading.
      severity: one of SEVERITIES.
      advice: what to do.
      find: looks for it.
      mends: whether `removable` of its findings is filled.
      by_default: whether mending includes it unasked: only what nobody can want to keep.
    """

    title: str
    severity: str
    advice: str
    find: Callable[[Examination], Iterator[Finding]]
    mends: bool = False
    by_default: bool = False


def _broken(examination: Examination) -> Iterator[Finding]:
    skipped = sorted(examination.dataset.skipped, key=lambda entry: spelled(entry.path))
    # What lacks a decoder or a permission is not damaged; what another reader opens may not be, either.
    gone = [entry.path for entry in skipped if entry.reason.startswith(_DAMAGE)]
    opened = fallback_decoders.readers([path for path in gone if isinstance(path, Path)])
    for entry in skipped:
        if reader := opened.get(entry.path):  # type: ignore[call-overload]
            yield Finding(f"{entry.reason}; opened by {reader}, so it is not moved", (entry.path,))
        else:
            yield Finding(entry.reason, (entry.path,), (entry.path,) if entry.reason.startswith(_DAMAGE) else ())


def _leaks(examination: Examination) -> Iterator[Finding]:
    if not examination.states_parts:
        return
    for group in examination.members():
        parts = [examination.parts[index] for index in group]
        if len(set(parts)) > 1:
            # The first is of the part that comes before the others: the rest of that part may stay beside it.
            others = [index for index, part in zip(group, parts, strict=True) if part != parts[0]]
            yield _of_group(examination, group, f"in {_all(parts)}", others)


def _conflicts(examination: Examination) -> Iterator[Finding]:
    for group in examination.members():
        names = [examination.dataset.classes[examination.labels[index]] for index in group]
        if len(set(names)) > 1:
            yield _of_group(examination, group, f"in {_all(names)}", group)


def _labels(examination: Examination) -> Iterator[Finding]:
    judged, samples, classes = examination.label_errors, examination.dataset.samples, examination.dataset.classes
    twins: dict[tuple[int, int], list[int]] = {}
    for index in np.argsort(judged.margins, kind="stable"):  # what is not judged, nan, comes last
        if not judged.margins[index] <= -_DOUBT:
            break
        twins.setdefault((int(examination.numbers[index]), int(examination.labels[index])), []).append(int(index))
    for (_, label), group in twins.items():
        rated = judged.scores[group[0]].copy()
        rated[label] = np.nan
        other = int(np.nanargmax(rated))
        sure = [index for index in group if judged.confident[index] and judged.margins[index] <= -_SURE]
        own, likelier = (100 * judged.scores[group[0]][name] for name in (label, other))
        text = f"labelled {classes[label]} ({own:.0f} %), looks like {classes[other]} ({likelier:.0f} %)"
        yield Finding(
            text if group[0] in sure else f"{text}, a close call",
            tuple(samples[index].path for index in group),
            tuple(samples[index].path for index in sure),
            classes[other],
            float(-judged.margins[group[0]]),
        )


def _copies(examination: Examination) -> Iterator[Finding]:
    for group in examination.members():
        alike: dict[tuple[str, int], list[int]] = {}
        for index in group:
            sample = examination.dataset.samples[index]
            alike.setdefault((sample.digest, sample.label), []).append(index)
        for copies in alike.values():
            if len(copies) > 1:
                yield _of_group(examination, copies, "the same file", copies[1:])


def _near_copies(examination: Examination) -> Iterator[Finding]:
    for group in examination.members():
        samples = [examination.dataset.samples[index] for index in group]
        # In more than one class they are told as conflicts.
        if len({sample.digest for sample in samples}) > 1 and len({sample.label for sample in samples}) == 1:
            sizes = [
                f"{examination.properties[index].width} x {examination.properties[index].height}" for index in group
            ]
            text = "the same picture" + (f", {' and '.join(dict.fromkeys(sizes))}" if len(set(sizes)) > 1 else "")
            yield _of_group(examination, group, text, group[1:])


def _one_colour(examination: Examination) -> Iterator[Finding]:
    for sample, file in zip(examination.dataset.samples, examination.properties, strict=True):
        if file.spread < ONE_COLOUR:
            yield Finding("one colour", (sample.path,), (sample.path,))


def _outliers(examination: Examination) -> Iterator[Finding]:
    far = examination.label_errors.distances
    if len(far) < _FEW:  # too few to tell what is usual
        return
    for index in np.argsort(-far, kind="stable"):
        if not far[index] > _FAR:
            return
        path = examination.dataset.samples[index].path
        yield Finding("unlike all other photos", (path,), (path,), score=float(far[index]))


def _tiny(examination: Examination) -> Iterator[Finding]:
    for sample, file in zip(examination.dataset.samples, examination.properties, strict=True):
        if min(file.width, file.height) < TINY_PIXELS:
            yield Finding(f"{file.width} x {file.height} pixels", (sample.path,), (sample.path,))


def _classes(examination: Examination) -> Iterator[Finding]:
    counts = np.bincount(examination.labels, minlength=len(examination.dataset.classes))
    for name, count in zip(examination.dataset.classes, counts, strict=True):
        if count < _FEW:
            yield Finding(f"{name} has {count} photo{'' if count == 1 else 's'} that can be read")
    large, small = int(counts.argmax()), int(counts.argmin())
    if counts[large] > _UNEVEN * counts[small]:
        names = examination.dataset.classes
        ratio = f"{counts[large] / counts[small]:.0f} to 1" if counts[small] else "to none"
        yield Finding(f"{names[large]} has {counts[large]} photos and {names[small]} {counts[small]}: {ratio}")


def _parts(examination: Examination) -> Iterator[Finding]:
    stated = split_names.read(examination.dataset.classes)
    # One class called `test` may be one.
    if len(stated) > 1 or {"train", "validation"} & set(stated.values()):
        yield Finding(f"{' and '.join(sorted(stated))}: named as parts of a data set, and learned as classes")


def _strays(examination: Examination) -> Iterator[Finding]:
    for path in examination.strays:
        yield Finding("a photo by its content, not by its name", (path,))


def _suffixes(examination: Examination) -> Iterator[Finding]:
    for sample, file in zip(examination.dataset.samples, examination.properties, strict=True):
        name = str(sample.path)
        suffix = name[name.rfind(".") :].lower() if "." in name else ""
        stated = images.FORMATS.get(suffix)
        # MPO is the JPEG of cameras that put a preview behind it.
        if stated and file.format not in (stated, "MPO"):
            yield Finding(f"named {suffix}, but is {file.format}", (sample.path,))


def _deep(examination: Examination) -> Iterator[Finding]:
    for sample, file in zip(examination.dataset.samples, examination.properties, strict=True):
        if file.bits:
            yield Finding(f"{file.bits[1]} bits used of {file.bits[0]}", (sample.path,))


def _turned(examination: Examination) -> Iterator[Finding]:
    for sample, file in zip(examination.dataset.samples, examination.properties, strict=True):
        if file.orientation != 1:
            yield Finding(f"EXIF orientation {file.orientation}", (sample.path,))


def _personal(examination: Examination) -> Iterator[Finding]:
    for sample, file in zip(examination.dataset.samples, examination.properties, strict=True):
        if file.personal:
            yield Finding(", ".join(file.personal), (sample.path,))


def _is_apart(examination: Examination, index: int) -> bool:
    """Whether a photo may go without taking another name of the same file with it, as links to folders make them."""
    path = examination.dataset.samples[index].path
    return not isinstance(path, Path) or path.is_symlink() or examination.names_of_file[os.path.realpath(path)] == 1


def _of_group(examination: Examination, group: list[int], text: str, removable: list[int]) -> Finding:
    paths = {index: examination.dataset.samples[index].path for index in group}
    return Finding(
        text, tuple(paths.values()), tuple(paths[index] for index in removable if _is_apart(examination, index))
    )


def _all(names: list[str]) -> str:
    return " and ".join(sorted(set(names)))


# In the order in which they are told, the most serious first. A finding that mends moves its `removable` photos.
CHECKS = {
    "broken": Check(
        "Files that cannot be read",
        "serious",
        "They teach nothing; training passes them over. Replace them, or move them out.",
        _broken,
        mends=True,
        by_default=True,
    ),
    "leaks": Check(
        "The same picture in more than one part",
        "serious",
        "What is tested on must not be learned from: keep each picture in one part.",
        _leaks,
        mends=True,
    ),
    "conflicts": Check(
        "The same picture in more than one class",
        "serious",
        "One of the labels is wrong. Keep the right one; mending moves all of them out.",
        _conflicts,
        mends=True,
    ),
    "parts": Check(
        "Parts that are taken for classes",
        "serious",
        "A model would learn to tell the parts apart. Name them by `train_dir`, `val_dir` and `test_dir`, or move what "
        "lies beside them out.",
        _parts,
    ),
    "labels": Check(
        "Labels that may be wrong",
        "serious",
        "Look at each, those first whose own class is least likely beside the other, and move it to its class; mending "
        "moves out those that are no close call.",
        _labels,
        mends=True,
    ),
    "duplicates": Check(
        "Exact copies",
        "look",
        "One of each is enough.",
        _copies,
        mends=True,
        by_default=True,
    ),
    "near-duplicates": Check(
        "Copies in another size, encoding or mirrored",
        "look",
        "Training may put one in its test part and learn from the other. Keep one; mending keeps the largest.",
        _near_copies,
        mends=True,
    ),
    "one-colour": Check(
        "Photos of one colour",
        "look",
        "They show nothing to learn. Remove them unless that is what the class looks like.",
        _one_colour,
        mends=True,
    ),
    "outliers": Check(
        "Photos unlike all others",
        "look",
        "They may not belong here. Remove those that the app will never see.",
        _outliers,
        mends=True,
    ),
    "tiny": Check(
        f"Photos smaller than {TINY_PIXELS} pixels",
        "look",
        "Enlarged they are blurred, as no camera's photo is. Replace them by larger ones.",
        _tiny,
        mends=True,
    ),
    "classes": Check(
        "Classes with few photos, or uneven ones",
        "look",
        "Add photos to the small classes; `train` weighs uneven ones alike, which does not replace photos.",
        _classes,
    ),
    "strays": Check(
        "Photos that are not used",
        "look",
        "Give them a suffix such as .jpg, and they are read.",
        _strays,
    ),
    "suffixes": Check(
        "Names that state another format",
        "know",
        "They are read by their content; other programs may stumble over them.",
        _suffixes,
    ),
    "depth": Check(
        "Pictures that use fewer bits than their files have",
        "know",
        "They are scaled by the bits that they use; other programs show them nearly black. Save them with 8 bits.",
        _deep,
    ),
    "turned": Check(
        "Photos that EXIF turns",
        "know",
        "They are turned upright here; an app has to do the same with a camera's photos.",
        _turned,
    ),
    "personal": Check(
        "Personal data in EXIF",
        "know",
        "No model contains it. Remove it before you hand the photos on, as with `exiftool -all= -tagsfromfile @ "
        "-orientation`.",
        _personal,
    ),
}
MENDING = tuple(name for name, check in CHECKS.items() if check.mends)
DEFAULT_MENDING = tuple(name for name, check in CHECKS.items() if check.by_default)
