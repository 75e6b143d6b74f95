"""`model_maker label`: which photos to label first."""

import json

import pytest

from model_maker.cli import main, parse


def run(*words):
    return main(parse(["model_maker", "label", *map(str, words)]))


def test_the_queue_names_photos_and_guesses(drawn_flowers, capsys):
    pile = drawn_flowers / "rose"
    assert run(drawn_flowers, "--unlabelled", pile, "--top", "4", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["photos"]
    assert len({row["path"] for row in rows}) == 4
    for row in rows:
        assert row["path"].startswith(str(pile))
        assert row["guess"] == "rose"  # it has seen them labeled
        assert 0 < row["score"] <= 1


def test_the_table_has_a_line_for_each(drawn_flowers, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run(drawn_flowers, "--unlabelled", drawn_flowers / "rose", "--top", "4") == 0
    head, _, *lines = capsys.readouterr().out.strip().splitlines()
    assert head.split() == ["photo", "looks", "like", "score"]
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--unlabelled", "nothing"), "is not a folder"),
        (("--unlabelled", "empty"), "holds no photos"),
        (("--unlabelled", "broken"), "None of 1 photos can be read"),
        (("--unlabelled", "broken", "--top", "0"), "--top 0: give 1 or more"),
    ],
)
def test_bad_input_is_one_line(drawn_flowers, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "broken"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken/1.jpg").symlink_to(tmp_path / "gone.jpg")
    assert run(drawn_flowers, *words) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.strip().count("\n") == 0 or "List photos" in error
