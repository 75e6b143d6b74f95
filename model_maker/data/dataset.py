"""Dataset: photos with labels, parts that stay put, a fingerprint.

Where photos come from is known to `sources`; that a photo can be decoded is found out when it is used.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from model_maker.data.entries import Location, same_but_for_spelling
from model_maker.errors import DataError

PARTS = ("train", "validation", "test")
# Mistakes put some photos into two classes; where it is every tenth, somebody meant it.
_FEW_CONFLICTS, _SEVERAL_LABELS = 4, 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """One photo.

    Attributes:
      path: where it lies; whatever it is, `images.load` takes it.
      label: index into the class names.
      digest: sha256 of its bytes, hexadecimal.
      part: one of PARTS where the source states it, else "".
    """

    path: Location
    label: int
    digest: str
    part: str = ""


@dataclass(frozen=True)
class Skipped:
    """A file that should be a photo and is not usable; `path` and `part` are as in Sample."""

    path: Location
    reason: str
    part: str = ""


@dataclass(frozen=True)
class Split:
    """The three parts of a data set; exact copies of a photo lie in the same part."""

    train: Dataset
    validation: Dataset
    test: Dataset
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Photos and their classes.

    Attributes:
      samples: in the order of their source; of a folder by class, then path.
      classes: names, sorted; a label is an index into them.
      skipped: files that could not be read.
      notes: what was passed over and why, one sentence each.
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

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over class names, photo contents and stated parts; file names and order do not matter."""
        lines = sorted(f"{self.classes[s.label]}\0{s.digest}\0{s.part}" for s in self.samples)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @cached_property
    def conflicts(self) -> int:
        """How many different photos lie in more than one class."""
        labels: dict[str, int] = {}
        found = {s.digest for s in self.samples if labels.setdefault(s.digest, s.label) != s.label}
        return len(found)

    def check_labels(self) -> None:
        """Refuses photos that are meant to have several labels.

        Raises:
          DataError: so many lie in more than one class that it is no mistake.
        """
        different = len({sample.digest for sample in self.samples})
        if self.conflicts > max(_FEW_CONFLICTS, _SEVERAL_LABELS * different):
            raise DataError(
                f"{self.conflicts} of {different} photos lie in more than one class, so they have several labels, and "
                "here each has one. Keep each in one class, make a class of each combination, or one model a label."
            )

    def by_digest(self) -> list[Sample]:
        """Returns the photos with the lowest hashes first: a random order, and always the same."""
        return sorted(self.samples, key=lambda sample: sample.digest)

    def spread(self, most: int) -> list[int]:
        """Returns the indices of so many photos at most, every nth, so that all classes take part."""
        count = min(most, len(self))
        return [index * len(self) // count for index in range(count)]

    def of(self, photos: Sequence[int]) -> Dataset:
        """Returns some of the photos, by their indices."""
        return replace(self, samples=tuple(self.samples[index] for index in photos))

    def without(self, skipped: Sequence[Skipped]) -> Dataset:
        """Returns the data set less the photos that turned out to be unusable.

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
                "More than half: check the data."
            )
        return replace(self, samples=kept, skipped=bad)

    def stated(self, part: str) -> Dataset:
        """Returns the photos, and the skipped files, that the source states to be of one of PARTS."""
        samples = tuple(sample for sample in self.samples if sample.part == part)
        return replace(self, samples=samples, skipped=tuple(entry for entry in self.skipped if entry.part == part))

    def split(self, *, validation: float = 0.1, test: float = 0.2, seed: int = 0, validating: bool = True) -> Split:
        """Divides the photos by a threshold on the hash of their content, class by class.

        A photo stays in its part when others are added. A part that a class would leave empty borrows the photo whose
        hash is nearest. Parts that the source states are kept; those it lacks are taken from its training photos.
        What was skipped belongs to the whole, and is not told of the parts.

        Args:
          validation, test: fractions of each class.
          seed: another seed, another division.
          validating: whether there has to be a validation part; without, photos that none is stated of stay with those
            to learn from.

        Raises:
          DataError: a class has fewer than three different photos, or stated parts miss a class.
        """
        if not (0 < validation < 1 and 0 < test < 1 and validation + test < 1):
            raise DataError(f"`validation={validation}` and `test={test}` must be above 0 and below 1 together.")
        wanted = self._missing_parts(validation, test)
        if not validating:
            wanted.pop("validation", None)
        if self.samples and not any(sample.part in ("", "train") for sample in self.samples):
            raise DataError("The data has a validation or test part but no train part. Add a train folder.")
        self._check_learned()
        notes, assigned = [], []
        counts = Counter(sample.label for sample in self.samples)
        for label, (name, digests) in enumerate(zip(self.classes, self._digests(("", "train")), strict=True)):
            places, borrowed = _divide(digests, wanted, seed, name, counts[label])
            assigned.append(places)
            notes += [f"{name}: {part} was empty and borrowed the photo with the nearest hash." for part in borrowed]
        parts: dict[str, list[Sample]] = {part: [] for part in PARTS}
        for sample in self.samples:
            part = assigned[sample.label][sample.digest] if sample.part in ("", "train") else sample.part
            parts[part].append(sample)
        self._check_parts(parts if validating else {part: found for part, found in parts.items() if found})
        train, held, final = (replace(self, samples=tuple(parts[part]), skipped=()) for part in PARTS)
        return Split(train, held, final, tuple(notes))

    def folds(self, count: int, *, seed: int = 0) -> list[int]:
        """Returns the fold, 0 to count - 1, of each sample: stratified, copies together, independent of file names."""
        fold: dict[str, int] = {}
        for name, digests in zip(self.classes, self._digests(("", *PARTS)), strict=True):
            least = max(count, 4 if count == 2 else 3)  # two photos of each class remain to learn from
            if len(digests) < least:
                raise DataError(
                    f"{name} has {len(digests)} different photos; `folds={count}` needs {least} in each "
                    "class. Use fewer folds, or add photos."
                )
            for rank, digest in enumerate(sorted(digests, key=lambda digest: _unit(digest, seed))):
                fold.setdefault(digest, rank % count)
        return [fold[sample.digest] for sample in self.samples]

    def _digests(self, parts: Sequence[str]) -> list[set[str]]:
        """Returns the different photos of each class that lie in the given parts."""
        found: list[set[str]] = [set() for _ in self.classes]
        for sample in self.samples:
            if sample.part in parts:
                found[sample.label].add(sample.digest)
        return found

    def _missing_parts(self, validation: float, test: float) -> dict[str, float]:
        stated = {sample.part for sample in self.samples}
        return {part: share for part, share in (("test", test), ("validation", validation)) if part not in stated}

    def _check_parts(self, parts: dict[str, list[Sample]]) -> None:
        for part, samples in parts.items():
            missing = set(range(len(self.classes))) - {sample.label for sample in samples}
            if missing:
                held = {other: {sample.label for sample in found} for other, found in parts.items()}
                raise self._absent(part, min(missing), held)

    def _check_learned(self) -> None:
        """Refuses a class that is stated in other parts than training only, which would be told as too few photos."""
        held = {part: {sample.label for sample in self.samples if (sample.part or "train") == part} for part in PARTS}
        if absent := (held["validation"] | held["test"]) - held["train"]:
            raise self._absent("train", min(absent), held)

    def _absent(self, part: str, label: int, held: dict[str, set[int]]) -> DataError:
        name = self.classes[label]
        others = " and ".join(other for other in PARTS if label in held[other])
        spelled = same_but_for_spelling(name, (self.classes[other] for other in sorted(held[part])))
        if spelled:
            return DataError(
                f"The {part} part has no photo of {name!r}, but of {spelled!r}: the {others} part spells it {name!r}. "
                "Give both the same name."
            )
        return DataError(
            f"The {part} part has no photo of {name}, which the {others} part has. Add some, or remove it there."
        )


def _divide(
    different: set[str], wanted: dict[str, float], seed: int, name: str, files: int
) -> tuple[dict[str, str], list[str]]:
    """Assigns each digest of one class to a part; returns also the parts that had to borrow."""
    digests = sorted(different, key=lambda digest: _unit(digest, seed))
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
        natural = sum(_unit(digest, seed) < threshold for digest in digests)
        # Every part still to come, and training, must keep one.
        stop = min(max(natural, start + 1), len(digests) - (len(wanted) - index))
        if natural <= max(start, before):
            borrowed.append(part)
        assigned |= dict.fromkeys(digests[start:stop], part)
        if index == len(wanted) - 1 and natural >= len(digests):
            borrowed.append("train")
        start, before = stop, natural
    return assigned | dict.fromkeys(digests[start:], "train"), borrowed


def _unit(digest: str, seed: int) -> float:
    """Maps a content hash to [0, 1), uniformly; the seed salts it."""
    salted = hashlib.sha256(f"{seed}:{digest}".encode()).digest()
    return int.from_bytes(salted[:8], "big") / 2**64
