"""From text vectors to kernels, with a stand-in for the text tower where real vectors are not needed."""

import hashlib

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from model_maker import Classifier
from model_maker.data import imagenet
from model_maker.errors import DataError
from model_maker.progress import Progress
from model_maker.zero_shot_learning import classify, head, int8_model, text_vectors, tiers, towers, words
from model_maker.zero_shot_learning.text_vectors import PromptedTower, VectorFile

# Folder names of the photos, in words of which there are vectors.
CLOTHING = {
    "dress": "dress",
    "hat": "hat",
    "outwear": "coat",
    "pants": "pants",
    "shirt": "shirt",
    "shoes": "shoes",
    "shorts": "shorts",
    "skirt": "skirt",
    "t-shirt": "t-shirt",
}


def embed(texts):
    """Unit vectors that depend on the texts alone."""
    seeds = [int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) for text in texts]
    rows = np.stack([np.random.default_rng(seed).normal(size=16) for seed in seeds])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of text vectors."""

    def write(names, vectors):
        (tmp_path / "names.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
        np.save(tmp_path / "vectors.npy", vectors)
        return tmp_path

    return write


def test_the_regression_is_scikit_learns():
    random = np.random.default_rng(0)
    known, wanted = random.normal(size=(80, 30)), random.normal(size=(5, 30))
    targets = known @ random.normal(size=(30, 7)) + random.normal(size=(80, 7))
    chosen = RidgeCV(alphas=words.PENALTIES, gcv_mode="eigen", scoring="neg_mean_squared_error").fit(known, targets)
    expected = Ridge(alpha=chosen.alpha_).fit(known, targets).predict(wanted)
    np.testing.assert_allclose(words.regress(known, targets, wanted), expected, rtol=1e-6, atol=1e-8)


def test_more_numbers_than_classes_are_regressed_alike():
    random = np.random.default_rng(1)
    known, wanted, targets = random.normal(size=(40, 64)), random.normal(size=(3, 64)), random.normal(size=(40, 5))
    chosen = RidgeCV(alphas=words.PENALTIES, gcv_mode="eigen", scoring="neg_mean_squared_error").fit(known, targets)
    expected = Ridge(alpha=chosen.alpha_).fit(known, targets).predict(wanted)
    np.testing.assert_allclose(words.regress(known, targets, wanted), expected, rtol=1e-6, atol=1e-8)


def test_clothing_is_told_apart_by_words(lite0, shared_data):
    photos = [photo for name in CLOTHING for photo in sorted((shared_data / "clothing" / name).iterdir())]
    truth = np.array([list(CLOTHING).index(photo.parent.name) for photo in photos])
    vectors = VectorFile(shared_data / "clip_text")
    model = int8_model.build(
        list(CLOTHING.values()), model="efficientnet_lite0", tier="words", vectors=vectors, progress=Progress()
    )
    right = {}
    for kind, content in (("float", model.float_file()), ("int8", model.file())):
        rows = Classifier(content).predict(photos, top_k=1)
        right[kind] = np.mean([row[0].index for row in rows] == truth)
    # Chance is 1 in 9.
    assert right["float"] >= 0.5 and right["int8"] >= right["float"] - 0.05
    assert model.info.provenance["zero_shot"]["tier"] == "words"
    assert model.info.provenance["zero_shot"]["source"] == "clip_text"


def test_a_tower_is_asked_once_for_the_classes(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(tmp_path))
    asked = []

    def counted(texts):
        asked.extend(texts)
        return embed(texts)

    tower = PromptedTower(counted, "a tower", "a photo of a {}.")
    indices, vectors = tower.classes(Progress())
    assert indices == list(range(1000)) and vectors.shape == (1000, 16)
    assert asked[0] == "a photo of a tench." and "a photo of a crane bird." in asked
    _, again = PromptedTower(counted, "a tower", "a photo of a {}.").classes(Progress())
    assert len(asked) == 1000 and np.array_equal(again, vectors)
    PromptedTower(counted, "a tower", "another {}").classes(Progress())
    assert len(asked) == 2000


def test_a_label_that_is_a_class_gets_a_kernel_near_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(tmp_path))
    published = head.published("efficientnet_lite0")
    # Vectors that hold the kernels, turned at random, and so tell all of them.
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(1280, 1280)))[0]
    known = dict(zip(imagenet.labels(), published.centered @ turn, strict=True))

    def told(texts):
        rows = np.array([known.get(text, known["tench"]) for text in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    labels = ("goldfish", "broccoli", "minibus")
    found = words.fit(labels, published, PromptedTower(told, "all-knowing", "{}"), progress=Progress())
    rows = published.centered[[imagenet.labels().index(label) for label in labels]]
    wanted = rows - rows.mean(axis=0)
    cosines = (found.kernel * wanted).sum(axis=1)
    cosines /= np.linalg.norm(found.kernel, axis=1) * np.linalg.norm(wanted, axis=1)
    assert (cosines > 0.9).all()
    np.testing.assert_allclose(found.kernel.sum(axis=0), 0, atol=1e-5)  # centered over the labels


@pytest.mark.parametrize(
    ("tier", "vectors", "said"),
    [
        (None, False, "tier=words"),
        ("known", False, "tier=words"),
        ("known", True, "Text vectors belong to"),
        ("guess", False, "choose one of known, words, pictures"),
    ],
)
def test_no_tier_stands_in_for_another(tier, vectors, said):
    given = PromptedTower(embed, "stand-in") if vectors else None
    with pytest.raises(DataError, match=said):
        tiers.choose(["cat", "gryphon"], tier, given)


def test_given_vectors_mean_the_tier_of_words():
    assert tiers.choose(["cat", "dog"], None, PromptedTower(embed, "stand-in")) == "words"
    assert tiers.choose(["cat", "dog"], None) == "known"


def test_words_without_a_vector_are_refused(shared_data):
    with pytest.raises(DataError, match="no vector of gryphon. Choose other words"):
        VectorFile(shared_data / "clip_text").embed(["shoes", "gryphon"])


@pytest.mark.parametrize(
    ("names", "vectors", "said"),
    [
        (["a", "b"], np.zeros((3, 4), np.float32), "2 names and vectors of shape"),
        (["a", "b"], np.zeros((2, 4), int), "int64"),
        (["a", "b"], np.full((2, 4), np.nan, np.float32), "not finite"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(folder, names, vectors, said):
    with pytest.raises(DataError, match=said):
        VectorFile(folder(names, vectors))


def test_a_folder_without_vectors_is_refused(tmp_path):
    with pytest.raises(DataError, match=f"{text_vectors.NAMES}, one name a line"):
        VectorFile(tmp_path)


def test_pickles_in_the_place_of_vectors_are_not_opened(folder, tmp_path):
    path = folder(["a"], np.zeros((1, 4), np.float32))
    np.save(path / "vectors.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="holds no text vectors"):
        VectorFile(path)


def test_too_few_classes_to_learn_from_are_refused(folder):
    file = VectorFile(folder(["tench", "goldfish"], np.eye(2, 4, dtype=np.float32)))
    with pytest.raises(DataError, match="vectors of 2 ImageNet classes"):
        file.classes(Progress())


class _Record:
    def __init__(self, scores):
        self.scores = scores


class _Text:
    def __init__(self, scores="softmax", scale=10.0, bias=0.0):
        self.record, self.logit_scale, self.logit_bias = _Record(scores), scale, bias
        self.read = []

    def embed(self, texts):
        self.read = list(texts)
        return np.eye(3, dtype=np.float32)[: len(texts)]


class _Image:
    def __init__(self):
        self.calls = []

    def embed(self, photos):
        self.calls.append(list(photos))
        if "torn.jpg" in photos:
            raise DataError("torn.jpg: it cannot be read.")
        return np.array([[0.6, 0.8, 0.0]] * len(photos), np.float32)


def test_towers_give_a_softmax_of_scaled_similarities():
    text = _Text()
    found = classify.by_pictures(("cat", "dog", "owl"), text, _Image(), template="photo: {}", name="tiny")
    assert text.read == ["photo: cat", "photo: dog", "photo: owl"]
    [scores] = found.classifier.scores(["a.jpg"])
    expected = np.exp([6.0, 8.0, 0.0])
    np.testing.assert_allclose(scores, expected / expected.sum(), rtol=1e-5)
    assert [one.label for one in found.classifier.rank(scores, top_k=2)] == ["dog", "cat"]
    assert (found.tier, found.source) == ("pictures", "tiny")


def test_towers_of_the_other_kind_give_sigmoids():
    found = classify.by_pictures(("cat", "dog"), _Text("sigmoid", 10.0, -7.0), _Image(), name="tiny")
    [scores] = found.classifier.scores(["a.jpg"])
    np.testing.assert_allclose(scores, 1 / (1 + np.exp([1.0, -1.0])), rtol=1e-5)  # 6 - 7 and 8 - 7
    assert found.classifier.rank(scores, threshold=0.9)[0].label == "unknown"


def test_a_photo_that_cannot_be_read_is_an_answer_of_its_own():
    found = classify.by_pictures(("cat", "dog"), _Text(), _Image(), name="tiny")
    first, second = found.classifier.scores(["torn.jpg", "a.jpg"])
    assert isinstance(first, DataError) and second.shape == (2,)


def test_a_tower_is_given_many_photos_at_once():
    image, names = _Image(), [f"{number}.jpg" for number in range(100)]
    vectors = list(towers.embed_each(names, image))
    assert [len(some) for some in image.calls] == [64, 36]
    assert len(vectors) == 100 and not any(isinstance(vector, DataError) for vector in vectors)


def test_the_one_that_cannot_be_read_is_found_among_many():
    names = [f"{number}.jpg" for number in range(10)]
    names[7] = "torn.jpg"
    found = list(towers.embed_each([*names, DataError("elsewhere")], _Image()))
    assert [index for index, one in enumerate(found) if isinstance(one, DataError)] == [7, 10]
