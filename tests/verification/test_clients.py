"""The engines inside the phone sample apps accept our files and score as we do."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from checkout import HELPERS
from needs import marks
from PIL import Image

from model_maker import Classifier
from model_maker.data import images
from model_maker.tflite import graph, metadata, quantize
from model_maker.verification import clients

pytestmark = pytest.mark.slow

THRESHOLD = 0.34
LABEL_THRESHOLDS = (0.34, 0.3, 0.38)


@pytest.fixture(scope="module")
def photos(drawn_flowers, tmp_path_factory):
    """Every third drawing at the input's size, lossless: each client is given identical pixels."""
    folder = tmp_path_factory.mktemp("photos")
    for path in sorted(drawn_flowers.rglob("*.jpg"))[::3]:
        Image.fromarray(images.load(path, 224)).save(folder / f"{path.stem}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def tiny_photos(noise_photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny_photos")
    for number, photo in enumerate(noise_photos[:5]):
        Image.fromarray(photo[0]).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def tiny_models(make_tiny_model, conv_embedder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny_models")
    models = {(kind, io): folder / f"{kind}_{io}.tflite" for kind in quantize.FORMATS for io in graph.IO_TYPES}
    for (kind, io), path in models.items():
        path.write_bytes(make_tiny_model(kind, io))
    models["mixed", "uint8"] = folder / "mixed.tflite"
    models["mixed", "uint8"].write_bytes(make_tiny_model("int8", "uint8", kept={"features": "float"}))
    for io in graph.IO_TYPES:
        content = make_tiny_model("int8", io)
        models["threshold", io] = folder / f"threshold_{io}.tflite"
        info = replace(metadata.read(content), threshold=THRESHOLD)
        models["threshold", io].write_bytes(metadata.write(content, info))
        models["label_thresholds", io] = folder / f"label_thresholds_{io}.tflite"
        info = replace(info, threshold=min(LABEL_THRESHOLDS), label_thresholds=LABEL_THRESHOLDS)
        models["label_thresholds", io].write_bytes(metadata.write(content, info))
    sure = graph.attach_head(conv_embedder, np.zeros((3, 16)), np.array([200.0, 0.0, -200.0]))
    models["sure", "float32"] = folder / "sure.tflite"
    models["sure", "float32"].write_bytes(metadata.write(sure, info))
    return models


@pytest.fixture(scope="module")
def answers(trained, tiny_models, photos, tiny_photos):
    """answers(client): {model path: its answer}; each client starts twice a module."""
    known = {}

    def ask(client):
        if client not in known:
            try:
                files = [folder / "model.tflite" for folder in trained.values()]
                known[client] = dict(zip(files, clients.ask(client, files, photos), strict=True))
                files = list(tiny_models.values())
                known[client] |= zip(files, clients.ask(client, files, tiny_photos), strict=True)
            except clients.NotHere as reason:
                known[client] = str(reason)
        if isinstance(known[client], str):
            pytest.skip(known[client])
        return known[client]

    return ask


@pytest.fixture(scope="module")
def official(tiny_models):
    """What the official reader finds in the metadata of a model."""

    def read(io):
        command = [sys.executable, HELPERS / "official_metadata.py", tiny_models["int8", io]]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    return read


CLIENTS = pytest.mark.parametrize(
    "client", [pytest.param(name, marks=marks(*modules)) for name, modules in clients.PACKAGES.items()]
)


def named(photo):
    return {category.label: category.score for category in photo}


def compare(model, photos, answer, tolerance):
    assert answer.refusal == ""
    classifier = Classifier(model)
    largest = 0.0
    for predictions, theirs in zip(classifier.predict(photos, top_k=None), map(named, answer.photos), strict=True):
        ours = {prediction.label: prediction.score for prediction in predictions}
        assert set(theirs) == set(classifier.labels)
        largest = max(largest, *(abs(theirs[label] - ours[label]) for label in ours))
        # Dictionaries keep the order in which labels were ranked; ties may rank either way.
        assert ours[next(iter(theirs))] == max(ours.values())
    assert largest <= tolerance
    return largest


@CLIENTS
@pytest.mark.parametrize("io", graph.IO_TYPES)
def test_a_trained_model_scores_in_the_client_as_in_ours(answers, trained, photos, client, io):
    model = trained[io] / "model.tflite"
    answer = answers(client)[model]
    # The clients carry other versions of the int8 kernels, which round now and then the other way.
    compare(model, photos, answer, 0.02)
    best = [max(photo, key=lambda category: category.score).label for photo in answer.photos]
    assert np.mean([path.stem.startswith(label) for path, label in zip(photos, best, strict=True)]) > 0.8


@CLIENTS
@pytest.mark.parametrize("io", graph.IO_TYPES)
@pytest.mark.parametrize("kind", quantize.FORMATS)
def test_every_format_is_accepted(answers, tiny_models, tiny_photos, client, kind, io):
    model = tiny_models[kind, io]
    answer = answers(client)[model]
    if client == "TFLite Task Library" and (kind == "int4" or (kind, io) == ("int16x8", "uint8")):
        # Its runtime is of 2023: int4 is unknown to it, and so is the way from int8 to int16. `ship` says so.
        assert answer.refusal
    else:
        compare(model, tiny_photos, answer, 0.02)


@CLIENTS
def test_a_mix_of_int8_and_float_is_accepted(answers, tiny_models, tiny_photos, client):
    model = tiny_models["mixed", "uint8"]
    compare(model, tiny_photos, answers(client)[model], 0.02)


@CLIENTS
@pytest.mark.parametrize("io", graph.IO_TYPES)
@pytest.mark.parametrize(
    ("kind", "limits"), [("threshold", (THRESHOLD,) * 3), ("label_thresholds", LABEL_THRESHOLDS)], ids=["one", "each"]
)
def test_labels_below_their_threshold_are_left_out(answers, tiny_models, tiny_photos, client, io, kind, limits):
    whole, cut = (answers(client)[tiny_models[name, io]] for name in ("int8", kind))
    assert cut.refusal == ""
    least = dict(zip(("a", "b", "ü"), limits, strict=True))
    expected = [{name: value for name, value in named(photo).items() if value >= least[name]} for photo in whole.photos]
    # Calibration's logit and sigmoid round in float32.
    assert list(map(named, cut.photos)) == [pytest.approx(scores, abs=1e-6) for scores in expected]
    assert 0 < sum(map(len, expected)) < sum(map(len, whole.photos))
    for photo, theirs in zip(Classifier(tiny_models[kind, io]).predict(tiny_photos), expected, strict=True):
        # A score that rounds to the other side of the threshold in another version of the kernels is none here.
        assert {entry.label for entry in photo if entry.index >= 0} == set(theirs)


@CLIENTS
def test_a_score_of_one_survives_label_thresholds(answers, tiny_models, tiny_photos, client):
    """Its logit is infinite."""
    photos = answers(client)[tiny_models["sure", "float32"]].photos
    assert list(map(named, photos)) == [{"a": 1.0}] * len(tiny_photos)


@pytest.mark.verify("mediapipe")
def test_mediapipe_runs_below_a_notebook(tiny_models, tiny_photos, monkeypatch):
    """Its matplotlib ends at a backend that it does not know, and notebooks hand theirs to all that they start."""
    monkeypatch.setenv("MPLBACKEND", "a_notebooks_own")
    try:
        [answer] = clients.ask("MediaPipe Tasks", [tiny_models["int8", "uint8"]], tiny_photos[:1])
    except clients.NotHere as reason:
        pytest.skip(str(reason))
    assert (answer.refusal, len(answer.photos)) == ("", 1)


@pytest.mark.verify("tflite_support", "libusb_package")
@pytest.mark.parametrize("io", graph.IO_TYPES)
def test_the_official_reader_shows_the_metadata(official, io):
    answer = official(io)
    assert answer["files"] == ["labels.txt", "labels_without_background.txt", "model_maker.json"]
    shown = answer["metadata"]
    assert shown["name"] == "tiny"
    [image], [scores] = (shown["subgraph_metadata"][0][f"{end}_tensor_metadata"] for end in ("input", "output"))
    assert image["process_units"] == [
        {"options_type": "NormalizationOptions", "options": {"mean": [127.0], "std": [128.0]}}
    ]
    assert image["content"]["content_properties"] == {"color_space": "RGB"}
    [labels] = scores["associated_files"]
    assert (labels["name"], labels["type"]) == ("labels.txt", "TENSOR_AXIS_LABELS")


@pytest.mark.verify("tflite_support", "libusb_package")
def test_the_parser_version_is_the_one_that_the_official_tool_computes(official):
    answer = official("uint8")
    assert answer["metadata"]["min_parser_version"] == answer["min_parser_version"]
