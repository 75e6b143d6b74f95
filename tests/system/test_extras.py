"""Extras as setup.cfg declares them, and the line that says which of them is missing."""

import configparser
import itertools
import re
import sys
import tomllib
import types
from collections import defaultdict

import pytest
from absent_extras import ROOT

import model_maker
from model_maker.errors import DataError
from model_maker.options import Options
from model_maker.system import extras

SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
# Extras that bring nothing to import: for people who develop this package, those that name others, weights.
OTHERS = {"all", "docs", "export", "lite", "parity", "release", "test", "test-base"}
# What the requirements of setup.cfg are imported as, where that is not their name with underscores.
IMPORTED_AS = {"setuptools": {"pkg_resources"}, "ray": {"ray", "pyarrow", "pandas"}}
RUN = "which is not installed. Run: pip install 'model-maker[{}]'"


def requirements(extra):
    """The lines of an extra in setup.cfg, parsed."""
    parse = pytest.importorskip("packaging.requirements").Requirement
    lines = SETUP["options.extras_require"][extra].splitlines()
    return [parse(line) for line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("extra", sorted(set(SETUP["options.extras_require"]) - OTHERS))
def test_the_registry_is_what_setup_declares(extra):
    modules = [IMPORTED_AS.get(entry.name, {entry.name.replace("-", "_")}) for entry in requirements(extra)]
    assert set(extras.EXTRAS[extra]) == set().union(*modules)


def test_each_extra_is_declared_and_has_a_mark_for_tests():
    assert set(extras.EXTRAS) == set(SETUP["options.extras_require"]) - OTHERS
    marks = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert {line.partition(":")[0].partition("(")[0] for line in marks["markers"]} == {"slow", "base", *extras.EXTRAS}


@pytest.mark.parametrize("machine", ["Linux x86_64", "Linux aarch64", "macOS arm64", "Windows AMD64"])
@pytest.mark.parametrize("python", [(3, 11), (3, 12), (3, 13), (3, 14)])
def test_no_command_is_given_that_cannot_work(monkeypatch, python, machine):
    """Where a marker of setup.cfg leaves a package out, the line says so, and nowhere else."""
    monkeypatch.setattr(extras, "is_here", lambda module: False)
    monkeypatch.setattr(extras, "PYTHON", python)
    monkeypatch.setattr(extras, "MACHINE", machine)
    system, processor = machine.split()
    platforms = {"Linux": "linux", "macOS": "darwin", "Windows": "win32"}
    there = {"python_version": ".".join(map(str, python)), "sys_platform": platforms[system]}
    there["platform_machine"] = processor
    markers = defaultdict(list)
    for entry in itertools.chain(*map(requirements, extras.EXTRAS)):
        for module in IMPORTED_AS.get(entry.name, {entry.name.replace("-", "_")}):
            markers[module].append(entry.marker)
    limited = {module: found for module, found in markers.items() if None not in found}
    assert {"tensorflow", "tflite_support"} <= set(limited)
    for module, found in limited.items():
        offered = any(marker.evaluate(there) for marker in found)
        line = extras.lacking(module, what="This")
        assert ("Run: pip install 'model-maker[" in line) == offered, line
        assert ("has no release for Python" in line) != offered, line
        assert "\n" not in line


@pytest.mark.parametrize(
    ("modules", "line"),
    [
        (["tensorflow"], "X needs TensorFlow, which has no release for Python 3.14. Use Python 3.11 to 3.13."),
        (
            ["onnx", "tensorflow"],
            "X needs TensorFlow, which has no release for Python 3.14. Use Python 3.11 to 3.13.",
        ),
        (
            ["tflite_support"],
            "X needs tflite-support, which has no release for Python 3.14 on Linux aarch64. "
            "Use Python 3.11 on Linux x86_64.",
        ),
        (
            ["coremltools"],
            "X needs coremltools, which has no release for Python 3.14 on Linux aarch64. "
            "Use Python 3.11 to 3.13 on macOS or Linux x86_64.",
        ),
        (
            ["onnx", "tf2onnx"],
            "X needs ONNX and tf2onnx, which are not installed. Run: pip install 'model-maker[onnx]'",
        ),
    ],
)
def test_the_line_names_what_is_missing_and_the_way_out(monkeypatch, modules, line):
    monkeypatch.setattr(extras, "is_here", lambda module: False)
    monkeypatch.setattr(extras, "PYTHON", (3, 14))
    monkeypatch.setattr(extras, "MACHINE", "Linux aarch64")
    assert extras.lacking(*modules, what="X") == line
    with pytest.raises(DataError, match=re.escape(line)):
        extras.require(*modules, what="X", error=DataError)


@pytest.mark.parametrize(
    ("modules", "names"),
    [
        (["tensorflow", "tf2onnx"], "onnx,tensorflow"),
        (["pyarrow"], "parquet"),
        (["ray", "pyarrow", "pandas"], "ray"),
        (["ray"], "ray"),
        (["tensorflow", "tensorflow_hub", "pkg_resources"], "tensorflow"),
    ],
)
def test_the_command_installs_as_little_as_it_can(modules, names):
    assert extras.command(*modules) == f"pip install 'model-maker[{names}]'"


def test_what_is_installed_needs_no_word():
    assert extras.lacking("json", what="X") == ""
    extras.require("json", "csv", what="X")


def test_a_folder_that_is_left_of_a_package_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "left_over" / "__pycache__").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    assert not extras.is_here("left_over")
    assert not extras.is_here("no_such_package_at_all")


def test_a_stand_in_counts_as_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "stand_in", types.ModuleType("stand_in"))
    assert extras.is_here("stand_in")


@pytest.mark.tensorflow
def test_tensorflow_without_tensorboard_writes_no_logs(monkeypatch, tmp_path):
    monkeypatch.setattr(extras, "is_here", lambda module: module != "tensorboard")
    line = f"`tensorboard` needs tensorboard, {RUN.format('tensorflow')}"
    with pytest.raises(DataError, match=re.escape(line)):
        model_maker.train(
            tmp_path, tmp_path / "model", options=Options(fine_tune="tail"), tensorboard=tmp_path / "logs"
        )
