"""The report beside a model: what its page and plots say, from scores that were made up and counted by hand."""

import base64
import dataclasses
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from page_reader import NOTHING, Page, look_at
from PIL import Image
from whole_report import everything

from model_maker import evaluation, output_folder
from model_maker.data import thumbnails
from model_maker.data.dataset import Sample
from model_maker.errors import DataError
from model_maker.evaluation import ClassMetrics
from model_maker.inference.classifier import Scored
from model_maker.inference.training_report import Tried
from model_maker.normalization import Normalization
from model_maker.report import model_page, page_parts
from model_maker.tflite.metadata import ModelInfo

CLASSES = ("ant", "bee", "cat")
# Four ants, three bees, three cats. Wrong: an ant taken for a bee (0.9), a bee for an ant (0.6), a cat for a bee (0.8).
TRUTH = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
ANSWERS = [(0, 0.95), (0, 0.7), (0, 0.95), (1, 0.9), (1, 0.95), (1, 0.7), (0, 0.6), (2, 0.95), (2, 0.7), (1, 0.8)]


def make(folder, classes=CLASSES, *, suffix=""):
    """Ten photos on disk and what a made-up model says of them."""
    samples, scores = [], np.zeros((10, len(classes)), np.float32)
    for index, (truth, (answer, score)) in enumerate(zip(TRUTH, ANSWERS, strict=True)):
        path = folder / f"{index}{suffix}.jpg"
        exif = Image.Exif()
        exif[0x010F] = "secret maker"
        Image.new("RGB", (640, 480), (200, 40, 20 * index)).save(path, exif=exif)
        samples.append(Sample(path, truth, f"{index:064}"))
        scores[index] = (1 - score) / (len(classes) - 1)
        scores[index, answer] = score
    return Scored(tuple(samples), np.array(TRUTH), scores)


def render(*arguments, **options):
    return model_page.make(*arguments, **options)[output_folder.REPORT].decode()


def metrics(scored, classes=CLASSES):
    return evaluation.measure(scored.scores, scored.labels, classes)


@pytest.fixture
def scored(tmp_path):
    return make(tmp_path)


@pytest.fixture
def page(scored):
    return Page(render("insects", scored, metrics(scored), model="insects_model"))


def test_headline_is_the_measured_accuracy(page):
    assert "70.0 % correct on 10 test photos" in page.text
    # Wilson's interval of 7 of 10, from tables: 39.7 % to 89.2 %.
    assert "95 % interval 39.7 % to 89.2 %" in page.text


def test_classes_stand_in_a_table_the_weakest_first(page):
    # bee: 2 of 4 answers right, 2 of 3 photos found; ant: 3 of 4, 3 of 4; cat: 2 of 2, 2 of 3.
    assert page.tables["Every class"] == [
        ["class", "F1", "precision", "recall", "test photos"],
        ["bee", "0.571", "0.500", "0.667", "3"],
        ["ant", "0.750", "0.750", "0.750", "4"],
        ["cat", "0.800", "1.000", "0.667", "3"],
    ]


def test_confusion_counts_true_classes_by_answers(page):
    assert page.tables["Confusion matrix"] == [
        ["", "Predicted"],
        ["Actual", "ant", "bee", "cat"],
        ["ant", "3", "1", ""],
        ["bee", "1", "2", ""],
        ["cat", "", "1", "2"],
    ]
    assert page.tables["Confusion matrix in per cent"][2:] == [
        ["ant", "75", "25", ""],
        ["bee", "33", "67", ""],
        ["cat", "", "33", "67"],
    ]
    assert page.tables["Most frequent confusions"][1:] == [
        ["ant", "bee", "1", "25 %"],
        ["bee", "ant", "1", "33 %"],
        ["cat", "bee", "1", "33 %"],
    ]


def test_errors_stand_beside_correct_answers_of_their_class(page):
    # The class with the most confident error first; of each class the most, a middle and the least confident answer.
    shown = [(words[0], words[1], words[2].split("/")[-1]) for words in page.figures]
    ant = [("ant 0.95", "correct", "0.jpg"), ("ant 0.95", "correct", "2.jpg"), ("ant 0.70", "correct", "1.jpg")]
    cat = [("cat 0.95", "correct", "7.jpg"), ("cat 0.70", "correct", "8.jpg"), ("bee 0.80", "labeled cat", "9.jpg")]
    bee = [("bee 0.95", "correct", "4.jpg"), ("bee 0.70", "correct", "5.jpg"), ("ant 0.60", "labeled bee", "6.jpg")]
    assert shown == [*ant, ("bee 0.90", "labeled ant", "3.jpg"), *cat, *bee]
    assert "ant 3 of 4 correct" in page.text and "cat 2 of 3 correct" in page.text


def test_no_more_photos_than_a_page_carries(tmp_path):
    scored = make(tmp_path)
    scores = np.tile(scored.scores, (10, 1))  # 30 mistakes
    many = Scored(scored.samples * 10, np.tile(scored.labels, 10), scores)
    page = Page(render("insects", many, metrics(many), model="m"))
    # Ten of 0.9 and ten of 0.8 come before the first four of 0.6.
    errors = [words[0] for words in page.figures if words[1] != "correct"]
    assert errors == ["bee 0.90"] * 10 + ["bee 0.80"] * 10 + ["ant 0.60"] * 4
    assert len(page.figures) == 24 + 9  # three correct answers of each class


def test_of_many_classes_the_first_have_a_correct_answer_each(tmp_path):
    sample = make(tmp_path).samples[0]
    scores = np.eye(20, dtype=np.float32)
    scores[19, [19, 3]] = 0, 1  # class 19 is taken for class 3
    scored = Scored((sample,) * 20, np.arange(20), scores)
    classes = tuple(f"class {index}" for index in range(20))
    page = Page(render("m", scored, metrics(scored, classes), model="m"))
    shown = [(words[0], words[1]) for words in page.figures]
    # 12 classes: the one with the error, which has no correct answer, and the first eleven.
    correct = [(f"class {index} 1.00", "correct") for index in range(11)]
    assert shown == [("class 3 1.00", "labeled class 19"), *correct]


def test_calibration_in_figures(page):
    # Bins of 1/15: 0.6 lies in the tenth, 0.7 in the eleventh, 0.8 in the thirteenth, 0.9 in the fourteenth.
    assert page.tables["Calibration"][1:] == [
        ["0.60 to 0.67", "1", "0.600", "0.0 %"],
        ["0.67 to 0.73", "3", "0.700", "100.0 %"],
        ["0.80 to 0.87", "1", "0.800", "0.0 %"],
        ["0.87 to 0.93", "1", "0.900", "0.0 %"],
        ["0.93 to 1.00", "4", "0.950", "100.0 %"],
    ]
    # (0.6 + 3 * 0.3 + 0.8 + 0.9 + 4 * 0.05) / 10
    assert "ECE 0.340" in page.text


def test_everything_of_a_training_is_reported(scored):
    found = everything(metrics(scored))
    stages = page_parts.stage_rows(
        [{"name": "Embed photos", "seconds": 8.25, "cpu_seconds": 14.5, "peak_memory_mb": 300.4}]
    )
    learned = {"ant": 20, "bee": 18, "cat": 10}
    page = Page(render("insects", scored, found.test, found, model="a model", learned=learned, stages=stages))
    assert page.tables["Shipped and float model"][2][:3] == ["float", "80.0 %", "49.0 % to 94.3 %"]
    assert "3.96 MB float: 13.45 MB" in page.text and "48 training photos" in page.text
    assert "The model answers 90.0 % of the photos, and 77.8 % of these answers are correct" in page.text
    proven = [["all", "0.620", "90.0 %", "91.4 %"], ["cat", "0.735", "80.0 %", "50.0 %"]]
    assert page.tables["Proven thresholds"][1:] == proven
    assert "Accuracy with frozen features is 60.0 %; fine-tuning changed it by +10.0 percentage points" in page.text
    assert page.tables["Fine-tuning by epoch"][1:] == [
        ["0", "frozen", "-", "0.500", "75.0 %"],
        ["1", "tail", "0.800", "0.250", "87.5 %"],
    ]
    assert page.tables["Training stages"][1] == ["Embed photos", "8.2 s", "14.5 s", "300 MB"]
    assert [row[-1] for row in page.tables["Every class"]] == ["training photos", "18", "20", "10"]
    assert "model_maker predict 'a model' photo.jpg" in page.text


def test_scores_from_which_on_an_app_answers(page):
    # From 0.9 on: four of 0.95 and an ant taken for a bee, of 0.9, which is a score of at least 0.9 in float32.
    rows = {row[0]: row[1:] for row in page.tables["Score thresholds"][1:]}
    assert rows["0.50"] == ["100.0 % (10 of 10)", "70.0 % (7 of 10)"]
    assert rows["0.70"] == ["90.0 % (9 of 10)", "77.8 % (7 of 9)"]
    assert rows["0.90"] == ["50.0 % (5 of 10)", "80.0 % (4 of 5)"]
    assert rows["0.95"] == ["40.0 % (4 of 10)", "100.0 % (4 of 4)"]


def test_where_the_model_comes_from_and_what_lies_beside(scored):
    provenance = {"model_maker": "1.2.3", "options": {"model": "lite9", "quantize": "int8", "io": "uint8"}}
    origin = page_parts.origin(provenance, trained="2026-01-02T03:04:05+00:00")
    links = page_parts.links(["model.tflite", "confusion.png"])
    page = Page(render("m", scored, metrics(scored), model="m", origin=origin, links=links))
    said = "backbone lite9 quantization int8, uint8 input and output trained 2026-01-02 03:04 UTC Model Maker 1.2.3"
    assert said in page.text
    assert page.addresses[:2] == ["model.tflite", "confusion.png"]
    assert page_parts.links(["confusion.png"], Path("my page#1.html"))[0][0] == "my%20page%231_confusion.png"


@pytest.mark.parametrize("provenance", [{}, {"options": 3}, {"options": {}, "budget": None}])
def test_files_of_others_say_less_of_where_they_come_from(provenance):
    assert page_parts.origin(provenance, evaluated="2026-01-02T03:04:05+02:00") == [
        ("evaluated", "2026-01-02 03:04 UTC+02:00")
    ]


def test_a_budget_names_the_form_that_it_chose():
    provenance = {"options": {"model": "b", "fine_tune": "tail", "quantize": "int8"}, "budget": {"chosen": "float16"}}
    assert page_parts.origin(provenance) == [
        ("backbone", "b, fine-tuned"),
        ("quantization", "float16, float32 input and output"),
    ]


@pytest.mark.slow
def test_the_page_passes_axe_and_fits_a_phone(scored, tmp_path):
    test, stages = metrics(scored), [("Fit", "1.0 s", "1.0 s", "90 MB")]
    text = render(
        "insects", scored, test, everything(test), model="m", stages=stages, links=page_parts.links(["run.json"])
    )
    seen = look_at(text, tmp_path)
    assert seen["pages"] == NOTHING


@pytest.mark.slow
def test_the_slider_says_what_numpy_counts(scored, tmp_path):
    random = np.random.default_rng(3)
    scores = random.dirichlet(np.full(3, 0.4), 500).astype(np.float32)
    scores = np.round(scores * 255) / 256  # as an int8 file gives them
    many = Scored(scored.samples * 50, random.integers(0, 3, 500), scores.astype(np.float32))
    seen = look_at(render("insects", many, metrics(many), model="m"), tmp_path)
    assert seen["without_script"] == {"slider": False, "table": True}
    best, right = many.scores.max(axis=1), many.scores.argmax(axis=1) == many.labels
    assert [entry["at"] for entry in seen["slider"]] == [0, 50, 51, 100]
    for entry in seen["slider"]:
        said = best >= np.float32(entry["at"] / 100)
        shares = f"{100 * said.mean():.1f} % ({said.sum()} of 500)", "none"
        if said.any():
            hits = right[said]
            shares = shares[0], f"{100 * hits.mean():.1f} % ({hits.sum()} of {said.sum()})"
        assert entry["shown"] == [f"{entry['at'] / 100:.2f}", *shares]
        assert entry["said"] == f"{entry['shown'][0]}, answered {shares[0]}, correct {shares[1]}"


def test_hostile_names_stay_text(tmp_path):
    classes = ("<script>alert(1)</script>", '" onload="alert(2)', "c&amp;t")
    scored = make(tmp_path, classes, suffix="<img src=x onerror=alert(3)>")
    name = "</title><script>alert(4)</script>"
    text = render(name, scored, metrics(scored, classes), model="</pre><script>x")
    page = Page(text)
    tags = [tag for tag, _ in page.tags]
    # Three errors, and what is right of each class: three, two and two.
    assert tags.count("script") == 2 and tags.count("img") == 10
    assert "<script>alert" not in text
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
    assert page.tables["Confusion matrix"][1][1:] == list(classes)
    assert name in page.text and "onerror=alert(3)>.jpg" in page.figures[0][2]


def test_page_needs_nothing_else(scored):
    text = render("insects", scored, metrics(scored), model="m")
    found = Page(text).addresses
    assert len(found) == 10 and all(address.startswith("data:image/jpeg;base64,") for address in found)
    assert not re.search(r"url\((?!#)|@import|https?:", text)


def test_page_can_be_used_without_eyes_or_mouse(page):
    assert ("html", {"lang": "en"}) in page.tags
    assert [tag for tag, _ in page.tags if tag in ("h1", "h2")].count("h1") == 1
    regions = [attributes for _, attributes in page.tags if attributes.get("role") == "region"]
    assert len(regions) >= 4 and all(found["tabindex"] == "0" and found["aria-label"] for found in regions)
    assert all(attributes.get("scope") in ("row", "col", "colgroup") for tag, attributes in page.tags if tag == "th")
    assert all(attributes["aria-label"] for tag, attributes in page.tags if tag == "svg")
    assert [attributes["alt"] for tag, attributes in page.tags if tag == "img"] == [
        *["ant, classified correctly"] * 3,
        "ant, classified as bee",
        *["cat, classified correctly"] * 2,
        "cat, classified as bee",
        *["bee, classified correctly"] * 2,
        "bee, classified as ant",
    ]


def test_a_photo_that_is_gone_is_named_without_a_picture(scored):
    scored.samples[3].path.unlink()
    page = Page(render("insects", scored, metrics(scored), model="m"))
    assert len(page.addresses) == 9
    assert page.figures[3][0] == "no picture" and "bee 0.90" in page.figures[3]


def test_nothing_wrong_is_reported(scored):
    right = Scored(scored.samples, scored.scores.argmax(axis=1), scored.scores)
    page = Page(render("insects", right, metrics(right), model="m"))
    assert "Every test photo is classified correctly" in page.text
    assert page.figures and all("correct" in words for words in page.figures)


def test_a_hundred_classes_and_ten_thousand_photos_stay_small(tmp_path):
    sample = make(tmp_path).samples[0]
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    Image.fromarray(noise).save(sample.path)  # what JPEG does worst
    random = np.random.default_rng(1)
    labels, scores = random.integers(0, 100, 10_000), random.random((10_000, 100), np.float32)
    scored = Scored((sample,) * 10_000, labels, scores)
    classes = tuple(f"a species with a rather long name {index}" for index in range(100))
    text = render("birds", scored, metrics(scored, classes), model="m")
    assert len(text.encode()) < 3_000_000
    assert len(Page(text).tables["Confusion matrix"]) == len(Page(text).tables["Confusion matrix in per cent"]) == 102


def test_of_a_thousand_classes_the_most_confused_are_shown(scored):
    confusion = np.diag(np.full(1000, 5))
    confusion[7, 900] = 3  # the only mistakes
    labels = [f"class {index}" for index in range(1000)]
    measured = tuple(ClassMetrics(label, 0.5, 0.5, 0.5, 5) for label in labels)
    test = dataclasses.replace(metrics(scored), per_class=measured, confusion=confusion)
    text = render("m", Scored(scored.samples[:1], np.array([0]), np.eye(1, 1000)), test, model="m")
    table = Page(text).tables["Confusion matrix"]
    assert len(table) == 152 and {"class 7", "class 900"} < set(table[1]) and "class 500" not in table[1]


def test_thumbnails_are_small_upright_and_bare(tmp_path):
    photo, exif = Image.new("RGB", (4000, 1000), (0, 0, 255)), Image.Exif()
    photo.paste((255, 0, 0), (0, 0, 2000, 1000))  # the left half is red
    exif[0x0112] = 6  # to be turned to the right: what is on the left comes to the top
    photo.save(tmp_path / "photo.jpg", exif=exif)
    address = thumbnails.address(tmp_path / "photo.jpg", 200)
    small = Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))))
    assert small.size == (50, 200) and not small.getexif()
    top, bottom = small.getpixel((25, 40)), small.getpixel((25, 160))
    assert top[0] > 200 > top[2] and bottom[2] > 200 > bottom[0]


def test_fitting_the_head_shows_the_path_of_its_losses(scored):
    found = everything(metrics(scored), Tried(0.3, 0.8), Tried(0.1, 0.4), Tried(0.03, 0.5))
    page = Page(render("m", scored, found.test, found, model="m"))
    assert page.tables["Regularization"][1:] == [["0.3", "0.8000"], ["0.1", "0.4000"], ["0.03", "0.5000"]]
    assert "0.1 has the lowest. The head classifies 87.5 % of them correctly." in page.text
    assert "Loss of held-out photos by regularization; the data are in the table below" in [
        attributes.get("aria-label") for _, attributes in page.tags
    ]


def test_plots_are_made_beside_the_page(scored):
    always = {"report.html", "confusion.png", "calibration.png", "per_class.png"}
    assert set(model_page.make("m", scored, metrics(scored), model="m")) == always
    found = everything(metrics(scored), Tried(0.3, 0.8))
    assert set(model_page.make("m", scored, found.test, found, model="m")) == always | {"head.png", "fine_tuning.png"}


def test_what_the_figures_show_is_what_was_measured(scored):
    test = metrics(scored)
    history = everything(test).fine_tuning.history
    wanted = model_page.wanted(scored, test, (Tried(0.03, 0.8),), history)
    assert wanted["interval.svg"].data == {
        "low": pytest.approx(0.397, abs=5e-4),
        "value": 0.7,
        "high": pytest.approx(0.892, abs=5e-4),
    }
    assert wanted["confusion.png"].data == {"labels": list(CLASSES), "counts": [[3, 1, 0], [1, 2, 0], [0, 1, 2]]}
    # Bins of 1/15, see above.
    assert wanted["calibration.svg"].data["photos"] == [0] * 9 + [1, 3, 0, 1, 1, 4]
    assert wanted["calibration.svg"].data["right"] == [0] * 9 + [0, 3, 0, 0, 0, 4]
    assert wanted["per_class.png"].data["scores"]["recall"] == pytest.approx([0.75, 2 / 3, 2 / 3], abs=1e-4)
    assert wanted["head.png"].data["ticks"] == ["0.03"] and wanted["head.png"].data["series"] == {"held out": [0.8]}
    assert wanted["fine_tuning.svg"].data["series"] == {"training": [None, 0.8], "validation": [0.5, 0.25]}


@pytest.mark.parametrize(
    ("classes", "content", "message"),
    [
        ({"ant": 5, "bee": 4, "cat": 4}, "{}", "metrics.json is not as `train` wrote it: test is missing"),
        ({"ant": 5, "bee": 4, "cat": 4}, None, "metrics.json: No such file or directory"),
        ({"dog": 5}, "{}", "is not as `train` wrote it .KeyError"),
    ],
)
def test_records_that_are_not_as_written_are_one_clear_line(scored, tmp_path, classes, content, message):
    run = {"options": {}, "data": "photos", "fingerprint": "f", "classes": classes, "stages": []}
    (tmp_path / "run.json").write_text(json.dumps(run))
    if content:
        (tmp_path / "metrics.json").write_text(content)
    info, page = ModelInfo(CLASSES, Normalization(127.0, 128.0)), tmp_path / "page.html"
    with pytest.raises(DataError, match=rf"{message}.* Pass `data=DIR`\.$"):
        model_page.write(page, info, scored, metrics(scored), model=str(tmp_path), own_test=True)
    assert not page.exists()
