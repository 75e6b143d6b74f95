"""Explanations of photos whose content is known, and the training photos that speak for answers."""

import numpy as np
import pytest
from PIL import Image

import model_maker
from model_maker.data import images
from model_maker.data.dataset import Sample
from model_maker.errors import DataError, ModelError
from model_maker.explanations import training_photos
from model_maker.explanations.album import album
from model_maker.inference.classifier import FileClassifier
from model_maker.inference.explanation import Explainer, Explanation
from model_maker.learning import heads
from model_maker.learning.evidence import TrainingPhotos
from model_maker.normalization import Normalization
from model_maker.progress import Progress
from model_maker.report import heat_map
from model_maker.tflite import class_rows, graph, metadata
from model_maker.tflite.class_rows import Rows
from model_maker.tflite.interpreter import LiteRTRunner

PIXELS = Normalization(mean=127.0, std=128.0)
RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def by_color(tiny_embedder):
    """A classifier of 8 x 8 pixels whose logits are the mean red and the mean blue, from -1 to 1."""
    content = graph.attach_head(tiny_embedder, np.array([[1.0, 0, 0], [0, 0, 1.0]]), np.array([0.25, 0.0]))
    return metadata.write(content, metadata.ModelInfo(("red", "blue"), PIXELS, name="colors"))


@pytest.fixture
def half_and_half():
    """Red on the left, blue on the right."""
    pixels = np.empty((8, 8, 3), np.uint8)
    pixels[:, :4], pixels[:, 4:] = RED, BLUE
    return pixels


def test_the_map_of_a_label_lies_where_its_color_is(by_color, half_and_half):
    [found] = model_maker.explain(FileClassifier(by_color), [half_and_half], label="red")
    # Each of 64 pixels: (255 - 127) / 128 / 64 where red is, (0 - 127) / 128 / 64 where it is not.
    np.testing.assert_allclose(found.shares[:, :4], 1 / 64, atol=1e-6)
    np.testing.assert_allclose(found.shares[:, 4:], -127 / 128 / 64, atol=1e-6)
    assert found.logit == pytest.approx(0.5 - 127 / 256 + 0.25, abs=1e-6)
    assert found.logit == pytest.approx(found.shares.sum() + found.bias + found.unplaced, abs=1e-6)
    assert (found.label, found.index, found.training_photos) == ("red", 0, ())


def test_the_best_label_is_explained_by_default(by_color, half_and_half):
    [found] = Explainer(FileClassifier(by_color)).explain([half_and_half])
    assert found.label == "red"  # which has the bias
    assert Explanation.as_dict(found)["shares"] == found.shares.tolist()


def test_a_format_without_maps_says_so(by_color):
    class Exported(FileClassifier):
        content = None

    with pytest.raises(ModelError, match=r"only for \.tflite files"):
        Explainer(Exported(by_color))


def test_a_photo_that_cannot_be_read_and_an_unknown_label_are_refused(by_color, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no photo")
    with pytest.raises(DataError, match=r"a\.jpg"):
        model_maker.explain(FileClassifier(by_color), [tmp_path / "a.jpg"])
    with pytest.raises(DataError, match="green"):
        model_maker.explain(FileClassifier(by_color), [np.zeros((8, 8, 3), np.uint8)], label="green")


def test_a_heat_map_is_orange_where_shares_are_positive_and_blue_where_they_are_negative(half_and_half):
    drawn = np.asarray(heat_map.draw(np.full((80, 80, 3), 128, np.uint8), np.array([[1.0, -1.0], [0.0, 0.0]]), 80))
    left, right, below = drawn[10, 10].astype(int), drawn[10, 70].astype(int), drawn[75, 10].astype(int)
    assert left[0] > left[2] + 100 and right[2] > right[0] + 100
    assert np.ptp(below) < 30  # gray


def test_shares_over_all_training_photos_are_the_logit_but_for_a_constant(stored):
    """The kernel of a fit with an L2 penalty is a sum over its photos (the representer theorem)."""
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 30)
    values = (random.normal(size=(90, 12)) + 1.5 * np.eye(3, 12)[labels]).astype(np.float32)
    fit = heads.fit(values, labels, classes=3)
    # Scores of the fit itself, whose temperature is not folded in.
    rows = Rows(fit.head.kernel * fit.temperature, fit.head.bias * fit.temperature)
    maps = stored(values)
    samples = [Sample(f"{number}.jpg", int(label), "") for number, label in enumerate(labels)]
    photos = TrainingPhotos(samples, labels, ("a", "b", "c"), maps, (12,), rows)
    asked = random.normal(size=(20, 12)).astype(np.float32)
    logits = (asked - values.mean(axis=0)) @ rows.kernel.T
    sums = np.array([photos.added([explanation(vector, 1)]).sum() for vector in asked])
    assert np.corrcoef(sums, logits[:, 1])[0, 1] > 0.999  # the search for the minimum ends a little before it


def test_a_copy_of_the_photo_speaks_for_its_class_and_another_class_does_not(stored):
    values = np.array([[4.0, 0], [1.0, 0], [0, 4.0], [0, 1.0]], np.float32)
    rows = Rows(np.array([[0.2, -0.2], [-0.2, 0.2]], np.float32), np.zeros(2, np.float32))
    samples = [Sample(f"{number}.jpg", label, "") for number, label in enumerate((0, 0, 1, 1))]
    photos = TrainingPhotos(samples, np.array([0, 0, 1, 1]), ("a", "b"), stored(values), (2,), rows)
    [found] = photos.add_to([explanation(np.array([4.0, 0], np.float32), 0)], count=2)
    assert [(entry.path, entry.label) for entry in found.training_photos][0] == ("0.jpg", "a")
    assert 0 < found.training_photos[1].weight < found.training_photos[0].weight < 1


def explanation(features, index):
    return Explanation("x", index, 0.5, 0.0, 0.0, 0.0, np.zeros((1, 1)), {}, features)


def test_an_album_has_a_picture_for_each_photo_and_names_training_photos(trained, drawn_flowers, tmp_path):
    photos = sorted((drawn_flowers / "rose").iterdir())[:2]
    classifier = FileClassifier(trained["uint8"])
    with album(tmp_path / "why", classifier, trained["uint8"], named=[str(photos[0])]) as made:
        for photo in photos:
            made.add(photo.name, photo, None, "a <rose>")
    assert sorted(path.name for path in (tmp_path / "why").iterdir()) == [
        "index.html",
        *(f"{p.stem}.png" for p in photos),
    ]
    assert "a &lt;rose&gt;" in (tmp_path / "why/index.html").read_text()
    with Image.open(tmp_path / "why" / f"{photos[0].stem}.png") as picture:
        assert max(picture.size) <= 640
    for found in made.found:
        assert found.logit == pytest.approx(found.shares.sum() + found.bias, abs=2e-4)
        assert [entry.label for entry in found.training_photos].count(found.label) >= 2
        np.testing.assert_allclose(sum(found.blocks.values()), found.shares, atol=1e-5)


def test_the_embeddings_that_train_kept_are_used(trained, drawn_flowers):
    """They are what the file itself computes, to the bit, and nothing is embedded again."""
    classifier = FileClassifier(trained["uint8"])
    known = training_photos.of(trained["uint8"], classifier, Progress())
    runner = LiteRTRunner(class_rows.embedder(classifier.content))
    for index in (0, len(known.samples) - 1):
        pixels = images.load(known.samples[index].path, classifier.image_size)[None]
        np.testing.assert_array_equal(known.maps[index : index + 1], runner.run_all(pixels)[0])
