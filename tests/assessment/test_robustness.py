"""Accuracy in each condition, of a model whose answers are known."""

import json

import numpy as np
import pytest
from PIL import Image

import model_maker
from model_maker.assessment import robustness_page
from model_maker.assessment.conditions import CONDITIONS, COVERED
from model_maker.errors import DataError
from model_maker.normalization import Normalization
from model_maker.tflite import graph, metadata

PIXELS = Normalization(mean=127.0, std=128.0)


@pytest.fixture(scope="module")
def warm_or_cold(tiny_embedder, tmp_path_factory):
    """A model that asks whether there is more red than blue, and photos that differ by little."""
    content = graph.attach_head(tiny_embedder, np.array([[9.0, 0, 0], [0, 0, 9.0]]), np.zeros(2))
    folder = tmp_path_factory.mktemp("warm")
    (folder / "m.tflite").write_bytes(metadata.write(content, metadata.ModelInfo(("warm", "cold"), PIXELS)))
    for name, color in (("warm", (130, 120, 110)), ("cold", (110, 120, 130))):
        (folder / "data" / name).mkdir(parents=True)
        for number in range(10):
            pixels = np.full((8, 8, 3), np.array(color) + number, np.uint8)
            Image.fromarray(pixels).save(folder / "data" / name / f"{number}.png")
    return folder


def test_only_the_condition_that_a_model_cannot_stand_costs_accuracy(warm_or_cold):
    found = model_maker.robustness(warm_or_cold / "m.tflite", warm_or_cold / "data")
    by_name = {one.name: one for one in found.conditions}
    assert list(by_name) == list(CONDITIONS) and found.photos == 20
    for name in ("as they are", "backlight", "motion blur", "focus blur", "farther", "nearer", "rotated"):
        assert by_name[name].top1 == 1 and by_name[name].change == 0
    # Half of the photos are made warm or cold against their class, by the toss of a coin.
    assert 0.2 <= by_name["white balance"].top1 <= 0.8
    assert by_name["white balance"].change == pytest.approx(by_name["white balance"].top1 - 1)
    low, high = by_name["white balance"].change_interval
    assert low < by_name["white balance"].change < high < 0
    # The rim still has the color: the background betrays it.
    assert by_name[COVERED].top1 == 1 and found.majority == 0.5 and found.betrayed


def test_the_record_is_json_and_the_page_shows_each_condition(warm_or_cold):
    found = model_maker.robustness(warm_or_cold / "m.tflite", warm_or_cold / "data")
    record = json.loads(json.dumps(found.as_dict()))
    assert record["background_betrays"] and [one["name"] for one in record["conditions"]] == list(CONDITIONS)
    page = robustness_page.render(found)
    assert page.count("data:image/jpeg") == 3 * len(CONDITIONS)
    assert "gives the class away" in page


def test_augmentation_needs_the_record_of_a_training_and_a_known_preset(warm_or_cold):
    with pytest.raises(DataError, match=r"run\.json"):
        model_maker.robustness(warm_or_cold / "m.tflite", warm_or_cold / "data", augment="light")
    with pytest.raises(DataError, match="choose one of"):
        model_maker.robustness(warm_or_cold / "m.tflite", warm_or_cold / "data", augment="lite")


@pytest.mark.slow
def test_what_augmentation_regains_is_measured_on_the_same_photos(trained):
    found = model_maker.robustness(trained["uint8"], augment="light")
    for one in found.conditions:
        assert one.augmented_top1 - one.top1 == pytest.approx(one.regained)
        assert one.regained_interval[0] <= one.regained <= one.regained_interval[1]
