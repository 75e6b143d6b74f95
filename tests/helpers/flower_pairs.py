"""Photos of two flowers side by side, with a list of both labels of each, and one of the left one alone."""

import csv
import random

from PIL import Image, ImageOps


def make(source, folder, *, seed=0, side=224, most=None):
    """Pairs all photos below `source` (a folder a class) at random; returns the paths of both lists.

    Two of the same class give a photo of one label. The pairing is that of the seed, whatever the photos.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pool = [(home.name, path) for home in sorted(source.iterdir()) for path in sorted(home.iterdir())]
    random.Random(seed).shuffle(pool)
    rows = []
    for number, (left, right) in enumerate(zip(pool[::2], pool[1::2], strict=False)):
        if number == most:
            break
        both = Image.new("RGB", (2 * side, side))
        for place, (_, path) in enumerate((left, right)):
            both.paste(ImageOps.fit(Image.open(path).convert("RGB"), (side, side)), (side * place, 0))
        both.save(folder / f"{number:04}.jpg", quality=92)
        rows.append((f"{number:04}.jpg", left[0], right[0]))
    write(folder / "several.csv", [(name, "|".join(sorted({one, two}))) for name, one, two in rows])
    write(folder / "left.csv", [(name, one) for name, one, _ in rows])
    return folder / "several.csv", folder / "left.csv"


def write(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "labels"), *rows])
