"""The front door's Classifier and pipeline: names of backbones, test photos found again, transformers' ways to call."""

import base64
import io
import json
import pickle
import socket
import types

import numpy as np
import pytest
from loopback_files import serve
from PIL import Image

import model_maker
from model_maker.data import imagenet
from model_maker.errors import DataError, ModelError
from model_maker.normalization import Normalization
from model_maker.tflite import graph, metadata

LABELS = ("red", "green", "blue")
INFO = metadata.ModelInfo(labels=LABELS, normalization=Normalization(127.0, 128.0))


@pytest.fixture(scope="module")
def model(tiny_embedder, tmp_path_factory):
    """A softmax of twice the normalized mean colour."""
    path = tmp_path_factory.mktemp("model") / "model.tflite"
    path.write_bytes(metadata.write(graph.attach_head(tiny_embedder, 2 * np.eye(3), np.zeros(3)), INFO))
    return path


@pytest.fixture(scope="module")
def classify(model):
    return model_maker.pipeline("image-classification", model=model)


def picture(colour=(200, 100, 50)):
    return Image.new("RGB", (8, 8), colour)


def png(colour=(200, 100, 50)):
    file = io.BytesIO()
    picture(colour).save(file, "PNG")
    return file.getvalue()


def test_one_photo_gives_a_list_and_a_list_gives_lists(classify, tmp_path):
    (tmp_path / "photo.png").write_bytes(png())
    expected = classify(picture())
    assert [entry["label"] for entry in expected] == ["red", "green", "blue"]
    inline = "data:image/png;base64," + base64.b64encode(png()).decode()
    with serve() as server:
        server.files["/photo.png"] = png()
        for photo in (str(tmp_path / "photo.png"), f"{server.address}/photo.png", inline, np.asarray(picture())):
            assert classify(photo) == classify(inputs=photo) == classify(images=photo) == expected
            assert classify([photo]) == [expected]
    assert classify([]) == []


class Photos:
    """As PyTorch's datasets are: asked by number."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return picture([(255, 0, 0), (0, 0, 255)][index])


def test_generators_and_data_sets_are_read_as_they_are_asked(classify):
    asked = []

    def photos():
        for colour in ((255, 0, 0), (0, 0, 255)):
            asked.append(colour)
            yield picture(colour)

    answers = classify(photos(), top_k=1)
    assert isinstance(answers, types.GeneratorType) and asked == []
    expected = [classify(picture(colour), top_k=1) for colour in ((255, 0, 0), (0, 0, 255))]
    assert list(answers) == expected
    assert list(classify(Photos(), top_k=1)) == list(classify(iter(Photos()), top_k=1)) == expected


def test_defaults_hold_until_a_call_changes_them(model):
    classify = model_maker.pipeline(model=model, top_k=1, function_to_apply="none", batch_size=4)
    plain = model_maker.pipeline(model=model)
    assert len(classify(picture())) == 1 and len(classify(picture(), top_k=2)) == 2
    assert classify(picture(), top_k=None) == classify(picture())
    assert classify(picture())[0]["score"] != plain(picture())[0]["score"]
    assert plain(picture(), function_to_apply="default") == plain(picture(), function_to_apply="softmax")
    assert classify.task == "image-classification" and classify.model.labels == LABELS
    assert model_maker.pipeline(model=classify.model)(picture()) == plain(picture())


def test_a_server_that_keeps_silent_is_left_after_the_timeout(classify):
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DataError, match="timed out"):
        classify(f"http://127.0.0.1:{silent.getsockname()[1]}/photo.png", timeout=0.2)


def test_what_means_something_to_pytorch_only_is_passed_over(model):
    classify = model_maker.pipeline("image-classification", model=str(model), device="cuda:0", dtype=None)
    assert len(classify(picture())) == 3


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"task": "object-detection"}, "task='object-detection' is not offered"),
        ({"topk": 3}, "topk is not an option; choose from top_k, function_to_apply, timeout, batch_size"),
        ({"batch_size": 0}, "batch_size=0: give a whole number"),
        ({"timeout": -1}, "timeout=-1: give seconds above 0"),
        ({"function_to_apply": "relu"}, "choose one of default, softmax, none, sigmoid"),
    ],
)
def test_what_means_nothing_is_refused(model, arguments, message):
    with pytest.raises(DataError, match=message):
        model_maker.pipeline(**{"model": model} | arguments)


def test_a_call_without_photos_is_refused(classify):
    with pytest.raises(DataError, match="pass `inputs`"):
        classify()


@pytest.mark.slow
def test_the_name_of_a_backbone_is_its_published_classifier(shared_data):
    classifier = model_maker.Classifier("efficientnet_lite0")
    assert classifier.labels == imagenet.labels()
    assert classifier.predict(shared_data / "photos/parrot.jpg")[0][0].label == "macaw"
    assert model_maker.pipeline()(shared_data / "photos/parrot.jpg", top_k=1)[0]["label"] == "macaw"
    with pytest.raises(DataError, match="apply to model files"):
        model_maker.Classifier("efficientnet_lite0", labels=["a"])


def test_a_file_of_that_name_comes_first(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "efficientnet_lite0").write_bytes(model.read_bytes())
    assert model_maker.Classifier("efficientnet_lite0").labels == LABELS


def test_folders_of_imagenet_are_known_by_their_numbers(shared_data, tmp_path):
    """The samples are named 0013_n01534433_junco.jpg: class, WordNet's number, English name."""
    photos = sorted((shared_data / "imagenet_samples").glob("*.jpg"))
    truth = {}
    for photo in photos:
        index, number, name = photo.stem.split("_", 2)
        truth[number] = int(index)
        folder = tmp_path / (number if len(truth) % 2 else f"{number}_{name}")
        folder.mkdir(exist_ok=True)
        (folder / photo.name).write_bytes(photo.read_bytes())
    assert len(truth) > 10
    classifier = model_maker.Classifier("efficientnet_lite0")
    dataset = model_maker.load_dataset(tmp_path)
    expected = [truth[name.partition("_")[0]] for name in dataset.classes]
    assert classifier.indices(dataset.classes).tolist() == expected
    metrics = classifier.evaluate(tmp_path)
    # Published top-1 is 75 %; of a few samples, more than half is no chance among 1000 classes.
    assert metrics.photos == len(photos) and metrics.top1 > 0.5


@pytest.mark.parametrize("first", [0, 1])
def test_labels_of_others_are_known_by_their_place(first):
    theirs = ["background"][:first] + ["tench, Tinca tinca", *map(str, range(999))]
    assert imagenet.first_class(theirs) == first
    assert imagenet.class_of("n01440764") == 0 and imagenet.class_of("n15075141-toilet_tissue") == 999
    for name in ("n01440764x", "n00000001", "tench", "n0144076"):
        assert imagenet.class_of(name) is None
    assert imagenet.first_class(["tench", "goldfish"]) is None


def test_evaluate_finds_the_test_photos_of_the_training(trained):
    folder = trained["uint8"]
    stated = json.loads((folder / "metrics.json").read_text())["test"]
    found = model_maker.Classifier(folder).evaluate()
    assert (found.photos, found.top1) == (stated["photos"], stated["top1"])
    again = pickle.loads(pickle.dumps(model_maker.Classifier(folder / "model.tflite")))
    assert again.evaluate().top1 == found.top1


def test_evaluate_without_data_says_what_is_missing(model):
    with pytest.raises(ModelError, match="Pass `data=DIR`"):
        model_maker.Classifier(model.read_bytes()).evaluate()
    with pytest.raises(ModelError, match="Pass `data=DIR`"):
        model_maker.Classifier(model).evaluate()
