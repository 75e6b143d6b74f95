"""The studio in a browser: from photos to a phone model by clicks and files alone."""

import json
import subprocess
from pathlib import Path

import pytest
from checkout import HELPERS

import model_maker
from model_maker.data import sample_data
from model_maker.demo import browser
from model_maker.studio.server import serving
from model_maker.studio.studio import Studio
from model_maker.studio.workspace import Workspace

pytestmark = pytest.mark.slow

CLASSES = ("daisy", "tulip")
DROPPED = 20


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """{class: 22 drawings}, of which the last two are shown to the finished model."""
    folder = tmp_path_factory.mktemp("drawn") / "flowers"
    sample_data.draw(folder, per_class=DROPPED + 2)
    return {name: sorted((folder / name).iterdir()) for name in CLASSES}


@pytest.fixture(scope="module")
def seen(drawn, tmp_path_factory):
    """One browser, driven from an empty folder to a file on the disk; what it showed, and the folder."""
    if lacking := browser.missing():
        pytest.skip(f"no {lacking}")
    folder = tmp_path_factory.mktemp("studio") / "garden"
    job = {
        "chromium": browser.chromium(),
        "classes": {name: list(map(str, photos[:DROPPED])) for name, photos in drawn.items()},
        "unseen": [str(path) for photos in drawn.values() for path in photos[DROPPED:]],
        "shipped": str(folder.with_name("shipped.tflite")),
    }
    with Studio(Workspace(folder)) as studio, serving(studio) as server:
        done = subprocess.run(
            ["node", HELPERS / "studio_session.mjs"],
            input=json.dumps(job | {"url": server.url}),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout) | {"folder": folder, "job": job, "url": server.url}


def test_photos_are_stored_as_they_came(seen, drawn):
    for name, photos in drawn.items():
        stored = sorted((seen["folder"] / name).iterdir())
        assert [path.read_bytes() for path in stored] == [path.read_bytes() for path in photos[:DROPPED]]


def test_the_result_is_told_in_words(seen):
    metrics = json.loads((seen["folder"].with_name("garden_model") / "metrics.json").read_text())["test"]
    assert seen["accuracy"] == f"{100 * metrics['top1']:.1f} % right"
    assert seen["words"].startswith(f"{round(metrics['top1'] * metrics['photos'])} of {metrics['photos']} photos")


def test_the_model_answers_in_the_browser_as_in_python(seen):
    classifier = model_maker.Classifier(seen["job"]["shipped"])
    expected = [classifier.predict(path)[0][0].label for path in seen["job"]["unseen"]]
    assert seen["answers"] == expected
    assert len(seen["bars"]) == len(CLASSES)


def test_what_ships_is_what_train_makes(seen, tmp_path):
    made = model_maker.train(seen["folder"], tmp_path / "model").directory
    assert (made / "model.tflite").read_bytes() == Path(seen["job"]["shipped"]).read_bytes()


def test_nothing_is_asked_of_others(seen):
    assert len(seen["requests"]) > 20
    assert [url for url in seen["requests"] if not url.startswith((seen["url"], f"blob:{seen['url']}"[:25]))] == []


def test_the_page_has_no_faults_of_its_own(seen):
    assert seen["errors"] == []
