"""What setup.cfg asks for, what CONTRIBUTING.md says of it, and on which Pythons and systems it is tried."""

import ast
import configparser
import fnmatch
import importlib.metadata
import os
import re
import sys
import tomllib

import pytest
from checkout import ROOT

requirements = pytest.importorskip("packaging.requirements")
specifiers = pytest.importorskip("packaging.specifiers")
yaml = pytest.importorskip("yaml")

SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
EXTRAS = SETUP["options.extras_require"]
# Extras for people who develop this package, and `all`, which names the others.
NOT_FEATURES = {"all", "docs", "parity", "release", "test", "test-base"}
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def parsed(text):
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [requirements.Requirement(line) for line in lines]


def everything():
    """Each requirement that setup.cfg states, once for each place."""
    texts = [SETUP["options"]["install_requires"], *EXTRAS.values()]
    return [entry for text in texts for entry in parsed(text)]


def pythons():
    """The versions that the classifiers name."""
    return re.findall(r"Programming Language :: Python :: (3\.\d+)$", SETUP["metadata"]["classifiers"], re.M)


def table():
    """{name or pattern of a name: what CONTRIBUTING.md says that it is for}."""
    section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Dependencies")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", section, re.M)[1:]
    return {name.strip(): why for names, why in rows for name in re.sub(r" \(.*?\)", "", names).split(",")}


def test_each_dependency_has_its_line():
    known = table()
    for entry in everything():
        if entry.name != "model-maker":
            assert any(fnmatch.fnmatchcase(entry.name, name) for name in known), entry.name


def test_each_line_is_of_a_dependency():
    names = {entry.name for entry in everything()}
    elsewhere = "".join(
        (ROOT / name).read_text(encoding="utf-8")
        for name in (".ci/run", ".ci/debian_python", "package.json", "Makefile")
    )
    for name in table():
        assert fnmatch.filter(names, name) or name in elsewhere, name


def test_each_range_has_a_lower_end_and_is_given_once_for_each_python():
    for text in (SETUP["options"]["install_requires"], *EXTRAS.values()):
        seen = {}
        for entry in parsed(text):
            if entry.name == "model-maker":
                assert entry.extras and set(entry.extras) <= set(EXTRAS)
                continue
            assert not entry.url
            assert any(part.operator == ">=" for part in entry.specifier) or entry.name == "setuptools", str(entry)
            for python in pythons():
                there = {"python_version": python, "sys_platform": "linux", "platform_machine": "x86_64"}
                if entry.marker is None or entry.marker.evaluate(there):
                    assert seen.setdefault((entry.name, python), entry) is entry


def test_all_is_every_feature():
    [entry] = parsed(EXTRAS["all"])
    reached, waiting = set(), set(entry.extras)
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= {extra for inner in parsed(EXTRAS[name]) if inner.name == "model-maker" for extra in inner.extras}
    assert reached == set(EXTRAS) - NOT_FEATURES


def test_the_base_has_no_package_of_an_extra():
    base = {entry.name for entry in parsed(SETUP["options"]["install_requires"])}
    features = {entry.name for name in set(EXTRAS) - NOT_FEATURES for entry in parsed(EXTRAS[name])}
    assert not base & features
    assert "tensorflow" in features


def imports():
    """{top-level module that our code imports from elsewhere: a file that does}."""
    found = {}
    for path in (path for package in ("model_maker", "benchmarks") for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            found |= {name.split(".")[0]: path for name in names}
    ours = {"model_maker", "benchmarks"}
    return {name: path for name, path in found.items() if name not in sys.stdlib_module_names | ours}


# `doctor --fix` has photos read by what else is installed, whoever asked for it.
AT_HAND = {"cv2", "imageio"}


def test_what_is_imported_is_asked_for():
    asked = {re.sub(r"[-_.]+", "-", entry.name).lower() for entry in everything()}
    brings = importlib.metadata.packages_distributions()
    for module, path in imports().items():
        if module in AT_HAND:
            continue
        from_ = {re.sub(r"[-_.]+", "-", name).lower() for name in brings.get(module, [module])}
        assert from_ & asked, f"{path} imports {module}, of {from_}"


def test_python_has_no_upper_bound():
    wanted = specifiers.SpecifierSet(SETUP["options"]["python_requires"])
    assert all(python in wanted for python in (*pythons(), "3.99"))
    assert "3.10" not in wanted and pythons()[0] == "3.11"


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_a_workflow_uses_is_there(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(workflow[True]) == {"push", "pull_request"}  # YAML reads the key `on` as true
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    pytest_options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]
    marks = {line.split(":")[0] for line in pytest_options["ini_options"]["markers"]}
    for step in steps(workflow):
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])
            continue
        assert set(re.findall(r"\bmake ([\w-]+)", step["run"])) <= set(targets)
        for name in re.findall(r"\btests/\S+", step["run"]):
            assert os.access(ROOT / name, os.X_OK), name
        for named in re.findall(r"\.\[([\w,-]+)\]", step["run"]):
            assert set(named.split(",")) <= set(EXTRAS)
        for mark in re.findall(r"pytest -m \"?(?:not )?(\w+)", step["run"]):
            assert mark in marks
    for name, job in workflow["jobs"].items():
        assert set(job.get("needs", "").split()) <= set(workflow["jobs"]) - {name}


def test_every_python_and_system_of_the_classifiers_is_tried():
    [path] = WORKFLOWS
    matrix = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]["base"]["strategy"]["matrix"]
    assert matrix["python"] == pythons()
    systems = {"ubuntu": "POSIX :: Linux", "macos": "MacOS", "windows": "Microsoft :: Windows"}
    named = re.findall(r"Operating System :: (.+)", SETUP["metadata"]["classifiers"])
    assert {systems[runner.split("-")[0]] for runner in matrix["os"]} == set(named)


def test_ci_uses_the_release_on_every_other_python():
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    tried = re.findall(r"find_python (3\.\d+)", script)
    assert [re.search(r"PYTHONS := python(\S+)", makefile)[1], *tried] == pythons()
