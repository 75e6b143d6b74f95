"""Folders as people have them: parts under any name, copies, masks, leftovers."""

import zipfile
from collections import Counter

import pytest
from photo_files import fill, photos

from model_maker.data import split_names
from model_maker.data.sources import read
from model_maker.errors import DataError


def tree(**counts):
    """Files of parts with classes: {"train/cat/0.jpg": ...}."""
    return {
        f"{part}/{name}/{n}.jpg": f"{part} {name} {n}"
        for part, count in counts.items()
        for name in ("cat", "dog")
        for n in range(count)
    }


def renamed(files, names):
    return {f"{names[path.split('/')[0]]}/{path.split('/', 1)[1]}": content for path, content in files.items()}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("training_set", "validation_set", "test_set"),
        ("train_images", "val_images", "test_images"),
        ("seg_train", "seg_val", "seg_test"),
        ("seg_train/seg_train", "seg_val/seg_val", "seg_test/seg_test"),
        ("Training Data", "Validation Data", "Testing Data"),
        ("training", "validation", "evaluation"),
        ("TrainingSet", "DevSet", "TestSet"),
        ("trainset", "valset", "testset"),
        ("train2017", "val2017", "test2017"),
        ("flowers-train", "flowers-valid", "flowers-test"),
        ("data/train", "data/valid", "data/test"),
        ("Dataset/Train/Train", "Dataset/Val/Val", "Dataset/Test/Test"),
        ("train/images", "valid/images", "test/images"),
        ("train", "eval", "test"),
    ],
)
def test_folders_of_parts_are_no_classes(tmp_path, packed, train, validation, test):
    files = {}
    for part, folder in (("train", train), ("validation", validation), ("test", test)):
        count = {"train": 4, "validation": 2, "test": 3}[part]
        files |= {f"{folder}/{name}/{n}.jpg": f"{part}{name}{n}" for name in ("cat", "dog") for n in range(count)}
    if packed:
        with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        data = read(tmp_path / "data.zip")
    else:
        data = read(fill(tmp_path, files))
    assert data.classes == ("cat", "dog")
    assert Counter(sample.part for sample in data.samples) == {"train": 8, "validation": 4, "test": 6}


def test_a_stray_folder_without_photos_beside_parts_is_no_class(tmp_path):
    files = renamed(tree(a=4, b=2), {"a": "train", "b": "valid"}) | {"notes/readme.txt": "x"}
    (tmp_path / "empty").mkdir()
    data = read(fill(tmp_path, files))
    assert data.classes == ("cat", "dog")
    assert Counter(sample.part for sample in data.samples) == {"train": 8, "validation": 4}
    assert any("empty and notes" in note and "hold no photos" in note for note in data.notes)


def test_photos_to_predict_beside_parts_are_passed_over_and_said(tmp_path):
    files = renamed(tree(a=4, b=2), {"a": "seg_train/seg_train", "b": "seg_test/seg_test"})
    data = read(fill(tmp_path, files | {"seg_pred/seg_pred/1.jpg": 1}))
    assert data.classes == ("cat", "dog") and len(data) == 12
    assert any("seg_pred is named as photos without labels" in note for note in data.notes)
    more = read(fill(tmp_path / "fruits", tree(Training=3, Test=2) | {"papers/1.jpg": 1}))
    assert more.classes == ("cat", "dog") and len(more) == 10
    assert any(note.startswith("papers beside Test and Training") for note in more.notes)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (tree(original=3, augmented=3), "augmented and original hold the same folders .cat and dog., .* not classes"),
        (tree(color=3, grayscale=3, segmented=2), "color, grayscale and segmented hold the same folders"),
        (tree(part_1=3, part_2=3), "part_1 and part_2 hold the same folders .* manifest"),
        (tree(train=3, test=2, extra=2), "test and train are parts of a data set, and extra beside them holds"),
        (photos({"cat": 3, "dog": 3}) | tree(cells=3), "cells holds folders named as those beside it .cat and dog."),
        (photos({"cat": 3, "dog": 3}) | tree(train=3, test=2), "parts of a data set, and cat beside them"),
    ],
)
def test_what_may_be_a_part_or_a_class_is_asked_about(tmp_path, files, message):
    with pytest.raises(DataError, match=message) as caught:
        read(fill(tmp_path, files))
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_parts_inside_class_folders_are_parts(tmp_path):
    files = {
        f"{name}/{part}/{n}.jpg": f"{name}{part}{n}"
        for name in ("cat", "dog")
        for part, count in (("train", 4), ("test", 2))
        for n in range(count)
    }
    data = read(fill(tmp_path, files))
    assert data.classes == ("cat", "dog")
    assert Counter(sample.part for sample in data.samples) == {"train": 8, "test": 4}


@pytest.mark.parametrize(
    "counts",
    [
        {"blood test": 2, "drug test": 2},
        {"train": 2, "bus": 2},
        {"test tube": 2, "flask": 2},
        {"set": 2, "data": 2},
        {"n01443537/images": 2, "n01629819/images": 2},
    ],
)
def test_classes_that_only_sound_like_parts_are_classes(tmp_path, counts):
    data = read(fill(tmp_path, photos(counts)))
    assert data.classes == tuple(sorted(name.split("/")[0] for name in counts))
    assert {sample.part for sample in data.samples} == {""}


def test_names_of_parts_are_read_with_what_they_share():
    assert split_names.read(["seg_train", "seg_test", "seg_pred"]) == {
        "seg_train": "train",
        "seg_test": "test",
        "seg_pred": "",
    }
    assert split_names.read(["train", "eval", "test"])["eval"] == "validation"
    assert split_names.read(["training", "validation", "evaluation"])["evaluation"] == "test"
    assert split_names.read(["trainee", "tester", "cat"]) == {}


@pytest.mark.parametrize(
    "name", ["@eaDir", "#recycle", ".thumbnails", "__MACOSX", "$RECYCLE.BIN", "thumbnails", ".ipynb_checkpoints"]
)
def test_leftovers_of_programs_are_passed_over_and_counted(tmp_path, name):
    files = photos({"a": 2, "b": 2}) | {f"a/{name}/0.jpg/SYNOPHOTO_THUMB_M.jpg": 1, f"{name}/2.jpg": 2}
    data = read(fill(tmp_path, files))
    assert data.classes == ("a", "b") and len(data) == 4
    assert data.notes == (f"2 photos in {name} (hidden, or left there by other programs): not used.",)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, str(content))
    packed = read(tmp_path / "x.zip")
    assert packed.classes == data.classes and packed.notes == data.notes


@pytest.mark.parametrize(
    "files",
    [
        photos({"images": 3, "masks": 3}),
        photos({"a/images": 3, "a/masks": 3, "b/images": 3, "b/masks": 3}),
        {
            f"{part}/{kind}/{n}.png": f"{part}{kind}{n}"
            for part in ("train", "test")
            for kind in ("Images", "GT")
            for n in "12"
        },
        photos({"JPEGImages": 3, "SegmentationClass": 3}),
    ],
)
def test_masks_beside_images_are_asked_about(tmp_path, files):
    with pytest.raises(DataError, match="look like masks, which are no photos of a class. Move them out"):
        read(fill(tmp_path, files))


def test_masks_among_their_photos_are_asked_about(tmp_path):
    files = {
        f"{c}/{c} ({n}){end}.png": f"{c}{n}{end}" for c in ("benign", "normal") for n in "123" for end in ("", "_mask")
    }
    with pytest.raises(DataError, match=r"3 pictures of 6 are named as masks of others .the first: benign \(1\)_mask"):
        read(fill(tmp_path, files))


def test_people_with_masks_are_a_class(tmp_path):
    assert read(fill(tmp_path, photos({"mask": 2, "no_mask": 2}))).classes == ("mask", "no_mask")


def test_classes_that_differ_in_spelling_only_are_noted(tmp_path):
    data = read(fill(tmp_path, photos({"Daisy": 2, "daisy": 2, "rose ": 2, "rose": 2, "tulip": 2})))
    assert len(data.classes) == 5
    assert any("'Daisy' and 'daisy' differ in spelling only" in note for note in data.notes)
    assert any("'rose' and 'rose ' differ in spelling only" in note for note in data.notes)


def test_a_part_that_spells_a_class_otherwise_is_named(tmp_path):
    files = {
        f"{part}/{name}/{n}.jpg": f"{part}{name}{n}" for part in ("train", "test") for name in "ab" for n in "1234"
    }
    files |= {f"train/Daisy/{n}.jpg": f"x{n}" for n in "1234"} | {"test/daisy/1.jpg": "y"}
    with pytest.raises(DataError, match="The train part has no photo of 'daisy', but of 'Daisy': the test part spells"):
        read(fill(tmp_path, files)).split()


def test_a_class_in_one_part_only_is_named_with_that_part(tmp_path):
    files = tree(train=4, val=2, test=2) | {"val/cow/1.jpg": "cow"}
    with pytest.raises(DataError, match="The train part has no photo of cow, which the validation part has"):
        read(fill(tmp_path, files)).split()


def test_a_class_called_unknown_is_noted(tmp_path):
    data = read(fill(tmp_path, photos({"a": 2, "Unknown": 2})))
    assert any("'Unknown' is learned as a class like the others" in note for note in data.notes)


def test_the_note_that_explains_is_in_the_message_however_many_there_are(tmp_path):
    files = photos({"a": 3, ".b": 3}) | {f"{name}/x.txt": 1 for name in "cdefg"}
    with pytest.raises(DataError, match=r"one class only, 'a'.*\.b is hidden"):
        read(fill(tmp_path, files))


def test_outputs_of_training_and_quarantines_are_no_classes(tmp_path):
    files = photos({"a": 2, "b": 2}) | {"data_model/run.json": "{}", "data_model/plots/1.png": 1}
    files |= {"old/moves.jsonl": "{}", "old/broken/a/1.jpg": 1, "a/model/run.json": "{}", "a/model/2.png": 2}
    data = read(fill(tmp_path, files))
    assert data.classes == ("a", "b") and len(data) == 4
    assert sum("output of Model Maker" in note for note in data.notes) == 3


def test_photos_without_a_suffix_are_read_by_how_they_begin(tmp_path):
    files = photos({"a": 2, "b": 2}) | {
        "a/1": b"\xff\xd8\xff\xe0 and so on",
        "b/2": b"\x89PNG\r\n\x1a\n",
        "b/3": "text",
    }
    data = read(fill(tmp_path, files))
    assert len(data) == 6
    assert data.notes == ("1 other file not used, being no photos (1 no suffix).",)
