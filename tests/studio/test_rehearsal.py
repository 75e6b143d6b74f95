"""What the studio does before anybody asks for a training."""

import pytest

from model_maker.errors import DataError
from model_maker.studio import rehearsal
from model_maker.studio.rehearsal import Rehearsal


@pytest.fixture
def trained(monkeypatch):
    """Where `train` wrote to; it writes a file, and takes a step before and after."""
    folders = []

    def train(data, output, progress):
        with progress.stage("Embed photos"):
            output.mkdir()
            (output / "model.tflite").write_bytes(b"x")
            folders.append(output)
            progress.step(1, 2)

    monkeypatch.setattr(rehearsal, "train", train)
    return folders


def test_it_leaves_no_model(workspace, trained):
    found = Rehearsal(workspace, lambda: False)
    assert found.is_due(20)
    found.hold(20)
    assert [folder.exists() for folder in trained] == [False]
    assert not any(workspace.photos.parent.rglob("*.tflite"))


@pytest.mark.parametrize(
    ("photos", "due"), [(0, False), (19, False), (20, False), (24, False), (25, True), (100, True), (100_000, False)]
)
def test_another_one_is_due_with_a_quarter_more_photos(workspace, trained, photos, due):
    found = Rehearsal(workspace, lambda: False)
    found.hold(20)
    assert found.is_due(photos) is due


def test_a_training_is_as_good(workspace):
    found = Rehearsal(workspace, lambda: False)
    found.spare(20)
    assert not found.is_due(20)


def test_it_ends_when_something_turns_up(workspace, trained):
    """It is due again afterwards, and has left nothing."""
    unwanted = iter([False, True])
    found = Rehearsal(workspace, lambda: next(unwanted))
    found.hold(20)
    assert [folder.exists() for folder in trained] == [False]
    assert found.is_due(20)


@pytest.mark.parametrize("error", [DataError("tulip has 1 photo"), OSError("gone"), KeyError("a bug")])
def test_one_that_fails_is_not_tried_again_on_the_same_photos(workspace, monkeypatch, error):
    def train(data, output, progress):
        raise error

    monkeypatch.setattr(rehearsal, "train", train)
    found = Rehearsal(workspace, lambda: False)
    found.hold(20)
    assert not found.is_due(20)
    assert found.is_due(21)
