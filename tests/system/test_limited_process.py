"""Work in a process of its own."""

import os
import signal
import subprocess
from unittest.mock import MagicMock

import other_systems
import pytest

from model_maker.benchmark import probe
from model_maker.errors import DataError, ModelError, ModelMakerError
from model_maker.system import limited_process

PROGRAM = """
import os, sys
from model_maker.system import limited_process
from model_maker.errors import ModelError

def work(how):
    if how == "answer":
        return b"42"
    if how == "refuse":
        raise ModelError("It is none.")
    if how == "crash":
        os.abort()
    if how == "spin":
        while True: pass
    if how == "fill":
        return bytes(2 << 30)
    raise LookupError("a bug")

limited_process.answer(work, memory_bytes=1 << 30, cpu_s=int(os.environ["CPU_S"]))
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "the_child.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CPU_S", "60")
    return lambda how, **more: limited_process.run("the_child", how, what="The thing", **more)


def test_an_answer_comes_back(run):
    assert run("answer") == b"42"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("refuse", "It is none."),
        ("crash", "The thing crashed the process that opened it (SIGABRT), so it is probably damaged."),
        ("fill", "It needs more than 1 GB of memory, so it is probably damaged."),
        ("spin", "The thing could not be opened within 2 seconds, so it is probably damaged."),
    ],
)
def test_whatever_ends_the_child_is_one_line(run, how, message):
    with pytest.raises(DataError) as caught:
        run(how, limit_s=2 if how == "spin" else 60, error=DataError)
    assert str(caught.value) == message


def test_a_child_that_nobody_waits_for_is_ended_by_the_system(run, monkeypatch):
    monkeypatch.setenv("CPU_S", "1")
    with pytest.raises(ModelMakerError, match=signal.SIGKILL.name):
        run("spin", limit_s=60)


def test_a_bug_in_the_child_is_told_whole(run):
    with pytest.raises(ModelMakerError, match="LookupError: a bug"):
        run("bug")


@pytest.mark.usefixtures("run")
def test_a_child_ends_with_the_block_that_started_it(monkeypatch):
    begun, begin = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *some, **more: begun.append(begin(*some, **more)) or begun[0])
    with limited_process.started("the_child", "spin", what="The thing"):
        assert begun[0].poll() is None
    assert begun[0].poll() is not None


CHILD = """
import sys
from model_maker.system import limited_process
from model_maker.errors import ModelError
if len(sys.argv) == 3:
    def work(how):
        while how == "spin": pass
        return b"42"
    limited_process.answer(work, memory_bytes=1 << 30, cpu_s=1)
"""
PARENT = """
import sys
from model_maker.system import limited_process
from model_maker.errors import ModelMakerError
for how in ("answer", "spin"):
    try:
        print(limited_process.run("the_child", how, what="It", limit_s=60))
    except ModelMakerError as error:
        print(str(error).splitlines())
"""


@pytest.mark.parametrize(("system", "end"), [("", "SIGKILL"), ("darwin", "SIGKILL"), ("win32", "Timeout (0:00:01)!")])
def test_a_child_answers_and_ends_by_itself(system, end, tmp_path):
    # Without a limit of memory, where the system has none; the limit of time holds on all.
    (tmp_path / "the_child.py").write_text(CHILD)
    path = other_systems.surroundings(system)["PYTHONPATH"]
    answered, ended = other_systems.run(system, PARENT, PYTHONPATH=f"{path}{os.pathsep}{tmp_path}").splitlines()
    assert answered == "b'42'" and end in ended


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0, ""),
        (1, ""),
        (255, ""),
        (-11, "SIGSEGV"),
        (-40, "signal 40"),  # a real-time signal, which has no name
        # Microsoft's [MS-ERREF], NTSTATUS values.
        (0xC0000005, "access violation"),
        (0xC00000FD, "stack overflow"),
        (0xC0000142, "0xC0000142"),
    ],
)
def test_a_crash_is_named(code, name):
    assert limited_process.crash(code) == name


def test_a_crash_on_windows_is_a_reason(tmp_path, monkeypatch):
    done = MagicMock(returncode=0xC0000005, communicate=lambda **_: (b"", b""))
    done.__enter__.return_value = done
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: done)
    with pytest.raises(ModelError, match=r"crashed the process that opened it \(access violation\)"):
        limited_process.run("any", what="It", error=ModelError)
    request = {"delegate": "xnnpack"}
    assert probe.read_answer(b"", 0xC0000005, "", request) == {
        "reason": "LiteRT crashed (access violation) on this model with xnnpack."
    }


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
from model_maker.system import limited_process
sys.argv = ["child", sys.argv[1]]
def work():
    print(*resource.getrlimit(resource.RLIMIT_AS), *resource.getrlimit(resource.RLIMIT_CPU), flush=True)
    return b"42"
limited_process.answer(work, memory_bytes=64 << 30, cpu_s=60)
"""


def test_a_lower_limit_from_outside_is_kept(tmp_path):
    assert other_systems.run("", LIMITED, tmp_path / "answer").split() == [str(6 << 30)] * 2 + ["60"] * 2
    assert (tmp_path / "answer").read_bytes() == b"42"
