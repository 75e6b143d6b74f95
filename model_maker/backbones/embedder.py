"""Turns `--model` into an Embedder: a float `.tflite` with the normalization of its input, built once and cached."""

import functools
import hashlib
import json
from dataclasses import astuple, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from types import ModuleType

from model_maker.backbones import (
    importers,
    input_range,
    layer_weights,
    network,
    tensorflow_models,
    torch_files,
    weights,
)
from model_maker.backbones.importers import ForeignModel, Import
from model_maker.backbones.registry import BACKBONES, Backbone, get
from model_maker.backbones.weights import FileWeights
from model_maker.errors import BackboneError
from model_maker.fitting import STRETCH, Fit
from model_maker.normalization import Normalization
from model_maker.progress import SILENT, Progress
from model_maker.system import downloads, files
from model_maker.tflite import cut, dequantize, graph, runnable

# Spellings of "train from scratch".
_SCRATCH = ("none", "None", "random", "scratch", "")


@dataclass(frozen=True)
class Embedder:
    """A pretrained feature extractor, ready to run.

    Attributes:
      name: for display.
      content: a float `.tflite`: float32 [1, H, W, 3], normalized, to float32 [1, D].
      normalization: from pixels to what its input expects.
      image_size: H, or (H, W) where they differ.
      licence: of the weights; empty if unknown.
      resize: how photos are fitted to the input, a key of `fitting.RESIZES`.
    """

    name: str
    content: bytes
    normalization: Normalization
    image_size: int | tuple[int, int]
    licence: str
    resize: str = field(default=STRETCH, kw_only=True)

    @property
    def fit(self) -> Fit:
        """Input size, and how photos are fitted to it."""
        sides = self.image_size if isinstance(self.image_size, tuple) else (self.image_size, self.image_size)
        return Fit(*sides, self.resize)


def choose(
    model: str,
    *,
    image_size: int | None = None,
    weights_file: str | None = None,
    normalization: str | None = None,
    assumed: Normalization | None = None,
) -> Backbone | ForeignModel:
    """Resolves `--model`, before any work.

    Args:
      model: a key of BACKBONES, or the path or address of another model.
      image_size: input size, pixels; the published one by default.
      weights_file: a file to use instead of the published weights of a backbone.
      normalization: "MEAN,STD", of the input of a foreign model.
      assumed: normalization to assume if it is unknown; without it such a model is an error.

    Raises:
      BackboneError: there is no such model, or the options do not apply to it.
    """
    if model not in BACKBONES and importers.is_address(model):
        if weights_file is not None:
            raise BackboneError(f"`weights` belongs to a backbone's name; {model} holds its own.")
        found = importers.find(model, image_size=image_size, normalization=normalization)
        return replace(found, assumed=assumed)
    backbone = get(model, image_size=image_size)
    if normalization is not None:
        raise BackboneError(f"`normalization` is for imported models; {model} is known to take its own.")
    if weights_file in _SCRATCH:
        raise BackboneError(
            f"`weights={weights_file!r}`: training from scratch is not offered. It takes a million photos and days to "
            "reach what pretrained weights give at once; leave `weights` out, or name a file of them."
        )
    if weights_file is not None:
        own = FileWeights(Path(weights_file))
        own.path()
        backbone = replace(backbone, weights=own)
    return backbone


def embedder(choice: Backbone | ForeignModel, *, resize: str = STRETCH, progress: Progress = SILENT) -> Embedder:
    """Builds a backbone, or reads it from the cache.

    Args:
      resize: how photos are fitted to its input, a key of `fitting.RESIZES`.
      progress: receives downloads, in kilobytes, and notes on automatic choices.

    Raises:
      BackboneError: the weights are missing or damaged, or a foreign model cannot be used.
      OutputError: the cache cannot be written.
    """
    path = cache_path(choice)
    if not (content := files.read_checked(path)):
        content = _make(choice, progress)
        files.write_checked(path, content)
    if isinstance(choice, Backbone):
        return Embedder(choice.name, content, choice.normalization, choice.image_size, choice.licence, resize=resize)
    found = Import.unpack(content)
    progress.note(f"{choice.name}: {found.note}")
    return Embedder(choice.name, found.content, found.normalization, found.image_size, found.licence, resize=resize)


def _make(choice: Backbone | ForeignModel, progress: Progress) -> bytes:
    if isinstance(choice, ForeignModel):
        return importers.load(choice, progress).pack()
    return choice.build(weights_of(choice, progress=progress))


def weights_of(backbone: Backbone, *, progress: Progress = SILENT) -> Path:
    """Returns the weights file of a backbone; downloads it if necessary.

    Raises:
      BackboneError: it is unavailable; without a network, the message lists models that work offline.
    """
    try:
        return backbone.weights.path(progress=progress)
    except downloads.Unavailable as error:
        here = [name for name, other in BACKBONES.items() if other.weights.is_here() or is_cached(other)]
        raise BackboneError(f"{error} Models that work offline: {', '.join(here) or 'none'}.") from error


def is_cached(choice: Backbone | ForeignModel) -> bool:
    """Whether `embedder` finds it in the cache."""
    return files.read_checked(cache_path(choice)) is not None


def cache_path(choice: Backbone | ForeignModel) -> Path:
    """Returns the path of the cache entry, derived from everything that affects its content."""
    recipe: dict[str, object]
    sources: tuple[ModuleType, ...]
    packages = ["ai-edge-litert"]
    if isinstance(choice, ForeignModel):
        recipe = {
            "image_size": choice.image_size,
            "normalization": astuple(choice.normalization) if choice.normalization else None,
            "assumed": astuple(choice.assumed) if choice.assumed else None,
            "model": choice.identity(),
        }
        sources = (importers, input_range, tensorflow_models, dequantize, cut, graph, runnable)
        packages += ["tensorflow", "keras"] if tensorflow_models.kind(choice.address) else []
    else:
        recipe = {
            "image_size": choice.image_size,
            "variant": choice.variant,
            "weights": choice.weights.identity,
        }
        sources = (choice.family, network, layer_weights, weights, torch_files, graph)
    recipe |= {
        "code": [code_digest(str(source.__file__)) for source in sources],
        "versions": [_version(package) for package in packages],
    }
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    return files.cache_directory() / "backbones" / f"{choice.name}-{choice.image_size or 'any'}-{key}.tflite"


@functools.cache
def code_digest(file: str) -> str:
    """Returns a digest of a source file, for the names of cache entries."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"
