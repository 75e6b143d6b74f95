"""Datasets of photos with several labels: how formats state them, how they are split, what is refused."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from photo_files import fill

from model_maker.data import multi_label
from model_maker.data.dataset import PARTS, Dataset, Sample
from model_maker.data.given_photos import keep
from model_maker.data.multi_label import NO_LABEL, MultiLabelDataset
from model_maker.data.sources import read, read_to_judge
from model_maker.errors import DataError


def digest(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def build(sets, classes="abc", parts=None):
    """A dataset of photos 0, 1, ... with these labels, for example ["a", "ab", ""]."""
    samples = tuple(Sample(Path(f"{n}.jpg"), NO_LABEL, digest(n), (parts or {}).get(n, "")) for n in range(len(sets)))
    named = {digest(n): frozenset(classes.index(label) for label in labels) for n, labels in enumerate(sets)}
    return MultiLabelDataset(samples, tuple(classes), sets=named)


def listed(tmp_path, text, name="list.csv"):
    fill(tmp_path, {f"photos/{number}.jpg": f"photo {number}" for number in range(6)})
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def found(data):
    """The labels of each photo by the name of its file."""
    return {sample.path.name: {data.classes[label] for label in data.sets[sample.digest]} for sample in data.samples}


EXPECTED = {"0.jpg": {"cat"}, "1.jpg": {"cat", "dog"}, "2.jpg": set(), "3.jpg": {"bird", "dog"}}
PATHS = [f"photos/{number}.jpg" for number in range(4)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", "path,label\n{}, cat\n{},cat | dog\n{},\n{},dog;bird\n"),
        ("l.csv", 'path,labels\n{},cat\n{},"dog,cat"\n{},""\n{},"[""bird"", ""dog""]"\n'),
        ("l.tsv", "path\ttags\n{}\tcat\n{}\tcat|dog|cat\n{}\t\n{}\tbird,dog\n"),
        ("l.csv", "path,bird,cat,dog\n{},0,1,0\n{},0,1,1\n{},0,0,0\n{},1,0,1\n"),
        ("l.csv", "TRAIN,{},cat\nTRAIN,{},dog,cat\nTRAIN,{}\nTRAIN,{},bird,dog\n"),
        ("l.csv", "{},cat,train\n{},dog,cat\n{},\n{},bird,dog\n"),
        (
            "l.jsonl",
            '{{"path": "{}", "label": "cat"}}\n{{"path": "{}", "label": ["cat", "dog"]}}\n'
            '{{"path": "{}", "label": []}}\n{{"path": "{}", "label": "bird|dog"}}\n',
        ),
        ("l.csv", "path,label\n{0},cat\n{1},cat\n{1},dog\n{2},\n{3},bird\n{3},dog\n"),
    ],
)
def test_lists_state_several_labels_in_many_ways(tmp_path, name, text):
    data = read(listed(tmp_path, text.format(*PATHS), name), multi_label=True)
    assert found(data) == EXPECTED and data.classes == ("bird", "cat", "dog")
    assert data.targets.tolist() == [[0, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1]]
    assert data.counts == [1, 2, 2]
    assert data.notes == ("2 of 4 photos have several labels, and 1 have none.",)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.csv", 'path,label\nphotos/0.jpg,"[cat"\nphotos/1.jpg,dog\n', r"line 2: '\[cat' is not a JSON list"),
        ("l.jsonl", '{"path": "photos/0.jpg"}', "line 1: no label. A photo without labels has an empty list"),
        ("l.jsonl", '{"path": "photos/0.jpg", "label": [null]}', "line 1: label is None; it must be a single text"),
        ("l.csv", "path,label\nphotos/0.jpg,cat\nphotos/1.jpg,\n", "holds one class only, 'cat'"),
        ("l.csv", "path,label\nphotos/0.jpg,\n", "holds no labeled photos"),
        ("l.csv", "path,label\n,cat|dog\n", "line 2: no path"),
    ],
)
def test_lists_that_mean_nothing_are_refused(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message):
        read(listed(tmp_path, text, name), multi_label=True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", "path,label\nphotos/0.jpg,cat\nphotos/1.jpg,dog\nphotos/2.jpg,cat|dog\n"),
        ("l.csv", "path,bird,cat\nphotos/0.jpg,0,1\nphotos/1.jpg,1,1\n"),
        ("l.jsonl", '{"path": "photos/0.jpg", "label": ["cat", "dog"]}'),
    ],
)
def test_several_labels_are_refused_until_they_are_asked_for(tmp_path, name, text):
    with pytest.raises(DataError, match="If photos may have several labels, train with `multi_label=True`"):
        read(listed(tmp_path, text, name))


def test_copies_in_several_folders_are_one_photo_with_all_their_labels(tmp_path):
    files = {f"{name}/{number}.jpg": f"{name} {number}" for name in ("cat", "dog") for number in range(3)}
    data = read(fill(tmp_path, files | {"cat/both.jpg": "both", "dog/other.jpg": "both"}), multi_label=True)
    assert len(data) == 7 and data.counts == [4, 4] and data.conflicts == 0
    [both] = [sample for sample in data.samples if len(data.sets[sample.digest]) == 2]
    assert both.path.name == "both.jpg" and data.name(both) == "cat, dog"
    assert "Exact copies of photos: 1. Each photo is used once, with the labels of its copies." in data.notes
    # The same name alone says nothing: cameras number photos anew in each folder.
    assert data.sets[next(sample.digest for sample in data.samples if sample.path.name == "0.jpg")] == {0}


def test_missing_photos_are_skipped_once(tmp_path):
    data = read(listed(tmp_path, "photos/0.jpg,cat|dog\nphotos/none.jpg,cat|dog\nphotos/1.jpg,cat\n"), multi_label=True)
    assert [bad.path.name for bad in data.skipped] == ["none.jpg"] and len(data) == 2


@pytest.mark.parquet
def test_parquet_lists_of_labels_are_read_by_name(tmp_path):
    import pyarrow
    from pyarrow import parquet

    images = [{"bytes": f"photo {n}".encode(), "path": None} for n in range(3)]
    labels = {"feature": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "_type": "Sequence"}
    features = {"image": {"_type": "Image"}, "labels": labels}
    table = pyarrow.table({"image": images, "labels": [[0], [1, 0], []]}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    parquet.write_table(table, tmp_path / "photos.parquet")
    data = read(tmp_path / "photos.parquet", multi_label=True)
    assert data.targets.tolist() == [[True, False], [True, True], [False, False]]
    with pytest.raises(DataError, match=r"has the label \[0\].*train with `multi_label=True`"):
        read(tmp_path / "photos.parquet")


def test_photos_of_the_program_have_lists_of_labels_or_zeros_and_ones():
    photos = [np.full((8, 8, 3), 40 * number, np.uint8) for number in range(4)]
    by_name = read(keep(images=photos, labels=[["a"], ("a", "b"), set(), ["b"]], multi_label=True), multi_label=True)
    hot = np.array([[1, 0], [1, 1], [0, 0], [0, 1]])
    by_place = read(keep(images=photos, labels=hot, class_names=["a", "b"], multi_label=True), multi_label=True)
    assert by_name.targets.tolist() == by_place.targets.tolist() == hot.astype(bool).tolist()
    with pytest.raises(DataError, match="Photo 0 has the labels 'a': with `multi_label=True`, give a list of names"):
        keep(images=photos[:1], labels=["a"], multi_label=True)


def test_one_label_is_never_read_off_such_photos():
    with pytest.raises(DataError, match="needs one label for each photo"):
        _ = build(["a", "ab"]).labels


def test_the_fingerprint_tells_label_sets_and_nothing_else():
    data = build(["a", "ab", "", "c"])
    turned = MultiLabelDataset(data.samples[::-1], data.classes, sets=data.sets)
    assert data.fingerprint == turned.fingerprint != build(["a", "b", "", "c"]).fingerprint
    single = Dataset(tuple(Sample(s.path, 0, s.digest) for s in data.samples), data.classes)
    assert data.fingerprint != single.fingerprint


@given(st.lists(st.sets(st.sampled_from("abc")), min_size=12, max_size=60), st.integers(0, 5))
def test_every_label_is_learned_and_tested_and_photos_stay_where_they_are(sets, seed):
    sets = [*sets, *("abc" * 3)]  # at least three photos of each
    data = build(["".join(labels) for labels in sets])
    split = data.split(seed=seed)
    assert sorted(s.path for part in PARTS for s in getattr(split, part).samples) == sorted(
        s.path for s in data.samples
    )
    assert min(split.train.counts) >= 2 and min(split.test.counts) >= 1
    # Where nothing has to move, the share of the salted hash decides, as documented.
    if not split.notes:
        for sample in data.samples:
            unit = int(hashlib.sha256(f"{seed}:{sample.digest}".encode()).hexdigest()[:16], 16) / 16**16
            part = "test" if unit < 0.2 else "validation" if unit < 0.3 else "train"
            assert sample in getattr(split, part).samples


def test_stated_splits_are_kept():
    data = build(["a", "b", "ab", "a", "b", "ab", "c", "c", "c"], parts={0: "test", 6: "test", 3: "validation"})
    split = data.split()
    assert {s.path.stem for s in split.test.samples} == {"0", "6"} and len(split.validation) == 1
    assert len(split.train) == 6


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["a"] * 9 + ["b", "b", "c", "c", "c"], "b has 2 different photos to divide; each label needs at least 3"),
        (["a"] * 9 + ["b"] * 3 + ["c"], "c has 1 photo to divide"),
    ],
)
def test_rare_labels_are_named(sets, message):
    with pytest.raises(DataError, match=message):
        build(sets).split()


def test_a_label_of_all_photos_has_nothing_to_be_told_from():
    with pytest.raises(DataError, match="8 of 9 photos have the label a; a label needs at least two photos without it"):
        build(["a", "ab", "ac", "a", "ab", "ac", "abc", "a", "b"]).check_labels()


@given(st.lists(st.sets(st.sampled_from("abcd")), min_size=1, max_size=50), st.integers(2, 5))
def test_folds_share_each_label_evenly(sets, count):
    targets = np.array([[label in labels for label in "abcd"] for labels in sets])
    folds = multi_label.deal(targets, count)
    assert set(folds) <= set(range(count))
    rarest = targets[:, np.argsort(targets.sum(axis=0), kind="stable")[0]]
    held = np.bincount(folds[rarest], minlength=count)
    assert held.max() - held.min() <= 1  # the rarest label is dealt first, so it is as even as it can be


def test_folds_want_photos_of_each_label():
    assert sorted(set(build(["a", "b", "ab"] * 4, "ab").folds(3))) == [0, 1, 2]
    with pytest.raises(DataError, match=r"c has 1 different photos; `folds=3` needs 3 of each label"):
        build(["a", "b", "ab"] * 4 + ["c"]).folds(3)


def test_the_test_split_is_judged(tmp_path):
    text = "path,label,split\nphotos/0.jpg,cat|dog,train\nphotos/1.jpg,cat,test\nphotos/2.jpg,,test\n"
    data, notes = read_to_judge(listed(tmp_path, text), multi_label=True)
    assert {sample.path.name for sample in data.samples} == {"1.jpg", "2.jpg"} and "has a test split" in notes[-1]
