"""The demo page offers test photos, thresholds, files and label sets as Python has them."""

import dataclasses
import json
import subprocess
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import pytest
from checkout import HELPERS

from model_maker import Classifier
from model_maker.demo import browser, companions, static_site
from model_maker.demo.page_server import serving
from model_maker.tflite import metadata
from model_maker.tflite.label_sets import LabelSets

pytestmark = pytest.mark.slow

# Between those that were measured, and one of them.
SCORES = (0.3, 0.5, 0.8, 0.99)


@pytest.fixture(scope="module")
def seen(trained, drawn_flowers, tmp_path_factory):
    if lacking := browser.missing():
        pytest.skip(f"no {lacking}")
    folder = tmp_path_factory.mktemp("beside")
    site = static_site.site(trained["uint8"])
    content = site[static_site.MODEL]
    info = metadata.read(content)
    classes = len(info.labels)
    sets = LabelSets(0.9, (0.001,) * classes, (40,) * classes, (False,) * classes)
    with_sets = metadata.write(content, dataclasses.replace(info, label_sets=sets))
    several = metadata.write(content, dataclasses.replace(info, multi_label=True, threshold=0.001))
    local = companions.local(trained["uint8"])
    photo = str(sorted((drawn_flowers / "rose").iterdir())[0])
    with (
        serving(site | local) as one,
        serving(site) as exported,
        serving(site | {static_site.MODEL: with_sets}) as two,
        serving(site | {static_site.MODEL: several}) as three,
    ):
        job = {
            "chromium": browser.chromium(),
            "local": one.url,
            "exported": exported.url,
            "sets": two.url,
            "several": three.url,
            "samples": [sample["name"] for sample in json.loads(local[companions.ABOUT])["samples"]],
            "scores": SCORES,
            "photo": photo,
            "saved": str(folder / "saved.tflite"),
        }
        done = subprocess.run(
            ["node", HELPERS / "beside_session.mjs"],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    made = {"sets": sets, "photo": photo, "saved": folder / "saved.tflite"}
    return json.loads(done.stdout) | {"job": job, "made": made}


def test_samples_are_tried_by_a_click(seen, trained, drawn_flowers):
    classifier = Classifier(trained["uint8"])
    for said, name, tile in zip(seen["samples"], seen["job"]["samples"], seen["tiles"], strict=False):
        [path] = drawn_flowers.rglob(name)
        assert said == f"Try a test photo of {path.parent.name}: {name}"
        assert tile.split("\n")[0] == classifier.predict(path)[0][0].label
    assert len(seen["tiles"]) == 2


def test_precision_and_recall_are_those_that_train_measured(seen, trained):
    report = json.loads((trained["uint8"] / "metrics.json").read_text())
    test = report["test"]
    measured = {0: (test["photos"], test["top1"])}
    measured |= {point["score"]: (point["answered"], point["precision"]) for point in report["trade_off"]}
    for score in SCORES:
        nearest = max(each for each in measured if each <= score)
        answered, precision = measured[nearest]
        words = seen["words"][str(score)]
        assert f"Measured at {100 * nearest:.1f} %: of {test['photos']} test photos, {answered} got an answer" in words
        assert f"{100 * precision:.1f} % of these were correct (precision)" in words
        right = Decimal(100 * round(precision * answered)) / test["photos"]
        recall = right.quantize(Decimal("0.1"), ROUND_HALF_UP)  # as browsers round, and Python does not
        assert f"{recall} % of all (recall)" in words


def test_below_the_threshold_the_answer_is_unknown(seen):
    scores = [float(tile.split("\n")[1].removesuffix(" %")) for tile in seen["tiles"]]
    labels = [tile.split("\n")[0] for tile in seen["tiles"]]
    strict = ["unknown" if score < 99 else label for score, label in zip(scores, labels, strict=True)]
    assert seen["strict"]["value"] == "99.0 %"
    assert [tile.split("\n")[0] for tile in seen["strict"]["tiles"]] == strict
    assert seen["strict"]["top"] == strict[1]
    remark = f"The score of {labels[1]} is below the chosen threshold, 99.0 %." if strict[1] == "unknown" else ""
    assert seen["strict"]["remark"] == remark
    assert seen["own"] == {"top": labels[1], "offered": False, "value": "0"}


def test_files_beside_the_model_are_at_hand(seen, trained):
    assert dict(seen["files"])["Report"] == "beside/report.html"
    assert seen["report"].endswith(": evaluation")
    assert seen["reportScore"] == "0.99"
    assert Path(seen["made"]["saved"]).read_bytes() == (trained["uint8"] / "model.tflite").read_bytes()


def test_an_exported_page_links_what_it_contains(seen):
    assert seen["exported"] == {"samples": False, "files": ["model.tflite"]}


def test_label_sets_are_those_of_python(seen, trained):
    classifier = Classifier(trained["uint8"])
    [scores] = list(classifier.scores([seen["made"]["photo"]]))
    expected = [classifier.labels[index] for index in seen["made"]["sets"].indices(np.asarray(scores))]
    assert seen["sets"]["set"] == f"Label set that holds the right label for 90.0 % of photos: {', '.join(expected)}"


def test_a_model_of_several_labels_follows_the_slider(seen, trained):
    classifier = Classifier(trained["uint8"])
    [scores] = list(classifier.scores([seen["made"]["photo"]]))
    order = np.argsort(-np.asarray(scores), kind="stable")
    assert seen["several"]["top"] == ", ".join(classifier.labels[index] for index in order if scores[index] >= 0.001)
    strict = [classifier.labels[index] for index in order if scores[index] >= 0.99]
    assert seen["several"]["strict"] == (", ".join(strict) or "no label")


def test_the_page_is_accessible(seen):
    assert seen["axe"] == dict.fromkeys(("light empty", "light", "dark empty", "dark"), [])
    assert seen["sideways"] == {"light": 0, "dark": 0}
    assert seen["errors"] == []
