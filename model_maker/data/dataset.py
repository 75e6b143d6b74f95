"""Dataset: photos with labels, a stable split, a fingerprint.

`sources` reads datasets; photos are decoded only when they are used.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from model_maker.data.entries import Location, same_but_for_spelling
from model_maker.errors import DataError

PARTS = ("train", "validation", "test")
# Some photos may be in two classes by mistake; from one in ten on, it is intended.
_FEW_CONFLICTS, _SEVERAL_LABELS = 4, 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """One photo.

    Attributes:
      path: its location, as `images.load` takes it.
      label: index into the class names.
      digest: sha256 of its bytes, hexadecimal.
      part: its split, one of PARTS, if the source states it, else "".
    """

    path: Location
    label: int
    digest: str
    part: str = ""


@dataclass(frozen=True)
class Skipped:
    """An unusable photo file; `path` and `part` are as in Sample."""

    path: Location
    reason: str
    part: str = ""


@dataclass(frozen=True)
class Split:
    """The training, validation and test split; exact copies of a photo are in the same split."""

    train: Dataset
    validation: Dataset
    test: Dataset
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Number of photos in each of the three."""
        return {part: len(getattr(self, part)) for part in ("train", "validation", "test")}


@dataclass(frozen=True)
class Dataset:
    """Photos and their classes.

    Attributes:
      samples: in the order of their source; of a folder by class, then path.
      classes: names, sorted; a label is an index into them.
      skipped: files that could not be read.
      notes: what was skipped and why, one sentence each.
    """

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def labels(self) -> list[int]:
        return [sample.label for sample in self.samples]

    def name(self, sample: Sample) -> str:
        """The class of a photo, in words."""
        return self.classes[sample.label]

    @property
    def counts(self) -> list[int]:
        """The number of photos of each class."""
        found = Counter(self.labels)
        return [found[label] for label in range(len(self.classes))]

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over class names, photo contents and stated splits; independent of file names and order."""
        lines = sorted(f"{self.classes[s.label]}\0{s.digest}\0{s.part}" for s in self.samples)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @cached_property
    def conflicts(self) -> int:
        """The number of different photos in more than one class."""
        labels: dict[str, int] = {}
        found = {s.digest for s in self.samples if labels.setdefault(s.digest, s.label) != s.label}
        return len(found)

    def check_labels(self) -> None:
        """Raises a DataError if too many photos are in more than one class."""
        different = len({sample.digest for sample in self.samples})
        if self.conflicts > max(_FEW_CONFLICTS, _SEVERAL_LABELS * different):
            raise DataError(
                f"{self.conflicts} of {different} photos are in more than one class. If photos may have several "
                "labels, train with `multi_label=True`; otherwise keep each photo in one class."
            )

    def by_digest(self) -> list[Sample]:
        """Returns the photos ordered by hash: random but deterministic."""
        return sorted(self.samples, key=lambda sample: sample.digest)

    def spread(self, most: int) -> list[int]:
        """Returns the indices of the photos with the least hashes: others that come, move or go change few of them."""
        by_hash = sorted(range(len(self)), key=lambda index: (self.samples[index].digest, index))
        return sorted(by_hash[:most])

    def of(self, photos: Sequence[int]) -> Dataset:
        """Returns some of the photos, by their indices."""
        return replace(self, samples=tuple(self.samples[index] for index in photos))

    def without(self, skipped: Sequence[Skipped]) -> Dataset:
        """Returns the dataset without unusable photos.

        Raises:
          DataError: more than half of all files are unusable.
        """
        gone = {entry.path for entry in skipped}
        kept = tuple(sample for sample in self.samples if sample.path not in gone)
        bad = self.skipped + tuple(skipped)
        if len(bad) > len(kept):
            first = f"{bad[0].path} ({bad[0].reason})"
            raise DataError(
                f"{len(bad)} of {len(kept) + len(bad)} files cannot be read as photos, the first: {first}. "
                "That is more than half: check the dataset."
            )
        return replace(self, samples=kept, skipped=bad)

    def without_contents(self, digests: Collection[str]) -> Dataset:
        """Returns the dataset as it would be without the photos of some contents, sha256 in hexadecimal."""
        return replace(self, samples=tuple(s for s in self.samples if s.digest not in digests)) if digests else self

    def stated(self, part: str) -> Dataset:
        """Returns the photos and skipped files of one of PARTS, as stated by the source."""
        samples = tuple(sample for sample in self.samples if sample.part == part)
        return replace(self, samples=samples, skipped=tuple(entry for entry in self.skipped if entry.part == part))

    def split(self, *, validation: float = 0.1, test: float = 0.2, seed: int = 0, validating: bool = True) -> Split:
        """Splits the photos by a threshold on the hash of their content, class by class.

        A photo stays in its split when others are added. If a class would be missing from a split, the photo with the
        closest hash moves there. Splits that the source states are kept; missing ones are taken from its training
        photos. Skipped files belong to the whole dataset and are not reported for splits.

        Args:
          validation, test: fractions of each class.
          seed: random seed of the split.
          validating: whether a validation split is required; without one, photos with no stated split are for training.

        Raises:
          DataError: a class has fewer than three different photos, or is missing from a stated split.
        """
        check_shares(validation, test)
        wanted = self._missing_parts(validation, test)
        if not validating:
            wanted.pop("validation", None)
        self._check_learned()
        notes, assigned = [], []
        counts = Counter(sample.label for sample in self.samples)
        for label, (name, digests) in enumerate(zip(self.classes, self._digests(("", "train")), strict=True)):
            places, borrowed = _divide(digests, wanted, seed, name, counts[label])
            assigned.append(places)
            what = "split was empty and borrowed the photo with the closest hash."
            notes += [f"{name}: the {part} {what}" for part in borrowed]
        parts: dict[str, list[Sample]] = {part: [] for part in PARTS}
        for sample in self.samples:
            part = assigned[sample.label][sample.digest] if sample.part in ("", "train") else sample.part
            parts[part].append(sample)
        self._check_parts(parts if validating else {part: found for part, found in parts.items() if found})
        train, held, final = (replace(self, samples=tuple(parts[part]), skipped=()) for part in PARTS)
        return Split(train, held, final, tuple(notes))

    def folds(self, count: int, *, seed: int = 0) -> list[int]:
        """Returns the fold, 0 to count - 1, of each sample: stratified, exact copies in the same fold."""
        fold: dict[str, int] = {}
        for name, digests in zip(self.classes, self._digests(("", *PARTS)), strict=True):
            least = max(count, 4 if count == 2 else 3)  # two photos of each class remain for training
            if len(digests) < least:
                raise DataError(
                    f"{name} has {len(digests)} different photos; `folds={count}` needs {least} in each "
                    "class. Use fewer folds, or add photos."
                )
            for rank, digest in enumerate(sorted(digests, key=lambda digest: unit(digest, seed))):
                fold.setdefault(digest, rank % count)
        return [fold[sample.digest] for sample in self.samples]

    def _digests(self, parts: Sequence[str]) -> list[set[str]]:
        """Returns the different photos of each class in the given splits."""
        found: list[set[str]] = [set() for _ in self.classes]
        for sample in self.samples:
            if sample.part in parts:
                found[sample.label].add(sample.digest)
        return found

    def _missing_parts(self, validation: float, test: float) -> dict[str, float]:
        """Returns the shares of the splits that the source does not state, and that training photos are split for."""
        stated = {sample.part for sample in self.samples}
        if stated and not stated & {"", "train"}:
            raise DataError("The dataset has a validation or test split but no training split. Add a train folder.")
        return {part: share for part, share in (("test", test), ("validation", validation)) if part not in stated}

    def _check_parts(self, parts: dict[str, list[Sample]]) -> None:
        for part, samples in parts.items():
            missing = set(range(len(self.classes))) - {sample.label for sample in samples}
            if missing:
                held = {other: {sample.label for sample in found} for other, found in parts.items()}
                raise self._absent(part, min(missing), held)

    def _check_learned(self) -> None:
        """Raises an error for a class that is missing from a split, before it is reported as too few photos."""
        held = {part: {sample.label for sample in self.samples if (sample.part or "train") == part} for part in PARTS}
        if absent := (held["validation"] | held["test"]) - held["train"]:
            raise self._absent("train", min(absent), held)

    def _absent(self, part: str, label: int, held: dict[str, set[int]]) -> DataError:
        name = self.classes[label]
        others = " and ".join(other for other in PARTS if label in held[other])
        spelled = same_but_for_spelling(name, (self.classes[other] for other in sorted(held[part])))
        if spelled:
            return DataError(
                f"The {part} split has no photo of {name!r}, but of {spelled!r}; the {others} split has {name!r}. "
                "Use the same name in both."
            )
        return DataError(
            f"The {part} split has no photo of {name}, which the {others} split has. Add some, or remove it there."
        )


def _divide(
    different: set[str], wanted: dict[str, float], seed: int, name: str, files: int
) -> tuple[dict[str, str], list[str]]:
    """Assigns each digest of one class to a split; also returns the splits that had to borrow a photo."""
    digests = sorted(different, key=lambda digest: unit(digest, seed))
    if len(digests) < len(wanted) + 1:
        needed = ", ".join(["train", *reversed(wanted)])
        what = "photo" if len(digests) == 1 else "different photos"
        what += f" among {files} files" if files > len(digests) else ""
        raise DataError(
            f"{name} has {len(digests)} {what}; each class needs at least {len(wanted) + 1} ({needed}). "
            "Add photos, or remove the class."
        )
    assigned: dict[str, str] = {}
    borrowed, start, before, threshold = [], 0, 0, 0.0
    for index, (part, share) in enumerate(wanted.items()):
        threshold += share
        natural = sum(unit(digest, seed) < threshold for digest in digests)
        # One photo must remain for training and for each further split.
        stop = min(max(natural, start + 1), len(digests) - (len(wanted) - index))
        if natural <= max(start, before):
            borrowed.append(part)
        assigned |= dict.fromkeys(digests[start:stop], part)
        if index == len(wanted) - 1 and natural >= len(digests):
            borrowed.append("train")
        start, before = stop, natural
    return assigned | dict.fromkeys(digests[start:], "train"), borrowed


def check_shares(validation: float, test: float) -> None:
    """Raises a DataError if a fraction of a split is 0 or less, or they leave nothing for training."""
    if not (0 < validation < 1 and 0 < test < 1 and validation + test < 1):
        raise DataError(f"`validation={validation}` and `test={test}` must each be above 0, and below 1 in total.")


def unit(digest: str, seed: int) -> float:
    """Maps a content hash to [0, 1), uniformly; the seed salts it."""
    salted = hashlib.sha256(f"{seed}:{digest}".encode()).digest()
    return int.from_bytes(salted[:8], "big") / 2**64
