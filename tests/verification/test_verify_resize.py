"""A model that letterboxes or crops is judged on pixels that are fitted so, in clients that would stretch, too."""

import fitted_models
import numpy as np
import pytest
from PIL import Image

import model_maker
from model_maker.apps import put_in_app
from model_maker.verification.certificate import OWN, SAME


@pytest.fixture(scope="module")
def bands(tmp_path_factory):
    """Photos of 3:1, of three classes."""
    folder, random = tmp_path_factory.mktemp("bands"), np.random.default_rng(5)
    for name in "abc":
        (folder / name).mkdir()
        for number in range(3):
            pixels = random.integers(0, 256, (20, 60, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def stretching(elsewhere):
    """A client that answers with the mean of the pixels it sees, stretched; returns what it saw."""
    seen = []

    def run(path, files, classes):
        seen.extend(np.asarray(Image.open(file)) for file in files)
        return {output: np.zeros((len(files), count)) for output, count in classes.items()}

    elsewhere(Client=run)
    return seen


@pytest.mark.parametrize("name", ["square_letterbox", "oblong_letterbox", "oblong_crop"])
def test_clients_get_fitted_pixels_and_the_certificate_says_what_each_does(bands, stretching, tmp_path, name):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(fitted_models.make(name))
    found = model_maker.verify(path, data=bands)
    [note] = found.notes
    assert "stretch photos and have no option for this" in note
    assert [run.pixels for run in found.runs if run.name == "Client"] == [SAME, OWN]
    fit = model_maker.Classifier(path).fit
    fitted, own = stretching[:9], stretching[9:]
    for picture, photo in zip(fitted, own, strict=True):
        assert (picture.shape, photo.shape) == ((fit.height, fit.width, 3), (20, 60, 3))
        left, top, width, height = fit.target(60, 20)
        assert not picture[:top].any() and picture[top : top + height].any()
    rows = {run.name: run for run in found.apps}
    ours, theirs = rows["Model Maker's Android app"], rows["MediaPipe's Android sample"]
    assert (ours.same_answer, ours.largest_difference, theirs.pixels) == (9, 0, "stretched, bilinear")
    assert ours.pixels == ("center crop, bilinear" if "crop" in name else "letterboxed, bilinear")
    assert theirs.largest_difference > 0


def test_every_app_says_what_it_does_with_photos():
    """Only our own follow the metadata: published samples have no option for it."""
    followers = {app.name for app in put_in_app.APPS if not app.preparation}
    assert followers == {"Model Maker's Android app", "Model Maker's iOS app"}
