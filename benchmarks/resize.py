"""Stretching, letterboxing and cropping photos of extreme proportions; `python -m benchmarks.resize --data DIR`.

Each set is made of the photos in DIR, a folder for each class; accuracy is that of a 5-fold cross-validation of the
default backbone, embedded as training does.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from model_maker.backbones import embedder
from model_maker.data import images, sources
from model_maker.embeddings import int8_suitability
from model_maker.evaluation import Metrics
from model_maker.fitting import CROP, RESIZES, Fit
from model_maker.options import Options
from model_maker.progress import Progress
from model_maker.system import files
from model_maker.training import folds, training_data

# Changes a photo, given a random generator.
Change = Callable[[Image.Image, np.random.Generator], Image.Image]
_FOLDS = 5
_LONG = 3  # the longer side of an extreme photo, in shorter sides


def main() -> None:
    """Prints top-1 of each way on each set, in percent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resize", description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with a folder of photos for each class")
    parser.add_argument("--sets", default="", help="only sets whose names begin so")
    arguments = parser.parse_args()
    data = Path(arguments.data)
    sys.stdout.write(f"{'':24}{''.join(f'{resize:>16}' for resize in RESIZES)}\n")
    for name, change in SETS.items():
        if not name.startswith(arguments.sets):
            continue
        with files.temporary_directory() as folder:
            changed = make(data, Path(folder), change) if change else data
            found = [accuracy(changed, resize) for resize in RESIZES]
        sys.stdout.write(f"{name:24}{''.join(f'{100 * top1:>16.1f}' for top1 in found)}\n")
        sys.stdout.flush()


def make(data: Path, folder: Path, change: Change) -> Path:
    """Writes a changed copy of every photo, and returns the folder."""
    rng = np.random.default_rng(0)
    dataset = sources.read(data)
    for number, sample in enumerate(dataset.samples):
        place = folder / dataset.classes[sample.label] / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        change(images.picture(sample.path), rng).save(place, compress_level=1)
    return folder


def accuracy(data: Path, resize: str) -> float:
    """Returns top-1, each photo judged by the model of a fold that it is not in."""
    options, progress = Options(resize=resize, folds=_FOLDS), Progress()
    dataset = sources.read(data)
    base = embedder.embedder(embedder.choose(options.model), resize=resize)
    backbone = int8_suitability.prepare(base, dataset, progress)
    found = folds.estimate(training_data.prepare(dataset, backbone, options, progress), options, progress).metrics
    assert isinstance(found, Metrics)  # of one label a photo
    return found.top1


def band(photo: Image.Image, width: int, height: int) -> Image.Image:
    """Cuts the largest part of these proportions out of the middle: objects lose their ends."""
    return images.used(photo, Fit(height, width, CROP))


def panorama(photo: Image.Image, ratio: float) -> Image.Image:
    """Widens a photo to a ratio by its mirror images on both sides: the object stays whole, and gets small."""
    width, height = photo.size
    margin = round((ratio * height - width) / 2)
    if margin <= 0:
        return photo
    whole, mirrored = Image.new("RGB", (width + 2 * margin, height)), ImageOps.mirror(photo)
    for place in range(-(-margin // width) + 1):
        part = mirrored if place % 2 else photo
        for left in {margin + place * width, margin - place * width}:
            whole.paste(part, (left, 0))
    return whole


def _either(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    return band(photo, _LONG, 1) if rng.random() < 0.5 else band(photo, 1, _LONG)


def _either_panorama(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    if rng.random() < 0.5:
        return panorama(photo, _LONG)
    return panorama(photo.transpose(Image.Transpose.TRANSPOSE), _LONG).transpose(Image.Transpose.TRANSPOSE)


SETS: dict[str, Change | None] = {
    "as they are": None,
    "cut to 3:1": lambda photo, _: band(photo, _LONG, 1),
    "cut to 1:3": lambda photo, _: band(photo, 1, _LONG),
    "cut to 3:1 or 1:3": _either,
    "panoramas, 1.5:1": lambda photo, _: panorama(photo, 1.5),
    "panoramas, 2:1": lambda photo, _: panorama(photo, 2),
    "panoramas, 3:1": lambda photo, _: panorama(photo, 3),
    "panoramas, 3:1 or 1:3": _either_panorama,
}

if __name__ == "__main__":
    main()
