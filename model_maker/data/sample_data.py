"""The practice dataset: drawings of five kinds of flowers, for trying the tool without a download.

It composes images and writes the folders; `drawn_flowers` draws the flowers. The kinds share backgrounds: a yellow
tulip and a yellow rose differ only in shape, as in real photos.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from model_maker.data.drawn_flowers import PALETTE, SPECIES, Colour, Pen, Pose, Rng, Species, grass, plant, vary
from model_maker.errors import DataError
from model_maker.system.files import new_directory

QUALITY = 90  # JPEG: small files without visible blocks
OVERSAMPLING = 2  # Pillow draws hard edges; halving the finished canvas smooths them


def draw(
    directory: Path, *, per_class: int = 60, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> list[Path]:
    """Draws the practice dataset: `directory/<class>/<class>_000.jpg` and so on, in five classes.

    An image depends only on the seed, its class and its number, so a larger dataset contains the smaller one.

    Args:
      directory: output folder; created atomically, when all images are drawn.
      progress: called with (done, total) images.

    Returns:
      The paths, class by class.

    Raises:
      DataError: `per_class` is below 1.
      OutputError: `directory` exists and is not an empty folder, or cannot be written.

    Examples:
      >>> paths = draw(Path("flowers"), per_class=60)
    """
    if per_class < 1:
        raise DataError(f"per_class is {per_class}; it must be 1 or more.")
    files = [(name, number, f"{name}/{name}_{number:03d}.jpg") for name in SPECIES for number in range(per_class)]
    with new_directory(Path(directory)) as aside:
        for done, (species, number, file) in enumerate(files, start=1):
            (aside / species).mkdir(exist_ok=True)
            picture(species, number, seed=seed).save(aside / file, quality=QUALITY)
            if progress:
                progress(done, len(files))
    return [Path(directory) / file for *_, file in files]


def picture(species: str, number: int, *, seed: int = 0) -> Image.Image:
    """Draws one image of a kind of SPECIES, RGB, 240 to 480 pixels a side; `number` counts within the kind, from 0."""
    rng = np.random.default_rng(list(f"{seed}/{species}/{number}".encode()))
    sides = int(rng.integers(320, 481)), int(rng.integers(240, 361))
    width, height = sorted(sides, reverse=rng.random() < 0.6)
    canvas = _scene(rng, SCENES[rng.integers(len(SCENES))], width, height)
    canvas = canvas.resize((width * OVERSAMPLING, height * OVERSAMPLING), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(canvas)
    if rng.random() < 0.35:
        grass(pen, rng, *canvas.size, tall=rng.uniform(0.3, 0.8))
    for pose in _poses(rng, SPECIES[species], *canvas.size):
        plant(pen, rng, SPECIES[species], pose, canvas.height)
    if rng.random() < 0.35:
        grass(pen, rng, *canvas.size, tall=0.4)
    return _photograph(rng, canvas.reduce(OVERSAMPLING))


def _poses(rng: Rng, kind: Species, width: int, height: int) -> list[Pose]:
    """Places one to four blossoms that hardly cover each other, the farthest (smallest) first."""
    count = rng.choice((1, 2, 3, 4), p=(0.6, 0.2, 0.12, 0.08))
    largest = min(width, height) * rng.uniform(0.15, 0.44) / count**0.4
    light, lean = rng.uniform(-math.pi, 0), rng.normal(0, 0.15)
    poses: list[Pose] = []
    for _ in range(40):  # attempts; a crowded image gets fewer blossoms
        radius = largest * (rng.uniform(0.6, 0.95) if poses else 1)
        x, y = width * rng.uniform(0.2, 0.8), height * rng.uniform(0.2, 0.65)
        if all(math.hypot(x - other.x, y - other.y) > 0.95 * (radius + other.radius) for other in poses):
            poses.append(Pose(x, y, radius, rng.uniform(0, kind.tilt), lean + rng.normal(0, 0.15), light))
        if len(poses) == count:
            break
    return sorted(poses, key=lambda pose: pose.radius)


# --- backgrounds and camera ---


class Scene(NamedTuple):
    """A background: a gradient with grain (its deviation, of 255) and spots (radius in heights, opacity of 255).

    It is drawn and blurred at a third of the image's size; `blur` is in those pixels.
    """

    top: Colour
    bottom: Colour
    grain: float
    spots: tuple[Colour, ...]
    number: int
    size: float
    opacity: int
    blur: float


def _scene(rng: Rng, scene: Scene, width: int, height: int) -> Image.Image:
    """Draws a small background and enlarges it: fast, and out of focus as in a close-up."""
    w, h = width // 3, height // 3
    ramp = np.linspace(0, 1, h)[:, None, None]
    pixels = np.array(vary(rng, scene.top, 14)) * (1 - ramp) + np.array(vary(rng, scene.bottom, 14)) * ramp
    pixels = pixels + scene.grain * rng.standard_normal((h, w, 1))
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image, "RGBA")
    for _ in range(rng.integers(scene.number + 1)):
        x, y, r = rng.uniform(0, w), rng.uniform(0, h), h * scene.size * rng.uniform(0.4, 1)
        spot = scene.spots[rng.integers(len(scene.spots))]
        wide = 2 if scene is SKY else 1
        pen.ellipse((x - r * wide, y - r, x + r * wide, y + r), (*map(int, spot), scene.opacity))
    if scene is WALL:
        _bricks(pen, w, h, int(rng.integers(10, 24)))
    if scene is MEADOW:
        for _ in range(3):
            grass(ImageDraw.Draw(image), rng, w, h, tall=1.0)
    image = image.filter(ImageFilter.GaussianBlur(scene.blur * rng.uniform(0.6, 1.4)))
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _bricks(pen: Pen, width: int, height: int, step: int) -> None:
    joint = (0, 0, 0, 70)
    for row, y in enumerate(range(0, height, step)):
        pen.line((0, y, width, y), joint)
        for x in range(-step * (row % 2), width, 2 * step):
            pen.line((x, y, x, y + step), joint)


def _photograph(rng: Rng, image: Image.Image) -> Image.Image:
    """Lights the scene unevenly, warm or cool, and adds blur and noise like a camera."""
    light = rng.uniform(88, 180, (3, 3, 1)) * rng.uniform(0.93, 1.07, 3)  # 128 leaves a pixel as it is
    light[1, 1] += 25  # a slight vignette
    lamp = Image.fromarray(light.astype(np.uint8)).resize(image.size, Image.Resampling.BICUBIC)
    image = ImageChops.soft_light(image, lamp)
    if rng.random() < 0.35:
        image = image.filter(ImageFilter.BoxBlur(rng.uniform(0.3, 1.5)))
    if rng.random() < 0.4:
        spread = rng.integers(4, 20)
        noise = Image.fromarray(rng.integers(128 - spread, 129 + spread, (image.height, image.width), np.uint8))
        image = ImageChops.add(image, Image.merge("RGB", [noise] * 3), offset=-128)
    return image


# fmt: off
MANY = tuple(PALETTE.values())
MEADOW = Scene((150, 185, 95), (50, 95, 35), grain=6, spots=MANY, number=14, size=.05, opacity=255, blur=1.2)
WALL = Scene((186, 180, 172), (150, 142, 138), grain=3, spots=MANY, number=4, size=.9, opacity=50, blur=.8)
SKY = Scene((66, 128, 205), (190, 215, 235), grain=0, spots=((240, 243, 247),), number=8, size=.15, opacity=190, blur=4)
SOIL = Scene((125, 98, 72), (88, 64, 44), grain=12, spots=((150, 125, 98), (70, 50, 36), (110, 120, 60)),
             number=60, size=.04, opacity=255, blur=1)
LIGHTS = Scene((60, 90, 50), (30, 50, 34), grain=0, spots=((120, 165, 80), (170, 190, 110), *MANY),
               number=26, size=.18, opacity=70, blur=1)
DARK = Scene((58, 66, 66), (14, 16, 20), grain=0, spots=MANY, number=3, size=.5, opacity=24, blur=4)
SCENES = (MEADOW, WALL, SKY, SOIL, LIGHTS, DARK)
# fmt: on
