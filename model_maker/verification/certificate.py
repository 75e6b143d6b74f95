"""The certificate of a file: what was found in each runtime, in each app, and of each rule."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from model_maker.tflite import client_rules

Array = np.ndarray[Any, Any]

# The pixels that a runtime was given: ours at the input's size, or the photo, which it decodes and resizes for itself.
SAME, OWN = "same", "own"
RAN, REFUSED, NOT_HERE = "ran", "refused", "not here"
_UNKNOWN = -1


@dataclass(frozen=True)
class Run:
    """The file on photos in one runtime, or in one app, which is LiteRT on XNNPACK with what the app would feed.

    Attributes:
      name: of the runtime or the app.
      pixels: SAME or OWN; of an app a key of `app_pixels.PREPARATIONS`.
      state: RAN, REFUSED or NOT_HERE.
      why: it did not run.
      photos: how many.
      right: photos whose answer is their class.
      same_answer: photos with the same answer as ours, LiteRT on XNNPACK with the pixels of training.
      unknown: photos without an answer, for no score reaches its threshold.
      largest_difference: of any score from ours; lower ones than its threshold count as that.
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
        """Share of right answers among all photos; one that is unknown is not right."""
        return None if self.right is None else self.right / self.photos


@dataclass(frozen=True)
class Certificate:
    """What was found of a file.

    Attributes:
      model, size_bytes, sha256: which file.
      photos: how many it was run on.
      runs: runtimes.
      apps: those of `apps.APPS`, then who else prepares photos in other ways; empty where LiteRT does not run the file.
      findings: rules of phone clients.
      notes: what was passed over.
    """

    model: Path
    size_bytes: int
    sha256: str
    photos: int
    runs: tuple[Run, ...]
    apps: tuple[Run, ...]
    findings: tuple[client_rules.Finding, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def failures(self) -> list[str]:
        """One sentence for each runtime that refuses the file, and each binding rule that it breaks."""
        refused = [f"{run.name} refuses it: {run.why}" for run in self.runs if run.state == REFUSED]
        broken = [found for found in self.findings if not found.passed and found.rule.binding]
        return refused + [f"{entry.rule.demand}: {entry.received}. {entry.rule.advice}" for entry in broken]

    @property
    def remarks(self) -> list[str]:
        """No failures: runtimes that are not here, reasons why apps refuse the file, and rules that it misses."""
        absent = [run.why for run in self.runs if run.state == NOT_HERE]
        reasons = dict.fromkeys(run.why for run in self.apps if run.state == REFUSED)
        names = {why: [run.name for run in self.apps if run.why == why] for why in reasons}
        refused = [f"Refused by {', '.join(names[why])}: {why}" for why in reasons]
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
            "failures": self.failures,
            "remarks": self.remarks,
            "notes": list(self.notes),
        }


def judge(run: Run, scores: Array, expected: Array, truth: Array, *, limits: Array) -> Run:
    """Returns a run with what its scores are worth.

    Args:
      run: which one.
      scores: float [N, C], not a number where a label was left out.
      expected: our scores, float [N, C].
      truth: int [N], the right labels.
      limits: float [C], the score from which on each label is an answer, to everyone.
    """
    theirs, ours = answers(scores, limits), answers(expected, limits)
    # fmax takes the limit where a label was left out, which is not a number.
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
    """Returns the index of each photo's best label, int [N], the first of equal ones; -1 where none is left."""
    known = np.where(np.isnan(scores), -1.0, scores)
    best = known.argmax(axis=1)
    return np.where(known.max(axis=1) >= limits[best], best, _UNKNOWN)
