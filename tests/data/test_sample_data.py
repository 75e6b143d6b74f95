import numpy as np
import pytest
from PIL import Image

from model_maker.data import sample_data
from model_maker.errors import DataError, OutputError

CLASSES = ["daisy", "dandelion", "rose", "sunflower", "tulip"]


def contents(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_lays_out_one_folder_a_class(tmp_path):
    paths = sample_data.draw(tmp_path / "flowers", per_class=2)
    expected = [f"{name}/{name}_{number}.jpg" for name in CLASSES for number in ("000", "001")]
    assert [path.relative_to(tmp_path / "flowers").as_posix() for path in paths] == expected
    assert sorted(contents(tmp_path)) == [f"flowers/{name}" for name in expected]  # and nothing beside it


def test_pictures_are_rgb_jpegs_of_many_sizes(tmp_path):
    sizes = set()
    for path in sample_data.draw(tmp_path / "flowers", per_class=4):
        with Image.open(path) as image:
            image.load()
            assert (image.format, image.mode) == ("JPEG", "RGB")
            assert min(image.size) >= 240 and max(image.size) <= 480
            sizes.add(image.size)
    assert len(sizes) > 10  # of 20
    assert {width > height for width, height in sizes} == {True, False}


def test_same_seed_gives_the_same_bytes(tmp_path):
    sample_data.draw(tmp_path / "one", per_class=2, seed=5)
    sample_data.draw(tmp_path / "two", per_class=2, seed=5)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_larger_set_begins_with_the_smaller_one(tmp_path):
    sample_data.draw(tmp_path / "small", per_class=1)
    sample_data.draw(tmp_path / "large", per_class=3)
    small, large = contents(tmp_path / "small"), contents(tmp_path / "large")
    assert len(small) == 5 and len(large) == 15
    assert small.items() <= large.items()


def test_every_picture_differs_between_seeds_classes_and_numbers(tmp_path):
    drawn = []
    for seed in (0, 1, -1, 10):  # negative, and of two digits: seed 1, number 0 must not meet seed 10
        sample_data.draw(tmp_path / str(seed), per_class=2, seed=seed)
        drawn += contents(tmp_path / str(seed)).values()
    assert len(set(drawn)) == len(drawn) == 4 * 5 * 2


def test_mean_colour_does_not_tell_the_classes_apart():
    # Leave-one-out nearest centroid on mean colours. Guessing gives 20 %; with one colour a class it is 100 % (below).
    means, labels = [], []
    for label, name in enumerate(CLASSES):
        for number in range(12):
            means.append(np.asarray(sample_data.picture(name, number).resize((32, 32))).mean((0, 1)))
            labels.append(label)
    assert nearest_centroid_accuracy(np.array(means), np.array(labels)) < 0.6
    assert nearest_centroid_accuracy(np.array(labels)[:, None] * 50.0 + np.array(means) * 0.01, np.array(labels)) == 1


def nearest_centroid_accuracy(points, labels):
    hits = 0
    for left in range(len(points)):
        kept = np.arange(len(points)) != left
        centroids = np.array([points[kept & (labels == label)].mean(0) for label in np.unique(labels)])
        hits += np.argmin(((centroids - points[left]) ** 2).sum(-1)) == labels[left]
    return hits / len(points)


def test_blossoms_of_one_class_come_in_many_colours_and_share_them():
    tints = {name: set(sample_data.SPECIES[name].tints.split()) for name in CLASSES}
    assert all(len(tint) >= 3 for tint in tints.values())
    assert set.intersection(*tints.values()) == {"yellow", "orange"}


@pytest.mark.parametrize("species", CLASSES)
def test_a_blossom_stands_out_from_its_background(species, monkeypatch):
    # The same picture with and without blossoms: drawing them outside the canvas would show here.
    with_blossoms = [np.asarray(sample_data.picture(species, number), int) for number in range(4)]
    monkeypatch.setitem(sample_data.SPECIES, species, sample_data.SPECIES[species]._replace(blossom=lambda *_: None))
    for number, picture in enumerate(with_blossoms):
        changed = np.abs(picture - np.asarray(sample_data.picture(species, number), int)).max(-1) > 40
        assert 0.01 < changed.mean() < 0.8


def test_reports_progress_to_the_end(tmp_path):
    calls = []
    sample_data.draw(tmp_path / "flowers", per_class=1, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_fills_an_empty_folder_that_exists(tmp_path):
    (tmp_path / "flowers").mkdir()
    sample_data.draw(tmp_path / "flowers", per_class=1)
    assert len(contents(tmp_path / "flowers")) == 5


def test_makes_missing_parents(tmp_path):
    sample_data.draw(tmp_path / "a" / "b" / "flowers", per_class=1)
    assert len(contents(tmp_path / "a" / "b" / "flowers")) == 5


def test_refuses_a_folder_that_is_not_empty_and_leaves_it_alone(tmp_path):
    (tmp_path / "flowers").mkdir()
    (tmp_path / "flowers" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="flowers already exists and is not empty") as caught:
        sample_data.draw(tmp_path / "flowers", per_class=1)
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == {"flowers/mine.txt": b"mine"}


def test_refuses_a_file(tmp_path):
    (tmp_path / "flowers").write_text("mine")
    with pytest.raises(OutputError, match="flowers is a file"):
        sample_data.draw(tmp_path / "flowers", per_class=1)
    assert contents(tmp_path) == {"flowers": b"mine"}


def test_refuses_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="current folder"):
        sample_data.draw(".", per_class=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("per_class", [0, -3])
def test_refuses_less_than_one_picture_a_class(tmp_path, per_class):
    with pytest.raises(DataError, match=f"per_class is {per_class}"):
        sample_data.draw(tmp_path / "flowers", per_class=per_class)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("failure", "seen"), [(KeyboardInterrupt, KeyboardInterrupt), (OSError(28, "No space left on device"), OutputError)]
)
def test_a_failure_in_the_middle_leaves_nothing(tmp_path, monkeypatch, failure, seen):
    draw_picture, calls = sample_data.picture, []

    def fail_later(*args, **kwargs):
        calls.append(args)
        if len(calls) == 4:
            assert any(tmp_path.rglob("*.jpg"))  # there is something to clean up
            assert not (tmp_path / "flowers").exists()
            raise failure
        return draw_picture(*args, **kwargs)

    monkeypatch.setattr(sample_data, "picture", fail_later)
    with pytest.raises(seen):
        sample_data.draw(tmp_path / "flowers", per_class=2)
    assert len(calls) == 4
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_in_the_progress_callback_leaves_the_empty_folder(tmp_path):
    (tmp_path / "flowers").mkdir()

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample_data.draw(tmp_path / "flowers", per_class=1, progress=interrupt)
    assert [path.name for path in tmp_path.rglob("*")] == ["flowers"]


def test_prints_nothing(tmp_path, capfd):
    sample_data.draw(tmp_path / "flowers", per_class=1)
    assert capfd.readouterr() == ("", "")
