"""What the studio shows of a model that it has not made itself."""

import json
from types import SimpleNamespace

import pytest
from card_values import CONTENT

from model_maker.studio import training_results


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.tflite").write_bytes(b"any")
    return SimpleNamespace(model=tmp_path / "model", side=tmp_path / "side")


def test_a_model_of_train_is_shown_by_its_metrics(workspace):
    (workspace.model / "metrics.json").write_text(json.dumps(CONTENT))
    found = training_results.kept(workspace)
    assert found["foreign"] and found["labels"] == ["rose", "a|b"]
    assert (found["top1"], found["interval"], found["photos"]) == (0.9284, [0.8694, 0.9616], 125)
    assert found["wrong"] == 9  # 7.16 % of 125
    assert found["confusions"] == [
        {"true": "rose", "answer": "a|b", "count": 2, "of": 20},
        {"true": "a|b", "answer": "rose", "count": 1, "of": 2},
    ]
    assert found["size_bytes"] == 3_957_394
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_model_without_readable_metrics_is_not_shown(workspace, content):
    if content:
        (workspace.model / "metrics.json").write_text(content)
    assert training_results.kept(workspace) is None
