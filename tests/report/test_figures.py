"""Figures: the values that they show, byte-identical for the same data, hostile names, many classes."""

import io
import os
import re
import subprocess
import sys
import threading
from xml.etree import ElementTree

import numpy as np
import pytest
from checkout import ROOT
from PIL import Image

from model_maker.report import drawing, figures, pages
from model_maker.report.drawing import Wanted

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = ["$\\frac{1}$", "<script>&\"'", "a\nb\x00\udcff\u202e", "\\alpha_{", "a rather long name " * 9]
SCORES = {"f1": [0.5, 0.25], "precision": [0.75, 0.2], "recall": [0.375, 1 / 3]}
LOSSES = {
    "series": {"training": [None, 0.8, 0.2], "validation": [0.9, 0.5, 0.4]},
    "ticks": ["0", "1", "2"],
    "axis": "epoch",
}
LINE = {"name": "xnnpack", "colour": 0, "points": [[1, 8.0, 7.5, 8.5], [2, 4.0, 4.0, 4.0]]}
EVERY_KIND = {
    "calibration": {"photos": [0, 2, 4], "right": [0, 1, 4]},
    "class_scores": {"labels": ["ant", "bee"], "scores": SCORES},
    "confusion": {"labels": ["ant", "bee"], "counts": [[3, 1], [0, 4]]},
    "precision_recall": {"curves": {"ant": {"recall": [0, 0.5, 1], "precision": [1, 1, 0.7]}}},
    "interval": {"low": 0.5, "value": 0.7, "high": 0.9},
    "latency": {"lines": [LINE], "limits": [4.0, 8.5]},
    "losses": LOSSES,
}
WANTED = {f"{kind}.{form}": Wanted(kind, data) for kind, data in EVERY_KIND.items() for form in ("png", "svg")}


@pytest.fixture(scope="module")
def drawn():
    return drawing.draw(WANTED)


def draw(kind, **data):
    return ElementTree.fromstring(drawing.draw({"a.svg": Wanted(kind, data)})["a.svg"])


def texts(svg):
    return [element.text for element in svg.iter(f"{SVG}text")]


def places(svg, text):
    """(x, y) of the places where a text stands."""
    return [(float(e.get("x")), float(e.get("y"))) for e in svg.iter(f"{SVG}text") if e.text == text]


def scale(svg, axis, low, high):
    """Values by the places of an axis' labels: a function from coordinates to what is shown there."""
    (at_low,), (at_high,) = ([place[axis] for place in places(svg, text)] for text in (low, high))
    return lambda place: float(low) + (place - at_low) / (at_high - at_low) * (float(high) - float(low))


def points(svg, colour):
    """Corners of the widest line that is drawn in a colour; the one in the key is shorter."""
    paths = [
        e.get("d")
        for e in svg.iter(f"{SVG}path")
        if f"stroke: {colour}" in e.get("style", "") and "fill: none" in e.get("style")
    ]
    lines = [[(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", path)] for path in paths]
    return max(lines, key=lambda line: max(line)[0] - min(line)[0])


def test_every_kind_is_tried():
    assert set(EVERY_KIND) == set(figures.KINDS)


def test_the_same_data_give_the_same_bytes_in_every_process_and_thread(drawn, tmp_path, monkeypatch):
    # What would change figures that somebody's settings reach.
    (tmp_path / "matplotlibrc").write_text("font.family: monospace\nfigure.dpi: 300\nsvg.fonttype: path\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MATPLOTLIBRC", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "no such backend")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    found = [{}, {}]
    threads = [threading.Thread(target=lambda made=made: made.update(drawing.draw(WANTED))) for made in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [drawn, drawn]


def test_nothing_but_a_child_imports_matplotlib():
    check = """
import sys
from model_maker.report import drawing, model_page, pages
drawing.draw({"a.png": drawing.Wanted("interval", {"low": 0.1, "value": 0.2, "high": 0.3})})
print(sorted({"matplotlib", "jinja2"} & set(sys.modules)))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, env=environment)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_figure_says_nothing_of_when_and_by_what_it_was_made(drawn):
    for name, content in drawn.items():
        if name.endswith(".png"):
            assert set(Image.open(io.BytesIO(content)).info) <= {"dpi"}
        else:
            assert b"metadata" not in content and b"<image" not in content or name == "confusion.svg"


def test_an_interval_lies_on_a_scale_to_100():
    svg = draw("interval", low=0.5, value=0.7, high=0.9)
    at = scale(svg, 0, "0", "75")
    ends = points(svg, figures.LINE), points(svg, figures.BLUE)
    assert [at(x) for x, _ in (*ends[0], *ends[1])] == pytest.approx([0, 100, 50, 90], abs=0.05)
    [dot] = svg.iter(f"{SVG}use")
    assert at(float(dot.get("x"))) == pytest.approx(70, abs=0.05)


def test_bars_of_a_calibration_are_as_high_as_answers_are_often_right(drawn):
    svg = ElementTree.fromstring(drawn["calibration.svg"])
    assert {"% correct", "photos", "score", "2"} < set(texts(svg))
    bars = [e.get("d") for e in svg.iter(f"{SVG}path") if f"fill: {figures.BLUE}" in e.get("style", "")]
    heights = []
    for bar in bars:
        ys = [float(y) for _, y in re.findall(r"[ML] (\S+) (\S+)", bar)]
        heights.append(max(ys) - min(ys))
    # None of no photos, 1 of 2, 4 of 4.
    assert [height / max(heights) for height in heights] == pytest.approx([0, 0.5, 1], abs=1e-3)


@pytest.mark.parametrize(("most", "tick"), [(1, "1"), (4, "2"), (87, "50"), (100, "100"), (499, "200")])
def test_numbers_of_photos_have_a_round_tick(most, tick):
    svg = draw("calibration", photos=[0, most, 0], right=[0, 1, 0])
    # Only shares, up to 100 on the right scale, and this number are whole.
    assert [text for text in texts(svg) if text.isdecimal()] == ["0", "20", "40", "60", "80", "100", tick]


def test_losses_lie_at_their_values(drawn):
    svg = ElementTree.fromstring(drawn["losses.svg"])
    at = scale(svg, 1, "0.2", "0.8")
    offset = places(svg, "0.2")[0][1] - places(svg, "0.8")[0][1]
    blue, red = points(svg, figures.BLUE), points(svg, figures.RED)
    assert len(blue) == 2 and len(red) == 3 and {"training", "validation", "epoch", "loss"} < set(texts(svg))
    assert (blue[1][1] - blue[0][1]) / offset * 0.6 == pytest.approx(0.6, abs=1e-3)
    assert (red[2][1] - red[0][1]) / offset * 0.6 == pytest.approx(0.5, abs=1e-3)
    assert at(blue[0][1]) == pytest.approx(0.8, abs=0.03)  # letters stand a little below the line that they name
    assert blue[0][0] == pytest.approx(red[1][0], abs=0.01)  # the same epoch


def test_many_steps_get_few_ticks():
    series = {"held out": [1.0] * 40}
    svg = draw("losses", series=series, ticks=[f"t{index}" for index in range(40)], axis="step")
    assert [text for text in texts(svg) if re.fullmatch(r"t\d+", text)] == [f"t{index}" for index in range(0, 40, 5)]


def test_a_confusion_matrix_has_its_counts_in_their_cells(drawn):
    svg = ElementTree.fromstring(drawn["confusion.svg"])
    assert {"Predicted", "Actual"} < set(texts(svg)) and texts(svg).count("ant") == 2
    [three], [one], [four] = (places(svg, count) for count in "314")
    assert (
        three[1] == pytest.approx(one[1])
        and one[0] == pytest.approx(four[0])
        and three[0] < one[0]
        and three[1] < four[1]
    )
    picture = np.asarray(Image.open(io.BytesIO(drawn["confusion.png"])).convert("RGB"))
    # One of four ants: 12 % and 88 % of a quarter of red, on white; all bees: blue.
    assert (abs(picture.astype(int) - (229, 182, 179)) <= 1).all(axis=2).sum() > 1000
    assert (picture == (11, 98, 196)).all(axis=2).sum() > 1000


@pytest.fixture(scope="module")
def many():
    """Figures of 200 classes, of which one is once mistaken for another."""
    labels = [f"class {index}" for index in range(200)]
    counts = np.diag(np.full(200, 5))
    counts[7, 190] = 1
    matrix = Wanted("confusion", {"labels": labels, "counts": counts.tolist()})
    scores = dict.fromkeys(("f1", "precision", "recall"), (np.arange(200) / 200).tolist())
    classes = Wanted("class_scores", {"labels": labels, "scores": scores})
    made = drawing.draw({"matrix.svg": matrix, "matrix.png": matrix, "classes.svg": classes})
    svgs = [ElementTree.fromstring(made[f"{name}.svg"]) for name in ("matrix", "classes")]
    return *svgs, Image.open(io.BytesIO(made["matrix.png"]))


def test_of_many_classes_those_with_the_most_mistakes_are_drawn(many):
    matrix, classes, picture = many
    shown = texts(matrix)
    assert shown.count("class 7") == shown.count("class 190") == 2
    assert len([text for text in shown if text.startswith("class ")]) == 2 * 150
    assert "class 149" in texts(classes) and "class 150" not in texts(classes)
    assert max(picture.size) <= 4000


def test_names_of_many_classes_are_legible_and_do_not_touch(many):
    for svg in many[:2]:
        names = [e for e in svg.iter(f"{SVG}text") if e.text.startswith("class ") and e.get("y")]
        [size] = {float(re.search(r"font-size: (\S+)px", e.get("style"))[1]) for e in names}
        ys = np.sort([float(e.get("y")) for e in names])
        assert size >= 10 and len(ys) == 150 and np.diff(ys).min() > size


def test_classes_are_drawn_from_the_lowest_f1_on(drawn):
    svg = ElementTree.fromstring(drawn["class_scores.svg"])
    assert places(svg, "bee")[0][1] < places(svg, "ant")[0][1]
    assert places(svg, "0.250")[0][1] == pytest.approx(places(svg, "bee")[0][1], abs=2)
    assert {"F1", "precision", "recall"} < set(texts(svg))


def test_latencies_lie_at_their_times(drawn):
    svg = ElementTree.fromstring(drawn["latency.svg"])
    line = points(svg, figures.BLUE)
    at = scale(svg, 1, "4", "8")
    four_ms = places(svg, "4")[0][1] - places(svg, "8")[0][1]
    assert line[1][1] - line[0][1] == pytest.approx(four_ms, abs=0.01)
    assert at(line[1][1]) == pytest.approx(4, abs=0.2)
    assert {"ms", "threads", "1", "xnnpack"} < set(texts(svg))


def test_times_that_lie_far_apart_get_a_logarithmic_axis():
    lines = [LINE, {"name": "none", "colour": 1, "points": [[1, 150.0, 140.0, 160.0]]}]
    svg = draw("latency", lines=lines, limits=[4.0, 160.0])
    assert "ms, logarithmic" in texts(svg) and {"5", "10", "20", "50", "100"} < set(texts(svg))
    heights = [places(svg, text)[0][1] for text in ("5", "50", "10", "100")]
    assert heights[0] - heights[1] == pytest.approx(heights[2] - heights[3], abs=0.01)  # equal ratios, equal distances


def test_a_delegate_without_threads_is_a_line_of_its_own():
    svg = draw("latency", lines=[{"name": "gpu", "colour": 2, "points": [[None, 5.0, 4.9, 5.1]]}], limits=[4.9, 5.1])
    [(left, y), (right, other)] = points(svg, figures.SERIES[2])
    assert y == other and right - left > 100 and "gpu" in texts(svg)


def test_long_names_keep_their_ends():
    labels = [f"a species with a very long name, of which the end tells {index}" for index in range(2)]
    shown = texts(draw("confusion", labels=labels, counts=[[1, 0], [0, 1]]))
    names = [text for text in shown if text.startswith("a species")]
    assert len(set(names)) == 2 and all(re.fullmatch(r"a species .*\.\.\. ?.* [01]", name) for name in names)


@pytest.mark.parametrize("kind", ["confusion", "class_scores", "latency", "losses"])
def test_hostile_names_are_drawn_as_text(kind):
    count = len(HOSTILE)
    data = {
        "confusion": {"labels": HOSTILE, "counts": np.eye(count, dtype=int).tolist()},
        "class_scores": {"labels": HOSTILE, "scores": dict.fromkeys(("f1", "precision", "recall"), [0.5] * count)},
        "latency": {"lines": [LINE | {"name": name} for name in HOSTILE], "limits": [4, 9]},
        "losses": {"series": {"a": [1.0] * count}, "ticks": HOSTILE[:2] + ["a"] * 3, "axis": HOSTILE[1]},
    }[kind]
    made = drawing.draw({"a.svg": Wanted(kind, data), "a.png": Wanted(kind, data)})
    svg = ElementTree.fromstring(made["a.svg"])
    assert not list(svg.iter(f"{SVG}script")) and {"$\\frac{1}$", "<script>&\"'"} <= set(texts(svg))
    assert all(len(text) < 60 for text in texts(svg))
    assert Image.open(io.BytesIO(made["a.png"])).size[0] < 3000


def test_a_chart_takes_its_colours_from_the_page(drawn):
    chart = pages.chart(drawn["losses.svg"], 'a "name"')
    assert chart.startswith('<svg class="chart" role="img" aria-label="a &quot;name&quot;" viewBox="0 0 340 240">')
    assert "var(--c0)" in chart and "var(--red)" in chart and "var(--text)" in chart
    assert not re.search(r"#[0-9a-f]{6}\b(?!\w)|https?:|<style|font-family|figure_1", chart)
    style = (ROOT / "model_maker/report/templates/style.css").read_text(encoding="utf-8")
    light = style.split("@media")[0]
    for colour, name in pages.COLOURS.items():
        assert re.search(rf"{name}: {colour};", light), name
