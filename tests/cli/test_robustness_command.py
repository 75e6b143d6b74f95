"""`robustness`: its table, its document and its page."""

import json

from command import model_maker, said

from model_maker.assessment.conditions import CONDITIONS


def test_each_condition_has_a_row_and_the_page_appears(desk, tmp_path):
    done = model_maker("robustness", "flowers_model", "--page", tmp_path / "r.html", "--json", cwd=desk)
    assert done.returncode == 0, said(done)
    found = json.loads(done.stdout)
    assert [one["name"] for one in found["conditions"]] == list(CONDITIONS)
    assert found["photos"] == json.loads((desk / "train.json").read_text())["photos"]["test"]
    assert "object covered" in (tmp_path / "r.html").read_text()


def test_a_page_that_exists_and_an_unknown_preset_are_refused(desk, tmp_path):
    (tmp_path / "r.html").write_text("mine")
    for more in (["--page", tmp_path / "r.html"], ["--augment", "lite"]):
        done = model_maker("robustness", "flowers_model", *more, cwd=desk)
        assert done.returncode == 1 and len(said(done)[1].splitlines()) == 1
    assert (tmp_path / "r.html").read_text() == "mine"
