"""Files that somebody has open or has locked, here and as the other systems treat them."""

import fcntl
import hashlib
import os

import pytest
from loopback_files import serve
from other_systems import SYSTEMS, run, start

from model_maker.system import files, locks

HOLD = """
import sys
from pathlib import Path
from model_maker.system import files, locks
with locks.locked(Path(sys.argv[1])) as file:
    print("held", flush=True)
    file.write(sys.stdin.readline().encode())
"""
TRY = """
import sys
from pathlib import Path
from model_maker.system import files, locks
try:
    with locks.locked(Path(sys.argv[1]), wait=sys.argv[2] == "wait") as file:
        file.seek(0)
        print("read", file.read().decode().strip())
except BlockingIOError:
    print("taken")
"""


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_locked_file_is_one_process_s_alone(system, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"first ")
    with start(system, HOLD, path) as holder:
        assert holder.stdout.readline() == b"held\n"
        assert run(system, TRY, path, "no").strip() == "taken"
        assert path.read_bytes() == b"first "  # anyone may read
        with start(system, TRY, path, "wait") as waiting:
            holder.communicate(b"second\n")
            assert waiting.communicate()[0] == b"read first second\n"
    assert run(system, TRY, path, "no").strip() == "read first second"


KEEP = """
import sys, threading, time
from pathlib import Path
from model_maker.system import files, locks
path, inside, most = Path(sys.argv[1]), [], []
def work():
    with locks.locked(path) as file:
        inside.append(file)
        time.sleep(0.01)
        most.append(len(inside))
        inside.remove(file)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(most, path.exists())
with locks.locked(path) as file:
    file.write(b"kept")
try:
    with locks.locked(path.with_name("other")):
        raise KeyError
except KeyError:
    print(path.exists(), path.with_name("other").exists())
"""


@pytest.mark.parametrize("system", SYSTEMS)
def test_threads_wait_for_each_other_and_what_stays_empty_goes(system, tmp_path):
    assert run(system, KEEP, tmp_path / "lock").splitlines() == ["[1, 1, 1, 1, 1, 1, 1, 1] False", "True False"]


def test_a_file_that_was_removed_while_one_waited_is_opened_anew(tmp_path, monkeypatch):
    path, flock = tmp_path / "file", fcntl.flock

    def removed(file, operation):
        flock(file, operation)
        monkeypatch.undo()
        path.unlink()  # as whoever had it does at the end

    monkeypatch.setattr(fcntl, "flock", removed)
    with locks.locked(path) as file:
        file.write(b"x")
    assert path.read_bytes() == b"x"


REPLACE = """
import sys
from pathlib import Path
from model_maker.system import files, locks
from model_maker.errors import OutputError
out = Path(sys.argv[1])
with files.new_directory(out) as folder:
    (folder / "a").write_text("old", encoding="utf-8")
held = open(out / "a", encoding="utf-8")
try:
    with files.new_directory(out, overwrite=True) as folder:
        (folder / "a").write_text("new", encoding="utf-8")
except OutputError as error:
    print(error)
print(sorted(path.name for path in out.parent.iterdir()), (out / "a").read_text(encoding="utf-8"))
held.close()
with files.new_directory(out, overwrite=True) as folder:
    (folder / "b").write_text("newer", encoding="utf-8")
print(sorted(path.name for path in out.parent.iterdir()), sorted(path.name for path in out.iterdir()))
"""


def test_a_folder_is_replaced_whole_or_not_at_all_where_open_files_stay(tmp_path):
    refused, kept, replaced = run("win32", REPLACE, tmp_path / "out").splitlines()
    assert refused.startswith(f"Cannot write {tmp_path / 'out'}: The process cannot access the file.")
    assert "another program has it open: close that" in refused
    assert kept == "['out'] old" and replaced == "['out'] ['b']"
    assert run("", REPLACE, tmp_path / "here").splitlines()[0].endswith("new")


def test_what_is_open_for_a_moment_is_renamed_at_last(tmp_path, monkeypatch):
    (tmp_path / "new").write_bytes(b"new")
    replace, tries = os.replace, []

    def refuse_twice(source, target):
        tries.append(source)
        if len(tries) < 3:
            raise PermissionError(13, "Access is denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse_twice)
    monkeypatch.setattr(files, "PAUSES_S", (0, 0))
    files.rename(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"new" and len(tries) == 3
    monkeypatch.setattr(files, "PAUSES_S", ())
    tries.clear()
    with pytest.raises(PermissionError):
        files.rename(tmp_path / "old", tmp_path / "new")


FETCH = """
import sys
from pathlib import Path
from model_maker.system import downloads
from model_maker.errors import BackboneError
target, sha256 = Path(sys.argv[2]), sys.argv[3]
for expected in ("0" * 64, sha256, sha256):
    try:
        downloads.fetch(sys.argv[1], target, sha256=expected, progress=lambda *_: None)
    except BackboneError as error:
        print("refused", "not the published file" in str(error))
    print(sorted(path.name for path in target.parent.iterdir()))
"""


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_download_is_checked_and_takes_its_place(system, tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve() as server:
        server.files["/w.h5"] = b"weights"
        digest = hashlib.sha256(b"weights").hexdigest()
        said = run(system, FETCH, f"{server.address}/w.h5", tmp_path / "w.h5", digest).splitlines()
        assert [path for path, _ in server.requests] == ["GET /w.h5"] * 2
    assert said == ["refused True", "[]", "['w.h5']", "['w.h5']"]
    assert (tmp_path / "w.h5").read_bytes() == b"weights"
