import dataclasses
import io

import numpy as np
import pytest
from loopback_files import serve
from PIL import Image

from model_maker import Classifier
from model_maker.errors import DataError
from model_maker.normalization import Normalization
from model_maker.tflite import graph, metadata

LABELS = ("red", "green", "blue")
INFO = metadata.ModelInfo(labels=LABELS, normalization=Normalization(127.0, 128.0))
COLOUR = (200, 100, 50)


@pytest.fixture(scope="module")
def make_classifier(tiny_embedder):
    """make_classifier(io, sharpness): a softmax of so many times the normalized mean colour."""

    def make(io="float32", sharpness=2.0, info=INFO):
        content = graph.attach_head(tiny_embedder, sharpness * np.eye(3), np.zeros(3))
        return Classifier(metadata.write(graph.set_io(content, io, mean=127, std=128), info))

    return make


@pytest.fixture(scope="module")
def classifier(make_classifier):
    return make_classifier()


def picture(colour=COLOUR):
    return Image.new("RGB", (8, 8), colour)


def png(colour=COLOUR):
    file = io.BytesIO()
    picture(colour).save(file, "PNG")
    return file.getvalue()


def logits(colour=COLOUR, sharpness=2.0):
    return sharpness * (np.array(colour, float) - 127) / 128


def softmax(values):
    """A second implementation, shifted by the largest value as transformers does it."""
    shifted = np.exp(values - np.max(values))
    return shifted / shifted.sum()


def test_one_photo_gives_a_list_of_dicts_best_first(classifier):
    found = classifier(picture())
    assert [set(entry) for entry in found] == [{"label", "score"}] * 3
    assert [entry["label"] for entry in found] == ["red", "green", "blue"]
    assert [entry["score"] for entry in found] == pytest.approx(list(softmax(logits())), abs=1e-6)
    assert all(type(entry["score"]) is float for entry in found)


def test_whatever_names_one_photo_gives_the_same(classifier, tmp_path):
    file = tmp_path / "photo.png"
    file.write_bytes(png())
    expected = classifier(picture())
    with serve() as server:
        server.files["/photo.png"] = png()
        for photo in (file, str(file), png(), np.asarray(picture()), f"{server.address}/photo.png"):
            assert classifier(photo) == expected
        assert [request for request, _ in server.requests] == ["GET /photo.png"]


def test_several_photos_give_a_list_each(classifier):
    colours = [COLOUR, (0, 0, 255)]
    expected = [classifier(picture(colour)) for colour in colours]
    assert classifier([picture(colour) for colour in colours]) == expected
    assert classifier(tuple(np.asarray(picture(colour)) for colour in colours)) == expected
    assert classifier(np.stack([np.asarray(picture(colour)) for colour in colours])) == expected
    # As in transformers: a list of one photo is several.
    assert classifier([picture()]) == expected[:1]
    assert classifier([]) == []


@pytest.mark.parametrize("top_k, count", [(1, 1), (2, 2), (3, 3), (50, 3), (0, 0), (None, 3)])
def test_top_k_is_limited_by_the_labels(classifier, top_k, count):
    assert classifier(picture(), top_k=top_k) == classifier(picture())[:count]


def test_the_default_is_five_labels(tiny_embedder):
    info = dataclasses.replace(INFO, labels=tuple("abcdefg"))
    kernel = np.random.default_rng(0).normal(size=(7, 3))
    classifier = Classifier(metadata.write(graph.attach_head(tiny_embedder, kernel, np.zeros(7)), info))
    assert len(classifier(picture())) == len(classifier(picture(), top_k=None)) == 5
    assert len(classifier(picture(), top_k=7)) == 7


def test_none_gives_logits_with_a_mean_of_zero(classifier):
    found = {entry["label"]: entry["score"] for entry in classifier(picture(), function_to_apply="none")}
    values = np.array([found[name] for name in LABELS])
    # Differences of logits survive a softmax, their common height does not. float32 holds 7 digits of a probability.
    np.testing.assert_allclose(values - values[0], logits() - logits()[0], atol=1e-5)
    np.testing.assert_allclose(softmax(values), softmax(logits()), atol=1e-6)
    assert values.mean() == pytest.approx(0, abs=1e-6)


def test_sigmoid_judges_each_label_by_its_logit(classifier):
    found = {entry["label"]: entry["score"] for entry in classifier(picture(), function_to_apply="sigmoid")}
    expected = 1 / (1 + np.exp(logits().mean() - logits()))
    np.testing.assert_allclose([found[name] for name in LABELS], expected, atol=1e-6)


def test_logits_of_a_trained_head_have_a_mean_of_zero(trained):
    """So what "none" gives of a float file is what the head computed."""
    model = graph.parse((trained["uint8"] / "float.tflite").read_bytes())
    constants = [tensor for tensor in model.subgraphs[0].tensors if model.buffers[tensor.buffer].data is not None]
    [kernel] = [graph.constant(model, tensor) for tensor in constants if list(tensor.shape) == [5, 1280]]
    assert np.abs(kernel.sum(axis=0)).max() < 1e-3 * np.abs(kernel).max()


def test_the_logarithm_of_a_score_rounded_to_nothing_is_finite(make_classifier):
    sharp = make_classifier("uint8", sharpness=9.0)
    colour = (255, 0, 0)
    scores = {entry["label"]: entry["score"] for entry in sharp(picture(colour))}
    assert scores["green"] == scores["blue"] == 0  # softmax of 9, -9, -9 is 1.5e-8
    found = {entry["label"]: entry["score"] for entry in sharp(picture(colour), function_to_apply="none")}
    assert found["green"] == found["blue"] < found["red"] - 6  # log 512 is 6.2
    assert list(found) == list(scores)


def test_the_name_of_a_function_is_read_as_transformers_reads_it(classifier):
    assert classifier(picture(), function_to_apply="SoftMax") == classifier(picture(), function_to_apply=None)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"function_to_apply": "relu"}, "function_to_apply='relu': choose one of default, softmax, none, sigmoid"),
        ({"top_k": -1}, "top_k=-1: pass a whole number from 0 on"),
        ({"top_k": 2.5}, "top_k=2.5: pass a whole number"),
        ({"function_to_apply": 5}, "function_to_apply=5: choose one of"),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(classifier, arguments, message):
    with pytest.raises(DataError, match=message) as caught:
        classifier(picture(), **arguments)
    assert "\n" not in str(caught.value)


def test_thresholds_of_the_model_play_no_part(make_classifier):
    careful = make_classifier(info=dataclasses.replace(INFO, threshold=0.99))
    assert careful.predict(picture())[0][0].label == "unknown"
    assert careful(picture())[0]["label"] == "red"


def test_a_photo_that_cannot_be_had_is_named(classifier, tmp_path):
    with pytest.raises(DataError, match="missing.jpg"):
        classifier([picture(), tmp_path / "missing.jpg"])
    with serve() as server, pytest.raises(DataError, match=r"/none.jpg: the server answered 404"):
        classifier(f"{server.address}/none.jpg")
    with pytest.raises(DataError, match="file:///etc/passwd"):  # http and https only; anything else is a path
        classifier("file:///etc/passwd")


@pytest.mark.parametrize("photo", [None, 5, [None], [[COLOUR]], object()])
def test_what_is_no_photo_is_named(classifier, photo):
    with pytest.raises(DataError, match="is not a photo"):
        classifier(photo)


def test_a_picture_without_pixels_is_refused(classifier):
    with pytest.raises(DataError, match="no pixels: it is 0 x 3"):
        classifier(Image.new("RGB", (0, 3)))


@pytest.mark.parametrize("arguments", [{"top_k": 0}, {"top_k": -1}, {"top_k": 2.5}, {"threshold": float("nan")}])
def test_predict_refuses_what_means_nothing(classifier, arguments):
    with pytest.raises(DataError, match=f"{next(iter(arguments))}="):
        classifier.predict(picture(), **arguments)
