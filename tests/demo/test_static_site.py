"""The demo page: what a browser makes of a model and of photos is what Python makes of them."""

import contextlib
import dataclasses
import functools
import http.server
import json
import subprocess
import tempfile
import threading

import camera_film
import fitted_models
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from checkout import HELPERS
from PIL import Image, ImageCms

from model_maker import Classifier
from model_maker.data import images
from model_maker.demo import browser, static_site
from model_maker.demo.page_server import serving
from model_maker.errors import ModelError
from model_maker.fitting import RESIZES, Fit
from model_maker.tflite import graph, metadata

pytestmark = pytest.mark.slow

# A uint8 output has steps of 1/256: where another build of the kernels rounds otherwise, one or two of them.
STEPS = 0.01


@pytest.fixture(scope="session")
def chromium():
    if lacking := browser.missing():
        pytest.skip(f"no {lacking}")
    return browser.chromium()


@pytest.fixture(scope="module")
def photos(drawn_flowers, tmp_path_factory):
    """Two drawings of each flower at the input's size, lossless: Python and the browser see identical pixels."""
    folder = tmp_path_factory.mktemp("photos")
    for path in sorted(drawn_flowers.rglob("*.jpg"))[::6]:
        Image.fromarray(images.load(path, 224)).save(folder / f"{path.stem}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """Files that no browser opens, and what the page says of each."""
    folder = tmp_path_factory.mktemp("broken")
    contents = {
        "text.jpg": (b"no picture at all", "not a photo"),
        "empty.png": (b"", "empty file"),
        "half.jpg": (b"\xff\xd8\xff\xe0" + bytes(40), "damaged picture"),
        "phone.heic": (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        "scan.tif": (b"II*\0" + bytes(40), "TIFF"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    return {folder / name: said for name, (_, said) in contents.items()}


@pytest.fixture(scope="module")
def raw():
    """(uint8 [H, W, 3], Fit): pictures of noise, shrunk and enlarged, one too large for a single band."""
    shapes = [(37, 53, 24), (10, 7, 24), (24, 24, 24), (1, 1, 8), (8, 50, 8), (3000, 1700, 16)]
    random = np.random.default_rng(0)
    made = [(random.integers(0, 256, (height, width, 3), np.uint8), size) for height, width, size in shapes]
    return [(array, fit) for array, size in made for resize in RESIZES for fit in _fits(size, resize)]


def _fits(size, resize):
    return Fit(size, size, resize), Fit(size, size + 7, resize)


@pytest.fixture(scope="module")
def pictures(drawn_flowers, tmp_path_factory):
    """Files whose decoding has its own rules: EXIF orientation, transparency, grey, a palette, a colour profile."""
    folder = tmp_path_factory.mktemp("pictures")
    drawing = Image.open(next(drawn_flowers.rglob("*.jpg"))).resize((90, 61))
    exif = drawing.getexif()
    exif[0x0112] = 6
    drawing.save(folder / "turned.jpg", exif=exif, quality=95)
    drawing.convert("L").save(folder / "grey.jpg")
    drawing.convert("P").save(folder / "palette.gif")
    drawing.save(folder / "lossless.webp", lossless=True)
    drawing.save(folder / "profile.png", icc_profile=_swapped_profile())
    clear = drawing.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(folder / "clear.png")
    return sorted(folder.iterdir())


def _swapped_profile():
    """sRGB with the primaries of red and blue exchanged: who heeds it sees another picture."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"----").replace(b"bXYZ", b"rXYZ").replace(b"----", b"bXYZ")


def _with_thresholds(content, threshold, **own):
    """The model with a threshold for all labels, and others for some."""
    info = metadata.read(content)
    limits = tuple(own.get(label, threshold) for label in info.labels)
    return metadata.write(content, dataclasses.replace(info, threshold=threshold, label_thresholds=limits))


def _unrunnable(content):
    """The model, its first operator renamed to one that nobody has."""
    model = graph.parse(content)
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = b"Sharpen"
    return metadata.write(graph.pack(model), metadata.read(content))


@contextlib.contextmanager
def _static(folder):
    """Another server: Python's own, which sends none of our headers."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def models(trained, make_tiny_model, tmp_path_factory):
    """Files to read metadata of: ours."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "float.tflite").write_bytes(make_tiny_model("none", "float32"))
    (folder / "threshold.tflite").write_bytes(_with_thresholds(make_tiny_model(), 0.6, ü=0.853))
    (folder / "crop.tflite").write_bytes(fitted_models.make("oblong_crop"))
    (folder / "cut.tflite").write_bytes(make_tiny_model()[:900])
    return [trained["uint8"] / "model.tflite", *sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def seen(chromium, trained, photos, broken, raw, pictures, models, tmp_path_factory):
    """One browser, driven through everything; what it showed, and the addresses it was given."""
    folder = tmp_path_factory.mktemp("session")
    camera_film.write(folder / "camera.y4m", photos[0])
    static_site.write_site(trained["uint8"], folder / "public/flowers/demo")
    pages = static_site.site(trained["uint8"])
    job = {
        "chromium": chromium,
        "camera": str(folder / "camera.y4m"),
        "photos": list(map(str, photos)),
        "broken": list(map(str, broken)),
        "raw": [],
        "pictures": [{"path": str(path), "fit": dataclasses.asdict(Fit(32, 32))} for path in pictures],
        "models": list(map(str, models)),
    }
    for number, (array, fit) in enumerate(raw):
        path = folder / f"{number}.rgba"
        path.write_bytes(np.dstack([array, np.full(array.shape[:2], 255, np.uint8)]).tobytes())
        height, width = array.shape[:2]
        job["raw"].append({"path": str(path), "width": width, "height": height, "fit": dataclasses.asdict(fit)})
    with contextlib.ExitStack() as stack:
        for name, content in {
            "uint8": pages[static_site.MODEL],
            # The first photo is of a daisy: its own threshold counts, and not the one of all.
            "threshold": _with_thresholds(pages[static_site.MODEL], 0.001, daisy=0.999),
            "unrunnable": _unrunnable(pages[static_site.MODEL]),
        }.items():
            job[name] = stack.enter_context(serving(pages | {static_site.MODEL: content})).url
        job["site"] = stack.enter_context(_static(folder / "public")) + "flowers/demo/"
        done = subprocess.run(
            ["node", HELPERS / "demo_session.mjs"],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout) | {"job": job}


@pytest.fixture(scope="module")
def expected(trained, photos):
    """float32 [N, 5] of Python for the photos, and their top labels."""
    classifier = Classifier(trained["uint8"])
    scores = np.array(list(classifier.scores(photos)))
    return scores, [classifier.labels[index] for index in scores.argmax(1)]


def test_the_resize_is_pillows_to_the_bit(seen, raw):
    for (array, fit), found in zip(raw, seen["resized"], strict=True):
        np.testing.assert_array_equal(np.reshape(found, (fit.height, fit.width, 3)), images.load(array, fit))


def test_pictures_are_decoded_as_in_training(seen, pictures):
    for path, found in zip(pictures, seen["pictures"], strict=True):
        ours = images.load(path, 32).astype(int)
        # Another build of the decoder, or of the blending with black, rounds by one.
        assert np.abs(np.reshape(found, ours.shape) - ours).max() <= 1, path.name


def test_metadata_is_read_as_in_python(seen, models):
    for path, found in zip(models, seen["metadata"], strict=True):
        if path.name == "cut.tflite":
            assert found.startswith("The model file is damaged")
            continue
        info = metadata.read(path.read_bytes())
        assert found["labels"] == list(info.labels)
        assert found["normalization"] == {"mean": info.normalization.mean, "std": info.normalization.std}
        assert found["provenance"] == info.provenance
        assert found["resize"] == ("crop" if path.name == "crop.tflite" else "stretch")
        np.testing.assert_array_equal(found["limits"], Classifier(path).thresholds)
        for text in ("name", "description", "version", "author", "licence"):
            assert found[text] == getattr(info, text)


def test_facts_and_labels_come_from_the_file(seen, trained):
    info = Classifier(trained["uint8"]).info
    assert seen["labels"] == list(info.labels)
    measured = info.provenance["metrics"]
    assert f"{100 * measured['top1']:.1f} % of {measured['photos']} test photos correct" in seen["facts"]


def test_tiles_show_what_python_answers(seen, expected):
    scores, labels = expected
    for tile, label, row in zip(seen["tiles"], labels, scores, strict=True):
        name, score = tile.split("\n")
        assert name == label
        assert float(score.removesuffix(" %")) / 100 == pytest.approx(row.max(), abs=STEPS)
    assert seen["said"] == f"{len(labels)} photos classified"


def test_a_tile_opens_with_all_its_bars(seen, expected, photos):
    scores, labels = expected
    assert seen["second"]["caption"] == photos[1].name
    assert seen["second"]["top"] == labels[1]
    shown = [float(bar.split("\n")[1].removesuffix(" %")) / 100 for bar in seen["second"]["bars"]]
    np.testing.assert_allclose(shown, np.sort(scores[1])[::-1], atol=STEPS)


def test_threads_are_a_choice_and_change_no_answer(seen, expected):
    assert seen["threads"][0] == "1"
    assert " ms in LiteRT.js, " in seen["latency"]
    np.testing.assert_allclose(seen["oneThread"], expected[0], atol=STEPS)


def test_a_photo_is_dropped_and_all_are_cleared(seen, expected):
    assert seen["cleared"] == 0
    assert seen["dropped"] == expected[1][0]


def test_what_is_no_photo_is_named(seen, broken):
    first, *others = broken
    assert seen["problem"] == f"{first.name}: {broken[first]}."
    for reason, path in zip(seen["reasons"][1:], others, strict=True):
        assert broken[path] in reason


def test_a_refused_camera_is_reported(seen):
    assert seen["refused"].startswith("The camera was refused.")


def test_camera_and_film_show_the_flower(seen, expected):
    assert seen["cameraTop"] == expected[1][0]
    assert seen["cameraOff"]
    assert seen["filmTop"] == expected[1][0]
    assert seen["filmNote"] == "film.webm is played; 1 other file is left out."


def test_below_the_threshold_it_is_unknown(seen):
    assert seen["unknown"]["top"] == "unknown"
    assert seen["unknown"]["remark"] == "The score of daisy is below the model’s threshold for it, 99.9 %."


def test_an_operator_that_cannot_run_is_named(seen):
    assert "Sharpen" in seen["unrunnable"]
    assert "\n" not in seen["unrunnable"]


def test_a_site_runs_elsewhere_with_one_thread(seen, expected):
    assert seen["siteNote"].startswith("One thread")
    np.testing.assert_allclose(seen["siteScores"], expected[0], atol=STEPS)


def test_nothing_is_asked_of_others(seen):
    ours = tuple(url for url in seen["job"].values() if isinstance(url, str) and url.startswith("http"))
    assert len(seen["requests"]) > 20
    assert [url for url in seen["requests"] if not url.startswith((*ours, *(f"blob:{url}" for url in ours)))] == []


def test_the_page_has_no_faults_of_its_own(seen):
    assert seen["errors"] == []


@pytest.mark.parametrize("state", ["axeEmpty", "axeMany", "axePhone", "axeLive", "axeSite"])
def test_the_page_is_accessible(seen, state):
    assert seen[state] == []


def test_a_phone_scrolls_down_only(seen):
    assert seen["sideways"] == 0


def test_a_float_model_scores_as_in_python(chromium, trained, photos):
    found = browser.run(trained["float32"], [*photos[:2], images.load(photos[2], 224)])
    expected = np.array(list(Classifier(trained["float32"]).scores(photos[:3])))
    # int8 inside: where a sum lies between two steps, another build of the kernels rounds the other way.
    np.testing.assert_allclose(found.scores, expected, atol=0.02)
    assert len(found.latency_ms) == 3
    assert found.runtime.startswith("LiteRT.js 2.5.3 in Chromium ")


def test_photographs_are_judged_alike(chromium, trained, shared_data):
    photos = sorted((shared_data / "flowers").rglob("*.jpg"))[::12]
    found = browser.run(trained["uint8"], photos).scores
    expected = np.array(list(Classifier(trained["uint8"]).scores(photos)))
    assert len(photos) == 50
    assert (found.argmax(1) == expected.argmax(1)).sum() >= 49


def test_a_published_model_is_run_as_in_python(chromium, shared_weights, photos):
    model = shared_weights / "tflite/automl_labeler_model.tflite"
    found = browser.run(model, photos).scores
    np.testing.assert_allclose(found, np.array(list(Classifier(model).scores(photos))), atol=STEPS)


def test_a_photo_that_the_browser_cannot_read_is_reported(chromium, trained, broken):
    with pytest.raises(ModelError, match=r"^Chromium: .*text\.jpg: not a photo$"):
        browser.run(trained["uint8"], [next(iter(broken))])


def test_a_long_path_of_temporary_files_is_no_hindrance(chromium, trained, tmp_path, monkeypatch):
    folder = tmp_path / ("long" * 25)  # below it, a socket's path would be longer than any system takes
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    found = browser.run(trained["uint8"], [np.zeros((8, 8, 3), np.uint8)])
    assert found.scores.sum() == pytest.approx(1, abs=0.02)  # five scores in steps of 1/256
