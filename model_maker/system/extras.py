"""EXTRAS: the packages that each extra of this distribution installs.

A feature that imports one of them calls `require` before any work, so a missing package leads to a one-line message
with the command that installs it. Nothing is imported here.
"""

import importlib.util
import platform
import sys
from dataclasses import dataclass

from model_maker.errors import ModelMakerError

# Name of the extra to the import names of its packages; tests compare it with setup.cfg.
EXTRAS = {
    # tensorflow-hub imports pkg_resources, which setuptools contains up to version 81.
    "tensorflow": ("tensorflow", "keras", "tensorflow_hub", "pkg_resources", "tensorboard"),
    "kaggle": ("kagglehub",),
    "onnx": ("onnx", "onnxruntime", "tf2onnx"),
    "openvino": ("openvino",),
    "coreml": ("coremltools",),
    "heif": ("pillow_heif",),
    "parquet": ("pyarrow",),
    "video": ("av",),
    "ray": ("ray", "pyarrow", "pandas"),
    "verify": ("mediapipe", "tflite_support", "libusb_package"),
}
_TITLES = {
    "av": "PyAV",
    "keras": "Keras",
    "mediapipe": "MediaPipe",
    "onnx": "ONNX",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "pkg_resources": "pkg_resources",
    "ray": "Ray",
    "tensorflow": "TensorFlow",
}


@dataclass(frozen=True)
class _Releases:
    """The newest Python that a package has releases for, and prefixes of `MACHINE`, empty for any machine."""

    python: tuple[int, int]
    machines: tuple[str, ...] = ()


_TENSORFLOW, _TASK_LIBRARY = _Releases((3, 13)), _Releases((3, 11), ("Linux x86_64",))
# Packages with fewer platforms than this one; setup.cfg has the same limits as markers.
_RELEASES = {
    **dict.fromkeys(EXTRAS["tensorflow"], _TENSORFLOW),
    "coremltools": _Releases((3, 13), ("macOS", "Linux x86_64")),
    "tflite_support": _TASK_LIBRARY,
    "libusb_package": _TASK_LIBRARY,
}
_OLDEST = (3, 11)
PYTHON = sys.version_info[:2]
MACHINE = f"{platform.system()} {platform.machine()}".replace("Darwin", "macOS")


def is_here(module: str) -> bool:
    """Whether a package is installed, without importing it."""
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:  # raised by some finders
        return False
    except ValueError:  # a stub in sys.modules without a spec
        return True
    # An empty folder of that name, which uninstalling may leave, has a spec but no origin.
    return spec is not None and spec.origin is not None


def lacking(*modules: str, what: str) -> str:
    """Returns a one-line message on missing packages of EXTRAS and how to install them, "" if nothing is missing.

    It begins with `what`, the feature that needs them.
    """
    missing = [module for module in modules if not is_here(module)]
    if not missing:
        return ""
    for module in missing:
        if obstacle := _obstacle(module):
            return f"{what} needs {_title(module)}, which has no release for {obstacle}"
    verb = "is" if len(missing) == 1 else "are"
    return f"{what} needs {_listed(list(map(_title, missing)))}, which {verb} not installed. Run: {command(*missing)}"


def require(*modules: str, what: str, error: type[ModelMakerError] = ModelMakerError) -> None:
    """Raises `error` with the message of `lacking` if a package is missing."""
    if line := lacking(*modules, what=what):
        raise error(line)


def command(*modules: str) -> str:
    """Returns the command that installs packages, with as few extras as possible."""
    missing, chosen = set(modules), []
    # Extras with most of the packages come first: Ray's extra includes pyarrow, too.
    for extra in sorted(EXTRAS, key=lambda name: -len(missing.intersection(EXTRAS[name]))):
        if missing.intersection(EXTRAS[extra]):
            chosen.append(extra)
            missing.difference_update(EXTRAS[extra])
    return f"pip install 'model-maker[{','.join(sorted(chosen))}]'"


def _obstacle(module: str) -> str:
    """Returns why no release of a package fits this platform, and the Python to use instead; "" if one fits."""
    releases = _RELEASES.get(module)
    if releases is None or (releases.python >= PYTHON and MACHINE.startswith(releases.machines or "")):
        return ""
    oldest, newest, here = (".".join(map(str, version)) for version in (_OLDEST, releases.python, PYTHON))
    instead = newest if oldest == newest else f"{oldest} to {newest}"
    if not releases.machines:
        return f"Python {here}. Use Python {instead}."
    return f"Python {here} on {MACHINE}. Use Python {instead} on {' or '.join(releases.machines)}."


def _title(module: str) -> str:
    return _TITLES.get(module, module.replace("_", "-"))


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
