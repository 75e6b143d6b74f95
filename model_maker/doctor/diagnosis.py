"""diagnose(): the problems of a dataset, the most serious first, and how much duplicates inflate its accuracy."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_maker.backbones.registry import DEFAULT
from model_maker.data import object_stores
from model_maker.data.entries import Location, spelled
from model_maker.doctor import label_errors, near_duplicates, shortcuts
from model_maker.doctor.checks import CHECKS, FEW
from model_maker.doctor.examination import Examination, examine
from model_maker.doctor.findings import Finding
from model_maker.doctor.shortcuts import Together
from model_maker.errors import DataError
from model_maker.progress import Progress

# Percentage points of accuracy; smaller differences may come from the random folds.
_NOTICEABLE = 0.3


@dataclass(frozen=True)
class Diagnosis:
    """The result of `diagnose`.

    Attributes:
      data: the folder, file or address, as passed.
      photos: number of readable photos by class.
      findings: by kind, a key of CHECKS; kinds without findings are omitted.
      flattery: how much near duplicates inflate accuracy: `folds` and `test`, see `near_duplicates`; None if not.
      notes: what was skipped, or could not be checked, and why.
      class_of: the class, or the labels, of each photo and unreadable file that a finding names.
      digests: sha256 of each file whose bytes could be read; `mend` moves only unchanged files.
      total: number of readable photos, if they may have several labels, so that `photos` counts some more than once.
      facts: how many photos brightness, sharpness, size, aspect, format and camera alone put into their class; None
        where there is nothing to tell, or photos may have several labels.
    """

    data: str
    photos: dict[str, int]
    findings: dict[str, tuple[Finding, ...]]
    flattery: dict[str, dict[str, float] | None]
    notes: tuple[str, ...]
    class_of: dict[Location, str]
    digests: dict[Location, str]
    total: int | None = None
    facts: Together | None = None

    @property
    def readable(self) -> int:
        """The number of readable photos."""
        return sum(self.photos.values()) if self.total is None else self.total

    def removable(self, kinds: Iterable[str]) -> int:
        """The number of files that `mend` moves for some kinds of findings."""
        return len({path for kind in kinds for finding in self.findings[kind] for path in finding.removable})

    def name(self, photo: Location) -> str:
        """Returns the name of a photo within the dataset, with slashes on all systems."""
        home = object_stores.place(self.data)
        # The name of a photo inside a file starts with the name of that file, as passed.
        return spelled(photo).removeprefix(f"{spelled(home)}/").removeprefix(f"{home}/")


def diagnose(
    data: str | os.PathLike[str],
    *,
    model: str = DEFAULT,
    multi_label: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Finds problems in a dataset; changes nothing.

    Args:
      data: as for `train`; with a single class no labels can be assessed.
      model: the backbone that compares photos; `train` with the same one finds the embeddings in the cache.
      multi_label: whether photos may have several labels, as for `train`.
      threads: number of threads; all cores by default.
      progress: receives progress events.

    Raises:
      DataError: the dataset does not exist, or has no photos.
      BackboneError: the model does not exist, or its weights are missing.

    Examples:
      >>> import model_maker
      >>> found = model_maker.diagnose("flowers")
      >>> found.findings["labels"][0].text
      'labeled rose (... %), looks like daisy (... %), a close call'
    """
    if threads is not None and threads < 1:
        raise DataError(f"`threads={threads}`: pass 1 or more.")
    progress = Progress(progress)
    examination = examine(data, model, progress, multi_label=multi_label, threads=threads)
    findings = {name: tuple(check.find(examination)) for name, check in CHECKS.items()}
    with progress.stage("Measure data leakage"):
        inflation = _inflation(examination)
    dataset = examination.dataset
    class_of: dict[Location, str] = {sample.path: dataset.name(sample) for sample in dataset.samples}
    return Diagnosis(
        str(object_stores.place(data)),
        dict(zip(dataset.classes, dataset.counts, strict=True)),
        {name: found for name, found in findings.items() if found},
        inflation,
        dataset.notes + _unjudged(examination),
        class_of,
        examination.digests,
        total=len(dataset) if examination.is_multi_label else None,
        facts=_from_facts(examination),
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
        "facts": dataclasses.asdict(diagnosis.facts) if diagnosis.facts else None,
        "notes": list(diagnosis.notes),
    }


def sentences(inflation: dict[str, dict[str, float] | None]) -> list[str]:
    """Describes how much duplicates inflate accuracy."""
    said = []
    if test := inflation.get("test"):
        have = "has" if test["photos"] == 1 else "have"
        text = f"{test['photos']} of {test['tested']} test photos {have} a copy in the training split"
        if "points" in test:
            text += (
                f": top-1 on the test split is {100 * test['top1']:.1f} % with those copies and "
                f"{100 * test['top1_without']:.1f} % without, {_worth(test['points'])}"
            )
        said.append(f"{text}.")
    if folds := inflation.get("folds"):
        said.append(
            f"In cross-validation, top-1 is {100 * folds['top1_apart']:.1f} % with copies in different folds and "
            f"{100 * folds['top1_together']:.1f} % with copies in the same fold, {_worth(folds['points'])}."
        )
    return said


def of_facts(facts: Together | None) -> str:
    """Describes how far classes can be told without looking at the content; empty where nothing was judged."""
    if facts is None:
        return ""
    low, high = (100 * end for end in facts.interval)
    beyond = "" if low > 100 * facts.chance else ", so no better than chance"
    return (
        f"Brightness, sharpness, size, aspect, format and camera alone put {100 * facts.share:.0f} % of the photos "
        f"into their class (95 % interval {low:.0f} to {high:.0f} %), and chance {100 * facts.chance:.0f} %{beyond}."
    )


def _from_facts(examination: Examination) -> Together | None:
    if examination.is_multi_label:  # there is no class of a photo that could be told from others
        return None
    labels, numbers = examination.labels, examination.numbers
    kept = label_errors.assessable(labels, numbers)
    if len(np.unique(labels[kept])) < 2:
        return None
    facts = [one for one, enough in zip(examination.facts, kept, strict=True) if enough]
    return shortcuts.together(facts, labels[kept], shortcuts.folds(labels[kept], numbers[kept]))


def _worth(points: float) -> str:
    if abs(points) < _NOTICEABLE:
        return "not a significant difference"
    return f"a difference of {points:+.1f} points"


def _inflation(examination: Examination) -> dict[str, dict[str, float] | None]:
    if examination.is_multi_label:
        return {"folds": None, "test": None}
    vectors, labels, numbers = examination.vectors, examination.labels, examination.numbers
    if (near_duplicates.sizes(numbers) < 2).all():
        return {"folds": None, "test": None}
    parts = np.array(examination.parts)
    learns, tests = np.isin(parts, ("train", "validation")), parts == "test"
    return {
        "folds": near_duplicates.inflation_by_folds(vectors, labels, numbers),
        "test": near_duplicates.inflation_on_test(vectors, labels, numbers, learns, tests) if tests.any() else None,
    }


def _unjudged(examination: Examination) -> tuple[str, ...]:
    """Notes which labels could not be assessed."""
    names = examination.dataset.classes
    if examination.is_multi_label:
        unknown = np.isnan(examination.label_errors.scores).all(axis=0)
        few = [name for name, left_out in zip(names, unknown, strict=True) if left_out]
        return (f"{_some(few)} has too few photos with it or without it to be assessed.",) if few else ()
    if len(names) < 2:
        return (f"The only class is {names[0]}: labels were not assessed, and training needs two classes.",)
    judged = set(examination.labels[label_errors.assessable(examination.labels, examination.numbers)].tolist())
    few = [name for label, name in enumerate(names) if label not in judged]
    if len(judged) < 2:
        return (f"Labels were not assessed: fewer than two classes have {label_errors.LEAST} different photos.",)
    counts = examination.dataset.counts
    small = [name for label, name in enumerate(names) if label in judged and counts[label] < FEW]
    notes = []
    if small:
        notes.append(
            f"Of classes with fewer than {FEW} photos ({_some(small)}), only the clear label errors are listed."
        )
    if few:
        notes.append(
            f"Labels of {_some(few)} were not assessed: each class needs {label_errors.LEAST} different photos."
        )
    return tuple(notes)


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
