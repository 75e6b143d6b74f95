"""Every block of code in docs/ runs as it stands, or says why it cannot; the site builds, and fetches nothing."""

import ast
import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pages
import pytest

import model_maker
from model_maker import cli

DOCS = pages.ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
SETUP = (pages.ROOT / "setup.cfg").read_text(encoding="utf-8")


def _name(page):
    return str(page.relative_to(DOCS))


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory, lite0):
    """The folder in which the tutorial ran, and what its commands printed."""
    folder, printed = tmp_path_factory.mktemp("tutorial"), {}
    pages.run(TUTORIAL.read_text(encoding="utf-8"), folder, printed)
    return folder, printed


def test_tutorial_runs_from_an_empty_folder(tutorial):
    folder, _ = tutorial
    assert (folder / "flowers_app/app/src/main/assets/model.tflite").is_file()


@pytest.mark.parametrize("page", [page for page in pages.PAGES if page != TUTORIAL], ids=_name)
def test_every_block_runs(page, request, tmp_path):
    text, printed = page.read_text(encoding="utf-8"), {}
    if any(b.language in ("console", "python") and b.title in ("", pages.FAILS) for b in pages.blocks(text)):
        # Pages go on where the tutorial ended, each in a copy. No command writes into a file that is there.
        folder, ran = request.getfixturevalue("tutorial")
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True, copy_function=os.link)
        if page.name == "index.md":  # which shows the tutorial's own commands
            printed = ran
        else:
            shutil.rmtree(tmp_path / "flowers_app")
    pages.run(text, tmp_path, printed)


def test_each_reason_not_to_run_is_used():
    texts = [page.read_text(encoding="utf-8") for page in [*pages.PAGES, pages.ROOT / "README.md"]]
    assert {block.title for text in texts for block in pages.blocks(text)} - {"", pages.FAILS} == set(pages.SHOWN_ONLY)


@pytest.mark.parametrize("page", pages.PAGES, ids=_name)
def test_extras_exist(page):
    for extra in re.findall(r"model-maker\[(\w+)\]", page.read_text(encoding="utf-8")):
        assert f"\n{extra} =\n" in SETUP, extra


@pytest.mark.parametrize("name", ["Classifier", "codegen", "load_dataset"])
def test_example_of_docstring(name, tutorial, monkeypatch):
    """Those of the others take minutes, or what they give depends on what else is installed."""
    folder, _ = tutorial
    monkeypatch.chdir(folder)
    shutil.copy("flowers/rose/rose_000.jpg", "rose.jpg")
    examples = doctest.DocTestFinder(recurse=False).find(getattr(model_maker, name), name, globs={})
    results = [doctest.DocTestRunner().run(example) for example in examples]
    assert sum(result.attempted for result in results) >= 2
    assert sum(result.failed for result in results) == 0


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, as `make docs` builds it."""
    pytest.importorskip("material", reason="mkdocs-material is missing: pip install 'model-maker[docs]'")
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=pages.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_site_fetches_nothing(site):
    for path in site.rglob("*.html"):
        sources = re.findall(r"<(?:script|img|iframe)[^>]+src=[\"']?([^\"' >]+)", path.read_text(encoding="utf-8"))
        sources += re.findall(r"<link[^>]+href=[\"']?([^\"' >]+)", path.read_text(encoding="utf-8"))
        assert sources
        assert [source for source in sources if "//" in source] == [], path


def test_reference_tells_every_public_name(site):
    html = (site / "reference/python.html").read_text(encoding="utf-8")
    for name in set(model_maker.__all__) - {"__version__"}:
        assert f'id="model_maker.{name}"' in html, name


def test_reference_tells_every_command_and_option(site):
    """Against the source of the parser: what stands in its calls as a string stands in the page."""
    html = (site / "reference/commands.html").read_text(encoding="utf-8")
    sources = (path.read_text(encoding="utf-8") for path in Path(cli.__file__).parent.glob("*.py"))
    calls = [node for text in sources for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    options = {
        call.args[0].value
        for call in calls
        if getattr(call.func, "attr", "") == "add_argument" and isinstance(call.args[0], ast.Constant)
    } - {"--version", "--debug"}
    assert len(options) > 50
    assert "<code>--help" not in html and "SUPPRESS" not in html
    for option in options - {"model", "photos", "data", "directory", "shell"}:
        assert f"<code>{option}" in html, option
