"""How a record looks in a terminal and as a page."""

import dataclasses
import io
import re
from html.parser import HTMLParser

import page_reader
import pytest
from rich.console import Console

from model_maker.benchmark import benchmark_page, result_table
from model_maker.benchmark.environment import Load, Machine
from model_maker.benchmark.latency import Latency
from model_maker.benchmark.record_comparison import compare
from model_maker.benchmark.results import Model, Record, Row, finish

HOST = Machine("host", "A CPU", 2, "Linux 6 x86_64", versions={"ai-edge-litert": "2.3.0"})
A = Model("m/model.tflite", "m", "aa", 4_000_000, 400_000_000, 4_000_000, "int8", 0.918, 120)
B = Model("<b>.tflite", "<b>", "bb", 8_000_000, 200_000_000, 2_000_000, "none")


def row(model, delegate, threads, center, *, spread=0.001, **more):
    rounds = tuple((center * (1 + spread * sign),) for sign in (-1, 1, 0, 1, -1, 0))
    made = Row(model.path, delegate, threads, init_ms=12.0, first_ms=9.0, memory_mb=17.5, rounds_ms=rounds, **more)
    return dataclasses.replace(made, **Latency(rounds).summary())


def record(*rows, models=(A,), load=None, **more):
    return Record("2026-01-02T03:04:05+00:00", HOST, models, finish(rows, models, load), load=load, **more)


SMALL = record(row(A, "xnnpack", 1, 8.0), row(A, "xnnpack", 2, 4.0), row(A, "none", 1, 40.0, spread=0.5))
MANY = record(
    row(A, "xnnpack", 1, 8.0),
    Row(B.path, "gpu", None, reason="No [GPU] here."),
    Row(B.path, "coreml", 2, count=10, mean_ms=3.0, std_ms=0.1),
    models=(A, B),
)


def shown(record, width=100):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    result_table.show(record, console)
    return console.file.getvalue()


def test_names_cannot_command_the_terminal():
    sly = dataclasses.replace(A, name="m\x1b[2J\u202e")
    text = shown(record(row(A, "xnnpack", 1, 8.0), row(B, "xnnpack", 1, 8.0), models=(sly, B)))
    assert "m\ufffd[2J\ufffd" in text and not {"\x1b", "\u202e"} & set(text)


def test_the_table_has_a_line_a_row():
    text = shown(SMALL)
    assert re.search(r"xnnpack +1 +8\.00 +±0\.1 %", text)
    assert re.search(r"none +1 +40\.0 +±50\.0 %", text)
    assert "m  4.00 MB, int8, 400 million MACs, top-1 91.8 % of 120 photos" in text
    # 400 million in 8 ms and in 4 ms.
    assert re.search(r"8\.00.*50\.0 *$", text, re.M) and re.search(r"4\.00.*100 *$", text, re.M)


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("made", [SMALL, MANY])
def test_it_fits_the_terminal_and_drops_the_least_important(made, width):
    lines = [line for line in shown(made, width).splitlines() if re.match(r" \S+ +\S", line)]
    assert max(map(len, lines)) <= width
    heads, units = shown(made, width).split("\n delegate" if made is SMALL else "\n model")[:2]
    heads = heads.splitlines()[-1]
    assert "median" in heads and "ms" in units.splitlines()[0]
    assert ("p99" in heads) == (width == 140 or (made is SMALL and width == 100))


def test_noise_and_reasons_are_said_once():
    text = shown(record(*SMALL.rows, load=Load(1, 1, others=0.3, stolen=0.0)))
    assert "noisy: none x1: the interval is wider than 5 % of the median\n" in text
    assert "noisy: all: other processes used 30 % of the CPU\n" in text
    failed = shown(MANY)
    assert "failed: <b> gpu: No [GPU] here.\n" in failed
    assert re.search(r"gpu +- +failed", failed)
    assert re.search(r"coreml +2 +mean 3\.00", failed)


def test_many_rows_with_the_same_noise_are_counted():
    rows = [row(A, "none", threads, 5.0, spread=0.5) for threads in range(1, 6)]
    assert "noisy: 5 rows: the interval" in shown(record(*rows, row(A, "xnnpack", 1, 8.0)))
    assert "noisy: all: the interval" in shown(record(*rows))


def test_an_interrupted_record_says_so():
    assert "Interrupted" in shown(record(row(A, "none", 1, 5.0), interrupted=True))
    assert "Interrupted" not in shown(SMALL)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0123, "0.012"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1234")]
)
def test_numbers_have_three_digits(value, text):
    assert result_table.number(value) == text


def test_a_comparison_names_what_became_slower():
    slower = record(row(A, "xnnpack", 1, 9.0), row(A, "xnnpack", 2, 4.0))
    console = Console(file=io.StringIO(), width=80, highlight=False)
    result_table.show_comparison(compare(SMALL, slower), console)
    text = console.file.getvalue()
    assert re.search(r"xnnpack +1 +8\.00 +9\.00 +\+12\.5 % +slower", text)
    assert "note: m none 1 is in the base only" in text


class Page(HTMLParser):
    """What a browser would load, and the text that it would show."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = [value for name, value in attributes if name in ("src", "href", "action", "data")]
        self.loads += [address for address in found if not address.startswith("#")]
        assert tag not in ("script", "link", "img", "iframe")

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_needs_nothing_else_and_shows_every_row():
    text = benchmark_page.render(MANY)
    found = Page(text)
    assert found.loads == []
    assert not re.search(r"url\((?!#)|@import|https?:", text)
    words = " ".join(found.words)
    for part in ("8.00 ms", "No [GPU] here.", "coreml, 2 threads", "A CPU", "top-1 91.8 %"):
        assert part in words or part == "8.00 ms"
    assert "3.00 ms" in words  # the best of all
    assert "<b>.tflite" not in text  # names are escaped
    assert "&lt;b&gt;" in text


def test_the_table_of_the_page_names_its_units():
    [heads, *_] = page_reader.Page(benchmark_page.render(SMALL)).tables["All measurements"]
    times = ("median", "95 % interval", "p90", "p99", "min", "max", "mean", "init", "first")
    assert heads == ["delegate", *(f"{name}, ms" for name in times), "memory, MB", "speed, GMAC/s", "runs"]


@pytest.mark.slow
def test_the_page_passes_axe_and_its_table_scrolls_within_itself(tmp_path):
    seen = page_reader.look_at(benchmark_page.render(MANY), tmp_path)
    assert seen["pages"] == page_reader.NOTHING  # at 390 px nothing is wider than the page
    assert seen["columns"] == ["runs"]  # the last column, read after scrolling there by keys


def test_charts_show_each_delegate_with_its_interval():
    measured = [row(A, "xnnpack", 2, 4.0), row(A, "xnnpack", 1, 8.0, spread=0.25), row(A, "gpu", None, 5.0)]
    others = [row(B, "gpu", 1, 80.0), Row(B.path, "none", 1, reason="No.")]
    wanted = dict(benchmark_page.wanted_charts(record(*measured, *others, models=(A, B))))
    first, second = wanted["0.svg"].data, wanted["1.svg"].data
    # All on one scale, and each delegate in one colour.
    assert first["limits"] == second["limits"] == (pytest.approx(4 * 0.999), pytest.approx(80 * 1.001))
    assert [(line["name"], line["colour"]) for line in first["lines"]] == [("xnnpack", 0), ("gpu", 1)]
    assert [(line["name"], line["colour"]) for line in second["lines"]] == [("gpu", 1)]
    # Medians of eight times 0.75, 1.25, 1, 1.25, 0.75, 1, from one thread on.
    assert [point[:2] for point in first["lines"][0]["points"]] == [(1, pytest.approx(8)), (2, pytest.approx(4))]
    _, _, low, high = first["lines"][0]["points"][0]
    assert (low, high) == measured[1].interval_ms and low < 8 < high
    assert first["lines"][1]["points"][0][0] is None


def test_nothing_measured_is_a_page_without_a_chart():
    text = benchmark_page.render(record(Row(A.path, "gpu", None, reason="No GPU.")))
    assert "No measurement succeeded." in text
    assert "<svg" not in text
