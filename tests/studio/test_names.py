"""Names of classes: what a folder and a label can be on any system."""

import pytest

from model_maker.errors import DataError
from model_maker.studio import names


@pytest.mark.parametrize("name", ["rose", "Änne", "a b", "日本", "don't", "100%", "(x)"])
def test_names_of_people_are_taken(name):
    assert names.new_class(f" {name} ", ["tulip"]) == name


@pytest.mark.parametrize(
    "name",
    ["", "  ", ".", "..", ".git", "a/b", "a\\b", "C:", "<b>", "a|b", "a\0b", "a\nb", "con", "LPT1", "nul.txt", "a."]
    + ["train", "Test", "validation", "__MACOSX", "x" * 201, "tulip", "Tulip", "tu\u2028lip", 3, None, ["a"]],
)
def test_others_are_refused_in_one_line(name):
    with pytest.raises(DataError) as error:
        names.new_class(name, ["tulip"])
    assert "\n" not in str(error.value)


def test_decomposed_letters_are_composed():
    assert names.new_class("a\u0308", []) == "ä"
