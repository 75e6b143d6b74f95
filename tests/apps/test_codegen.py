"""The generated code parses, runs, and answers as `Classifier`, in every language that runs here."""

import ast
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import which

import dart_as_javascript
import kotlin_runs
import numpy as np
import pytest
import syntax
from checkout import HELPERS, ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from kotlin_compiler import compile_kotlin
from PIL import Image

from model_maker import Classifier
from model_maker.apps import codegen, identifiers
from model_maker.data import imagenet, images
from model_maker.errors import DataError, ModelError
from model_maker.normalization import Normalization
from model_maker.tflite import graph, metadata

# Quotes, interpolation in each language, keywords, invalid identifiers, labels whose identifiers are equal.
NASTY = ('say "hi" \\(1+1)', "$HOME ${x} `$y`", "class")
EQUAL_IDENTIFIERS = ("a b", "A-B", "3 * 3")
OWN_THRESHOLDS = (0.5, 0.8, 0.853)
EACH_MODEL = pytest.mark.parametrize("kind", ["uint8", "float32", "own"])


@pytest.fixture(scope="module")
def models(make_tiny_model, tmp_path_factory):
    """{type of the edges: path}, with labels that are hard to write down; "own" has thresholds of its labels."""
    folder = tmp_path_factory.mktemp("models")
    made = {}
    for io, kind, labels in (("uint8", "int8", NASTY), ("float32", "none", EQUAL_IDENTIFIERS)):
        made[io] = folder / f"{io}.tflite"
        made[io].write_bytes(make_tiny_model(kind, io, labels))
    content, made["own"] = made["uint8"].read_bytes(), folder / "own.tflite"
    info = replace(metadata.read(content), threshold=0.5, label_thresholds=OWN_THRESHOLDS)
    made["own"].write_bytes(metadata.write(content, info))
    return made


@pytest.fixture(scope="module")
def pictures():
    """Pillow images: smaller and larger than the input, wide, with alpha, upside down by EXIF."""
    random = np.random.default_rng(8)
    shapes = ((5, 3, 3), (8, 8, 3), (40, 61, 3), (30, 17, 4))
    made = [Image.fromarray(random.integers(0, 256, shape, np.uint8)) for shape in shapes]
    turned = made[2].copy()
    turned.getexif()[0x0112] = 6
    return [*made, turned]


def loaded(code):
    """The generated Python as a namespace."""
    namespace = {"__name__": "generated"}
    exec(compile(code, "generated.py", "exec"), namespace)
    return namespace


@pytest.mark.parametrize("io", graph.IO_TYPES)
def test_python_answers_as_the_classifier(models, pictures, io):
    module = loaded(codegen.codegen(models[io], "python", name="Tiny"))
    generated, classifier = module["Tiny"](models[io]), Classifier(models[io])
    for picture, expected in zip(pictures, classifier.scores(pictures), strict=True):
        np.testing.assert_array_equal(generated.scores(picture), expected)
        ours = [(module["Label"](best.index), best.score) for best in classifier.rank(expected, top_k=2)]
        assert generated.classify(picture, top_k=2) == ours
    assert [label.text for label in module["Label"]] == list(classifier.labels)


def test_python_needs_no_model_maker(models, pictures, tmp_path):
    (tmp_path / "tiny.py").write_text(codegen.codegen(models["uint8"], "python", name="Tiny"), encoding="utf-8")
    pictures[2].save(tmp_path / "photo.png")
    code = (
        f"import sys, tiny; [best, *_] = tiny.Tiny({str(models['uint8'])!r}).classify('photo.png'); print(best.score)"
    )
    code += "; assert not {name for name in sys.modules if name.startswith('model_maker')}"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(done.stdout) == Classifier(models["uint8"]).predict(pictures[2])[0][0].score


def test_python_on_real_photos(shared_data, shared_weights):
    model = shared_weights / "tflite/automl_labeler_model.tflite"
    module = loaded(codegen.codegen(model, "python", name="Flowers"))
    photos = sorted((shared_data / "flowers").glob("*/*.jpg"))[::60]
    generated = module["Flowers"](model)
    for photo, expected in zip(photos, Classifier(model).scores(photos), strict=True):
        np.testing.assert_array_equal(generated.scores(photo), expected)


def test_another_model_is_refused(models):
    module = loaded(codegen.codegen(models["uint8"], "python", name="Tiny"))
    with pytest.raises(ValueError, match="not the model that Tiny was written for"):
        module["Tiny"](models["float32"])


def test_a_threshold_leaves_labels_out(models, pictures):
    module = loaded(codegen.codegen(models["uint8"], "python", name="Tiny", threshold=0.4, top_k=1))
    scores = np.array([0.3, 0.5, 0.45], np.float32)
    assert [p.label for p in module["rank"](scores)] == [1]
    assert [p.label for p in module["rank"](scores, top_k=3)] == [1, 2]


def test_the_models_own_threshold_is_kept(make_tiny_model, tmp_path):
    content = make_tiny_model()
    info = metadata.read(content)
    stated = metadata.write(content, metadata.ModelInfo(info.labels, info.normalization, threshold=0.25))
    (tmp_path / "m.tflite").write_bytes(stated)
    assert "THRESHOLD = 0.25 " in codegen.codegen(tmp_path / "m.tflite", "python")
    assert "THRESHOLD = 0.5f" in codegen.codegen(tmp_path / "m.tflite", "kotlin", threshold=0.5)


# Below their own threshold: the first, second and last.
SCORES = ([0.3, 0.7, 0.0], [0.1, 0.1, 0.8], [0.55, 0.2, 0.25], [0.1, 0.85, 0.05], [0.0, 0.4, 0.59])


def test_thresholds_of_labels_are_kept(models):
    module, classifier = loaded(codegen.codegen(models["own"], "python")), Classifier(models["own"])
    for scores in np.array(SCORES, np.float32):
        expected = [entry.index for entry in classifier.rank(scores) if entry.index >= 0]
        assert [int(entry.label) for entry in module["rank"](scores)] == expected
        assert len(module["rank"](scores, 3, 0.0)) == 3
    stated = loaded(codegen.codegen(models["own"], "python", threshold=0.1))
    assert len(stated["rank"](np.array([0.3, 0.7, 0.0], np.float32))) == 2


@pytest.mark.skipif(which("node") is None, reason="no node")
def test_javascript_keeps_thresholds_of_labels(models, tmp_path):
    """Ranking needs no runtime, so names in its place suffice."""
    package = tmp_path / "node_modules/@litertjs/core"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"type": "module", "exports": "./index.js"}')
    (package / "index.js").write_text("export const loadAndCompile = 0, Tensor = 0;")
    (tmp_path / "own.mjs").write_text(codegen.codegen(models["own"], "js"), encoding="utf-8")
    script = f"import {{rank}} from './own.mjs'; console.log(JSON.stringify({json.dumps(SCORES)}.map((s) => rank(s))))"
    (tmp_path / "run.mjs").write_text(script)
    told = subprocess.run(["node", "run.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    classifier = Classifier(models["own"])
    for found, scores in zip(json.loads(told), np.array(SCORES, np.float32), strict=True):
        assert [e["index"] for e in found] == [e.index for e in classifier.rank(scores) if e.index >= 0]


@pytest.mark.parametrize("language", ["kotlin", "swift", "dart"])
def test_code_with_thresholds_of_labels_parses(models, language):
    text = codegen.codegen(models["own"], language)
    assert "0.5, 0.8, 0.853" in text and syntax.errors(language, text) == []


@pytest.fixture(scope="module")
def node_modules():
    folder = Path(os.environ.get("NODE_PATH") or ROOT / "node_modules")
    if which("node") is None or not (folder / "@litertjs/core").is_dir():
        pytest.skip("no node with @litertjs/core (npm ci)")
    return folder


@EACH_MODEL
def test_javascript_answers_as_the_classifier(models, pictures, node_modules, tmp_path, kind):
    (tmp_path / "tiny.mjs").write_text(codegen.codegen(models[kind], "js", name="Tiny"), encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(node_modules)
    # A browser gives pixels upright.
    plain = pictures[:-1]
    rgba = [np.asarray(picture.convert("RGBA")) for picture in plain]
    photos = [{"width": p.shape[1], "height": p.shape[0], "data": p.ravel().tolist()} for p in rgba]
    (tmp_path / "photos.json").write_text(json.dumps(photos))
    command = ["node", HELPERS / "litert_node.mjs", "tiny.mjs", "Tiny", models[kind], "photos.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told, classifier = json.loads(done.stdout), Classifier(models[kind])
    assert (told["size"], tuple(told["texts"])) == (8, classifier.labels)
    assert sorted(told["label"].values()) == [0, 1, 2]
    for picture, found, expected in zip(plain, told["results"], classifier.scores(plain), strict=True):
        pixels = images.load(picture, 8).astype(np.float32)
        wanted = pixels if kind != "float32" else (pixels - 127) / 128
        np.testing.assert_allclose(np.reshape(found["input"], (8, 8, 3)), wanted, atol=1e-6)  # rounded to float32
        # Another build of the kernels: floats add up in another order, integers round the other way at most once.
        np.testing.assert_allclose(found["scores"], expected, atol=1e-5 if kind == "float32" else 1 / 256)
        best = classifier.rank(np.array(found["scores"], np.float32), top_k=2)
        assert [entry["label"] for entry in found["best"]] == [entry.label for entry in best if entry.index >= 0]


@pytest.fixture(scope="module")
def kotlin_classes(models, tmp_path_factory):
    """The generated Kotlin of both models and its harness, compiled."""
    folder = tmp_path_factory.mktemp("kotlin")
    sources = []
    harness = (HELPERS / "kotlin/WrapperHarness.kt").read_text(encoding="utf-8")
    for io, path in models.items():
        code = codegen.codegen(path, "kotlin", name="Tiny", package=f"generated.{io}")
        for name, text in (
            (io, code),
            (f"{io}Main", harness.replace("PACKAGE", f"generated.{io}").replace("CLASS", "Tiny")),
        ):
            sources.append(folder / f"{name}.kt")
            sources[-1].write_text(text, encoding="utf-8")
    assert compile_kotlin(sources, folder / "classes") == []
    return folder / "classes"


@pytest.mark.slow
@EACH_MODEL
def test_kotlin_feeds_and_reads_the_model(kotlin_classes, models, pictures, tmp_path, kind):
    classifier = Classifier(models[kind])
    for number, picture in enumerate(pictures[:-1]):
        given = tmp_path / str(number)
        [scores] = kotlin_runs.prepare(given, models[kind].read_bytes(), np.asarray(picture.convert("RGBA")))
        main = f"harness.generated.{kind}.{kind.capitalize()}MainKt"
        (size, threshold, count, *texts), fed = kotlin_runs.run(kotlin_classes, main, given)
        assert (size, threshold, count) == ("8", "0.5" if kind == "own" else "0.0", "3")
        assert tuple(texts[:3]) == classifier.labels
        pixels = images.load(picture, 8)[None]
        np.testing.assert_array_equal(fed, pixels if kind != "float32" else classifier.info.normalization(pixels))
        best = [entry for entry in classifier.rank(scores, top_k=2) if entry.index >= 0]
        assert texts[3::2] == [entry.label for entry in best]
        np.testing.assert_allclose([float(text) for text in texts[4::2]], [entry.score for entry in best], rtol=1e-6)


@pytest.mark.parametrize("io", graph.IO_TYPES)
@pytest.mark.parametrize("language", ["kotlin", "swift", "dart"])
def test_the_code_parses(models, language, io):
    assert syntax.errors(language, codegen.codegen(models[io], language)) == []


def test_the_parser_finds_errors():
    assert syntax.errors("kotlin", "fun f( = 3\n") and syntax.errors("swift", "func f( -> {\n")
    assert syntax.errors("dart", "int f( => {\n")


@EACH_MODEL
@pytest.mark.skipif(which("node") is None, reason="no node")
def test_dart_stretches_and_reads_as_training_does(models, pictures, tmp_path, kind):
    """No Dart is at hand, so its arithmetic, which is plain, runs as JavaScript."""
    code = codegen.codegen(models[kind], "dart", name="Tiny")
    script = dart_as_javascript.arithmetic(code)
    plain = pictures[:-1]
    rgba = [np.asarray(picture.convert("RGBA")) for picture in plain]
    photos = [{"width": p.shape[1], "height": p.shape[0], "data": p.ravel().tolist()} for p in rgba]
    script += f"\nconsole.log(JSON.stringify({json.dumps(photos)}.map((p) => [...toInput(p.data, p.width, p.height)])))"
    script += f"\nconsole.log(JSON.stringify({json.dumps(SCORES)}.map((s) => rank(s, {{topK: 3}}))))"
    (tmp_path / "run.mjs").write_text(script, encoding="utf-8")
    done = subprocess.run(["node", "run.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    inputs, ranked = map(json.loads, done.stdout.splitlines())
    for picture, found in zip(plain, inputs, strict=True):
        pixels = images.load(picture, 8).astype(np.float32)
        wanted = pixels if kind != "float32" else (pixels - 127) / 128
        np.testing.assert_allclose(np.reshape(found, (8, 8, 3)), wanted, atol=1e-6)  # rounded to float32
    classifier = Classifier(models[kind])
    for found, scores in zip(ranked, np.array(SCORES, np.float32), strict=True):
        assert [entry["label"] for entry in found] == [
            e.index for e in classifier.rank(scores, top_k=3) if e.index >= 0
        ]


@pytest.mark.parametrize("language", codegen.LANGUAGES)
def test_the_code_is_short_and_says_what_it_is(models, language):
    lines = codegen.codegen(models["uint8"], language).splitlines()
    assert len(lines) < 180 and max(map(len, lines)) <= 130
    assert "The classifier tiny, written by model_maker" in lines[0]


LABELS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), min_size=1), min_size=1, max_size=6
)


@settings(max_examples=150)
@given(LABELS, st.sampled_from(list(codegen.LANGUAGES)))
def test_every_label_gets_a_name_of_its_own(labels, language):
    target = codegen.LANGUAGES[language]
    names = identifiers.names(labels, target.join, target.taken)
    assert len(set(names)) == len(labels)
    assert all(name.isidentifier() and name not in target.taken for name in names)


@settings(max_examples=150)
@given(LABELS)
def test_labels_are_read_back_from_python_and_javascript_literals(labels):
    for label in labels:
        target = codegen.LANGUAGES["python"]
        assert ast.literal_eval(identifiers.quoted(label, target.escape, target.special)) == label
        target = codegen.LANGUAGES["js"]
        # JSON is a part of JavaScript, and knows all that is written here.
        assert json.loads(identifiers.quoted(label, target.escape, target.special)) == label


@settings(max_examples=60)
@given(LABELS, st.sampled_from(["kotlin", "swift", "dart"]))
def test_literals_of_any_label_parse(labels, language):
    target = codegen.LANGUAGES[language]
    quoted = [identifiers.quoted(label, target.escape, target.special) for label in labels]
    keyword, end = {"kotlin": ("val", ""), "swift": ("let", ""), "dart": ("const", ";")}[language]
    code = "".join(f"{keyword} a{n} = {text}{end}\n" for n, text in enumerate(quoted))
    assert syntax.errors(language, code) == []
    assert all(text.isprintable() for text in quoted)


@pytest.mark.parametrize(
    ("label", "upper", "camel"),
    [
        ("golden retriever", "GOLDEN_RETRIEVER", "goldenRetriever"),
        ("Gänseblümchen", "GANSEBLUMCHEN", "ganseblumchen"),
        ("class", "CLASS", "class_2"),
        ("n02088364 beagle", "N02088364_BEAGLE", "n02088364Beagle"),
        ("3-toed sloth", "LABEL_3_TOED_SLOTH", "label3ToedSloth"),
        ("向日葵", "向日葵", "向日葵"),
        ("🌻", "LABEL_0", "label0"),
        ("straße", "STRASSE", "straße"),
    ],
)
def test_names_are_what_a_person_would_write(label, upper, camel):
    assert identifiers.names([label], identifiers.upper) == [upper]
    assert identifiers.names([label], identifiers.camel, identifiers.SWIFT_WORDS) == [camel]


def test_twins_are_numbered_and_no_number_is_taken_twice():
    labels = ["a b", "a-b", "a b 2", "A_B"]
    assert identifiers.names(labels, identifiers.upper) == ["A_B", "A_B_2", "A_B_2_2", "A_B_3"]


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("flowers", "FlowersClassifier"),
        ("AutoML image classifier", "AutoMLImageClassifier"),
        ("my Classifier", "MyClassifier"),
        ("5 Blumen", "Image5BlumenClassifier"),
        ("花", "ImageClassifier"),
    ],
)
def test_a_class_is_called_by_the_models_name(title, name):
    assert identifiers.class_name(title) == name


def test_a_title_cannot_leave_its_comment(make_tiny_model, tmp_path):
    info = metadata.ModelInfo(("a", "b", "c"), Normalization(127, 128), name='x\nimport os\u2028"""*/')
    (tmp_path / "m.tflite").write_bytes(metadata.write(make_tiny_model(), info))
    for language in codegen.LANGUAGES:
        code = codegen.codegen(tmp_path / "m.tflite", language)
        assert [line for line in code.splitlines() if "import os" in line] == code.splitlines()[:1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"language": "cobol"}, "no language 'cobol': choose one of kotlin, swift"),
        ({"name": "flowers"}, "`name='flowers'`: pass the name of a class"),
        ({"name": "Prediction"}, "`name='Prediction'`"),
        ({"name": ""}, "`name=''`: pass"),
        ({"package": "com.class.x"}, "`package='com.class.x'`"),
        ({"top_k": 0}, "`top_k=0`: pass 1 or more"),
        ({"threshold": 2.0}, "`threshold=2`"),
        ({"threshold": float("nan")}, "`threshold=nan`"),
    ],
)
def test_what_cannot_be_is_refused(models, arguments, message):
    with pytest.raises(DataError, match=message.replace("+", r"\+")):
        codegen.codegen(models["uint8"], **({"language": "kotlin"} | arguments))


def test_int8_edges_are_refused(models, tmp_path):
    from model_maker.tflite import io_types

    content = models["uint8"].read_bytes()
    (tmp_path / "m.tflite").write_bytes(metadata.write(io_types.bare_int8(content), metadata.read(content)))
    with pytest.raises(
        ModelError, match=r"m\.tflite: its input and output are int8 and int8; apps take uint8 or float32"
    ):
        codegen.codegen(tmp_path / "m.tflite", "swift")


@pytest.mark.parametrize("language", codegen.LANGUAGES)
def test_imagenets_labels_all_have_names(language):
    target = codegen.LANGUAGES[language]
    names = identifiers.names(imagenet.labels(), target.join, target.taken)
    assert len(set(names)) == 1000
