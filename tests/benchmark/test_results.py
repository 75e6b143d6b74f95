"""Records as JSON and CSV, and what follows from their rows."""

import csv
import dataclasses
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_maker.benchmark import results
from model_maker.benchmark.benchmark_model import OpTime
from model_maker.benchmark.environment import Load, Machine
from model_maker.benchmark.latency import Latency
from model_maker.benchmark.results import Model, Record, Row, estimate, finish, from_json, name_models, to_csv, to_json
from model_maker.errors import DataError

HOST = Machine("host", "A CPU", 4, "Linux 6 x86_64", "performance", versions={"python": "3.11.9"})
MODEL = Model("a.tflite", "a", "ab12", 4_000_000, 400_000_000, 4_600_000, "int8", 0.918, 120)
# Median and mean 3, deviation 1: nothing that rounding to nanoseconds would change.
ROUNDS = ((2.0, 4.0), (4.0, 2.0))


def measured(delegate="xnnpack", threads=1, rounds=ROUNDS, **more):
    row = Row("a.tflite", delegate, threads, init_ms=1.5, memory_mb=9.25, rounds_ms=rounds, **more)
    return dataclasses.replace(row, **Latency(rounds).summary())


def record(*rows, **more):
    fields = {"created": "2026-01-02T03:04:05+00:00", "machine": HOST, "models": (MODEL,), "rows": rows} | more
    return Record(**fields)


FULL = record(
    measured(notes=("4 threads on 2 cores",), noise=("busy",), ops=(OpTime("CONV_2D", 3, 1.25, 80.0),)),
    measured("gpu", None, delegation="partial", delegated_kernels=3),
    Row("a.tflite", "nnapi", 1, reason="Not here."),
    load=Load(0.5, 1.5, 0.25, 0.125),
    settings={"rounds": 2, "runs": None},
    interrupted=True,
)


def test_written_and_read_again_a_record_is_the_same():
    assert from_json(to_json(FULL), "x") == FULL


TIMES = st.floats(1e-3, 1e3).map(lambda value: round(value, 6))


@given(st.lists(st.lists(TIMES, min_size=1, max_size=4).map(tuple), min_size=1, max_size=4).map(tuple))
def test_raw_samples_come_back_as_they_were(rounds):
    row = Row("a.tflite", "none", 1, rounds_ms=rounds)
    assert from_json(to_json(record(row)), "x").rows[0].rounds_ms == rounds


def test_the_document_names_its_format_and_version():
    content = json.loads(to_json(FULL))
    assert (content["format"], content["version"]) == ("model_maker.benchmark", 1)
    assert content["rows"][0]["rounds_ms"] == [[2.0, 4.0], [4.0, 2.0]]
    assert content["models"][0]["top1"] == 0.918


def test_fields_of_a_later_minor_version_are_passed_over():
    content = json.loads(to_json(FULL))
    content["weather"] = content["rows"][0]["weather"] = content["machine"]["weather"] = "fine"
    assert from_json(json.dumps(content), "x") == FULL


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: "no json", "x is not JSON"),
        (lambda content: "[]", "x is not a result of `benchmark`"),
        (lambda content: json.dumps({"top1": 1}), "x is not a result of `benchmark`"),
        (lambda content: json.dumps(content | {"version": 2}), "x has version 2; this is version 1"),
        (lambda content: json.dumps({key: content[key] for key in content if key != "rows"}), "x is damaged"),
        (lambda content: json.dumps(content | {"rows": [{"model": "a"}]}), "x is damaged"),
        (lambda content: json.dumps(content | {"rows": 3}), "x is damaged"),
        (lambda content: "[" * 100_000, "x is not JSON"),
        *(
            (lambda content, wrong=wrong: json.dumps(content | {"rows": [content["rows"][0] | wrong]}), "x is damaged")
            for wrong in (
                {"median_ms": "fast"},
                {"count": "<script>alert(1)</script>"},
                {"threads": True},
                {"interval_ms": [1.0]},
                {"interval_ms": ["1", "2"]},
                {"delegation": "most"},
                {"notes": [3]},
                {"reason": None},
                {"ops": [{"kind": "ADD", "count": "x", "mean_ms": 1.0, "percent": 2.0}]},
            )
        ),
        (lambda content: json.dumps(content | {"models": [content["models"][0] | {"macs": "1"}]}), "x is damaged"),
        (lambda content: json.dumps(content | {"machine": content["machine"] | {"kind": "toaster"}}), "x is damaged"),
        (lambda content: json.dumps(content | {"load": {"others": "half"}}), "x is damaged"),
        (lambda content: json.dumps(content | {"created": 3}), "x is damaged"),
    ],
)
def test_what_is_no_record_is_said_in_one_line(change, message):
    with pytest.raises(DataError) as caught:
        from_json(change(json.loads(to_json(FULL))), "x")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        results.read(tmp_path / "none.json")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(DataError, match="is not text"):
        results.read(tmp_path / "photo.jpg")


def test_csv_has_a_line_a_row_with_its_model():
    rows = list(csv.DictReader(io.StringIO(to_csv(FULL))))
    assert [row["delegate"] for row in rows] == ["xnnpack", "gpu", "nnapi"]
    first = rows[0]
    assert (first["name"], first["macs"], first["top1"], first["threads"]) == ("a", "400000000", "0.918", "1")
    assert float(first["median_ms"]) == 3
    assert (float(first["low_ms"]), float(first["high_ms"])) == FULL.rows[0].interval_ms
    assert first["notes"] == "4 threads on 2 cores"
    assert (rows[2]["reason"], rows[2]["median_ms"], rows[2]["low_ms"]) == ("Not here.", "", "")


def test_the_estimate_is_the_median_with_its_interval():
    found = estimate(measured())
    assert (found.value_ms, found.of) == (3, "median")
    assert (found.low_ms, found.high_ms) == Latency(ROUNDS).interval_ms


def test_without_samples_it_is_the_mean_and_its_error():
    # 1.96 * 5 / sqrt(100) = 0.98
    found = estimate(Row("a", "none", 1, count=100, mean_ms=20.0, std_ms=5.0, median_ms=19.0))
    assert (found.value_ms, found.of) == (20.0, "mean")
    assert (found.low_ms, found.high_ms) == (pytest.approx(19.02), pytest.approx(20.98))
    alone = estimate(Row("a", "none", 1, mean_ms=20.0))
    assert (alone.low_ms, alone.high_ms, alone.width) == (20, 20, 0)
    assert estimate(Row("a", "none", 1, reason="No.")) is None


def test_throughput_is_macs_in_the_typical_time():
    # 400 million in 4 ms are 100 billion in a second.
    rows = finish([measured(rounds=((4.0, 4.0),)), Row("a.tflite", "gpu", 1, reason="No.")], [MODEL])
    assert rows[0].gmacs_per_s == pytest.approx(100)
    assert rows[1].gmacs_per_s is None


def test_noise_is_a_wide_interval_or_a_busy_machine():
    # Half of the rounds lie below the median of 100, half above: the intervals are 6 % and 4 % of it wide.
    wide, steady = measured(rounds=((97.0,), (103.0,)) * 3), measured(rounds=((98.0,), (102.0,)) * 3)
    failed = Row("a.tflite", "gpu", 1, reason="No.")
    assert [row.noise for row in finish([wide, steady, failed], [MODEL])] == [
        ("the interval is wider than 5 % of the median",),
        (),
        (),
    ]
    busy = finish([wide, steady, failed], [MODEL], Load(others=0.5, stolen=0.0))
    assert [len(row.noise) for row in busy] == [2, 1, 0]
    assert busy[1].noise == ("other processes used 50 % of the CPU",)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["flowers_model/model.tflite"], ["flowers_model"]),
        (["x/a.tflite", "x/b.tflite"], ["a", "b"]),
        (["x/a.tflite", "y/a.tflite", "b.tflite"], ["x/a.tflite", "y/a.tflite", "b"]),
        (["p/m/model.tflite", "q/m/model.tflite"], ["p/m/model.tflite", "q/m/model.tflite"]),
    ],
)
def test_models_have_short_names_that_differ(paths, names):
    assert name_models(paths) == names
