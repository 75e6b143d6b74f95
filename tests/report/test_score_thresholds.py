"""Rows behind the slider, counted by hand."""

import numpy as np
import pytest

from model_maker.inference.classifier import Scored
from model_maker.report import score_thresholds


def at(rows, score):
    [row] = [row[1:] for row in rows if row[0] == score]
    return row


def test_photos_with_one_label():
    scores = np.array([[0.9, 0.1], [0.3, 0.7], [0.45, 0.55], [0.2, 0.8]], np.float32)
    rows = score_thresholds.rows(Scored((), np.array([0, 0, 1, 1]), scores))
    assert len(rows) == 101 and [rows[0][0], rows[100][0]] == ["0.00", "1.00"]
    assert at(rows, "0.55") == ("100.0 % (4 of 4)", "75.0 % (3 of 4)")
    assert at(rows, "0.56") == ("75.0 % (3 of 4)", "66.7 % (2 of 3)")
    assert at(rows, "0.80") == ("50.0 % (2 of 4)", "100.0 % (2 of 2)")
    # 0.9 in float32, the score of a file, reaches 0.9 in an app, although it is less than 0.9 in float64.
    assert at(rows, "0.90") == ("25.0 % (1 of 4)", "100.0 % (1 of 1)")
    assert at(rows, "0.91") == ("0.0 % (0 of 4)", "none")


def test_photos_with_several_labels():
    scores = np.array([[0.9, 0.6, 0.1], [0.8, 0.2, 0.7]], np.float32)
    labels = np.array([[True, True, False], [False, True, True]])
    rows = score_thresholds.rows(Scored((), labels, scores))
    # Four labels that photos have, with the scores 0.9, 0.6, 0.2 and 0.7; one of 0.8 that its photo lacks.
    assert at(rows, "0.50") == ("75.0 % (3 of 4)", "75.0 % (3 of 4)")
    assert at(rows, "0.75") == ("25.0 % (1 of 4)", "50.0 % (1 of 2)")
    assert at(rows, "0.85") == ("25.0 % (1 of 4)", "100.0 % (1 of 1)")


@pytest.mark.parametrize("seed", range(5))
def test_every_row_is_what_numpy_counts(seed):
    random = np.random.default_rng(seed)
    scores = random.integers(0, 257, (40, 3)).astype(np.float32) / 256
    labels = random.integers(0, 3, 40)
    for index, row in enumerate(score_thresholds.rows(Scored((), labels, scores))):
        said = scores.max(axis=1) >= np.float32(index / 100)
        right = said & (scores.argmax(axis=1) == labels)
        assert row[1].endswith(f"({said.sum()} of 40)")
        assert row[2] == "none" or row[2].endswith(f"({right.sum()} of {said.sum()})")
