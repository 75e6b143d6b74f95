"""The report of a model of several labels a photo, from scores that were made up."""

import numpy as np
import pytest
from page_reader import NOTHING, Page, look_at
from PIL import Image

from model_maker import multi_label_metrics, output_folder
from model_maker.data.dataset import Sample
from model_maker.inference.classifier import Scored
from model_maker.report import multi_label_page, page_parts

LABELS = ("ant", "bee")
# By the threshold 0.5: right, right, one lacking by 0.3, one too many by 0.4, right without a label.
SCORES = np.array([[0.9, 0.8], [0.7, 0.1], [0.9, 0.2], [0.9, 0.6], [0.1, 0.2]], np.float32)
TRUTH = np.array([[True, True], [True, False], [True, True], [False, True], [False, False]])


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for index in range(5):
        Image.new("RGB", (64, 48), (200, 40, 20 * index)).save(folder / f"{index}.jpg")
    samples = tuple(Sample(folder / f"{index}.jpg", 0, f"{index:064}") for index in range(5))
    test = multi_label_metrics.measure(SCORES, TRUTH, LABELS, np.array([0.5, 0.5]))
    links = page_parts.links(["model.tflite"])
    made = multi_label_page.make("m", Scored(samples, TRUTH, SCORES), test, model="m", links=links)
    return made[output_folder.REPORT].decode()


def test_errors_stand_beside_correct_answers(text):
    page = Page(text)
    shown = [[words.strip() for words in figure if words.strip()][:-1] for figure in page.figures]
    assert shown == [
        ["ant 0.90", "bee 0.60", "labeled bee"],
        ["ant 0.90", "labeled ant, bee"],
        ["ant 0.90", "bee 0.80", "correct"],
        ["ant 0.70", "correct"],
        ["no label", "correct"],
    ]
    assert "2 of 5 photos have a wrong label or lack one" in page.text and page.addresses[0] == "model.tflite"


def test_the_curves_are_a_table_too(text):
    # bee: found at 0.8 and 0.6, then a photo without it and the last one share 0.2; ant by 0.9 twice and once wrong.
    rows = {row[0]: row[1:] for row in Page(text).tables["Precision by recall"][1:]}
    assert Page(text).tables["Precision by recall"][0][1:] == [
        "25 % found",
        "50 % found",
        "75 % found",
        "90 % found",
        "100 % found",
    ]
    assert rows["bee"] == ["100.0 %", "100.0 %", "75.0 %", "75.0 %", "75.0 %"]
    assert rows["ant"] == ["66.7 %", "66.7 %", "75.0 %", "75.0 %", "75.0 %"]


@pytest.mark.slow
def test_the_page_passes_axe_and_fits_a_phone(text, tmp_path):
    seen = look_at(text, tmp_path)
    assert seen["pages"] == NOTHING
    assert seen["slider"][0]["said"] == "0.00, labels found 100.0 % (6 of 6), correct of those shown 60.0 % (6 of 10)"
