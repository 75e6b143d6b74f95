"""Generated code takes what `predict` takes: labels that are allowed or not, a part of the photo, a rotation."""

import json
import subprocess
from shutil import which

import dart_as_javascript
import fitted_models
import kotlin_runs
import numpy as np
import pytest
import syntax
from checkout import HELPERS
from kotlin_compiler import compile_kotlin, run_kotlin
from PIL import Image

from model_maker import Classifier
from model_maker.apps import codegen
from model_maker.inference import views

SCORES = ([0.2, 0.7, 0.1], [0.5, 0.2, 0.3], [0.1, 0.1, 0.8])
# Labels that are allowed (None for all), and those that are not, by index.
CHOICES = ((None, ()), ((0, 2), ()), ((2,), ()), (None, (1,)), (None, (0, 2)))
NODE = pytest.mark.skipif(which("node") is None, reason="no node")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "m.tflite"
    path.write_bytes(fitted_models.make("square_stretch"))
    return path


@pytest.fixture(scope="module")
def expected(model):
    """[choice][scores]: indices, best first, as `Classifier` ranks them."""
    classifier = Classifier(model)

    def ranked(allow, deny):
        names = [classifier.labels[index] for index in (deny if allow is None else allow)]
        one = {"allow": names, "deny": None} if allow is not None else {"allow": None, "deny": names or None}
        allowed = views.candidates(classifier.labels, **one)
        return [[best.index for best in classifier.rank(np.float32(row), allowed=allowed)] for row in SCORES]

    return [ranked(*choice) for choice in CHOICES]


def in_node(script, folder):
    (folder / "run.mjs").write_text(script, encoding="utf-8")
    done = subprocess.run(["node", "run.mjs"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_python(model, expected):
    namespace = {"__name__": "generated"}
    exec(compile(codegen.codegen(model, "python"), "generated.py", "exec"), namespace)
    for (allow, deny), wanted in zip(CHOICES, expected, strict=True):
        found = [namespace["rank"](np.float32(row), allow=allow, deny=deny) for row in SCORES]
        assert [[int(best.label) for best in row] for row in found] == wanted


@NODE
def test_javascript(model, expected, tmp_path):
    package = tmp_path / "node_modules/@litertjs/core"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"type": "module", "exports": "./index.js"}')
    (package / "index.js").write_text("export const loadAndCompile = 0, Tensor = 0;")
    (tmp_path / "m.mjs").write_text(codegen.codegen(model, "js"), encoding="utf-8")
    choices = [{"deny": deny} if allow is None else {"allow": allow} for allow, deny in CHOICES]
    ranked = f"{json.dumps(SCORES)}.map((s) => rank(s, 3, 0, choice).map((best) => best.index))"
    script = (
        f"import {{rank}} from './m.mjs'; console.log(JSON.stringify({json.dumps(choices)}.map((choice) => {ranked})))"
    )
    assert in_node(script, tmp_path) == expected


@NODE
def test_dart(model, expected, tmp_path):
    script = dart_as_javascript.arithmetic(codegen.codegen(model, "dart"))
    choices = [f"{{deny: new Set({list(d)})}}" if a is None else f"{{allow: new Set({list(a)})}}" for a, d in CHOICES]
    ranked = f"{json.dumps(SCORES)}.map((s) => rank(s, {{topK: 3, ...choice}}).map((best) => best.label))"
    script += f"\nconsole.log(JSON.stringify([{', '.join(choices)}].map((choice) => {ranked})))"
    assert in_node(script, tmp_path) == expected


@pytest.mark.slow
def test_kotlin(model, expected, tmp_path):
    code = codegen.codegen(model, "kotlin", name="Tiny", package="generated")

    def chosen(indices):
        return f"setOf<Tiny.Label>({', '.join(f'Tiny.Label.entries[{index}]' for index in indices)})"

    calls = [
        f"println(Tiny.rank(floatArrayOf({', '.join(f'{score}f' for score in row)}), 3, null, "
        f"{'null' if allow is None else chosen(allow)}, {chosen(deny)}).map {{ it.label.ordinal }})"
        for allow, deny in CHOICES
        for row in SCORES
    ]
    main = "package main\n\nimport generated.Tiny\n\nfun main() {\n" + "\n".join(calls) + "\n}\n"
    for name, text in (("Tiny", code), ("Main", main)):
        (tmp_path / f"{name}.kt").write_text(text, encoding="utf-8")
    sources = [tmp_path / "Tiny.kt", tmp_path / "Main.kt"]
    assert compile_kotlin(sources, tmp_path / "classes") == []
    lines = run_kotlin(tmp_path / "classes", "main.MainKt").splitlines()
    assert [json.loads(line) for line in lines] == [row for rows in expected for row in rows]


def test_swift_parses(model):
    code = codegen.codegen(model, "swift")
    assert syntax.errors("swift", code) == [] and "deny: Set<Label>" in code and "region: [Double]" in code


# Parts of a photo of 31 x 20: whole, halves that are rounded to even, a corner, less than a pixel.
PARTS = [
    ((0, 0, 1, 1), 90),
    ((0, 0, 1, 1), 180),
    ((0.25, 0, 0.75, 0.625), 0),
    ((0.5, 0.5, 1, 1), 270),
    ((0.1, 0.2, 0.5, 0.675), -90),
    ((0.99, 0.99, 1, 1), 450),
    ((0.3, 0.3, 0.301, 0.301), 0),
]


@pytest.fixture(scope="module")
def photo():
    return Image.fromarray(np.random.default_rng(6).integers(0, 256, (20, 31, 3), np.uint8))


def shown(photo, region, rotation):
    return views.View(region, rotation).load(photo, 8)[0]


def test_python_parts(model, photo):
    namespace = {"__name__": "generated"}
    exec(compile(codegen.codegen(model, "python", name="Tiny"), "generated.py", "exec"), namespace)
    generated, classifier = namespace["Tiny"](model), Classifier(model)
    for region, rotation in PARTS:
        [expected] = classifier.scores([photo], view=views.View(region, rotation))
        np.testing.assert_array_equal(generated.scores(photo, region, rotation), expected)
        [best, *_] = generated.classify(photo, region=region, rotation=rotation)
        assert best.score == expected.max()


@NODE
@pytest.mark.parametrize("language", ["js", "dart"])
def test_parts_in_node(model, photo, tmp_path, language):
    height, width = 20, 31
    data = np.asarray(photo.convert("RGBA")).ravel().tolist()
    if language == "js":
        package = tmp_path / "node_modules/@litertjs/core"
        package.mkdir(parents=True)
        (package / "package.json").write_text('{"type": "module", "exports": "./index.js"}')
        (package / "index.js").write_text("export const loadAndCompile = 0, Tensor = 0;")
        (tmp_path / "m.mjs").write_text(codegen.codegen(model, "js"), encoding="utf-8")
        script = "import {part, toInput} from './m.mjs';\n"
        call = "[...toInput(part({data, width, height}, region, rotation))]"
    else:
        script = dart_as_javascript.arithmetic(codegen.codegen(model, "dart"))
        script += "\nconst input = (photo) => toInput(photo.rgba, photo.width, photo.height);\n"
        call = "[...input(part({rgba: data, width, height}, {region, rotation}))]"
    script += f"const data = {json.dumps(data)}, width = {width}, height = {height};\n"
    script += f"console.log(JSON.stringify({json.dumps(PARTS)}.map(([region, rotation]) => {call})))"
    for (region, rotation), found in zip(PARTS, in_node(script, tmp_path), strict=True):
        np.testing.assert_array_equal(np.reshape(found, (8, 8, 3)), shown(photo, region, rotation))


@pytest.mark.slow
def test_kotlin_parts(model, photo, tmp_path):
    code = codegen.codegen(model, "kotlin", name="Tiny", package="generated")
    main = (HELPERS / "kotlin/WrapperHarness.kt").read_text(encoding="utf-8")
    main = main.replace("harness.PACKAGE", "harness").replace("PACKAGE", "generated").replace("CLASS", "Tiny")
    given = "arguments[1].split(' ').map { it.toDouble() }"
    chosen = f"region = {given}.let {{ Tiny.Region(it[0], it[1], it[2], it[3]) }}, rotation = arguments[2].toInt()"
    main = main.replace("topK = 2", f"topK = 2, {chosen}")
    for name, text in (("Tiny", code), ("Main", main)):
        (tmp_path / f"{name}.kt").write_text(text, encoding="utf-8")
    sources = [tmp_path / "Tiny.kt", tmp_path / "Main.kt"]
    assert compile_kotlin(sources, tmp_path / "classes") == []
    for number, (region, rotation) in enumerate(PARTS):
        folder = tmp_path / str(number)
        kotlin_runs.prepare(folder, model.read_bytes(), np.asarray(photo.convert("RGBA")))
        run_kotlin(tmp_path / "classes", "harness.MainKt", folder, " ".join(map(str, region)), rotation)
        fed = np.frombuffer((folder / "seen").read_bytes(), np.uint8).reshape(8, 8, 3)
        np.testing.assert_array_equal(fed, shown(photo, region, rotation))
