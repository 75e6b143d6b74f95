"""The `.tflite` formats, and those derived from int8: C sources for microcontrollers, a model for the Edge TPU."""

import shutil
import subprocess
from pathlib import Path

from model_maker.errors import ModelError
from model_maker.exporters import c_source, edge_tpu
from model_maker.output_folder import MODEL
from model_maker.packaging.export_source import ExportSource

IO_TYPES = ("uint8", "float32", "int8")
_COMPILER = "edgetpu_compiler"
_LIMIT_S = 600


def tflite(source: ExportSource, folder: Path, *, kind: str, io: str) -> Path:
    """Writes a quantized `.tflite`; notes that phone apps do not accept int8 input."""
    content = source.in_form(kind, io)
    if io == "int8":
        source.progress.note("int8 input and output are for microcontrollers; phone apps need uint8 or float32.")
    (folder / MODEL).write_bytes(content)
    return folder / MODEL


def c_header(source: ExportSource, folder: Path, *, io: str) -> Path:
    """Writes `model.h` and `model.cc` for TFLite Micro."""
    content = source.in_form("int8", io)
    (folder / "model.h").write_text(c_source.header(content, source.info), encoding="utf-8", newline="\n")
    (folder / "model.cc").write_text(c_source.body(content, source.info), encoding="utf-8", newline="\n")
    return folder / "model.cc"


def edgetpu(source: ExportSource, folder: Path, *, io: str) -> Path:
    """Writes an int8 `.tflite` with only operators that the Edge TPU supports; compiles it if the compiler is
    installed.
    """
    if io == "float32":
        raise ModelError("The Edge TPU needs integer input and output. Use `io='uint8'` or int8.")
    content = source.in_form("int8", io)
    edge_tpu.check(content)
    (folder / MODEL).write_bytes(content)
    if shutil.which(_COMPILER) is None:
        source.progress.note(
            f"{_COMPILER} is not installed, so {MODEL} is not compiled: run `{_COMPILER} {MODEL}` where it is."
        )
        return folder / MODEL
    command = [_COMPILER, "--show_operations", "--out_dir", str(folder), str(folder / MODEL)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{_COMPILER} did not end within {_LIMIT_S:g} seconds.") from error
    except OSError as error:
        raise ModelError(f"{_COMPILER} cannot be started ({error.strerror}).") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
        raise ModelError(f"{_COMPILER} refused the model; it said: {said[-1][:200]}")
    return folder / MODEL
