"""Measures how many planted faults `doctor` finds in a copy of a dataset: `python -m benchmarks.doctor --data DIR`.

The data is copied and gets exact copies, copies in another size and encoding, labels swapped and broken files. Its
own faults stay: copies found beyond the planted ones are counted, and its own wrong labels rank among the swapped ones.
"""

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from model_maker import backbones
from model_maker.data import images
from model_maker.doctor.diagnosis import Diagnosis, diagnose

SEEDS = range(8)
COPIES, RECODED, SWAPPED, BROKEN = 20, 20, 20, 10
# Suspects that anyone would look through, twice as many as there are swapped labels.
FIRST = 2 * SWAPPED


@dataclass(frozen=True)
class Planted:
    """Faults that were planted in a dataset: pairs of a photo and its copy, and files."""

    copies: list[set[Path]]
    recoded: list[set[Path]]
    swapped: set[Path]
    broken: set[Path]


def main() -> None:
    """Prints what was found for each seed, and means."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.doctor", description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with a folder of photos for each class")
    parser.add_argument("--model", metavar="NAME", default=backbones.DEFAULT, help="backbone that compares photos")
    arguments = parser.parse_args()
    data, model = Path(arguments.data), arguments.model
    rows = []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / data.name
            planted = plant(data, home, seed=seed)
            diagnose(home, model=model)  # embeddings are in the cache from here on
            begin = time.perf_counter()
            found = diagnose(home, model=model)
            rows.append({"seconds": round(time.perf_counter() - begin, 1)} | score(found, planted))
        sys.stdout.write(f"seed {seed}: {rows[-1]}\n")
    means = {name: round(statistics.mean(row[name] for row in rows), 2) for name in rows[0]}
    sys.stdout.write(f"mean: {means}\n")


def plant(data: Path, home: Path, *, seed: int) -> Planted:
    """Copies a dataset and plants faults in the copy."""
    chance = random.Random(seed)
    shutil.copytree(data, home)
    found = (path for path in home.rglob("*") if path.is_file() and images.is_photo(path.suffix))
    photos = sorted(found, key=lambda path: path.parts)
    classes = sorted({path.parent for path in photos}, key=lambda path: path.parts)
    chance.shuffle(photos)
    planted = Planted([], [], set(), set())
    for number in range(COPIES):
        photo = photos.pop()
        copy = photo.with_name(f"copy{number}{photo.suffix}")
        shutil.copyfile(photo, copy)
        planted.copies.append({photo, copy})
    for number in range(RECODED):
        photo = photos.pop()
        copy, share = photo.with_name(f"recoded{number}.jpg"), chance.uniform(0.85, 1.1)
        image = images.decode(photo)
        size = (round(image.width * share), round(image.height * share))
        image.resize(size).save(copy, quality=chance.randint(50, 85))
        planted.recoded.append({photo, copy})
    for number in range(SWAPPED):
        photo = photos.pop()
        other = chance.choice([name for name in classes if name != photo.parent])
        planted.swapped.add(photo.rename(other / f"swapped{number}{photo.suffix}"))
    for number in range(BROKEN):
        photo = photos.pop()
        content = photo.read_bytes()
        broken = photo.with_name(f"broken{number}{photo.suffix}")
        broken.write_bytes(content[: len(content) // 2] if number % 2 else f"no photo {number}".encode())
        planted.broken.add(broken)
    return planted


def score(found: Diagnosis, planted: Planted) -> dict[str, int]:
    """Counts what was found of each kind, and what was found beyond it."""

    def groups(kind: str) -> list[set]:
        return [set(finding.photos) for finding in found.findings.get(kind, ())]

    near, suspects = groups("near-duplicates"), groups("labels")
    return {
        "broken": len(planted.broken & set().union(*groups("broken"))),
        "exact copies": sum(pair in groups("duplicates") for pair in planted.copies),
        "recoded copies": sum(any(pair <= group for group in near) for pair in planted.recoded),
        "other near copies": sum(not any(pair <= group for pair in planted.recoded) for group in near),
        f"swapped labels in the first {FIRST}": len(planted.swapped & set().union(*suspects[:FIRST])),
        "suspects": len(suspects),
    }


if __name__ == "__main__":
    main()
