import numpy as np
import pytest

from model_maker.errors import DataError
from model_maker.learning.checkpoint import open_checkpoint

SUBJECT = {"model": "efficientnet_lite0", "epochs": 10, "photos": "ab12"}
ARRAYS = {"state:model/0": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.array(4)}


def test_what_was_saved_is_read_back(empty_cache, tmp_path):
    open_checkpoint(tmp_path / "out", SUBJECT, resume=False).save({"phase": "tail", "spent": 1.5}, ARRAYS)
    facts, arrays = open_checkpoint(tmp_path / "out", SUBJECT, resume=True).load()
    assert facts == {"phase": "tail", "spent": 1.5}
    assert set(arrays) == set(ARRAYS)
    for name, values in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], values)


def test_is_of_one_output_folder(empty_cache, tmp_path):
    open_checkpoint(tmp_path / "out", SUBJECT, resume=False).save({}, {})
    with pytest.raises(DataError, match="no unfinished fine-tuning of .*other to resume. Leave `resume=True` out"):
        open_checkpoint(tmp_path / "other", SUBJECT, resume=True)


def test_without_resume_nothing_is_loaded(empty_cache, tmp_path):
    open_checkpoint(tmp_path / "out", SUBJECT, resume=False).save({"phase": "tail"}, ARRAYS)
    assert open_checkpoint(tmp_path / "out", SUBJECT, resume=False).load() == ({}, {})


def test_another_subject_is_refused_with_the_differences(empty_cache, tmp_path):
    open_checkpoint(tmp_path / "out", SUBJECT, resume=False).save({}, {})
    with pytest.raises(DataError) as refusal:
        open_checkpoint(tmp_path / "out", {**SUBJECT, "epochs": 20, "photos": "cd34"}, resume=True)
    assert "epochs was 10, is 20; photos was ab12, is cd34" in str(refusal.value)
    assert "model" not in str(refusal.value).split("another one:")[1].split(". Give")[0]


def test_a_damaged_file_is_named(empty_cache, tmp_path):
    found = open_checkpoint(tmp_path / "out", SUBJECT, resume=False)
    found.save({}, ARRAYS)
    content = found.path.read_bytes()
    for damaged in (b"", b"no archive", content[: len(content) // 2]):
        found.path.write_bytes(damaged)
        with pytest.raises(DataError, match="is damaged"):
            open_checkpoint(tmp_path / "out", SUBJECT, resume=True)


def test_is_forgotten_when_the_work_is_done(empty_cache, tmp_path):
    found = open_checkpoint(tmp_path / "out", SUBJECT, resume=False)
    found.save({}, ARRAYS)
    found.remove()
    found.remove()
    assert not found.path.exists()
