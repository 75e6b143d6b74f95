"""Mending moves photos out and putting back restores every byte, wherever a run is cut off."""

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest
from photo_files import fill

from model_maker.doctor import quarantine
from model_maker.doctor.diagnosis import Diagnosis
from model_maker.doctor.findings import Finding
from model_maker.errors import DataError, OutputError

FILES = {"a/1.jpg": "one", "a/2.jpg": "two", "a/deep/2.jpg": "deep two", "b/3.jpg": "", "b/4.jpg": "four"}


@pytest.fixture
def home(tmp_path):
    return fill(tmp_path / "data", FILES)


def _diagnosis(home, **kinds):
    """Names of files by kind, "_" standing for "-", as a diagnosis that would move them all."""
    findings = {
        kind.replace("_", "-"): tuple(Finding("x", (home / name,), (home / name,)) for name in names)
        for kind, names in kinds.items()
    }
    files = [path for path in home.rglob("*") if path.is_file()]
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.stat().st_size}
    return Diagnosis(str(home), {}, findings, {}, (), {}, digests)


def _tree(folder):
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def test_moved_files_leave_the_data_and_come_back(home):
    before = _tree(home)
    moves = quarantine.mend(_diagnosis(home, broken=["b/3.jpg"], duplicates=["a/2.jpg", "a/deep/2.jpg"]))
    place = home.parent / "data_quarantine"
    assert moves.quarantine == place and not moves.left and len(moves.moved) == 3
    assert set(_tree(home)) == {"a/1.jpg", "b/4.jpg"}
    assert (place / "duplicates" / "a" / "deep" / "2.jpg").read_text() == "deep two"
    back = quarantine.put_back(home)
    assert len(back.moved) == 3 and not back.left
    assert _tree(home) == before and not place.exists()


def test_only_kinds_that_are_asked_for_are_moved(home):
    found = _diagnosis(home, broken=["b/3.jpg"], labels=["a/1.jpg"])
    assert [path.name for path in quarantine.mend(found).moved] == ["3.jpg"]
    assert [path.name for path in quarantine.mend(found, ["labels"]).moved] == ["1.jpg"]
    with pytest.raises(DataError, match="`kinds='classes'`: choose among broken"):
        quarantine.mend(found, ["classes"])


def test_a_second_mending_never_overwrites_the_first(home):
    before = _tree(home)
    quarantine.mend(_diagnosis(home, duplicates=["a/1.jpg"]))
    (home / "a" / "1.jpg").write_text("another one")
    moves = quarantine.mend(_diagnosis(home, duplicates=["a/1.jpg"]))
    assert [path.name for path in moves.moved] == ["1 (2).jpg"]
    back = quarantine.put_back(home)
    # The later one is put back first; then the place of the earlier one is taken, and nothing is lost.
    assert _tree(home) == before | {"a/1.jpg": "another one"}
    (left,) = back.left
    assert left[0].read_text() == "one" and "is taken by another file" in left[1]
    (home / "a" / "1.jpg").unlink()
    assert not quarantine.put_back(home).left and _tree(home) == before


def test_a_file_that_changed_since_stays(home):
    found = _diagnosis(home, broken=["b/3.jpg", "b/4.jpg"])
    (home / "b" / "3.jpg").write_text("repaired")
    (home / "b" / "4.jpg").write_text("repaired, too")
    moves = quarantine.mend(found)
    assert not moves.moved and {reason for _, reason in moves.left} == {"it has changed since it was examined"}


def test_a_file_that_vanished_does_not_stop_the_others(home):
    found = _diagnosis(home, broken=["a/1.jpg", "a/2.jpg"])
    (home / "a" / "1.jpg").unlink()
    moves = quarantine.mend(found)
    assert [path.name for path in moves.moved] == ["2.jpg"] and len(moves.left) == 1


@pytest.mark.parametrize("after", [False, True])
def test_a_run_cut_off_at_any_move_is_put_back(home, monkeypatch, after):
    before = _tree(home)
    move, count = quarantine.move, []

    def cut_off(source, target):
        count.append(source)
        if len(count) == 2 and not after:
            raise KeyboardInterrupt
        move(source, target)
        if len(count) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(quarantine, "move", cut_off)
        with pytest.raises(KeyboardInterrupt):
            quarantine.mend(_diagnosis(home, duplicates=["a/1.jpg", "a/2.jpg", "b/4.jpg"]))
    assert len(_tree(home)) == (3 if after else 4)
    quarantine.put_back(home)
    assert _tree(home) == before and not (home.parent / "data_quarantine").exists()


def test_a_line_that_a_crash_cut_off_is_passed_over_and_the_log_goes_on(home):
    before = _tree(home)
    quarantine.mend(_diagnosis(home, duplicates=["a/1.jpg"]))
    log = home.parent / "data_quarantine" / quarantine.LOG
    log.write_bytes(log.read_bytes() + b'{"from": "b/4.j')
    quarantine.mend(_diagnosis(home, duplicates=["a/2.jpg"]))
    assert json.loads(log.read_text().splitlines()[2])["from"] == "a/2.jpg"
    quarantine.put_back(home)
    assert _tree(home) == before


def test_the_log_is_on_the_disk_before_a_file_moves(home, monkeypatch):
    log = home.parent / "data_quarantine" / quarantine.LOG
    monkeypatch.setattr(quarantine, "move", lambda source, _: seen.append(source.name in log.read_text()))
    seen: list[bool] = []
    quarantine.mend(_diagnosis(home, duplicates=["a/1.jpg", "a/2.jpg"]))
    assert seen == [True, True]


def test_between_two_disks_a_file_is_copied_whole_and_put_back(home, monkeypatch):
    before, rename = _tree(home), os.rename

    def two_disks(source, target):
        if ("data_quarantine" in str(source)) != ("data_quarantine" in str(target)):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    (home / "a" / "link.jpg").symlink_to("1.jpg")
    before = _tree(home)
    monkeypatch.setattr(os, "rename", two_disks)
    assert len(quarantine.mend(_diagnosis(home, duplicates=["a/2.jpg", "a/link.jpg"])).moved) == 2
    quarantine.put_back(home)
    assert _tree(home) == before


def test_a_copy_whose_original_was_not_yet_removed_is_no_second_file(home):
    before = _tree(home)
    quarantine.mend(_diagnosis(home, duplicates=["a/1.jpg"]))
    (home / "a" / "1.jpg").write_text("one")
    assert not quarantine.put_back(home).left and _tree(home) == before


def test_folders_may_be_moved_between_mending_and_putting_back(home, tmp_path):
    before = _tree(home)
    quarantine.mend(_diagnosis(home, duplicates=["a/1.jpg"]), quarantine=tmp_path / "q")
    moved = home.rename(tmp_path / "elsewhere")
    (tmp_path / "q").rename(tmp_path / "other")
    quarantine.put_back(moved, tmp_path / "other")
    assert _tree(moved) == before


def test_a_quarantine_in_the_data_or_of_other_things_is_refused(home, tmp_path):
    with pytest.raises(OutputError, match="would be read as a class"):
        quarantine.check(home, ["broken"], home / "aside")
    fill(tmp_path / "full", {"letter.txt": "dear"})
    with pytest.raises(OutputError, match="holds other things"):
        quarantine.check(home, ["broken"], tmp_path / "full")


def test_what_is_no_folder_by_class_is_refused(home, tmp_path):
    (tmp_path / "list.csv").write_text("path,label\ndata/a/1.jpg,a\n")
    with pytest.raises(DataError, match=r"list.csv is no folder of photos by class"):
        quarantine.check(tmp_path / "list.csv", ["broken"])
    (home / "metadata.csv").write_text("file_name,label\na/1.jpg,a\n")
    with pytest.raises(DataError, match="is no folder of photos by class"):
        quarantine.check(home, ["broken"])


def test_a_read_only_place_is_one_clear_line(home, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != home)  # root may write anywhere
    with pytest.raises(OutputError, match="No permission to write in .*data. Change that"):
        quarantine.check(home, ["broken"])


def test_nothing_to_undo_is_said_and_a_log_that_leads_out_is_refused(home, tmp_path):
    with pytest.raises(DataError, match="nothing to undo"):
        quarantine.put_back(home)
    fill(tmp_path / "data_quarantine", {"x.jpg": "x", quarantine.LOG: '{"from": "../../x", "to": "x.jpg"}\n'})
    with pytest.raises(DataError, match="outside of the data"):
        quarantine.put_back(home)
    assert (tmp_path / "data_quarantine" / "x.jpg").exists()
