"""CHECKS: the problems that a dataset can have, one record per kind; to add a check, add a record."""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_maker.data import images, proportions, split_names
from model_maker.data.entries import spelled
from model_maker.doctor import fallback_decoders, multi_label_checks, shortcut_findings
from model_maker.doctor.examination import Examination
from model_maker.doctor.file_properties import FileProperties
from model_maker.doctor.findings import Finding

# Smaller photos are enlarged 3.5 times and more to the 224 pixels that most backbones take, which blurs them.
TINY_PIXELS = 64
# A photo with a smaller spread has a single color; the noise of a covered lens has less.
ONE_COLOUR = 4.0
# Robust standard deviations from the median, beyond which a photo is an outlier. Of 600 photos of flowers this finds
# ten, from a limousine to a chocolate cake, and all of four photos of animals and food added to them.
_FAR = 2.5
# Ratio of the largest class to the smallest, above which it is reported; `train` weights classes above 2.
_UNEVEN = 5.0
# With fewer photos, of a class or in total, measurements are hardly more than a guess.
FEW = 20
# How many times more likely another class must be than a photo's own: to be reported, and to be a clear case.
_DOUBT, _SURE = math.log(1.5), math.log(3)
_DAMAGE = ("damaged", "empty file", "not a ")
Finder = Callable[[Examination], Iterator[Finding]]


@dataclass(frozen=True)
class Check:
    """A kind of problem.

    Attributes:
      severity: one of SEVERITIES.
      mends: whether its findings list `removable` photos.
      by_default: whether `mend` moves them by default: only photos that nobody needs.
    """

    title: str
    severity: str
    advice: str
    find: Finder
    mends: bool = False
    by_default: bool = False


def _broken(examination: Examination) -> Iterator[Finding]:
    skipped = sorted(examination.dataset.skipped, key=lambda entry: spelled(entry.path))
    # A file without a decoder or a permission is not damaged; one that another reader opens may not be, either.
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
            # The first belongs to the split with priority: other copies in the same split may stay.
            others = [index for index, part in zip(group, parts, strict=True) if part != parts[0]]
            yield _of_group(examination, group, f"in {_all(parts)}", others)


def _conflicts(examination: Examination) -> Iterator[Finding]:
    if examination.is_multi_label:
        return
    for group in examination.members():
        names = [examination.dataset.classes[examination.labels[index]] for index in group]
        if len(set(names)) > 1:
            yield _of_group(examination, group, f"in {_all(names)}", group)


def _labels(examination: Examination) -> Iterator[Finding]:
    if examination.is_multi_label:
        return
    judged, samples, classes = examination.label_errors, examination.dataset.samples, examination.dataset.classes
    # What a class looks like cannot be told from a few photos: a close call there says nothing of the label.
    small = np.array(examination.dataset.counts)[examination.labels] < FEW
    sure = judged.confident & (judged.margins <= -_SURE)
    copies: dict[tuple[int, int], list[int]] = {}
    for index in np.argsort(judged.margins, kind="stable"):  # NaN, not assessed, comes last
        if not judged.margins[index] <= -_DOUBT:
            break
        if small[index] and not sure[index]:
            continue
        copies.setdefault((int(examination.numbers[index]), int(examination.labels[index])), []).append(int(index))
    for (_, label), group in copies.items():
        rated = judged.scores[group[0]].copy()
        rated[label] = np.nan
        other = int(np.nanargmax(rated))
        clear = [index for index in group if sure[index]]
        own, likelier = (100 * judged.scores[group[0]][name] for name in (label, other))
        text = f"labeled {classes[label]} ({own:.0f} %), looks like {classes[other]} ({likelier:.0f} %)"
        yield Finding(
            text if group[0] in clear else f"{text}, a close call",
            tuple(samples[index].path for index in group),
            tuple(samples[index].path for index in clear),
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
        # Copies in more than one class are reported as conflicts.
        if len({sample.digest for sample in samples}) > 1 and len({examination.label_of(at) for at in group}) == 1:
            sizes = [
                f"{examination.properties[index].width} x {examination.properties[index].height}" for index in group
            ]
            text = "the same image" + (f", {' and '.join(dict.fromkeys(sizes))}" if len(set(sizes)) > 1 else "")
            yield _of_group(examination, group, text, group[1:])


def _outliers(examination: Examination) -> Iterator[Finding]:
    far = examination.label_errors.distances
    if len(far) < FEW:  # too few to estimate a distribution
        return
    for index in np.argsort(-far, kind="stable"):
        if not far[index] > _FAR:
            return
        path = examination.dataset.samples[index].path
        yield Finding("unlike the other photos", (path,), (path,), score=float(far[index]))


def _proportions(examination: Examination) -> Iterator[Finding]:
    found = [
        Finding(f"{file.width} x {file.height} pixels", (sample.path,))
        for sample, file in zip(examination.dataset.samples, examination.properties, strict=True)
        if proportions.is_extreme(file.width, file.height)
    ]
    if len(found) >= proportions.MANY * len(examination.properties):
        yield from found


def _classes(examination: Examination) -> Iterator[Finding]:
    counts = np.array(examination.dataset.counts)
    for name, count in zip(examination.dataset.classes, counts, strict=True):
        if count < FEW:
            yield Finding(f"{name} has {count} readable photo{'' if count == 1 else 's'}")
    if examination.is_multi_label:
        return  # labels are not weighted: each has its own threshold
    large, small = int(counts.argmax()), int(counts.argmin())
    if counts[large] > _UNEVEN * counts[small]:
        names = examination.dataset.classes
        ratio = f"{counts[large] / counts[small]:.0f} to 1" if counts[small] else "to none"
        yield Finding(f"{names[large]} has {counts[large]} photos and {names[small]} {counts[small]}: {ratio}")


def _parts(examination: Examination) -> Iterator[Finding]:
    stated = split_names.read(examination.dataset.classes)
    # A single class may be called `test`.
    if len(stated) > 1 or {"train", "validation"} & set(stated.values()):
        yield Finding(f"{' and '.join(sorted(stated))}: named like dataset splits, but used as classes")


def _strays(examination: Examination) -> Iterator[Finding]:
    for path in examination.strays:
        yield Finding("a photo by content, but not by name", (path,))


def _suffixes(examination: Examination) -> Iterator[Finding]:
    for sample, file in zip(examination.dataset.samples, examination.properties, strict=True):
        name = str(sample.path)
        suffix = name[name.rfind(".") :].lower() if "." in name else ""
        stated = images.FORMATS.get(suffix)
        # MPO is a JPEG followed by a preview, as some cameras write it.
        if stated and file.format not in (stated, "MPO"):
            yield Finding(f"named {suffix}, but is {file.format}", (sample.path,))


def _each(text: Callable[[FileProperties], str], *, removable: bool = False) -> Finder:
    """Returns a finder of the photos for whose properties the text is not empty."""

    def find(examination: Examination) -> Iterator[Finding]:
        for sample, file in zip(examination.dataset.samples, examination.properties, strict=True):
            if found := text(file):
                yield Finding(found, (sample.path,), (sample.path,) if removable else ())

    return find


def _is_apart(examination: Examination, index: int) -> bool:
    """Whether moving a photo affects no other path to the same file, as links to folders create them."""
    path = examination.dataset.samples[index].path
    return not isinstance(path, Path) or path.is_symlink() or examination.names_of_file[os.path.realpath(path)] == 1


def _of_group(examination: Examination, group: list[int], text: str, removable: list[int]) -> Finding:
    paths = {index: examination.dataset.samples[index].path for index in group}
    return Finding(
        text, tuple(paths.values()), tuple(paths[index] for index in removable if _is_apart(examination, index))
    )


def _all(names: list[str]) -> str:
    return " and ".join(sorted(set(names)))


# In the order of reports, the most serious first. Fixing a finding moves its `removable` photos.
CHECKS = {
    "broken": Check(
        "Unreadable files",
        "serious",
        "Training skips them. Replace them, or move them out.",
        _broken,
        mends=True,
        by_default=True,
    ),
    "leaks": Check(
        "Data leakage between splits",
        "serious",
        "The same image is in more than one split, so test accuracy is too high. Keep each image in one split.",
        _leaks,
        mends=True,
    ),
    "conflicts": Check(
        "The same image in several classes",
        "serious",
        "One of the labels is wrong. Keep the correct one; --fix moves all copies.",
        _conflicts,
        mends=True,
    ),
    "label-sets": Check(
        "The same image with different labels",
        "serious",
        "Labels are wrong, or missing on a copy. Keep one copy with all its labels; --fix moves all copies.",
        multi_label_checks.differing_sets,
        mends=True,
    ),
    "parts": Check(
        "Splits used as classes",
        "serious",
        "A model would learn to distinguish the splits. Pass them as `train_dir`, `val_dir` and `test_dir`, or move "
        "the other folders out.",
        _parts,
    ),
    "labels": Check(
        "Possible label errors",
        "serious",
        "Check each photo, the least likely label first, and move it to the correct class; --fix moves the clear cases "
        "out.",
        _labels,
        mends=True,
    ),
    "doubtful-labels": Check(
        "Labels that photos may lack, or have by mistake",
        "serious",
        "Check each photo, the clearest case first, and correct its labels.",
        multi_label_checks.doubtful,
    ),
    "inseparable": Check(
        "Labels without contrary examples",
        "look",
        "A model cannot learn what tells them apart. Add photos that have one and lack the other, or merge them.",
        multi_label_checks.inseparable,
    ),
    "duplicates": Check(
        "Exact copies",
        "look",
        "Keep one of each.",
        _copies,
        mends=True,
        by_default=True,
    ),
    "near-duplicates": Check(
        "Near duplicates",
        "look",
        "The same image in another size or encoding, or mirrored. One copy may be in the training split and one in the "
        "test split. Keep one; --fix keeps the largest.",
        _near_copies,
        mends=True,
    ),
    "one-colour": Check(
        "Photos of a single color",
        "look",
        "They contain nothing to learn. Remove them unless the class looks like that.",
        _each(lambda file: "single color" if file.spread < ONE_COLOUR else "", removable=True),
        mends=True,
    ),
    "shortcuts": Check(
        "Shortcuts",
        "look",
        "Brightness, sharpness, size, aspect, file format or camera alone give a class away: a model may learn that "
        "instead of the content, and fail where it differs. Take photos of all classes in the same ways.",
        shortcut_findings.shortcuts_of,
    ),
    "thin-splits": Check(
        "Nearly empty test or validation classes",
        "look",
        f"With fewer than {shortcut_findings.THIN} photos of a class, its recall moves by more than "
        f"{100 // shortcut_findings.THIN} points with each. Add some, or move some there.",
        shortcut_findings.thin_parts,
    ),
    "outliers": Check(
        "Outliers",
        "look",
        "They are unlike the other photos and may not belong to the dataset. Remove those that the app will never see.",
        _outliers,
        mends=True,
    ),
    "tiny": Check(
        f"Photos smaller than {TINY_PIXELS} pixels",
        "look",
        "Enlargement blurs them, unlike photos of a camera. Replace them with larger ones.",
        _each(
            lambda file: f"{file.width} x {file.height} pixels" if min(file.width, file.height) < TINY_PIXELS else "",
            removable=True,
        ),
        mends=True,
    ),
    "classes": Check(
        "Small or imbalanced classes",
        "look",
        "Add photos to the small classes; `train` weights classes equally, but weights do not replace photos.",
        _classes,
    ),
    "strays": Check(
        "Unused photos",
        "look",
        "Rename them with a suffix such as .jpg to use them.",
        _strays,
    ),
    "proportions": Check(
        "Many photos of extreme proportions",
        "know",
        f"Training stretches photos to the input, which distorts those of more than {proportions.EXTREME:g} to 1. "
        "`resize='crop'` shows their center alone, `resize='letterbox'` all of them on black; compare with `folds=5`.",
        _proportions,
    ),
    "suffixes": Check(
        "Wrong file name suffixes",
        "know",
        "They are read by content; other programs may fail on them.",
        _suffixes,
    ),
    "depth": Check(
        "Unused bit depth",
        "know",
        "The images use fewer bits than their files have room for. Training scales them; other programs show them "
        "nearly black. Save them with 8 bits.",
        _each(lambda file: f"{file.bits[1]} bits used of {file.bits[0]}" if file.bits else ""),
    ),
    "turned": Check(
        "Photos with EXIF rotation",
        "know",
        "Training rotates them upright; an app must do the same with photos of a camera.",
        _each(lambda file: f"EXIF orientation {file.orientation}" if file.orientation != 1 else ""),
    ),
    "personal": Check(
        "Personal data in EXIF",
        "know",
        "No model contains it. Remove it before you share the photos, for example with `exiftool -all= -tagsfromfile @ "
        "-orientation`.",
        _each(lambda file: ", ".join(file.personal)),
    ),
}
FIXABLE = tuple(name for name, check in CHECKS.items() if check.mends)
DEFAULT_FIXES = tuple(name for name, check in CHECKS.items() if check.by_default)
