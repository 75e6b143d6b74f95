"""Makes the names of the 11,221 classes of ImageNet-21K that `mobilenetv3_large_100.miil_in21k` knows.

    python -m benchmarks.imagenet21k_names /usr/share/wordnet SITE_PACKAGES/timm/data/_info/imagenet21k_miil_synsets.txt

WordNet 3.0 comes as Debian's package `wordnet-base`; the numbers of the synsets, one a line in the order of the
classes, are in timm. The table goes into `model_maker/data`.
"""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.wordnet_names import Synset, read_synsets
from model_maker.data import imagenet


def main(home: Path, numbers: Path) -> None:
    synsets = read_synsets(home / "data.noun")
    order = [int(line.removeprefix("n")) for line in numbers.read_text(encoding="ascii").split()]
    lines = (f"{number:08d}\t{name}" for number, name in zip(order, unique(order, synsets), strict=True))
    imagenet.TABLE_21K.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def unique(order: list[int], synsets: dict[int, Synset]) -> list[str]:
    """Returns a name a class: its first, and where classes share it also another one, or what each is a kind of."""
    ways: tuple[Callable[[Synset], str], ...] = (
        lambda synset: "",
        lambda synset: synsets[synset.parents[0]].names[0] if synset.parents else "",
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


def _qualified(name: str, more: str) -> str:
    return f"{name} ({more})" if more else name


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
