"""Third-party models: labels from a file, and written into the model."""

import io
import json
import zipfile

import generated_schema
import numpy as np
import pytest
from pictures import encode
from PIL import Image

from model_maker import Classifier, cli
from model_maker.benchmark import command_line as benchmark_cli
from model_maker.errors import DataError, ModelError, OutputError
from model_maker.inference import label_files
from model_maker.normalization import Normalization
from model_maker.tflite import graph, quantize
from model_maker.tflite.interpreter import LiteRTRunner
from model_maker.verification import metadata_writing

PIXELS = Normalization(127.0, 128.0)
LABELS = ("a", "b", "ü")
PICTURE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (8, 8, 3), np.uint8))


@pytest.fixture
def foreign(float_classifier, calibrated, tmp_path):
    """{io: a `.tflite` without metadata}, and labels.txt beside them."""
    paths = {}
    for io_type, kind in (("uint8", "int8"), ("float32", "none")):
        content = quantize.quantize(float_classifier, kind, normalization=PIXELS, calibration=calibrated)
        paths[io_type] = tmp_path / f"{io_type}.tflite"
        paths[io_type].write_bytes(graph.set_io(content, io_type, mean=PIXELS.mean, std=PIXELS.std))
    (tmp_path / "labels.txt").write_text("\n".join(LABELS), encoding="utf-8")
    return paths


def expected(float_classifier):
    return LiteRTRunner(float_classifier).run(((np.asarray(PICTURE)[None] - 127.0) / 128).astype(np.float32))[0]


@pytest.mark.parametrize(
    ("name", "content", "labels"),
    [
        ("l.txt", "a\nb\nü\n", LABELS),
        ("l.txt", "\ufeffa\r\nb\r\nü\r\n\r\n", LABELS),
        ("l.txt", "0 a\n1 b\n2 ü", LABELS),
        ("l.txt", "0: a\n1: b\n2: ü\n", LABELS),
        ("l.txt", "1 euro\n2 euro\n5 euro", ("1 euro", "2 euro", "5 euro")),
        ("l.txt", "a b, c\nd", ("a b, c", "d")),
        ("l.json", '["a", "b", "ü"]', LABELS),
        ("l.json", '{"0": "a", "2": "ü", "1": "b"}', LABELS),
        ("l.json", '{"b": 1, "a": 0, "ü": 2}', LABELS),
    ],
)
def test_labels_are_read_as_tools_write_them(tmp_path, name, content, labels):
    (tmp_path / name).write_bytes(content.encode())
    assert label_files.read(tmp_path / name) == labels


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("none.txt", None, "none.txt cannot be read"),
        ("l.txt", b"", "holds no labels"),
        ("l.txt", b"a\n\nb", "label 2, '', is not a name"),
        ("l.txt", b"a\x1b[2J\nb", "is not a name"),
        ("l.txt", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("l.json", b"{", "is not JSON"),
        ("l.json", b'{"0": "a", "2": "b"}', "does not number its labels from 0 to 1"),
        ("l.json", b"[1, 2]", "is neither a list of labels"),
    ],
)
def test_what_is_no_list_of_labels_is_one_line(tmp_path, name, content, text):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=text) as caught:
        label_files.read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_model_without_labels_answers_with_those_beside_it(foreign, float_classifier, tmp_path):
    scores = expected(float_classifier)
    for io_type, tolerance in (("float32", 1e-5), ("uint8", 0.05)):  # int8 rounds
        told = PIXELS if io_type == "float32" else None
        with pytest.raises(ModelError, match="no labels.*Pass `labels=FILE`"):
            Classifier(foreign[io_type])
        for labels in (tmp_path / "labels.txt", LABELS):
            classifier = Classifier(foreign[io_type], labels=labels, normalization=told)
            found = {entry.label: entry.score for entry in classifier.predict(PICTURE, top_k=None)[0]}
            np.testing.assert_allclose([found[label] for label in LABELS], scores, atol=tolerance)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (("a", "b"), "The list has 2 labels, and the model gives 3 scores. If the model scores the background"),
        (("background", "a", "b", "c"), "The first, 'background', belongs to models that score the background"),
        (tuple("abcdef"), "has 6 labels, and the model gives 3 scores. Pass the labels of this model"),
    ],
)
def test_too_many_or_few_labels_are_told_with_both_counts(foreign, labels, text):
    with pytest.raises(DataError, match=text):
        Classifier(foreign["uint8"], labels=labels)


def test_float_input_needs_a_normalization(foreign):
    with pytest.raises(ModelError, match="Pass `normalization=MEAN,STD` in pixels"):
        Classifier(foreign["float32"], labels=LABELS)


def run(*words):
    return cli.main(cli.parse(["model_maker", *map(str, words)]))


def test_commands_take_labels(foreign, tmp_path, capsys):
    (tmp_path / "photo.png").write_bytes(encode(PICTURE, "PNG"))
    flags = ("--labels", tmp_path / "labels.txt", "--json")
    assert run("predict", foreign["uint8"], tmp_path / "photo.png", *flags) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert {entry["label"] for entry in row["predictions"]} == set(LABELS)


def photos(tmp_path):
    for label in LABELS:
        (tmp_path / "photos" / label).mkdir(parents=True)
        (tmp_path / "photos" / label / "1.png").write_bytes(encode(PICTURE, "PNG"))
    return tmp_path / "photos"


def test_evaluate_and_benchmark_take_labels(foreign, tmp_path, capsys, monkeypatch):
    data, labels = photos(tmp_path), tmp_path / "labels.txt"
    told = ("--labels", labels, "--normalization", "127,128", "--json")
    assert run("evaluate", foreign["float32"], "--data", data, *told) == 0
    # One picture under three names: one of the three answers is right.
    assert json.loads(capsys.readouterr().out)["top1"] == pytest.approx(1 / 3)
    monkeypatch.chdir(tmp_path)
    words = ["benchmark", "uint8.tflite", "--data", str(data), "--labels", "labels.txt", "--threads", "1"]
    assert benchmark_cli.main(benchmark_cli.parse([*words, "--runs", "2", "--rounds", "1", "--json"])) == 0
    [model] = json.loads(capsys.readouterr().out)["models"]
    assert model["top1"] == pytest.approx(1 / 3)


def test_backbones_know_their_own_labels(tmp_path, capsys):
    assert run("predict", "--model", "efficientnet_lite0", "photo.png", "--labels", "l.txt") == 1
    assert "apply to model files; efficientnet_lite0 has its own" in capsys.readouterr().err


@pytest.mark.parametrize("io_type", ["uint8", "float32"])
def test_metadata_is_written_in_as_the_clients_read_it(foreign, tmp_path, capsys, io_type):
    new, labels = tmp_path / "new.tflite", tmp_path / "labels.txt"
    words = ["metadata", foreign[io_type], "--labels", labels, "--output", new, "--author", "Ada", "--json"]
    assert run(*words, *(["--normalization", "127,128"] if io_type == "float32" else [])) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metadata"]["labels"] == list(LABELS) and all(rule["passed"] for rule in told["rules"])
    # By the schema that flatc made of the official one, and a plain zip.
    content = new.read_bytes()
    schema = generated_schema.classes("mediapipe")
    model = graph.parse(content)
    [entry] = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    tables = schema.ModelMetadataT.InitFromObj(
        schema.ModelMetadata.GetRootAs(bytes(model.buffers[entry.buffer].data), 0)
    )
    assert tables.author == b"Ada"
    options = tables.subgraphMetadata[0].inputTensorMetadata[0].processUnits[0].options
    assert (list(options.mean), list(options.std)) == ([127.0], [128.0])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("labels.txt").decode() == "a\nb\nü"
    classifier = Classifier(new)
    assert classifier.labels == LABELS
    before = Classifier(foreign[io_type], labels=LABELS, normalization=PIXELS if io_type == "float32" else None)
    assert classifier.predict(PICTURE, top_k=None) == before.predict(PICTURE, top_k=None)


def test_what_lacks_or_stands_in_the_way_is_one_line(foreign, tmp_path):
    labels, new = tmp_path / "labels.txt", tmp_path / "new.tflite"
    with pytest.raises(ModelError, match="it has no labels. Pass `labels=FILE`"):
        metadata_writing.describe(foreign["uint8"], new)
    with pytest.raises(ModelError, match="Pass `normalization=MEAN,STD`"):
        metadata_writing.describe(foreign["float32"], new, labels=labels)
    (tmp_path / "short.txt").write_text("a\nb")
    with pytest.raises(DataError, match="short.txt has 2 labels, and the model gives 3"):
        metadata_writing.describe(foreign["uint8"], new, labels=tmp_path / "short.txt")
    assert not new.exists()
    metadata_writing.describe(foreign["uint8"], new, labels=labels)
    with pytest.raises(OutputError, match="already exists"):
        metadata_writing.describe(foreign["uint8"], new, labels=labels)
    metadata_writing.describe(new, new, overwrite=True, name="again")
    assert Classifier(new).info.name == "again" and Classifier(new).labels == LABELS


def test_what_clients_refuse_all_the_same_is_reported(float_classifier, calibrated, tmp_path, capsys):
    content = quantize.quantize(float_classifier, "int8", normalization=PIXELS, calibration=calibrated)
    (tmp_path / "int8.tflite").write_bytes(content)  # int8 input, which phones reject
    (tmp_path / "labels.txt").write_text("a\nb\nc")
    words = ("--labels", tmp_path / "labels.txt", "--output", tmp_path / "new.tflite")
    assert run("metadata", tmp_path / "int8.tflite", *words) == 1
    assert "input uint8 or float32; it has int8" in capsys.readouterr().err
    assert Classifier(tmp_path / "new.tflite").labels == ("a", "b", "c")


def test_a_published_model_sees_a_macaw(shared_weights, shared_data, tmp_path):
    model = shared_weights / "tflite" / "mobilenet_v1_0.25_224_float.tflite"
    labels = shared_data / "photos" / "imagenet_labels.txt"
    metadata_writing.describe(model, tmp_path / "m.tflite", labels=labels, normalization=Normalization(127.5, 127.5))
    [[best]] = Classifier(tmp_path / "m.tflite").predict(shared_data / "photos" / "parrot.jpg", top_k=1)
    assert best.label == "macaw"
