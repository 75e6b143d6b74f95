"""`resize` from training to what reads the file, on a tiny imported backbone with a square and an oblong input."""

import json

import numpy as np
import pytest
from heard import Heard
from PIL import Image
from tiny_network import residual_network

import model_maker
from model_maker import Classifier
from model_maker.data import images
from model_maker.embeddings import computing
from model_maker.errors import DataError, ModelError
from model_maker.fitting import RESIZES, STRETCH, Fit
from model_maker.tflite import metadata, zip_files
from model_maker.tflite.interpreter import LiteRTRunner

SIZES = {"square": 16, "oblong": (16, 24)}
NORMALIZATION = "127,128"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes of bands of 3:1 and 1:3, told apart by color, with noise."""
    folder = tmp_path_factory.mktemp("bands") / "bands"
    random = np.random.default_rng(0)
    for name, color in (("green", (40, 160, 60)), ("red", (170, 50, 40))):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            height, width = (20, 60) if number % 2 else (60, 20)
            pixels = random.normal(color, 50, (height, width, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    """train(shape, resize, **options): the Result and what was heard, made once for each."""
    home, made = tmp_path_factory.mktemp("trained"), {}

    def train(shape, resize, **options):
        key = (shape, resize, *options.items())
        if key not in made:
            backbone, heard = home / f"{shape}.tflite", Heard()
            backbone.write_bytes(residual_network(size=SIZES[shape]))
            chosen = {"model": str(backbone), "normalization": NORMALIZATION, "resize": resize} | options
            result = model_maker.train(photos, home / str(len(made)), progress=heard, **chosen)
            made[key] = result, heard
        return made[key]

    return train


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("shape", SIZES)
def test_the_file_says_it_and_predicts_by_it(trained, photos, shape, resize):
    result, _ = trained(shape, resize)
    classifier = Classifier(result.directory)
    height, width = (16, 16) if shape == "square" else (16, 24)
    assert classifier.fit == Fit(height, width, resize)
    assert classifier.image_size == SIZES[shape]
    # By hand: pixels that are fitted as training was asked to give the scores of the photo.
    photo = photos / "red/1.png"
    [found] = classifier.scores([photo])
    content = (result.directory / "model.tflite").read_bytes()
    [by_hand] = LiteRTRunner(content).run(images.load(photo, Fit(height, width, resize))[None])
    np.testing.assert_array_equal(found, by_hand)
    assert classifier.evaluate(photos).photos == 24


def test_the_ways_give_other_models(trained):
    kernels = {(trained("square", resize)[0].directory / "model.tflite").read_bytes() for resize in RESIZES}
    assert len(kernels) == 3


def test_the_card_and_the_metadata_say_it(trained):
    result, _ = trained("oblong", "letterbox")
    card = (result.directory / "README.md").read_text()
    assert "`[1, 16, 24, 3]` uint8, RGB, the photo letterboxed to 24 x 16 pixels: scaled as a whole" in card
    content = (result.directory / "model.tflite").read_bytes()
    assert zip_files.read(content, "resize.txt") == b"letterbox"
    assert metadata.read(content).provenance["options"]["resize"] == "letterbox"


def test_a_stretching_model_says_what_it_said_before(trained):
    """Its bytes do not depend on an option that changes nothing."""
    content = (trained("square", "stretch")[0].directory / "model.tflite").read_bytes()
    assert b"resize" not in content and metadata.read(content).resize == STRETCH


def test_embeddings_of_different_ways_are_kept_apart():
    paths = {computing.cache_path(b"model", None, resize=resize) for resize in RESIZES}
    assert len(paths) == 3 and computing.cache_path(b"model", None) in paths


@pytest.mark.parametrize("quantize", ["float16", "none"])
def test_other_forms_say_it_too(trained, photos, quantize):
    result, _ = trained("oblong", "crop", quantize=quantize, io="float32")
    assert Classifier(result.directory).fit.resize == "crop"
    assert result.report["agreement"]["same_top1"] == 1


def test_views_are_augmented_and_folds_are_judged(trained):
    result, _ = trained("oblong", "letterbox", augment="standard", views=2, folds=2)
    assert result.report["folds"]["photos"] == 24


def test_extreme_proportions_are_noted(trained):
    _, heard = trained("square", "letterbox")
    [note] = [note for note in heard.notes if "extreme proportions" in note]
    assert note.startswith("24 of 24 photos") and "letterboxing leaves most of the input black" in note
    assert json.loads((trained("square", "letterbox")[0].directory / "run.json").read_text())["options"]["resize"]


def test_the_model_is_reproduced(trained, photos):
    result, _ = trained("square", "crop")
    assert model_maker.reproduce(result.directory, data=photos).equal


def test_classes_are_edited_with_photos_that_are_fitted_alike(trained, photos, tmp_path):
    result, _ = trained("oblong", "letterbox")
    made = model_maker.edit_classes(result.directory, tmp_path / "edited", rename={"red": "scarlet"})
    assert Classifier(made.directory).fit == Fit(16, 24, "letterbox")


def test_classifiers_that_fit_photos_differently_are_not_combined(trained, tmp_path):
    pair = [trained("square", resize)[0].directory for resize in ("crop", "stretch")]
    with pytest.raises(ModelError, match="fit photos in different ways: crop, stretch"):
        model_maker.combine(pair, tmp_path / "both")


def test_an_unknown_way_is_refused(trained, photos, tmp_path):
    with pytest.raises(DataError, match="`resize='squash'`: choose one of stretch, letterbox, crop"):
        model_maker.train(photos, tmp_path / "m", resize="squash")


def test_exports_fit_photos_alike(trained, photos, tmp_path):
    result, _ = trained("oblong", "letterbox")
    found = model_maker.export(result.directory, tmp_path / "out", formats=["tflite-float16", "c_header"])
    for entry in found.entries:
        assert Classifier(entry.path).fit == Fit(16, 24, "letterbox")
    assert "letterboxed to 24 x 16" in (tmp_path / "out/tflite-float16/README.md").read_text()


@pytest.mark.onnx
def test_an_export_of_another_format_has_it_beside(trained, photos, tmp_path):
    result, _ = trained("square", "crop")
    [entry] = model_maker.export(result.directory, tmp_path / "out", formats=["onnx"]).entries
    theirs, ours = Classifier(entry.path), Classifier(result.directory / "float.tflite")
    assert theirs.fit.resize == "crop"
    paths = sorted(photos.rglob("*.png"))
    # ONNX Runtime sums floats in another order.
    np.testing.assert_allclose(list(theirs.scores(paths)), list(ours.scores(paths)), atol=1e-4)
    (entry.path.parent / "resize.txt").write_text("roll")
    with pytest.raises(ModelError, match="'roll'; known are"):
        Classifier(entry.path)


def test_a_comparison_trains_again_for_another_way(photos, tmp_path):
    (tmp_path / "tiny.tflite").write_bytes(residual_network())
    options = {"normalization": NORMALIZATION}
    for resize, expected in (("stretch", "Training"), ("stretch", "exists already"), ("crop", "Training")):
        heard = Heard()
        model_maker.compare(
            photos,
            [str(tmp_path / "tiny.tflite")],
            tmp_path / "models",
            progress=heard,
            overwrite=True,
            resize=resize,
            **options,
        )
        assert any(expected in note for note in heard.notes)


def test_old_records_mean_stretching(photos, tmp_path):
    """Models from before the option was there are complete."""
    (tmp_path / "tiny.tflite").write_bytes(residual_network())
    arguments = (photos, [str(tmp_path / "tiny.tflite")], tmp_path / "models")
    made = model_maker.compare(*arguments, normalization=NORMALIZATION)
    path = made.directory / "tiny/run.json"
    record = json.loads(path.read_text())
    del record["options"]["resize"]
    path.write_text(json.dumps(record))
    heard = Heard()
    model_maker.compare(*arguments, normalization=NORMALIZATION, progress=heard)
    assert any("exists already" in note for note in heard.notes)
