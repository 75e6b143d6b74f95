"""The demo page of a combined model: each head scores as in Python, and one is chosen on the page."""

import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from checkout import HELPERS
from PIL import Image

from model_maker import Classifier
from model_maker.classes.splitting import teaching_files
from model_maker.demo import browser, static_site
from model_maker.demo.page_server import serving
from model_maker.normalization import Normalization
from model_maker.tflite import graph, metadata, output_heads

pytestmark = pytest.mark.slow

HEADS = {"letters": ("a", "b", "ü"), "light": ("day", "night")}


@pytest.fixture(scope="module")
def both(conv_embedder, tmp_path_factory):
    random = np.random.default_rng(5)
    single = [
        graph.attach_head(conv_embedder, random.normal(size=(len(own), 16)), np.zeros(len(own)))
        for own in HEADS.values()
    ]
    info = metadata.ModelInfo(normalization=Normalization(127, 128))
    infos = {name: replace(info, labels=own) for name, own in HEADS.items()}
    path = tmp_path_factory.mktemp("both") / "both.tflite"
    path.write_bytes(metadata.write_heads(output_heads.combine(single, list(HEADS)), infos))
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(1)
    for number in range(6):
        pixels = random.integers(0, 256, (8, 8, 3)) * (number % 3 + 1) // 3
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def expected(both, photos):
    return {name: np.array(list(Classifier(both, head=name).scores(photos))) for name in HEADS}


@pytest.fixture(scope="module")
def seen(both, photos):
    if lacking := browser.missing():
        pytest.skip(f"no {lacking}")
    job = {"chromium": browser.chromium(), "photos": list(map(str, photos)), "other": "day", "labels": HEADS["light"]}
    with serving(static_site.site(both, teaching_files(both))) as server:
        command = ["node", HELPERS / "heads_session.mjs"]
        given = json.dumps(job | {"url": server.url})
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_the_page_shows_the_labels_of_the_chosen_head(seen, expected):
    assert seen["heads"] == list(HEADS) and seen["shown"]
    for state, name in (("first", "letters"), ("second", "light")):
        answers = [HEADS[name][index] for index in expected[name].argmax(1)]
        assert seen[state] == {"tiles": answers, "labels": list(HEADS[name]), "top": answers[0]}
    assert (seen["errors"], seen["axe"]) == ([], [])


def test_the_browser_gives_the_scores_of_every_head(both, photos, expected):
    if lacking := browser.missing():
        pytest.skip(f"no {lacking}")
    found = browser.run(both, photos).heads
    for scores, name in zip(found, HEADS, strict=True):
        # Float sums in another order.
        np.testing.assert_allclose(scores, expected[name], atol=1e-4)


def test_what_has_several_heads_is_not_taught(both):
    assert teaching_files(both) == {}
