import hashlib
import os
import shutil
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_maker.data import dataset as module
from model_maker.data.dataset import PARTS, Dataset, Sample, Skipped, from_folder
from model_maker.errors import DataError


def fill(root, files):
    """Writes {"class/name.jpg": content}; a Dataset reads bytes, not pixels, so any content will do."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else str(content).encode())
    return root


def photos(counts, suffix=".jpg"):
    return {f"{name}/{i}{suffix}": f"{name} {i}" for name, count in counts.items() for i in range(count)}


def digest(content):
    return hashlib.sha256(str(content).encode()).hexdigest()


def sample(number, label=0, part=""):
    return Sample(Path(f"{label}/{part}/{number}.jpg"), label, digest(number), part)


def build(*numbers_of_classes):
    """A Dataset of classes a, b, ...; each photo a number that stands for its content."""
    samples = tuple(sample(n, label) for label, numbers in enumerate(numbers_of_classes) for n in numbers)
    return Dataset(samples, tuple("abcdefgh"[: len(numbers_of_classes)]))


def parts_of(split):
    return {s.path: part for part in PARTS for s in getattr(split, part).samples}


def unit(number, seed=0):
    """The place of a photo in [0, 1), as the split is documented: the salted content hash, as a fraction."""
    return int(hashlib.sha256(f"{seed}:{digest(number)}".encode()).hexdigest()[:16], 16) / 16**16


def numbers_between(low, high, count):
    """Contents whose hash falls into a given stretch."""
    return [n for n in range(5000) if low <= unit(n) < high][:count]


def test_reads_one_folder_a_class(tmp_path):
    data = from_folder(fill(tmp_path, photos({"tulips": 2, "roses": 1}) | {"roses/deep/down/2.png": "x"}))
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
    data = from_folder(fill(tmp_path, files))
    assert data.classes == ("a", "b")
    assert Counter(s.part for s in data.samples) == {"train": 6, "validation": 4, "test": 2}
    split = data.split()
    for part in PARTS:
        folder = validation if part == "validation" else part
        assert {s.path.relative_to(tmp_path).parts[0] for s in getattr(split, part).samples} == {folder}
    assert [len(split.train), len(split.validation), len(split.test)] == [6, 4, 2]


def test_samples_are_ordered_by_class_then_path_in_both_forms(tmp_path):
    files = {f"{p}/{c}/{i}.jpg": f"{p}{c}{i}" for p in ("train", "test", "val") for c in ("a", "b") for i in range(2)}
    data = from_folder(fill(tmp_path, files))
    assert [(s.label, s.path) for s in data.samples] == sorted((s.label, s.path) for s in data.samples)


def test_a_part_that_the_folder_lacks_is_taken_from_training(tmp_path):
    files = {f"train/{name}/{i}.jpg": f"{name}{i}" for name in ("a", "b") for i in range(200)}
    files |= {f"test/{name}/{i}.jpg": f"test{name}{i}" for name in ("a", "b") for i in range(5)}
    split = from_folder(fill(tmp_path, files)).split(validation=0.2)
    assert len(split.test) == 10
    assert {s.part for s in split.test.samples} == {"test"} and {s.part for s in split.validation.samples} == {"train"}
    # 400 photos at 0.2: mean 80, standard deviation sqrt(400 * 0.2 * 0.8) = 8; four of them are allowed.
    assert 48 <= len(split.validation) <= 112
    assert len(split.train) + len(split.validation) == 400


def test_class_folders_named_like_one_part_only_are_not_the_split_form(tmp_path):
    # A train among other vehicles is a class.
    data = from_folder(fill(tmp_path, photos({"train": 2, "bus": 2})))
    assert data.classes == ("bus", "train") and {s.part for s in data.samples} == {""}


def test_the_split_form_needs_training_photos(tmp_path):
    data = from_folder(
        fill(tmp_path, {f"{part}/{name}/1.jpg": part + name for part in ("val", "test") for name in "ab"})
    )
    with pytest.raises(DataError, match="no train part. Add a train folder"):
        data.split()


def test_part_folders_may_be_written_in_capitals(tmp_path):
    files = {f"{part}/{name}/1.jpg": part + name for part in ("Train", "VAL", "Test") for name in "ab"}
    data = from_folder(fill(tmp_path, files))
    assert data.classes == ("a", "b")
    assert sorted({sample.part for sample in data.samples}) == ["test", "train", "validation"]


def test_part_folders_beside_others_are_classes_and_that_is_said(tmp_path):
    files = {f"{name}/a/1.jpg": name for name in ("train", "val", "boat")}
    data = from_folder(fill(tmp_path, files))
    assert data.classes == ("boat", "train", "val")
    assert any("train and val beside other folders" in note for note in data.notes)


def test_a_stated_part_that_misses_a_class_is_named(tmp_path):
    files = {f"train/{name}/{i}.jpg": f"{name}{i}" for name in ("a", "b") for i in range(5)} | {"test/a/x.jpg": "x"}
    with pytest.raises(DataError, match="The test part has no photo of b"):
        from_folder(fill(tmp_path, files)).split()


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    visible = photos({"a": 1, "b": 1})
    hidden = {"a/.hidden.jpg": 1, "a/._0.jpg": 2, "b/.thumbs/1.jpg": 3, ".git/config": 4, "__MACOSX/a/0.jpg": 5}
    data = from_folder(fill(tmp_path, visible | hidden))
    assert len(data) == 2 and data.classes == ("a", "b") and data.notes == ()


def test_a_hidden_class_folder_is_noted(tmp_path):
    data = from_folder(fill(tmp_path, photos({"a": 1, "b": 1, ".net": 1})))
    assert data.classes == ("a", "b")
    [note] = data.notes
    assert ".net is hidden" in note and "rename it" in note


def test_files_that_are_no_photos_are_counted_by_kind(tmp_path):
    others = {"a/readme.txt": 1, "a/b.TXT": 2, "b/Makefile": 3}
    data = from_folder(fill(tmp_path, photos({"a": 1, "b": 1}) | others))
    assert len(data) == 2 and data.skipped == ()
    assert data.notes == ("3 other files not used, being no photos (2 .txt, 1 no suffix).",)


def test_photos_outside_any_class_folder_are_noted(tmp_path):
    data = from_folder(fill(tmp_path, photos({"a": 1, "b": 1}) | {"1.jpg": 1, "2.png": 2, "labels.txt": 3}))
    assert len(data) == 2
    assert data.notes == (f"2 photos directly in {tmp_path}, outside any class folder: not used.",)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".JPG", ".Png"])
def test_every_format_is_listed_whatever_its_case(tmp_path, suffix):
    assert len(from_folder(fill(tmp_path, photos({"a": 1, "b": 1}, suffix)))) == 2


@pytest.mark.parametrize("suffix", [".heic", ".HEIF", ".avif"])
def test_formats_of_phones_that_cannot_be_read_are_named(tmp_path, suffix):
    data = from_folder(fill(tmp_path, photos({"a": 2, "b": 2}) | {f"a/x{suffix}": "x"}))
    assert len(data) == 4
    assert data.skipped == (Skipped(tmp_path / f"a/x{suffix}", "not supported; save it as JPEG"),)


def test_a_class_of_unsupported_photos_only_is_not_lost_in_silence(tmp_path):
    data = from_folder(fill(tmp_path, photos({"a": 5, "b": 5}) | photos({"c": 3}, ".heic")))
    assert data.classes == ("a", "b", "c")
    with pytest.raises(DataError, match="c has 0"):
        data.without(()).split()


def test_a_folder_of_unsupported_photos_only_says_why(tmp_path):
    data = from_folder(fill(tmp_path, photos({"a": 3, "b": 3}, ".heic")))
    with pytest.raises(DataError, match=r"6 of 6 files .*a/0.heic \(not supported; save it as JPEG\)"):
        data.without(())


def test_empty_and_unreadable_files_are_skipped_with_a_reason(tmp_path):
    fill(tmp_path, photos({"a": 2, "b": 2}) | {"a/zero.jpg": b""})
    (tmp_path / "b" / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    data = from_folder(tmp_path)
    assert len(data) == 4
    assert data.skipped == (
        Skipped(tmp_path / "a" / "zero.jpg", "empty file"),
        Skipped(tmp_path / "b" / "dangling.jpg", "No such file or directory"),
    )


def test_without_takes_unusable_photos_out_and_remembers_them():
    data = build([1, 2, 3], [4, 5, 6])
    bad = (Skipped(data.samples[1].path, "truncated"),)
    rest = data.without(bad)
    assert rest.samples == data.samples[:1] + data.samples[2:] and rest.skipped == bad
    assert data.skipped == () and len(data) == 6  # the original is as it was


def test_half_bad_is_accepted_and_more_is_not():
    data = build([1, 2, 3], [4, 5, 6])
    bad = [Skipped(s.path, "truncated") for s in data.samples]
    assert len(data.without(bad[:3])) == 3
    with pytest.raises(DataError, match=r"4 of 6 files cannot be read as photos, the first: .*1.jpg \(truncated\)"):
        data.without(bad[:4])


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
        from_folder(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_one_class_is_enough_to_evaluate_on(tmp_path):
    data = from_folder(fill(tmp_path, photos({"roses": 3})), least_classes=1)
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
    data = from_folder(fill(tmp_path, photos(dict.fromkeys(NAMES, 1))))
    assert set(data.classes) == set(NAMES) and list(data.classes) == sorted(NAMES)
    for entry in data.samples:
        assert entry.path.parent.name == data.classes[entry.label]


def test_composed_and_decomposed_spellings_are_one_class(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    assert composed != decomposed
    data = from_folder(fill(tmp_path, {f"{composed}/1.jpg": 1, f"{decomposed}/2.jpg": 2, "tea/3.jpg": 3}))
    assert data.classes == (composed, "tea") and data.labels == [0, 0, 1]


@pytest.mark.parametrize("letter", ["\n", "\r", "\t", "\x01", "\x7f", "\x85", "\u2028", "\u2029"])
def test_control_characters_in_class_names_are_refused(tmp_path, letter):
    fill(tmp_path, photos({"a": 3, f"b{letter}c": 3}))
    with pytest.raises(DataError, match="cannot hold line breaks or control characters. Rename it.") as caught:
        from_folder(tmp_path)
    assert letter not in str(caught.value)


def test_a_class_name_that_is_not_unicode_is_refused(tmp_path):
    fill(tmp_path, photos({"a": 3}))
    broken = os.fsencode(tmp_path) + b"/caf\xe9"  # Latin-1
    os.mkdir(broken)
    Path(os.fsdecode(broken), "1.jpg").write_bytes(b"1")
    with pytest.raises(DataError, match="not valid Unicode. Rename it.") as caught:
        from_folder(tmp_path)
    str(caught.value).encode()  # it can be printed


def test_links_are_followed_and_circles_end(tmp_path):
    fill(tmp_path / "store", {"x/1.jpg": 1, "x/deep/2.jpg": 2})
    fill(tmp_path / "data", photos({"a": 1}))
    (tmp_path / "data" / "b").symlink_to(tmp_path / "store" / "x")
    (tmp_path / "store" / "x" / "deep" / "round").symlink_to(tmp_path / "store" / "x")
    data = from_folder(tmp_path / "data")
    assert data.classes == ("a", "b") and data.labels == [0, 1, 1]


def test_a_link_back_up_brings_no_photos_of_other_classes(tmp_path):
    fill(tmp_path / "data", photos({"a": 2, "b": 3}))
    (tmp_path / "data" / "a" / "up").symlink_to("..")
    (tmp_path / "data" / "all").symlink_to(".")
    data = from_folder(tmp_path / "data")
    assert data.classes == ("a", "b") and data.labels == [0, 0, 1, 1, 1]


def test_what_was_passed_over_is_said_when_classes_are_missing(tmp_path):
    fill(tmp_path, photos({"a": 3, ".b": 3}))
    with pytest.raises(DataError, match="one class only, 'a'.*\\.b is hidden"):
        from_folder(tmp_path)


def test_a_folder_that_cannot_be_opened_is_said(tmp_path):
    with pytest.raises(DataError, match="cannot be opened .File name too long"):
        from_folder(tmp_path / ("x" * 300))


def test_stated_gives_the_photos_and_the_skipped_of_one_part(tmp_path):
    fill(tmp_path, {"train/a/1.jpg": 1, "train/b/2.jpg": 2, "test/a/3.jpg": 3})
    for empty in ("train/a/zero.jpg", "test/b/zero.jpg"):
        (tmp_path / empty).parent.mkdir(exist_ok=True)
        (tmp_path / empty).touch()
    test = from_folder(tmp_path).stated("test")
    assert [sample.path for sample in test.samples] == [tmp_path / "test/a/3.jpg"]
    assert [entry.path for entry in test.skipped] == [tmp_path / "test/b/zero.jpg"]


def test_progress_reaches_the_total(tmp_path):
    calls = []
    from_folder(fill(tmp_path, photos({"a": 3, "b": 2})), progress=lambda *call: calls.append(call))
    assert calls[-1] == (5, 5)


def test_photos_in_two_classes_are_noted(tmp_path):
    files = photos({"a": 3, "b": 3}) | {"a/x.jpg": "same", "b/y.jpg": "same"}
    [note] = from_folder(fill(tmp_path, files)).notes
    assert note.startswith("1 ") and "more than one class" in note


def test_the_fingerprint_does_not_depend_on_names_or_order(tmp_path):
    files = photos({"a": 4, "b": 3})
    one = from_folder(fill(tmp_path / "one", files))
    renamed = {f"{name[0]}/{9 - int(name[2])}-other/{name[2]}.png": content for name, content in files.items()}
    two = from_folder(fill(tmp_path / "two", renamed))
    assert one.fingerprint == two.fingerprint
    assert Dataset(one.samples[::-1], one.classes).fingerprint == one.fingerprint


@pytest.mark.parametrize("change", ["content", "class name", "label", "less", "copy", "part"])
def test_the_fingerprint_tells_changes(tmp_path, change):
    files = photos({"a": 4, "b": 3})
    before = from_folder(fill(tmp_path, files))
    after = before
    if change == "part":
        after = Dataset(tuple(Sample(s.path, s.label, s.digest, "train") for s in before.samples), before.classes)
    elif change == "class name":
        (tmp_path / "a").rename(tmp_path / "A")
    elif change == "label":
        (tmp_path / "a" / "0.jpg").rename(tmp_path / "b" / "9.jpg")
    elif change == "less":
        (tmp_path / "a" / "0.jpg").unlink()
    elif change == "copy":
        shutil.copy(tmp_path / "a" / "0.jpg", tmp_path / "a" / "copy.jpg")
    else:
        (tmp_path / "a" / "0.jpg").write_bytes(b"other")
    after = after if change == "part" else from_folder(tmp_path)
    assert after.fingerprint != before.fingerprint


def test_the_split_follows_the_documented_hash():
    data = build(range(300), range(1000, 1300))
    found = parts_of(data.split(validation=0.1, test=0.2, seed=3))
    for s in data.samples:
        place = unit(int(s.path.stem), seed=3)
        assert found[s.path] == ("test" if place < 0.2 else "validation" if place < 0.2 + 0.1 else "train")


def test_the_shares_are_near_what_was_asked():
    split = build(range(1000), range(1000, 2000)).split(validation=0.1, test=0.2)
    # Binomial, n = 2000: standard deviations sqrt(2000 * 0.2 * 0.8) = 18 and sqrt(2000 * 0.1 * 0.9) = 13; four of each.
    assert abs(len(split.test) - 400) < 72
    assert abs(len(split.validation) - 200) < 54
    assert split.notes == ()


def test_another_seed_is_another_division():
    data = build(range(100), range(100, 200))
    assert parts_of(data.split(seed=0)) != parts_of(data.split(seed=1))
    assert parts_of(data.split(seed=1)) == parts_of(data.split(seed=1))


numbers = st.sets(st.integers(0, 10**6), min_size=3, max_size=40)


@given(first=numbers, second=numbers, more=st.sets(st.integers(0, 10**6), max_size=40), seed=st.integers(0, 99))
def test_a_photo_stays_in_its_part_when_others_are_added(first, second, more, seed):
    before = build(sorted(first), sorted(second)).split(seed=seed)
    after = build(sorted(first | more), sorted(second)).split(seed=seed)
    if not before.notes and not after.notes:  # a borrowed photo goes home as soon as its place is filled
        places = parts_of(after)
        assert all(places[path] == part for path, part in parts_of(before).items())


@given(classes=st.lists(numbers, min_size=2, max_size=4), seed=st.integers(0, 99))
def test_every_part_has_every_class_and_every_photo_is_in_one_part(classes, seed):
    data = build(*map(sorted, classes))
    split = data.split(seed=seed)
    taken = [s for part in PARTS for s in getattr(split, part).samples]
    assert sorted(taken, key=lambda s: str(s.path)) == sorted(data.samples, key=lambda s: str(s.path))
    for part in PARTS:
        assert {s.label for s in getattr(split, part).samples} == set(range(len(classes)))
        assert getattr(split, part).classes == data.classes


@given(classes=st.lists(numbers, min_size=2, max_size=2), seed=st.integers(0, 99))
def test_every_part_that_is_empty_by_hash_is_noted(classes, seed):
    split = build(*map(sorted, classes)).split(seed=seed)
    empty = set()
    for name, content in zip("ab", classes, strict=True):
        places = [unit(n, seed) for n in content]
        # Each part's own stretch of [0, 1); 0.2 + 0.1 is the sum as floats make it.
        for part, low, high in (("test", 0, 0.2), ("validation", 0.2, 0.2 + 0.1), ("train", 0.2 + 0.1, 1)):
            if not any(low <= place < high for place in places):
                empty.add(f"{name}: {part} was empty and borrowed the photo with the nearest hash.")
    # A part that lent its only photo borrows in turn, so there may be more notes, but none without a cause.
    assert empty <= set(split.notes) and len(set(split.notes)) == len(split.notes)
    assert bool(empty) == bool(split.notes)


@given(copies=st.lists(st.integers(0, 20), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_exact_copies_stand_in_the_same_part(copies, seed):
    samples = [sample(n) for n in range(21)] + [sample(n, 1) for n in range(100, 110)]
    samples += [Sample(Path(f"copy{i}.jpg"), 0, digest(n)) for i, n in enumerate(copies)]
    split = Dataset(tuple(samples), ("a", "b")).split(seed=seed)
    places = [{s.digest for s in getattr(split, part).samples} for part in PARTS]
    assert not (places[0] & places[1] or places[0] & places[2] or places[1] & places[2])


def test_an_empty_part_borrows_the_photo_with_the_nearest_hash():
    train = numbers_between(0.3001, 1, 10)
    enough = numbers_between(0, 0.2, 2) + numbers_between(0.2, 0.3, 2) + train
    split = build(enough, train).split(validation=0.1, test=0.2)
    nearest = sorted(train, key=unit)
    lent = {part: [int(s.path.stem) for s in getattr(split, part).samples if s.label == 1] for part in PARTS}
    assert lent["test"] == nearest[:1] and lent["validation"] == nearest[1:2]
    assert split.notes == (
        "b: test was empty and borrowed the photo with the nearest hash.",
        "b: validation was empty and borrowed the photo with the nearest hash.",
    )


def test_training_borrows_too():
    tests = numbers_between(0, 0.2, 4)
    data = build(tests, range(6000, 6100))
    split = data.split(validation=0.1, test=0.2)
    ranked = sorted(tests, key=unit)
    lent = {
        part: sorted((int(s.path.stem) for s in getattr(split, part).samples if not s.label), key=unit)
        for part in PARTS
    }
    assert lent == {"test": ranked[:2], "validation": ranked[2:3], "train": ranked[3:]}
    assert split.notes == (
        "a: validation was empty and borrowed the photo with the nearest hash.",
        "a: train was empty and borrowed the photo with the nearest hash.",
    )


def test_too_few_photos_are_counted():
    with pytest.raises(DataError) as caught:
        Dataset((sample(1), *(sample(n, 1) for n in range(10, 20))), ("flowers", "trees")).split()
    assert str(caught.value) == (
        "flowers has 1 photo; each class needs at least 3 (train, validation, test). Add photos, or remove the folder."
    )
    with pytest.raises(DataError, match="a has 2 different photos; each class needs at least 3"):
        build([1, 2], range(10, 20)).split()
    assert len(build([1, 2, 3], range(10, 20)).split().train) >= 2


def test_copies_do_not_count_as_photos(tmp_path):
    files = photos({"b": 5}) | {f"a/{i}.jpg": "same" for i in range(9)}
    with pytest.raises(DataError, match="a has 1 photo; each class needs at least 3"):
        from_folder(fill(tmp_path, files)).split()


@pytest.mark.parametrize(("validation", "test"), [(0, 0.2), (0.1, 0), (0.5, 0.5), (-0.1, 0.2), (1.5, 0.2)])
def test_senseless_shares_are_refused(validation, test):
    with pytest.raises(DataError, match=f"--validation {validation} and --test {test}"):
        build(range(9), range(10, 19)).split(validation=validation, test=test)


@given(sizes=st.lists(st.integers(5, 40), min_size=2, max_size=4), count=st.integers(2, 5), seed=st.integers(0, 9))
def test_folds_are_stratified(sizes, count, seed):
    data = build(*(range(1000 * label, 1000 * label + size) for label, size in enumerate(sizes)))
    folds = data.folds(count, seed=seed)
    assert len(folds) == len(data)
    for label, size in enumerate(sizes):
        found = Counter(f for f, s in zip(folds, data.samples, strict=True) if s.label == label)
        assert sum(found.values()) == size and set(found) == set(range(count))
        assert max(found.values()) - min(found.values()) <= 1


def test_folds_keep_copies_together_and_ignore_names_and_order():
    samples = [sample(n) for n in range(10)] + [sample(n, 1) for n in range(20, 35)]
    # Copies of all of a, some of them in b.
    copies = [Sample(Path(f"copy{n}.jpg"), n % 2, digest(n)) for n in range(10)]
    data = Dataset((*samples, *copies), ("a", "b"))
    folds = dict(zip((s.path for s in data.samples), data.folds(5), strict=True))
    assert [folds[Path(f"copy{n}.jpg")] for n in range(10)] == [folds[samples[n].path] for n in range(10)]
    turned = Dataset(data.samples[::-1], data.classes)
    assert turned.folds(5) == data.folds(5)[::-1]
    assert data.folds(5) != data.folds(5, seed=1)


def test_more_folds_than_photos_are_refused():
    with pytest.raises(DataError, match="a has 3 different photos; --folds 5 needs 5 in each class"):
        build([1, 2, 3], range(10, 20)).folds(5)


def test_long_lists_are_hashed_in_slices(tmp_path, monkeypatch):
    # More files than one slice holds, the sizes of which are not a multiple of each other.
    count = 1024 + 7
    monkeypatch.setattr(module, "_hash", lambda path: (hashlib.sha256(str(path).encode()).hexdigest(), ""))
    calls = []
    data = from_folder(fill(tmp_path, photos({"a": count, "b": 1})), progress=lambda *call: calls.append(call))
    assert len(data) == count + 1
    assert all(s.digest == hashlib.sha256(str(s.path).encode()).hexdigest() for s in data.samples)
    assert calls == [(1024, count + 1), (count + 1, count + 1)]


def test_the_shared_flowers_are_what_they_are_said_to_be(shared_data):
    data = from_folder(shared_data / "flowers")
    assert len(data.classes) == 5 and Counter(data.labels) == dict.fromkeys(range(5), 120)
    assert data.skipped == ()
