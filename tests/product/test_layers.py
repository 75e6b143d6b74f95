"""Imports go down only: the design in docs/ARCHITECTURE.md, walked."""

import ast
import subprocess
import sys
from collections import Counter

import pytest
from checkout import ROOT

import model_maker


def test_imports_go_down_and_nowhere_in_circles():
    """The contracts in pyproject.toml, which docs/ARCHITECTURE.md explains.

    In a child process: import-linter disables every logger of the process that it runs in.
    """
    check = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, cwd=ROOT)
    assert "Contracts: " in done.stdout
    assert done.returncode == 0, done.stdout


def test_every_room_is_in_the_architecture():
    text = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = {path.name for path in (ROOT / "model_maker").iterdir() if (path / "__init__.py").exists()}
    assert len(rooms) > 15
    assert [room for room in sorted(rooms) if f"  {room}/ " not in text] == []


def test_no_two_modules_or_classes_have_one_name():
    modules = [path for path in (ROOT / "model_maker").rglob("*.py") if path.name not in ("__init__.py", "__main__.py")]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in modules]
    classes = [node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    assert len(modules) > 300 and len(classes) > 300
    for names in ([path.name for path in modules], classes):
        assert [name for name, times in Counter(names).items() if times > 1] == []


@pytest.mark.parametrize(
    "module",
    [
        "model_maker",
        "model_maker.cli",
        "model_maker.training.train",
        "model_maker.backbones",
        "model_maker.cli.training_views",
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


def names_in(path):
    """Every name that a module gives to something, or imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.asname or node.name


def test_what_modules_import_from_each_other_is_there():
    """Also where a function imports it: mypy passes over modules that it does not find."""
    missing, checked = [], 0
    for path in [*(ROOT / "model_maker").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not str(node.module).startswith(("model_maker", "benchmarks")):
                continue
            place = ROOT / node.module.replace(".", "/")
            module = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
            given = set(names_in(module)) if module.is_file() else set()
            modules = {inner.stem for inner in place.iterdir()} if place.is_dir() else set()
            wanted = {alias.name for alias in node.names}
            missing += [f"{path.relative_to(ROOT)}: {node.module}.{name}" for name in wanted - given - modules]
            checked += 1
    assert checked > 500 and missing == []
