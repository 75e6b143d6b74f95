"""Imports third-party models as backbones: converts them to a float embedder with a known normalization.

Foreign files are opened in child processes with a time limit. TensorFlow models are first converted to a `.tflite`
(`tensorflow_models`); a `.tflite` is converted to float, and its classifying layer is cut off.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.backbones import input_range, tensorflow_models
from model_maker.errors import BackboneError, ModelError
from model_maker.fitting import Fit
from model_maker.normalization import Normalization
from model_maker.output_folder import FLOAT_MODEL
from model_maker.progress import Progress
from model_maker.system import extras, limited_process
from model_maker.tflite import cut, dequantize, graph, interpreter, metadata, runnable, vetting
from model_maker.tflite.interpreter import LiteRTRunner

# A damaged file may hang LiteRT; a valid one of 100 MB opens in a few seconds.
LIMIT_S = 120
# The final float model in an output folder of `train`.


@dataclass(frozen=True)
class ForeignModel:
    """A model that is not in the registry.

    Attributes:
      address: a `.tflite`, `.keras` or `.h5` file, a SavedModel folder, or an address for tensorflow-hub.
      image_size: pixels, for models that take any size; None for the model's own.
      normalization: of its input; None to detect it.
      assumed: normalization if it cannot be detected; None to raise an error instead.
    """

    address: str
    image_size: int | None = None
    normalization: Normalization | None = None
    assumed: Normalization | None = None

    @property
    def name(self) -> str:
        """Name for display and file names: that of the file, or of the folder that `train` wrote."""
        path = Path(self.address.split("?")[0].rstrip("/"))
        return (path.parent.name if path.name == FLOAT_MODEL else path.stem) or "model"

    def identity(self) -> str:
        """Returns the hash of the model's files, or the address of a remote model."""
        path = Path(self.address)
        if not path.exists():
            return self.address
        digest = hashlib.sha256()
        for file in sorted(path.rglob("*"), key=lambda file: file.parts) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(f"{file.relative_to(path.parent).as_posix()} {file.stat().st_size} ".encode())
                digest.update(file.read_bytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Import:
    """An imported model.

    Attributes:
      content: a float `.tflite`, float32 [1, H, W, 3] to float32 [1, D].
      normalization, image_size, licence: as in `embedder.Embedder`.
    """

    content: bytes
    normalization: Normalization
    image_size: int | tuple[int, int]
    licence: str
    note: str

    def pack(self) -> bytes:
        """Serializes it as one line of JSON followed by the `.tflite`."""
        facts = {key: value for key, value in vars(self).items() if key not in ("content", "normalization")}
        facts |= {"mean": self.normalization.mean, "std": self.normalization.std}
        return json.dumps(facts).encode() + b"\n" + self.content

    @classmethod
    def unpack(cls, packed: bytes) -> Import:
        """Reads the result of `pack`."""
        line, content = packed.split(b"\n", 1)
        facts = json.loads(line)
        if isinstance(facts["image_size"], list):
            facts["image_size"] = tuple(facts["image_size"])
        return cls(content, Normalization(facts.pop("mean"), facts.pop("std")), **facts)


def is_address(model: str) -> bool:
    """Whether `--model` names a file, a folder or an address rather than a backbone of the registry."""
    suffixes = (".tflite", ".keras", ".h5", ".hdf5")
    return "/" in model or "\\" in model or model.endswith(suffixes) or Path(model).exists()


def find(model: str, *, image_size: int | None = None, normalization: str | None = None) -> ForeignModel:
    """Checks a foreign `--model`, before any work; `normalization` is "MEAN,STD" in pixels, as the user gave it.

    Raises:
      BackboneError: it does not exist or cannot be imported, the normalization is invalid, or it is a TensorFlow model
        and TensorFlow is not installed.
    """
    path = Path(model)
    if (path / FLOAT_MODEL).is_file():
        return ForeignModel(str(path / FLOAT_MODEL), image_size, input_range.parse(normalization))
    kind = tensorflow_models.kind(model)
    if kind != "hub":
        if not path.exists():
            raise BackboneError(
                f"{model} does not exist. Pass a model file, or a name that `model_maker models` lists."
            )
        if not path.is_dir() and not path.is_file():
            raise BackboneError(f"{model} is neither a file nor a folder, but a pipe or a device. Save it as a file.")
        if path.suffix != ".tflite" and kind is None:
            raise BackboneError(
                f"{model} cannot be imported; supported are: a .tflite, .keras or .h5 file, a SavedModel folder, "
                "or the address of a TF Hub model."
            )
        if model.endswith(".weights.h5"):
            raise BackboneError(
                f"{model} holds weights without a network. Pass it as `weights` with a backbone's name."
            )
    found = ForeignModel(model, image_size, input_range.parse(normalization))
    if kind is not None:
        extras.require(*tensorflow_models.PACKAGES[kind], what=model, error=BackboneError)
    return found


def load(model: ForeignModel, progress: Progress) -> Import:
    """Opens a foreign model and converts it to an embedder.

    Raises:
      BackboneError: it cannot be used.
    """
    ranges = [f"{known.mean!r},{known.std!r}" if known else "" for known in (model.normalization, model.assumed)]
    arguments = (model.address, str(model.image_size or ""), *ranges)
    if (kind := tensorflow_models.kind(model.address)) is None:
        packed = limited_process.run(__name__, model.address, *arguments, "", what=model.address, limit_s=LIMIT_S)
        return Import.unpack(packed)
    if tensorflow_models.is_download(model.address):
        progress.note(f"Downloading {model.address} through tensorflow-hub.")
    converted = tensorflow_models.convert(model.address, model.image_size)
    with limited_process.handed(converted) as file:
        packed = limited_process.run(__name__, file, *arguments, kind, what=model.address, limit_s=LIMIT_S)
    return Import.unpack(packed)


def from_tflite(
    content: bytes,
    *,
    image_size: int | None,
    stated: Normalization | None,
    assumed: Normalization | None = None,
    kind: str = "",
) -> Import:
    """Converts the `.tflite` of a classifier or an embedder to an embedder.

    Args:
      content: float or quantized, with metadata or without.
      image_size: the user's `image_size`; must be the file's own.
      stated: the user's `normalization`.
      assumed: normalization if it cannot be detected.
      kind: kind of the original TensorFlow model, from `tensorflow_models.kind`; empty for none.

    Raises:
      ModelError: it cannot be used.
    """
    info = metadata.read(content)
    model = graph.parse(content)
    with graph.explained():
        size = _image_size(model, image_size)
        image = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
        measured = input_range.from_quantization(image)
        dequantize.dequantize(model)
        expected, reason = input_range.infer(model, stated, measured, info.normalization, kind, assumed)
        normalization = input_range.absorb(model, expected)
        found = cut.cut(model)
        embedder = graph.pack(model)
    runnable.check(embedder)  # training and prediction run it in their own process
    vector = LiteRTRunner(embedder).run(normalization(_test_picture(size)))
    if vector.shape != (1, found.features) or not np.isfinite(vector).all() or not np.ptp(vector):
        raise ModelError("Its features of a test picture are not finite, varied numbers, so it is damaged.")
    classifier = f"cut before its classifier of {found.classes} classes, " if found.classes else ""
    scaling = f"(pixel - {expected.mean:g}) / {expected.std:g}"
    note = f"{classifier}{found.features} features, input {scaling}{reason}."
    return Import(embedder, normalization, size, info.licence, note)


def _image_size(model: schema.ModelT, asked: int | None) -> int | tuple[int, int]:
    main = model.subgraphs[0]
    if len(model.subgraphs) != 1 or len(main.inputs) != 1:
        raise ModelError(f"It has {len(main.inputs)} inputs and {len(model.subgraphs)} graphs; an image model has one.")
    if custom := [code.customCode.decode() for code in model.operatorCodes if code.customCode]:
        raise ModelError(f"It uses operators that LiteRT does not have: {', '.join(custom)}.")
    shape = [int(side) for side in main.tensors[main.inputs[0]].shape]
    if len(shape) != 4 or shape[0] != 1 or min(shape[1:3]) < 1 or shape[3] != 3:
        raise ModelError(f"It takes an input of shape {shape}; an image model takes [1, H, W, 3].")
    height, width = shape[1:3]
    if asked is not None and (asked, asked) != (height, width):
        raise ModelError(f"It takes {Fit(height, width).size} pixels, not {asked}: leave `image_size` out.")
    return height if height == width else (height, width)


def _test_picture(size: int | tuple[int, int]) -> np.ndarray:
    """Returns seeded blocks of color, uint8 [1, H, W, 3]."""
    height, width = (size, size) if isinstance(size, int) else size
    blocks = np.random.default_rng(0).integers(0, 256, (-(-height // 8), -(-width // 8), 3), np.uint8)
    return blocks.repeat(8, 0).repeat(8, 1)[None, :height, :width]


def _import(path: str, name: str, image_size: str, normalization: str, assumption: str, kind: str) -> bytes:
    size = int(image_size) if image_size else None
    stated, assumed = (input_range.parse(text or None) for text in (normalization, assumption))
    try:
        content = interpreter.read(path)
        return from_tflite(content, image_size=size, stated=stated, assumed=assumed, kind=kind).pack()
    except ModelError as error:
        raise BackboneError(f"{name} cannot be a backbone. {error}") from error


if __name__ == "__main__":
    limited_process.answer(_import, memory_bytes=vetting.MEMORY_BYTES, cpu_s=2 * LIMIT_S)
