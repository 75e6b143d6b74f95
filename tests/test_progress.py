"""What work costs: the most memory that was held, as each system tells it."""

import numpy as np
from other_systems import run

from model_maker import progress
from model_maker.benchmark import host

PEAK = "from model_maker import progress; print(progress.peak_memory_mb())"


def test_peak_memory_is_what_the_system_states():
    assert run("win32", PEAK, PLAYED_PEAK_BYTES="157286400").strip() == "150.0"
    assert run("win32", PEAK, PLAYED_PEAK_BYTES="0").strip() == "None"
    assert run("darwin", PEAK).strip() == "300.0"


def test_the_memory_of_a_parent_is_not_its_child_s():
    held = np.ones(400 << 17)  # 400 MB (2**20 bytes)
    assert progress.peak_memory_mb() > 400
    assert float(run("", PEAK)) < 200
    assert held[-1] == 1


def test_memory_that_nobody_measured_is_none(monkeypatch, tmp_path, tiny_embedder):
    monkeypatch.setattr(progress, "peak_memory_mb", lambda: None)
    work = progress.Progress()
    with work.stage("Fit"):
        pass
    assert work.records[0]["peak_memory_mb"] is None

    class Silent:
        def probe(self, *_, **__):
            return {"init_ms": 1.0, "first_ms": 2.0, "memory_mb": None, "complete": None}

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    (tmp_path / "a.tflite").write_bytes(tiny_embedder)
    options = host.HostOptions(rounds=1, runs=1)
    [row], _ = host.measure([tmp_path / "a.tflite"], threads=[1], delegates=["none"], options=options, helper=Silent())
    assert (row.init_ms, row.first_ms, row.memory_mb) == (1.0, 2.0, None)
