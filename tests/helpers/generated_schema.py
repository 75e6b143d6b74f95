"""TFLite's metadata schema in two packages: its source, and the classes that flatc made of it."""

import importlib.util
import re
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import flatbuffers
import pytest

# Packages that have it, and the module in whose folder it is. tflite-support has wheels up to Python 3.11.
HOMES = {"tflite-support": ("tensorflow_lite_support", "metadata"), "mediapipe": ("mediapipe", "tasks/metadata")}


def folder(package):
    """Where the package keeps it; skips where the package is missing."""
    module, inside = HOMES[package]
    # To look for a package is not to import it, which takes seconds and brings OpenCV.
    found = importlib.util.find_spec(module)
    if found is None:
        pytest.skip(f"no {package}, with whose schema ours is compared")
    return Path(next(iter(found.submodule_search_locations)), inside)


@cache
def classes(package):
    """The generated module."""
    module = ModuleType("metadata_schema_py_generated")
    SourceFileLoader(module.__name__, str(folder(package) / f"{module.__name__}.py")).exec_module(module)
    return module


def declarations(package):
    """What metadata_schema.fbs declares: (tables, enums, unions), each a dictionary of names."""
    text = re.sub(r"//.*", "", (folder(package) / "metadata_schema.fbs").read_text(encoding="utf-8"))
    found = re.findall(r"\b(table|enum|union)\s+(\w+)[^{]*\{([^}]*)\}", text)
    bodies = {kind: {name: body for what, name, body in found if what == kind} for kind in ("table", "enum", "union")}
    tables = {name: re.findall(r"(\w+)\s*:\s*([^;]+);", body) for name, body in bodies["table"].items()}
    enums = {
        name: {key: int(value) for key, value in re.findall(r"(\w+)\s*=\s*(\d+)", body)}
        for name, body in bodies["enum"].items()
    }
    return tables, enums, {name: re.findall(r"\w+", body) for name, body in bodies["union"].items()}


def read(module, packed):
    """The tree of generated objects."""
    return module.ModelMetadataT.InitFromObj(module.ModelMetadata.GetRootAs(packed, 0))


def pack(tree):
    builder = flatbuffers.Builder(0)
    builder.Finish(tree.Pack(builder), b"M001")
    return bytes(builder.Output())
