"""Multi-label datasets: photos with any number of labels, their targets, split and folds."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from model_maker.data.dataset import PARTS, Dataset, Sample, Split, check_shares, unit
from model_maker.errors import DataError

Array = np.ndarray

# The `label` of a Sample whose labels are in `MultiLabelDataset.sets`.
NO_LABEL = -1
# A head is cross-validated, so two photos of each label have to remain for training.
_LEAST = {"train": 2, "validation": 0, "test": 1}


@dataclass(frozen=True)
class MultiLabelDataset(Dataset):
    """Photos with any number of labels each; exact copies are one photo with the labels of all.

    Attributes:
      sets: the labels of each photo by its digest, indices into the class names.
    """

    sets: Mapping[str, frozenset[int]] = field(default_factory=dict, hash=False)

    @property
    def labels(self) -> list[int]:
        raise DataError("This needs one label for each photo, and these photos may have several.")

    @cached_property
    def targets(self) -> Array:
        """Which labels each photo has, bool [N, C]."""
        return self._targets_of([sample.digest for sample in self.samples])

    def name(self, sample: Sample) -> str:
        """The labels of a photo, in words."""
        return ", ".join(self.classes[label] for label in sorted(self.sets[sample.digest])) or "no label"

    @property
    def counts(self) -> list[int]:
        return [int(count) for count in self.targets.sum(axis=0)]

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over label sets, photo contents and stated splits; independent of file names and order."""
        lines = sorted(f"{self._named(s.digest)}\0{s.digest}\0{s.part}" for s in self.samples)
        return hashlib.sha256("\n".join(["several labels", *lines]).encode()).hexdigest()

    @cached_property
    def conflicts(self) -> int:
        return 0

    def check_labels(self) -> None:
        """Raises an error for a label that all photos have, or all but one: negatives are missing."""
        for name, count in zip(self.classes, self.counts, strict=True):
            if len(self) - count < _LEAST["train"]:
                raise DataError(
                    f"{count} of {len(self)} photos have the label {name}; a label needs at least two photos without "
                    "it. Add some, or remove the label."
                )

    def split(self, *, validation: float = 0.1, test: float = 0.2, seed: int = 0, validating: bool = True) -> Split:
        """Splits the photos by the hash of their content, so that a photo stays in its split when others are added.

        If a label would be missing from the test split, or have fewer than two training photos, a photo with it moves
        there. Splits that the source states are kept.

        Args:
          validation, test: fractions of the photos.
          seed: random seed of the split.
          validating: as in `Dataset.split`; here the validation split may always lack labels.

        Raises:
          DataError: a label has too few photos, or only photos that the source puts into other splits.
        """
        check_shares(validation, test)
        wanted = self._missing_parts(validation, test)
        digests = sorted(
            {s.digest for s in self.samples if s.part in ("", "train")}, key=lambda digest: unit(digest, seed)
        )
        notes = list[str]()
        assigned = self._balanced(_natural(digests, wanted, seed), [*wanted, "train"], notes)
        parts: dict[str, list[Sample]] = {part: [] for part in PARTS}
        for sample in self.samples:
            parts[assigned[sample.digest] if sample.part in ("", "train") else sample.part].append(sample)
        train, held, final = (replace(self, samples=tuple(parts[part]), skipped=()) for part in PARTS)
        return Split(train, held, final, tuple(notes))

    def folds(self, count: int, *, seed: int = 0) -> list[int]:
        """Returns the fold, 0 to count - 1, of each sample: labels are spread evenly."""
        digests = sorted({sample.digest for sample in self.samples}, key=lambda digest: unit(digest, seed))
        targets = self._targets_of(digests)
        for name, photos in zip(self.classes, targets.sum(axis=0), strict=True):
            if photos < (least := max(count, 4 if count == 2 else 3)):
                raise DataError(
                    f"{name} has {photos} different photos; `folds={count}` needs {least} of each label. "
                    "Use fewer folds, or add photos."
                )
        fold = dict(zip(digests, deal(targets, count).tolist(), strict=True))
        return [fold[sample.digest] for sample in self.samples]

    def _targets_of(self, digests: Sequence[str]) -> Array:
        found = np.zeros((len(digests), len(self.classes)), bool)
        for row, digest in zip(found, digests, strict=True):
            row[list(self.sets[digest])] = True
        return found

    def _named(self, digest: str) -> str:
        return "\1".join(sorted(self.classes[label] for label in self.sets[digest]))

    def _balanced(self, assigned: dict[str, str], parts: Sequence[str], notes: list[str]) -> dict[str, str]:
        """Moves photos until each split has the minimum number of each label; rare labels come first."""
        digests = list(assigned)
        targets, place = self._targets_of(digests), np.array([assigned[digest] for digest in digests], dtype=object)
        totals = targets.sum(axis=0)
        for label in np.argsort(totals, kind="stable"):
            for part in parts:
                while (targets[place == part, label]).sum() < _LEAST[part]:
                    moved = _spare(targets, place, int(label), part)
                    if moved is None:
                        raise self._too_few(int(label), int(totals[label]), parts)
                    place[moved] = part
                    notes.append(f"{self.classes[label]}: the {part} split had too few and borrowed a photo.")
        return dict(zip(digests, place.tolist(), strict=True))

    def _too_few(self, label: int, photos: int, parts: Sequence[str]) -> DataError:
        needed = sum(_LEAST[part] for part in parts)
        return DataError(
            f"{self.classes[label]} has {photos} {'photo' if photos == 1 else 'different photos'} to divide; each "
            f"label needs at least {needed}. Add photos, or remove the label."
        )


def deal(targets: Array, count: int) -> Array:
    """Deals photos to folds, int [N], so that each label is spread evenly, the rarest first; targets are bool [N, C].

    Source: Sechidis et al. 2011, "On the Stratification of Multi-Label Data".
    """
    folds, sizes = np.full(len(targets), -1), np.zeros(count, int)
    having = np.zeros((count, targets.shape[1]), int)
    for label in (*np.argsort(targets.sum(axis=0), kind="stable"), None):
        free = folds < 0 if label is None else (folds < 0) & targets[:, label]
        for photo in np.flatnonzero(free):
            keys = (sizes,) if label is None else (sizes, having[:, label])
            fold = np.lexsort(keys)[0]
            folds[photo] = fold
            sizes[fold] += 1
            having[fold] += targets[photo]
    return folds


def _natural(digests: Sequence[str], wanted: Mapping[str, float], seed: int) -> dict[str, str]:
    """Assigns each digest, in the order of their hashes, by thresholds."""
    assigned = {}
    for digest in digests:
        place, threshold = unit(digest, seed), 0.0
        assigned[digest] = "train"
        for part, share in wanted.items():
            threshold += share
            if place < threshold:
                assigned[digest] = part
                break
    return assigned


def _spare(targets: Array, place: Array, label: int, part: str) -> int | None:
    """Chooses a photo with a label to move to another split; photos are in the order of their hashes.

    Prefers the validation split, then photos with few labels, then the photo closest to the split that needs it.
    """
    best: tuple[tuple[bool, int, int], int] | None = None
    for index in np.flatnonzero(targets[:, label] & (place != part)):
        home = place[index]
        left = targets[place == home].sum(axis=0)[targets[index]] - 1
        if (left < _LEAST[home]).any():
            continue
        rank = (home != "validation", int(targets[index].sum()), -int(index) if part == "train" else int(index))
        if best is None or rank < best[0]:
            best = rank, int(index)
    return best and best[1]
