"""Tables keep numbers and words whole at any width, and colors give way to NO_COLOR."""

import io
import re

import pytest
from rich.console import Console

from model_maker.terminal import rendering


def lines(content, width, **more):
    console = Console(file=io.StringIO(), width=width, highlight=False, **more)
    console.print(content)
    return [line.rstrip() for line in console.file.getvalue().splitlines() if line.strip()]


@pytest.fixture
def apps():
    table = rendering.table("app", "photos", "right>", "same answer>")
    table.add_row("LiteRT's Android sample (CompiledModel)", "stretched, bilinear", "48 of 50", "50 of 50")
    table.add_row("", "[red]cropped[/]", "103.0", "")
    return table


def test_a_table_that_fits_has_a_line_per_row(apps):
    assert lines(apps, 100) == [
        " app                                       photos                   right   same answer",
        " ──────────────────────────────────────────────────────────────────────────────────────",
        " LiteRT's Android sample (CompiledModel)   stretched, bilinear   48 of 50      50 of 50",
        "                                           cropped                  103.0",
    ]


def test_a_narrower_one_wraps_text_between_words_and_never_numbers(apps):
    shown = lines(apps, 60)
    assert all(len(line) <= 60 for line in shown)
    text = "\n".join(shown)
    assert "48 of 50" in text and "103.0" in text and "(CompiledModel)" in text
    assert all(word in text.split() for word in ("LiteRT's", "Android", "sample", "bilinear"))


def test_one_without_room_for_its_words_becomes_records(apps):
    assert lines(apps, 40) == [
        "LiteRT's Android sample (CompiledModel)",
        "  photos       stretched, bilinear",
        "  right        48 of 50",
        "  same answer  50 of 50",
        "  photos  cropped",
        "  right   103.0",
    ]


def test_a_long_path_is_broken_rather_than_the_table():
    table = rendering.table("photo", "score>")
    table.add_row("a/very/long/path/without/spaces/rose.jpg", "0.996")
    shown = lines(table, 30)
    assert len(shown) > 3 and "0.996" in shown[2]
    assert (
        "".join(line.replace("0.996", "").strip() for line in shown[2:]) == "a/very/long/path/without/spaces/rose.jpg"
    )


@pytest.mark.parametrize(("width", "expected"), [(80, 20), (40, 16)])
def test_a_bar_is_shorter_where_there_is_little_room(width, expected):
    table = rendering.table("photo", "label", "")
    table.add_row("rose_000.jpg", "rose", rendering.Bar(1.0))
    # A margin of 1 and gaps of 3 leave 33 cells, of which the names take 17.
    found = [line.count("━") for line in lines(table, width) if "━" in line]
    assert found == [expected]


def test_a_bar_gives_way_to_a_path():
    table = rendering.table("photo", "score>", "")
    table.add_row("flowers/rose/rose_000.jpg", "0.996", rendering.Bar(1.0))
    # A margin of 1 and gaps of 3: 25 + 5 cells leave 13 of 50.
    assert [line.split()[0] for line in lines(table, 50)][-1] == "flowers/rose/rose_000.jpg"
    assert [line.count("━") for line in lines(table, 50)][-1] == 13


@pytest.mark.parametrize(("width", "gap"), [(24, 3), (23, 2), (21, 2), (20, 1), (18, 1)])
def test_columns_move_closer_together_before_a_table_becomes_records(width, gap):
    table = rendering.table("model", "MB>", "ms>", "")
    table.add_row("model", "10.0", "20.0", "*")
    between = " " * gap
    # A margin of 1 and 14 cells.
    assert lines(table, width)[-1] == f" model{between}10.0{between}20.0{between}*"


def test_a_record_has_what_has_no_heading_beside_its_title():
    table = rendering.table("model", "latency>", "")
    table.add_row("a model", "10.0 milliseconds", "*")
    assert lines(table, 22) == ["a model  *", "  latency  10.0", "           millisecond", "           s"]


@pytest.mark.parametrize("width", [30, 60, 80])
def test_no_line_ends_in_blanks_and_two_tables_are_an_empty_line_apart(apps, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    console = rendering.console()
    with console.capture() as captured:
        console.print(apps)
        console.print(apps)
        rendering.say(console, "the end")
    shown = captured.get()
    assert not re.search(r"[ \t]\n", shown)
    assert "\n\n\n" not in shown and "\n\nthe end" in shown


@pytest.mark.parametrize("terminal", [False, True])
def test_facts_wrap_beside_their_names_and_what_is_to_copy_stays_whole_in_a_pipe(terminal):
    console = Console(file=io.StringIO(), width=24, highlight=False, force_terminal=terminal, color_system=None)
    path = "folder/model.tflite of it"
    rendering.facts(console, [("size", "4.01 MB, apart 8.03 MB"), ("[red]", "[bold]1[/]")], [("model", path)])
    shown = ["size   4.01 MB,", "       apart 8.03 MB", "[red]  1"]
    copied = ["model  folder/model.tflite", "       of it"] if terminal else [f"model  {path}"]
    assert console.file.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines() == shown + copied


@pytest.mark.parametrize(("score", "expected"), [(0.0, 0), (0.5, 10), (1.5, 20)])
def test_a_bar_has_the_length_of_its_score(score, expected):
    assert sum(line.count("━") for line in lines(rendering.Bar(score), 80)) == expected


@pytest.mark.parametrize("colors", [True, False])
def test_no_color_is_respected(colors, monkeypatch):
    # https://no-color.org: any value that is not empty; bold is no color.
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "" if colors else "1")
    console = rendering.console()
    with console.capture() as captured:
        console.print("[red]red[/]")
    assert ("\x1b[31m" in captured.get()) == colors
