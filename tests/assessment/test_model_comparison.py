"""Two models on the same photos: which turned, counted by hand."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy import stats

import model_maker
from model_maker.assessment import comparison_page
from model_maker.errors import DataError, ModelError
from model_maker.normalization import Normalization
from model_maker.tflite import graph, metadata

PIXELS = Normalization(mean=127.0, std=128.0)
COLORS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


@pytest.fixture(scope="module")
def make(tiny_embedder, tmp_path_factory):
    """make("red", "blue"): a file whose labels are the colors of the mean; a swap gives wrong answers."""

    def made(*labels, kernel=None, bias=None):
        rows = np.eye(3)[[list(COLORS).index(label) for label in labels]] if kernel is None else np.array(kernel)
        content = graph.attach_head(tiny_embedder, 4 * rows, np.zeros(len(labels)) if bias is None else np.array(bias))
        path = tmp_path_factory.mktemp("model") / "model.tflite"
        path.write_bytes(metadata.write(content, metadata.ModelInfo(labels, PIXELS, name="colors")))
        return path

    return made


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Five photos of each color, all different."""
    folder = tmp_path_factory.mktemp("colors")
    for name, color in COLORS.items():
        (folder / name).mkdir()
        for number in range(5):
            pixels = np.clip(np.array(color) - 10 * number, 0, 255).astype(np.uint8)
            Image.fromarray(np.broadcast_to(pixels, (8, 8, 3))).save(folder / name / f"{number}.png")
    return folder


def test_photos_that_turned_are_found_and_tested_as_scipy_does(make, photos):
    old = make("red", "green", "blue")
    # It never answers blue, and takes blue for green.
    new = make("red", "green", "blue", kernel=[[1, 0, 0], [0, 1, 1], [0, 0, 0]], bias=[0, 0, -99])
    found = model_maker.compare_models(old, new, photos)
    assert found.photos == 15
    assert sorted({entry.photo.parent.name for entry in found.turned_wrong}) == ["blue"]
    assert len(found.turned_wrong) == 5 and found.turned_right == () and found.both_wrong == 0
    assert found.change == pytest.approx(-5 / 15)
    assert found.p_value == pytest.approx(stats.binomtest(0, 5).pvalue)
    assert found.exceeds(4) and not found.exceeds(5) and not found.exceeds(None)
    back = model_maker.compare_models(new, old, photos)
    assert [entry.photo for entry in back.turned_right] and not back.turned_wrong
    assert {entry.old for entry in back.turned_right} == {"green"}


def test_classes_that_only_one_model_knows_are_left_out(make, photos):
    found = model_maker.compare_models(make("red", "blue"), make("blue", "green", "red"), photos)
    assert found.photos == 10 and not found.turned_wrong
    assert found.notes == ("5 photos are of classes that only one of the models knows, and are left out.",)


def test_nothing_in_common_and_nothing_to_test_on_are_refused(make, photos):
    with pytest.raises(DataError, match="known to both"):
        model_maker.compare_models(
            make("red", "blue", kernel=[[1, 0, 0]] * 2), make("green", "x", kernel=[[1, 0, 0]] * 2), photos
        )
    with pytest.raises(ModelError, match="Pass `data=DIR`"):
        model_maker.compare_models(make("red", "blue"), make("red", "blue"))


def test_the_record_is_json_and_the_page_names_photos(make, photos):
    new = make("red", "green", "blue", kernel=[[1, 0, 0], [0, 1, 1], [0, 0, 0]], bias=[0, 0, -99])
    found = model_maker.compare_models(make("red", "green", "blue"), new, photos)
    record = json.loads(json.dumps(found.as_dict()))
    assert [entry["old"] for entry in record["turned_wrong"]] == ["blue"] * 5
    page = comparison_page.render(found)
    assert page.count("data:image/jpeg") == 5 and "blue/0.png" in page and "-33.3 points" in page


def test_test_photos_of_the_old_model_are_the_default(trained):
    found = model_maker.compare_models(trained["uint8"], trained["float32"])
    record = json.loads((trained["uint8"] / "metrics.json").read_text())
    assert found.photos == record["test"]["photos"]
    assert found.old.top1 == record["test"]["top1"]
    assert found.old.latency_ms > 0 and found.old.size_bytes == (trained["uint8"] / "model.tflite").stat().st_size
