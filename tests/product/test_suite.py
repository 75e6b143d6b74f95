"""The tests themselves: they stand where their module does, touch nothing private, and assert something."""

import ast
import functools
from pathlib import Path

import pytest
from checkout import HELPERS, ROOT

TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("*.py"))
TEST_FILES = [path for path in FILES if path.name.startswith("test_")]
# Names with an underscore that others have, and that cannot be had otherwise.
ALLOWED = {
    "_replace": "public, of named tuples",
    "_exit": "public, of os: a process that ends without cleaning up",
    "_actions": "argparse tells its sub-commands nowhere else",
    "_SubParsersAction": "argparse tells its sub-commands nowhere else",
    "_get_ops_details": "LiteRT tells which operators a delegate took nowhere else",
    "_obj": "of ctypes.byref: what a call of the played Windows fills",
    "_pywrap_metadata_version": "tflite-support tells the version of its schema nowhere else",
    "_render_traceback_": "IPython asks errors for it",
}
# Rooms of tests that no folder of the package has: the whole product, helpers, and networks against timm's.
OTHER_ROOMS = {"product", "helpers", "parity"}
LONGEST = 400


def name_of(path):
    return path.relative_to(TESTS).as_posix()


@functools.cache
def nodes(path):
    """Every node of a Python file."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def programs(path):
    """The nodes of a Python file, and those of each program that it holds as text and starts."""
    yield nodes(path)
    for node in nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "import" in node.value:
            try:
                yield tuple(ast.walk(ast.parse(node.value)))
            except (SyntaxError, ValueError):
                continue


def is_private(name):
    return name.startswith("_") and not name.startswith("__") and name not in ALLOWED


def private_names(path):
    """What a file reads, imports or patches of others that begins with an underscore, with its line."""
    for program in programs(path):
        for node in program:
            if isinstance(node, ast.Attribute) and is_private(node.attr) and not _is_self(node.value):
                yield f"{node.lineno}: {ast.unparse(node)}"
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{node.lineno}: {alias.name}" for alias in node.names if is_private(alias.name))
            elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("setattr", "delattr"):
                words = [word.value for word in node.args[:2] if isinstance(word, ast.Constant)]
                if any(is_private(part) for word in words for part in str(word).split(".")):
                    yield f"{node.lineno}: {ast.unparse(node)}"


def _is_self(node):
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


@functools.cache
def functions(path):
    """{name: every function or method of that name} in a file."""
    found = {}
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, []).append(node)
    return found


@functools.cache
def imported(path):
    """{name in a file: the helper that it is, or that it comes from}."""
    found = {}
    for node in nodes(path):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                helper = HELPERS / f"{node.module if isinstance(node, ast.ImportFrom) else alias.name}.py"
                if helper.is_file():
                    found[alias.asname or alias.name] = helper
    return found


def asserts(node, path, seen=()):
    """Whether a function asserts, or calls one of its file, or of a helper, that does."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Assert):
            return True
        if isinstance(inner, ast.Raise) and ast.unparse(inner).startswith("raise AssertionError"):
            return True
        if isinstance(inner, ast.Call):
            *owner, called = ast.unparse(inner.func).split(".")
            if called in ("raises", "warns", "fail") or called.startswith("assert_"):
                return True
            home = imported(path).get(owner[0] if owner else called, path)
            again = [one for one in functions(home).get(called, ()) if one not in seen]
            if any(asserts(one, home, (*seen, one)) for one in again):
                return True
    return False


def test_nothing_private_is_read_or_patched():
    """A name of the package that a test needs has no underscore."""
    found = {name_of(path): list(private_names(path)) for path in FILES if path != Path(__file__)}
    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "text",
    [
        'monkeypatch.setattr(images, "_LARGE", 1)',
        'monkeypatch.setattr("model_maker.data.images._LARGE", 1)',
        "images._decode(b'')",
        "from model_maker.data.images import _decode",
        'PROGRAM = """\nimport model_maker\nprint(model_maker._names)\n"""',
    ],
)
def test_private_names_are_found(tmp_path, text):
    (tmp_path / "private.py").write_text(text)
    assert len(list(private_names(tmp_path / "private.py"))) == 1
    (tmp_path / "public.py").write_text(text.replace("_LARGE", "LARGE").replace("_decode", "d").replace("_names", "n"))
    assert list(private_names(tmp_path / "public.py")) == []


def test_every_test_asserts_something():
    checked, silent = 0, []
    for path in TEST_FILES:
        tests = [one for name, found in functions(path).items() for one in found if name.startswith("test_")]
        silent += [f"{name_of(path)}: {test.name}" for test in tests if not asserts(test, path)]
        checked += len(tests)
    assert checked > 1500 and silent == []


def test_a_test_without_an_assertion_is_found(tmp_path):
    path = tmp_path / "test_x.py"
    path.write_text(
        "def same(one, other):\n    assert one == other\n\n\n"
        "def twice(one):\n    same(one, one)\n\n\n"
        "def test_a():\n    twice(1)\n\n\n"
        "def test_b():\n    print(same)\n"
    )
    found = functions(path)
    assert asserts(found["test_a"][0], path) and not asserts(found["test_b"][0], path)


def has_its_module(path):
    """Whether a test file in a room of the package is named after a module there, or after the room."""
    room = path.parent.relative_to(TESTS)
    if room.parts and room.parts[0] in OTHER_ROOMS:
        return True
    folder = ROOT / "model_maker" / room
    modules = {
        module.stem for module in folder.iterdir() if module.suffix == ".py" or (module / "__init__.py").exists()
    }
    named = path.stem.removeprefix("test_")
    return any(named == module or named.startswith(f"{module}_") for module in modules | set(room.parts[-1:]))


def test_a_test_file_stands_where_its_module_does():
    assert [name_of(path) for path in TEST_FILES if not has_its_module(path)] == []
    assert not has_its_module(TESTS / "data/test_heads.py")


def test_names_of_test_files_are_unique():
    """pytest imports them by their base names."""
    names = [path.name for path in TEST_FILES]
    assert sorted(names) == sorted(set(names))


def test_a_test_file_is_read_in_one_sitting():
    lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: count for name, count in lines.items() if count > LONGEST} == {}


def test_the_rooms_that_are_no_folders_of_the_package_are_there():
    assert all((TESTS / room).is_dir() for room in OTHER_ROOMS)
    assert not [path for path in TESTS.rglob("__init__.py") if Path("kotlin") not in path.parents]
