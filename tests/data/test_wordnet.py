"""The table of names: what words mean among ImageNet's classes."""

import pytest

from model_maker.data import imagenet, wordnet


def test_the_table_holds_every_class_and_what_is_above_it():
    # By hand from WordNet 3.0: terriers, hounds and so on are dogs, 118 of ImageNet's classes; bees are one.
    assert len(wordnet.find("dog").classes) == 118
    assert [imagenet.labels()[index] for index in wordnet.find("bee").classes] == ["bee"]
    assert [imagenet.labels()[index] for index in wordnet.find("wolf").classes] == [
        "timber wolf",
        "white wolf",
        "red wolf",
        "coyote",
    ]
    assert len(wordnet.find("entity").classes) == 1000


def test_every_label_of_imagenet_means_its_class_or_a_more_common_word():
    other = {label for index, label in enumerate(imagenet.labels()) if index not in wordnet.find(label).classes}
    # Of these words another meaning is more common in WordNet, and it has classes, too: an airplane is a plane.
    assert other == {"polecat", "brass", "plane", "pot", "screen", "shield", "tub", "upright", "plate"}
    assert wordnet.find("plane").others == ("carpenter's plane",)


@pytest.mark.parametrize(
    ("plural", "singular"),
    [("dogs", "dog"), ("foxes", "fox"), ("wolves", "wolf"), ("daisies", "daisy"), ("buses", "bus"), ("Cats", "cat")],
)
def test_plurals_mean_what_singulars_mean(plural, singular):
    assert wordnet.find(plural).classes == wordnet.find(singular).classes


def test_labels_that_are_told_apart_mean_their_class():
    assert wordnet.find("crane (bird)").classes == (134,) and wordnet.find("crane (machine)").classes == (517,)
    assert wordnet.find("crane").classes in {(134,), (517,)} and wordnet.find("crane").others


def test_hyphens_underscores_and_case_make_no_difference():
    assert wordnet.find("t_shirt") == wordnet.find("T-shirt") == wordnet.find("t shirt")


def test_the_nearest_names_are_by_spelling_or_by_word():
    assert "daisy" in wordnet.nearest("daissy")
    assert "rose hip" in wordnet.nearest("rose")
    assert wordnet.find("gryphon") is None and len(wordnet.nearest("gryphon")) <= 5


def test_the_licence_lies_beside_the_table():
    text = wordnet.LICENCE.read_text(encoding="utf-8")
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in text and "appear on ALL copies" in text
