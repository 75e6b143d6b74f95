"""Findings of shortcuts, and of differences between the splits that a dataset states."""

from collections.abc import Iterator

import numpy as np

from model_maker.doctor import shortcuts
from model_maker.doctor.examination import Examination
from model_maker.doctor.findings import Finding

# One photo fewer or more should not move the recall of a class by more than 20 points.
THIN = 5


def shortcuts_of(examination: Examination) -> Iterator[Finding]:
    """Yields each fact that gives a class away, or the test split where the source states one."""
    names = examination.dataset.classes
    groups = [(f"{name} differs from the other classes", examination.having(index)) for index, name in enumerate(names)]
    tests = np.array(examination.parts) == "test"
    if examination.states_parts and tests.any():
        groups.append(("The test split differs from the others", tests))
    for text, member in groups if len(names) > 1 else ():
        if member.all() or not member.any():
            continue
        folds = shortcuts.folds(member.astype(int), examination.numbers)
        for found in shortcuts.find(examination.facts, member, folds, tried=len(groups)):
            low, high = (100 * end for end in found.interval)
            yield Finding(
                f"{text} by {shortcuts.noun(found.fact)}, which alone is right for {100 * found.share:.0f} % "
                f"(95 % interval {low:.0f} to {high:.0f} %, by chance 50 %); {found.how}",
                score=found.share,
            )


def thin_parts(examination: Examination) -> Iterator[Finding]:
    """Yields the classes that have hardly a photo in a stated test or validation split, and more for training."""
    if not examination.states_parts:
        return
    parts = np.array(examination.parts)
    for index, name in enumerate(examination.dataset.classes):
        own = parts[examination.having(index)]
        for part in ("test", "validation"):
            if (parts == part).any() and (count := int((own == part).sum())) < THIN and count < (own == "train").sum():
                photos = f"{count or 'no'} {part} photo{'' if count == 1 else 's'}"
                yield Finding(f"{name} has {photos} and {int((own == 'train').sum())} training photos")
