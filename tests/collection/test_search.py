"""Photos of a folder, found by a photo or by words."""

import json
import os
import shutil

import numpy as np
import pytest

import model_maker
from model_maker.collection import photos, search, vectors
from model_maker.data.dataset import Dataset, Sample
from model_maker.embeddings.store import EmbeddingStore, FeatureMaps, pack
from model_maker.errors import DataError
from model_maker.progress import SILENT, Progress


@pytest.fixture
def pile(tmp_path, shared_data):
    """Photos in folders of several depths."""
    home = tmp_path / "pile"
    for name, photo in (
        ("parrot.jpg", "photos/parrot.jpg"),
        ("2020/cat.jpg", "photos/cat_720p.jpg"),
        ("2020/may/food.jpg", "photos/burger.jpg"),
        ("2020/may/broccoli.jpg", "imagenet_samples/0937_n07714990_broccoli.jpg"),
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shared_data / photo, home / name)
    return home


def names(found, home):
    return [match.path.relative_to(home).as_posix() for match in found.matches]


def test_a_photo_is_most_like_itself(lite0, pile):
    found = search.search(pile, pile / "2020" / "cat.jpg", top_k=2)
    assert names(found, pile)[0] == "2020/cat.jpg" and found.matches[0].score == pytest.approx(1, abs=1e-5)
    assert (found.kind, found.tier, found.searched, len(found.matches)) == ("photo", "", 4, 2)


def test_words_find_what_they_mean_and_name_their_tier(lite0, pile):
    for word, photo in (("bird", "parrot.jpg"), ("cats", "2020/cat.jpg"), ("vegetable", "2020/may/broccoli.jpg")):
        found = model_maker.search(pile, word, top_k=1)
        assert names(found, pile) == [photo]
        assert (found.kind, found.tier) == ("words", "known") and found.meaning


def test_text_vectors_find_too(lite0, pile, shared_data):
    found = search.search(pile, "sandwich", top_k=1, text_vectors=shared_data / "clip_text")
    assert names(found, pile) == ["2020/may/food.jpg"] and found.tier == "words"


def test_words_that_nothing_knows_are_refused_before_any_work(pile):
    with pytest.raises(DataError, match=r"gryphon is not a photo, and as words: .* `tier=words`"):
        search.search(pile, "gryphon")


@pytest.mark.parametrize(
    ("query", "more", "said"),
    [
        ("", {}, "query is empty"),
        ("cat", {"top_k": 0}, "top_k=0"),
        ("cat", {"tier": "guess"}, "choose one of"),
        ("cat", {"hypothesis_template": "photo"}, "one {} for the label"),
    ],
)
def test_what_means_nothing_is_refused(pile, query, more, said):
    with pytest.raises(DataError, match=said):
        search.search(pile, query, **more)


def test_a_photo_needs_no_tier(pile):
    with pytest.raises(DataError, match="leave out what is about words"):
        search.search(pile, pile / "parrot.jpg", tier="known")


def test_a_folder_without_photos_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no photos"):
        search.search(tmp_path / "empty", "cat")
    with pytest.raises(DataError, match="is not a folder"):
        search.search(tmp_path / "nowhere", "cat")


def test_what_is_no_photo_is_said_and_not_searched(lite0, pile):
    (pile / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    (pile / "empty.jpg").write_bytes(b"")
    progress = Progress()
    found = search.search(pile, "cat", progress=progress)
    assert (found.searched, found.skipped) == (4, 2)
    assert sum("it is not searched" in note for note in progress.notes) == 2


def test_only_new_photos_are_embedded(lite0, pile):
    search.search(pile, "cat")
    # The same picture in another file, which no run before this one can have met.
    (pile / "new.jpg").write_bytes((pile / "parrot.jpg").read_bytes() + os.urandom(16))
    progress = Progress()
    assert search.search(pile, "cat", progress=progress).searched == 5
    assert "4 of 5 photos were embedded before." in progress.notes


def test_unchanged_files_are_not_hashed_again(pile, monkeypatch):
    before = photos.read(pile)
    hashed = []

    def counted(entries):
        hashed.extend(entries)
        return photos_hash(entries)

    photos_hash = photos.sources.hash_all
    monkeypatch.setattr(photos.sources, "hash_all", counted)
    assert photos.read(pile) == before and not hashed
    (pile / "parrot.jpg").write_bytes((pile / "2020" / "cat.jpg").read_bytes())
    after = photos.read(pile)
    assert [entry.path.name for entry in hashed] == ["parrot.jpg"]
    [changed] = [sample.digest for sample in after.samples if sample.path.name == "parrot.jpg"]
    assert changed == next(sample.digest for sample in after.samples if sample.path.name == "cat.jpg")


def test_the_ranking_is_that_of_numpy(tmp_path):
    random = np.random.default_rng(0)
    rows = random.integers(-128, 128, (3000, 48), dtype=np.int8)
    store = EmbeddingStore(tmp_path / "some.vectors", 48, "int8")
    digests = [f"{number:064x}" for number in range(len(rows))]
    store.append(pack(digests), rows)
    dataset = Dataset(tuple(Sample(tmp_path / f"{name}.jpg", 0, name) for name in digests), ("",))
    maps = FeatureMaps(store, np.arange(len(rows))[:, None], (48,), 0.5).columns(np.arange(16, 48))
    held = vectors.Vectors(dataset, maps, ())
    query = random.normal(size=32)
    values = rows[:, 16:].astype(np.float64)
    products = 0.5 * values @ query
    cosines = values @ query / np.linalg.norm(values, axis=1) / np.linalg.norm(query)
    np.testing.assert_allclose(held.compare(query, cosine=False), products, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(held.compare(query, cosine=True), cosines, atol=1e-5)
    np.testing.assert_array_equal(search.best(cosines, 10), np.argsort(-cosines, kind="stable")[:10])
    np.testing.assert_allclose(held.read(), values / np.linalg.norm(values, axis=1, keepdims=True), atol=1e-5)


def test_equal_scores_are_ranked_by_place():
    scores = np.array([1.0, 3.0, 3.0, 2.0, 3.0])
    assert search.best(scores, 2).tolist() == [1, 2]
    assert search.best(scores, 9).tolist() == [1, 2, 4, 3, 0]


class _Image:
    def __init__(self):
        self.seen = []

    def embed(self, given):
        self.seen += given
        for photo in given:
            if photo.name == "torn.jpg":
                raise DataError(f"{photo}: it cannot be read.")
        return np.array([[1, 0, 0] if "cat" in photo.name else [0, 1, 0] for photo in given], np.float32)


def test_vectors_of_towers_are_kept(pile, tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(tmp_path / "cache"))
    (pile / "torn.jpg").write_bytes(b"torn")
    tower, dataset = _Image(), photos.read(pile)
    found = vectors.by_tower(dataset, lambda: tower, name="tiny", size=3, progress=SILENT)
    assert [one.path.name for one in found.skipped] == ["torn.jpg"] and len(set(tower.seen)) == 5
    scores = found.compare(np.array([1.0, 0, 0]), cosine=True)
    assert found.photos.samples[search.best(scores, 1)[0]].path.name == "cat.jpg"
    again = vectors.by_tower(found.photos, pytest.fail, name="tiny", size=3, progress=SILENT)
    np.testing.assert_array_equal(again.compare(np.array([1.0, 0, 0]), cosine=True), scores)


def test_what_was_found_is_plain_json(lite0, pile):
    told = json.loads(json.dumps(search.search(pile, "bird", top_k=1).as_dict()))
    assert told["tier"] == "known" and told["matches"][0]["photo"].endswith("parrot.jpg")
