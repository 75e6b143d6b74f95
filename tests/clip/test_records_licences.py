"""Towers whose licence has to be accepted: nothing is fetched before, and what is made of them says so."""

import numpy as np
import pytest
import tiny_towers

import model_maker
from model_maker.clip import records
from model_maker.clip.image import ImageTower
from model_maker.clip.text import TextTower
from model_maker.errors import BackboneError
from model_maker.progress import Progress
from model_maker.system import downloads
from model_maker.tflite import graph, metadata
from model_maker.zero_shot_learning import tiers
from model_maker.zero_shot_learning.phone_file import zero_shot_file

SAID = "tiny_mobileclip are for research only, under Somebody's licence (https://example.com/terms)."


@pytest.fixture
def tower(empty_cache, monkeypatch):
    """A tower with terms, its files put there by hand; a request would fail the test."""
    monkeypatch.setattr(downloads, "reachable", lambda url: pytest.fail(f"asked for {url}"))
    found = tiny_towers.record("mobileclip", activation="gelu")
    monkeypatch.setitem(records.TOWERS, found.name, found)
    tiny_towers.write(empty_cache / "weights" / found.name, found)
    return found


@pytest.mark.parametrize("make", [TextTower, ImageTower])
def test_without_the_licence_nothing_is_fetched(tower, empty_cache, make):
    with pytest.raises(BackboneError) as caught:
        make(tower.name)
    said = str(caught.value)
    assert SAID in said and "Nothing was downloaded." in said and "`accept_licence=some-licence`" in said
    assert not (empty_cache / "clip").exists()
    with pytest.raises(BackboneError, match="'MIT' is not its licence"):
        make(tower.name, accept_licence="MIT")
    make(tower.name, accept_licence="some-licence")
    with pytest.raises(BackboneError, match="research only"):  # now that it is in the cache, as before
        make(tower.name)


def test_an_accepted_licence_is_shown_and_stands_in_the_tower(tower):
    heard = Progress()
    TextTower(tower.name, accept_licence="some-licence", progress=heard)
    assert heard.notes == [
        "tiny_mobileclip is for research only, under Somebody's licence (https://example.com/terms)."
    ]
    stated = graph.parse(ImageTower(tower.name, accept_licence="some-licence").content).description.decode()
    assert "https://example.com/terms" in stated and "All of this is Somebody's." in stated


def test_other_towers_need_no_licence(empty_cache, monkeypatch):
    other = tiny_towers.record()
    monkeypatch.setitem(records.TOWERS, other.name, other)
    tiny_towers.write(empty_cache / "weights" / other.name, other)
    heard = Progress()
    TextTower(other.name, progress=heard)
    assert heard.notes == []


@pytest.fixture
def pile(tmp_path):
    from PIL import Image

    for number in range(2):
        noise = np.random.default_rng(number).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
    return tmp_path


CALLS = {
    "zero_shot": lambda pile, **more: model_maker.zero_shot(pile / "0.png", ["cat", "dog"], tier="pictures", **more),
    "search": lambda pile, **more: model_maker.search(pile, "a cat", tier="pictures", **more),
    "organize": lambda pile, **more: model_maker.organize(
        pile, pile.parent / "sorted", labels=["cat", "dog"], tier="pictures", **more
    ),
    "keywords": lambda pile, **more: model_maker.keywords(
        pile, pile.parent / "words", labels=["cat", "dog"], tier="pictures", **more
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_call_passes_the_accepted_licence_on(tower, pile, name):
    with pytest.raises(BackboneError, match="research only"):
        CALLS[name](pile, tower=tower.name)
    assert CALLS[name](pile, tower=tower.name, accept_licence="some-licence")


@pytest.mark.slow
def test_a_file_made_of_it_states_the_licence(tower, lite0, tmp_path):
    vectors = tiers.tower(tower.name, accept_licence="some-licence")
    made = zero_shot_file(["cat", "dog"], tmp_path / "made", vectors=vectors, tier="words")
    licence = metadata.read((made.directory / "model.tflite").read_bytes()).licence
    assert licence.startswith(
        "Apache-2.0; tiny_mobileclip, from which its kernels come: research only, under Somebody's"
    )
    assert licence.endswith("All of this is Somebody's.")
    card = (made.directory / "README.md").read_text(encoding="utf-8").replace("\\", "")
    assert f"| licence | {licence} |" in card
