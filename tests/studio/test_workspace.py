"""The folder is the state: what a page shows is what is there."""

import pytest

from model_maker.data import sources
from model_maker.errors import DataError
from model_maker.studio.workspace import Workspace, as_dict


@pytest.fixture
def filled(workspace, jpeg):
    for label, count in {"rose": 3, "tulip": 2}.items():
        workspace.add_class(label)
        for number in range(count):
            (workspace.photos / label / f"{number}.jpg").write_bytes(jpeg(number))
    return workspace


def names(workspace):
    return {label: [photo.path.name for photo in photos] for label, photos in workspace.classes().items()}


def test_it_shows_what_training_would_see(filled):
    (filled.photos / "rose/.hidden.jpg").write_bytes(b"x")
    (filled.photos / "rose/deep").mkdir()
    (filled.photos / "rose/deep/4.jpg").write_bytes(b"\xff\xd8\xff")
    (filled.photos / ".git").mkdir()
    dataset = sources.read(filled.photos)
    assert sum(map(len, names(filled).values())) == len(dataset)
    assert tuple(names(filled)) == dataset.classes


def test_all_that_happens_to_classes_can_be_undone(filled):
    before = names(filled)
    filled.rename_class("rose", "Rosa")
    assert names(filled) == {"Rosa": before["rose"], "tulip": before["tulip"]}
    filled.merge_classes("tulip", "Rosa")
    assert names(filled) == {"Rosa": ["0 (2).jpg", "0.jpg", "1 (2).jpg", "1.jpg", "2.jpg"]}
    filled.delete_class("Rosa")
    assert names(filled) == {}
    for _ in range(3):
        filled.undo()
    assert names(filled) == before


def test_nothing_is_ever_deleted(filled, jpeg):
    [first, *_] = filled.classes()["rose"]
    filled.delete([first.id])
    assert filled.last_action() == "deleted 1 photo"
    assert [path.read_bytes() for path in filled.trash.rglob("*.jpg")] == [jpeg(0)]


def test_a_class_keeps_its_name_when_it_is_renamed_to_it(filled):
    filled.rename_class("rose", "rose")
    with pytest.raises(DataError, match="already"):
        filled.rename_class("rose", "tulip")


def test_identifiers_outlast_a_restart(filled):
    again = Workspace(filled.photos)
    [first, *_] = filled.classes()["rose"]
    assert again.path(first.id) == first.path


@pytest.mark.parametrize("photo", ["", "0" * 20, None, 3, "../rose/0.jpg", ["x"]])
def test_other_identifiers_are_refused(filled, photo):
    with pytest.raises(DataError, match="no longer there"):
        filled.path(photo)


def test_changes_from_outside_are_seen(filled, jpeg):
    before = filled.stamp()
    (filled.photos / "rose/new.jpg").write_bytes(jpeg(9))
    assert filled.stamp() != before
    assert len(as_dict(filled)["classes"][0]["photos"]) == 4


def test_data_in_parts_is_refused(tmp_path, jpeg):
    for part in ("train", "test"):
        (tmp_path / part / "rose").mkdir(parents=True)
        (tmp_path / part / "rose/1.jpg").write_bytes(jpeg())
    with pytest.raises(DataError, match="is divided into test and train"):
        Workspace(tmp_path)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file"):
        Workspace(tmp_path / "file")
