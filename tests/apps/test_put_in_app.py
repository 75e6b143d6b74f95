"""Models in apps: which app a folder is, where its model goes, and what an app refuses."""

import hashlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import published_samples
import pytest
from checkout import ROOT

from model_maker import output_folder
from model_maker.apps import put_in_app
from model_maker.errors import DataError, ModelError, OutputError
from model_maker.normalization import Normalization
from model_maker.tflite import graph, inspection, metadata, zip_files

PUBLISHED = [app for app in put_in_app.APPS if app not in put_in_app.OWN.values()]


@pytest.fixture(scope="module")
def models(make_tiny_model, tmp_path_factory):
    """{(kind, io): path}."""
    folder, made = tmp_path_factory.mktemp("models"), {}
    for kind, io in (("int8", "uint8"), ("none", "float32"), ("int4", "uint8"), ("int16x8", "float32")):
        made[kind, io] = folder / f"{kind}_{io}.tflite"
        made[kind, io].write_bytes(make_tiny_model(kind, io))
    return made


@pytest.mark.parametrize("app", PUBLISHED, ids=lambda app: app.name)
def test_published_samples_are_known_and_their_model_has_its_place(models, tmp_path, app):
    folder = published_samples.make(tmp_path / "app", app.name)
    assert put_in_app.recognise(folder, app.platform) is app
    model = models["none", "float32"] if app.io == ("float32",) else models["int8", "uint8"]
    if app.image_size:
        with pytest.raises(
            ModelError, match="the model takes float32, 8 x 8.*wanted: 224 x 224 pixels.*train `image_size=224`"
        ):
            put_in_app.put_in_app(model, folder, app.platform)
        return
    found = put_in_app.put_in_app(model, folder, app.platform)
    assert found.path == folder / published_samples.MARKS[app.name][2] and not found.made_app
    assert found.path.read_bytes() == model.read_bytes()


@pytest.mark.parametrize("platform", put_in_app.PLATFORMS)
def test_a_new_folder_becomes_our_app(models, tmp_path, platform):
    found = put_in_app.put_in_app(models["int8", "uint8"], tmp_path / "new", platform)
    assert found.made_app and found.app is put_in_app.OWN[platform]
    made = {path.relative_to(tmp_path / "new") for path in (tmp_path / "new").rglob("*") if path.is_file()}
    home = ROOT / f"{platform}_assets"
    ours = {path.relative_to(home) for path in home.rglob("*") if path.is_file() and path.suffix != ".tflite"}
    assert made == ours | {Path(put_in_app.OWN[platform].model)}
    assert found.path.read_bytes() == models["int8", "uint8"].read_bytes()
    # And is known again.
    assert put_in_app.recognise(tmp_path / "new", platform) is put_in_app.OWN[platform]


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        (
            "litert-samples/compiled_model_api/image_classification/kotlin_cpu_gpu/android",
            "google-ai-edge/litert-samples",
        ),
        ("litert-samples", "google-ai-edge/litert-samples"),
        ("work/mediapipe-samples/examples/image_classification/android", "google-ai-edge/mediapipe-samples"),
        ("examples/lite/examples/image_classification/android", "tensorflow/examples"),
    ],
)
@pytest.mark.parametrize("there", [False, True])
def test_a_sample_that_is_not_cloned_is_no_place_for_a_new_app(models, tmp_path, folder, command, there):
    """Neither where nothing is, nor beside what a clone holds, where a name is misspelt."""
    if there:
        (tmp_path / folder).parent.mkdir(parents=True, exist_ok=True)
    with pytest.raises(OutputError, match=f"Run git clone https://github.com/{command}, and name the folder"):
        put_in_app.put_in_app(models["none", "float32"], tmp_path / folder, "android", io="float32")
    assert not (tmp_path / folder).exists()


def test_a_new_app_is_made_in_a_folder_that_is_there(models, tmp_path, monkeypatch):
    """The same name is a new app where its parent is, and a slip where it is not."""
    model = models["int8", "uint8"]
    with pytest.raises(OutputError, match="my_apps does not exist, so .*my_apps.flowers is neither an app"):
        put_in_app.put_in_app(model, tmp_path / "my_apps/flowers", "ios")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "my_apps").mkdir()
    monkeypatch.chdir(tmp_path / "my_apps")
    assert put_in_app.put_in_app(model, "flowers", "ios").made_app
    (tmp_path / "my_apps/examples").mkdir()  # of somebody's own, which is no clone
    assert put_in_app.put_in_app(model, "examples/flowers", "ios").made_app


def test_another_model_is_replaced_only_on_request(models, tmp_path):
    folder, first, second = tmp_path / "app", models["int8", "uint8"], models["none", "float32"]
    put_in_app.put_in_app(first, folder, "android")
    put_in_app.put_in_app(first, folder, "android")  # the same again is no other
    with pytest.raises(OutputError, match=r"model\.tflite is another model. Pass `overwrite=True`"):
        put_in_app.put_in_app(second, folder, "android")
    path = folder / put_in_app.OWN["android"].model
    assert path.read_bytes() == first.read_bytes()
    put_in_app.put_in_app(second, folder, "android", overwrite=True)
    assert path.read_bytes() == second.read_bytes()
    assert [entry.name for entry in path.parent.iterdir() if entry.name != ".gitkeep"] == ["model.tflite"]


def test_what_is_no_app_is_refused_with_those_that_are(models, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(
        OutputError, match="is no app that is known. Known for --ios: Model Maker's iOS app, TensorFlow"
    ):
        put_in_app.put_in_app(models["int8", "uint8"], tmp_path, "ios")
    with pytest.raises(OutputError, match="Known for --android: .*TensorFlow's Android.*MediaPipe's.*LiteRT's"):
        put_in_app.put_in_app(models["int8", "uint8"], tmp_path, "android")
    with pytest.raises(OutputError, match="is no app that is known"):
        put_in_app.put_in_app(models["int8", "uint8"], tmp_path / "notes.txt", "android")
    published_samples.make(tmp_path / "app", "MediaPipe's iOS sample")
    with pytest.raises(OutputError, match="is MediaPipe's iOS sample, for --ios"):
        put_in_app.put_in_app(models["int8", "uint8"], tmp_path / "app", "android")
    assert [path.name for path in tmp_path.iterdir()] in (["notes.txt", "app"], ["app", "notes.txt"])


def test_types_that_an_app_does_not_feed_are_refused(models, tmp_path):
    folder = published_samples.make(tmp_path / "app", "LiteRT's Android sample (Interpreter)")
    with pytest.raises(
        ModelError,
        match="LiteRT's.*takes uint8, 8 x 8 pixels, and gives uint8; wanted: float32. Use `io='float32'`",
    ):
        put_in_app.put_in_app(models["int8", "uint8"], folder, "android")
    assert not (folder / "app/src/main/assets").exists()


@pytest.mark.parametrize(
    ("normalization", "fits"),
    [
        (Normalization(127.5, 127.5), True),
        (Normalization(127, 128), True),  # EfficientNet-Lite's: at most 1 step off
        (Normalization(0, 255), False),
        (Normalization(127.5, 60), False),
    ],
)
def test_an_app_that_normalizes_by_itself_wants_a_model_for_it(models, tmp_path, normalization, fits):
    content = models["none", "float32"].read_bytes()
    info = metadata.ModelInfo(("a", "b", "c"), normalization)
    (tmp_path / "m.tflite").write_bytes(metadata.write(content, info))
    folder = published_samples.make(tmp_path / "app", "LiteRT's Android sample (Interpreter)")
    if fits:
        put_in_app.put_in_app(tmp_path / "m.tflite", folder, "android")
    else:
        with pytest.raises(ModelError, match=r"wanted: pixels as \(pixel - 127.5\) / 127.5"):
            put_in_app.put_in_app(tmp_path / "m.tflite", folder, "android")


def test_what_task_library_cannot_run_is_refused_where_it_runs(models, tmp_path):
    folder = published_samples.make(tmp_path / "app", "TensorFlow's Android sample")
    with pytest.raises(ModelError, match="sample refuses it: int4 does not run in apps on TFLite Task Library"):
        put_in_app.put_in_app(models["int4", "uint8"], folder, "android")
    put_in_app.put_in_app(models["int16x8", "float32"], folder, "android")
    put_in_app.put_in_app(models["int4", "uint8"], tmp_path / "ours", "android")


def test_labels_are_added_under_the_name_that_an_app_reads(models, tmp_path):
    content = models["none", "float32"].read_bytes()
    bare = graph.pack(graph.parse(content))
    labels = {metadata.LABELS: b"a\nb\nc"}  # as another tool writes it
    (tmp_path / "m.tflite").write_bytes(zip_files.append(bare, labels))
    folder = published_samples.make(tmp_path / "app", "LiteRT's Android sample (Interpreter)")
    found = put_in_app.put_in_app(tmp_path / "m.tflite", folder, "android")
    with zipfile.ZipFile(found.path) as archive:
        assert archive.read("labels_without_background.txt") == b"a\nb\nc"
    other = published_samples.make(tmp_path / "other", "MediaPipe's Android sample")
    found = put_in_app.put_in_app(tmp_path / "m.tflite", other, "android")
    assert found.path.read_bytes() == (tmp_path / "m.tflite").read_bytes()


def test_another_type_is_made_of_the_model(trained, tmp_path):
    folder = published_samples.make(tmp_path / "app", "LiteRT's Android sample (CompiledModel)")
    found = put_in_app.put_in_app(trained["uint8"], folder, "android", io="float32")
    facts = inspection.inspect(found.path.read_bytes())
    assert (facts.inputs[0].dtype, facts.outputs[0].dtype, facts.quantization) == ("float32", "float32", "int8")
    # Calibrated on the same photos, so it is the file that training with --io float32 makes, but for its provenance.
    ours, theirs = (graph.parse(path.read_bytes()) for path in (found.path, trained["float32"] / "model.tflite"))
    weights = [
        [
            bytes(buffer.data)
            for buffer in tree.buffers
            if buffer.data is not None and b"M001" not in bytes(buffer.data[:8])
        ]
        for tree in (ours, theirs)
    ]
    assert len(weights[0]) > 50 and weights[0] == weights[1]


def test_a_mix_is_not_made_again_without_what_it_keeps(make_tiny_model, tmp_path):
    content = make_tiny_model("int8", "uint8", kept={"features": "float"})
    (tmp_path / "mix.tflite").write_bytes(content)
    with pytest.raises(ModelError, match=r"keeps some operators in float, .* Use train `io='float32'`"):
        put_in_app.put_in_app(tmp_path / "mix.tflite", tmp_path / "app", "android", io="float32")


def test_bad_options_are_refused(models, tmp_path):
    with pytest.raises(DataError, match="no platform 'windows'"):
        put_in_app.put_in_app(models["int8", "uint8"], tmp_path / "a", "windows")
    with pytest.raises(DataError, match="`io='int8'`: apps take uint8 or float32"):
        put_in_app.put_in_app(models["int8", "uint8"], tmp_path / "a", "ios", io="int8")
    with pytest.raises(ModelError, match="does not exist"):
        put_in_app.put_in_app(tmp_path / "none.tflite", tmp_path / "a", "ios")
    assert list(tmp_path.iterdir()) == []


def model_maker(*words, cwd):
    command = [sys.executable, "-m", "model_maker", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_command_states_where_the_model_is_and_what_to_do_next(models, tmp_path):
    model = models["int8", "uint8"]
    done = model_maker("export", model, "--android", "my app", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "my app/app/src/main/assets/model.tflite" in done.stdout and "Android Studio" in done.stdout
    done = model_maker("export", model, "--android", "my app", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["new"] is False
    done = model_maker("export", model, "--ios", "ios", "--format", "onnx", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "") and "--format onnx: an app takes a .tflite" in done.stderr
    done = model_maker("export", model, "--ios", "ios", "--output", "x", cwd=tmp_path)
    assert done.returncode == 2 and "not allowed with" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["my app"]


def test_an_app_that_can_be_taught_has_the_pair_beside_its_model(models, tmp_path):
    model = models["int8", "uint8"]
    for platform, option in (("android", "--android"), ("ios", "--ios")):
        done = model_maker("export", model, option, platform, "--teach", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        place = (tmp_path / platform / put_in_app.OWN[platform].model).parent
        assert (place / "model.tflite").read_bytes() == model.read_bytes()
        head = json.loads((place / "head.json").read_text(encoding="utf-8"))
        assert head["labels"] == list(metadata.read(model.read_bytes()).labels)
        assert head["backbone_sha256"] == hashlib.sha256((place / "backbone.tflite").read_bytes()).hexdigest()
    # Without the option the next model takes the pair of the old one away.
    done = model_maker("export", model, "--ios", "ios", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (place / "head.json").exists() and not (place / "backbone.tflite").exists()
    wrong = model_maker("export", model, "--output", "out", "--teach", cwd=tmp_path)
    assert wrong.returncode == 1 and "--teach belongs to --android or --ios" in wrong.stderr
    published_samples.make(tmp_path / "sample", "MediaPipe's Android sample")
    wrong = model_maker("export", model, "--android", "sample", "--teach", cwd=tmp_path)
    assert wrong.returncode == 1 and "MediaPipe's Android sample, which cannot be taught" in wrong.stderr


def test_our_apps_look_for_the_pair_where_it_is_put():
    kotlin = (ROOT / "android_assets/app/src/main/kotlin/modelmaker/classifier/Teacher.kt").read_text()
    assert re.findall(r'const val \w+_FILE = "(.*)"', kotlin) == [output_folder.BACKBONE, output_folder.HEAD]
    swift = (ROOT / "ios_assets/Classifier/Teacher.swift").read_text()
    names = dict(re.findall(r'static let (\w+)File = "(.*)"', swift))
    assert [f"{names['backbone']}.tflite", f"{names['head']}.json"] == [output_folder.BACKBONE, output_folder.HEAD]


def test_codegen_prints_or_writes(models, tmp_path):
    model = models["int8", "uint8"]
    printed = model_maker("codegen", model, "--python", cwd=tmp_path)
    assert printed.returncode == 0 and printed.stdout.startswith("# The classifier tiny")
    written = model_maker("codegen", model, "--python", "--output", "tiny.py", cwd=tmp_path)
    assert "tiny.py" in written.stdout and (tmp_path / "tiny.py").read_text(encoding="utf-8") == printed.stdout
    again = model_maker("codegen", model, "--python", "--output", "tiny.py", cwd=tmp_path)
    assert again.returncode == 1 and "tiny.py already exists" in again.stderr
    copied = tmp_path / "copy.tflite"
    copied.write_bytes(model.read_bytes())
    lost = model_maker("codegen", copied, "--python", "--output", "copy.tflite", "--overwrite", cwd=tmp_path)
    assert lost.returncode == 1 and "copy.tflite is not a text file and is not replaced" in lost.stderr
    assert copied.read_bytes() == model.read_bytes()
    wrong = model_maker("codegen", model, "--swift", "--package", "a.b", cwd=tmp_path)
    assert wrong.returncode == 1 and "--package a.b applies to --kotlin" in wrong.stderr
