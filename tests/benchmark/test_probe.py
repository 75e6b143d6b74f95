"""First runs in a process of their own, with the real LiteRT."""

import os
import signal
import sys

import pytest
from loopback_benchmark import tiny_model

from model_maker.benchmark import probe
from model_maker.benchmark.probe import Helper


@pytest.fixture(scope="module", params=[True, False], ids=["forks", "starts"])
def helper(request):
    with Helper(forks=request.param) as running:
        yield running


def write(folder, content, name="model.tflite"):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("delegate", ["xnnpack", "none", "reference"])
def test_a_model_is_opened_and_run_once(helper, make_tiny_model, tmp_path, delegate):
    answer = helper.probe(write(tmp_path, make_tiny_model()), delegate, threads=1, timeout_s=60)
    assert answer["init_ms"] > 0
    assert answer["first_ms"] > 0
    assert "reason" not in answer


def test_memory_is_what_the_model_needs(helper, tmp_path):
    # Weights of 61 MB (2**20 bytes), which the plain kernels use as they were read; small pages come and go with them.
    path = write(tmp_path, tiny_model(inputs=4000, outputs=4000))
    small = helper.probe(write(tmp_path, tiny_model(), "small.tflite"), "none", threads=1, timeout_s=60)
    large = helper.probe(path, "none", threads=1, timeout_s=60)
    assert 0 < small["memory_mb"] < 20
    assert large["memory_mb"] - small["memory_mb"] == pytest.approx(64e6 / 2**20, rel=0.05)


def test_a_file_that_is_no_model_is_a_reason(helper, tmp_path):
    answer = helper.probe(write(tmp_path, b"no model"), "none", threads=1, timeout_s=60)
    assert "is not a .tflite file" in answer["reason"]
    damaged = write(tmp_path, tiny_model()[:300])
    assert helper.probe(damaged, "none", threads=1, timeout_s=60)["reason"]


def test_a_model_that_takes_too_long_is_ended_and_the_next_one_runs(helper, tmp_path):
    path = write(tmp_path, tiny_model(inputs=4000, outputs=4000))
    answer = helper.probe(path, "reference", threads=1, timeout_s=0.001)
    assert answer == {"reason": "It did not open and run once within 0.001 s. Allow more with --timeout."}
    assert "init_ms" in helper.probe(path, "reference", threads=1, timeout_s=60)


def test_a_crash_is_a_reason():
    request = {"path": "model.tflite", "delegate": "gpu", "threads": 1, "timeout_s": 60}
    answer = probe.read_answer(b"", -signal.SIGSEGV, "", request)
    assert answer == {"reason": "LiteRT crashed (SIGSEGV) on this model with gpu."}


@pytest.mark.parametrize("forks", [True, False])
def test_a_helper_that_was_killed_is_a_reason(forks, tmp_path):
    running = Helper(forks=forks)
    os.killpg(running.process.pid, signal.SIGKILL)
    running.process.wait()
    answer = running.probe(tmp_path / "model.tflite", "none", threads=1, timeout_s=60)
    assert answer == {"reason": "The process that tries models out has ended. Run again."}
    running.close()


# As LiteRT 2.3 prints it: on a machine without a GPU, and with Chromium's GPU made of software.
NO_GPU = """INFO: [delegate_webgpu.cc:342] Create WebGPU environment (use_low_power=0, enable_host_mapped_pointer=1)
Warning: Couldn't load Vulkan: libvulkan.so.1: cannot open shared object file: No such file or directory
ERROR: [delegate_webgpu.cc:359] Failed to initialize WebGPU environment: INTERNAL: No adapters found
"""
SOFTWARE = (
    "I0000 00:00:1795335114.158758   32077 environment.cc:532] Selected adapter: SwiftShader Device (Subzero), "
    "arch=swiftshader, vendor=google, backend=Vulkan, adapterType=CPU / Software\n"
)
SHARED = "29 operations will run on the GPU, and the remaining 2 operations will run on the CPU.\n"


def test_the_gpu_says_why_not_and_which():
    request = {"delegate": "gpu", "timeout_s": 60}
    failed = b'{"reason": "LiteRT\'s GPU accelerator did not take this model."}'
    assert probe.read_answer(failed, 0, NO_GPU, request)["reason"] == (
        "LiteRT's GPU accelerator did not take this model: "
        "Failed to initialize WebGPU environment: INTERNAL: No adapters found."
    )
    assert probe.read_answer(b'{"init_ms": 1}', 0, SOFTWARE + SHARED, request)["notes"] == [
        "on SwiftShader Device (Subzero) (CPU / Software)",
        "the CPU runs 2 of its operators, the GPU 29",
    ]


def test_the_gpu_runs_or_says_why_not(helper, float_classifier, tmp_path):
    answer = helper.probe(write(tmp_path, float_classifier), "gpu", threads=1, timeout_s=120)
    assert ("GPU" in answer.get("reason", "")) != ("first_ms" in answer)


def test_the_helper_loads_no_tensorflow(tmp_path):
    # A process that has TensorFlow in it has hundreds of megabytes more than LiteRT needs.
    with Helper() as running:
        running.probe(tmp_path / "none.tflite", "none", threads=1, timeout_s=60)
        if not sys.platform.startswith("linux"):
            pytest.skip("no /proc")
        with open(f"/proc/{running.process.pid}/maps") as file:
            loaded = file.read()
    assert "libtensorflow" not in loaded
    assert "_pywrap_litert_interpreter_wrapper" in loaded


def test_one_thread_forks(tmp_path):
    # Others would not be in the fork, and what they had locked would stay locked in it.
    with probe.Helper() as running:
        running.probe(tmp_path / "none.tflite", "none", threads=1, timeout_s=60)
        threads = os.listdir(f"/proc/{running.process.pid}/task")
    assert len(threads) == 1
