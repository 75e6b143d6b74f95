"""RUNTIMES: the runtime of each model format, selected by file name.

A `.tflite` contains its labels and normalization as metadata. The other formats take raw pixels from 0 to 255, as
`export` writes them; their labels are inside, or in a `labels.txt` next to them.
"""

import dataclasses
import json
import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_maker.data.entries import is_name
from model_maker.errors import ModelError
from model_maker.fitting import STRETCH
from model_maker.inference.opened import Opened
from model_maker.output_folder import LABELS, MODEL, MULTI_LABEL
from model_maker.system import extras, files
from model_maker.tflite import interpreter, metadata, output_heads, vetting
from model_maker.tflite.metadata import RESIZE, ModelInfo

Array = np.ndarray[Any, Any]

# Path of the labels in OpenVINO's IR, a JSON list.
OPENVINO_LABELS = ["model_info", "labels_json"]
_ADVICE = "Pass a .tflite file, a folder that `train` made, or an exported model."


@dataclass(frozen=True)
class Runtime:
    """The runtime of one model format.

    Attributes:
      open: opens a model, with the named kernels if there is a choice.
      modules: required packages of `extras.EXTRAS`.
    """

    matches: Callable[[Path], bool]
    open: Callable[[Path, str], Opened]
    modules: tuple[str, ...] = ()


def open_model(model: str | os.PathLike[str] | bytes, *, kernels: str = "xnnpack") -> Opened:
    """Opens a model of any format.

    Args:
      model: a path, see `find`, or the bytes of a `.tflite`.

    Raises:
      ModelError: it does not exist, is damaged, or has no runtime here.
    """
    if isinstance(model, bytes):
        return _open_content(model, kernels)
    if not model or not isinstance(model, str | os.PathLike):
        raise ModelError(f"{model!r} is not a model. {_ADVICE}")
    path = find(model)
    # A file with an unknown suffix is read as a `.tflite`, which checks its identifier.
    name, runtime = next(
        (entry for entry in RUNTIMES.items() if entry[1].matches(path)), ("tflite", RUNTIMES["tflite"])
    )
    if kernels != "xnnpack" and name not in ("tflite", "c_header"):
        raise ModelError(f"{path} does not run in LiteRT, so it has no kernels named {kernels}.")
    extras.require(*runtime.modules, what=str(path), error=ModelError)
    opened = dataclasses.replace(runtime.open(path, kernels), path=path.resolve())
    if opened.content is None:  # a `.tflite` states it in its metadata
        info = dataclasses.replace(_with_thresholds(opened.info, path), resize=resize_beside(path))
        opened = dataclasses.replace(opened, info=info)
    return opened


def open_head(model: Opened, name: str, *, kernels: str = "xnnpack") -> Opened:
    """Opens one head of a `.tflite` with several; runs the whole file.

    Raises:
      ModelError: it has no head of that name.
    """
    content = model.content or b""
    heads = _heads_with(content, name)
    output = list(heads).index(name)
    return dataclasses.replace(
        model, info=heads[name], runner=lambda: interpreter.LiteRTRunner(content, kernels=kernels, output=output)
    )


def single_head(content: bytes, name: str | None, *, what: str) -> bytes:
    """Extracts one head of a `.tflite` with several; returns other files unchanged.

    Args:
      name: name of the head; None for a file with one.
      what: the feature that needs a single head, for the message.

    Raises:
      ModelError: it has no head of that name, or several and `name` is None.
    """
    if name is None:
        if heads := metadata.read_heads(content):
            first = next(iter(heads))
            raise ModelError(f"it has several heads ({', '.join(heads)}); {what} takes one. Choose it: `head={first}`.")
        return content
    heads = _heads_with(content, name)
    single = metadata.write(output_heads.extract(content, list(heads).index(name)), heads[name])
    vetting.trust_as(single, content)
    return single


def _heads_with(content: bytes, name: str) -> dict[str, ModelInfo]:
    heads = metadata.read_heads(content) if content else {}
    if name not in heads:
        known = f"it has {', '.join(heads)}" if heads else "it has one output, which needs no name"
        raise ModelError(f"`head={name}`: the model has no head of that name; {known}.")
    return heads


def find(path: str | os.PathLike[str]) -> Path:
    """Returns the model at a path: itself, or the only one in a folder (`model.tflite` has priority).

    Raises:
      ModelError: there is none or more than one, or it cannot be accessed.
    """
    if not is_name(os.fspath(path)):
        raise ModelError(f"{str(path)!r} is not a valid path. {_ADVICE}")
    path = Path(path)
    try:
        if not files.exists(path):
            raise ModelError(f"{path} does not exist. {_ADVICE}")
        if odd := next((place for place in _read_with(path) if not place.is_file()), None):
            raise ModelError(f"{odd}: no regular file. {_ADVICE}")
        if not path.is_dir() or _is_model(path):
            return path
        if (path / MODEL).is_file():
            return path / MODEL
        found = models_in(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be opened ({error.strerror}). {_ADVICE}") from error
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(entry.relative_to(path).as_posix() for entry in found[:8]) + (
            " ..." if len(found) > 8 else ""
        )
        raise ModelError(f"{path} holds several models: {listed}. Name one of them.")
    raise ModelError(f"{path} holds no model.tflite and no other model. {_ADVICE}")


def _read_with(path: Path) -> Iterator[Path]:
    """Yields existing files that runtimes open together with a model, to reject pipes, which have no end."""
    places = (path, path.with_suffix(".bin")) if not path.is_dir() else path.rglob("*") if _is_saved_model(path) else ()
    return (place for place in places if files.exists(place) and not place.is_dir())


def models_in(folder: Path) -> list[Path]:
    """Returns the models in a folder, and those in its folders."""
    entries = _listed(folder)
    inner = [file for entry in entries if entry.is_dir() and not _is_model(entry) for file in _listed(entry)]
    return [entry for entry in (*entries, *inner) if _is_model(entry)]


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda entry: entry.name)


def _is_model(path: Path) -> bool:
    """Whether a file is a model; C headers are not, but the C source next to one is."""
    return path.suffix != ".h" and any(runtime.matches(path) for runtime in RUNTIMES.values())


def labels_beside(model: Path) -> tuple[str, ...]:
    """Returns the lines of labels.txt next to a model, or in the folder that is the model; empty if there is none."""
    path = (model if model.is_dir() else model.parent) / LABELS
    try:
        text = files.read_regular(path).decode()
    except OSError:
        return ()
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not UTF-8 text; write one label per line.") from error
    return tuple(text.removesuffix("\n").split("\n"))


def _with_thresholds(info: ModelInfo, model: Path) -> ModelInfo:
    """Reads the thresholds next to a multi-label model in a format without metadata."""
    path = (model if model.is_dir() else model.parent) / MULTI_LABEL
    if not path.is_file():
        return info
    try:
        stated = json.loads(files.read_regular(path))["thresholds"]
        limits = tuple(float(stated[label]) for label in info.labels)
        if not limits or not all(map(math.isfinite, limits)):
            raise ValueError("no numbers")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{path} does not list a threshold of each label ({error!r}). Export the model again."
        ) from error
    return dataclasses.replace(info, multi_label=True, threshold=min(limits), label_thresholds=limits)


def resize_beside(model: Path) -> str:
    """Returns how photos are fitted to a model's input, from the resize.txt next to it; stretched by default.

    Raises:
      ModelError: its value is unknown.
    """
    path = (model if model.is_dir() else model.parent) / RESIZE
    try:
        return metadata.parse_resize(files.read_regular(path))
    except OSError:
        return STRETCH


def stated_labels(path: Path, stated: str) -> tuple[str, ...]:
    """Reads the labels inside a model, a JSON list of strings."""
    try:
        labels = json.loads(stated)
    except (ValueError, RecursionError):
        labels = None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ModelError(f"{path} has labels that are not a JSON list of texts: {stated[:80]!r}. Export it again.")
    return tuple(labels)


def explain_run(runtime: str, error: Exception) -> ModelError:
    """Returns the error for a model that a runtime can open but not run."""
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return ModelError(f"{runtime} cannot run the model ({reason[:200]}). It is damaged, or no image model.")


def _ends(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: path.suffix in suffixes


def _is_saved_model(path: Path) -> bool:
    return (path / "saved_model.pb").is_file()


def _is_web_model(path: Path) -> bool:
    file = path / "model.json" if path.is_dir() else path
    if file.name != "model.json" or not file.is_file():
        return False
    with files.open_regular(file) as start:
        return b'"graph-model"' in start.read(4096)


def _open_content(content: bytes, kernels: str) -> Opened:
    vetting.vet(content, kernels)
    info = metadata.read(content)
    return Opened(info, lambda: interpreter.LiteRTRunner(content, kernels=kernels), content)


def c_bytes(path: Path) -> bytes:
    """Returns the bytes of the first array in a C or C++ source, or in the source next to a header.

    Raises:
      ModelError: it cannot be read, or has no byte array.
    """
    source = path.with_suffix(".cc") if path.suffix == ".h" else path
    try:
        text = files.read_regular(source).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{source} cannot be read: {error}. {_ADVICE}") from error
    array = re.search(r"\[[^\]]*\]\s*=\s*\{([\s0-9a-fA-Fx,]*)\}", text)
    try:
        return bytes.fromhex(re.sub(r"0x|[\s,]", "", array[1] if array else ""))
    except ValueError as error:
        raise ModelError(f"{source} holds no array of bytes like 0x1c, 0x00. Export it again.") from error


def _open_core_ml(path: Path, _: str) -> Opened:
    raise ModelError(f"{path} runs in Core ML, which only Apple's systems have. Open it in Xcode, or on a Mac.")


def _isolated(module: str) -> Callable[[Path, str], Opened]:
    """Returns a function that opens a model in a child process, which imports the runtime's packages."""

    def open_path(path: Path, _: str) -> Opened:
        from model_maker.inference import isolated_runtime

        return isolated_runtime.open_path(f"model_maker.inference.{module}", path)

    return open_path


RUNTIMES = {
    "tflite": Runtime(_ends(".tflite"), lambda path, kernels: _open_content(interpreter.read(path), kernels)),
    "saved_model": Runtime(_is_saved_model, _isolated("tensorflow_runtime"), ("tensorflow",)),
    "keras": Runtime(_ends(".keras"), _isolated("tensorflow_runtime"), ("tensorflow",)),
    "tfjs": Runtime(_is_web_model, _isolated("tensorflow_runtime"), ("tensorflow",)),
    "onnx": Runtime(_ends(".onnx"), _isolated("onnx_runtime"), ("onnxruntime",)),
    "openvino": Runtime(_ends(".xml"), _isolated("openvino_runtime"), ("openvino",)),
    "c_header": Runtime(_ends(".cc", ".h"), lambda path, kernels: _open_content(c_bytes(path), kernels)),
    "coreml": Runtime(_ends(".mlpackage", ".mlmodel"), _open_core_ml),
}
