import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_maker.errors import BackboneError, DataError, OutputError
from model_maker.evaluation import mcnemar
from model_maker.training import comparison
from model_maker.training.comparison import Entry, mark_front, recommend


def entry(name, top1, size_mb, ms, right=()):
    return Entry(name, top1, (0, 1), 0.0, round(size_mb * 1e6), {1: ms, 4: ms / 2}, tuple(right))


GOOD, SMALL, WORSE = entry("good", 0.95, 4, 8), entry("small", 0.90, 1, 2), entry("worse", 0.89, 2, 3)
FAILED = Entry("gone", failure="offline")


def test_the_front_is_what_nobody_beats_in_everything():
    front = {one.name for one in mark_front([GOOD, SMALL, WORSE, FAILED]) if one.on_front}
    assert front == {"good", "small"}


def test_equal_models_stand_on_the_front_together():
    assert all(one.on_front for one in mark_front([SMALL, SMALL]))


ENTRIES = st.lists(
    st.builds(
        entry, st.just("x"), st.sampled_from([0.8, 0.9, 1]), st.sampled_from([1, 2, 3]), st.sampled_from([1, 2, 3])
    ),
    min_size=1,
    max_size=8,
)


@given(ENTRIES)
def test_the_front_is_never_empty_and_none_of_it_is_beaten(entries):
    marked = mark_front(entries)
    front = [one for one in marked if one.on_front]
    assert front
    for one in front:
        for other in marked:
            better = (other.top1 > one.top1, other.size_bytes < one.size_bytes, other.latency_ms[1] < one.latency_ms[1])
            worse = (other.top1 < one.top1, other.size_bytes > one.size_bytes, other.latency_ms[1] > one.latency_ms[1])
            assert not any(better) or any(worse)


def test_without_limits_the_most_accurate_is_recommended():
    assert recommend([SMALL, GOOD, FAILED])[0] == "good"


@pytest.mark.parametrize("limits", [{"max_size_mb": 1.5}, {"max_latency_ms": 2.5}])
def test_limits_leave_out_what_exceeds_them(limits):
    name, reason = recommend([GOOD, SMALL, WORSE], **limits)
    assert name == "small" and "within the limits" in reason


def test_where_nothing_keeps_within_the_limits_the_nearest_is_named():
    # good is 8 times too slow and 4 times too large, small twice and once.
    name, reason = recommend([GOOD, SMALL], max_size_mb=1, max_latency_ms=1)
    assert name is None and "small is the closest (90.0 %, 1.00 MB, 2.0 ms)" in reason


def test_a_faster_model_that_cannot_be_told_apart_is_named():
    good = entry("good", 0.95, 4, 8, [True] * 19 + [False])
    fast = entry("fast", 0.90, 1, 2, [True] * 18 + [False] * 2)
    name, reason = recommend([good, fast])
    assert name == "good" and "fast, 4.0 times as fast, is not significantly different" in reason
    poor = entry("poor", 0.5, 1, 2, [True] * 10 + [False] * 10)
    assert "significantly" not in recommend([good, poor])[1]


def test_mcnemar_by_hand():
    # 5 photos known to one only and none to the other: 2 x 1/32. 3 and 1: 2 x (1 + 4) / 16. Alike: 1.
    assert mcnemar([True] * 5, [False] * 5) == pytest.approx(2 / 32)
    assert mcnemar([True, True, True, False], [False, False, False, True]) == pytest.approx(10 / 16)
    assert mcnemar([True, False], [True, False]) == 1


@pytest.fixture
def models(tmp_path, tiny_embedder, conv_embedder):
    for name, content in (("a", tiny_embedder), ("b", conv_embedder)):
        (tmp_path / f"{name}.tflite").write_bytes(content)
    return [str(tmp_path / "a.tflite"), str(tmp_path / "b.tflite")]


@pytest.mark.slow
def test_models_are_trained_and_compared_and_a_second_run_trains_nothing(
    make_photos, models, tmp_path, empty_cache, monkeypatch
):
    make_photos(tmp_path / "photos", {"red": 12, "blue": 12, "green": 12})
    (tmp_path / "photos/red/broken.png").write_bytes(b"no photo")  # found only by the training
    options = {"normalization": "127,128", "threads": 1}
    found = comparison.compare(tmp_path / "photos", models, tmp_path / "out", **options)
    assert [one.name for one in found.entries] == ["a", "b"] and found.recommended in ("a", "b")
    for one in found.entries:
        report = json.loads((tmp_path / "out" / one.name / "metrics.json").read_text())
        assert one.top1 == report["test"]["top1"] == sum(one.right) / len(one.right)
        assert one.size_bytes == (tmp_path / "out" / one.name / "model.tflite").stat().st_size
        assert set(one.latency_ms) == {1, 4} and all(0 < value < 1000 for value in one.latency_ms.values())
    written = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert written["recommended"] == found.recommended and len(written["models"]) == 2

    monkeypatch.setattr(comparison, "train", lambda *_, **__: pytest.fail("it is trained already"))
    again = comparison.compare(tmp_path / "photos", models, tmp_path / "out", **options)
    assert [one.top1 for one in again.entries] == [one.top1 for one in found.entries]


def test_a_model_that_fails_does_not_hold_up_the_others(make_photos, models, tmp_path, empty_cache):
    make_photos(tmp_path / "photos", {"red": 12, "blue": 12})
    (tmp_path / "bad.tflite").write_bytes(b"no model")
    models = [str(tmp_path / "bad.tflite"), models[0]]
    found = comparison.compare(tmp_path / "photos", models, tmp_path / "out", normalization="127,128")
    assert "TFL3" in found.entries[0].failure and found.recommended == "a"
    with pytest.raises(BackboneError, match="None of the models could be trained. bad: .*TFL3"):
        comparison.compare(tmp_path / "photos", models[:1], tmp_path / "other", normalization="127,128")


def test_what_can_be_refused_is_refused_before_any_work(models, tmp_path):
    with pytest.raises(DataError, match="names a more than once"):
        comparison.compare(tmp_path, [models[0], models[0]], normalization="127,128")
    with pytest.raises(BackboneError, match="Unknown model 'nothing'"):
        comparison.compare(tmp_path, [models[0], "nothing"], normalization="127,128")
    with pytest.raises(DataError, match="`max_size_mb=0`: pass a number above 0"):
        comparison.compare(tmp_path, models, max_size_mb=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        comparison.compare(tmp_path, models, tmp_path / "file", normalization="127,128")
