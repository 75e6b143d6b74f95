import dataclasses

import pytest

from model_maker.benchmark.environment import Load, Machine
from model_maker.benchmark.latency import Latency
from model_maker.benchmark.record_comparison import compare
from model_maker.benchmark.results import Model, Record, Row
from model_maker.errors import DataError

HOST = Machine("host", "A CPU", 4, governor="performance", versions={"python": "3.11.9"})


def row(*times, delegate="xnnpack", threads=1, model="a.tflite"):
    """Five rounds of equal times each: the interval is that of the five."""
    rounds = tuple((time,) for time in times)
    made = Row(model, delegate, threads, rounds_ms=rounds)
    return dataclasses.replace(made, **Latency(rounds).summary())


MODELS = (Model("a.tflite", "a", "aa"),)


def record(*rows, machine=HOST, models=MODELS):
    return Record("2026-01-02T03:04:05+00:00", machine, tuple(models), tuple(rows))


STEADY = (10.0, 10.0, 10.0, 10.0, 10.0)


@pytest.mark.parametrize(
    ("new", "verdict", "regression"),
    [
        (STEADY, "within the intervals", False),
        ((10.4,) * 5, "within 5 %", False),
        ((10.6,) * 5, "slower", True),
        ((9.6,) * 5, "within 5 %", False),
        ((9.0,) * 5, "faster", False),
        # The median is 20 % higher, but some rounds were as fast as before.
        ((10.0, 10.0, 12.0, 12.0, 12.0), "within the intervals", False),
    ],
)
def test_slower_is_more_than_the_limit_and_outside_the_intervals(new, verdict, regression):
    (pair,) = compare(record(row(*STEADY)), record(row(*new))).pairs
    assert (pair.verdict, pair.regression) == (verdict, regression)


def test_the_limit_can_be_set():
    base, new = record(row(*STEADY)), record(row(*(10.6,) * 5))
    assert compare(base, new, fail_over=0.1).regressions == 0
    assert compare(base, new, fail_over=0.0).regressions == 1


def test_change_is_a_share_of_the_base():
    (pair,) = compare(record(row(*(8.0,) * 5)), record(row(*(10.0,) * 5))).pairs
    assert (pair.base_ms, pair.new_ms, pair.change) == (8, 10, pytest.approx(0.25))


def test_a_row_that_fails_now_is_a_regression_and_one_that_always_did_is_not():
    failed = Row("a.tflite", "xnnpack", 1, reason="No.")
    assert compare(record(row(*STEADY)), record(failed)).regressions == 1
    found = compare(record(failed), record(failed)).pairs[0]
    assert (found.verdict, found.regression) == ("failed in both", False)
    found = compare(record(failed), record(row(*STEADY))).pairs[0]
    assert (found.verdict, found.regression) == ("could not run before", False)


def test_rows_are_matched_by_model_delegate_and_threads():
    models = (Model("a.tflite", "a", "aa"), Model("b.tflite", "b", "bb"))
    base = record(row(*STEADY), row(*STEADY, model="b.tflite"), row(*STEADY, threads=2), models=models)
    new = record(row(*STEADY, model="b.tflite"), row(*STEADY, delegate="none"), row(*STEADY, threads=2), models=models)
    found = compare(base, new)
    assert [(pair.model, pair.delegate, pair.threads) for pair in found.pairs] == [
        ("b", "xnnpack", 1),
        ("a", "xnnpack", 2),
    ]
    assert found.notes == ("a xnnpack 1 is in the base only", "a none 1 is new")


def test_two_builds_of_one_model_need_not_have_one_name():
    base = record(row(*STEADY))
    new = record(row(*STEADY, model="b.tflite"), models=(Model("b.tflite", "b", "bb"),))
    found = compare(base, new)
    assert [pair.model for pair in found.pairs] == ["a"]
    assert found.notes == ("a is another file now",)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": "Another CPU"}, "processor was A CPU and is Another CPU"),
        ({"cores": 8}, "cores was 4 and is 8"),
        ({"governor": "powersave"}, "governor was performance and is powersave"),
        ({"kind": "android"}, "kind was host and is android"),
    ],
)
def test_unlike_machines_are_refused_unless_forced(change, text):
    base, new = record(row(*STEADY)), record(row(*STEADY), machine=dataclasses.replace(HOST, **change))
    with pytest.raises(DataError) as caught:
        compare(base, new)
    assert text in str(caught.value) and "--force" in str(caught.value)
    assert text in compare(base, new, force=True).notes


def test_another_version_is_a_note():
    new = record(row(*STEADY), machine=dataclasses.replace(HOST, versions={"python": "3.11.10"}))
    assert compare(record(row(*STEADY)), new).notes == ("python was 3.11.9 and is 3.11.10",)


def test_a_busy_machine_is_a_note():
    busy = dataclasses.replace(record(row(*STEADY)), load=Load(others=0.4, stolen=0.0))
    assert compare(record(row(*STEADY)), busy).notes == ("other processes used 40 % of the CPU in the new measurement",)


def test_accuracy_that_has_changed_is_a_note():
    base = record(row(*STEADY), models=[Model("a.tflite", "a", "aa", top1=0.92)])
    new = record(row(*STEADY), models=[Model("a.tflite", "a", "aa", top1=0.9)])
    assert compare(base, new).notes == ("top-1 of a was 92.0 % and is 90.0 %",)


def test_nothing_in_common_is_an_error():
    with pytest.raises(DataError, match="no row in common"):
        compare(record(row(*STEADY)), record(row(*STEADY, threads=2)))


def test_a_mean_is_not_held_against_a_median():
    mean = Row("a.tflite", "xnnpack", 1, count=50, mean_ms=30.0, std_ms=1.0)
    found = compare(record(row(*STEADY)), record(mean)).pairs[0]
    assert (found.verdict, found.regression) == ("a median against a mean", False)
    slower = dataclasses.replace(mean, mean_ms=40.0)
    assert compare(record(mean), record(slower)).pairs[0].verdict == "slower"


def test_as_json():
    found = compare(record(row(*STEADY)), record(row(*(12.0,) * 5))).as_dict()
    assert found["regressions"] == 1
    assert found["pairs"][0]["regression"] is True
    assert found["pairs"][0]["change"] == pytest.approx(0.2)


def test_two_rows_of_one_cell_are_refused():
    twice = record(row(*STEADY), row(*STEADY))
    with pytest.raises(DataError, match="two rows of a xnnpack 1"):
        compare(record(row(*STEADY)), twice)
