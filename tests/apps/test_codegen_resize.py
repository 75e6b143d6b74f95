"""Generated code fits photos to the input as the model's metadata says, in every language that runs here."""

import json
import os
import subprocess
from pathlib import Path
from shutil import which

import dart_as_javascript
import fitted_models
import kotlin_runs
import numpy as np
import pytest
import syntax
from checkout import HELPERS, ROOT
from kotlin_compiler import compile_kotlin
from PIL import Image

from model_maker import Classifier, split_model
from model_maker.apps import codegen, picture_code
from model_maker.data import images
from model_maker.fitting import RESIZES, Fit
from model_maker.normalization import Normalization

IO = {"square": "uint8", "oblong": "float32"}
EACH = pytest.mark.parametrize("name", fitted_models.NAMES)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """{name: path}: squares take bytes, oblongs floats."""
    folder = tmp_path_factory.mktemp("fitted")
    made = {}
    for name in fitted_models.NAMES:
        made[name] = folder / f"{name}.tflite"
        made[name].write_bytes(fitted_models.make(name, IO[name.partition("_")[0]]))
    return made


@pytest.fixture(scope="module")
def pictures():
    """Pillow images: much wider and much higher than the inputs, of odd sizes, small, of one row, with alpha."""
    random = np.random.default_rng(8)
    shapes = ((20, 71, 3), (67, 21, 3), (8, 8, 3), (6, 10, 3), (1, 50, 3), (3, 2, 3), (29, 29, 3), (30, 17, 4))
    return [Image.fromarray(random.integers(0, 256, shape, np.uint8)) for shape in shapes]


def expected_input(model, picture):
    """What the model's input has to be: normalized where it takes floats."""
    classifier = Classifier(model)
    pixels = images.load(picture, classifier.fit).astype(np.float32)
    return (pixels - 127) / 128 if "oblong" in model.name else pixels


def described(pictures):
    rgba = [np.asarray(picture.convert("RGBA")) for picture in pictures]
    return [{"width": p.shape[1], "height": p.shape[0], "data": p.ravel().tolist()} for p in rgba]


@EACH
def test_python_answers_as_the_classifier(models, pictures, name):
    namespace = {"__name__": "generated"}
    exec(compile(codegen.codegen(models[name], "python", name="Tiny"), "generated.py", "exec"), namespace)
    generated = namespace["Tiny"](models[name])
    for picture, scores in zip(pictures, Classifier(models[name]).scores(pictures), strict=True):
        np.testing.assert_array_equal(generated.scores(picture), scores)


@EACH
def test_javascript_answers_as_the_classifier(models, pictures, tmp_path, name):
    modules = Path(os.environ.get("NODE_PATH") or ROOT / "node_modules")
    if which("node") is None or not (modules / "@litertjs/core").is_dir():
        pytest.skip("no node with @litertjs/core (npm ci)")
    (tmp_path / "tiny.mjs").write_text(codegen.codegen(models[name], "js", name="Tiny"), encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "photos.json").write_text(json.dumps(described(pictures)))
    command = ["node", HELPERS / "litert_node.mjs", "tiny.mjs", "Tiny", models[name], "photos.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    for picture, found, scores in zip(pictures, results, Classifier(models[name]).scores(pictures), strict=True):
        wanted = expected_input(models[name], picture)
        np.testing.assert_allclose(np.reshape(found["input"], wanted.shape), wanted, atol=1e-6)  # rounded to float32
        # Another build of the kernels: floats add up in another order, integers round the other way at most once.
        np.testing.assert_allclose(found["scores"], scores, atol=1e-5 if "oblong" in name else 1 / 256)


@EACH
@pytest.mark.skipif(which("node") is None, reason="no node")
def test_dart_fits_photos_as_training_does(models, pictures, tmp_path, name):
    """No Dart is at hand, so its arithmetic, which is plain, runs as JavaScript."""
    script = dart_as_javascript.arithmetic(codegen.codegen(models[name], "dart", name="Tiny"))
    photos = json.dumps(described(pictures))
    script += f"\nconsole.log(JSON.stringify({photos}.map((p) => [...toInput(p.data, p.width, p.height)])))"
    (tmp_path / "run.mjs").write_text(script, encoding="utf-8")
    done = subprocess.run(["node", "run.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for picture, found in zip(pictures, json.loads(done.stdout), strict=True):
        wanted = expected_input(models[name], picture)
        np.testing.assert_allclose(np.reshape(found, wanted.shape), wanted, atol=1e-6)  # rounded to float32


@pytest.fixture(scope="module")
def kotlin_classes(models, tmp_path_factory):
    """The generated Kotlin of all models and its harness, compiled."""
    folder = tmp_path_factory.mktemp("kotlin")
    sources = []
    harness = (HELPERS / "kotlin/WrapperHarness.kt").read_text(encoding="utf-8")
    for name, path in models.items():
        code = codegen.codegen(path, "kotlin", name="Tiny", package=f"generated.{name}")
        main = harness.replace("PACKAGE", f"generated.{name}").replace("CLASS", "Tiny")
        main = main.replace("Tiny.SIZE", "Tiny.HEIGHT, Tiny.WIDTH") if "oblong" in name else main
        for stem, text in ((name, code), (f"{name}Main", main)):
            sources.append(folder / f"{stem}.kt")
            sources[-1].write_text(text, encoding="utf-8")
    assert compile_kotlin(sources, folder / "classes") == []
    return folder / "classes"


@pytest.mark.slow
@EACH
def test_kotlin_feeds_the_model(kotlin_classes, models, pictures, tmp_path, name):
    for number, picture in enumerate(pictures):
        given = tmp_path / str(number)
        kotlin_runs.prepare(given, models[name].read_bytes(), np.asarray(picture.convert("RGBA")))
        main = f"harness.generated.{name}.{name.capitalize()}MainKt"
        told, fed = kotlin_runs.run(kotlin_classes, main, given)
        assert told[:2] == (["6", "10"] if "oblong" in name else ["8", "0.0"])
        np.testing.assert_array_equal(fed[0], expected_input(models[name], picture))


@EACH
@pytest.mark.parametrize("language", codegen.LANGUAGES)
def test_the_code_parses_and_says_what_it_does(models, name, language):
    code = codegen.codegen(models[name], language)
    assert "@@" not in code and max(map(len, code.splitlines())) <= 130
    if language in ("kotlin", "swift", "dart"):
        assert syntax.errors(language, code) == []
    said = {"stretch": "training: stretched;", "letterbox": "as a whole, on black", "crop": "its middle"}
    assert [resize for resize, words in said.items() if words in code] == [name.partition("_")[2]]


@pytest.mark.parametrize("resize", RESIZES)
def test_the_code_of_a_head_fits_photos_too(make_tiny_model, tmp_path, resize):
    from dataclasses import replace

    from model_maker.tflite import metadata

    content = make_tiny_model("none", "float32")
    path = tmp_path / "m.tflite"
    path.write_bytes(metadata.write(content, replace(metadata.read(content), resize=resize)))
    parts = split_model(path, tmp_path / "parts").directory
    for language in ("kotlin", "swift", "js", "python"):
        code = codegen.codegen(parts, language)
        assert "@@" not in code and ("centered(" in code) == (resize != "stretch")
        if language in ("kotlin", "swift"):
            assert syntax.errors(language, code) == []
    namespace = {"__name__": "generated"}
    exec(compile(codegen.codegen(parts, "python"), "generated.py", "exec"), namespace)
    photo = Image.fromarray(np.random.default_rng(1).integers(0, 256, (9, 31, 3), np.uint8))
    wanted = Normalization(127, 128)(images.load(photo, Fit(8, 8, resize)))
    np.testing.assert_array_equal(namespace["to_input"](photo)[0], wanted)


def test_every_language_has_words_for_pictures():
    assert picture_code.PICTURES.keys() == codegen.LANGUAGES.keys()
