"""Imports go down only: the design in docs/ARCHITECTURE.md, walked."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import model_maker

ROOT = Path(__file__).resolve().parents[1]


def test_imports_go_down_and_nowhere_in_circles():
    """The contracts in pyproject.toml, which docs/ARCHITECTURE.md explains."""
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_every_room_is_in_the_architecture():
    text = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = {path.name for path in (ROOT / "model_maker").iterdir() if (path / "__init__.py").exists()}
    assert len(rooms) > 15
    assert [room for room in sorted(rooms) if f"  {room}/ " not in text] == []


@pytest.mark.parametrize(
    "module",
    [
        "model_maker",
        "model_maker.cli",
        "model_maker.training.train",
        "model_maker.backbones",
        "model_maker.cli.views",
        "model_maker.compat.image_classifier",
    ],
)
def test_import_loads_nothing_that_few_commands_need(module):
    heavy = {"tensorflow", "keras", "sklearn", "matplotlib", "jinja2"}
    check = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def test_importing_the_package_loads_nothing_heavy():
    check = "import sys, model_maker; print(sorted({'numpy', 'PIL', 'ai_edge_litert', 'absl'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_only_the_command_line_prints_or_exits():
    offenders = []
    for path in (ROOT / "model_maker").rglob("*.py"):
        # The original's summary() prints, and so does ours.
        if "cli" in path.parts or path.match("compat/image_classifier.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.exit", "exit", "quit"):
                offenders.append(f"{path.name}:{node.lineno}")
    assert offenders == []


def test_no_room_hides_a_public_name():
    """Importing a room makes it an attribute of the package."""
    rooms = {path.name for path in (ROOT / "model_maker").iterdir() if (path / "__init__.py").exists()}
    modules = {path.stem for path in (ROOT / "model_maker").glob("*.py")}
    assert (rooms | modules) & set(model_maker.__all__) == set()
