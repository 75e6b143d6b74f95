"""The certificate of a file: results in each runtime, in each app, and for each requirement."""

from __future__ import annotations

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
      right: number of correct answers.
      same_answer: number of photos with the same answer as the reference, LiteRT on XNNPACK with our pixels.
      unknown: number of photos without an answer, because no score reaches its threshold.
      largest_difference: of any score from the reference; scores below the threshold count as the threshold.
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
    """

    model: Path
    size_bytes: int
    sha256: str
    photos: int
    runs: tuple[Run, ...]
    apps: tuple[Run, ...]
    findings: tuple[client_rules.Finding, ...]
    notes: tuple[str, ...] = field(default=())
    self_test: tuple[Trial, ...] = field(default=())

    @property
    def failures(self) -> list[str]:
        """One sentence for each runtime that rejects the file, and each mandatory requirement that it violates."""
        refused = [f"{run.name} rejects it: {run.why}" for run in self.runs if run.state == REFUSED]
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
        absent = [run.why for run in self.runs if run.state == NOT_HERE]
        reasons = dict.fromkeys(run.why for run in self.apps if run.state == REFUSED)
        names = {why: [run.name for run in self.apps if run.why == why] for why in reasons}
        refused = [f"Rejected by {', '.join(names[why])}: {why}" for why in reasons]
        missed = [found.rule for found in self.findings if not found.passed and not found.rule.binding]
        return absent + refused + [f"{rule.by} look for {rule.demand}: {rule.advice}" for rule in missed]

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        return {
            "model": str(self.model),
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
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


def judge(run: Run, scores: Array, expected: Array, truth: Array, *, limits: Array) -> Run:
    """Returns a run with the evaluation of its scores.

    Args:
      run: the run.
      scores: float [N, C], NaN for omitted labels.
      expected: reference scores, float [N, C].
      truth: int [N], the true labels.
      limits: float [C], the threshold of each label, for all runtimes.
    """
    theirs, ours = answers(scores, limits), answers(expected, limits)
    # fmax replaces NaN, an omitted label, by its threshold.
    difference = np.abs(np.fmax(scores, limits) - np.fmax(expected, limits))
    return replace(
        run,
        photos=len(scores),
        right=int((theirs == truth).sum()),
        same_answer=int((theirs == ours).sum()),
        unknown=int((theirs == _UNKNOWN).sum()),
        largest_difference=float(difference.max()),
    )


def answers(scores: Array, limits: Array) -> Array:
    """Returns the index of each photo's best label, int [N], the first of equal ones; -1 if all are omitted."""
    known = np.where(np.isnan(scores), -1.0, scores)
    best = known.argmax(axis=1)
    return np.where(known.max(axis=1) >= limits[best], best, _UNKNOWN)
