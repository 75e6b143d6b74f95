"""diagnose(): what is wrong with a data set, the most serious first, and how much copies flatter its accuracy."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_maker.backbones.registry import DEFAULT
from model_maker.data import object_stores
from model_maker.data.entries import Location, spelled
from model_maker.doctor import examination as gathering
from model_maker.doctor import label_errors, near_duplicates
from model_maker.doctor.checks import CHECKS
from model_maker.doctor.examination import Evidence
from model_maker.doctor.findings import Finding
from model_maker.errors import DataError
from model_maker.progress import Progress

# Points of accuracy below which the division into folds alone makes differences.
_NOTICEABLE = 0.3


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found.

    Attributes:
      data: the folder, file or address, as it was named.
      photos: that can be read, by class.
      findings: by kind, a key of CHECKS; kinds of which nothing was found are left out.
      flattery: how much twins of a picture flatter accuracy: `folds` and `test`, see `twins`; None where they do not.
      notes: what was passed over, or could not be checked, and why.
      class_of: the class of each photo and unreadable file that a finding names.
      digests: sha256 of each file whose bytes could be read; by it mending knows that a file is still the same.
    """

    data: str
    photos: dict[str, int]
    findings: dict[str, tuple[Finding, ...]]
    flattery: dict[str, dict[str, float] | None]
    notes: tuple[str, ...]
    class_of: dict[Location, str]
    digests: dict[Location, str]

    def name(self, photo: Location) -> str:
        """Returns what a photo is called in the data, with slashes on all systems."""
        home = object_stores.place(self.data)
        # What lies in a file is called by that file's name as it was given.
        return spelled(photo).removeprefix(f"{spelled(home)}/").removeprefix(f"{home}/")


def diagnose(
    data: str | os.PathLike[str],
    *,
    model: str = DEFAULT,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Finds out what is wrong with a data set; nothing is changed.

    Args:
      data: as for `train`; one class is enough, though then no label can be judged.
      model: the backbone that compares photos; `train` with the same one finds the embeddings in the cache.
      threads: photos at a time; all cores unless told.
      progress: receives stages and progress.

    Raises:
      DataError: there is no such data, or no photo in it.
      BackboneError: there is no such model, or its weights are missing.

    Examples:
      >>> import model_maker
      >>> found = model_maker.diagnose("flowers")
      >>> found.findings["labels"][0].text
      'labelled rose (... %), looks like daisy (... %), a close call'
    """
    if threads is not None and threads < 1:
        raise DataError(f"`threads={threads}`: give 1 or more.")
    progress = Progress(progress)
    evidence = gathering.gather(data, model, progress, threads=threads)
    findings = {name: tuple(check.find(evidence)) for name, check in CHECKS.items()}
    with progress.stage("Measure what copies flatter"):
        flattery = _flattery(evidence)
    dataset = evidence.dataset
    counts = Counter(dataset.labels)
    class_of: dict[Location, str] = {sample.path: dataset.classes[sample.label] for sample in dataset.samples}
    return Diagnosis(
        str(object_stores.place(data)),
        {name: counts[label] for label, name in enumerate(dataset.classes)},
        {name: found for name, found in findings.items() if found},
        flattery,
        dataset.notes + _unjudged(evidence),
        class_of,
        evidence.digests,
    )


def as_dict(diagnosis: Diagnosis) -> dict[str, Any]:
    """Returns plain JSON types."""

    def plain(finding: Finding) -> dict[str, Any]:
        names = {key: [str(path) for path in getattr(finding, key)] for key in ("photos", "removable")}
        classes = [diagnosis.class_of.get(path) for path in finding.photos]
        score = round(finding.score, 4)
        return dataclasses.asdict(finding) | names | {"classes": classes, "score": score}

    return {
        "data": diagnosis.data,
        "photos": diagnosis.photos,
        "findings": {
            name: {
                "title": CHECKS[name].title,
                "severity": CHECKS[name].severity,
                "advice": CHECKS[name].advice,
                "found": [plain(finding) for finding in found],
            }
            for name, found in diagnosis.findings.items()
        },
        "flattery": diagnosis.flattery,
        "notes": list(diagnosis.notes),
    }


def sentences(flattery: dict[str, dict[str, float] | None]) -> list[str]:
    """Says what was measured of copies' flattery, for people."""
    said = []
    if test := flattery.get("test"):
        have = "has" if test["photos"] == 1 else "have"
        text = f"{test['photos']} of {test['tested']} test photos {have} a copy among those that training sees"
        if "points" in test:
            text += (
                f": top-1 on the test part is {100 * test['top1']:.1f} % with those copies and "
                f"{100 * test['top1_without']:.1f} % without, {_worth(test['points'])}"
            )
        said.append(f"{text}.")
    if folds := flattery.get("folds"):
        said.append(
            f"By folds, top-1 is {100 * folds['top1_apart']:.1f} % with copies in different folds and "
            f"{100 * folds['top1_together']:.1f} % with each kept beside its copies, {_worth(folds['points'])}."
        )
    return said


def _worth(points: float) -> str:
    if abs(points) < _NOTICEABLE:
        return "which is hardly a difference"
    return f"a difference of {points:+.1f} points"


def _flattery(evidence: Evidence) -> dict[str, dict[str, float] | None]:
    vectors, labels, numbers = evidence.vectors, evidence.labels, evidence.numbers
    if (near_duplicates.sizes(numbers) < 2).all():
        return {"folds": None, "test": None}
    parts = np.array(evidence.parts)
    learns, tests = np.isin(parts, ("train", "validation")), parts == "test"
    return {
        "folds": near_duplicates.flattery(vectors, labels, numbers),
        "test": near_duplicates.flattered_part(vectors, labels, numbers, learns, tests) if tests.any() else None,
    }


def _unjudged(evidence: Evidence) -> tuple[str, ...]:
    """Says which labels could not be judged."""
    names = evidence.dataset.classes
    if len(names) < 2:
        return (f"There is one class only, {names[0]}: labels were not judged, and it cannot be trained on.",)
    judged = set(evidence.labels[label_errors.judged(evidence.labels, evidence.numbers)].tolist())
    few = [name for label, name in enumerate(names) if label not in judged]
    if len(judged) < 2:
        return (f"Labels were not judged: fewer than two classes have {label_errors.LEAST} different photos.",)
    if few:
        return (f"Labels of {_some(few)} were not judged: {label_errors.LEAST} different photos are needed for that.",)
    return ()


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
