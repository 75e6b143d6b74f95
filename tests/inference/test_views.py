"""A part of a photo, turned; labels that may be the answer; scores averaged over frames."""

import numpy as np
import pytest
from PIL import Image

from model_maker import Classifier
from model_maker.data import images
from model_maker.errors import DataError
from model_maker.inference import views
from model_maker.inference.views import View
from model_maker.normalization import Normalization
from model_maker.tflite import graph, metadata

LABELS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def colours(tiny_embedder):
    """A softmax of twice the normalized mean colour."""
    info = metadata.ModelInfo(labels=LABELS, normalization=Normalization(127.0, 128.0))
    return Classifier(metadata.write(graph.attach_head(tiny_embedder, 2 * np.eye(3), np.zeros(3)), info))


def quarters():
    """Red, green; blue, black: 20 x 12 pixels."""
    pixels = np.zeros((12, 20, 3), np.uint8)
    pixels[:6, :10, 0] = pixels[:6, 10:, 1] = pixels[6:, :10, 2] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("region", "best"), [((0, 0, 0.5, 0.5), "red"), ((0.5, 0, 1, 0.5), "green"), ((0, 0.5, 0.5, 1), "blue")]
)
def test_a_region_is_what_is_classified(colours, region, best):
    [[found]] = colours.predict(quarters(), region=region, top_k=1)
    pure = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}[best]
    [[expected]] = colours.predict(Image.new("RGB", (8, 8), pure), top_k=1)
    assert (found.label, found.score) == (best, pytest.approx(expected.score, abs=1e-6)) and found == expected


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, -90, 450])
def test_rotation_is_clockwise_and_after_the_region(degrees):
    region = (0.0, 0.0, 1.0, 0.5)  # red, green
    expected = np.rot90(np.asarray(quarters())[:6], -(degrees // 90))
    np.testing.assert_array_equal(View(region, degrees).load(quarters(), 8)[0], images.load(expected.copy(), 8))


def test_the_whole_view_is_the_plain_photo():
    np.testing.assert_array_equal(views.WHOLE.load(quarters(), 8)[0], images.load(quarters(), 8))
    assert View((0.99, 0.99, 1.0, 1.0)).load(quarters(), 8).shape == (1, 8, 8, 3)


def test_labels_that_may_be_the_answer(colours):
    picture = Image.new("RGB", (8, 8), (200, 150, 100))
    [everything] = colours.predict(picture)
    assert [entry.label for entry in everything] == ["red", "green", "blue"]
    assert colours.predict(picture, deny=["red"]) == [everything[1:]]
    assert colours.predict(picture, allow={"blue", "red"}, top_k=1) == [everything[:1]]
    assert colours.predict(picture, allow="blue") == [everything[2:]]
    # Where the best that is allowed does not reach its threshold, nothing is an answer.
    [[unknown]] = colours.predict(picture, deny=["red"], threshold=everything[1].score + 0.01)
    assert (unknown.label, unknown.score) == ("unknown", everything[1].score)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allow": ["red"], "deny": ["blue"]}, "allow and deny exclude each other"),
        ({"deny": ["violet"]}, "no label 'violet'"),
        ({"deny": list(LABELS)}, "excludes every label"),
        ({"region": (0.5, 0, 0.5, 1)}, "region=.*left before right"),
        ({"region": (0, 0, 2, 1)}, "shares from 0 to 1"),
        ({"region": (0, float("nan"), 1, 1)}, "shares from 0 to 1"),
        ({"rotation": 45}, "rotation=45: give degrees clockwise, a multiple of 90"),
    ],
)
def test_what_means_nothing_is_refused(colours, options, message):
    with pytest.raises(DataError, match=message):
        colours.predict(quarters(), **options)


def test_scores_of_frames_are_averaged_within_a_video():
    error = DataError("no frame")
    rows = [("a1", 1.0), ("a2", 3.0), ("a3", 8.0), ("b1", 10.0), ("b2", None), ("b3", 20.0), ("", 7.0), ("b4", 30.0)]
    given = [(name, error if value is None else np.array([value], np.float32)) for name, value in rows]
    found = list(views.smoothed(given, lambda name: name[:1], 2))
    assert [name for name, _ in found] == [name for name, _ in rows]
    assert [scores if scores is error else float(scores[0]) for _, scores in found] == [
        1.0, 2.0, 5.5, 10.0, error, 15.0, 7.0, 30.0
    ]  # fmt: skip
