"""Self-test: eight images and their expected scores inside the model file, to verify a phone's delegates.

A delegate may compute wrong results on one phone only. An app runs the images on each available delegate and keeps the
fastest that reproduces the scores. The images are drawn by code, so that the file contains nobody's photos. They are in
its zip as PNG of the input size. Their scores are in a text file: the tolerance in the first line, then one line per
image. Other clients ignore these files.
"""

import io
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from model_maker.data import calibration_pictures, images
from model_maker.errors import DataError, ModelError
from model_maker.fitting import Fit
from model_maker.inference.classifier import FileClassifier
from model_maker.tflite import vetting, zip_files
from model_maker.tflite.interpreter import KERNELS, LiteRTRunner

Array = np.ndarray[Any, Any]
# Maps images, uint8 [N, H, W, 3], to scores, float [N, C].
Scorer = Callable[[Array], Array]

PICTURES = 8
# Candidates, from which the images with the most sensitive scores are chosen.
_DRAWN = 40
FILE, _PICTURE = "self_test.csv", "self_test_{}.png"
# Colors are rounded to multiples of this: PNG then takes 40 % of the bytes.
_COLOR_STEP = 16
# Minimum tolerance of scores: a GPU computes an int8 model in float16, without rounding activations.
TOLERANCE = 0.06
# Tolerance as a multiple of the difference between LiteRT's CPU kernels, and its maximum; with a factor of three, wrong
# scores passed.
_TIMES, _MOST = 1.5, 0.5
_RUNS = 5
_DAMAGED = "The model's self-test is damaged: {}. Write it again with `export --self-test`."


@dataclass(frozen=True)
class SelfTest:
    """Images and their expected scores.

    Attributes:
      pictures: uint8 [8, H, W, 3], at the input's size.
      scores: float32 [8, C], on XNNPACK.
      tolerance: maximum `deviation`.
    """

    pictures: Array
    scores: Array
    tolerance: float

    def deviation(self, found: Array) -> float:
        """Returns the deviation of scores, float [8, C]: the mean over images of the largest one; inf if invalid."""
        if found.shape != self.scores.shape or not np.isfinite(found).all():
            return math.inf
        return float(np.abs(found - self.scores).max(axis=1).mean())


@dataclass(frozen=True)
class Trial:
    """Result of a delegate.

    Attributes:
      passed: whether it reproduces the scores within the tolerance.
      deviation: see `SelfTest.deviation`; None if it did not run.
      latency_ms: median time per image; None if it did not run.
      why: the reason if it did not run.
    """

    delegate: str
    passed: bool
    deviation: float | None = None
    latency_ms: float | None = None
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Returns JSON types; an infinite deviation, which JSON cannot represent, becomes None."""
        finite = self.deviation is not None and math.isfinite(self.deviation)
        return asdict(self) | {"deviation": self.deviation if finite else None}


def make(content: bytes) -> SelfTest:
    """Creates the self-test of a finished classifier.

    Raises:
      ModelError: it is not a classifier, or LiteRT's own kernels differ as much as images do.
    """
    classifier = FileClassifier(content, threads=1)
    first, *others = (_scorer(content, classifier, name) for name in KERNELS)  # XNNPACK is the first
    drawn = _pictures(classifier.fit)
    chosen = drawn[_telling(first(drawn))]
    test = SelfTest(chosen, first(chosen), 1.0)
    apart = max(test.deviation(other(chosen)) for other in others)
    test = replace(test, tolerance=round(min(max(TOLERANCE, _TIMES * apart), _MOST), 3))
    others_scores = (np.roll(test.scores, 1, axis=0), np.repeat(test.scores[:1], PICTURES, axis=0))
    if min(map(test.deviation, others_scores)) <= test.tolerance:
        raise ModelError(
            f"Its scores differ by {apart:.2f} between LiteRT's own kernels, as much as between images, so a "
            "self-test would prove nothing. Leave it out, or quantize less."
        )
    return test


def put(content: bytes, test: SelfTest) -> bytes:
    """Adds a self-test to a finished file with metadata."""
    rows = [",".join(f"{float(one):.6f}" for one in row) for row in test.scores]
    pictures = {_PICTURE.format(index): _png(picture) for index, picture in enumerate(test.pictures)}
    return zip_files.append(content, {FILE: "\n".join([f"{test.tolerance}", *rows]).encode(), **pictures})


def added(content: bytes) -> bytes:
    """Adds a self-test to a finished file that this package built, if it has none."""
    if get(content) is not None:
        return content
    new = put(content, make(content))
    vetting.trust_as(new, content)
    return new


def get(content: bytes) -> SelfTest | None:
    """Reads the self-test of a file; None if it has none.

    Raises:
      ModelError: it is damaged.
    """
    packed = zip_files.read(content, FILE)
    if packed is None:
        return None
    try:
        first, *lines = packed.decode().splitlines()
        tolerance, scores = float(first), np.array([line.split(",") for line in lines], np.float32)
        if scores.ndim != 2 or len(scores) != PICTURES or not np.isfinite(scores).all() or not 0 < tolerance < 1:
            raise ValueError("scores or tolerance are not those of a classifier")
        pictures = [_decoded(zip_files.read(content, _PICTURE.format(index))) for index in range(PICTURES)]
        return SelfTest(np.stack(pictures), scores, tolerance)
    except (ValueError, DataError) as error:
        raise ModelError(_DAMAGED.format(error)) from error


def names() -> tuple[str, ...]:
    """Returns the names of the files in the zip: the scores, then the images."""
    return (FILE, *(_PICTURE.format(index) for index in range(PICTURES)))


def places(content: bytes) -> list[int]:
    """Returns offset and length of each file of `names` in a model, flattened; empty without a self-test.

    Generated code is specific to one file, so it reads them by position, without a zip reader.
    """
    if get(content) is None:
        return []
    found = []
    for name in names():
        data = zip_files.read(content, name) or b""
        found += [content.index(data), len(data)]
    return found


def run(test: SelfTest, delegates: Mapping[str, Scorer | ModelError]) -> tuple[Trial, ...]:
    """Runs the self-test on delegates: by name, the scorer, or the reason it is unavailable."""
    return tuple(_tried(test, name, scorer) for name, scorer in delegates.items())


def fastest(trials: Sequence[Trial]) -> Trial | None:
    """Returns the fastest delegate that passed; None if none did."""
    return min((one for one in trials if one.passed), key=lambda one: one.latency_ms or math.inf, default=None)


def kernels(content: bytes) -> dict[str, Scorer | ModelError]:
    """Returns LiteRT's CPU kernels as delegates for `run`."""
    classifier, found = FileClassifier(content, threads=1), dict[str, Scorer | ModelError]()
    for name in KERNELS:
        try:
            found[name] = _scorer(content, classifier, name)
        except ModelError as error:
            found[name] = error
    return found


def _scorer(content: bytes, classifier: FileClassifier, kernels: str) -> Scorer:
    """Returns a scorer of images at the input's size; it reuses one interpreter, so timings contain only inference."""
    runner, normalization = LiteRTRunner(content, kernels=kernels), classifier.info.normalization

    def prepared(picture: Array) -> Array:
        return normalization(picture) if normalization and runner.input_dtype == np.float32 else picture

    def scores(pictures: Array) -> Array:
        return np.array([runner.run(prepared(picture))[0] for picture in pictures[:, None]])

    return scores


def _tried(test: SelfTest, name: str, scorer: Scorer | ModelError) -> Trial:
    if isinstance(scorer, ModelError):
        return Trial(name, passed=False, why=str(scorer))
    try:
        deviation, times = test.deviation(np.asarray(scorer(test.pictures))), []
        for picture in test.pictures[:_RUNS]:
            start = time.perf_counter()
            scorer(picture[None])
            times.append(1000 * (time.perf_counter() - start))
    except ModelError as error:
        return Trial(name, passed=False, why=str(error))
    return Trial(name, deviation <= test.tolerance, deviation, float(np.median(times)))


def _pictures(fit: Fit) -> Array:
    """Draws images of the input's size, uint8 [N, H, W, 3], in few colors."""
    drawn = (images.resize(picture.convert("RGB"), fit) for picture in calibration_pictures.drawings(_DRAWN))
    return np.stack([picture // _COLOR_STEP * _COLOR_STEP for picture in drawn])


def _telling(scores: Array) -> Array:
    """Chooses images, int [8]: of each label in turn the least certain one, which is the most sensitive to errors."""
    best, certainty = scores.argmax(axis=1), scores.max(axis=1)
    order = np.argsort(certainty, kind="stable")
    turn = np.empty(len(order), int)
    for label in np.unique(best):
        members = order[best[order] == label]
        turn[members] = np.arange(len(members))
    return np.sort(np.lexsort((certainty, turn))[:PICTURES])


def _png(picture: Array) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _decoded(content: bytes | None) -> Array:
    if content is None:
        raise ValueError("a picture is missing")
    return np.asarray(images.picture(content))
