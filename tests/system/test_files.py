import errno
import os
import stat
from pathlib import Path

import pytest

from model_maker.errors import OutputError
from model_maker.system import files


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def failing(replace, *, on_call, error):
    """os.replace that raises on its nth call."""
    calls = []

    def replaced(source, target):
        calls.append(source)
        if len(calls) == on_call:
            raise error
        return replace(source, target)

    return replaced


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"MODEL_MAKER_CACHE": "/own", "XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/own"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/xdg/model_maker"),
        ({"HOME": "/home/me"}, "/home/me/.cache/model_maker"),
        ({"MODEL_MAKER_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/home/me"}, "/home/me/.cache/model_maker"),
    ],
)
def test_cache_directory_follows_the_environment(monkeypatch, environment, expected):
    for name in ("MODEL_MAKER_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert files.cache_directory() == Path(expected)


def test_write_makes_parents_and_replaces_what_was_there(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"
    files.write(path, b"old and longer")
    files.write(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["file.bin"]


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o077, 0o600)])
def test_written_files_and_folders_have_the_permissions_of_ordinary_ones(tmp_path, umask, expected):
    before = os.umask(umask)
    try:
        files.write(tmp_path / "file", b"x")
        with files.new_directory(tmp_path / "folder"):
            pass
        assert os.umask(umask) == umask  # and the process's own is as it was
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == expected
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o777 & ~umask


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "replace", failing(os.replace, on_call=1, error=error))
    with pytest.raises((KeyboardInterrupt, OutputError)):
        files.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_said_in_words():
    said = "Cannot write /out/model: No space left on device. The disk is full"
    with pytest.raises(OutputError, match=said), files.explained(Path("/out/model")):
        Path("/dev/full").write_bytes(b"x")


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.EACCES, "No permission"), (errno.EROFS, "read-only"), (errno.EIO, "Choose another")]
)
def test_failures_of_the_system_come_with_advice(number, advice):
    said = f"Cannot write out: {os.strerror(number)}. .*{advice}"
    with pytest.raises(OutputError, match=said) as caught, files.explained(Path("out")):
        raise OSError(number, os.strerror(number))
    assert "\n" not in str(caught.value)


def test_a_failure_without_a_number_keeps_its_text():
    # Pillow and others raise OSError with a text only.
    with pytest.raises(OutputError, match="Cannot write out: encoder error -2"), files.explained(Path("out")):
        raise OSError("encoder error -2")


def test_writing_below_a_file_is_an_output_error(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(OutputError, match="Cannot write"):
        files.write(tmp_path / "file" / "x", b"x")
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_new_directory_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "deep" / "out"
    with files.new_directory(path) as folder:
        (folder / "a").write_text("1")
        assert not path.exists()
        assert folder.parent == path.parent  # the same file system, so that renaming is one step
    assert names(path) == ["a"]
    assert names(path.parent) == ["out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_new_directory_vanishes_when_the_work_fails(tmp_path, error):
    with pytest.raises(error), files.new_directory(tmp_path / "out") as folder:
        (folder / "a").write_text("1")
        raise error
    assert names(tmp_path) == []


def test_an_empty_folder_is_filled_without_overwrite(tmp_path):
    (tmp_path / "out").mkdir()
    with files.new_directory(tmp_path / "out") as folder:
        (folder / "a").write_text("1")
    assert names(tmp_path / "out") == ["a"]


def test_overwrite_replaces_the_whole_folder(tmp_path):
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "out" / "old").write_text("old")
    with files.new_directory(tmp_path / "out", overwrite=True) as folder:
        (folder / "new").write_text("new")
        assert names(tmp_path / "out") == ["old", "sub"]
    assert names(tmp_path / "out") == ["new"]
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("on_call", [1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "Input/output error")])
def test_the_old_folder_survives_a_failure_while_it_is_replaced(tmp_path, monkeypatch, on_call, error):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    with pytest.raises((KeyboardInterrupt, OutputError)), files.new_directory(tmp_path / "out", overwrite=True) as new:
        (new / "new").write_text("new")
        monkeypatch.setattr(os, "replace", failing(os.replace, on_call=on_call, error=error))
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out" / "old").read_text() == "old"


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(OutputError, match="out already exists and is not empty"), files.new_directory(tmp_path / "out"):
        pytest.fail("the block must not run")
    assert names(tmp_path / "out") == ["mine"]


def test_a_file_is_never_replaced_by_a_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="out is a file"):
        files.check_new(tmp_path / "out", overwrite=True)


@pytest.mark.parametrize("name", [".", "..", "../..", "../here"])
def test_the_current_folder_and_its_parents_are_never_replaced(tmp_path, monkeypatch, name):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(OutputError, match="current folder"):
        files.check_new(Path(name), overwrite=True)


def test_no_permission_is_said_before_any_work(tmp_path, monkeypatch):
    # The superuser may write anywhere, so the system's answer is played.
    monkeypatch.setattr(os, "access", lambda path, mode: not (mode == os.W_OK and Path(path) == tmp_path))
    with pytest.raises(OutputError, match=f"No permission to write in {tmp_path}"):
        files.check_new(tmp_path / "not" / "yet" / "there")


def test_a_place_that_cannot_be_looked_at_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="File name too long"):
        files.check_new(tmp_path / ("x" * 300))


def test_checking_makes_nothing(tmp_path):
    files.check_new(tmp_path / "a" / "b")
    assert names(tmp_path) == []


def test_a_page_replaces_only_a_page(tmp_path):
    page, model = tmp_path / "page.HTML", tmp_path / "model.tflite"
    files.check_new_page(page)
    page.touch()
    model.touch()
    files.check_new_page(page, overwrite=True)
    with pytest.raises(OutputError, match="pass `overwrite=True`"):
        files.check_new_page(page)
    with pytest.raises(OutputError, match="is no page"):
        files.check_new_page(model, overwrite=True)


def test_a_drive_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(type(tmp_path), "exists", lambda path: False)
    with pytest.raises(OutputError, match="there is no folder above it"):
        files.check_new(tmp_path / "out")
