"""A class that is taught on the page, by a fake camera in Chromium, wins on other pictures of it."""

import json
import subprocess

import pytest
from checkout import HELPERS
from PIL import Image

from model_maker import Classifier
from model_maker.classes.splitting import teaching_files
from model_maker.data import images
from model_maker.demo import browser, static_site
from model_maker.demo.page_server import serving

pytestmark = pytest.mark.slow


def _camera(path, photos):
    """A film for Chromium's camera: some photos, one after the other, as raw 4:2:0 frames of 320 x 240."""
    frames = b""
    for photo in photos:
        luma, *chroma = Image.open(photo).convert("RGB").resize((320, 240)).convert("YCbCr").split()
        planes = [luma, *(plane.resize((160, 120), Image.Resampling.BOX) for plane in chroma)]
        frames += 3 * (b"FRAME\n" + b"".join(plane.tobytes() for plane in planes))
    path.write_bytes(b"YUV4MPEG2 W320 H240 F5:1 Ip A1:1 C420jpeg\n" + frames)


@pytest.fixture(scope="module")
def seen(trained, drawn_flowers, shared_data, tmp_path_factory):
    if lacking := browser.missing():
        pytest.skip(f"no {lacking}")
    folder = tmp_path_factory.mktemp("teaching")
    hats = sorted((shared_data / "clothing/hat").iterdir())
    _camera(folder / "camera.y4m", hats[:5])

    def saved(photos, name):
        places = [folder / f"{name}{number}.png" for number in range(len(photos))]
        for photo, place in zip(photos, places, strict=True):
            Image.fromarray(images.load(photo, 224)).save(place)
        return list(map(str, places))

    job = {
        "chromium": browser.chromium(),
        "camera": str(folder / "camera.y4m"),
        "others": saved(hats[5:17], "hat"),
        "old": saved(sorted(drawn_flowers.rglob("*.jpg"))[::6], "flower"),
    }
    with serving(static_site.site(trained["uint8"], teaching_files(trained["uint8"]))) as server:
        done = subprocess.run(
            ["node", HELPERS / "teach_session.mjs"],
            input=json.dumps(job | {"url": server.url}),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_a_taught_class_wins_on_other_pictures_of_it(seen):
    assert seen["live"] == "mug"
    assert "mug" not in seen["before"]
    assert seen["after"].count("mug") >= 0.8 * len(seen["after"])


def test_old_classes_keep_their_answers(seen, trained, drawn_flowers):
    classifier = Classifier(trained["uint8"])
    photos = sorted(drawn_flowers.rglob("*.jpg"))[::6]
    expected = [classifier.labels[scores.argmax()] for scores in classifier.scores(photos)]
    assert sum(one == other for one, other in zip(seen["old"], expected, strict=True)) >= len(photos) - 1


def test_what_was_taught_is_listed_kept_and_taken_back(seen):
    assert [text.split("\n")[0].split(" Undo")[0] for text in seen["taught"]] == ["mug, 5 frames"]
    assert seen["kept"] == seen["taught"] and seen["forgotten"] == 0
    assert seen["back"] == seen["before"]


def test_a_class_needs_a_name_and_a_camera(seen):
    assert seen["disabled"] and seen["nameless"] == "Name what you teach first."


def test_the_page_stays_accessible_and_without_faults(seen):
    assert seen["errors"] == [] and seen["axe"] == []
