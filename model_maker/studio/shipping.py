"""What comes of a training, for download: each file and what it is for; other formats and apps are made when asked."""

import dataclasses
import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from model_maker import output_folder
from model_maker.apps import codegen, put_in_app
from model_maker.errors import DataError
from model_maker.exporters.export import EXPORTERS, export
from model_maker.progress import Progress
from model_maker.studio.workspace import Workspace
from model_maker.system import extras, files
from model_maker.tflite import metadata
from model_maker.verification.verify import verify

# Of the model folder: title and purpose, by name.
FILES = {
    output_folder.MODEL: ("Model", "The model for phones, with labels and preprocessing inside."),
    output_folder.LABELS: ("Labels", "The classes in the order of the scores, for apps that read them from a file."),
    output_folder.REPORT: ("Report", "What was measured, with figures and mistakes, as one page."),
    output_folder.CARD: ("Model card", "What the model is for and how well it does, in Markdown."),
    output_folder.FLOAT_MODEL: ("Float model", "The same before quantization, for processors without int8."),
    output_folder.METRICS: ("Metrics", "All figures as JSON."),
}
APPS = {
    "android": ("Android app", "A project for Android Studio with the model inside: camera, gallery, threshold."),
    "ios": ("iOS app", "The same for Xcode."),
}
_LANGUAGES = {"kotlin": "Kotlin", "swift": "Swift", "js": "JavaScript", "python": "Python"}
CERTIFICATE = "certificate"
_CODE = "A class around this very model, with its labels as an enumeration."
# What each format is called and for, by key of EXPORTERS; others are described by their contract.
_FORMATS = {
    "tflite-int8": ("TFLite, int8", "The smallest and, on most phones, quickest form."),
    "tflite-int16x8": ("TFLite, int16x8", "Activations of 16 bits: nearer to float, slower."),
    "tflite-int4": ("TFLite, int4", "Weights of 4 bits, for when the download has to be small."),
    "tflite-dynamic": ("TFLite, dynamic", "Weights of 8 bits, all else in float."),
    "tflite-float16": ("TFLite, float16", "For GPUs; half the size of float32."),
    "tflite-float32": ("TFLite, float32", "As it was trained, without quantization."),
    "saved_model": ("SavedModel", "For TensorFlow and its tools."),
    "keras": ("Keras", "To go on with in Keras."),
    "onnx": ("ONNX", "For ONNX Runtime, on servers and Windows."),
    "openvino": ("OpenVINO", "For Intel's processors."),
    "tfjs": ("TensorFlow.js", "For web pages with TensorFlow.js."),
    "c_header": ("C header", "For microcontrollers with TensorFlow Lite Micro."),
    "edgetpu": ("Edge TPU", "To compile for Coral's accelerators."),
    "coreml": ("Core ML", "For Apple's systems."),
}


def shipped(workspace: Workspace) -> list[dict[str, Any]]:
    """Returns what there is to download or to make, by groups: name, title, purpose, whether it is there, what is not.

    Each row has `ready`, whether it is there, and `obstacle`, what keeps it from being made.
    """
    if not (workspace.model / output_folder.MODEL).is_file():
        return []
    made = _home(workspace)
    formats = [
        _row(
            f"{name}.zip", *_FORMATS.get(name, (name, entry.contract)), made, extras.lacking(*entry.modules, what="It")
        )
        for name, entry in EXPORTERS.items()
    ]
    proof = "Where the file runs, how alike, and which rules of phone clients it keeps, as JSON."
    groups = {
        "The model": [_row(name, *FILES[name]) for name in FILES if (workspace.model / name).is_file()],
        "For an app": [
            *(_row(f"{name}.zip", *APPS[name], made) for name in APPS),
            *(_row(_code(name), f"{title} code", _CODE) for name, title in _LANGUAGES.items()),
        ],
        "Proof": [_row(f"{CERTIFICATE}.json", "Certificate", proof, made)],
        "Other formats": formats,
    }
    return [{"title": title, "rows": rows} for title, rows in groups.items()]


def make(workspace: Workspace, name: object, progress: Progress) -> dict[str, Any]:
    """Makes what is not there yet, whole or not at all.

    Raises:
      ModelMakerError: it cannot be made.
    """
    model, home = workspace.model, _home(workspace)
    stem = str(name).partition(".")[0]
    if name == f"{CERTIFICATE}.json":
        found = verify(model, progress=progress)
        files.write(home / str(name), json.dumps(found.as_dict(), indent=2, default=str).encode())
        return {"name": name, "failures": found.failures}
    with files.temporary_directory() as folder:
        if stem in APPS:
            with progress.stage(f"Make the {APPS[stem][0]}"):
                put_in_app.put_in_app(model, folder / stem, stem, progress=progress)
        elif stem in EXPORTERS:
            export(model, folder / "exported", formats=[stem], progress=progress)
            (folder / "exported" / stem).rename(folder / stem)
        else:
            raise DataError("There is no such format.")
        with progress.stage("Pack"):
            _pack(folder, folder / "packed.zip", stem)
            files.write(home / f"{stem}.zip", (folder / "packed.zip").read_bytes())
    return {"name": name}


def content(workspace: Workspace, name: str, threshold: float = 0) -> Path | bytes:
    """Returns a file of a name that `shipped` gives, or its bytes where it is made on the way.

    `threshold` is the lowest score that is an answer; it goes into the model, and into code.

    Raises:
      DataError: there is none.
    """
    model = workspace.model
    known = {row["name"]: row for group in shipped(workspace) for row in group["rows"]}
    if name not in known or not known[name]["ready"]:
        raise DataError("There is no such file: train first, or make it.")
    if name == output_folder.MODEL and threshold:
        plain = (model / name).read_bytes()
        info = metadata.read(plain)
        return metadata.write(plain, dataclasses.replace(info, threshold=threshold, label_thresholds=()))
    if name in FILES:
        return model / name
    for language in codegen.LANGUAGES:
        if name == _code(language):
            return codegen.codegen(model, language, threshold=threshold or None).encode()
    return _home(workspace) / name


def _code(language: str) -> str:
    return f"classifier{codegen.LANGUAGES[language].suffix}"


def _row(name: str, title: str, what: str, made: Path | None = None, obstacle: str = "") -> dict[str, Any]:
    ready = made is None or (made / name).is_file()
    row = {"name": name, "title": title, "what": what, "ready": ready, "obstacle": obstacle}
    return row | {"takes_threshold": name == output_folder.MODEL or name.startswith("classifier.")}


def _home(workspace: Workspace) -> Path:
    """Returns where what was made of the present model is kept; what was made of others goes."""
    digest = hashlib.sha256((workspace.model / output_folder.RUN).read_bytes()).hexdigest()[:16]
    home = workspace.side / "shipped" / digest
    if home.parent.is_dir():
        for other in home.parent.iterdir():
            if other != home:
                shutil.rmtree(other, ignore_errors=True)
    return home


def _pack(folder: Path, archive: Path, name: str) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted((folder / name).rglob("*")):
            if path.is_file():
                packed.write(path, f"{name}/{path.relative_to(folder / name).as_posix()}")
