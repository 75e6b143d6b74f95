"""The whole Android path: the real adb client, a device on 127.0.0.1, and a tool there that really runs LiteRT."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import struct
import threading
import time
import types
from pathlib import Path

import pytest
from loopback_benchmark import tiny_model, write_benchmark

from model_maker.benchmark import android, command_line
from model_maker.benchmark.adb import pick
from model_maker.benchmark.android import AndroidOptions, measure
from model_maker.benchmark.phone import read_facts
from model_maker.benchmark.results import Interrupted, Row, read
from model_maker.errors import ModelMakerError

FAST = AndroidOptions(runs=20, warmup_runs=3, cooldown_s=0, timeout_s=60)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_model(inputs=500, outputs=500))  # some 50 us: enough for samples to differ
    return path


def wait_until(condition, *, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_every_cell_has_the_numbers_that_the_tool_measured(adb, attach, model, tmp_path):
    loopback = attach()
    tool = write_benchmark(tmp_path)
    told = []
    cells = measure(
        [model],
        threads=[1, 2],
        delegates=["xnnpack", "none"],
        device=pick(adb, loopback.serial),
        binary=tool.path,
        options=FAST,
        progress=lambda done, total, cell: told.append((done, total, cell)),
    )
    assert [(cell.delegate, cell.threads) for cell in cells] == [
        ("xnnpack", 1),
        ("xnnpack", 2),
        ("none", 1),
        ("none", 2),
    ]
    assert told == [(index + 1, 4, cell) for index, cell in enumerate(cells)]
    runs = tool.runs()
    assert len(runs) == 4
    for cell, run in zip(cells, runs, strict=True):
        check_numbers(cell, run)
        assert cell.model == str(model)
        assert cell.reason == ""
        assert f"--num_threads={cell.threads}" in run["arguments"]
        assert run["delegate"] == cell.delegate
    assert [(cell.delegation, cell.delegated_kernels) for cell in cells] == [("full", 1)] * 2 + [(None, None)] * 2
    assert sum("benchmark_model" in name for name in loopback.pushed) == 1
    assert loopback.files() == []


def check_numbers(cell: Row, run: dict) -> None:
    samples = sorted(run["inference"])
    # The tool prints six digits, and standard deviations without decimals.
    six_digits = 1e-5
    assert cell.count == len(samples) == 20
    assert cell.init_ms == pytest.approx(run["init"] / 1e3)
    assert cell.first_ms == pytest.approx(run["warmup"][0] / 1e3)
    assert cell.warmup_ms == pytest.approx(sum(run["warmup"]) / len(run["warmup"]) / 1e3, rel=six_digits)
    assert cell.mean_ms == pytest.approx(sum(samples) / len(samples) / 1e3, rel=six_digits)
    assert (cell.min_ms, cell.max_ms) == pytest.approx((samples[0] / 1e3, samples[-1] / 1e3))
    variance = sum((sample - sum(samples) / 20) ** 2 for sample in samples) / 20
    assert cell.std_ms == pytest.approx(variance**0.5 / 1e3, abs=1e-3)
    assert cell.median_ms == pytest.approx(samples[10] / 1e3)  # the upper of the two in the middle
    assert cell.p95_ms == pytest.approx(samples[19] / 1e3)
    assert cell.memory_mb == 5.25


def test_what_cannot_run_is_a_row_with_its_reason(adb, attach, model, tmp_path):
    loopback = attach()
    tool = write_benchmark(tmp_path, {"xnnpack": "refused", "nnapi": "fails", "gpu": "crashes"})
    cells = run_all(adb, loopback, [model], tool, list(android.DELEGATES))
    none, xnnpack, nnapi, gpu = cells
    assert none.reason == ""
    assert none.mean_ms is not None
    assert xnnpack.reason == "The XNNPACK delegate supports no operator of the model."
    assert (xnnpack.delegation, xnnpack.delegated_kernels, xnnpack.mean_ms) == ("none", 0, None)
    assert xnnpack.notes[0].startswith("the CPU ran it instead, in ")
    assert nnapi.reason == (
        "benchmark_model stopped with exit code 1: Failed to apply NNAPI delegate: "
        "NN API returned error ANEURALNETWORKS_OP_FAILED at line 3779 while completing NNAPI compilation."
    )
    assert gpu.reason.startswith("benchmark_model crashed (SIGSEGV); last message: Graph: [")
    assert gpu.mean_ms is None
    assert loopback.files() == []


def test_partial_delegation_and_the_end_of_nnapi(adb, attach, model, tmp_path):
    loopback = attach(properties={"ro.build.version.sdk": "35", "ro.build.version.release": "15"})
    tool = write_benchmark(tmp_path, {"nnapi": "partial"})
    (cell,) = run_all(adb, loopback, [model], tool, ["nnapi"])
    assert (cell.delegation, cell.delegated_kernels, cell.reason) == ("partial", 3, "")
    assert cell.notes == ("NNAPI is deprecated since Android 15 (API 35)",)
    # Given at all, the flag would take XNNPACK away from what NNAPI leaves over.
    assert not any("xnnpack" in argument for argument in tool.runs()[0]["arguments"])


def test_a_cell_that_hangs_is_ended_and_the_next_one_runs(adb, attach, model, tmp_path):
    loopback = attach()
    tool = write_benchmark(tmp_path, {"gpu": "hangs", "nnapi": "silent"})
    options = dataclasses.replace(FAST, timeout_s=3)
    hung, silent = run_all(adb, loopback, [model], tool, ["gpu", "nnapi"], options)
    assert hung.reason == "It did not finish within 3 s. Allow more time, or reduce the number of runs."
    assert silent.reason == "benchmark_model succeeded but printed no timings."
    assert wait_until(lambda: not loopback.running())
    assert loopback.files() == []


def test_an_unplugged_device_gives_every_later_cell_its_reason(adb, attach, model, tmp_path):
    loopback = attach()
    tool = write_benchmark(tmp_path)
    loopback.on_shell = lambda command: loopback.unplug() if "--use_gpu" in command else None
    done, during, after = run_all(adb, loopback, [model], tool, ["none", "gpu", "xnnpack"])
    assert done.reason == ""
    assert during.reason.startswith(f"{loopback.serial} was disconnected while running a command")
    assert after.reason == during.reason
    assert len(tool.runs()) <= 2


def test_no_space_for_the_tool(adb, attach, model, tmp_path):
    loopback = attach(free_bytes=10)
    cells = run_all(adb, loopback, [model, model], write_benchmark(tmp_path), ["none", "xnnpack"])
    assert len(cells) == 4
    assert {cell.reason for cell in cells} == {
        f"{loopback.serial} has no space for benchmark_model (0.0 MB). Free some storage on it and run again."
    }
    assert loopback.files() == []


def test_no_space_for_one_model_leaves_the_others(adb, attach, model, tmp_path):
    large = tmp_path / "large.tflite"
    large.write_bytes(tiny_model(inputs=1000, outputs=1000))
    loopback = attach(free_bytes=3_000_000)
    first, second, third = run_all(adb, loopback, [model, large, model], write_benchmark(tmp_path), ["none"])
    assert (first.reason, third.reason) == ("", "")
    assert "has no space for large.tflite (4.0 MB)" in second.reason
    assert loopback.files() == []


def test_a_file_that_is_no_model_is_a_row(adb, attach, model, tmp_path):
    text = tmp_path / "notes.tflite"
    text.write_text("not a model")
    missing = tmp_path / "missing.tflite"
    cells = run_all(adb, attach(), [text, missing, model], write_benchmark(tmp_path), ["none"])
    assert [cell.reason for cell in cells] == [
        f"{text} is not a .tflite file (no TFL3 identifier). Pass the path of one.",
        f"{missing}: No such file or directory. Pass the path of a .tflite file.",
        "",
    ]


def test_a_binary_for_another_processor_is_not_even_pushed(adb, attach, model, tmp_path):
    loopback = attach()
    binary = tmp_path / "benchmark_model"
    # An ELF header by its specification: 64 bits, little-endian, ET_DYN, EM_X86_64.
    binary.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, 62) + bytes(44))
    cells = measure([model], threads=[1, 2], delegates=["none"], device=pick(adb, loopback.serial), binary=binary)
    reason = f"{binary} is built for x86_64, but the device runs arm64-v8a, armeabi-v7a. Use a build for that."
    assert [cell.reason for cell in cells] == [reason, reason]
    assert loopback.pushed == []


def test_ctrl_c_ends_the_tool_and_cleans_up(adb, attach, model, tmp_path):
    loopback = attach()
    tool = write_benchmark(tmp_path, {"gpu": "hangs"})

    def interrupt_once_it_runs():
        if wait_until(lambda: any(name.endswith("run/pid") for name in loopback.files())):
            os.kill(os.getpid(), signal.SIGINT)

    def on_shell(command):
        if "--use_gpu" in command:
            threading.Thread(target=interrupt_once_it_runs).start()

    loopback.on_shell = on_shell
    with pytest.raises(Interrupted) as caught:
        run_all(adb, loopback, [model], tool, ["none", "gpu"])
    assert [(row.delegate, row.reason) for row in caught.value.rows] == [("none", "")]
    assert wait_until(lambda: not loopback.running())
    assert loopback.files() == []


def test_the_tool_is_pushed_once_and_may_stay(adb, attach, model, tmp_path):
    loopback = attach()
    tool = write_benchmark(tmp_path, {"none": "silent"})
    run_all(adb, loopback, [model], tool, ["none"], dataclasses.replace(FAST, keep_binary=True))
    (kept,) = [name for name in loopback.files() if name.endswith("/benchmark_model")]
    assert (loopback.tmp / kept).read_bytes() == tool.path.read_bytes()
    assert not any(name.endswith(".tflite") for name in loopback.files())
    run_all(adb, loopback, [model], tool, ["none"])
    assert sum("benchmark_model" in name for name in loopback.pushed) == 1
    assert loopback.files() == []


def test_a_mask_pins_the_tool_and_a_profile_is_read(adb, attach, model, tmp_path):
    if shutil.which("taskset") is None:
        pytest.skip("taskset is not installed")
    core = min(os.sched_getaffinity(0))
    tool = write_benchmark(tmp_path)
    options = dataclasses.replace(FAST, cpu_mask=hex(1 << core), op_profile=True)
    (cell,) = run_all(adb, attach(), [model], tool, ["none"], options, threads=[2])
    assert tool.runs()[0]["cores"] == [core]
    assert [(op.kind, op.count, op.mean_ms, op.percent) for op in cell.ops] == [("FULLY_CONNECTED", 1, 0.002, 100.0)]
    assert cell.notes == (
        f"pinned to cores {1 << core:x} (mask)",
        "2 threads on 1 core",
        "measured with the operator profile on",
    )
    check_numbers(cell, tool.runs()[0])  # and not those of the profile's own count line


def test_the_pause_is_between_cells_only(adb, attach, model, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(android, "time", types.SimpleNamespace(sleep=pauses.append))
    tool = write_benchmark(tmp_path, {"none": "silent"})
    run_all(adb, attach(), [model], tool, ["none"], dataclasses.replace(FAST, cooldown_s=7), threads=[1, 2, 4])
    assert pauses == [7, 7]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threads": [0]}, "invalid number of threads: 0"),
        ({"delegates": ["hexagon"]}, "no Android delegate 'hexagon'. Choose from none, xnnpack, nnapi, gpu"),
        ({"options": AndroidOptions(cpu_mask="big")}, "'big' is not a CPU mask"),
        ({"options": AndroidOptions(cpu_mask="0x0")}, "'0x0' is not a CPU mask"),
        ({"options": AndroidOptions(runs=0)}, "At least one run"),
        ({"options": AndroidOptions(timeout_s=0)}, "the time limit must be above 0 s"),
    ],
)
def test_senseless_arguments_are_refused_before_anything_is_done(change, message):
    arguments = {"threads": [1], "delegates": ["none"], "options": AndroidOptions()} | change
    with pytest.raises(ModelMakerError) as caught:
        measure([Path("model.tflite")], device=None, binary=Path("benchmark_model"), **arguments)
    assert message in str(caught.value)


def test_the_command_measures_a_phone(adb, attach, model, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ADB", str(adb))
    loopback = attach()
    tool = write_benchmark(tmp_path, {"gpu": "fails"})
    flags = ["--threads", "1,2", "--delegate", "none,gpu", "--runs", "20", "--cooldown", "0"]
    flags += ["--device", loopback.serial, "--benchmark-binary", str(tool.path), "--json", str(tmp_path / "r.json")]
    assert command_line.main(command_line.parse(["benchmark", str(model), *flags])) == 1  # the GPU does not run
    record = read(tmp_path / "r.json")
    assert [(row.delegate, row.threads, bool(row.reason)) for row in record.rows] == [
        ("none", 1, False),
        ("none", 2, False),
        ("gpu", 1, True),
        ("gpu", 2, True),
    ]
    facts = read_facts(pick(adb, loopback.serial))
    assert (record.machine.kind, record.machine.name, record.machine.cores) == ("android", facts.model, facts.cpus)
    for row, run in zip(record.rows[:2], tool.runs(), strict=True):
        assert row.mean_ms == pytest.approx(sum(run["inference"]) / 20 / 1e3, rel=1e-5, abs=1e-6)
        # 500 x 500 weights, and the mean, since the tool keeps its samples to itself.
        assert row.gmacs_per_s == pytest.approx(250_000 / row.mean_ms / 1e6, rel=1e-3)
    out = capsys.readouterr().out
    assert facts.model in out
    assert "failed: gpu x1, gpu x2: benchmark_model stopped with exit code 1: Failed to apply GPU delegate" in out
    assert loopback.files() == []


def run_all(adb, loopback, models, tool, delegates, options=FAST, threads=(1,)) -> list[Row]:
    device = pick(adb, loopback.serial)
    return measure(models, threads=threads, delegates=delegates, device=device, binary=tool.path, options=options)
