"""Cells on this machine: which there are, how they take turns, what their rows say. No test expects a time."""

import ctypes
import os
import types

import numpy as np
import pytest
from loopback_benchmark import tiny_model

from model_maker.benchmark import host
from model_maker.benchmark.delegates import DELEGATES, CompiledSession, Delegate
from model_maker.benchmark.host import HostOptions, measure
from model_maker.benchmark.results import Interrupted
from model_maker.errors import ModelError, ModelMakerError
from model_maker.system import suppressed_output
from model_maker.tflite.interpreter import KERNELS, LiteRTRunner

FAST = HostOptions(rounds=3, runs=12)


@pytest.fixture
def tiny(make_tiny_model, tmp_path):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(make_tiny_model())
    return path


def test_every_cell_has_its_row_in_order(tiny):
    steps = []
    rows, load = measure(
        [tiny],
        threads=[1, 2],
        delegates=list(KERNELS),
        options=FAST,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert [(row.delegate, row.threads) for row in rows] == [(name, count) for name in KERNELS for count in (1, 2)]
    assert steps == [(number + 1, 6 * 5) for number in range(6 * 5)]  # tried out, opened, three rounds
    for row in rows:
        assert (row.model, row.reason) == (str(tiny), "")
        assert [len(samples) for samples in row.rounds_ms] == [4, 4, 4]
        samples = np.array(row.rounds_ms).ravel()
        assert row.count == 12
        assert row.median_ms == pytest.approx(np.median(samples))
        assert row.p99_ms == pytest.approx(np.quantile(samples, 0.99))
        assert (row.min_ms, row.max_ms) == (samples.min(), samples.max())
        assert min(samples) > 0 < min(row.init_ms, row.first_ms, row.warmup_ms)
    assert load.average_before is not None


def test_runs_are_at_least_what_was_asked_for(tiny):
    (row,), _ = measure([tiny], threads=[1], delegates=["none"], options=HostOptions(rounds=3, runs=10))
    assert row.count == 12  # four in each of three rounds


def test_the_delegates_are_litert_s_cpu_paths_and_the_gpu():
    assert set(DELEGATES) == {*KERNELS, "gpu"}


class FakeHelper:
    """Finds every model good, except on the delegate `bad`."""

    def probe(self, path, delegate, *, threads, timeout_s):
        if delegate == "bad":
            return {"reason": "It does not like it."}
        return {"init_ms": 1.0, "first_ms": 2.0, "memory_mb": 3.0, "complete": None, "notes": []}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class FakeSession:
    """Writes down who ran, and lets the clock go on by its next duration (the last one for ever)."""

    input_shape, input_dtype = (1, 4), np.dtype(np.float32)

    def __init__(self, name, clock, durations_ms=(1.0,)):
        self.name, self.clock, self.durations = name, clock, list(durations_ms)

    def set_input(self, batch):
        assert batch.shape == self.input_shape

    def invoke(self):
        self.clock.ran.append(self.name)
        self.clock.now += self.durations.pop(0) if len(self.durations) > 1 else self.durations[0]


@pytest.fixture
def clock(monkeypatch):
    """A clock in milliseconds that only sessions move."""
    clock = types.SimpleNamespace(now=0.0, ran=[])
    fake = types.SimpleNamespace(perf_counter=lambda: clock.now / 1e3, perf_counter_ns=lambda: round(clock.now * 1e6))
    monkeypatch.setattr(host, "time", fake)
    return clock


def fake_delegates(monkeypatch, **sessions):
    table = {name: Delegate("", lambda path, threads, make=make: make()) for name, make in sessions.items()}
    monkeypatch.setattr(host, "DELEGATES", table)


def test_cells_take_turns_and_the_first_of_a_turn_does_not_count(monkeypatch, clock, tiny):
    fake_delegates(
        monkeypatch, a=lambda: FakeSession("a", clock, [1.0]), b=lambda: FakeSession("b", clock, [5.0]), bad=None
    )
    rows, _ = measure(
        [tiny], threads=[1], delegates=["a", "bad", "b"], options=HostOptions(rounds=2, runs=4), helper=FakeHelper()
    )
    # After the warm-ups: one that does not count and two that do, in turns.
    assert clock.ran[-12:] == list("aaabbbaaabbb")
    assert [row.median_ms for row in rows] == [1.0, None, 5.0]
    assert rows[1].reason == "It does not like it."
    assert rows[0].rounds_ms == ((1.0, 1.0), (1.0, 1.0))


def test_warm_up_ends_when_it_is_stable(clock):
    # 10 ms each at first, then 4: stable are the windows of three that both lie behind the change.
    mean, medians = host.warm_up(FakeSession("a", clock, [100.0, 100.0, 100.0, 100.0, *[40.0] * 50]))
    assert medians == [40, 40]
    # With the window's median, two of the slow ones may still be in the earlier window: 100, 40, 40.
    assert len(clock.ran) == 9
    assert mean == pytest.approx((4 * 100 + 5 * 40) / 9)


def test_warm_up_lasts_long_enough_for_the_clock_of_the_cpu(clock):
    host.warm_up(FakeSession("a", clock, [1.0]))
    assert 200 < len(clock.ran) <= 202


def test_warm_up_is_bounded(clock):
    restless = [10.0 * 1.2**number for number in range(40)]
    host.warm_up(FakeSession("a", clock, restless))
    spent = [sum(restless[: count + 1]) for count in range(40)]
    assert len(clock.ran) == next(count for count, ms in enumerate(spent) if ms > 2000) + 1


@pytest.mark.parametrize(
    ("typical_ms", "options", "runs"),
    [
        (7.4, HostOptions(), 14),  # 100 ms / 7.4 ms
        (243, HostOptions(), 1),
        (0.01, HostOptions(), 100),
        (7.4, HostOptions(runs=50, rounds=20), 3),
        (7.4, HostOptions(runs=50), 3),
    ],
)
def test_a_turn_lasts_a_tenth_of_a_second(typical_ms, options, runs):
    assert host.runs_in_a_turn(typical_ms, options) == runs


def test_a_slow_machine_gets_fewer_rounds_and_says_so(monkeypatch, clock, tiny):
    fake_delegates(monkeypatch, a=lambda: FakeSession("a", clock, [500.0]))
    (row,), _ = measure([tiny], threads=[1], delegates=["a"], helper=FakeHelper())
    assert row.count == 5  # a second each, 3.5 are planned, five is the least
    assert row.notes == ("5 rounds instead of 20, to save time; --rounds 20 measures them all",)


def test_rounds_that_were_asked_for_are_all_run(monkeypatch, clock, tiny):
    fake_delegates(monkeypatch, a=lambda: FakeSession("a", clock, [500.0]))
    (row,), _ = measure([tiny], threads=[1], delegates=["a"], helper=FakeHelper(), options=HostOptions(rounds=8))
    assert (row.count, row.notes) == (8, ())


def test_ctrl_c_keeps_the_rounds_that_are_complete(monkeypatch, clock, tiny):
    fake_delegates(monkeypatch, a=lambda: FakeSession("a", clock), b=lambda: FakeSession("b", clock))

    def stop(done, total):
        if done == 7:  # two tried out, two opened, one round of both, and one of the second
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        measure(
            [tiny], threads=[1], delegates=["a", "b"], options=HostOptions(rounds=9, runs=18), helper=FakeHelper(),
            progress=stop,
        )  # fmt: skip
    assert [row.count for row in caught.value.rows] == [4, 2]
    assert caught.value.load is not None


def test_ctrl_c_before_the_first_round_leaves_reasons(monkeypatch, clock, tiny):
    fake_delegates(monkeypatch, a=lambda: FakeSession("a", clock))

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        measure([tiny], threads=[1], delegates=["a"], helper=FakeHelper(), progress=stop)
    assert [row.reason for row in caught.value.rows] == ["Interrupted before it was measured."]


def test_what_cannot_run_is_a_row_and_the_others_run(tiny, tmp_path):
    text = tmp_path / "notes.tflite"
    text.write_text("not a model")
    rows, _ = measure([text, tmp_path / "missing.tflite", tiny], threads=[1], delegates=["none"], options=FAST)
    assert "is not a .tflite file" in rows[0].reason
    assert "No such file" in rows[1].reason
    assert (rows[2].reason, rows[2].count) == ("", 12)


def test_a_model_with_two_inputs_says_so(tmp_path):
    from ai_edge_litert import schema_py_generated as schema

    from model_maker.tflite import graph

    model = graph.parse(tiny_model())
    main = model.subgraphs[0]
    extra = schema.TensorT()
    extra.name, extra.shape, extra.type, extra.buffer = b"more", [1], schema.TensorType.FLOAT32, 0
    main.tensors.append(extra)
    main.inputs = [*main.inputs, len(main.tensors) - 1]
    path = tmp_path / "two.tflite"
    path.write_bytes(graph.pack(model))
    (row,), _ = measure([path], threads=[1], delegates=["none"], options=FAST)
    assert row.reason == "The model has 2 inputs; an image model has one."


def test_more_threads_than_cores_are_said(tiny):
    cores = len(os.sched_getaffinity(0))
    few, many = measure([tiny], threads=[cores, cores + 1], delegates=["none"], options=FAST)[0]
    assert few.notes == ()
    assert many.notes == (f"{cores + 1} threads on {cores} core{'s' if cores > 1 else ''}",)


def test_photos_are_fed_in_turn(monkeypatch, clock, tiny, make_photos, tmp_path):
    fed = []

    class Camera(FakeSession):
        input_shape, input_dtype = (1, 8, 8, 3), np.dtype(np.uint8)

        def set_input(self, batch):
            fed.append(batch.tobytes())

    fake_delegates(monkeypatch, a=lambda: Camera("a", clock))
    photos = make_photos(tmp_path / "photos", {"red": 2})
    measure(
        [tiny], threads=[1], delegates=["a"], photos=photos, helper=FakeHelper(), options=HostOptions(rounds=4, runs=4)
    )
    first, second = fed[1:3]
    assert first != second
    assert fed[1:] == [first, second, first, second]


def test_a_model_without_a_word_on_photos_gets_random_bytes(tmp_path, make_photos):
    path = tmp_path / "plain.tflite"
    path.write_bytes(tiny_model())
    photos = make_photos(tmp_path / "photos", {"red": 1})
    (row,), _ = measure([path], threads=[1], delegates=["none"], photos=photos, options=FAST)
    assert row.notes == ("random input: the file does not state how it takes photos",)


def test_a_compiled_session_runs_the_model(tiny):
    # On LiteRT's CPU accelerator, which is there on every machine; the GPU's differs in name only.
    session, runner = CompiledSession(tiny, accelerator="CPU"), LiteRTRunner(tiny)
    assert (session.input_shape, session.input_dtype) == (runner.input_shape, runner.input_dtype)
    batch = np.random.default_rng(0).integers(0, 256, session.input_shape, np.uint8)
    session.set_input(batch)
    session.invoke()
    found = session.outputs[0].read(int(np.prod(runner.output_shape)), np.uint8)
    assert abs(found.astype(int) - runner.run_all(batch)[0].ravel()).max() <= 1  # one step of a uint8 score


def test_a_compiled_session_refuses_what_is_no_model(tmp_path):
    path = tmp_path / "cut.tflite"
    path.write_bytes(tiny_model()[:200])
    with pytest.raises(ModelError, match="CPU accelerator does not support this model"):
        CompiledSession(path, accelerator="CPU")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threads": [0]}, "invalid number of threads: 0"),
        ({"delegates": ["nnapi"]}, "no delegate 'nnapi' on this machine. Choose from xnnpack, none, reference, gpu"),
        ({"options": HostOptions(rounds=0)}, "At least one round"),
        ({"options": HostOptions(runs=-1)}, "At least one round"),
        ({"options": HostOptions(timeout_s=0)}, "above 0 s"),
    ],
)
def test_senseless_arguments_are_refused(tiny, change, message):
    with pytest.raises(ModelMakerError) as caught:
        measure([tiny], **{"threads": [1], "delegates": ["none"], "options": FAST} | change)
    assert message in str(caught.value)


def test_quiet_holds_back_what_libraries_print(capfd, monkeypatch):
    monkeypatch.setattr(suppressed_output, "may_redirect", lambda: True)
    libc = ctypes.CDLL(None)
    print("before")
    with host.quiet():
        libc.puts(b"from C on stdout")
        os.write(2, b"on stderr")
    print("after")
    libc.fflush(None)
    assert capfd.readouterr() == ("before\nafter\n", "")
