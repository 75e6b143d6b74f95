"""Work in a process of its own."""

import signal

import pytest

from model_maker import child
from model_maker.errors import DataError, ModelMakerError

PROGRAM = """
import os, sys
from model_maker import child
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

child.answer(work, memory_bytes=1 << 30, cpu_s=int(os.environ["CPU_S"]))
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "the_child.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CPU_S", "60")
    return lambda how, **more: child.run("the_child", how, what="The thing", **more)


def test_an_answer_comes_back(run):
    assert run("answer") == b"42"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("refuse", "It is none."),
        ("crash", "The thing crashed the process that opened it (SIGABRT), so it is taken for damaged."),
        ("fill", "It needs more than 1 GB of memory, so it is taken for damaged."),
        ("spin", "The thing could not be opened within 2 seconds, so it is taken for damaged."),
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
