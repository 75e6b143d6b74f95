"""Detects files that are not photos of a class: hidden files, leftovers of programs, outputs, masks, other files."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from model_maker.data import images
from model_maker.data.entries import ListedPhoto
from model_maker.errors import DataError
from model_maker.output_folder import RUN

# Files and folders that NAS boxes, galleries, macOS, Windows and notebooks put next to photos, in lower case. Names
# with a leading dot are hidden anyway.
_LEFTOVERS = frozenset({
    "__macosx", "_macosx", "@eadir", "#recycle", "@recycle", "@recently-snapshot", "#snapshot", "$recycle.bin",
    "recycler", "lost+found", "thumbnails", "_thumbnails", "_thumbs", "__pycache__", "found.000",
    "system volume information", "temporary items", "network trash folder", "lightroom previews.lrdata",
})  # fmt: skip
# The list that `organize` writes into its folder of uncertain photos.
UNSURE = "unsure.csv"
# Files that identify outputs: of training, of `doctor --fix`, and of `organize`.
OUTPUTS = (RUN, "moves.jsonl", UNSURE)
PICTURES = frozenset({
    "image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "jpegimages", "rgb", "original",
    "originals",
})  # fmt: skip
MASKS = frozenset({
    "mask", "masks", "groundtruth", "gt", "segmentation", "segmentations", "segmentationclass", "segmentationobject",
    "seg", "label", "labels", "annotation", "annotations",
})  # fmt: skip
_MASK_NAME = re.compile(r"(.+?)[ _.-]+(?:mask|seg|segmentation|gt|groundtruth)(?:[ _.-]*\d+)?", re.IGNORECASE)
# If this share of a folder's photos is named like masks, they are masks.
_MANYMASKS = 0.2


def is_hidden(name: str) -> bool:
    """Returns whether a file or folder of that name is hidden."""
    return name.startswith(".") or name == "__MACOSX"


def is_passed_over(name: str) -> bool:
    """Returns whether a folder of that name is hidden, or contains thumbnails or trash of a program."""
    return is_hidden(name) or is_leftover(name)


def is_leftover(name: str) -> bool:
    """Returns whether a folder of that name belongs to a program, so that renaming would not make it a class."""
    return name.lower().lstrip(".") in _LEFTOVERS or name.lower() in (".thumbs", ".ipynb_checkpoints", ".trash")


def refuse_masks_beside(home: object, folders: Iterable[str]) -> None:
    """Raises a DataError if the names of folders with photos are of masks and of images."""
    plain = {re.sub(r"[\W_]+", "", name.lower()): name for name in folders}
    pictures, masks = sorted(PICTURES & plain.keys()), sorted(MASKS & plain.keys())
    if pictures and masks:
        raise DataError(
            f"{home} contains {plain[pictures[0]]} and {plain[masks[0]]}: the latter look like masks, which are "
            "not photos of a class. Move them out of the data; if they are photos, rename the folder."
        )


def refuse_mask_files(entries: Iterable[ListedPhoto]) -> None:
    """Raises a DataError if a folder has many masks among photos, for example `a_mask.png` beside `a.png`."""
    stems: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        home, _, name = str(entry.path).replace("\\", "/").rpartition("/")
        stems[home].add(name.rpartition(".")[0])
    for home, found in stems.items():
        masks = [stem for stem in found if (match := _MASK_NAME.fullmatch(stem)) and match[1] in found]
        if len(masks) > _MANYMASKS * len(found):
            first = min(masks)
            raise DataError(
                f"{home}: {counted(len(masks), 'picture')} of {len(found)} are named like masks of others (the first: "
                f"{first}). Move masks out of the data; if they are photos, rename them."
            )


def note_hidden(folder: object, notes: list[str]) -> None:
    """Adds a note on a folder of photos that is skipped because of its name."""
    notes.append(f"{folder} is hidden (its name starts with a dot) and is not used; rename it to make it a class.")


def note_passed_over(counts: Counter[str], notes: list[str]) -> None:
    """Adds a note on photos in hidden and leftover folders, counted by the folder's name."""
    if counts:
        names = listed(sorted(counts))
        notes.append(f"{counted(counts.total(), 'photo')} in {names} (hidden, or created by other programs): not used.")


def note_loose(count: int, home: object, notes: list[str]) -> None:
    """Adds a note on photos beside the class folders."""
    notes.append(f"{counted(count, 'photo')} directly in {home}, outside any class folder: not used.")


def note_empty(folder: object, notes: list[str]) -> None:
    """Adds a note on a class folder without photos."""
    notes.append(f"{folder} contains no photos and is not used as a class.")


def note_others(others: Counter[str], notes: list[str]) -> None:
    """Adds a note on files that are not photos, counted by suffix."""
    if others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
        notes.append(f"{counted(others.total(), 'other file')} not used because they are not photos ({kinds}).")


def passed_over_in(places: Iterable[PurePath]) -> Counter[str]:
    """Counts photos in hidden and leftover folders, by the first such folder."""
    found: Counter[str] = Counter()
    for place in places:
        name = next((name for name in place.parts[:-1] if is_passed_over(name)), None)
        if name and images.is_photo(place.suffix):
            found[name] += 1
    return found


def counted(number: int, noun: str) -> str:
    """Formats a number with a noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """Joins the first names, and the number of further ones."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
