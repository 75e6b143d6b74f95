"""What is released: an sdist and a wheel of this checkout, built once and looked into."""

import ast
import configparser
import email
import fnmatch
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from checkout import ROOT

import model_maker
from model_maker.version import __version__

pytestmark = pytest.mark.slow

PARTS = ("model_maker", "benchmarks", "android_assets", "ios_assets", "docs", "tests")
FILES = (
    "setup.py",
    "setup.cfg",
    "pyproject.toml",
    "MANIFEST.in",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
)
RUNTIME = "model_maker/demo/page/runtime"
# What stands about in a checkout that was worked in, and must not travel.
REMAINS = (
    "model_maker/__pycache__/old.cpython-311.pyc",
    "model_maker/notes.txt",
    "android_assets/app/build/app.apk",
    "android_assets/app/src/main/assets/model.tflite",
    "ios_assets/Pods/pod.swift",
    "ios_assets/Classifier/model.tflite",
    "docs/__pycache__/hook.cpython-311.pyc",
)


def _build(source, target, *what):
    words = [sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", str(target), str(source)]
    done = subprocess.run(words, cwd=target.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """{"sdist": path, "wheel": path built from the sdist, "direct": path built from the checkout, "said": text}."""
    pytest.importorskip("build.__main__")
    home = tmp_path_factory.mktemp("packaging")
    checkout = home / "checkout"
    for name in PARTS:
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__", "runtime"))
    for name in FILES:
        shutil.copy(ROOT / name, checkout)
    (checkout / RUNTIME).mkdir()
    for name in ("core.js", "litert_wasm_internal.wasm"):  # which `make runtime` puts there
        (checkout / RUNTIME / name).write_bytes(b"")
    for name in REMAINS:
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"remains")
    said = _build(checkout, home / "dist")
    said += _build(checkout, home / "direct", "--wheel")
    [sdist], [wheel], [direct] = home.glob("dist/*.tar.gz"), home.glob("dist/*.whl"), home.glob("direct/*.whl")
    return {"sdist": sdist, "wheel": wheel, "direct": direct, "said": said}


def _contents(wheel):
    """{name: bytes} of a wheel, without the list of hashes."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


@pytest.fixture(scope="module")
def contents(built):
    return _contents(built["wheel"])


def test_the_wheel_from_the_sdist_is_the_wheel_from_the_checkout(built, contents):
    assert contents == _contents(built["direct"])


def test_building_warns_of_nothing(built):
    # Byte-compiling is left to pip where PYTHONDONTWRITEBYTECODE is set, and setuptools says so.
    warnings = [line for line in built["said"].splitlines() if "warn" in line.lower() or "deprecat" in line.lower()]
    assert [line for line in warnings if "byte-compiling" not in line] == []


def test_the_wheel_holds_every_module_and_no_others(contents):
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "model_maker").rglob("*.py")}
    assert {name for name in contents if name.endswith(".py")} == ours


def test_the_wheel_holds_our_apps_and_what_the_code_reads(contents):
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("no git checkout")
    names = [name for name in tracked.stdout.split("\0") if (ROOT / name).is_file()]
    data = {name for name in names if name.startswith("model_maker/") and not name.endswith(".py")}
    apps = {f"model_maker/{name}" for name in names if name.startswith(("android_assets/", "ios_assets/"))}
    runtime = {f"{RUNTIME}/{name}" for name in ("core.js", "litert_wasm_internal.wasm")}
    assert {"model_maker/py.typed", "model_maker/report/templates/style.css"} <= data and len(apps) > 30
    others = {name for name in contents if not name.endswith(".py") and ".dist-info/" not in name}
    assert others == data | apps | runtime


def test_every_pattern_of_package_data_matches_a_file(contents):
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    for package, patterns in parser["options.package_data"].items():
        for pattern in patterns.split():
            # Without a folder's slash in what a star stands for, as setuptools has it.
            depth = pattern.count("/") + 2
            matches = [
                name
                for name in contents
                if name.count("/") + 1 == depth and fnmatch.fnmatchcase(name, f"{package}/{pattern}")
            ]
            assert matches, pattern


def test_nothing_that_lay_about_travels(built, contents):
    with tarfile.open(built["sdist"]) as archive:
        inside = {str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in archive.getnames()}
    for name in REMAINS:
        assert name not in inside
        assert name not in contents and f"model_maker/{name}" not in contents
    assert not [name for name in (*inside, *contents) if name.startswith("tests") or "__pycache__" in name]
    assert {"README.md", "CHANGELOG.md", "LICENSE", "docs/DATA.md", "android_assets/build.gradle.kts"} <= inside


@pytest.fixture(scope="module")
def metadata(contents):
    [text] = [content for name, content in contents.items() if name.endswith(".dist-info/METADATA")]
    return email.message_from_bytes(text)


def test_the_metadata_is_that_of_the_project(metadata, contents):
    assert (metadata["Name"], metadata["Version"]) == ("model-maker", __version__)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    [entry_points] = [text.decode() for name, text in contents.items() if name.endswith("/entry_points.txt")]
    scripts = configparser.ConfigParser()
    scripts.read_string(entry_points)
    assert dict(scripts["console_scripts"]) == {
        "model_maker": "model_maker.cli:run",
        "benchmark": "model_maker.benchmark.command_line:run",
    }
    assert [name for name in contents if name.endswith("/licenses/LICENSE")]


def test_the_version_stands_in_one_place():
    stated = [
        path.relative_to(ROOT)
        for path in (
            ROOT / "setup.cfg",
            ROOT / "setup.py",
            ROOT / "pyproject.toml",
            *(ROOT / "model_maker").rglob("*.py"),
        )
        if f'"{__version__}"' in (text := path.read_text(encoding="utf-8")) or f"version = {__version__}" in text
    ]
    assert stated == [Path("model_maker/version.py")]


def test_the_description_renders_and_links_to_nothing_that_is_not_there(metadata):
    markdown = pytest.importorskip("readme_renderer.markdown")
    assert metadata["Description-Content-Type"] == "text/markdown"
    page = markdown.render(metadata.get_payload())
    assert page is not None, "readme_renderer found no Markdown renderer"
    tables = (ROOT / "README.md").read_text(encoding="utf-8").count("\n|---")
    assert "<h1" in page and page.count("<table>") == tables > 1
    links = [part.split('"')[0] for name in ("href", "src") for part in page.split(f' {name}="')[1:]]
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert "docs/index.md is its first page" in page


def test_the_typed_program_uses_every_public_name():
    tree = ast.parse((ROOT / "tests/helpers/typed_program.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    asked = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert set(model_maker.__all__) - imported - asked == set()
