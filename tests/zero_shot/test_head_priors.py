"""Heads that are regularized towards what the names of classes say."""

import numpy as np
import pytest
from scipy import optimize

from model_maker.errors import DataError
from model_maker.learning import heads
from model_maker.learning.heads import Prior
from model_maker.tflite import metadata
from model_maker.training.train import train


def photos(per_class, *, classes=3, size=20, seed=0):
    """Classes around centers of their own; the kernel of a center is a good prior."""
    random = np.random.default_rng(seed)
    centers = random.normal(size=(classes, size))
    labels = np.repeat(np.arange(classes), per_class)
    return (centers[labels] + random.normal(size=(len(labels), size))).astype(np.float32), labels, centers


def test_the_minimum_is_the_one_that_scipy_finds():
    values, labels, centers = photos(6)
    prior = Prior(centers, np.zeros(3))
    fit = heads.fit(values, labels, classes=3, prior=prior)
    center, scale = values.mean(axis=0), np.sqrt(np.mean((values - values.mean(axis=0)) ** 2))
    rows = (values - center) / scale
    offsets = fit.prior_scale * values @ centers.T

    def loss(flat):
        kernel, bias = flat[: 3 * 20].reshape(3, 20), flat[3 * 20 :]
        logits = offsets + rows @ kernel.T + bias
        logits -= logits.max(axis=1, keepdims=True)
        right = logits[np.arange(len(labels)), labels] - np.log(np.exp(logits).sum(axis=1))
        return -right.mean() + 0.5 * fit.regularization * np.square(kernel).sum()

    flat = optimize.minimize(loss, np.zeros(3 * 21), method="L-BFGS-B", options={"maxiter": 5000}).x
    kernel, bias = flat[: 3 * 20].reshape(3, 20) / scale, flat[3 * 20 :]
    logits = offsets + (values - center) @ kernel.T + bias
    expected = (logits - logits.mean(axis=1, keepdims=True)) / fit.temperature
    found = fit.head.logits(values)
    np.testing.assert_allclose(found - found.mean(axis=1, keepdims=True), expected, atol=0.02)


def test_a_good_prior_helps_where_photos_are_few():
    values, labels, centers = photos(2, classes=8, size=60, seed=1)
    unseen, truth, _ = photos(40, classes=8, size=60, seed=1)  # the same centers, drawn first
    without = heads.fit(values, labels, classes=8).head
    having = heads.fit(values, labels, classes=8, prior=Prior(centers, np.zeros(8))).head
    right = [(head.logits(unseen[16:]).argmax(1) == truth[16:]).mean() for head in (without, having)]
    assert right[1] > right[0]


def test_a_prior_that_says_nothing_changes_nothing_of_what_is_learned():
    values, labels, _ = photos(30)
    plain = heads.fit(values, labels, classes=3)
    nothing = heads.fit(values, labels, classes=3, prior=Prior(np.zeros((3, 20)), np.zeros(3)))
    assert nothing.regularization == plain.regularization
    np.testing.assert_allclose(nothing.head.kernel, plain.head.kernel, atol=0.01)


def test_one_photo_of_each_class_is_enough_beside_a_prior():
    values, labels, centers = photos(1)
    with pytest.raises(DataError, match="each needs two"):
        heads.fit(values, labels, classes=3)
    fit = heads.fit(values, labels, classes=3, prior=Prior(centers, np.zeros(3)))
    assert (fit.head.logits(values).argmax(1) == labels).all()


def test_no_photo_is_not_enough():
    values, _, centers = photos(2)
    with pytest.raises(DataError, match="no photo to learn from; each needs one"):
        heads.fit(values, np.array([0, 0, 1, 1, 1, 1]), classes=3, prior=Prior(centers, np.zeros(3)))


def test_train_starts_from_names(lite0, tmp_path, shared_data):
    names = ("broccoli", "minibus")
    for name, photo in zip(names, ("0937_n07714990_broccoli", "0654_n03769881_minibus"), strict=True):
        content = (shared_data / "imagenet_samples" / f"{photo}.jpg").read_bytes()
        for part, count in (("train", 1), ("test", 2)):
            (tmp_path / "photos" / part / name).mkdir(parents=True)
            for number in range(count):  # other files of the same picture
                other = content + bytes(number + (part == "test"))
                (tmp_path / "photos" / part / name / f"{number}.jpg").write_bytes(other)
    with pytest.raises(DataError, match="has 1 photo"):
        train(tmp_path / "photos", tmp_path / "plain")
    result = train(tmp_path / "photos", tmp_path / "model", labels_from_text="known")
    assert result.metrics.top1 == 1.0
    stated = result.report["labels_from_text"]
    assert (stated["tier"], stated["source"], set(stated["labels"])) == ("known", "WordNet 3.0", set(names))
    assert stated["scale"] > 0 and result.report["photos"] == {"train": 2, "validation": 0, "test": 4}
    info = metadata.read((tmp_path / "model" / "model.tflite").read_bytes())
    assert info.provenance["labels_from_text"]["tier"] == "known"
    assert "names of classes, tier known (WordNet 3.0)" in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"labels_from_text": "known"}, "knows 1 of the 5 classes"),
        ({"labels_from_text": "nowhere"}, "holds no text vectors"),
        ({"labels_from_text": "known", "fine_tune": "tail"}, "for a head on frozen features"),
    ],
)
def test_names_that_say_nothing_are_refused(lite0, drawn_flowers, tmp_path, more, said):
    with pytest.raises(DataError, match=said):
        train(drawn_flowers, tmp_path / "model", **more)
    assert not (tmp_path / "model").exists()
