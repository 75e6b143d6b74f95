"""What a measurement ran on; /proc/stat by hand."""

import os

import pytest

from model_maker.benchmark import environment
from model_maker.benchmark.environment import Load, LoadWatch, android_machine, cpu_seconds, this_machine
from model_maker.benchmark.phone import DeviceFacts

STAT = "cpu  {user} 0 0 {idle} 0 0 0 {steal} 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 5\n"


def test_proc_stat_by_hand():
    tick = 1 / os.sysconf("SC_CLK_TCK")
    # user 100 + nice 20 + system 30 + irq 1 + softirq 2 = 153 busy; idle 400 + iowait 50 more; steal 7. Guest time
    # (11 and 3) is part of user time already.
    total, busy, stolen = cpu_seconds("cpu  100 20 30 400 50 1 2 7 11 3\ncpu0 100 20 30 400 50 1 2 7 11 3\n")
    assert busy == pytest.approx(153 * tick)
    assert stolen == pytest.approx(7 * tick)
    assert total == pytest.approx(610 * tick)


@pytest.mark.parametrize("text", ["", "something else", "cpu  1 2 3\n"])
def test_a_system_without_proc_stat_tells_nothing(text):
    assert cpu_seconds(text) is None


def test_others_are_what_ran_less_what_this_process_ran(monkeypatch):
    tick = 1 / os.sysconf("SC_CLK_TCK")
    stat = [STAT.format(user=1000, idle=1000, steal=0), STAT.format(user=1060, idle=1030, steal=10)]
    own = [5.0, 5.0 + 40 * tick]
    monkeypatch.setattr(environment, "content_of", lambda path: stat.pop(0))
    monkeypatch.setattr(environment.time, "process_time", lambda: own.pop(0))
    load = LoadWatch().load()
    # Of 100 ticks 60 were busy, 40 of them ours, and 10 were stolen.
    assert (load.others, load.stolen) == (pytest.approx(0.2), pytest.approx(0.1))
    assert load.noise() == ("other processes used 20 % of the CPU", "the hypervisor took 10 % of the CPU away")


def test_a_quiet_or_silent_machine_is_no_noise():
    assert Load(1.0, 1.0, others=0.01, stolen=0.0).noise() == ()
    assert Load().noise() == ()


def test_this_machine_says_what_it_is():
    machine = this_machine()
    assert machine.kind == "host"
    assert machine.name
    assert machine.cores == len(os.sched_getaffinity(0))
    assert set(machine.versions) == {"model_maker", "python", "ai-edge-litert", "numpy"}


def test_a_phone_is_named_by_what_it_says():
    facts = DeviceFacts("R58", "Pixel 8", "15", 35, ("arm64-v8a", "armeabi-v7a"), "Tensor G3", 9)
    machine = android_machine(facts)
    assert (machine.kind, machine.name, machine.cores) == ("android", "Pixel 8", 9)
    assert machine.system == "Android 15 (API 35) arm64-v8a"
    assert machine.detail == "Tensor G3, R58"
