"""reproduce(): retrains a model from the provenance in its file and compares the files byte by byte."""

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model_maker.backbones import int8_backbone
from model_maker.backbones.int8_backbone import Int8Backbone
from model_maker.errors import DataError, ModelError, OutputError, about
from model_maker.inference.classifier import model_file
from model_maker.options import Options, from_record
from model_maker.progress import Progress
from model_maker.system import extras, files
from model_maker.tflite import interpreter, metadata, vetting
from model_maker.tflite.difference import Difference, differences
from model_maker.tflite.metadata import ModelInfo
from model_maker.tflite.network_layers import Layer
from model_maker.training.train import train_on


@dataclass(frozen=True)
class Reproduction:
    """The result of `reproduce`.

    Attributes:
      model: the original file.
      sha256: of the original and of the new file.
      size_bytes: of both.
      differences: differing values; empty if the files are byte-identical.
    """

    model: Path
    sha256: tuple[str, str]
    size_bytes: tuple[int, int]
    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        """Whether the files are byte-identical."""
        return self.sha256[0] == self.sha256[1]

    def as_dict(self) -> dict[str, Any]:
        """Returns JSON types."""
        return {
            "model": str(self.model),
            "equal": self.equal,
            "sha256": list(self.sha256),
            "size_bytes": list(self.size_bytes),
            "differences": [asdict(entry) for entry in self.differences],
        }


def reproduce(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Reproduction:
    """Retrains a model from the provenance in its file, and compares the files.

    Args:
      model: a `.tflite` written by `train`, or its folder.
      data: its training photos.
      output: folder for the new model; None to discard it.
      overwrite: whether to replace an existing folder.
      progress: receives progress events.

    Raises:
      ModelError: the file has no provenance, or was fine-tuned and TensorFlow is not installed.
      DataError, BackboneError, OutputError: as `train`.

    Examples:
      >>> import model_maker
      >>> model_maker.reproduce("flowers_float16", "flowers").equal
      True
    """
    path = model_file(model)
    before = vetting.read(path)
    with about(path):
        info = metadata.read(before)
        stated, int8 = options_of(info.provenance), _int8_backbone(before, info)
        if stated.fine_tune:
            extras.require("tensorflow", what="its fine-tuning", error=ModelError)
    if output is not None and Path(output).resolve() == path.resolve().parent:
        raise OutputError(f"{output} contains the model to reproduce. Choose another folder.")
    if stated.budget and progress:
        progress.note(f"Its fine-tuning had a time limit of {stated.budget}, so the number of epochs may differ now.")
    with files.temporary_directory() as folder:
        target = Path(output) if output is not None else Path(folder) / "again"
        result = train_on(int8, data, target, stated, progress, overwrite=overwrite)
        after = interpreter.read(model_file(result.directory))
    hashes = (hashlib.sha256(before).hexdigest(), hashlib.sha256(after).hexdigest())
    found = () if before == after else tuple(differences(before, after))
    return Reproduction(path, hashes, (len(before), len(after)), found)


def _int8_backbone(model: bytes, info: ModelInfo) -> Int8Backbone | None:
    """Returns the int8 backbone inside a file if it was calibrated on photos, so that it exists only there."""
    backbone = info.provenance.get("backbone") or {}
    if backbone.get("ranges") == "package" or not info.normalization:
        return None
    try:
        layers = [Layer(*row) for row in backbone["layers"]]
        vetting.vet(model)
        return int8_backbone.of_file(
            model, layers, info.normalization, origin=backbone["ranges"], stated=backbone["int8"]
        )
    except (ModelError, KeyError, TypeError):
        return None  # another form, or fine-tuned: the backbone is calibrated, or taken from the cache


def options_of(provenance: dict[str, Any]) -> Options:
    """Returns the training options in a file's provenance.

    Raises:
      ModelError: there are none, or this version does not support them.
    """
    if kind := provenance.get("exported_as"):
        raise ModelError(f"it is an export ({kind}). Pass the original model.tflite.")
    stated = provenance.get("options")
    if not isinstance(stated, dict):
        raise ModelError("it has no training record; only a model.tflite of `train` has one.")
    try:
        return from_record(stated)
    except DataError as error:
        raise ModelError(f"its training record has an invalid value: {error} Use the version that made it.") from error
