"""The demo page says where an answer comes from, as Python does."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import model_maker
from model_maker.data import images
from model_maker.demo import browser, static_site
from model_maker.demo.page_server import serving
from model_maker.inference.classifier import FileClassifier
from model_maker.report import heat_map

HELPERS = Path(__file__).parents[1] / "helpers"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photo(drawn_flowers, tmp_path_factory):
    place = tmp_path_factory.mktemp("why") / "rose.png"
    Image.fromarray(images.load(sorted((drawn_flowers / "rose").iterdir())[0], 224)).save(place)
    return place


@pytest.fixture(scope="module")
def seen(runtime, trained, photo):
    if lacking := browser.missing():
        pytest.skip(f"no {lacking}")
    site = static_site.site(trained["uint8"])
    plain = site | {static_site.WHY_FACTS: b"null\n"}
    with serving(site) as server, serving(plain) as other:
        job = {"chromium": browser.chromium(), "url": server.url, "plain": other.url, "photo": str(photo)}
        done = subprocess.run(
            ["node", HELPERS / "why_session.mjs"],
            input=json.dumps(job | {"picture": os.environ.get("MODEL_MAKER_WHY_PICTURE")}),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_shares_are_those_of_python(seen, trained, photo):
    label = FileClassifier(trained["uint8"]).labels[0]
    [found] = model_maker.explain(FileClassifier(trained["uint8"]), [photo], label=label)
    # Kernels for the browser may round an integer the other way.
    np.testing.assert_allclose(np.reshape(seen["shares"], found.shares.shape), found.shares, atol=0.02)


def test_the_map_is_drawn_as_in_python(seen, trained, photo):
    [found] = model_maker.explain(FileClassifier(trained["uint8"]), [photo])
    drawn = np.asarray(heat_map.draw(photo, found.shares, 800), int)
    page = np.reshape(seen["drawn"]["data"], (seen["drawn"]["height"], seen["drawn"]["width"], 4))[..., :3]
    assert np.abs(page - drawn).mean() < 3  # of 255; both interpolate between centers, one in bytes
    assert seen["name"].startswith(f"Where {found.label} comes from")


def test_a_button_shows_map_and_photo_in_turn_and_is_absent_without_a_file(seen):
    assert (seen["photo"], seen["again"], seen["offered"]) == (False, True, False)
    assert seen["errors"] == [] and seen["axe"] == []
