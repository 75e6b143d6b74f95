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
from model_maker.doctor.examination import Evidence
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
    find: Callable[[Evidence], Iterator[Finding]]
    mends: bool = False
    by_default: bool = False


def _broken(evidence: Evidence) -> Iterator[Finding]:
    skipped = sorted(evidence.dataset.skipped, key=lambda entry: spelled(entry.path))
    # What lacks a decoder or a permission is not damaged; what another reader opens may not be, either.
    gone = [entry.path for entry in skipped if entry.reason.startswith(_DAMAGE)]
    opened = fallback_decoders.readers([path for path in gone if isinstance(path, Path)])
    for entry in skipped:
        if reader := opened.get(entry.path):  # type: ignore[call-overload]
            yield Finding(f"{entry.reason}; opened by {reader}, so it is not moved", (entry.path,))
        else:
            yield Finding(entry.reason, (entry.path,), (entry.path,) if entry.reason.startswith(_DAMAGE) else ())


def _leaks(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.states_parts:
        return
    for group in evidence.members():
        parts = [evidence.parts[index] for index in group]
        if len(set(parts)) > 1:
            # The first is of the part that comes before the others: the rest of that part may stay beside it.
            others = [index for index, part in zip(group, parts, strict=True) if part != parts[0]]
            yield _of_group(evidence, group, f"in {_all(parts)}", others)


def _conflicts(evidence: Evidence) -> Iterator[Finding]:
    for group in evidence.members():
        names = [evidence.dataset.classes[evidence.labels[index]] for index in group]
        if len(set(names)) > 1:
            yield _of_group(evidence, group, f"in {_all(names)}", group)


def _labels(evidence: Evidence) -> Iterator[Finding]:
    judged, samples, classes = evidence.judgement, evidence.dataset.samples, evidence.dataset.classes
    twins: dict[tuple[int, int], list[int]] = {}
    for index in np.argsort(judged.margins, kind="stable"):  # what is not judged, nan, comes last
        if not judged.margins[index] <= -_DOUBT:
            break
        twins.setdefault((int(evidence.numbers[index]), int(evidence.labels[index])), []).append(int(index))
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


def _copies(evidence: Evidence) -> Iterator[Finding]:
    for group in evidence.members():
        alike: dict[tuple[str, int], list[int]] = {}
        for index in group:
            sample = evidence.dataset.samples[index]
            alike.setdefault((sample.digest, sample.label), []).append(index)
        for copies in alike.values():
            if len(copies) > 1:
                yield _of_group(evidence, copies, "the same file", copies[1:])


def _near_copies(evidence: Evidence) -> Iterator[Finding]:
    for group in evidence.members():
        samples = [evidence.dataset.samples[index] for index in group]
        # In more than one class they are told as conflicts.
        if len({sample.digest for sample in samples}) > 1 and len({sample.label for sample in samples}) == 1:
            sizes = [f"{evidence.facts[index].width} x {evidence.facts[index].height}" for index in group]
            text = "the same picture" + (f", {' and '.join(dict.fromkeys(sizes))}" if len(set(sizes)) > 1 else "")
            yield _of_group(evidence, group, text, group[1:])


def _one_colour(evidence: Evidence) -> Iterator[Finding]:
    for sample, fact in zip(evidence.dataset.samples, evidence.facts, strict=True):
        if fact.spread < ONE_COLOUR:
            yield Finding("one colour", (sample.path,), (sample.path,))


def _outliers(evidence: Evidence) -> Iterator[Finding]:
    far = evidence.judgement.distances
    if len(far) < _FEW:  # too few to tell what is usual
        return
    for index in np.argsort(-far, kind="stable"):
        if not far[index] > _FAR:
            return
        path = evidence.dataset.samples[index].path
        yield Finding("unlike all other photos", (path,), (path,), score=float(far[index]))


def _tiny(evidence: Evidence) -> Iterator[Finding]:
    for sample, fact in zip(evidence.dataset.samples, evidence.facts, strict=True):
        if min(fact.width, fact.height) < TINY_PIXELS:
            yield Finding(f"{fact.width} x {fact.height} pixels", (sample.path,), (sample.path,))


def _classes(evidence: Evidence) -> Iterator[Finding]:
    counts = np.bincount(evidence.labels, minlength=len(evidence.dataset.classes))
    for name, count in zip(evidence.dataset.classes, counts, strict=True):
        if count < _FEW:
            yield Finding(f"{name} has {count} photo{'' if count == 1 else 's'} that can be read")
    large, small = int(counts.argmax()), int(counts.argmin())
    if counts[large] > _UNEVEN * counts[small]:
        names = evidence.dataset.classes
        ratio = f"{counts[large] / counts[small]:.0f} to 1" if counts[small] else "to none"
        yield Finding(f"{names[large]} has {counts[large]} photos and {names[small]} {counts[small]}: {ratio}")


def _parts(evidence: Evidence) -> Iterator[Finding]:
    stated = split_names.read(evidence.dataset.classes)
    # One class called `test` may be one.
    if len(stated) > 1 or {"train", "validation"} & set(stated.values()):
        yield Finding(f"{' and '.join(sorted(stated))}: named as parts of a data set, and learned as classes")


def _strays(evidence: Evidence) -> Iterator[Finding]:
    for path in evidence.strays:
        yield Finding("a photo by its content, not by its name", (path,))


def _suffixes(evidence: Evidence) -> Iterator[Finding]:
    for sample, fact in zip(evidence.dataset.samples, evidence.facts, strict=True):
        name = str(sample.path)
        suffix = name[name.rfind(".") :].lower() if "." in name else ""
        stated = images.FORMATS.get(suffix)
        # MPO is the JPEG of cameras that put a preview behind it.
        if stated and fact.format not in (stated, "MPO"):
            yield Finding(f"named {suffix}, but is {fact.format}", (sample.path,))


def _deep(evidence: Evidence) -> Iterator[Finding]:
    for sample, fact in zip(evidence.dataset.samples, evidence.facts, strict=True):
        if fact.bits:
            yield Finding(f"{fact.bits[1]} bits used of {fact.bits[0]}", (sample.path,))


def _turned(evidence: Evidence) -> Iterator[Finding]:
    for sample, fact in zip(evidence.dataset.samples, evidence.facts, strict=True):
        if fact.orientation != 1:
            yield Finding(f"EXIF orientation {fact.orientation}", (sample.path,))


def _personal(evidence: Evidence) -> Iterator[Finding]:
    for sample, fact in zip(evidence.dataset.samples, evidence.facts, strict=True):
        if fact.personal:
            yield Finding(", ".join(fact.personal), (sample.path,))


def _is_apart(evidence: Evidence, index: int) -> bool:
    """Whether a photo may go without taking another name of the same file with it, as links to folders make them."""
    path = evidence.dataset.samples[index].path
    return not isinstance(path, Path) or path.is_symlink() or evidence.names_of_file[os.path.realpath(path)] == 1


def _of_group(evidence: Evidence, group: list[int], text: str, removable: list[int]) -> Finding:
    paths = {index: evidence.dataset.samples[index].path for index in group}
    return Finding(
        text, tuple(paths.values()), tuple(paths[index] for index in removable if _is_apart(evidence, index))
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
