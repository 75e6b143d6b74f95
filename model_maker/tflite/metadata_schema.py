"""The generated classes of TFLite's metadata schema, as `schema`, from whichever package has them.

They are pure Python and need neither libusb nor TensorFlow. tflite-support has wheels up to Python 3.11; beyond it, the
same schema is a file of MediaPipe's, loaded by its path, for importing `mediapipe` takes seconds and brings OpenCV.
"""

from __future__ import annotations

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from model_maker.errors import ModelError

__all__ = ["PACKAGE", "schema"]

_IN_MEDIAPIPE = "tasks/metadata/metadata_schema_py_generated.py"
_ADVICE = "pip install tflite-support on Python 3.11, 'mediapipe>=1.2,<1.3' on 3.12"


def _find() -> tuple[ModuleType, str]:
    """Returns the schema, and the package that it is from.

    Raises:
      ModelError: neither package is installed, or MediaPipe's has no such file.
    """
    try:
        from tensorflow_lite_support.metadata import metadata_schema_py_generated
    except ImportError:
        file = _mediapipe_file()
        module = ModuleType(file.stem)
        SourceFileLoader(file.stem, str(file)).exec_module(module)
        return module, "mediapipe"
    return metadata_schema_py_generated, "tflite-support"


def _mediapipe_file() -> Path:
    # To look for a package is not to import it; to look for a module inside would be.
    package = importlib.util.find_spec("mediapipe")
    for folder in (package and package.submodule_search_locations) or ():
        if (file := Path(folder, _IN_MEDIAPIPE)).is_file():
            return file
    raise ModelError(f"The schema of TFLite metadata is not installed. Run: {_ADVICE}")


if TYPE_CHECKING:
    from tensorflow_lite_support.metadata import metadata_schema_py_generated as schema

    PACKAGE: str
else:
    schema, PACKAGE = _find()
