"""Command lines that cannot be read, and what a terminal of 80 columns shows of those that can."""

import argparse
import io
import os
import pty
import re
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from model_maker import cli
from model_maker.benchmark import command_line as benchmark_cli
from model_maker.cli import bars, comparison_views, metrics_views
from model_maker.terminal import exit_codes, rendering
from model_maker.training.comparison import Comparison, Entry

NAMES = ["evaluate", "predict", "train", "doctor", "sample-data", "benchmark", "completion"]


def refused(capsys, *words, parse=cli.parse):
    with pytest.raises(SystemExit) as ended:
        parse(["program", *words])
    assert ended.value.code == 2
    return capsys.readouterr()


def test_without_a_command_all_of_them_are_listed(capsys):
    shown = refused(capsys)
    assert all(re.search(rf"^    {name}\b", shown.err, re.M) for name in NAMES)
    assert "model_maker train --data flowers" in shown.err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("trian", "train"), ("evalute", "evaluate"), ("sampledata", "sample-data"), ("Predict", "predict")],
)
def test_a_command_that_is_misspelt_gets_a_suggestion(capsys, typed, meant):
    last = refused(capsys, typed, "--data", "flowers").err.splitlines()[-1]
    assert last == f"model_maker: error: there is no command '{typed}'. Did you mean {meant}?"


def test_a_command_that_is_like_no_other_leads_to_the_list(capsys):
    assert "there is no command 'xyzzy'. See model_maker --help" in refused(capsys, "xyzzy").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["train", "--dta", "flowers"],
            "model_maker train: error: unrecognized arguments: --dta flowers. Did you mean --data?",
        ),
        (["evaluate", "m", "--reprot=x.html"], "arguments: --reprot=x.html. Did you mean --report?"),
        (["verify", "m", "--qqqq"], "model_maker verify: error: unrecognized arguments: --qqqq"),
    ],
)
def test_an_option_that_is_misspelt_gets_a_suggestion_and_the_usage_of_its_command(capsys, words, said):
    shown = refused(capsys, *words).err
    assert said in " ".join(shown.split()) and shown.startswith(f"usage: model_maker {words[0]}")


def test_benchmark_suggests_too(capsys):
    shown = refused(capsys, "m.tflite", "--thread-count", "2", parse=benchmark_cli.parse).err
    assert "benchmark: error: unrecognized arguments: --thread-count" in shown
    assert "Did you mean --threads?" in refused(capsys, "m.tflite", "--treads", "2", parse=benchmark_cli.parse).err


def parsers():
    [commands] = [a for a in cli.parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return {"": cli.parser(), **commands.choices}


@pytest.mark.parametrize("name", parsers())
def test_help_fits_80_columns(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in parsers()[name].format_help().splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("name", parsers())
def test_all_but_examples_fits_60_columns(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    parser = parsers()[name]
    examples = (parser.epilog or "").splitlines()
    shown = parser.format_help().splitlines()
    assert [line for line in shown if len(line) > 60 and line not in examples] == []
    assert {line for line in examples if line.strip()} <= set(shown) or len(examples) == 1


def on_terminal(program):
    """What a program writes on a terminal of 80 columns."""
    end, other = pty.openpty()
    environment = os.environ | {"COLUMNS": "80", "TERM": "xterm"}
    with subprocess.Popen([sys.executable, "-c", program], stdout=other, stderr=other, env=environment) as process:
        os.close(other)
        read = b""
        try:
            while part := os.read(end, 4096):
                read += part
        except OSError:  # Linux ends so
            pass
        process.wait()
    os.close(end)
    return re.sub(r"\x1b\[[\d;]*m", "", read.decode()).replace("\r\n", "\n")


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize(
    "program",
    [
        "from model_maker.terminal import exit_codes; exit_codes.say('model_maker', {text!r})",
        "from model_maker.terminal import rendering as r; r.say(r.console(), r.escape({text!r}), indent=4)",
        "from model_maker.cli.bars import Bars; Bars().note({text!r})",
    ],
)
def test_a_terminal_gets_lines_broken_between_words(program):
    text = (
        "MediaPipe Tasks was skipped: it needs MediaPipe, which is not there. Run: pip install 'model-maker[verify]' "
        * 2
    )
    shown = on_terminal(program.format(text=text.strip()))
    assert max(map(len, shown.splitlines())) <= 80 < len(text)
    words = shown.split()
    assert words[-len(text.split()) :] == text.split()


def test_a_program_gets_lines_whole(capsys):
    text = ("a/path/that/is/long " * 10).strip()
    exit_codes.say("model_maker", text)
    rendering.say(rendering.console(), text)
    shown = capsys.readouterr()
    assert shown.err == f"model_maker: {text}\n" and shown.out == f"{text}\n"


def screen():
    return Console(width=80, record=True, file=io.StringIO())


LONGEST = "mobilenet_v3_large_minimalistic"


def test_models_that_are_compared_keep_their_names_in_80_columns(tmp_path, monkeypatch):
    names = ["efficientnet_lite0", "efficientnet_lite2", LONGEST]
    entries = tuple(
        Entry(name, 0.9672, (0.88, 0.99), 0.012, 13_200_000, {1: 182.2, 4: 103.4}, (), True) for name in names
    )
    shown = screen()
    monkeypatch.setattr(rendering, "console", lambda: shown)
    comparison_views.show_comparison(Comparison(tmp_path, entries, LONGEST, "Because."))
    lines = shown.export_text().splitlines()
    assert max(len(line.rstrip()) for line in lines if str(tmp_path) not in line) <= 80
    for name in names:
        [row] = [line.split() for line in lines if line.split()[:1] == [name]]
        assert row[1:] == ["96.7", "88-99", "%", "+1.2", "13.20", "182.2", "103.4", "*"]


def test_photos_whose_names_are_long_stay_apart():
    shown = screen()
    shown.print(_predicted([f"photos/{'a' * 70}_{number}.jpg" for number in (1, 2)]))
    text = "".join(shown.export_text().split())
    assert "a_1.jpg" in re.sub(r"[^\w.]", "", text.replace("rose0.900", ""))
    assert "a_2.jpg" in re.sub(r"[^\w.]", "", text.replace("rose0.900", ""))


def _predicted(names):
    table = rendering.table("photo", "label", "score>")
    for name in names:
        table.add_row(name, "rose", "0.900")
    return table


def test_a_confusion_matrix_too_wide_for_its_names_numbers_them():
    names = [f"a long name of class {number}" for number in range(1, 13)]
    counts = np.diag(np.arange(1, 13)) + np.eye(12, k=1, dtype=int) * 99
    shown = screen()
    shown.print(metrics_views.confusion_table(names, counts.tolist(), 80))
    lines = shown.export_text().splitlines()
    [head] = [line.split() for line in lines if "predicted" in line]
    assert head[-12:] == [str(number) for number in range(1, 13)]
    [row] = [line.split() for line in lines if "3 a long name of class 3" in line]
    assert row[7:] == [".", ".", "3", "99", *["."] * 8]
    assert max(map(len, lines)) <= 80
    narrow = screen()
    narrow.print(metrics_views.confusion_table(["daisy", "rose"], [[1, 0], [0, 2]], 80))
    assert "daisy   rose" in narrow.export_text()


def test_a_bar_that_counts_anew_states_what_is_left_of_that(monkeypatch):
    """Quantizing first runs photos, then continues with as many layers."""
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=80)
    monkeypatch.setattr(bars.rendering, "console", lambda **_: console)
    shown = bars.Bars()
    shown.begin("Quantize (dynamic)")
    shown.step(50, 50)
    shown.step(0, 50)
    console.print(shown.live.get_renderable())
    assert "0/50" in drawn.getvalue() and "50/50" not in drawn.getvalue()
    assert not shown.live.tasks[0].finished
