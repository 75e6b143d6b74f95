"""What `--model` means becomes an Embedder: a float `.tflite` and what its input expects, made once and cached.

The only part of plain training that needs TensorFlow, and only on the first run.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from absl import logging

from model_maker import files
from model_maker.backbones import child, conversion, torch_files, weights
from model_maker.backbones.registry import Backbone, get
from model_maker.backbones.weights import FileWeights, Progress, Tell, ignore
from model_maker.data.images import Normalization


@dataclass(frozen=True)
class Embedder:
    """A pretrained feature extractor, ready to run.

    Attributes:
      name: for people.
      content: a float `.tflite`: float32 [1, H, H, 3], normalized, to float32 [1, D].
      normalization: from pixels to what its input expects.
      image_size: H.
      licence: of the weights; empty where nothing states it.
    """

    name: str
    content: bytes
    normalization: Normalization
    image_size: int
    licence: str


def choose(model: str, *, image_size: int | None = None, weights_file: str | None = None) -> Backbone:
    """Finds out what `--model` means, before any work.

    Args:
      model: a key of BACKBONES.
      image_size: another input size than the published one, pixels.
      weights_file: a file to use instead of the published weights.

    Raises:
      BackboneError: nothing is called so, or the options do not fit it.
    """
    backbone = get(model, image_size=image_size)
    if weights_file is not None:
        own = FileWeights(Path(weights_file))
        own.path()
        backbone = replace(backbone, weights=own)
    return backbone


def embedder(backbone: Backbone, *, tell: Tell = ignore, progress: Progress = ignore) -> Embedder:
    """Makes a backbone ready to run: on first use it is converted (about 20 s, imports TensorFlow), then read from the
    cache.

    Args:
      backbone: from `choose`.
      tell: hears what is downloaded, and of automatic choices.
      progress: called with (done, total) kilobytes of a download.

    Raises:
      BackboneError: the weights are missing or damaged.
      OutputError: the cache cannot be written.
    """
    path = cache_path(backbone)
    if not (content := _read_cached(path)):
        # Missing weights are said before TensorFlow's long start.
        file = backbone.weights.path(tell=tell, progress=progress)
        content = child.run(__name__, backbone.name, str(backbone.image_size), str(file.absolute()), what=backbone.name)
        files.write(path, content)
        files.write(path.with_suffix(".sha256"), hashlib.sha256(content).hexdigest().encode())
    return Embedder(backbone.name, content, backbone.normalization, backbone.image_size, backbone.licence)


def is_cached(backbone: Backbone) -> bool:
    """Whether `embedder` will answer without building."""
    return _read_cached(cache_path(backbone)) is not None


def cache_path(backbone: Backbone) -> Path:
    """Names the cache entry by everything that its bytes depend on."""
    code = (backbone.family.__file__, weights.__file__, torch_files.__file__, conversion.__file__)
    recipe = {
        "image_size": backbone.image_size,
        "variant": backbone.variant,
        "weights": backbone.weights.identity,
        "code": [_code_digest(str(file)) for file in code],
        "versions": [metadata.version(package) for package in ("tensorflow", "keras")],
    }
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    return files.cache_directory() / "backbones" / f"{backbone.name}-{backbone.image_size}-{key}.tflite"


def _read_cached(path: Path) -> bytes | None:
    try:
        content, expected = path.read_bytes(), path.with_suffix(".sha256").read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest().encode() == expected:
        return content
    logging.warning("The cached backbone %s is damaged and is made again.", path)
    return None


@functools.cache
def _code_digest(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]


def _build(name: str, image_size: str, weights_file: str) -> bytes:
    backbone = get(name, image_size=int(image_size))
    return conversion.convert(backbone.build(Path(weights_file)))


if __name__ == "__main__":
    child.answer(_build)
