"""The self-test of a model on a device: wrong delegates are reported, and tools that write no output."""

import pytest
from loopback_benchmark import write_benchmark

from model_maker.benchmark.adb import pick
from model_maker.benchmark.android import AndroidOptions, measure
from model_maker.packaging import self_test


@pytest.mark.parametrize("io", ["uint8", "float32"])
def test_delegates_are_tested_by_the_models_own_pictures(adb, attach, make_tiny_model, tmp_path, io):
    content = make_tiny_model("int8", io)
    (tmp_path / "proven.tflite").write_bytes(self_test.put(content, self_test.make(content)))
    (tmp_path / "plain.tflite").write_bytes(content)
    loopback = attach()
    cells = measure(
        [tmp_path / "proven.tflite", tmp_path / "plain.tflite"],
        threads=[1, 2],
        delegates=["xnnpack", "gpu", "nnapi"],
        device=pick(adb, loopback.serial),
        binary=write_benchmark(tmp_path, {"gpu": "wrong", "nnapi": "old"}).path,
        options=AndroidOptions(runs=2, warmup_runs=1, cooldown_s=0, timeout_s=60),
    )
    assert not [cell.reason for cell in cells if cell.reason]
    proven, plain = cells[:6], cells[6:]
    said = {cell.delegate: [note for note in cell.notes if "self-test" in note.lower()] for cell in proven}
    assert said["xnnpack"][0].startswith("self-test passed: scores differ by 0.000")
    assert said["gpu"][0].startswith("SELF-TEST FAILED: scores differ by ")
    assert "writes no output" in said["nnapi"][0]
    assert not [note for cell in plain for note in cell.notes if "self-test" in note.lower()]
    assert loopback.files() == []  # nothing is left there
