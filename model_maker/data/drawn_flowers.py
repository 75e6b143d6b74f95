"""Drawing of the flowers in the practice dataset: strokes, plants, blossoms, and SPECIES, the table of kinds.

The kinds differ only in shape and share colors, like real flowers. Drawn here because no library draws plants, and
photos would need a download or a wheel that is megabytes larger.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from PIL import ImageDraw

Array = np.ndarray
Colour = tuple[float, float, float]
Rng = np.random.Generator
Pen = ImageDraw.ImageDraw

# Angle between successive florets. Vogel 1979, "A better way to construct the sunflower head".
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
UP = -math.pi / 2  # image y points down

# fmt: off
PALETTE: dict[str, Colour] = {
    "white": (247, 245, 238), "cream": (249, 232, 180), "yellow": (250, 206, 36), "orange": (243, 140, 42),
    "pink": (238, 138, 172), "red": (206, 36, 48), "purple": (158, 98, 190),
}
# Nested copies of an outline, outermost first: length, breadth, the point they shrink to (0 base, 1 tip), lightness.
RAY = ((1, 1, .5, .72), (.97, .84, .5, 1), (.85, .5, .6, 1.1), (.85, .09, .45, .86))
STRAP = ((1, 1, .5, .66), (.97, .66, .9, 1))
SPIRAL = ((1.02, 1.03, 0, .6), (1, 1, 0, 1.2), (.96, .94, 0, 1), (.87, .82, 0, .9), (.73, .66, 0, .78),
          (.55, .5, 0, .65))
CUP = ((1, 1, .3, .66), (.985, .93, .3, .9), (.95, .76, .35, 1), (.88, .5, .4, 1.1), (.8, .25, .45, 1.18),
       (.9, .03, .4, .9))
LEAF = ((1, 1, .5, .68), (.97, .88, .5, 1), (.9, .5, .5, 1.08), (.97, .05, .5, 1.3))
GRASS = ((1, 1, .5, 1),)
# Rows of a tulip's petals, back to front: angles, length, width, bend, lightness.
GOBLET = (((-.22, .24, .02), 1.85, .42, .1, .72), ((-.42, .42), 1.85, .45, .55, .92), ((0.,), 1.7, .56, 0, 1))
# fmt: on

# --- strokes: all parts of plants are drawn as blades ---


@dataclass(frozen=True)
class Pose:
    """Pose of a blossom: its center and radius in canvas pixels, and angles in radians.

    `tilt` is 0 if it faces the viewer, `lean` rotates it in the image, `light` is the direction of the light source.
    """

    x: float
    y: float
    radius: float
    tilt: float = 0.0
    lean: float = 0.0
    light: float = UP


@dataclass(frozen=True)
class Blades:
    """Petals, leaves or blades of grass; each field is one number for all, or an array with one per blade.

    Lengths are in radii of the pose, angles in radians. A blade starts `root` away from (x, y) towards `angle`, is
    `width` wide to either side, curves by `bend` along its length, and lies `lift` above the blossom's plane, rising by
    `cup` towards the rim.
    """

    angle: Array
    length: Array | float
    width: Array | float
    root: float = 0.0
    x: Array | float = 0.0
    y: Array | float = 0.0
    lift: Array | float = 0.0
    cup: float = 0.0
    bend: Array | float = 0.0


@functools.lru_cache
def _outline(base: float, tip: float, teeth: float = 0.0) -> Array:
    """Outlines a blade, float [2P, 2]: along from 0 to 1, across from -1 to 1.

    A small exponent makes that end blunt, 1 or more makes it pointed; `teeth` are the depth of a leaf's notches.
    """
    points = 28 if teeth else 10
    along = np.sin(np.linspace(0, math.pi / 2, points)) ** 2
    across = along**base * (1 - along) ** tip
    across = across / across.max() * (1 - teeth * (np.arange(points) % 4) / 3)
    return np.concatenate([np.stack([along, across], -1), np.stack([along, -across], -1)[::-1]])


def _blades(pen: Pen, rng: Rng, pose: Pose, blades: Blades, outline: Array, layers, colour: Colour) -> None:
    """Draws blades on top of each other, each with its layers, brighter towards the light."""
    table = np.array(layers)[:, :, None, None]  # [layers, blades, points]
    along = table[:, 2] + (outline[:, 0] - table[:, 2]) * table[:, 0]
    angle, length, width, x, y, lift, bend = (
        np.asarray(field, float).reshape(-1, 1)
        for field in (blades.angle, blades.length, blades.width, blades.x, blades.y, blades.lift, blades.bend)
    )
    heading, reach, side = angle + bend * along, blades.root + length * along, width * outline[:, 1] * table[:, 1]
    x = x + reach * np.cos(heading) - side * np.sin(heading)
    y = y + reach * np.sin(heading) + side * np.cos(heading)
    shapes = _project(x, y, lift + blades.cup * reach**2, pose).reshape(len(layers), len(angle), -1).tolist()
    glow = 1 + 0.1 * np.cos(blades.angle + pose.lean - pose.light) + rng.uniform(-0.06, 0.06, len(angle))
    for blade, bright in enumerate(glow.tolist()):
        for shape, (*_, lightness) in zip(shapes, layers, strict=True):
            pen.polygon(shape[blade], _lit(colour, lightness * bright))


def _project(x: Array, y: Array, z: Array, pose: Pose) -> Array:
    """Projects points of a blossom, in radii, to canvas pixels, float [..., 2]."""
    y = y * math.cos(pose.tilt) - z * math.sin(pose.tilt)
    cos, sin = math.cos(pose.lean) * pose.radius, math.sin(pose.lean) * pose.radius
    return np.stack([pose.x + x * cos - y * sin, pose.y + x * sin + y * cos], -1)


def _lit(colour: Colour, lightness: float) -> tuple[int, int, int]:
    """Below 1, darkens a color, blue most, as in warm shade; above 1, lightens it towards white."""
    red, green, blue = colour
    if lightness > 1:
        share = min(1.0, (lightness - 1) * 1.5)
        return int(red + (255 - red) * share), int(green + (255 - green) * share), int(blue + (255 - blue) * share)
    return int(red * lightness), int(green * lightness**1.15), int(blue * lightness**1.2)


def vary(rng: Rng, colour: Colour, spread: float) -> Colour:
    return tuple(np.clip(colour + rng.normal(0, spread, 3), 0, 255).tolist())


def plant(pen: Pen, rng: Rng, kind: Species, pose: Pose, ground: int) -> None:
    """Draws one plant: leaves, stem and blossom, and sometimes leaves in front of it."""
    green = vary(rng, _lit((100, 158, 66), rng.uniform(0.7, 1.15)), 10)
    drift = pose.radius * rng.normal(2 * math.sin(pose.lean), 0.6)
    foot = replace(pose, x=pose.x - drift, y=ground * 1.04, tilt=0, lean=0)
    _leaves(pen, rng, kind, pose, foot, green)
    _stem(pen, pose, foot, width=kind.stem * pose.radius, colour=green)
    kind.blossom(pen, rng, pose, vary(rng, PALETTE[str(rng.choice(kind.tints.split()))], 12))
    if rng.random() < 0.25:
        _leaves(pen, rng, kind, pose, replace(foot, radius=1.5 * foot.radius), green)


def _leaves(pen: Pen, rng: Rng, kind: Species, pose: Pose, foot: Pose, green: Colour) -> None:
    """Draws one to four leaves, from the ground or along the stem."""
    base, tip, size, width, teeth = kind.leaf
    count = rng.integers(1, 5)
    share = 0 if kind.grounded else rng.uniform(0.1, 0.7, count)  # of the way from the ground to the blossom
    x, y = share * (pose.x - foot.x) / foot.radius, share * (pose.y - foot.y) / foot.radius
    side = rng.choice((-1, 1), count)
    angle = UP + side * rng.uniform(0.1, 0.7 if kind.grounded else 1.4, count)
    length = size * rng.uniform(0.7, 1.2, count)
    breadth, bend = length * width * rng.uniform(0.6, 1, count), side * rng.uniform(-0.2, 0.8, count)
    leaves = Blades(angle, length, breadth, x=x, y=y, bend=bend)
    _blades(pen, rng, foot, leaves, _outline(base, tip, teeth), LEAF, green)


def _stem(pen: Pen, pose: Pose, foot: Pose, *, width: float, colour: Colour) -> None:
    """Draws a stem with a lit side, along a quadratic Bezier curve that starts in the blossom's direction."""
    reach = (foot.y - pose.y) * 0.5
    elbow = np.array([pose.x - math.sin(pose.lean) * reach, pose.y + math.cos(pose.lean) * reach])
    t = np.linspace(0, 1, 14)[:, None]
    curve = (1 - t) ** 2 * (pose.x, pose.y) + 2 * t * (1 - t) * elbow + t**2 * (foot.x, foot.y)
    for share, shift, lightness in ((1, 0, 0.62), (0.66, 0.15, 0.95), (0.25, 0.3, 1.25)):
        points = curve + (math.cos(pose.light) * width * shift, 0)
        pen.line(points.ravel().tolist(), _lit(colour, lightness), max(1, round(2 * width * share)), "curve")


def grass(pen: Pen, rng: Rng, width: int, height: int, *, tall: float) -> None:
    count = int(rng.integers(20, 60))
    angle, length, bend = rng.normal(UP, 0.2, count), rng.uniform(0.4, 1, count) * tall, rng.normal(0, 0.4, count)
    blades = Blades(angle, length, 0.008, x=rng.uniform(0, width / height, count), y=1.02, bend=bend)
    _blades(pen, rng, Pose(0, 0, height), blades, _outline(0.2, 0.8), GRASS, vary(rng, (92, 150, 50), 20))


# --- blossoms ---


def _rayed(pen: Pen, rng: Rng, pose: Pose, colour: Colour, *, rays, tip, breadth, disc, eyes, seeds) -> None:
    """Draws rays around a disc: daisy and sunflower.

    `rays` is the range of their number in each of two rings, `tip` their outline's exponent, `breadth` their width
    relative to the available space. `disc` is the range of its radius, `eyes` the colors (rim and middle) to choose
    from, `seeds` the number of its florets.
    """
    disc, turn, cup = rng.uniform(*disc), rng.uniform(0, math.tau), rng.uniform(-0.25, 0.2)
    for ring in range(2):
        count = int(rng.integers(*rays))
        angle = (np.arange(count) + ring / 2) * math.tau / count + turn + rng.normal(0, 0.05, count)
        length, width = (1 - 0.7 * disc) * rng.normal(1, 0.04, count), breadth * rng.uniform(0.9, 1.3) * math.pi / count
        petals = Blades(angle, length, width, root=disc * 0.7, cup=cup, bend=rng.normal(0, 0.06, count))
        _blades(pen, rng, pose, petals, _outline(0.6, tip), RAY, colour)
    _disc(pen, pose, disc, *eyes[rng.integers(len(eyes))], seeds=seeds)


def _disc(pen: Pen, pose: Pose, disc: float, rim: Colour, middle: Colour, *, seeds: int) -> None:
    """Draws a dome of florets, from the rim to the middle."""
    turn = np.linspace(0, math.tau, 28)
    for size, lightness in ((1.06 * disc, 0.45), (disc, 0.75)):
        edge = _project(size * np.cos(turn), size * np.sin(turn), 0 * turn, pose)
        pen.polygon(edge.ravel().tolist(), _lit(rim, lightness))
    number = np.arange(seeds, 0, -1)
    share, angle = np.sqrt(number / seeds), number * GOLDEN_ANGLE
    dome = _project(disc * share * np.cos(angle), disc * share * np.sin(angle), 0.35 * disc * (1 - share**2), pose)
    glow = 1 + 0.25 * share * np.cos(angle + pose.lean - pose.light)
    size = 0.95 * disc * pose.radius / math.sqrt(seeds)
    colours = np.array(middle) + np.subtract(rim, middle) * share[:, None] ** 2
    for (x, y), colour, bright in zip(dome.tolist(), colours.tolist(), glow.tolist(), strict=True):
        pen.ellipse((x - size, y - size, x + size, y + size), _lit(colour, 0.72 * bright))
        pen.ellipse((x - size * 0.7, y - size * 0.9, x + size * 0.5, y + size * 0.3), _lit(colour, 1.08 * bright))


def _dandelion(pen: Pen, rng: Rng, pose: Pose, colour: Colour) -> None:
    """Draws straps without a disc; a white one has gone to seed."""
    if min(colour) > 200:
        _globe(pen, rng, pose, colour)
        return
    for ring in range(6):
        count, share = 34 - 4 * ring, 1 - 0.13 * ring
        angle = np.arange(count) * math.tau / count + rng.normal(0, 0.07, count)
        length, bend = share * rng.normal(0.95, 0.07, count), rng.normal(0, 0.12, count)
        straps = Blades(angle, length, 0.045, root=0.03, lift=0.3 * (1 - share), cup=0.15, bend=bend)
        _blades(pen, rng, pose, straps, _outline(0.5, 0.2), STRAP, _lit(colour, 1.04 - 0.027 * ring))


def _globe(pen: Pen, rng: Rng, pose: Pose, colour: Colour) -> None:
    """Draws parachutes evenly distributed over a sphere, the far ones first."""
    count = 110
    number = np.arange(count)[::-1] + 0.5
    depth, angle = 1 - 2 * number / count, number * GOLDEN_ANGLE
    ends = 0.82 * np.sqrt(1 - depth**2) * (np.cos(angle), np.sin(angle))
    ends = (ends.T * pose.radius + (pose.x, pose.y)).tolist()
    size = pose.radius * 0.2
    pen.ellipse((pose.x - size, pose.y - size, pose.x + size, pose.y + size), (120, 88, 52))
    for (x, y), near, turn in zip(ends, depth.tolist(), rng.uniform(0, 1, count).tolist(), strict=True):
        pen.line((0.75 * pose.x + 0.25 * x, 0.75 * pose.y + 0.25 * y, x, y), (170, 140, 100), 1)
        for spoke in range(6):
            dx, dy = math.cos(turn + spoke * math.pi / 6) * size, math.sin(turn + spoke * math.pi / 6) * size
            pen.line((x - dx, y - dy, x + dx, y + dy), _lit(colour, 0.8 + 0.2 * near), 1)


def _rose(pen: Pen, rng: Rng, pose: Pose, colour: Colour) -> None:
    """Draws broad petals in a golden spiral, outer ones first, each standing higher than the one before."""
    count = int(rng.integers(22, 30))
    share = np.linspace(1, 0.1, count) ** 0.9
    angle = np.arange(count) * GOLDEN_ANGLE + rng.normal(0, 0.12, count)
    length, bend = 0.95 * share * rng.normal(1, 0.04, count), rng.normal(0, 0.1, count)
    petals = Blades(angle, length, 0.62 * share, root=0.02, lift=0.3 * (1 - share), cup=0.1, bend=bend)
    _blades(pen, rng, pose, petals, _outline(0.6, 0.3), SPIRAL, colour)


def _tulip(pen: Pen, rng: Rng, pose: Pose, colour: Colour) -> None:
    """Draws a cup from the side, closed or open, row by row from the back."""
    x, y = pose.x - math.sin(pose.lean) * pose.radius, pose.y + math.cos(pose.lean) * pose.radius
    opening, stout = rng.uniform(-0.05, 0.6), rng.uniform(0.85, 1.2)
    for angles, length, width, bend, lightness in GOBLET:
        side = np.array(angles)
        angle = UP + side * (1 + opening) + rng.normal(0, 0.04, len(side))
        lengths = length * rng.normal(1, 0.03, len(side))
        petals = Blades(angle, lengths, width * stout, bend=np.sign(side) * (opening - bend))
        _blades(pen, rng, replace(pose, x=x, y=y, tilt=0), petals, _outline(0.45, 0.6), CUP, _lit(colour, lightness))


class Species(NamedTuple):
    """Properties of a kind: how its blossom is drawn, in which colors, and how it grows.

    `tints` names colors, repeated if they are common. `tilt` is the maximum, in radians. `stem` is half the stem's
    width. `leaf` has an outline's exponents, length, width (relative to the length) and teeth. Lengths are in radii of
    the blossom.
    """

    blossom: Callable
    tints: str
    tilt: float
    stem: float
    leaf: tuple[float, float, float, float, float]
    grounded: bool  # leaves come from the ground, else from the stem


# fmt: off
GOLD, BROWN = ((236, 170, 30), (225, 190, 60)), ((92, 56, 26), (44, 28, 18))  # rim and middle of a disc
OLIVE = ((140, 92, 34), (112, 108, 48))

_daisy = functools.partial(_rayed, rays=(12, 24), tip=.28, breadth=.62, disc=(.2, .34),
                           eyes=(GOLD, GOLD, BROWN), seeds=50)
_sunflower = functools.partial(_rayed, rays=(16, 28), tip=.85, breadth=.62, disc=(.34, .52),
                               eyes=(BROWN, BROWN, OLIVE), seeds=120)

SPECIES: dict[str, Species] = {
    "daisy": Species(_daisy, "white white cream pink yellow purple orange", 1.1, .045, (.9, .4, 1.2, .14, 0), True),
    "dandelion": Species(_dandelion, "yellow yellow yellow orange white white", 1.1, .06, (.7, .5, 1.8, .16, .5), True),
    "rose": Species(_rose, "red red pink white yellow cream orange purple", .9, .05, (.55, .7, .9, .3, .08), False),
    "sunflower": Species(_sunflower, "yellow yellow yellow orange cream", 1.1, .08, (.4, .9, 1.3, .38, 0), False),
    "tulip": Species(_tulip, "red pink yellow white purple orange cream", 0, .07, (.5, 1.1, 3, .1, 0), True),
}
# fmt: on
