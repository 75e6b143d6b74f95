"""The Android app, as far as it can be checked without a phone: names, types, resources, what it makes of a model."""

import dataclasses
import hashlib
import re
import shutil
import subprocess
import tomllib
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import fitted_models
import kotlin_runs
import numpy as np
import pytest
import syntax
from checkout import HELPERS, ROOT
from kotlin_compiler import compile_kotlin, run_kotlin
from PIL import Image
from taught_head import by_hand, small_head

from model_maker import Classifier
from model_maker.apps import put_in_app
from model_maker.data import images
from model_maker.normalization import Normalization
from model_maker.packaging import self_test
from model_maker.tflite import graph, metadata, output_heads
from model_maker.tflite.label_sets import LabelSets

APP = ROOT / "android_assets"
MAIN = APP / "app/src/main"
SOURCES = sorted(MAIN.rglob("*.kt"))
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
NAMESPACE = re.search(r'namespace = "(.*)"', (APP / "app/build.gradle.kts").read_text())[1]
ANDROID = "{http://schemas.android.com/apk/res/android}"


@pytest.fixture(scope="module")
def linked(make_tiny_model, tmp_path_factory):
    """The APK without code, and R.java, as Android's own tool links them; the model is among the assets."""
    if shutil.which("aapt2") is None:
        pytest.skip("no aapt2")
    if not FRAMEWORK.exists():
        pytest.skip("no android-framework-res")
    folder = tmp_path_factory.mktemp("linked")
    # The Gradle plugin puts the namespace there.
    manifest = (MAIN / "AndroidManifest.xml").read_text().replace("<manifest ", f'<manifest package="{NAMESPACE}" ')
    (folder / "AndroidManifest.xml").write_text(manifest)
    (folder / "assets").mkdir()
    (folder / "assets/model.tflite").write_bytes(make_tiny_model())
    link = ["link", "-0", ".tflite", "-I", FRAMEWORK, "--manifest", "AndroidManifest.xml", "-A", "assets"]
    link += ["--min-sdk-version", "28", "--java", "java", "-o", "app.apk", "resources.zip"]
    for words in (["compile", "--dir", MAIN / "res", "-o", "resources.zip"], link):
        done = subprocess.run(["aapt2", *map(str, words)], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return folder


def test_resources_and_manifest_link_and_the_model_is_stored(linked, make_tiny_model):
    with zipfile.ZipFile(linked / "app.apk") as archive:
        model = archive.getinfo("assets/model.tflite")
        assert model.compress_type == zipfile.ZIP_STORED
        assert archive.read(model) == make_tiny_model()


def test_the_build_leaves_models_uncompressed():
    assert re.search(r'androidResources \{\s+noCompress \+= "tflite"', (APP / "app/build.gradle.kts").read_text())


@pytest.fixture(scope="module")
def classes(linked, tmp_path_factory):
    """The whole app, against declarations of the libraries and the real R.java, and its harness."""
    folder = tmp_path_factory.mktemp("app")
    here = HELPERS / "kotlin"
    sources = [
        *SOURCES,
        *linked.glob("java/**/R.java"),
        here / "AppHarness.kt",
        here / "TeachHarness.kt",
        here / "SelfTestHarness.kt",
    ]
    assert compile_kotlin(sources, folder / "classes") == []
    return folder / "classes"


@pytest.mark.slow
def test_the_compiler_sees_a_name_that_is_not_there(linked, tmp_path):
    text = (MAIN / "kotlin/modelmaker/classifier/MainViewModel.kt").read_text()
    (tmp_path / "MainViewModel.kt").write_text(text.replace("R.string.no_photo", "R.string.no_foto"))
    others = [path for path in SOURCES if path.name != "MainViewModel.kt"]
    sources = [*others, *linked.glob("java/**/R.java"), tmp_path / "MainViewModel.kt"]
    [error] = compile_kotlin(sources, tmp_path / "classes")
    assert "no_foto" in error


@pytest.mark.slow
@pytest.mark.parametrize("io", graph.IO_TYPES)
def test_the_app_reads_the_model_and_feeds_it_as_training_did(classes, make_tiny_model, tmp_path, io):
    labels = ("rose", "🌻 sun", 'a "b" \\ $c')
    content = make_tiny_model("int8" if io == "uint8" else "none", io, labels)
    own = (0.5, 0.25, 0.75) if io == "uint8" else ()
    info = metadata.ModelInfo(labels, metadata.read(content).normalization, threshold=0.25, label_thresholds=own)
    content = metadata.write(content, info)
    (tmp_path / "m.tflite").write_bytes(content)
    rgba = np.random.default_rng(4).integers(0, 256, (33, 47, 4), np.uint8)
    [scores] = kotlin_runs.prepare(tmp_path / "run", content, rgba)
    told, fed = kotlin_runs.run(classes, "harness.app.AppHarnessKt", tmp_path / "run")
    mean, std, _, limits, count, *texts = told
    assert (float(mean), float(std), int(count)) == (127, 128, 3)
    assert tuple(map(float, limits.split())) == (own or (0.25,) * 3)
    assert tuple(texts[:3]) == labels
    pixels = images.load(Image.fromarray(rgba), 8)[None]
    expected = pixels if io == "uint8" else ((pixels.astype(np.float64) - 127) / 128).astype(np.float32)
    np.testing.assert_array_equal(fed, expected)
    best = [entry for entry in Classifier(content).rank(scores, top_k=2) if entry.index >= 0]
    name, shown, *ranked = texts[3:]
    assert (name, int(shown)) == ("", len(best))
    assert ranked[::2] == [entry.label for entry in best]
    np.testing.assert_allclose([float(text) for text in ranked[1::2]], [entry.score for entry in best], rtol=1e-6)


@pytest.mark.slow
def test_the_app_shows_each_head_of_a_combined_model(classes, conv_embedder, tmp_path):
    names, labels = ("letters", "light"), (("a", "b", "ü"), ("day", "night"))
    single = [graph.attach_head(conv_embedder, np.ones((len(own), 16)), np.zeros(len(own))) for own in labels]
    sets = LabelSets(0.9, (0.1, 0.9, 0.2), (40, 40, 40), (True, True, True))
    infos = [metadata.ModelInfo(own, Normalization(127, 128), threshold=0.25) for own in labels]
    infos[0] = dataclasses.replace(infos[0], label_thresholds=(0.25, 0.75, 0.5), label_sets=sets)
    content = metadata.write_heads(output_heads.combine(single, names), dict(zip(names, infos, strict=True)))
    rgba = np.random.default_rng(4).integers(0, 256, (9, 7, 4), np.uint8)
    scores = kotlin_runs.prepare(tmp_path / "run", content, rgba)
    (mean, std, *told), _ = kotlin_runs.run(classes, "harness.app.AppHarnessKt", tmp_path / "run")
    assert (float(mean), float(std)) == (127, 128)
    expected = []
    for name, own in zip(names, labels, strict=True):
        limits = "0.25 0.75 0.5" if name == "letters" else "0.25 0.25"
        expected += [name, limits, str(len(own)), *own]
    assert told[: len(expected)] == expected
    told = told[len(expected) :]
    for name, own, info, row in zip(names, labels, infos, scores, strict=True):
        best = [index for index in np.argsort(-row, kind="stable")[:2] if row[index] >= info.limits[index]]
        shown = [name, str(len(best)), *(text for index in best for text in (own[index], str(row[index])))]
        assert [told[0], told[1], *told[2 : len(shown) : 2]] == [*shown[:2], *shown[2::2]]
        np.testing.assert_allclose(np.array(told[3 : len(shown) : 2], float), row[best], rtol=1e-6)
        told = told[len(shown) :]
        if info.label_sets:
            shown = ["labels", *(own[index] for index in sets.indices(row))]
            assert told[: len(shown)] == shown
            told = told[len(shown) :]
    assert told == []


@pytest.mark.slow
@pytest.mark.parametrize("name", fitted_models.NAMES)
def test_the_app_fits_photos_as_the_metadata_says(classes, tmp_path, name):
    content = fitted_models.make(name)
    for number, shape in enumerate([(20, 71, 4), (67, 21, 4), (1, 9, 4)]):
        rgba = np.random.default_rng(number).integers(0, 256, shape, np.uint8)
        kotlin_runs.prepare(tmp_path / str(number), content, rgba)
        _, fed = kotlin_runs.run(classes, "harness.app.AppHarnessKt", tmp_path / str(number))
        np.testing.assert_array_equal(fed[0], images.load(Image.fromarray(rgba), Classifier(content).fit))


@pytest.mark.slow
def test_the_app_shows_as_many_labels_as_the_model_promises(classes, make_tiny_model, tmp_path):
    content = make_tiny_model()
    # The scores of `prepare` are 0.08, 0.23 and 0.8: the second reaches its limit, the first does not.
    sets = LabelSets(0.9, (0.1, 0.2, 0.9), (40, 40, 40), (True, True, True))
    content = metadata.write(content, dataclasses.replace(metadata.read(content), label_sets=sets))
    [scores] = kotlin_runs.prepare(tmp_path / "run", content, np.zeros((2, 2, 4), np.uint8))
    told, _ = kotlin_runs.run(classes, "harness.app.AppHarnessKt", tmp_path / "run")
    shown = told[told.index("labels") + 1 :]
    assert shown == [metadata.read(content).labels[index] for index in sets.indices(scores)] and len(shown) == 2


@pytest.mark.slow
def test_the_app_tells_wrong_delegates_by_the_models_self_test(classes, make_tiny_model, tmp_path):
    content = make_tiny_model()
    test = self_test.make(content)
    (tmp_path / "model").write_bytes(self_test.put(content, test))
    (tmp_path / "rows").write_text("\n".join(",".join(map(str, row)) for row in test.scores))
    told = run_kotlin(classes, "harness.selftest.SelfTestHarnessKt", tmp_path).split("\0")[:-1]
    shifted = test.deviation(np.roll(test.scores, -1, axis=0))
    assert told[:2] == ["honest", "true"] and float(told[2]) < 1e-6
    assert told[3:5] == ["shifted", str(bool(shifted <= test.tolerance)).lower()]
    assert float(told[5]) == pytest.approx(shifted, abs=1e-5)
    assert told[6:9] == ["nan", "false", "NaN"]
    assert told[9:] == ["absent", "no GPU", "fastest", "NNAPI", ""]
    (tmp_path / "model").write_bytes(content)
    assert run_kotlin(classes, "harness.selftest.SelfTestHarnessKt", tmp_path) == "none\0"


@pytest.mark.slow
def test_the_app_reads_metadata_that_other_tools_wrote(classes, shared_weights, tmp_path):
    content = (shared_weights / "tflite/automl_labeler_model.tflite").read_bytes()
    kotlin_runs.prepare(tmp_path / "run", content, np.zeros((2, 2, 4), np.uint8))
    (_, _, _, _, count, *texts), _ = kotlin_runs.run(classes, "harness.app.AppHarnessKt", tmp_path / "run")
    assert tuple(texts[: int(count)]) == metadata.read(content).labels


@pytest.mark.slow
def test_the_app_is_taught_frame_by_frame_and_keeps_it(classes, conv_embedder, tmp_path):
    backbone = metadata.write(conv_embedder, metadata.ModelInfo(normalization=Normalization(127, 128)), embedder=True)
    kotlin_runs.prepare(tmp_path / "run", backbone, np.zeros((2, 2, 4), np.uint8))
    # The fake network gives the three features that can be worked out by hand.
    (tmp_path / "run/edges").write_text("FLOAT32 1,8,8,3 0 0\nFLOAT32 1,3 0 0")
    (tmp_path / "run/head.json").write_text(small_head(hashlib.sha256(backbone).hexdigest()))
    told, _ = kotlin_runs.run(classes, "harness.teach.TeachHarnessKt", tmp_path / "run")
    assert told[:4] == ["{}", "1", "0", "{c=2}"]
    scores = {label: float(score) for label, score in zip(told[4:10:2], told[5:10:2], strict=True)}
    # The app rounds to float32.
    np.testing.assert_allclose([scores[label] for label in "abc"], by_hand(), rtol=1e-6)
    assert told[10] == "{c=2}" and told[11:17] == told[4:10]
    assert told[17:] == [
        "{c=2, pressed shortly=1, held long=5}",
        "'a' is not a name for a new class.",
        "{}",
        "This head is for another backbone.",
        "head.json or what was taught is damaged",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: b"no model at all", "it is not a .tflite file"),
        (lambda content: graph.pack(graph.parse(content)), "its metadata is damaged|its metadata names no labels"),
        (lambda content: content.replace(b"TFLITE_METADATA", b"TFLITE_METADATE"), "its metadata names no labels"),
        (lambda content: content.replace(b"labels.txt", b"labels.TXT", 1), "its metadata names no labels"),
        (lambda content: content[: len(content) // 3], "its metadata is damaged"),
        (
            lambda _: fitted_models.make("square_crop").replace(b"crop", b"cowl"),
            "it fits photos in a way that this app does not know",
        ),
    ],
)
def test_a_damaged_model_is_reported(classes, make_tiny_model, tmp_path, damage, message):
    kotlin_runs.prepare(tmp_path / "run", make_tiny_model(), np.zeros((2, 2, 4), np.uint8))
    (tmp_path / "run/model").write_bytes(damage(make_tiny_model()))
    with pytest.raises(subprocess.CalledProcessError) as caught:
        kotlin_runs.run(classes, "harness.app.AppHarnessKt", tmp_path / "run")
    assert re.search(f"IllegalArgumentException: ({message})", caught.value.stderr)


@pytest.mark.parametrize("path", [*SOURCES, *APP.rglob("*.gradle.kts")], ids=lambda path: path.name)
def test_kotlin_parses(path):
    assert syntax.errors("kotlin", path.read_text(encoding="utf-8")) == []


def test_every_resource_is_used_and_none_is_missing():
    text = "".join(path.read_text() for path in [*SOURCES, *MAIN.rglob("*.xml")])
    used = set(re.findall(r"R\.(\w+)\.(\w+)", text)) | set(re.findall(r'"@(\w+)/([\w.]+)"', text))
    there = {(path.parent.name.split("-")[0], path.stem) for path in (MAIN / "res").rglob("*.xml")}
    there = {entry for entry in there if entry[0] != "values"}
    for path in (MAIN / "res/values").glob("*.xml"):
        there |= {(node.tag, node.get("name")) for node in ElementTree.parse(path).getroot()}
    assert used == there


def test_the_manifest_names_classes_that_exist():
    root = ElementTree.parse(MAIN / "AndroidManifest.xml").getroot()
    [activity] = root.iter("activity")
    name = activity.get(f"{ANDROID}name").removeprefix(".")
    assert (MAIN / "kotlin" / NAMESPACE.replace(".", "/") / f"{name}.kt").is_file()
    assert {node.get(f"{ANDROID}name") for node in root.iter("uses-permission")} == {"android.permission.CAMERA"}


def test_the_catalog_and_the_build_files_agree():
    catalog = tomllib.loads((APP / "gradle/libs.versions.toml").read_text())
    text = "".join(path.read_text() for path in APP.rglob("*.gradle.kts"))
    used = {name.removesuffix(".") for name in re.findall(r"libs\.((?!plugins)[\w.]+)", text)}
    assert used == {name.replace("-", ".") for name in catalog["libraries"]}
    plugins = set(re.findall(r"libs\.plugins\.([\w.]+)", text))
    assert plugins == {name.replace("-", ".") for name in catalog["plugins"]}
    entries = [*catalog["libraries"].values(), *catalog["plugins"].values()]
    assert {entry["version"]["ref"] for entry in entries if "version" in entry} == set(catalog["versions"])


def test_the_app_looks_where_export_puts_the_model():
    file = re.search(r'MODEL_FILE = "(.*)"', (MAIN / "kotlin/modelmaker/classifier/ModelFile.kt").read_text())[1]
    assert put_in_app.OWN["android"].model == f"app/src/main/assets/{file}"


def test_nothing_of_a_model_is_written_down_in_the_app():
    text = "".join(path.read_text() for path in SOURCES)
    assert not re.search(r"\b(224|127\.5f?|128f?|1000|1001)\b", text)
