"""The Dockerfile, read: what it copies is there, what it starts exists, hadolint is content. Docker alone builds it."""

import configparser
import json
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from checkout import ROOT


def _instructions():
    """(word, rest) of each instruction; continued lines are joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def _of(word):
    return [rest for name, rest in _instructions() if name == word]


def _setup():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def _ignored(name):
    """Whether .dockerignore keeps a path out: the last pattern that fits it, or a folder above it, decides."""
    out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("**/")
            above = [Path(name), *Path(name).parents]
            parts = [path.name for path in above] if "**/" in line else [str(path) for path in above]
            if any(fnmatchcase(part, pattern) for part in parts if part not in ("", ".")):
                out = not line.startswith("!")
    return out


def _sources():
    """What is copied from the checkout."""
    return [word for rest in _of("COPY") if "--from=" not in rest for word in rest.split()[:-1]]


def test_what_is_copied_is_there_and_not_ignored():
    assert {"setup.py", "model_maker", "android_assets"} <= set(_sources())
    assert [name for name in _sources() if not (ROOT / name).exists() or _ignored(name)] == []


def test_nothing_else_reaches_the_build():
    for name in (".git", ".venv", "tests", "node_modules", "demo", "model_maker/__pycache__", "CHANGELOG.md"):
        assert _ignored(name), name
    for name in ("model_maker/demo/page/runtime/core.js", "model_maker/py.typed"):
        assert not _ignored(name), name


def test_all_that_a_wheel_is_built_from_is_copied():
    """setup.py, its apps and packages, the readme and licence; setuptools reads nothing else of the checkout."""
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    apps = re.search(r"APPS = \((.*)\)", text).group(1).replace('"', "").split(", ")
    packages = [pattern.removesuffix("*") for pattern in _setup()["options.packages.find"]["include"].split()]
    files = ["setup.py", "setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"]
    assert set(_sources()) == {*apps, *packages, *files}


def test_its_python_is_one_that_we_support():
    stages = [rest.split()[0] for rest in _of("FROM")]
    assert len(stages) == 2 and len(set(stages)) == 1
    version = re.fullmatch(r"python:3\.(\d+)-slim-[a-z]+", stages[0])
    specifiers = pytest.importorskip("packaging.specifiers")
    assert f"3.{version.group(1)}" in specifiers.SpecifierSet(_setup()["options"]["python_requires"])


def test_it_starts_our_program_as_nobody_special():
    [entry_point], [user] = _of("ENTRYPOINT"), _of("USER")
    scripts = _setup()["options.entry_points"]["console_scripts"]
    [program] = json.loads(entry_point)
    assert re.search(rf"^{program} = ", scripts, re.M)
    assert int(user) > 0
    words = [word for word, _ in _instructions()]
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert json.loads(*_of("VOLUME")) == ["/data", "/cache"]


def test_hadolint_finds_nothing():
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if not hadolint:
        pytest.skip("no hadolint")
    done = subprocess.run([hadolint, "--no-color", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
