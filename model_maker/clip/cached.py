"""What towers share: their place in the cache, and vectors of length 1."""

import hashlib
import json
from collections.abc import Callable
from types import ModuleType

import numpy as np

from model_maker.backbones.embedder import code_digest
from model_maker.clip.records import Tower
from model_maker.system import files

Array = np.ndarray


def content(
    tower: Tower, part: str, suffix: str, make: Callable[[], bytes], *, modules: tuple[ModuleType, ...]
) -> bytes:
    """Returns a tower's file from the cache, made first where it is not there.

    Args:
      part: what of it, for the name.
      modules: those on which its bytes depend.

    Raises:
      BackboneError: it cannot be made.
      OutputError: the cache cannot be written.
    """
    recipe = {
        "record": repr(tower),
        "files": [file.identity for file in tower.files],
        "code": [code_digest(str(module.__file__)) for module in modules],
    }
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    path = files.cache_directory() / "clip" / f"{tower.name}-{part}-{key}{suffix}"
    if not (found := files.read_checked(path)):
        found = make()
        files.write_checked(path, found)
    return found


def unit(vectors: Array) -> Array:
    """Scales rows to length 1, float32 [N, D]."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
