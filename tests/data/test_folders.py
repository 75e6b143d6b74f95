import hashlib
import os
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from photo_files import fill, photos

from model_maker.data import images, sources
from model_maker.data.dataset import PARTS, Skipped
from model_maker.data.sources import read
from model_maker.errors import DataError


def test_reads_one_folder_a_class(tmp_path):
    data = read(fill(tmp_path, photos({"tulips": 2, "roses": 1}) | {"roses/deep/down/2.png": "x"}))
    assert data.classes == ("roses", "tulips")
    assert [(s.path.relative_to(tmp_path).as_posix(), s.label, s.part) for s in data.samples] == [
        ("roses/0.jpg", 0, ""),
        ("roses/deep/down/2.png", 0, ""),
        ("tulips/0.jpg", 1, ""),
        ("tulips/1.jpg", 1, ""),
    ]
    assert data.samples[1].digest == hashlib.sha256(b"x").hexdigest()
    assert data.labels == [0, 0, 1, 1] and len(data) == 4
    assert data.skipped == () and data.notes == ()


@pytest.mark.parametrize("validation", ["val", "validation"])
def test_reads_the_split_form(tmp_path, validation):
    files = {}
    for part, count in (("train", 3), (validation, 2), ("test", 1)):
        files |= {f"{part}/{name}/{i}.jpg": f"{part}{name}{i}" for name in ("a", "b") for i in range(count)}
    data = read(fill(tmp_path, files))
    assert data.classes == ("a", "b")
    assert Counter(s.part for s in data.samples) == {"train": 6, "validation": 4, "test": 2}
    split = data.split()
    for part in PARTS:
        folder = validation if part == "validation" else part
        assert {s.path.relative_to(tmp_path).parts[0] for s in getattr(split, part).samples} == {folder}
    assert [len(split.train), len(split.validation), len(split.test)] == [6, 4, 2]


def test_samples_are_ordered_by_class_then_path_in_both_forms(tmp_path):
    files = {f"{p}/{c}/{i}.jpg": f"{p}{c}{i}" for p in ("train", "test", "val") for c in ("a", "b") for i in range(2)}
    data = read(fill(tmp_path, files))
    assert [(s.label, s.path) for s in data.samples] == sorted((s.label, s.path) for s in data.samples)


def test_a_part_that_the_folder_lacks_is_taken_from_training(tmp_path):
    files = {f"train/{name}/{i}.jpg": f"{name}{i}" for name in ("a", "b") for i in range(200)}
    files |= {f"test/{name}/{i}.jpg": f"test{name}{i}" for name in ("a", "b") for i in range(5)}
    split = read(fill(tmp_path, files)).split(validation=0.2)
    assert len(split.test) == 10
    assert {s.part for s in split.test.samples} == {"test"} and {s.part for s in split.validation.samples} == {"train"}
    # 400 photos at 0.2: mean 80, standard deviation sqrt(400 * 0.2 * 0.8) = 8; four of them are allowed.
    assert 48 <= len(split.validation) <= 112
    assert len(split.train) + len(split.validation) == 400


def test_class_folders_named_like_one_part_only_are_not_the_split_form(tmp_path):
    # A train among other vehicles is a class.
    data = read(fill(tmp_path, photos({"train": 2, "bus": 2})))
    assert data.classes == ("bus", "train") and {s.part for s in data.samples} == {""}


def test_the_split_form_needs_training_photos(tmp_path):
    data = read(fill(tmp_path, {f"{part}/{name}/1.jpg": part + name for part in ("val", "test") for name in "ab"}))
    with pytest.raises(DataError, match="no train part. Add a train folder"):
        data.split()


def test_part_folders_may_be_written_in_capitals(tmp_path):
    files = {f"{part}/{name}/1.jpg": part + name for part in ("Train", "VAL", "Test") for name in "ab"}
    data = read(fill(tmp_path, files))
    assert data.classes == ("a", "b")
    assert sorted({sample.part for sample in data.samples}) == ["test", "train", "validation"]


def test_part_folders_beside_others_are_classes_and_that_is_said(tmp_path):
    files = {f"{name}/a/1.jpg": name for name in ("train", "val", "boat")}
    data = read(fill(tmp_path, files))
    assert data.classes == ("boat", "train", "val")
    assert any("train and val beside other folders" in note for note in data.notes)


def test_a_stated_part_that_misses_a_class_is_named(tmp_path):
    files = {f"train/{name}/{i}.jpg": f"{name}{i}" for name in ("a", "b") for i in range(5)} | {"test/a/x.jpg": "x"}
    with pytest.raises(DataError, match="The test part has no photo of b"):
        read(fill(tmp_path, files)).split()


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    visible = photos({"a": 1, "b": 1})
    hidden = {"a/.hidden.jpg": 1, "a/._0.jpg": 2, "b/.thumbs/1.jpg": 3, ".git/config": 4, "__MACOSX/a/0.jpg": 5}
    data = read(fill(tmp_path, visible | hidden))
    assert len(data) == 2 and data.classes == ("a", "b")
    assert data.notes == ("2 photos in .thumbs and __MACOSX (hidden, or left there by other programs): not used.",)


def test_a_class_folder_without_photos_is_noted(tmp_path):
    fill(tmp_path, photos({"a": 3, "b": 3}) | {"c/notes.txt": "none"})
    data = read(tmp_path)
    assert data.classes == ("a", "b")
    assert f"{tmp_path / 'c'} holds no photos, so there is no such class." in data.notes


def test_a_named_pipe_is_no_photo_and_is_not_waited_for(tmp_path):
    fill(tmp_path, photos({"a": 3, "b": 3}))
    os.mkfifo(tmp_path / "a/pipe.jpg")
    data = read(tmp_path)
    assert len(data) == 6
    assert [(entry.path.name, entry.reason) for entry in data.skipped] == [("pipe.jpg", "no regular file")]


def test_a_hidden_class_folder_is_noted(tmp_path):
    data = read(fill(tmp_path, photos({"a": 1, "b": 1, ".net": 1})))
    assert data.classes == ("a", "b")
    [note] = data.notes
    assert ".net is hidden" in note and "rename it" in note


def test_files_that_are_no_photos_are_counted_by_kind(tmp_path):
    others = {"a/readme.txt": 1, "a/b.TXT": 2, "b/Makefile": 3}
    data = read(fill(tmp_path, photos({"a": 1, "b": 1}) | others))
    assert len(data) == 2 and data.skipped == ()
    assert data.notes == ("3 other files not used, being no photos (2 .txt, 1 no suffix).",)


def test_photos_outside_any_class_folder_are_noted(tmp_path):
    data = read(fill(tmp_path, photos({"a": 1, "b": 1}) | {"1.jpg": 1, "2.png": 2, "labels.txt": 3}))
    assert len(data) == 2
    assert data.notes == (f"2 photos directly in {tmp_path}, outside any class folder: not used.",)


@pytest.mark.parametrize(
    "suffix", [".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".JPG", ".Png"]
)
def test_every_format_is_listed_whatever_its_case(tmp_path, suffix):
    assert len(read(fill(tmp_path, photos({"a": 1, "b": 1}, suffix)))) == 2


@pytest.fixture
def no_heif(monkeypatch):
    monkeypatch.setattr(images, "reads_heif", lambda: False)


@pytest.mark.parametrize("suffix", [".heic", ".HEIF"])
def test_formats_of_phones_that_cannot_be_read_are_named(tmp_path, no_heif, suffix):
    data = read(fill(tmp_path, photos({"a": 2, "b": 2}) | {f"a/x{suffix}": "x"}))
    assert len(data) == 4
    assert data.skipped == (
        Skipped(tmp_path / f"a/x{suffix}", "HEIC needs the extra: pip install 'model-maker[heif]', or save it as JPEG"),
    )


def test_a_class_of_unsupported_photos_only_is_not_lost_in_silence(tmp_path, no_heif):
    data = read(fill(tmp_path, photos({"a": 5, "b": 5}) | photos({"c": 3}, ".heic")))
    assert data.classes == ("a", "b", "c")
    with pytest.raises(DataError, match="c has 0"):
        data.without(()).split()


def test_a_folder_of_unsupported_photos_only_says_why(tmp_path, no_heif):
    data = read(fill(tmp_path, photos({"a": 3, "b": 3}, ".heic")))
    with pytest.raises(DataError, match=r"6 of 6 files .*a/0.heic \(HEIC needs the extra"):
        data.without(())


def test_empty_and_unreadable_files_are_skipped_with_a_reason(tmp_path):
    fill(tmp_path, photos({"a": 2, "b": 2}) | {"a/zero.jpg": b""})
    (tmp_path / "b" / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    data = read(tmp_path)
    assert len(data) == 4
    assert data.skipped == (
        Skipped(tmp_path / "a" / "zero.jpg", "empty file"),
        Skipped(tmp_path / "b" / "dangling.jpg", "No such file or directory"),
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root / "nowhere", "nowhere does not exist. Give a folder"),
        (lambda root: fill(root, {"file": 1}) / "file", "file is a file. Give a folder"),
        (lambda root: root, "holds no photos"),
        (lambda root: fill(root, {"1.jpg": 1, "2.jpg": 2}), "holds no photos .* in class folders"),
        (lambda root: fill(root, {"a/x.txt": 1, "b/y.txt": 2}), "holds no photos"),
        (lambda root: fill(root, photos({"roses": 3})), "holds one class only, 'roses'; .* at least two"),
        (lambda root: fill(root, {"train/a/1.jpg": 1, "test/a/2.jpg": 2}), "holds one class only, 'a'"),
    ],
)
def test_folders_that_are_no_data_set_are_refused(tmp_path, make, message):
    with pytest.raises(DataError, match=message) as caught:
        read(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_one_class_is_enough_to_evaluate_on(tmp_path):
    data = read(fill(tmp_path, photos({"roses": 3})), least_classes=1)
    assert data.classes == ("roses",) and len(data) == 3


# U+2215 and U+FF0F look like slashes and are letters to the file system.
NAMES = [
    "two words",
    " lead and trail ",
    "żółw",
    "花",
    "🌷",
    "A\u2215B",
    "A\uff0fB",
    "a.b",
    "no.jpg",
    "C++",
    "100%",
    "'\"",
]


def test_class_names_are_taken_as_they_are(tmp_path):
    data = read(fill(tmp_path, photos(dict.fromkeys(NAMES, 1))))
    assert set(data.classes) == set(NAMES) and list(data.classes) == sorted(NAMES)
    for entry in data.samples:
        assert entry.path.parent.name == data.classes[entry.label]


def test_composed_and_decomposed_spellings_are_one_class(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    assert composed != decomposed
    data = read(fill(tmp_path, {f"{composed}/1.jpg": 1, f"{decomposed}/2.jpg": 2, "tea/3.jpg": 3}))
    assert data.classes == (composed, "tea") and data.labels == [0, 0, 1]


@pytest.mark.parametrize("letter", ["\n", "\r", "\t", "\x01", "\x7f", "\x85", "\u2028", "\u2029"])
def test_control_characters_in_class_names_are_refused(tmp_path, letter):
    fill(tmp_path, photos({"a": 3, f"b{letter}c": 3}))
    with pytest.raises(DataError, match="cannot hold line breaks or control characters. Rename it.") as caught:
        read(tmp_path)
    assert letter not in str(caught.value)


def test_a_class_name_that_is_not_unicode_is_refused(tmp_path):
    fill(tmp_path, photos({"a": 3}))
    broken = os.fsencode(tmp_path) + b"/caf\xe9"  # Latin-1
    os.mkdir(broken)
    Path(os.fsdecode(broken), "1.jpg").write_bytes(b"1")
    with pytest.raises(DataError, match="not valid Unicode. Rename it.") as caught:
        read(tmp_path)
    str(caught.value).encode()  # it can be printed


def test_links_are_followed_and_circles_end(tmp_path):
    fill(tmp_path / "store", {"x/1.jpg": 1, "x/deep/2.jpg": 2})
    fill(tmp_path / "data", photos({"a": 1}))
    (tmp_path / "data" / "b").symlink_to(tmp_path / "store" / "x")
    (tmp_path / "store" / "x" / "deep" / "round").symlink_to(tmp_path / "store" / "x")
    data = read(tmp_path / "data")
    assert data.classes == ("a", "b") and data.labels == [0, 1, 1]


def test_a_link_back_up_brings_no_photos_of_other_classes(tmp_path):
    fill(tmp_path / "data", photos({"a": 2, "b": 3}))
    (tmp_path / "data" / "a" / "up").symlink_to("..")
    (tmp_path / "data" / "all").symlink_to(".")
    data = read(tmp_path / "data")
    assert data.classes == ("a", "b") and data.labels == [0, 0, 1, 1, 1]


def test_what_was_passed_over_is_said_when_classes_are_missing(tmp_path):
    fill(tmp_path, photos({"a": 3, ".b": 3}))
    with pytest.raises(DataError, match="one class only, 'a'.*\\.b is hidden"):
        read(tmp_path)


def test_a_folder_that_cannot_be_opened_is_said(tmp_path):
    with pytest.raises(DataError, match="cannot be opened .File name too long"):
        read(tmp_path / ("x" * 300))


def test_stated_gives_the_photos_and_the_skipped_of_one_part(tmp_path):
    fill(tmp_path, {"train/a/1.jpg": 1, "train/b/2.jpg": 2, "test/a/3.jpg": 3})
    for empty in ("train/a/zero.jpg", "test/b/zero.jpg"):
        (tmp_path / empty).parent.mkdir(exist_ok=True)
        (tmp_path / empty).touch()
    test = read(tmp_path).stated("test")
    assert [sample.path for sample in test.samples] == [tmp_path / "test/a/3.jpg"]
    assert [entry.path for entry in test.skipped] == [tmp_path / "test/b/zero.jpg"]


def test_progress_reaches_the_total(tmp_path):
    calls = []
    read(fill(tmp_path, photos({"a": 3, "b": 2})), progress=lambda *call: calls.append(call))
    assert calls[-1] == (5, 5)


def test_a_folder_of_photos_with_several_labels_is_refused(tmp_path):
    files = photos({"cat": 30, "dog": 30})
    shared = {f"{name}/both{n}.jpg": f"both {n}" for name in ("cat", "dog") for n in range(8)}
    many = read(fill(tmp_path / "many", files | shared))
    # 8 of 68 different photos: more than every tenth.
    with pytest.raises(DataError, match=r"8 of 68 photos lie in more than one class, .* here each has one. Keep"):
        many.check_labels()
    few = read(fill(tmp_path / "few", files | {name: text for name, text in shared.items() if name[-5] < "6"}))
    assert few.notes == ("6 photos in more than one class (exact copies).",)
    few.check_labels()


def test_photos_in_two_classes_are_noted(tmp_path):
    files = photos({"a": 3, "b": 3}) | {"a/x.jpg": "same", "b/y.jpg": "same"}
    [note] = read(fill(tmp_path, files)).notes
    assert note.startswith("1 ") and "more than one class" in note


def test_copies_do_not_count_as_photos(tmp_path):
    files = photos({"b": 5}) | {f"a/{i}.jpg": "same" for i in range(9)}
    with pytest.raises(DataError, match="a has 1 photo among 9 files; each class needs at least 3"):
        read(fill(tmp_path, files)).split()


def test_long_lists_are_hashed_in_slices(tmp_path, monkeypatch):
    # More files than one slice holds, the sizes of which are not a multiple of each other.
    count = 1024 + 7
    monkeypatch.setattr(sources, "hash_photo", lambda path: (hashlib.sha256(str(path).encode()).hexdigest(), ""))
    calls = []
    data = read(fill(tmp_path, photos({"a": count, "b": 1})), progress=lambda *call: calls.append(call))
    assert len(data) == count + 1
    assert all(s.digest == hashlib.sha256(str(s.path).encode()).hexdigest() for s in data.samples)
    assert calls == [(1024, count + 1), (count + 1, count + 1)]


def test_the_shared_flowers_are_what_they_are_said_to_be(shared_data):
    data = read(shared_data / "flowers")
    assert len(data.classes) == 5 and Counter(data.labels) == dict.fromkeys(range(5), 120)
    assert data.skipped == ()
