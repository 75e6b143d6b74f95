"""A pile of photos becomes folders, or keywords; the pile stays as it is."""

import csv
import os
import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import model_maker
from model_maker.collection import grouping, keywords, organize
from model_maker.data import sources
from model_maker.errors import DataError, OutputError
from model_maker.progress import Progress

PHOTOS = {
    "parrot.jpg": "photos/parrot.jpg",
    "2020/cat.jpg": "photos/cat_720p.jpg",
    "2021/cat.jpg": "photos/cats_and_dogs.jpg",
    "2020/greens.jpg": "imagenet_samples/0937_n07714990_broccoli.jpg",
    "2020/heron.jpg": "imagenet_samples/0133_n02011460_bittern.jpg",
}


@pytest.fixture
def pile(tmp_path, shared_data):
    home = tmp_path / "pile"
    for name, photo in PHOTOS.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shared_data / photo, home / name)
    return home


def tree(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def test_labels_sort_photos_that_no_model_was_trained_on(lite0, pile, tmp_path):
    before = {path: (pile / path).read_bytes() for path in tree(pile)}
    made = model_maker.organize(pile, tmp_path / "out", labels=["cat", "bird", "vegetable"])
    assert (made.by, made.tier, made.source) == ("labels", "known", "WordNet 3.0")
    assert tree(tmp_path / "out") == {
        "bird/parrot.jpg",
        "bird/heron.jpg",
        "cat/cat.jpg",
        "cat/cat-2.jpg",
        "vegetable/greens.jpg",
        "organized.csv",
        "examples.html",
    }
    assert (tmp_path / "out/bird/parrot.jpg").read_bytes() == before["parrot.jpg"]
    assert {path: (pile / path).read_bytes() for path in tree(pile)} == before


def test_what_it_writes_is_a_data_set_without_the_unsure_ones(lite0, pile, tmp_path):
    made = organize.organize(pile, tmp_path / "out", labels=["cat", "bird", "vegetable"], threshold=0.6)
    dataset = sources.read(tmp_path / "out")
    sure = {name: count for name, count in made.folders.items() if name != "unsure"}
    assert made.folders["unsure"] >= 1
    assert {name: dataset.labels.count(index) for index, name in enumerate(dataset.classes)} == sure
    with open(tmp_path / "out" / "organized.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["photo"] for row in rows} == set(PHOTOS)
    assert all((float(row["score"]) >= 0.6) == (row["folder"] != "unsure") for row in rows)
    assert all((tmp_path / "out" / row["folder"] / row["copy"]).is_file() for row in rows)


def test_links_lead_to_the_photos(lite0, pile, tmp_path):
    organize.organize(pile, tmp_path / "out", labels=["cat", "bird"], link=True, threshold=0)
    link = tmp_path / "out" / "bird" / "parrot.jpg"
    assert link.is_symlink() and os.path.samefile(link, pile / "parrot.jpg")
    assert sources.read(tmp_path / "out").classes == ("bird", "cat")


def test_a_model_sorts_by_its_own_classes(lite0, pile, tmp_path):
    model_maker.zero_shot_file(["cat", "bird"], tmp_path / "model")
    made = organize.organize(pile, tmp_path / "out", model=tmp_path / "model", threshold=0.5)
    assert made.by == "model" and made.tier == "" and set(made.folders) == {"bird", "cat"}


def test_groups_hold_photos_that_are_alike(lite0, tmp_path, shared_data):
    for kind in ("photos/parrot.jpg", "imagenet_samples/0937_n07714990_broccoli.jpg"):
        for number in range(3):
            path = tmp_path / "pile" / f"{kind.rpartition('/')[2]}-{number}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes((shared_data / kind).read_bytes() + bytes(number))  # other files of the same picture
    made = organize.organize(tmp_path / "pile", tmp_path / "out", groups=2)
    assert made.folders == {"group_1": 3, "group_2": 3}
    for folder in ("group_1", "group_2"):
        assert len({path.name[:4] for path in (tmp_path / "out" / folder).iterdir()}) == 1


def test_groups_are_those_that_were_drawn():
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), (40, 30, 20, 10))
    rows = random.normal(size=(4, 100))[truth] + 0.3 * random.normal(size=(100, 100))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    members, cosines = grouping.group(rows.astype(np.float32), 4)
    assert adjusted_rand_score(truth, members) == 1
    assert np.bincount(members).tolist() == [40, 30, 20, 10]  # the largest first
    assert (cosines > 0.9).all()


@pytest.mark.parametrize(("count", "said"), [(3, "2 photos cannot form 3 groups"), (2, "the same for 2 groups")])
def test_groups_that_cannot_be_are_refused(count, said):
    with pytest.raises(DataError, match=said):
        grouping.group(np.ones((2, 5), np.float32) / np.sqrt(np.float32(5)), count)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "give one of `labels`, `model` and `groups`"),
        ({"labels": ["cat", "dog"], "groups": 2}, "give one of"),
        ({"groups": 1}, "groups=1"),
        ({"labels": ["cat", "dog"], "threshold": 2.0}, "threshold=2"),
        ({"labels": ["cat", "gryphon"]}, "gryphon"),
    ],
)
def test_what_says_nothing_is_refused_and_leaves_nothing(pile, tmp_path, more, said):
    with pytest.raises(DataError, match=said):
        organize.organize(pile, tmp_path / "out", **more)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("inside", ["pile/out", "."])
def test_the_output_lies_apart_from_the_photos(pile, tmp_path, inside):
    with pytest.raises(OutputError):
        organize.organize(pile, tmp_path / inside, groups=2, overwrite=True)
    assert tree(pile) == set(PHOTOS)


def test_a_folder_of_photos_is_not_replaced(pile, tmp_path):
    shutil.copytree(pile, tmp_path / "other")
    with pytest.raises(OutputError, match=r"holds no organized.csv"):
        organize.organize(pile, tmp_path / "other", groups=2, overwrite=True)
    assert tree(tmp_path / "other") == set(PHOTOS)


def test_labels_become_names_that_every_system_takes():
    assert organize.folder_names(["AC/DC", "a:b", "..", "cat"]) == {
        "AC/DC": "AC_DC",
        "a:b": "a_b",
        "..": "_",
        "cat": "cat",
    }
    with pytest.raises(DataError, match="the same as for 'a:b'"):
        organize.folder_names(["a:b", "a?b"])
    with pytest.raises(DataError, match="reserved for uncertain photos"):
        organize.folder_names(["cat", "unsure"])


def test_photos_that_cannot_be_read_are_left_out_and_said(lite0, pile, tmp_path):
    (pile / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    progress = Progress()
    made = organize.organize(pile, tmp_path / "out", labels=["cat", "bird"], progress=progress)
    assert list(made.skipped) == [str(pile / "torn.jpg")] and sum(made.folders.values()) == 5
    assert any("torn.jpg" in note for note in progress.notes)


def test_keywords_name_kinds_and_classes(lite0, pile, tmp_path):
    made = model_maker.keywords(pile, tmp_path / "out", xmp=True)
    assert {"bird", "heron", "bittern"} <= set(made.photos["2020/heron.jpg"])
    assert "broccoli" in made.photos["2020/greens.jpg"]
    shares = list(made.photos["2020/heron.jpg"].values())
    assert shares == sorted(shares, reverse=True) and min(shares) >= keywords.THRESHOLD
    with open(tmp_path / "out" / "keywords.csv", newline="", encoding="utf-8") as file:
        rows = {row["photo"]: row["keywords"] for row in csv.DictReader(file)}
    assert set(rows) == set(PHOTOS) and "bird" in rows["2020/heron.jpg"].split("; ")
    assert tree(tmp_path / "out") >= {"keywords.csv", "2020/heron.jpg.xmp"}
    assert (made.tier, made.source) == ("known", "WordNet 3.0")


def test_keywords_are_chosen_from_labels(lite0, pile, tmp_path):
    made = keywords.keywords(pile, tmp_path / "out", labels=["bird", "dog", "vegetable"], threshold=0.5)
    assert made.photos["2020/heron.jpg"].keys() == {"bird"} and "vegetable" in made.photos["2020/greens.jpg"]
    assert tree(tmp_path / "out") == {"keywords.csv"}


def test_a_sidecar_is_an_xml_document_with_a_bag_of_words():
    root = ElementTree.fromstring(keywords.sidecar(["bird", "<b> & co", "Müller"]).encode())
    found = root.findall(
        "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}RDF/{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description/"
        "{http://purl.org/dc/elements/1.1/}subject/{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Bag/"
        "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
    )
    assert [item.text for item in found] == ["bird", "<b> & co", "Müller"]


def test_other_tiers_have_to_be_told_the_words(pile, tmp_path, shared_data):
    with pytest.raises(DataError, match="pass them as `labels`"):
        keywords.keywords(pile, tmp_path / "out", text_vectors=shared_data / "clip_text")
