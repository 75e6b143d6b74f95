"""Moves can be undone, whatever happens between."""

import pytest

from model_maker.errors import DataError
from model_maker.studio.moves import MoveLog
from model_maker.system.moved_files import free_name


@pytest.fixture
def moves(tmp_path):
    for name in ("photos/a", "side"):
        (tmp_path / name).mkdir(parents=True)
    return MoveLog({"photos": tmp_path / "photos", "side": tmp_path / "side"}, tmp_path / "side/moves.jsonl")


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.jpg")}


def test_actions_are_undone_last_first(moves, tmp_path):
    photos, side = tmp_path / "photos", tmp_path / "side"
    (photos / "a/1.jpg").write_text("one")
    (photos / "a/2.jpg").write_text("two")
    before = tree(tmp_path)
    moves.carry_out("first", [(photos / "a/1.jpg", photos / "b/1.jpg")])
    between = tree(tmp_path)
    moves.carry_out("second", [(photos / "a", side / "trash/a"), (photos / "b/1.jpg", side / "trash/1.jpg")])
    assert set(tree(tmp_path)) == {"side/trash/a/2.jpg", "side/trash/1.jpg"}
    assert moves.last().what == "second"
    assert moves.undo() == "second"
    assert tree(tmp_path) == between
    assert moves.undo() == "first"
    assert tree(tmp_path) == before
    assert moves.last() is None
    with pytest.raises(DataError, match="nothing to undo"):
        moves.undo()


def test_what_is_in_the_way_stays(moves, tmp_path):
    photos = tmp_path / "photos"
    for name, text in {"a/1.jpg": "mine", "b/1.jpg": "theirs"}.items():
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_text(text)
    [placed] = moves.carry_out("move", [(photos / "a/1.jpg", photos / "b/1.jpg")])
    assert placed.name == "1 (2).jpg"
    (photos / "a/1.jpg").write_text("new")
    moves.undo()
    assert tree(photos) == {"a/1.jpg": "new", "a/1 (2).jpg": "mine", "b/1.jpg": "theirs"}


def test_two_of_the_same_name_in_one_action(moves, tmp_path):
    photos = tmp_path / "photos"
    for name in ("a", "b"):
        (photos / name).mkdir(exist_ok=True)
        (photos / name / "1.jpg").write_text(name)
    moves.carry_out("both", [(photos / name / "1.jpg", photos / "c/1.jpg") for name in ("a", "b")])
    assert tree(photos) == {"c/1.jpg": "a", "c/1 (2).jpg": "b"}


def test_a_crash_between_log_and_move_loses_nothing(moves, tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    for name in ("1", "2"):
        (photos / f"a/{name}.jpg").write_text(name)
    before = tree(photos)
    import os

    rename, done = os.rename, []

    def crash(source, target):
        if done:
            raise KeyboardInterrupt
        done.append(rename(source, target))

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", crash)
        with pytest.raises(KeyboardInterrupt):
            moves.carry_out("both", [(photos / f"a/{name}.jpg", photos / f"b/{name}.jpg") for name in ("1", "2")])
    assert set(tree(photos)) == {"b/1.jpg", "a/2.jpg"}
    moves.undo()
    assert tree(photos) == before


def test_a_line_that_was_cut_off_is_passed_over(moves, tmp_path):
    photos = tmp_path / "photos"
    (photos / "a/1.jpg").write_text("one")
    (tmp_path / "side/moves.jsonl").write_text('{"what": "half", "mov')
    moves.carry_out("whole", [(photos / "a/1.jpg", photos / "b/1.jpg")])
    assert moves.undo() == "whole"
    assert tree(photos) == {"a/1.jpg": "one"}


@pytest.mark.parametrize("place", ['["photos", "../../x.jpg"]', '["other", "x.jpg"]', '["photos", "/etc/x.jpg"]'])
def test_a_log_that_leads_out_is_refused(moves, tmp_path, place):
    (tmp_path / "side/moves.jsonl").write_text(f'{{"what": "x", "moves": [[{place}, ["photos", "a/1.jpg"]]]}}\n')
    (tmp_path / "photos/a/1.jpg").write_text("one")
    with pytest.raises(DataError, match="was not written here"):
        moves.undo()
    assert tree(tmp_path) == {"photos/a/1.jpg": "one"}


def test_free_names_count_up(tmp_path):
    (tmp_path / "a.jpg").touch()
    assert free_name(tmp_path / "a.jpg", {tmp_path / "a (2).jpg"}) == tmp_path / "a (3).jpg"
