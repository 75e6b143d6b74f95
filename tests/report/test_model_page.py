"""The report beside a model: what its page and plots say, from scores that were made up and counted by hand."""

import base64
import io
import json
import re
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from checkout import HELPERS
from PIL import Image

from model_maker import evaluation, output_folder
from model_maker.data import thumbnails
from model_maker.data.dataset import Sample
from model_maker.demo import browser
from model_maker.inference.classifier import Scored
from model_maker.report import model_page

CLASSES = ("ant", "bee", "cat")
# Four ants, three bees, three cats. Wrong: an ant taken for a bee (0.9), a bee for an ant (0.6), a cat for a bee (0.8).
TRUTH = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
ANSWERS = [(0, 0.95), (0, 0.7), (0, 0.95), (1, 0.9), (1, 0.95), (1, 0.7), (0, 0.6), (2, 0.95), (2, 0.7), (1, 0.8)]
MISTAKES = [("bee 0.90", "labeled ant"), ("bee 0.80", "labeled cat"), ("ant 0.60", "labeled bee")]

VOID = {"meta", "img", "line", "rect", "circle", "path", "br"}


class Page(HTMLParser):
    """What a browser would make of a page: tables by their names, figures, attributes, words."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.figures, self.addresses, self.tags, self.words = {}, [], [], [], []
        self._region, self._inside = None, []
        self.feed(text)

    def handle_starttag(self, tag, pairs):
        attributes = dict(pairs)
        self.tags.append((tag, attributes))
        found = [value for name, value in pairs if name in ("src", "href", "srcset", "action", "data")]
        self.addresses += [address for address in found if not address.startswith("#")]
        if attributes.get("role") == "region":
            self._region = self.tables.setdefault(attributes["aria-label"], [])
        if tag == "tr":
            self._region.append([])
        if tag in ("td", "th"):
            self._region[-1].append("")
        if tag == "figure":
            self.figures.append([])
        self._inside = [tag] if tag in ("td", "th", "figure") else self._inside + [tag] * (tag not in VOID)

    def handle_endtag(self, tag):
        if tag in ("td", "th", "table", "figure"):
            self._inside = []

    def handle_data(self, text):
        self.words.append(text)
        if self._inside[:1] in (["td"], ["th"]) and self._region and self._region[-1]:
            self._region[-1][-1] += text.strip()
        elif self._inside[:1] == ["figure"]:
            self.figures[-1].append(text)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


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
    return evaluation.measure(scored.scores, scored.labels, classes).as_dict()


def everything(test):
    """What `metrics.json` holds where nothing is left out."""
    return {
        "test": test,
        "float": test | {"top1": 0.8, "top1_interval": [0.49, 0.943]},
        "agreement": {"same_top1": 0.9, "largest_difference": 0.25},
        "sizes": {"model_bytes": 3_957_394, "float_model_bytes": 13_450_000},
        "photos": {"train": 40, "validation": 8, "test": 10},
        "thresholds": {
            "all": {"score": 0.62, "precision": 0.9, "bound": 0.914},
            "labels": {"cat": {"score": 0.735, "precision": 0.8, "bound": 0.5}},
            "test": {"coverage": 0.9, "precision": 7 / 9, "precision_interval": [0.453, 0.937]},
        },
        "trade_off": [{"score": 0.75, "coverage": 0.6, "precision": 4 / 6}],
        "fine_tuning": {
            "frozen_top1": 0.6,
            "against_frozen": {"accuracy_change": 0.1, "accuracy_change_interval": [-0.2, 0.4]},
            "history": [
                {"phase": "frozen", "epoch": 0, "validation_loss": 0.5, "validation_top1": 0.75},
                {"phase": "tail", "epoch": 1, "loss": 0.8, "validation_loss": 0.25, "validation_top1": 0.875},
            ],
        },
    }


def run(name, **more):
    """A runtime of a certificate."""
    return {
        "name": name,
        "pixels": "own",
        "state": "ran",
        "photos": 10,
        "right": 7,
        "unknown": 2,
        "same_answer": 9,
        "largest_difference": 0.0125,
    } | more


CERTIFICATE = {
    "passed": False,
    "photos": 10,
    "sha256": "12ab",
    "failures": ["Engine refuses it: an <operator>"],
    "runtimes": [
        run("LiteRT", pixels="same", unknown=0),
        run("Task Library"),
        run("Engine", state="refused", right=None, same_answer=None),
        run("Other", state="not here", right=None, same_answer=None),
        run("Bare", right=None, same_answer=None),
    ],
    "apps": [
        run("Sample", pixels="nearest"),
        run("Other sample", pixels="nearest", state="refused", right=None, same_answer=None),
    ],
    "notes": ["one photo is <damaged>"],
    "remarks": ["Other is not here. Get it."],
    "self_test": [],
    "rules": [
        {"demand": "labels", "by": "MediaPipe", "binding": True, "passed": True},
        {"demand": "one input", "by": "both", "binding": True, "passed": False},
        {"demand": "spare labels", "by": "samples", "binding": False, "passed": False},
    ],
}


@pytest.fixture
def scored(tmp_path):
    return make(tmp_path)


@pytest.fixture
def page(scored):
    return Page(render("insects", scored, {"test": metrics(scored)}, model="insects_model"))


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
        ["true / predicted", "ant", "bee", "cat"],
        ["ant", "3", "1", ""],
        ["bee", "1", "2", ""],
        ["cat", "", "1", "2"],
    ]
    assert page.tables["Most frequent confusions"][1:] == [
        ["ant", "bee", "1", "25 %"],
        ["bee", "ant", "1", "33 %"],
        ["cat", "bee", "1", "33 %"],
    ]


def test_mistakes_are_the_surest_first(page):
    assert [(words[0], words[1]) for words in page.figures] == MISTAKES
    assert [words[2].split("/")[-1] for words in page.figures] == ["3.jpg", "9.jpg", "6.jpg"]


def test_no_more_mistakes_than_a_page_carries(tmp_path):
    scored = make(tmp_path)
    scores = np.tile(scored.scores, (10, 1))  # 30 mistakes
    many = Scored(scored.samples * 10, np.tile(scored.labels, 10), scores)
    page = Page(render("insects", many, {"test": metrics(many)}, model="m"))
    # Ten of 0.9 and ten of 0.8 come before the first four of 0.6.
    assert [words[0] for words in page.figures] == ["bee 0.90"] * 10 + ["bee 0.80"] * 10 + ["ant 0.60"] * 4


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
    stages = [{"name": "Embed photos", "seconds": 8.25, "cpu_seconds": 14.5, "peak_memory_mb": 300.4}]
    learned = {"ant": 20, "bee": 18, "cat": 10}
    page = Page(render("insects", scored, found, model="a model", learned=learned, stages=stages))
    assert page.tables["Shipped and float model"][2][:3] == ["float", "80.0 %", "49.0 % to 94.3 %"]
    assert "3.96 MB float: 13.45 MB" in page.text and "48 training photos" in page.text
    assert "The model answers 90.0 % of the photos, and 77.8 % of these answers are correct" in page.text
    assert page.tables["Thresholds"][1:] == [["all", "0.620", "90.0 %", "91.4 %"], ["cat", "0.735", "80.0 %", "50.0 %"]]
    assert page.tables["Other thresholds"][1:] == [["0.75", "60.0 %", "66.7 %"]]
    assert "Accuracy with frozen features is 60.0 %; fine-tuning changed it by +10.0 percentage points" in page.text
    assert page.tables["Fine-tuning by epoch"][1:] == [
        ["0", "frozen", "-", "0.500", "75.0 %"],
        ["1", "tail", "0.800", "0.250", "87.5 %"],
    ]
    assert page.tables["Training stages"][1] == ["Embed photos", "8.2 s", "14.5 s", "300 MB"]
    assert [row[-1] for row in page.tables["Every class"]] == ["training photos", "18", "20", "10"]
    assert "model_maker predict 'a model' photo.jpg" in page.text


def test_the_certificate_is_shown(scored):
    page = Page(render("m", scored, {"test": metrics(scored)}, model="m", certificate=CERTIFICATE))
    assert "Failed , run on 10 photos. SHA-256 of the file: 12ab Engine refuses it: an <operator>" in page.text
    counts = ["7 of 10", "2", "9 of 10", "0.013"]
    assert page.tables["Runtimes"][1:] == [
        ["LiteRT", "ours", "7 of 10", "", "9 of 10", "0.013"],
        ["Task Library", "its own", *counts],
        ["Engine", "its own", "refused", "", "", ""],
        ["Other", "its own", "not here", "", "", ""],
        ["Bare", "its own", "runs", "", "", ""],
    ]
    assert page.tables["Apps"][1:] == [
        ["Sample", "nearest", *counts],
        ["Other sample", "nearest", "refused", "", "", ""],
    ]
    assert "one photo is <damaged> Other is not here. Get it." in page.text
    assert [row[2] for row in page.tables["Rules"][1:]] == ["kept", "broken", "missed"]


def test_the_page_passes_axe_and_fits_a_phone(scored, tmp_path):
    if lacking := browser.missing_tools():
        pytest.skip(f"no {lacking}")
    test, stages = metrics(scored), [{"name": "Fit", "seconds": 1.0, "cpu_seconds": 1.0, "peak_memory_mb": 90.0}]
    text = render("insects", scored, everything(test), model="m", stages=stages, certificate=CERTIFICATE)
    (tmp_path / "report.html").write_text(text)
    command = ["node", HELPERS / "report_session.mjs", browser.chromium(), (tmp_path / "report.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    nothing = {"violations": [], "wider": 0, "others": []}
    assert json.loads(done.stdout) == {"light": nothing, "dark": nothing, "phone": nothing}


def test_hostile_names_stay_text(tmp_path):
    classes = ("<script>alert(1)</script>", '" onload="alert(2)', "c&amp;t")
    scored = make(tmp_path, classes, suffix="<img src=x onerror=alert(3)>")
    name = "</title><script>alert(4)</script>"
    text = render(name, scored, {"test": metrics(scored, classes)}, model="</pre><script>x")
    page = Page(text)
    tags = [tag for tag, _ in page.tags]
    assert "script" not in tags and tags.count("img") == 3
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
    assert page.tables["Confusion matrix"][0][1:] == list(classes)
    assert name in page.text and "onerror=alert(3)>.jpg" in page.figures[0][2]


def test_page_needs_nothing_else(scored):
    text = render("insects", scored, {"test": metrics(scored)}, model="m")
    found = Page(text).addresses
    assert len(found) == 3 and all(address.startswith("data:image/jpeg;base64,") for address in found)
    assert not re.search(r"url\((?!#)|@import|https?:", text)


def test_page_can_be_used_without_eyes_or_mouse(page):
    assert ("html", {"lang": "en"}) in page.tags
    assert [tag for tag, _ in page.tags if tag in ("h1", "h2")].count("h1") == 1
    regions = [attributes for _, attributes in page.tags if attributes.get("role") == "region"]
    assert len(regions) >= 4 and all(found["tabindex"] == "0" and found["aria-label"] for found in regions)
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in page.tags if tag == "th")
    assert all(attributes["aria-label"] for tag, attributes in page.tags if tag == "svg")
    assert [attributes["alt"] for tag, attributes in page.tags if tag == "img"] == [
        "ant, classified as bee",
        "cat, classified as bee",
        "bee, classified as ant",
    ]


def test_a_photo_that_is_gone_is_named_without_a_picture(scored):
    scored.samples[3].path.unlink()
    page = Page(render("insects", scored, {"test": metrics(scored)}, model="m"))
    assert len(page.addresses) == 2
    assert page.figures[0][0] == "no picture" and "bee 0.90" in page.figures[0]


def test_nothing_wrong_is_reported(scored):
    right = Scored(scored.samples, scored.scores.argmax(axis=1), scored.scores)
    page = Page(render("insects", right, {"test": metrics(right)}, model="m"))
    assert "every test photo is classified correctly" in page.text and page.figures == []


def test_a_hundred_classes_and_ten_thousand_photos_stay_small(tmp_path):
    sample = make(tmp_path).samples[0]
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    Image.fromarray(noise).save(sample.path)  # what JPEG does worst
    random = np.random.default_rng(1)
    labels, scores = random.integers(0, 100, 10_000), random.random((10_000, 100), np.float32)
    scored = Scored((sample,) * 10_000, labels, scores)
    classes = tuple(f"a species with a rather long name {index}" for index in range(100))
    text = render("birds", scored, {"test": metrics(scored, classes)}, model="m")
    assert len(text.encode()) < 3_000_000
    assert len(Page(text).tables["Confusion matrix"]) == 101


def test_of_a_thousand_classes_the_most_confused_are_shown(scored):
    confusion = np.diag(np.full(1000, 5))
    confusion[7, 900] = 3  # the only mistakes
    labels = [f"class {index}" for index in range(1000)]
    measured = {label: {"f1": 0.5, "precision": 0.5, "recall": 0.5, "photos": 5} for label in labels}
    test = metrics(scored) | {"per_class": measured, "confusion": confusion.tolist()}
    text = render("m", Scored(scored.samples[:1], np.array([0]), np.eye(1, 1000)), {"test": test}, model="m")
    table = Page(text).tables["Confusion matrix"]
    assert len(table) == 151 and {"class 7", "class 900"} < set(table[0]) and "class 500" not in table[0]


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
    path = [{"regularization": strength, "loss": loss} for strength, loss in ((0.3, 0.8), (0.1, 0.4), (0.03, 0.5))]
    found = {"path": path, "regularization": 0.1, "temperature": 1.0, "top1": 0.875}
    page = Page(render("m", scored, {"test": metrics(scored), "cross_validation": found}, model="m"))
    assert page.tables["Regularization"][1:] == [["0.3", "0.8000"], ["0.1", "0.4000"], ["0.03", "0.5000"]]
    assert "0.1 has the lowest. The head classifies 87.5 % of them correctly." in page.text
    assert "Loss of held-out photos by regularization" in [attributes.get("aria-label") for _, attributes in page.tags]


def test_plots_are_made_beside_the_page(scored):
    always = {"report.html", "confusion.png", "calibration.png", "per_class.png"}
    assert set(model_page.make("m", scored, {"test": metrics(scored)}, model="m")) == always
    path = [{"regularization": 0.3, "loss": 0.8}]
    found = everything(metrics(scored)) | {"cross_validation": {"path": path, "regularization": 0.3, "top1": 0.5}}
    assert set(model_page.make("m", scored, found, model="m")) == always | {"head.png", "fine_tuning.png"}


def test_what_the_figures_show_is_what_was_measured(scored):
    test = metrics(scored)
    found = everything(test) | {"cross_validation": {"path": [{"regularization": 0.03, "loss": 0.8}]}}
    wanted = model_page.wanted_figures(test, model_page.reliability(scored), found)
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
