"""What a process that was killed has left is removed by the next one, and nothing else is."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from other_systems import SYSTEMS, run, start

from model_maker.system import files

# Makes what a process makes for the moment, says so, and waits to be killed.
MAKE = """
import sys
from pathlib import Path
from model_maker.system import files
home = Path(sys.argv[1])
with files.temporary_directory() as folder, files.new_directory(home / "model", overwrite=True) as model:
    (folder / "inner").mkdir()
    (folder / "inner/photo.png").write_bytes(b"png")
    (model / "model.tflite").write_bytes(b"half")
    files.beside(home / "list.csv").write_bytes(b"half")
    print(folder, flush=True)
    sys.stdin.read()
"""
NEXT = "from model_maker.system import files\nfiles.collect_leftovers()"


def everything(*folders):
    return sorted(str(path) for folder in folders for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def places(tmp_path, monkeypatch):
    for name, variable in {"cache": "MODEL_MAKER_CACHE", "temporary": "TMPDIR"}.items():
        (tmp_path / name).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / name))
    home = tmp_path / "home"
    home.mkdir()
    # Of people's own, with names that are nearly ours.
    for name in (".model.tflite", "model", ".a.0123456789ab-1", "model_maker.0123456789ab-0", "model_maker"):
        (home / name).write_text("mine")
    (home / "model").unlink()
    return tmp_path


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_a_killed_process_made_goes_and_nothing_else(places, system):
    before = everything(places / "home", places / "temporary", places / "cache")
    with start(system, MAKE, places / "home") as process:
        assert str(places / "temporary") in process.stdout.readline().decode()
        run(system, NEXT)  # it lives
        assert len(everything(places / "home", places / "temporary")) == len(before) + 3
        process.kill()
    run(system, NEXT)
    assert everything(places / "home", places / "temporary", places / "cache") == before
    assert not list((places / "temporary").iterdir())


def test_processes_of_two_systems_share_a_cache(places):
    """As tests do: one that plays Windows must not take what another one uses for what was left."""
    with start("", MAKE, places / "home") as process:
        folder = process.stdout.readline().decode().strip()
        run("win32", NEXT)
        assert (places / "temporary" / folder / "inner/photo.png").exists()
        process.kill()


def test_a_copy_of_the_cache_takes_nothing_from_those_that_use_it(places, monkeypatch):
    with start("", MAKE, places / "home") as process:
        folder = process.stdout.readline().decode().strip()
        monkeypatch.setenv("MODEL_MAKER_CACHE", str(shutil.copytree(places / "cache", places / "copy")))
        run("", NEXT)
        assert (places / "temporary" / folder / "inner/photo.png").exists()
        process.kill()


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_process_that_ends_leaves_no_record(places, system):
    with start(system, MAKE, places / "home") as process:
        process.stdout.readline()
        process.stdin.close()
        assert process.wait(timeout=60) == 0
    assert not list((places / "cache/running").iterdir())
    assert (places / "home/model/model.tflite").exists()


SWAP = """
import os, signal, sys
from pathlib import Path
from model_maker.system import files
def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
rename = files.rename
def begin(source, target):
    if target == Path(sys.argv[1]) / "model":
        kill()
    rename(source, target)
if sys.argv[2] == "before":
    files.rename = begin
else:
    files.shutil.rmtree = kill
with files.new_directory(Path(sys.argv[1]) / "model", overwrite=True) as model:
    (model / "model.tflite").write_bytes(b"new")
"""


@pytest.mark.parametrize(("when", "left"), [("before", b"old"), ("after", b"new")])
def test_what_was_about_to_be_replaced_comes_back_where_nothing_took_its_place(places, when, left):
    (places / "home/model").mkdir()
    (places / "home/model/model.tflite").write_bytes(b"old")
    others = {path.name for path in (places / "home").iterdir()}
    done = subprocess.run([sys.executable, "-c", SWAP, places / "home", when], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (places / "home/model").exists() == (when == "after")
    files.collect_leftovers()
    assert (places / "home/model/model.tflite").read_bytes() == left
    assert {path.name for path in (places / "home").iterdir()} == others


def test_records_of_other_machines_are_left(places):
    (places / "cache/running").mkdir()
    record = places / "cache/running/0123456789ab"
    record.write_bytes(b"another-machine\0" + os.fsencode(places / "home") + b"\0")
    files.collect_leftovers()
    assert record.exists() and (places / "home/.a.0123456789ab-1").exists()
    made = f"{os.uname().nodename} {record.stat().st_ino}"
    record.write_bytes(os.fsencode(made) + b"\0" + os.fsencode(places / "home") + b"\0")
    files.collect_leftovers()
    assert not record.exists() and not (places / "home/.a.0123456789ab-1").exists()


@pytest.mark.parametrize("content", [b"", b"\0", b"\xff\xfe", b"no end", bytes(3)])
def test_a_record_that_is_none_goes(places, content):
    (places / "cache/running").mkdir()
    (places / "cache/running/0123456789ab").write_bytes(content)
    (places / "cache/running/README").write_bytes(content)
    files.collect_leftovers()
    assert [path.name for path in (places / "cache/running").iterdir()] == ["README"]


def test_without_a_cache_things_are_made_all_the_same(places, monkeypatch):
    (places / "file").write_text("")
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(places / "file"))
    with files.temporary_directory() as folder:
        assert folder.is_dir()
    files.collect_leftovers()
    assert not folder.exists()


PARENT = """
import sys
from model_maker.system import limited_process
limited_process.run("model_maker.child_for_tests", what="It")
"""
CHILD = """
import ctypes, os, sys, time
from model_maker.system import limited_process
def work(*_):
    open(os.environ["SEEN"], "w").write(f"{os.getpid()} {os.environ['TMPDIR']}")
    if os.environ["HOW"] == "busy":
        ctypes.PyDLL(None).sleep(600)  # with Python's lock held: no other thread runs
    time.sleep(600)
limited_process.answer(work)
"""


@pytest.mark.parametrize("how", ["waits", "busy"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent(places, monkeypatch, how, number):
    (places / "model_maker_child.py").write_text(CHILD)
    seen = places / "seen"
    for name, value in {"SEEN": seen, "HOW": how, "PYTHONPATH": os.pathsep.join([str(places), *sys.path])}.items():
        monkeypatch.setenv(name, str(value))
    program = PARENT.replace("model_maker.child_for_tests", "model_maker_child")
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        deadline = time.monotonic() + 60
        while not (seen.exists() and seen.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        parent.send_signal(number)
    pid, temporary = seen.read_text().split(" ", 1)
    assert temporary.startswith(str(places / "temporary"))
    while _runs(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(int(pid))
    files.collect_leftovers()
    assert not list((places / "temporary").iterdir())


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
