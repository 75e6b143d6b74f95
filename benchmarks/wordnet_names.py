"""Makes the table of names that `zero-shot` knows: ImageNet's classes and everything above them in WordNet.

    python -m benchmarks.wordnet_names /usr/share/wordnet SITE_PACKAGES/timm/data/_info/imagenet_synsets.txt

WordNet 3.0 comes as Debian's package `wordnet-base`; the numbers of ImageNet's 1000 synsets, one a line, are in timm,
among other places. The table and WordNet's licence go into `model_maker/data`.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model_maker.data import imagenet, wordnet

# Where ImageNet's label carries what tells it from another one, as "crane (bird)".
_QUALIFIER = re.compile(r" \([^)]*\)$")


@dataclass(frozen=True)
class Synset:
    """One meaning: its names, with spaces, and the numbers of what it is a kind of."""

    names: tuple[str, ...]
    parents: tuple[int, ...]


def main(home: Path, numbers: Path) -> None:
    synsets = read_synsets(home / "data.noun")
    senses = dict(_senses(home / "index.noun"))
    classes = _classes(numbers, synsets)
    needed = _with_ancestors(synsets, classes)
    order = [*classes, *sorted(needed - set(classes))]
    rows = {offset: row for row, offset in enumerate(order)}
    lines = []
    for offset in order:
        synset = synsets[offset]
        names = ",".join(_numbered(name, senses[name.lower()].index(offset) + 1) for name in synset.names)
        lines.append(f"{names}\t{' '.join(str(rows[parent]) for parent in synset.parents)}")
    wordnet.TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    wordnet.LICENCE.write_text(_licence(home / "data.noun"), encoding="utf-8", newline="\n")
    print(f"{wordnet.TABLE}: {len(lines)} meanings, {wordnet.TABLE.stat().st_size} bytes")


def _numbered(name: str, sense: int) -> str:
    return name if sense == 1 else f"{name}#{sense}"


def read_synsets(path: Path) -> dict[int, Synset]:
    """Reads WordNet's nouns by number; see wndb(5WN) for the format."""
    found = {}
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith("  "):
            continue  # the licence
        fields = line.split(" | ")[0].split()
        count = int(fields[3], 16)
        names = tuple(fields[4 + 2 * index].replace("_", " ") for index in range(count))
        pointers = fields[5 + 2 * count :]
        parents = (
            int(pointers[4 * index + 1])
            for index in range(int(fields[4 + 2 * count]))
            if pointers[4 * index] in ("@", "@i")
        )
        found[int(fields[0])] = Synset(names, tuple(parents))
    return found


def _senses(path: Path) -> Iterator[tuple[str, list[int]]]:
    """Yields each name with its meanings, the most frequent first."""
    for line in path.read_text(encoding="ascii").splitlines():
        if not line.startswith("  "):
            fields = line.split()
            yield fields[0].replace("_", " "), [int(offset) for offset in fields[-int(fields[2]) :]]


def _classes(path: Path, synsets: dict[int, Synset]) -> list[int]:
    """Reads the synset of each ImageNet class; raises ValueError if one lacks the name in our list of labels."""
    classes = [int(number.removeprefix("n")) for number in path.read_text(encoding="ascii").split()]
    for offset, label in zip(classes, imagenet.labels(), strict=True):
        if _QUALIFIER.sub("", label) not in synsets[offset].names:
            raise ValueError(f"{label} is none of {synsets[offset].names}.")
    return classes


def _with_ancestors(synsets: dict[int, Synset], classes: list[int]) -> set[int]:
    found, waiting = set(), list(classes)
    while waiting:
        if (offset := waiting.pop()) not in found:
            found.add(offset)
            waiting += synsets[offset].parents
    return found


def _licence(path: Path) -> str:
    lines = [line for line in path.read_text(encoding="ascii").splitlines() if line.startswith("  ")]
    return "\n".join(re.sub(r"^ *\d+ ?", "", line).rstrip() for line in lines) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
