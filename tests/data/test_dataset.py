import dataclasses
import hashlib
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from photo_files import fill, photos

from model_maker.data.dataset import PARTS, Dataset, Sample, Skipped
from model_maker.data.sources import read
from model_maker.errors import DataError


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


def test_a_choice_of_photos_stays_when_others_come_or_change_their_class():
    """Where they stand in the list says nothing: what was computed for them can be used again."""
    names = [f"{number:02}" for number in range(40)]
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    whole = Dataset(tuple(Sample(Path(name), 0, digests[name]) for name in names), ("a", "b"))
    moved = Dataset(tuple(Sample(Path(name), name < "20", digests[name]) for name in reversed(names)), ("a", "b"))

    def chosen(dataset, most):
        found = dataset.spread(most)
        assert found == sorted(found)
        return {dataset.samples[index].digest for index in found}

    assert chosen(moved, 16) == chosen(whole, 16)
    assert len(chosen(whole, 16)) == 16
    fewer = dataclasses.replace(whole, samples=whole.samples[1:])
    assert len(chosen(fewer, 16) - chosen(whole, 16)) <= 1
    assert whole.spread(100) == list(range(40))


def test_the_fingerprint_does_not_depend_on_names_or_order(tmp_path):
    files = photos({"a": 4, "b": 3})
    one = read(fill(tmp_path / "one", files))
    renamed = {f"{name[0]}/{9 - int(name[2])}-{name[0]}/{name[2]}.png": content for name, content in files.items()}
    two = read(fill(tmp_path / "two", renamed))
    assert one.fingerprint == two.fingerprint
    assert Dataset(one.samples[::-1], one.classes).fingerprint == one.fingerprint


@pytest.mark.parametrize("change", ["content", "class name", "label", "less", "copy", "part"])
def test_the_fingerprint_states_changes(tmp_path, change):
    files = photos({"a": 4, "b": 3})
    before = read(fill(tmp_path, files))
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
    after = after if change == "part" else read(tmp_path)
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
                empty.add(f"{name}: the {part} split was empty and borrowed the photo with the closest hash.")
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
        "b: the test split was empty and borrowed the photo with the closest hash.",
        "b: the validation split was empty and borrowed the photo with the closest hash.",
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
        "a: the validation split was empty and borrowed the photo with the closest hash.",
        "a: the train split was empty and borrowed the photo with the closest hash.",
    )


def test_too_few_photos_are_counted():
    with pytest.raises(DataError) as caught:
        Dataset((sample(1), *(sample(n, 1) for n in range(10, 20))), ("flowers", "trees")).split()
    assert str(caught.value) == (
        "flowers has 1 photo; each class needs at least 3 (train, validation, test). Add photos, or remove the class."
    )
    with pytest.raises(DataError, match="a has 2 different photos; each class needs at least 3"):
        build([1, 2], range(10, 20)).split()
    assert len(build([1, 2, 3], range(10, 20)).split().train) >= 2


@pytest.mark.parametrize(("validation", "test"), [(0, 0.2), (0.1, 0), (0.5, 0.5), (-0.1, 0.2), (1.5, 0.2)])
def test_senseless_shares_are_refused(validation, test):
    with pytest.raises(DataError, match=f"`validation={validation}` and `test={test}`"):
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
    with pytest.raises(DataError, match="a has 3 different photos; `folds=5` needs 5 in each class"):
        build([1, 2, 3], range(10, 20)).folds(5)
