"""What needs an extra says so in one line before any work; everything else works without."""

import json
import subprocess
import sys

import pytest
from absent_extras import ABSENT, ROOT, AbsentExtras

from model_maker import cli
from model_maker.demo import static_site
from model_maker.tflite import metadata

RUN = "which is not installed. Run: pip install 'model-maker[{}]'"
TENSORFLOW = f"needs TensorFlow, {RUN.format('tensorflow')}"
if sys.version_info >= (3, 14):
    TENSORFLOW = "needs TensorFlow, which has no release for Python 3.14. Use Python 3.11 to 3.13."


# In one process: the help of each command, then which of the packages were loaded on the way.
HELP = f"""
import contextlib, io, json, sys
from model_maker import cli

loaded = {{}}
for name in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            cli.parse(["model_maker", *name.split(), "--help"])
        except SystemExit as end:
            assert end.code == 0 and "usage: model_maker " + name in out.getvalue()
    loaded[name] = sorted(set({ABSENT!r}) & set(sys.modules))
print(json.dumps(loaded))
"""


def commands():
    """The names of all sub-commands, which the parser knows."""
    [group] = [action for action in cli.parser()._actions if action.dest == "command" or action.metavar == "COMMAND"]
    return sorted(group.choices)


def test_no_help_loads_an_extra(tmp_path):
    names = ["", *commands()]
    done = subprocess.run(
        [sys.executable, "-c", HELP, json.dumps(names)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: [] for name in names}


@pytest.fixture(scope="module")
def absent(tmp_path_factory):
    return AbsentExtras(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory, make_photos, make_tiny_model, conv_embedder):
    """A folder with photos, models of every format by name, and what `train` could be told of."""
    desk = tmp_path_factory.mktemp("desk")
    make_photos(desk / "photos", {"a": 8, "b": 8, "ü": 8})
    (desk / "net.tflite").write_bytes(conv_embedder)
    (desk / "model.tflite").write_bytes(make_tiny_model())
    for name in ("net.keras", "net.h5", "net.onnx", "net.xml", "photos.parquet", "saved_model/saved_model.pb"):
        (desk / name).parent.mkdir(exist_ok=True)
        (desk / name).write_bytes(b"")
    (desk / "tfjs").mkdir()
    (desk / "tfjs/model.json").write_text('{"format": "graph-model"}')
    stated = {"options": {"fine_tune": "tail", "budget": "5m"}}
    bare = metadata.ModelInfo(("a", "b", "ü"), metadata.read(make_tiny_model()).normalization, provenance=stated)
    (desk / "tuned.tflite").write_bytes(metadata.write(make_tiny_model(), bare))
    record = {"options": stated["options"], "data": str(desk / "nowhere"), "fingerprint": ""}
    (desk / "run.json").write_text(json.dumps(record))
    return desk


# There is no folder `nowhere`: a command that looked for photos before it looked for packages would say that.
TRAIN = ("train", "--data", "nowhere", "--output", "made")
EXPORT = ("export", "model.tflite", "--output", "made", "--data", "nowhere", "--format")
NEEDY = {
    (*TRAIN, "--fine-tune"): f"--fine-tune {TENSORFLOW}",
    (*TRAIN, "--fine-tune", "all", "--folds", "3"): f"--fine-tune {TENSORFLOW}",
    (*TRAIN, "--fine-tune", "--tensorboard", "logs"): f"--fine-tune {TENSORFLOW}",
    (*TRAIN, "--fine-tune", "--resume"): f"--fine-tune {TENSORFLOW}",
    (*TRAIN, "--fine-tune", "--model", "net.tflite,efficientnet_lite0"): f"--fine-tune {TENSORFLOW}",
    ("train", "--config", "run.json", "--output", "made"): f"--fine-tune {TENSORFLOW}",
    ("reproduce", "tuned.tflite", "--data", "nowhere"): f"tuned.tflite: its fine-tuning {TENSORFLOW}",
    (*TRAIN, "--model", "net.keras"): f"net.keras {TENSORFLOW}",
    (*TRAIN, "--model", "net.h5"): f"net.h5 {TENSORFLOW}",
    (*TRAIN, "--model", "efficientnet_lite0,net.keras"): f"net.keras {TENSORFLOW}",
    ("embedder", "--model", "net.keras", "--output", "made"): f"net.keras {TENSORFLOW}",
    ("doctor", "nowhere", "--model", "net.keras"): f"net.keras {TENSORFLOW}",
    ("evaluate", "saved_model", "--data", "nowhere"): f"saved_model {TENSORFLOW}",
    ("evaluate", "tfjs", "--data", "nowhere"): f"tfjs {TENSORFLOW}",
    ("predict", "net.keras", "nowhere.jpg"): f"net.keras {TENSORFLOW}",
    ("predict", "--model", "net.keras", "nowhere.jpg"): f"net.keras {TENSORFLOW}",
    ("evaluate", "net.onnx", "--data", "nowhere"): f"net.onnx needs ONNX Runtime, {RUN.format('onnx')}",
    ("evaluate", "net.xml", "--data", "nowhere"): f"net.xml needs OpenVINO, {RUN.format('openvino')}",
    (*EXPORT, "saved_model"): f"--format saved_model {TENSORFLOW}",
    (*EXPORT, "tflite-float32,keras"): f"--format keras {TENSORFLOW}",
    (*EXPORT, "tfjs"): f"--format tfjs {TENSORFLOW}",
    (*EXPORT, "openvino"): f"--format openvino needs OpenVINO, {RUN.format('openvino')}",
    (*TRAIN, "--engine", "ray"): (
        "--engine ray needs Ray, pyarrow and pandas, which are not installed. "
        "Run: pip install 'model-maker[ray]', on every machine of the cluster."
    ),
    ("train", "--data", "photos.parquet"): f"photos.parquet needs pyarrow, {RUN.format('parquet')}",
}
# Which package is named first depends on the Python; the extras that are asked for do not.
HUNGRY = {
    (*TRAIN, "--model", "saved_model"): ("saved_model needs TensorFlow", "'model-maker[tensorflow]'"),
    (*TRAIN, "--model", "https://example.invalid/vector/1"): (
        "https://example.invalid/vector/1 needs TensorFlow",
        "'model-maker[tensorflow]'",
    ),
    (*TRAIN, "--model", "owner/network/tensorFlow2/small"): (
        "owner/network/tensorFlow2/small needs TensorFlow",
        "'model-maker[tensorflow]'",
    ),
    (*EXPORT, "onnx"): ("--format onnx needs TensorFlow", "'model-maker[onnx,tensorflow]'"),
    (*EXPORT, "coreml"): ("--format coreml needs TensorFlow", "'model-maker[coreml,tensorflow]'"),
}


def test_what_needs_an_extra_is_one_line_before_any_work(absent, desk, tmp_path):
    before = sorted(desk.rglob("*"))
    wanted = {**NEEDY, **HUNGRY}
    ended = absent.commands(wanted, cwd=desk, cache=tmp_path / "cache")
    for (words, line), (code, out, err) in zip(wanted.items(), ended, strict=True):
        assert (code, out) == (1, ""), words
        if isinstance(line, str):
            assert err == f"model_maker: {line}\n", words
        else:
            begin, names = line
            assert err.startswith(f"model_maker: {begin}") and err.count("\n") == 1, words
            assert sys.version_info >= (3, 14) or err.endswith(f" Run: pip install {names}\n"), err
    assert sorted(desk.rglob("*")) == before
    # Nothing is made ready: only that a file was vetted, and which processes run, may be written down.
    assert {path.name for path in (tmp_path / "cache").iterdir()} <= {"running", "vetted"}


def test_what_only_fine_tuning_heeds_is_refused_before_any_work(absent, desk, tmp_path):
    [resumed, logged] = absent.commands(
        [(*TRAIN, "--resume"), (*TRAIN, "--tensorboard", "logs")], cwd=desk, cache=tmp_path
    )
    assert resumed[0] == logged[0] == 1
    assert "without fine-tuning there is nothing to resume" in resumed[2]
    assert "--tensorboard applies to the epochs of fine-tuning: add --fine-tune tail." in logged[2]


COMPAT = """
import sys
from model_maker import ModelMakerError, train
from model_maker.compat import image_classifier
from model_maker.compat.config import ExportFormat
from model_maker.compat.image_classifier import DataLoader, ModelSpec

spec = ModelSpec("net.tflite")
spec.mean_rgb, spec.stddev_rgb = [127.0], [128.0]
data = DataLoader.from_folder("photos")
model = image_classifier.create(data, spec)
assert model.evaluate(data)[1] > 0.5
for needy in (
    data.gen_dataset,
    lambda: image_classifier.create(data, spec, train_whole_model=True),
    lambda: image_classifier.create(data, ModelSpec("net.keras")),
    lambda: model.export("made", export_format=[ExportFormat.TFLITE, ExportFormat.SAVED_MODEL]),
    lambda: model.export("made", export_format=ExportFormat.TFJS),
    lambda: train("nowhere", "made", callbacks=[print]),
):
    try:
        needy()
    except ModelMakerError as error:
        print(error)
"""


def test_the_compatible_api_says_the_same(absent, desk, tmp_path):
    before = sorted(desk.rglob("*"))
    printed = absent.python(COMPAT, cwd=desk, cache=tmp_path / "cache").splitlines()
    assert printed == [
        f"DataLoader.gen_dataset {TENSORFLOW}",
        f"train_whole_model=True {TENSORFLOW}",
        f"net.keras {TENSORFLOW}",
        f"ExportFormat.SAVED_MODEL {TENSORFLOW}",
        f"ExportFormat.TFJS {TENSORFLOW}",
        "callbacks applies to the epochs of fine-tuning: add `fine_tune='tail'`.",
    ]
    assert sorted(desk.rglob("*")) == before


NET = ("--model", "net.tflite", "--normalization", "127,128")
# In this order, for some use what others made. Of each sub-command at least one.
FREE = [
    ("train", "--data", "photos", "--output", "made", *NET),
    ("train", "--data", "photos", "--output", "folds", "--folds", "2", "--quantize", "float16", *NET),
    ("evaluate", "made"),
    ("predict", "made", "photos/a/000.png"),
    ("predict", "--model", "efficientnet_lite0", "photos/a/000.png"),
    ("predict", "made", "photos/a/000.png", "--why", "why"),
    ("compare", "made", "folds"),
    ("robustness", "made", "--page", "robustness.html"),
    ("advise", "made"),
    ("reproduce", "folds", "--data", "photos"),
    ("forget", "folds", "photos/a/000.png", "--data", "photos", "--output", "without"),
    ("verify", "made"),
    ("inspect", "made"),
    ("models",),
    ("metadata", "made", "--name", "flowers", "--output", "named.tflite"),
    ("classes", "made", "--output", "edited", "--add", "c", "photos/a/000.png"),
    ("combine", "made", "edited", "--output", "both"),
    ("export", "made", "--output", "everything"),
    ("export", "made", "--output", "some", "--format", "tflite-float16,c_header,edgetpu"),
    ("export", "made", "--why", "--output", "explaining"),
    ("export", "made", "--android", "app"),
    ("codegen", "made", "--python"),
    ("starter", "--output", "starter", "--quantize", "float16", "--io", "float32"),
    ("embedder", "--model", "net.tflite", "--normalization", "127,128", "--output", "embedder"),
    ("benchmark", "made/model.tflite", "--threads", "1", "--runs", "3", "--rounds", "1"),
    ("doctor", "photos", "--model", "made"),
    ("label", "photos", "--unlabelled", "photos/a", "--top", "3"),
    ("augment", "photos", "--preview", "sheet.png"),
    ("zero-shot", "--labels", "cat,dog", "--output", "from_names"),
    ("search", "photos", "photos/a/000.png"),
    ("organize", "photos", "--output", "sorted", "--labels", "cat,dog"),
    ("sample-data", "drawn", "--per-class", "1"),
    ("completion", "bash"),
    ("train", "--data", "photos", "--output", "several", "--model", "net.tflite,made"),
]


@pytest.fixture(scope="module")
def ended(absent, desk, cache, lite0, tmp_path_factory):
    """The result of each of FREE: (exit code, stdout, stderr)."""
    work = tmp_path_factory.mktemp("work")
    for name in ("photos", "net.tflite"):
        (work / name).symlink_to(desk / name)
    site = [("demo", "made", "--export", "site")] if static_site.has_runtime() else []
    found = [*FREE, *site]
    return dict(zip(found, absent.commands(found, cwd=work, cache=cache), strict=True))


def test_each_command_is_tried():
    # A server runs until it is ended, and push needs the Hub: test_studio_command and test_hub_upload try these.
    assert {words[0] for words in FREE} | {"demo", "studio", "push"} == set(commands())


@pytest.mark.slow
def test_everything_else_works(ended):
    for words, (code, _, err) in ended.items():
        assert code == 0, (words, err)
        assert "Traceback" not in err


@pytest.mark.slow
def test_an_export_of_everything_leaves_out_what_needs_an_extra(ended):
    _, _, err = ended["export", "made", "--output", "everything"]
    missing = dict(line.removeprefix("model_maker: ").split(": ", 1) for line in err.splitlines() if "It needs" in line)
    assert set(missing) == {"saved_model", "keras", "onnx", "openvino", "tfjs", "coreml"}
    assert missing["tfjs"] == f"It {TENSORFLOW}"


@pytest.mark.slow
def test_a_certificate_says_which_engines_were_skipped(ended):
    _, out, _ = ended["verify", "made"]
    shown = " ".join(out.split())
    assert f"MediaPipe Tasks was skipped: it needs MediaPipe, {RUN.format('verify')}" in shown
    assert "TFLite Task Library was skipped: it needs tflite-support" in shown
    assert "passed" in shown


HEIC = """
import sys
from model_maker.data import images
from model_maker.errors import DataError
try:
    images.load(sys.argv[1], 8)
except DataError as error:
    print(error)
"""


def test_a_heic_photo_names_its_extra(absent, tmp_path):
    (tmp_path / "x.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(12))
    printed = absent.python(HEIC, tmp_path / "x.heic", cwd=tmp_path, cache=tmp_path)
    line = "HEIC needs the extra: pip install 'model-maker[heif]', or save it as JPEG"
    assert printed.count("\n") == 1 and line in printed
