"""The int8 form of a backbone: built once, with ranges that do not depend on the training photos.

Ranges and rounding of packaged weights are data files next to this module. Those of any other backbone come from the
first photos that it is used on, and are cached with it: all classifiers on a backbone share it bit by bit.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from model_maker.backbones import int8_recipe
from model_maker.backbones.embedder import Embedder, code_digest
from model_maker.backbones.int8_recipe import Int8Recipe
from model_maker.data.images import Photo
from model_maker.data.streaming import stream
from model_maker.errors import DataError, ModelError
from model_maker.fitting import STRETCH
from model_maker.normalization import Normalization
from model_maker.progress import SILENT, Progress
from model_maker.system import files
from model_maker.tflite import blocks, cut, graph, in_place, io_types, network_layers, quantize, rounding
from model_maker.tflite.network_layers import Layer

Array = np.ndarray

PHOTOS = 50
RECIPES = Path(__file__).with_name("int8")
# Margin for channel means above the maximum over the calibration photos, which are only some dozens.
_MARGIN = 1.1
_LEAST, _MOST = -128, 127


@dataclass(frozen=True)
class Int8Backbone:
    """A backbone in int8.

    Attributes:
      content: a `.tflite`, int8 [1, H, H, 3] to int8 [1, F]: the joined vector of its layers.
      normalization: of the pixels, as in `Embedder`.
      origin: source of its ranges, "package" or "photos".
      stated: its digest, or the beginning of it, if it was extracted from a file that states it.
    """

    content: bytes
    layers: tuple[Layer, ...]
    normalization: Normalization
    origin: str
    stated: str = ""

    @functools.cached_property
    def embedder(self) -> bytes:
        """The backbone with pixels as input, uint8 [1, H, H, 3], like every model on it."""
        mean, std = self.normalization.mean, self.normalization.std
        return graph.set_io(self.content, "uint8", mean=mean, std=std, output_io="int8")

    @functools.cached_property
    def step(self) -> float:
        """Quantization step of the features."""
        return in_place.ends(self.content).output_step

    @property
    def digest(self) -> str:
        """Returns a hash that identifies it."""
        return self.stated or hashlib.sha256(self.content).hexdigest()

    def pack(self) -> bytes:
        """Serializes it as one line of JSON followed by the `.tflite`."""
        facts = {"origin": self.origin, "layers": [dataclasses.astuple(layer) for layer in self.layers]}
        return json.dumps(facts).encode() + b"\n" + self.content

    @classmethod
    def unpack(cls, packed: bytes, normalization: Normalization) -> Int8Backbone:
        """Reads the result of `pack`."""
        line, content = packed.split(b"\n", 1)
        facts = json.loads(line)
        return cls(content, tuple(Layer(*row) for row in facts["layers"]), normalization, facts["origin"])


@dataclass(frozen=True)
class QuantizedEmbedder(Embedder):
    """A backbone in both forms: heads are fitted on int8 features, and work with the float form, too.

    Attributes:
      int8: None if it cannot be quantized; then the float form is used, with its embedding only.
      is_chosen: whether layers have already been chosen, so that a head uses all of them.
    """

    int8: Int8Backbone | None
    is_chosen: bool = False

    @classmethod
    def of(cls, base: Embedder, int8: Int8Backbone | None, *, is_chosen: bool = False) -> QuantizedEmbedder:
        """Adds its int8 form to a backbone."""
        fields = {field.name: getattr(base, field.name) for field in dataclasses.fields(Embedder)}
        return cls(**fields, int8=int8, is_chosen=is_chosen)

    @functools.cached_property
    def joined(self) -> bytes:
        """The float form, from normalized pixels to the joined vector of its layers."""
        return network_layers.join(self.content, self.layers)

    @property
    def computing(self) -> tuple[bytes, Normalization | None, str]:
        """Returns the `.tflite` that computes features, its normalization (None for raw pixels), and the resize."""
        content, normalization = (self.int8.embedder, None) if self.int8 else (self.content, self.normalization)
        return content, normalization, self.resize

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers whose features form an embedding."""
        return self.int8.layers if self.int8 else network_layers.find(self.content)[-1:]


def int8_backbone(
    base: Embedder,
    photos: Sequence[Photo],
    *,
    progress: Progress = SILENT,
    threads: int | None = None,
) -> Int8Backbone:
    """Returns the int8 form of a backbone, built on first use.

    Args:
      photos: calibration photos, best ones first; used if there is neither a recipe nor a cached result.
      progress: receives notes on automatic choices, and photos done.

    Raises:
      ModelError: it cannot be quantized, or there are no calibration photos.
    """
    recipe = RECIPES / f"{base.name}.npz"
    path = cache_path(base, recipe.read_bytes() if recipe.is_file() else b"")
    if packed := files.read_checked(path):
        return Int8Backbone.unpack(packed, base.normalization)
    made = from_recipe(base, recipe) if recipe.is_file() else None
    if made is None:
        made = calibrated(base, photos, progress=progress, threads=threads)
        progress.note(
            f"{base.name} is quantized once, on {min(len(photos), PHOTOS)} of these photos, and kept for all models "
            "on it."
        )
    files.write_checked(path, made.pack())
    return made


def of_file(
    classifier: bytes, found: Sequence[Layer], normalization: Normalization, *, origin: str, stated: str
) -> Int8Backbone:
    """Extracts the int8 backbone of an int8 classifier, with the layers that its head uses.

    Args:
      origin, stated: source of its ranges, and its digest as the file states it.

    Raises:
      ModelError: it does not have a head on these layers.
    """
    model = graph.parse(classifier)
    kinds = [graph.operator_name(model, operator) for operator in model.subgraphs[0].operators]
    scores = (["FULLY_CONNECTED", "SOFTMAX"], ["FULLY_CONNECTED", "LOGISTIC"])
    if kinds[0] != "QUANTIZE" or kinds[-3:-1] not in scores:
        raise ModelError("It has no head on an int8 backbone.")
    model = graph.parse(io_types.within(classifier, normalization))
    main = model.subgraphs[0]
    main.outputs = [int(main.operators[-2].inputs[0])]
    cut.prune(model)
    graph.sign(model, network_layers.JOINED)
    return Int8Backbone(graph.pack(model), tuple(found), normalization, origin, stated)


def calibrated_on(
    base: Embedder,
    photos: Sequence[Photo],
    digests: Sequence[str],
    *,
    progress: Progress = SILENT,
    threads: int | None = None,
) -> Int8Backbone:
    """Returns the int8 form calibrated on exactly these photos, whose content hashes are `digests`."""
    named = " ".join(digests[:PHOTOS]) + ("" if base.resize == STRETCH else f" {base.resize}")
    path = cache_path(base, named.encode())
    if packed := files.read_checked(path):
        return Int8Backbone.unpack(packed, base.normalization)
    made = calibrated(base, photos, progress=progress, threads=threads)
    files.write_checked(path, made.pack())
    return made


def calibrated(
    base: Embedder, photos: Sequence[Photo], *, progress: Progress = SILENT, threads: int | None = None
) -> Int8Backbone:
    """Quantizes a backbone with ranges from photos, and rounds its weights jointly with samples from them.

    Raises:
      ModelError: it has an operator that cannot be quantized, or no photo can be read.
    """
    return quantized(base, *_measured(base, photos, progress, threads), origin="photos")


def from_recipe(base: Embedder, recipe: Path) -> Int8Backbone | None:
    """Rebuilds the int8 form from a recipe; None if the recipe is for other weights or another size.

    Raises:
      ModelError: it is damaged, or the result does not match the recorded hash.
    """
    known = Int8Recipe.read(recipe)
    if known.float_sha256 != hashlib.sha256(base.content).hexdigest():
        return None
    plain = quantized(base, known.layers, known.ranges, {}, origin="package")
    made = dataclasses.replace(plain, content=known.rounded(plain.content))
    if made.digest != known.int8_sha256:
        raise ModelError(f"{recipe} does not reproduce the int8 backbone that it describes. Reinstall model-maker.")
    return made


def write_recipe(base: Embedder, photos: Sequence[Photo], recipe: Path) -> Int8Backbone:
    """Calibrates a backbone, and writes a recipe that reproduces it."""
    found, ranges, samples = _measured(base, photos, SILENT, None)
    made = quantized(base, found, ranges, samples, origin="package")
    plain = quantized(base, found, ranges, {}, origin="package")
    changes = int8_recipe.changes(plain.content, made.content)
    digest = hashlib.sha256(base.content).hexdigest()
    Int8Recipe(digest, made.digest, found, ranges, min(len(photos), PHOTOS), changes).write(recipe)
    return made


def _measured(
    base: Embedder, photos: Sequence[Photo], progress: Progress, threads: int | None
) -> tuple[tuple[Layer, ...], quantize.Ranges, rounding.Samples]:
    """Returns a backbone's layers with their factors, the ranges of its activations, and samples of layers' inputs."""
    found = network_layers.find(base.content)
    observed = _observed(base, network_layers.join(base.content, found), photos[:PHOTOS], progress, threads)
    ranges = quantize.combine_ranges([entry.ranges for entry in observed])
    steps = {layer.name: _MARGIN * max(map(abs, ranges[layer.mean])) / _MOST or 1.0 for layer in found}
    last = steps[found[-1].name]
    found = tuple(dataclasses.replace(layer, factor=last / steps[layer.name]) for layer in found)
    for layer in found:
        ranges[layer.mean] = _around_zero(steps[layer.name])
        ranges[layer.output] = _around_zero(last)
    ranges[network_layers.JOINED] = _around_zero(last)
    return found, ranges, rounding.combine([entry.samples for entry in observed])


def _around_zero(step: float) -> tuple[float, float]:
    """Returns the range of int8 values with a step and zero point 0."""
    return (_LEAST * step, _MOST * step)


def _observed(
    base: Embedder, content: bytes, photos: Sequence[Photo], progress: Progress, threads: int | None
) -> list[quantize.Calibration]:
    def worker():
        calibrator = quantize.Calibrator(content)
        return lambda pixels: calibrator.observe(base.normalization(pixels))

    observed = []
    for done, result in enumerate(stream(photos, base.fit, worker, threads=threads), start=1):
        if not isinstance(result, DataError):
            observed.append(result)
        progress.step(done, len(photos))
    if not observed:
        raise ModelError(f"{base.name} is quantized on photos, and none of {len(photos)} could be read.")
    return observed


def quantized(
    base: Embedder, found: tuple[Layer, ...], ranges: quantize.Ranges, samples: rounding.Samples, *, origin: str
) -> Int8Backbone:
    content = quantize.quantize(
        network_layers.join(base.content, found),
        "int8",
        normalization=base.normalization,
        calibration=quantize.Calibration(ranges, samples),
    )
    return Int8Backbone(content, found, base.normalization, origin)


def cache_path(base: Embedder, calibration: bytes) -> Path:
    """Returns the path of the cache entry, derived from everything that affects its content except the photos, since
    those of the first use stay.
    """
    sources = (blocks, network_layers, quantize, rounding, graph, int8_recipe)
    recipe = {
        "float": hashlib.sha256(base.content).hexdigest(),
        "normalization": dataclasses.astuple(base.normalization),
        "calibration": hashlib.sha256(calibration).hexdigest(),
        "code": [code_digest(str(source.__file__)) for source in sources] + [code_digest(__file__)],
        "versions": [metadata.version(package) for package in ("ai-edge-litert", "litert-quantizer", "numpy")],
    }
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    return files.cache_directory() / "backbones" / f"{base.name}-{base.fit.size.replace(' ', '')}-int8-{key}.tflite"
