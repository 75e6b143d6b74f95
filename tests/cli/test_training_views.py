"""What the terminal shows of results."""

import dataclasses
import shutil

import numpy as np
import pytest

from model_maker import cli, evaluation
from model_maker.cli import training_views
from model_maker.inference import training_report
from model_maker.inference.classifier import Scored
from model_maker.inference.training_report import TrainingReport
from model_maker.training.result import Result


def shown(trained, classes, capsys):
    """The row of the summary that names the classes."""
    scored = Scored((), np.arange(len(classes)), np.eye(len(classes)))
    metrics = evaluation.measure(scored.scores, scored.labels, classes)
    report = dataclasses.replace(training_report.read(trained["uint8"], TrainingReport), test=metrics)
    training_views.show_training(Result(trained["uint8"], report, 1.0, scored=scored))
    lines = capsys.readouterr().out.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("classes"))
    end = next(number for number, line in enumerate(lines) if line.startswith("layers"))
    return " ".join(" ".join(lines[begin:end]).split())


@pytest.mark.parametrize(
    ("classes", "row"),
    [
        (("training_set", "test_set"), "classes 2: training_set, test_set"),
        (("[red]", "b"), "classes 2: [red], b"),
        (tuple(f"c{n}" for n in range(12)), "classes 12: " + ", ".join(f"c{n}" for n in range(12))),
        (tuple(f"c{n}" for n in range(14)), "classes 14: " + ", ".join(f"c{n}" for n in range(12)) + " and 2 more"),
    ],
)
def test_the_summary_of_a_training_names_the_classes(trained, capsys, monkeypatch, classes, row):
    monkeypatch.setenv("COLUMNS", "200")
    assert shown(trained, classes, capsys) == row


@pytest.mark.slow
def test_a_run_that_only_adds_classes_names_the_edit_that_does_it(drawn_flowers, trained, tmp_path, capsys):
    fewer = tmp_path / "fewer"
    shutil.copytree(drawn_flowers, fewer, ignore=shutil.ignore_patterns("tulip"))
    words = ["train", "--data", fewer, "--init-from", trained["uint8"], "--output", tmp_path / "model"]
    assert cli.main(cli.parse(["model_maker", *map(str, words)])) == 0
    shown = " ".join(capsys.readouterr().err.split())
    assert "--remove tulip` does it without training" in shown
