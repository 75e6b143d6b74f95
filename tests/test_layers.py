"""Imports go down only: the design in docs/ARCHITECTURE.md, walked."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _layers():
    """The list under "## Layers" in the design, top first: module name to its height."""
    text = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    block = re.search(r"## Layers.*?```text[^\n]*\n(.*?)```", text, re.S).group(1)
    lines = [re.split(r"[·,]\s*", line) for line in block.splitlines() if line.strip()]
    return {name.strip(): -depth for depth, names in enumerate(lines) for name in names}


def _room(module):
    """model_maker.tflite.graph -> tflite; model_maker -> None."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def _imports(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            # "from model_maker import graph" names a module, "from model_maker.errors import X" a thing in one.
            names = [f"{node.module}.{a.name}" for a in node.names] if node.module == "model_maker" else [node.module]
        else:
            continue
        yield from ((module, name) for name in names if name.split(".")[0] in ("model_maker", "benchmarks"))


def _edges():
    files = ROOT.glob("model_maker/**/*.py")
    return [edge for path in files if path.name != "__main__.py" for edge in _imports(path)]


def test_the_package_imports_no_script_of_developers():
    assert [edge for edge in _edges() if edge[1].startswith("benchmarks")] == []


def test_every_module_has_a_layer():
    layers = _layers()
    rooms = {_room(module) for edge in _edges() for module in edge} - {None, "__init__", "__version__"}
    assert len(rooms) > 8
    assert rooms <= set(layers)


def test_imports_go_down_only():
    layers = _layers()
    upward = [
        f"{source} imports {target}"
        for source, target in _edges()
        if (here := _room(source)) in layers
        and (there := _room(target)) in layers
        and here != there
        and layers[there] >= layers[here]
    ]
    assert upward == []


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
