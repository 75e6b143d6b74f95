"""A folder of photos becomes a Dataset: samples with labels, parts that stay put, a fingerprint.

It reads bytes (to hash them) but makes no pixels; that a photo can be decoded is found out when it is used.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from model_maker.data.images import FORMATS
from model_maker.errors import DataError

Progress = Callable[[int, int], None]

PARTS = ("train", "validation", "test")
# Folder names of the split form, as data sets in the wild spell them.
PART_FOLDERS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
# Photos that Pillow alone cannot read: named to the user instead of passed over.
UNSUPPORTED = (".heic", ".heif", ".avif")


@dataclass(frozen=True)
class Sample:
    """One photo.

    Attributes:
      path: where it lies.
      label: index into the class names.
      digest: sha256 of its bytes, hexadecimal.
      part: one of PARTS where the folder states it, else "".
    """

    path: Path
    label: int
    digest: str
    part: str = ""


@dataclass(frozen=True)
class Skipped:
    """A file that should be a photo and is not usable; `part` is where the folder states it, as in Sample."""

    path: Path
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
      samples: ordered by class, then path.
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
                "More than half: check the folder."
            )
        return replace(self, samples=kept, skipped=bad)

    def stated(self, part: str) -> Dataset:
        """Returns the photos, and the skipped files, that the folder states to be of one of PARTS."""
        samples = tuple(sample for sample in self.samples if sample.part == part)
        return replace(self, samples=samples, skipped=tuple(entry for entry in self.skipped if entry.part == part))

    def split(self, *, validation: float = 0.1, test: float = 0.2, seed: int = 0) -> Split:
        """Divides the photos by a threshold on the hash of their content, class by class.

        A photo stays in its part when others are added. A part that a class would leave empty borrows the photo whose
        hash is nearest. Parts that the folder states are kept; those it lacks are taken from its training photos.
        What was skipped belongs to the whole, and is not told of the parts.

        Args:
          validation, test: fractions of each class.
          seed: another seed, another division.

        Raises:
          DataError: a class has fewer than three different photos, or stated parts miss a class.
        """
        if not (0 < validation < 1 and 0 < test < 1 and validation + test < 1):
            raise DataError(f"--validation {validation} and --test {test} must be above 0 and below 1 together.")
        wanted = self._missing_parts(validation, test)
        if self.samples and not any(sample.part in ("", "train") for sample in self.samples):
            raise DataError("The folder has a validation or test part but no train part. Add a train folder.")
        parts: dict[str, list[Sample]] = {part: [] for part in PARTS}
        notes = []
        for label, name in enumerate(self.classes):
            members = [sample for sample in self.samples if sample.label == label]
            loose = [sample for sample in members if sample.part in ("", "train")]
            assigned, borrowed = _divide(loose, wanted, seed, name)
            notes += [f"{name}: {part} was empty and borrowed the photo with the nearest hash." for part in borrowed]
            for sample in members:
                part = assigned[sample.digest] if sample.part in ("", "train") else sample.part
                parts[part].append(sample)
        self._check_parts(parts)
        train, held, final = (replace(self, samples=tuple(parts[part]), skipped=()) for part in PARTS)
        return Split(train, held, final, tuple(notes))

    def folds(self, count: int, *, seed: int = 0) -> list[int]:
        """Returns the fold, 0 to count - 1, of each sample: stratified, copies together, independent of file names."""
        fold: dict[str, int] = {}
        for label in range(len(self.classes)):
            digests = sorted({s.digest for s in self.samples if s.label == label}, key=lambda d: _unit(d, seed))
            least = max(count, 4 if count == 2 else 3)  # two photos of each class remain to learn from
            if len(digests) < least:
                raise DataError(
                    f"{self.classes[label]} has {len(digests)} different photos; --folds {count} needs {least} in each "
                    "class. Use fewer folds, or add photos."
                )
            for rank, digest in enumerate(digests):
                fold.setdefault(digest, rank % count)
        return [fold[sample.digest] for sample in self.samples]

    def _missing_parts(self, validation: float, test: float) -> dict[str, float]:
        stated = {sample.part for sample in self.samples}
        return {part: share for part, share in (("test", test), ("validation", validation)) if part not in stated}

    def _check_parts(self, parts: dict[str, list[Sample]]) -> None:
        for part, samples in parts.items():
            missing = set(range(len(self.classes))) - {sample.label for sample in samples}
            if missing:
                name = self.classes[min(missing)]
                raise DataError(f"The {part} part has no photo of {name}. Add some, or remove the {part} folder.")


def from_folder(directory: str | os.PathLike, *, least_classes: int = 2, progress: Progress | None = None) -> Dataset:
    """Reads `DIR/<class>/**` or `DIR/{train,val|validation,test}/<class>/**`.

    Args:
      directory: DIR.
      least_classes: a classifier needs two; photos to evaluate on may all be of one.
      progress: called with (done, total) files.

    Raises:
      DataError: no such folder, one that cannot be opened, or fewer classes with photos.
    """
    root = Path(directory)
    notes: list[str] = []
    try:
        if not root.is_dir():
            found = "is a file" if root.exists() else "does not exist"
            raise DataError(f"{root} {found}. Give a folder that holds one folder of photos for each class.")
        files = list(_walk(root, notes))
    except OSError as error:
        raise DataError(f"{root} cannot be opened ({error.strerror}). Check its name and permissions.") from error
    classes = tuple(sorted({name for _, name, _ in files}))
    skipped = [
        Skipped(path, "not supported; save it as JPEG", part) for path, _, part in files if _suffix(path) in UNSUPPORTED
    ]
    files = [entry for entry in files if _suffix(entry[0]) in FORMATS]
    _check_classes(root, classes, least_classes, notes)
    samples = []
    with ThreadPoolExecutor(_hash_threads()) as pool:
        # In slices, so that a million photos do not queue up as a million waiting results.
        for start in range(0, len(files), 1024):
            part = files[start : start + 1024]
            for (path, name, stated), (digest, reason) in zip(
                part, pool.map(_hash, (p for p, *_ in part)), strict=True
            ):
                if digest:
                    samples.append(Sample(path, classes.index(name), digest, stated))
                else:
                    skipped.append(Skipped(path, reason, stated))
            if progress:
                progress(min(start + 1024, len(files)), len(files))
    samples.sort(key=lambda sample: (sample.label, sample.path))
    return Dataset(tuple(samples), classes, tuple(skipped), tuple(notes) + _conflicts(samples))


def _walk(root: Path, notes: list[str]) -> Iterator[tuple[Path, str, str]]:
    """Yields (path, class name, stated part) of every file below a class folder, in a stable order."""
    folders = _visible_folders(root, notes)
    parts = [folder.name for folder in folders if folder.name.lower() in PART_FOLDERS]
    split = bool(folders) and len(parts) == len(folders)
    if not split and len(parts) > 1:
        notes.append(f"{root} has {' and '.join(parts)} beside other folders, so all of them are taken as classes.")
    loose = sum(_suffix(path) in FORMATS for path in root.iterdir() if path.is_file())
    if loose and folders:
        notes.append(f"{_count(loose, 'photo')} directly in {root}, outside any class folder: not used.")
    others: Counter[str] = Counter()
    for folder in folders:
        part = PART_FOLDERS[folder.name.lower()] if split else ""
        for class_folder in _visible_folders(folder, notes) if split else [folder]:
            name = _label(class_folder)
            for path in _files(class_folder, notes):
                if _suffix(path) in FORMATS or _suffix(path) in UNSUPPORTED:
                    yield path, name, part
                else:
                    others[_suffix(path) or "no suffix"] += 1
    if others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
        notes.append(f"{_count(sum(others.values()), 'other file')} not used, being no photos ({kinds}).")


def _visible_folders(root: Path, notes: list[str]) -> list[Path]:
    folders = sorted(path for path in root.iterdir() if path.is_dir() and path.name != "__MACOSX")
    for folder in folders:
        hidden = folder.name.startswith(".") and os.access(folder, os.R_OK | os.X_OK)
        if hidden and any(_suffix(path) in FORMATS for path in folder.iterdir()):
            notes.append(
                f"{folder} is hidden (its name starts with a dot) and is not used; rename it to make it a class."
            )
    return [folder for folder in folders if not folder.name.startswith(".")]


def _files(folder: Path, notes: list[str]) -> Iterator[Path]:
    """Yields visible files below a folder, links followed, each real folder once and none that holds this one."""

    def unreadable(error: OSError) -> None:
        notes.append(f"{error.filename} cannot be opened ({error.strerror}) and is not used.")

    # A link back up would bring the other classes' photos into this one.
    homes = (folder.parent.resolve(), folder.resolve().parent)
    seen = {str(above) for home in homes for above in (home, *home.parents)}
    for current, folders, names in os.walk(folder, followlinks=True, onerror=unreadable):
        real = os.path.realpath(current)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        if real in seen:
            folders[:] = []
            continue
        seen.add(real)
        yield from (Path(current, name) for name in sorted(names) if not name.startswith("."))


def _label(folder: Path) -> str:
    """The class name: the folder's, in composed Unicode, since labels are compared and shown, not only listed."""
    name = unicodedata.normalize("NFC", folder.name)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{folder!r}: the folder's name is not valid Unicode. Rename it.") from None
    if any(unicodedata.category(letter) == "Cc" or letter in "\u2028\u2029" for letter in name):
        raise DataError(f"{str(folder)!r}: a class name cannot hold line breaks or control characters. Rename it.")
    return name


def _check_classes(root: Path, classes: tuple[str, ...], least: int, notes: list[str]) -> None:
    # What was passed over is why classes are missing.
    layout = " ".join(["Expected one folder of photos for each class, such as roses/ and tulips/.", *notes[:3]])
    if not classes:
        raise DataError(f"{root} holds no photos (JPEG, PNG, WebP, GIF, BMP, TIFF) in class folders. {layout}")
    if len(classes) < least:
        raise DataError(f"{root} holds one class only, {classes[0]!r}; a classifier needs at least two. {layout}")


def _divide(samples: list[Sample], wanted: dict[str, float], seed: int, name: str) -> tuple[dict[str, str], list[str]]:
    """Assigns each digest of one class to a part; returns also the parts that had to borrow."""
    digests = sorted({sample.digest for sample in samples}, key=lambda digest: _unit(digest, seed))
    if len(digests) < len(wanted) + 1:
        needed = ", ".join(["train", *reversed(wanted)])
        what = "photo" if len(digests) == 1 else "different photos"
        raise DataError(
            f"{name} has {len(digests)} {what}; each class needs at least {len(wanted) + 1} ({needed}). "
            "Add photos, or remove the folder."
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


def _hash(path: Path) -> tuple[str, str]:
    """Returns (digest, "") or ("", reason)."""
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return (digest, "") if file.tell() else ("", "empty file")
    except OSError as error:
        return "", error.strerror or "unreadable"


def _conflicts(samples: list[Sample]) -> tuple[str, ...]:
    labels = defaultdict(set)
    for sample in samples:
        labels[sample.digest].add(sample.label)
    count = sum(len(found) > 1 for found in labels.values())
    return (f"{_count(count, 'photo')} in more than one class (exact copies).",) if count else ()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _suffix(path: Path) -> str:
    return path.suffix.lower()


def _hash_threads() -> int:
    return min(8, (os.cpu_count() or 1) * 2)
