"""Labels as people give them."""

import pytest

from model_maker.errors import DataError
from model_maker.zero_shot_learning import label_names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat,dog", ["cat", "dog"]),
        (" cat , polar bear ", ["cat", "polar bear"]),
        ('cat,"dog, barking"', ["cat", "dog, barking"]),
        ("cat,,dog", ["cat", "", "dog"]),
    ],
)
def test_a_line_is_read_as_csv(text, expected):
    assert label_names.parse(text) == expected


def test_a_file_has_one_a_line(tmp_path):
    (tmp_path / "names.txt").write_text("cat, domestic\n\ndog\n", encoding="utf-8")
    assert label_names.parse(str(tmp_path / "names.txt")) == ["cat, domestic", "dog"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "no labels"),
        (["cat"], "one label, 'cat'"),
        (["cat", "dog", "Cat"], "same word: cat, Cat"),
        (["cat", ""], "''"),
        (["cat", "a\nb"], "not one line"),
        (["cat", 3], "3"),
    ],
)
def test_what_cannot_be_told_apart_is_refused_in_one_line(given, said):
    with pytest.raises(DataError, match=said) as caught:
        label_names.check(given)
    assert "\n" not in str(caught.value).replace("a\\nb", "")


def test_an_open_quotation_mark_is_refused():
    with pytest.raises(DataError, match="quotation mark"):
        label_names.parse('cat,"dog')


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "names.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match="cannot be read as labels"):
        label_names.parse(str(tmp_path / "names.txt"))
