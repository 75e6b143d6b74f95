"""Makes the names of the 11,221 classes of ImageNet-21K that `mobilenetv3_large_100.miil_in21k` knows.

    python -m benchmarks.imagenet21k_names /usr/share/wordnet SITE_PACKAGES/timm/data/_info/imagenet21k_miil_synsets.txt

WordNet 3.0 comes as Debian's package `wordnet-base`; the numbers of the synsets, one a line in the order of the
classes, are in timm. The table goes into `model_maker/data`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from model_maker.data import imagenet


class Synset(NamedTuple):
    """One meaning: its names, and the numbers of what it is a kind of."""

    names: tuple[str, ...]
    kinds: tuple[int, ...]


def main(home: Path, numbers: Path) -> None:
    synsets = read(home / "data.noun")
    order = [int(line.removeprefix("n")) for line in numbers.read_text(encoding="ascii").split()]
    lines = (f"{number:08d}\t{name}" for number, name in zip(order, unique(order, synsets), strict=True))
    imagenet.TABLE_21K.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def unique(order: list[int], synsets: dict[int, Synset]) -> list[str]:
    """Returns a name a class: its first, and where classes share it also another one, or what each is a kind of."""
    ways: tuple[Callable[[Synset], str], ...] = (
        lambda synset: "",
        lambda synset: synsets[synset.kinds[0]].names[0] if synset.kinds else "",
        lambda synset: ", ".join(synset.names[1:]),
    )
    found: dict[int, str] = {}
    for way in ways:
        missing = [number for number in order if number not in found]
        names = {number: _qualified(synsets[number].names[0], way(synsets[number])) for number in missing}
        shared = Counter([*names.values(), *found.values()])
        found |= {number: name for number, name in names.items() if shared[name] == 1}
    # A few meanings of one name are kinds of the same thing: WordNet's own order tells them apart.
    for number in order:
        if number not in found:
            name, place = synsets[number].names[0], 1
            while f"{name} ({place})" in found.values():
                place += 1
            found[number] = f"{name} ({place})"
    return [found[number] for number in order]


def read(path: Path) -> dict[int, Synset]:
    """Reads WordNet's nouns by number; wndb(5WN) has the format."""
    found = {}
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith("  "):
            continue  # the licence
        fields = line.split(" | ")[0].split()
        count = int(fields[3], 16)
        pointers = fields[5 + 2 * count :]
        kinds = (int(pointers[place + 1]) for place in range(0, len(pointers) - 3, 4) if pointers[place] in ("@", "@i"))
        names = (name.replace("_", " ") for name in fields[4 : 4 + 2 * count : 2])
        found[int(fields[0])] = Synset(tuple(names), tuple(kinds))
    return found


def _qualified(name: str, more: str) -> str:
    return f"{name} ({more})" if more else name


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
