"""Every block of code in docs/ runs as it stands, or says why it cannot; the site builds, and fetches nothing."""

import ast
import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import loopback_benchmark
import pages
import pytest
import test_apps
import test_ios

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
        _set_out(tmp_path, request.getfixturevalue("conv_embedder"))
        if page.name == "index.md":  # which shows the tutorial's own commands
            printed = ran
        else:
            shutil.rmtree(tmp_path / "flowers_app")
    pages.run(text, tmp_path, printed)


def _set_out(folder, network):
    """What pages say that the reader has: more photos, networks from elsewhere, an app's sources, an iPhone's log."""
    shutil.copytree(folder / "flowers", folder / "more_flowers", copy_function=os.link)
    shutil.copytree(folder / "flowers/rose", folder / "more_flowers/rosehip", copy_function=os.link)
    shutil.rmtree(folder / "more_flowers/rose")
    for name in ("my_embedder.tflite", "downloaded.tflite"):
        (folder / name).write_bytes(network)
    app = folder / "litert-samples/compiled_model_api/image_classification/kotlin_cpu_gpu/android"
    test_apps.sample(app, "LiteRT's Android sample (CompiledModel)")
    (folder / "console.txt").write_text(test_ios.CONSOLE)


def _titled(title):
    blocks = [b for page in pages.PAGES for b in pages.blocks(page.read_text(encoding="utf-8")) if b.title == title]
    return [command for block in blocks for command in pages.commands(block.text)]


def test_what_needs_a_phone_runs_on_one_that_is_played(tutorial, adb, attach, tmp_path):
    folder, _ = tutorial
    shutil.copytree(folder / "flowers_model", tmp_path / "flowers_model", copy_function=os.link)
    loopback_benchmark.write_benchmark(tmp_path)

    def run(command):
        quick = " --cooldown 0 --runs 5" if command.text.startswith("benchmark") else ""
        words = shlex.split(command.text + quick)
        program = [sys.executable, "-m", "benchmarks"] if words[0] == "benchmark" else [str(adb)]
        return subprocess.run([*program, *words[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)

    [absent] = _titled("With no phone attached")
    done = run(absent)
    assert (done.returncode, done.stderr.strip()) == (1, "\n".join(absent.shown))
    device = attach()
    subprocess.run([adb, "connect", device.serial], capture_output=True, timeout=20, check=True)
    commands = _titled("With a phone attached")
    assert len(commands) >= 3
    for command in commands:
        done = run(command)
        assert done.returncode == 0, done.stderr
        assert device.serial in done.stdout or "Loopback 1" in done.stdout


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
