from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from heard import Heard
from PIL import Image

import model_maker
from model_maker import cli
from model_maker.apps import put_in_app
from model_maker.apps.preprocessing import PREPARATIONS
from model_maker.data import images
from model_maker.data.dataset import Dataset, Sample
from model_maker.data.sources import read
from model_maker.demo import browser
from model_maker.errors import DataError, ModelError
from model_maker.normalization import Normalization
from model_maker.system import extras
from model_maker.tflite import graph, metadata, zip_files
from model_maker.tflite.interpreter import LiteRTRunner
from model_maker.verification import clients, trials, verify
from model_maker.verification.certificate import NOT_HERE, OWN, RAN, REFUSED, SAME, Run, judge

pytestmark = pytest.mark.slow

NAN = np.nan


def test_agreement_is_what_is_counted_by_hand():
    ours = np.array([[0.7, 0.3], [0.4, 0.6], [0.2, 0.8], [0.5, 0.5]])
    theirs = np.array([[0.6, 0.4], [0.55, 0.45], [0.2, 0.8], [0.5, 0.5]])
    # Their answers: 0, 0, 1 and, of equals, the first; the right ones: 0, 1, 1, 1; ours: 0, 1, 1, 0.
    found = judge(Run("x", SAME), theirs, ours, np.array([0, 1, 1, 1]), limits=np.zeros(2))
    assert (found.photos, found.right, found.same_answer, found.unknown) == (4, 2, 3, 0)
    assert found.accuracy == 0.5
    assert found.largest_difference == pytest.approx(0.15)


def test_labels_below_the_threshold_count_as_the_threshold():
    ours = np.array([[0.9, 0.1], [0.55, 0.45], [0.7, 0.3]])
    theirs = np.array([[0.8, NAN], [NAN, NAN], [0.61, NAN]])
    # The second photo has no answer here and there; 0.6 against 0.55 is a difference to nobody.
    found = judge(Run("x", SAME), theirs, ours, np.array([0, 0, 1]), limits=np.full(2, 0.6))
    assert (found.right, found.same_answer, found.unknown) == (1, 3, 1)
    assert found.largest_difference == pytest.approx(0.1)


def test_each_label_has_its_own_limit():
    ours = np.array([[0.65, 0.35], [0.35, 0.65], [0.15, 0.85]])
    theirs = np.array([[0.66, NAN], [NAN, NAN], [NAN, 0.8]])
    # 0.65 is an answer for the first label and none for the second.
    found = judge(Run("x", SAME), theirs, ours, np.array([0, 1, 1]), limits=np.array([0.6, 0.75]))
    assert (found.right, found.same_answer, found.unknown) == (2, 3, 1)
    assert found.largest_difference == pytest.approx(0.05)


def test_an_answer_where_we_have_none_is_another():
    found = judge(
        Run("x", SAME), np.array([[0.62, NAN]]), np.array([[0.55, 0.45]]), np.array([0]), limits=np.full(2, 0.6)
    )
    assert (found.right, found.same_answer, found.unknown) == (1, 0, 0)
    assert found.largest_difference == pytest.approx(0.02)


def dataset_of(counts):
    samples = [
        Sample(f"{label}/{number}", label, f"{(label * 71 + number * 37) % 1000:03}")
        for label, count in enumerate(counts)
        for number in range(count)
    ]
    return Dataset(tuple(samples), tuple("abc"[: len(counts)]))


@pytest.mark.parametrize(
    ("counts", "count", "expected"),
    [((100, 100), 50, [25, 25]), ((100, 3), 50, [47, 3]), ((4, 3, 2), 50, [4, 3, 2]), ((9, 9, 9), 4, [1, 1, 2])],
)
def test_photos_are_spread_over_classes(counts, count, expected):
    dataset = dataset_of(counts)
    chosen = trials.spread(dataset, count)
    assert sorted(Counter(chosen.labels).values()) == sorted(expected)
    turned = trials.spread(replace(dataset, samples=dataset.samples[::-1]), count)
    assert set(turned.samples) == set(chosen.samples)


def test_litert_and_apps_are_judged_on_every_photo(model, photos, nowhere_else):
    found = model_maker.verify(model, data=photos)
    ours = model_maker.Classifier(model)
    top1 = ours.evaluate(read(photos)).top1
    assert [(run.name, run.photos) for run in found.runs] == [
        ("LiteRT, XNNPACK", 11),
        ("LiteRT, no delegate", 11),
        ("LiteRT, reference", 3),
    ]
    assert (found.runs[0].accuracy, found.runs[0].same_answer, found.runs[0].largest_difference) == (top1, 11, 0)
    known = [app.name for app in put_in_app.APPS]
    assert [run.name for run in found.apps[: len(known)]] == known
    rows = {run.name: run for run in found.apps}
    ours = rows["Model Maker's Android app"]
    assert (ours.accuracy, ours.same_answer, ours.largest_difference) == (top1, 11, 0)
    # Every way with photos has a row, that of an app or one of its own.
    assert {run.pixels for run in found.apps} == set(PREPARATIONS)
    # Noise of single pixels: a smoothing resize shows the model another photo.
    assert rows["apps on canvas, Core Graphics"].largest_difference > 0.02
    assert (found.photos, found.failures, found.notes) == (11, [], ())


@pytest.fixture
def float_model(make_tiny_model, tmp_path):
    """float_model(mean, std): one whose metadata asks for these."""
    content = make_tiny_model("none", "float32")

    def make(mean, std):
        path = tmp_path / "float.tflite"
        path.write_bytes(metadata.write(content, metadata.ModelInfo(("a", "b", "ü"), Normalization(mean, std))))
        return path

    return make


def in_app(found, name):
    [run] = (run for run in found.apps if run.name == name)
    return run


INTERPRETER, COMPILED = "LiteRT's Android sample (Interpreter)", "LiteRT's Android sample (CompiledModel)"


def test_an_app_with_a_normalization_of_its_own_does_not_run_a_model_for_another(
    float_model, photos, nowhere_else, capsys
):
    path = float_model(0, 255)
    found = model_maker.verify(path, data=photos)
    run = in_app(found, INTERPRETER)
    assert (run.state, run.right, run.accuracy) == (REFUSED, None, None)
    assert "wanted: pixels as (pixel - 127.5) / 127.5" in run.why and "Use a backbone" in run.why
    assert in_app(found, "MediaPipe's iOS sample").state == RAN
    assert found.failures == []
    assert cli.main(cli.parse(["model_maker", "verify", str(path), "--data", str(photos)])) == 0
    assert f"{INTERPRETER}: the model takes float32, 8 x 8 pixels" in capsys.readouterr().out


def test_an_app_with_a_normalization_of_its_own_feeds_that(float_model, photos, nowhere_else):
    """And not what the metadata says, which is a step of a pixel off."""
    path = float_model(127, 128)
    run = in_app(model_maker.verify(path, data=photos), INTERPRETER)
    runner = LiteRTRunner(path.read_bytes())
    pixels = [images.load(sample.path, 8)[None].astype(np.float32) for sample in read(photos).samples]
    fed, asked = (
        np.array([runner.run((p - mean) / std)[0] for p in pixels]) for mean, std in ((127.5, 127.5), (127, 128))
    )
    assert run.largest_difference == pytest.approx(np.abs(fed - asked).max(), abs=1e-5)  # float32 in another order
    assert run.largest_difference > 1e-3


def test_what_an_app_cannot_feed_is_refused_with_what_would_fit(model, photos, nowhere_else):
    found = model_maker.verify(model, data=photos)
    assert "wanted: float32. " in in_app(found, INTERPRETER).why
    assert "`io='float32'`" in in_app(found, INTERPRETER).why
    assert "float32 and 224 x 224 pixels" in in_app(found, COMPILED).why
    assert "`image_size=224`" in in_app(found, COMPILED).why
    assert {run.state for run in found.apps if run.name not in (INTERPRETER, COMPILED)} == {RAN}


def test_an_app_does_not_run_what_its_engine_refuses_or_misses(model, photos, tmp_path, monkeypatch, elsewhere):
    def refusing(*_):
        raise ModelError("unknown operator")

    elsewhere(**{clients.MEDIAPIPE: refusing})
    found = model_maker.verify(model, data=photos)
    assert in_app(found, "MediaPipe's Android sample").why == "unknown operator"
    assert in_app(found, "TensorFlow's Android sample").state == RAN
    # Without the engine at hand, its rules tell.
    elsewhere()
    path = tmp_path / "crlf.tflite"
    bare = graph.pack(graph.parse(model.read_bytes()))
    path.write_bytes(zip_files.append(bare, {metadata.LABELS: b"a\r\nb\r\n\xc3\xbc"}))
    found = model_maker.verify(path, data=photos)
    assert in_app(found, "TensorFlow's iOS sample").why.startswith(
        "labels in lines that end in LF: lines that end in CR"
    )
    assert in_app(found, "MediaPipe's iOS sample").state == RAN


def test_an_app_does_not_run_without_the_labels_that_it_looks_for(float_model, photos, tmp_path, nowhere_else):
    bare = graph.pack(graph.parse(float_model(127, 128).read_bytes()))
    path = tmp_path / "bare.tflite"
    path.write_bytes(zip_files.append(bare, {metadata.LABELS: "a\nb\nü".encode()}))
    found = model_maker.verify(path, data=photos)
    assert in_app(found, INTERPRETER).why.startswith("labels_without_background.txt in the zip: not in the zip. ")
    assert found.failures == []


def test_every_way_and_engine_of_an_app_is_known():
    assert {app.preparation for app in put_in_app.APPS} <= {"", *PREPARATIONS}
    assert {app.engine for app in put_in_app.APPS} == {"", *clients.CLIENTS, "LiteRT's samples"}


def test_what_differs_refuses_or_is_not_here_is_told(model, photos, elsewhere):
    def turned(path, files, sizes):
        assert (path, len(files), sizes) == (model, 22, {0: 3})
        assert Image.open(files[0]).size == (8, 8)
        assert Image.open(files[11]).size == (20, 20)
        ours = list(model_maker.Classifier(model).scores(files[:11]))
        return {0: np.array([*ours, *(scores[::-1] for scores in ours)])}

    def refusing(*_):
        raise ModelError("it will not")

    def absent(*_):
        raise clients.NotHere("get it")

    elsewhere(turned=turned, refusing=refusing, absent=absent)
    found = model_maker.verify(model, data=photos)
    same, own, refused, missing = found.runs[3:]
    assert (same.name, same.pixels, same.state, same.same_answer, same.largest_difference) == (
        "turned",
        SAME,
        RAN,
        11,
        0,
    )
    assert (own.pixels, own.photos) == (OWN, 11)
    assert own.largest_difference > 0.05
    assert (refused.state, refused.why) == (REFUSED, "it will not")
    assert (missing.state, missing.why) == (NOT_HERE, "get it")
    assert found.failures == ["refusing rejects it: it will not"]


def test_every_runtime_that_is_here_agrees_on_the_same_pixels(model, photos):
    found = model_maker.verify(model, data=photos)
    assert {run.name for run in found.runs[3:]} == set(verify.ELSEWHERE)
    ran = [run for run in found.runs[3:] if run.state == RAN]
    if not ran:
        pytest.skip("no runtime beside LiteRT: " + "; ".join(run.why for run in found.runs[3:]))
    for run in ran:
        if run.pixels == SAME:
            # Other versions of the int8 kernels round now and then the other way.
            assert (run.same_answer, run.largest_difference) == (11, pytest.approx(0, abs=0.02))
    assert found.failures == []


def test_the_bars_hold_on_real_photos(shared_data, lite0, tmp_path):
    folder = model_maker.train(shared_data / "flowers", tmp_path / "model").directory
    found = model_maker.verify(folder)
    assert (found.photos, found.failures) == (50, [])
    elsewhere = found.runs[3:]
    for run in elsewhere:
        if run.state == RAN:
            # Decoders of JPEG differ by a step of a pixel here and there, which turns one photo at most.
            assert run.same_answer >= (50 if run.pixels == SAME else 49), run
            assert run.pixels == OWN or run.largest_difference <= 0.02, run
    if lacking := [run.why for run in elsewhere if run.state == NOT_HERE]:
        pytest.skip("the others agree; " + "; ".join(lacking))
    assert len(elsewhere) == 2 * len(verify.ELSEWHERE)


def test_what_our_own_runtime_refuses_is_still_judged_by_the_rules(float_classifier, photos, tmp_path, nowhere_else):
    path = tmp_path / "bare.tflite"
    path.write_bytes(float_classifier)
    found = model_maker.verify(path, data=photos)
    assert [run.state for run in found.runs] == [REFUSED] * 3
    assert found.apps == ()
    assert any(line.startswith("a file of labels, in the zip: no file of labels. ") for line in found.failures)


def test_a_wrong_number_of_labels_is_told_as_a_broken_rule(make_tiny_model, photos, tmp_path, nowhere_else):
    content = make_tiny_model()
    path = tmp_path / "few.tflite"
    path.write_bytes(zip_files.append(graph.pack(graph.parse(content)), {"labels.txt": b"a\nb"}))
    found = model_maker.verify(path, data=photos)
    assert {run.state for run in found.runs} == {REFUSED}
    assert any("as many labels as scores: 2 labels for 3 scores" in line for line in found.failures)


def test_files_of_photos_are_given_as_they_are_where_clients_read_them_alike(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    plain, turned, grey, png = (tmp_path / name for name in ("plain.jpg", "turned.jpg", "grey.jpg", "alpha.png"))
    Image.fromarray(pixels).save(plain)
    exif = Image.Exif()
    exif[0x0112] = 6  # the orientation
    Image.fromarray(pixels).save(turned, exif=exif)
    Image.fromarray(pixels).convert("L").save(grey)
    Image.fromarray(pixels).convert("RGBA").save(png)
    spare = tmp_path / "spare.png"
    for path in (plain, turned, grey, png):
        file = trials.plain_file(path, images.picture(path), spare)
        assert file == (plain if path == plain else spare)
        # Whichever it is, it reads as the upright photo does.
        assert (np.asarray(images.picture(file)) == np.asarray(images.picture(path))).all()


def test_unreadable_photos_do_not_count(model, make_photos, tmp_path, nowhere_else):
    make_photos(tmp_path / "data", {"a": 3, "b": 3})
    (tmp_path / "data/a/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(40))
    found = model_maker.verify(model, data=tmp_path / "data")
    assert found.photos == 6
    assert any("broken.jpg" in note for note in found.notes)


def test_classes_that_the_model_does_not_know_are_refused(model, make_photos, tmp_path, nowhere_else):
    make_photos(tmp_path, {"a": 3, "z": 3})
    with pytest.raises(DataError, match="does not know: z"):
        model_maker.verify(model, data=tmp_path)


def test_what_is_not_installed_is_not_here_and_no_stage_of_the_work(model, photos, monkeypatch):
    monkeypatch.setattr(browser, "missing", lambda: "chromium")
    monkeypatch.setattr(extras, "is_here", lambda module: module not in ("mediapipe", "tflite_support"))
    heard = Heard()
    runs = model_maker.verify(model, data=photos, progress=heard).runs[3:]
    assert {run.name: run.state for run in runs} == dict.fromkeys(verify.ELSEWHERE, NOT_HERE)
    assert runs[-1].why == "LiteRT.js in Chromium is not available. It needs chromium."
    assert heard.stages == ["Prepare photos", "Run in LiteRT", "Run with preprocessing of apps"]
