"""The certificate of a file: results in each runtime, in each app, and for each requirement."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from model_maker.packaging.self_test import Trial
from model_maker.tflite import client_rules

Array = np.ndarray[Any, Any]

# The input of a runtime: pixels at the input size, or the photo, which it decodes and resizes itself.
SAME, OWN = "same", "own"
RAN, REFUSED, NOT_HERE = "ran", "refused", "not here"
_UNKNOWN = -1


@dataclass(frozen=True)
class Run:
    """The result of the file in one runtime, or in one app: LiteRT on XNNPACK with the preprocessing of the app.

    Attributes:
      name: of the runtime or the app.
      pixels: SAME or OWN; of an app a key of `app_pixels.PREPARATIONS`.
      state: RAN, REFUSED or NOT_HERE.
      why: reason if it did not run.
      photos: number of photos.
      right: number of correct answers: the best label; of a model of several labels, exactly the right ones. None of a
        head that does not know the classes of the photos.
      same_answer: number of photos with the same answer as the reference, LiteRT on XNNPACK with our pixels.
      unknown: number of photos without an answer, because no score reaches its threshold; 0 where photos may have no
        label.
      largest_difference: of any score from the reference; scores below the threshold count as the threshold.
      head: which output, of a file that `combine` made.
    """

    name: str
    pixels: str
    state: str = RAN
    why: str = ""
    photos: int = 0
    right: int | None = None
    same_answer: int | None = None
    unknown: int | None = None
    largest_difference: float | None = None
    head: str = ""

    @property
    def title(self) -> str:
        """The name, and the head where there are several."""
        return f"{self.name}, {self.head}" if self.head else self.name

    @property
    def accuracy(self) -> float | None:
        """Share of correct answers among all photos; unknown counts as wrong."""
        return None if self.right is None else self.right / self.photos


@dataclass(frozen=True)
class Certificate:
    """The results for a file.

    Attributes:
      model, size_bytes, sha256: which file.
      photos: number of photos.
      runs: runtimes.
      apps: those of `apps.APPS`, then other preprocessing; empty if LiteRT does not run the file.
      findings: requirements of phone clients.
      notes: what was skipped.
      self_test: of the file, on LiteRT's kernels; empty where it has none.
      created: when it was made, see `system.dates`.
      name, provenance: of the model, from its metadata.
    """

    model: Path
    size_bytes: int
    sha256: str
    photos: int
    runs: tuple[Run, ...]
    apps: tuple[Run, ...]
    findings: tuple[client_rules.RuleCheck, ...]
    notes: tuple[str, ...] = field(default=())
    self_test: tuple[Trial, ...] = field(default=())
    created: str = ""
    name: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def failures(self) -> list[str]:
        """One sentence for each runtime that rejects the file, and each mandatory requirement that it violates."""
        refused = list(dict.fromkeys(f"{run.name} rejects it: {run.why}" for run in self.runs if run.state == REFUSED))
        broken = [found for found in self.findings if not found.passed and found.rule.binding]
        failed = [
            f"The self-test fails on {trial.delegate}: {trial.why or f'scores differ by {trial.deviation:.3f}'}."
            for trial in self.self_test
            if not trial.passed
        ]
        return failed + refused + [f"{entry.rule.demand}: {entry.received}. {entry.rule.advice}" for entry in broken]

    @property
    def remarks(self) -> list[str]:
        """Remarks that are not failures: missing runtimes, rejections by apps, and recommendations that it violates."""
        absent = list(dict.fromkeys(run.why for run in self.runs if run.state == NOT_HERE))
        reasons = dict.fromkeys(run.why for run in self.apps if run.state == REFUSED)
        names = {why: dict.fromkeys(run.name for run in self.apps if run.why == why) for why in reasons}
        refused = [f"Rejected by {', '.join(names[why])}: {why}" for why in reasons]
        missed = [found.rule for found in self.findings if not found.passed and not found.rule.binding]
        return absent + refused + [f"{rule.by} look for {rule.demand}: {rule.advice}" for rule in missed]

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        return {
            "model": str(self.model),
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "created": self.created,
            "passed": not self.failures,
            "photos": self.photos,
            "runtimes": [asdict(run) | {"accuracy": run.accuracy} for run in self.runs],
            "apps": [asdict(run) | {"accuracy": run.accuracy} for run in self.apps],
            "rules": [
                {
                    "demand": entry.rule.demand,
                    "by": entry.rule.by,
                    "binding": entry.rule.binding,
                    "passed": entry.passed,
                    "received": entry.received,
                    "advice": "" if entry.passed else entry.rule.advice,
                }
                for entry in self.findings
            ],
            "self_test": [trial.as_dict() for trial in self.self_test],
            "failures": self.failures,
            "remarks": self.remarks,
            "notes": list(self.notes),
        }


def judge(run: Run, scores: Array, expected: Array, truth: Array | None, *, limits: Array) -> Run:
    """Returns a run with the evaluation of its scores.

    Args:
      scores: float [N, C], NaN for omitted labels.
      expected: reference scores, float [N, C].
      truth: int [N], the true labels, or bool [N, C] where there may be several; None where they are not among those of
        the scores.
      limits: float [C], the threshold of each label, for all runtimes.
    """
    several = truth is not None and truth.ndim == 2
    theirs, ours = ((label_sets if several else answers)(found, limits) for found in (scores, expected))
    # fmax replaces NaN, an omitted label, by its threshold.
    difference = np.abs(np.fmax(scores, limits) - np.fmax(expected, limits))
    return replace(
        run,
        photos=len(scores),
        right=None if truth is None else _count(theirs == truth),
        same_answer=_count(theirs == ours),
        unknown=0 if several else int((theirs == _UNKNOWN).sum()),
        largest_difference=float(difference.max()),
    )


def _count(equal: Array) -> int:
    """Returns the number of photos whose answer is equal, of bool [N] or of all labels in bool [N, C]."""
    return int(equal.reshape(len(equal), -1).all(axis=1).sum())


def label_sets(scores: Array, limits: Array) -> Array:
    """Returns which labels each photo gets, bool [N, C]; those that are omitted are not among them."""
    return np.where(np.isnan(scores), -1.0, scores) >= limits


def answers(scores: Array, limits: Array) -> Array:
    """Returns the index of each photo's best label, int [N], the first of equal ones; -1 if all are omitted."""
    known = np.where(np.isnan(scores), -1.0, scores)
    best = known.argmax(axis=1)
    return np.where(known.max(axis=1) >= limits[best], best, _UNKNOWN)
