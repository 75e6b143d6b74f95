"""Real output of the tool, in every format that it has had.

Expected values are read off the recordings by eye. The recordings are shortened and come from Android phones
(nnapi_failed, nnapi_refused, old_gpu_profile, cpu_failed), embedded Linux boards (nnapi_full, tf112_cpu,
xnnpack_partial) and computers without a GPU delegate (gpu_missing, new_profile).
"""

from __future__ import annotations

import dataclasses
import math

import pytest
from checkout import HELPERS

from model_maker.benchmark.benchmark_model import (
    Delegation,
    OpTime,
    Timings,
    parse_accelerators,
    parse_delegation,
    parse_failure,
    parse_ops,
    parse_timings,
    parse_unsupported,
)

RECORDINGS = HELPERS / "recordings"


def recorded(name: str) -> str:
    return (RECORDINGS / f"benchmark_model_{name}.txt").read_text()


TIMINGS = {
    "tf112_cpu": Timings(4.452, 146.161, 146.161, 137.722, 50, 137.079, 143.416, 0.896),
    "old_gpu_profile": Timings(1451.507, 11.147, 8.77968, 8.68033, 110, 7.863, 10.688, 0.591, memory_mb=63.4883),
    "nnapi_full": Timings(13.386, 11403.859, 11403.9, 3.75687, 260, 3.7, 4.026, 0.035, memory_mb=15.3438),
    "gpu_missing": Timings(18.738, 140.706, 85.7912, 74.4816, 50, 73.909, 75.323, 0.268, memory_mb=64.8633),
    "xnnpack_partial": Timings(614.333, 905.463, 905.463, 899.641, 50, 898.007, 906.121, 1.549, 899.281, 904.305),
    "nnapi_refused": Timings(
        5664.363, 328.14, 319.036, 309.35, 50, 305.938, 333.03, 4.411, 307.968, 315.711, memory_mb=375.48
    ),
    "new_profile": Timings(32.163, 19.834, 15.9974, 15.5176, 64, 14.661, 17.579, 0.551, memory_mb=34.8281),
}


def same(timings: Timings | None, expected: Timings) -> bool:
    """Compares up to the rounding of one division by 1000."""
    if timings is None:
        return False
    pairs = zip(dataclasses.astuple(timings), dataclasses.astuple(expected), strict=True)
    return all(got == want if None in (got, want) else math.isclose(got, want, rel_tol=1e-12) for got, want in pairs)


@pytest.mark.parametrize("name", TIMINGS)
def test_timings_of_recorded_runs(name):
    assert same(parse_timings(recorded(name)), TIMINGS[name])


@pytest.mark.parametrize("name", ["nnapi_failed", "cpu_failed"])
def test_a_failed_run_has_no_timings(name):
    assert parse_timings(recorded(name)) is None


def test_a_run_cut_off_after_its_warm_up_has_no_timings():
    text = recorded("xnnpack_partial")
    assert parse_timings(text[: text.index("INFO: Running benchmark for at least 50")]) is None
    assert parse_timings("") is None


def test_equal_times_are_printed_once():
    text = (
        "count=1 curr=7 p5=7 median=7 p95=7\ncount=50 curr=8(all same) p5=8 median=8 p95=8\n"
        "Inference timings in us: Init: 1000, First inference: 7, Warmup (avg): 7, Inference (avg): 8\n"
    )
    assert same(parse_timings(text), Timings(1.0, 0.007, 0.007, 0.008, 50, 0.008, 0.008, 0.0, 0.008, 0.008))


def test_windows_line_ends_and_logcat_prefixes_change_nothing():
    text = recorded("nnapi_refused")
    assert same(parse_timings(text.replace("\n", "\r\n")), TIMINGS["nnapi_refused"])
    logcat = "".join(
        f"05-31 10:38:42.569 22206 22206 I tflite  : {line.partition(': ')[2]}\n" for line in text.splitlines()
    )
    assert same(parse_timings(logcat), TIMINGS["nnapi_refused"])
    assert parse_delegation(logcat, "GPU") == Delegation("full", 1)


def test_a_summary_alone_is_enough_for_means():
    text = (
        "Inference timings in us: Init: 5685, First inference: 18535, Warmup (avg): 14462.3, Inference (avg): 14575.2"
    )
    assert same(parse_timings(text), Timings(5.685, 18.535, 14.4623, 14.5752))


@pytest.mark.parametrize(
    ("name", "delegate", "expected"),
    [
        ("old_gpu_profile", "GPU", Delegation("full", 1)),
        ("nnapi_full", "NNAPI", Delegation("full", 1)),
        ("xnnpack_partial", "XNNPACK", Delegation("partial", 1)),
        ("nnapi_refused", "NNAPI", Delegation("none", 0)),
        ("nnapi_refused", "GPU", Delegation("full", 1)),
        ("gpu_missing", "GPU", None),  # XNNPACK stands in, and is not what was asked for
        ("gpu_missing", "XNNPACK", Delegation("partial", 22)),
        ("tf112_cpu", "XNNPACK", None),
        ("nnapi_failed", "NNAPI", None),
    ],
)
def test_delegation_of_recorded_runs(name, delegate, expected):
    assert parse_delegation(recorded(name), delegate) == expected


def test_old_partial_delegation_does_not_count_kernels():
    text = "Applied NNAPI delegate, and the model graph will be partially executed w/ the delegate."
    assert parse_delegation(text, "NNAPI") == Delegation("partial", None)


def test_accelerators():
    assert parse_accelerators(recorded("nnapi_failed")) == ("qti-default", "qti-dsp", "qti-gpu", "nnapi-reference")
    assert parse_accelerators(recorded("nnapi_refused")) == ("nnapi-reference",)
    assert parse_accelerators(recorded("xnnpack_partial")) == ()


def test_operator_profile_of_the_measured_runs_only():
    ops = parse_ops(recorded("new_profile"))
    assert len(ops) == 11
    assert ops[0] == OpTime("Convolution (NHWC, QC8) GEMM", 62, 5.236, 34.361)
    assert ops[3] == OpTime("Convert (NC, QS8, F32)", 2, 0.862, 5.657)
    assert ops[5] == OpTime("QUANTIZE", 1, 0.203, 1.332)
    assert sum(op.percent for op in ops) == pytest.approx(100, abs=0.01)  # eleven numbers, three decimals each
    assert parse_ops(recorded("old_gpu_profile")) == (OpTime("TfLiteGpuDelegateV2", 1, 8.671, 100.0),)
    assert parse_ops(recorded("xnnpack_partial")) == ()


def test_failures_name_their_cause():
    assert parse_failure(recorded("nnapi_failed")) == (
        "Failed to apply NNAPI delegate: "
        "NN API returned error ANEURALNETWORKS_OP_FAILED at line 3779 while completing NNAPI compilation"
    )
    assert parse_failure(recorded("cpu_failed")).startswith(
        "Failed to allocate tensors: tensorflow/lite/kernels/batch_matmul.cc:353 "
    )
    gpu = (
        "ERROR: Unrecognized Write selector\nERROR: Falling back to OpenGL\n"
        "ERROR: TfLiteGpuDelegate Init: Batch size mismatch, expected 1 but got 3136\n"
        "INFO: Created 0 GPU delegate kernels.\nERROR: TfLiteGpuDelegate Prepare: delegate is not initialized\n"
        "ERROR: Node number 484 (TfLiteGpuDelegateV2) failed to prepare.\nERROR: Failed to apply GPU delegate.\n"
        "ERROR: Benchmarking failed.\n"
    )
    assert parse_failure(gpu) == (
        "Failed to apply GPU delegate: TfLiteGpuDelegate Init: Batch size mismatch, expected 1 but got 3136"
    )


def test_failures_without_an_error_line_show_the_last_one():
    assert parse_failure("INFO: GPU delegate created.\nSegmentation fault\n\n") == "GPU delegate created"
    assert parse_failure("/system/bin/sh: taskset: not found\n") == "/system/bin/sh: taskset: not found"
    assert parse_failure("") == ""


def test_a_missing_delegate_is_named():
    assert parse_unsupported(recorded("gpu_missing"), "GPU") == "GPU acceleration is unsupported on this platform"
    assert parse_unsupported(recorded("gpu_missing"), "NNAPI") == ""
