"""`--why`: arrays that add up in --json, a folder of heat maps, and one line where there is nothing to explain."""

import json

import numpy as np
import pytest
from command import model_maker, said


def test_predict_explains_each_photo_and_names_training_photos(desk, tmp_path):
    photos = ["flowers/rose/rose_000.jpg", "flowers/tulip/tulip_001.jpg"]
    done = model_maker("predict", "flowers_model", *photos, "--why", tmp_path / "why", "--json", cwd=desk)
    assert done.returncode == 0, said(done)
    for row in json.loads(done.stdout):
        why = row["why"]
        assert why["label"] == row["predictions"][0]["label"]
        shares = np.array(why["shares"])
        assert shares.shape == (7, 7)
        assert shares.sum() + why["bias"] + why["unplaced"] == pytest.approx(why["logit"], abs=2e-4)
        np.testing.assert_allclose(sum(np.array(block) for block in why["blocks"].values()), shares, atol=1e-5)
        assert len(why["training_photos"]) == 3
    made = sorted(path.name for path in (tmp_path / "why").iterdir())
    assert made == ["index.html", "rose_000.png", "tulip_001.png"]


def test_evaluate_explains_errors_and_the_report_shows_them(desk, tmp_path):
    """Photos of daisies that are called roses: each answer is an error."""
    wrong = tmp_path / "wrong/rose"
    wrong.parent.mkdir()
    wrong.symlink_to(desk / "flowers/daisy", target_is_directory=True)
    (tmp_path / "wrong/tulip").symlink_to(desk / "flowers/sunflower", target_is_directory=True)
    done = model_maker(
        "evaluate", "flowers_model", "--data", tmp_path / "wrong", "--why", tmp_path / "why",
        "--report", tmp_path / "r.html", "--json", cwd=desk,
    )  # fmt: skip
    assert done.returncode == 0, said(done)
    errors = json.loads(done.stdout)["why"]
    assert errors and all(row["true"] != row["label"] for row in errors)
    assert len(list((tmp_path / "why").glob("*.png"))) == len(errors)
    assert (tmp_path / "r.html").read_text().count('alt="where ') == len(errors)


def test_a_folder_with_something_in_it_is_refused_before_any_work(desk, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for command in (["evaluate", "flowers_model"], ["predict", "flowers_model", "flowers/rose/rose_000.jpg"]):
        done = model_maker(*command, "--why", tmp_path, cwd=desk)
        assert done.returncode == 1 and str(tmp_path) in said(done)[1].replace("\n", "")
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
