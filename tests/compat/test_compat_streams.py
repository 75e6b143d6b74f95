"""Photos of a tf.data.Dataset, which the original's DataLoader was made of: divided, learned from, exported."""

import json

import numpy as np
import pytest

from model_maker import Classifier
from model_maker.compat import image_classifier, model_spec
from model_maker.compat.config import ExportFormat
from model_maker.compat.image_classifier import DataLoader
from model_maker.errors import DataError

pytestmark = pytest.mark.tensorflow

# Colours of print, two pictures of each, all alike, as small as a test wants them.
INKS = {"cyan": (0, 255, 255), "magenta": (255, 0, 255), "yellow": (255, 255, 0)}
SIDE = 24


@pytest.fixture(scope="module")
def tf():
    import tensorflow

    return tensorflow


@pytest.fixture(scope="module")
def inks(tf):
    """Five to learn from, of yellow one, and a yellow one to test on."""
    pictures = np.stack([np.full((SIDE, SIDE, 3), ink, np.uint8) for ink in INKS.values() for _ in range(2)])
    stream = tf.data.Dataset.from_tensor_slices((pictures, np.repeat(np.arange(3), 2)))
    return DataLoader(stream, 6, list(INKS)).split(0.9)


def test_what_a_stream_gives_stays_as_it_is(tf):
    stream = tf.data.Dataset.from_tensor_slices([[0, 1], [1, 1], [0, 0], [1, 0]])
    first, rest = DataLoader(stream, 4, ["pos", "neg"]).split(0.5)
    for part, last in ((first, 1), (rest, 0)):
        assert (len(part), part.size, part.num_classes, part.index_to_label) == (2, 2, 2, ["pos", "neg"])
        assert isinstance(part, DataLoader)
        assert [row.tolist() for row in part.dataset.as_numpy_iterator()] == [[0, last], [1, last]]
        assert [row.tolist() for row in part.gen_dataset().unbatch().as_numpy_iterator()] == [[0, last], [1, last]]


def test_the_size_and_the_names_have_to_be_known(tf):
    endless = tf.data.Dataset.from_tensors((np.zeros((2, 2, 3), np.uint8), 0)).repeat()
    with pytest.raises(DataError, match="does not know its size"):
        DataLoader(endless, None, ["a"])
    with pytest.raises(DataError, match="index_to_label is missing"):
        DataLoader(endless, 3)
    assert len(DataLoader(endless.take(3), None, ["a"])) == 3


def test_photos_of_files_are_a_stream_too(tf, make_photos, tmp_path):
    paths = make_photos(tmp_path, {"red": 3, "blue": 3})
    loader = DataLoader.from_folder(tmp_path)
    found = list(loader.dataset.as_numpy_iterator())
    assert len(found) == len(paths) and {label for _, label in found} == {0, 1}


@pytest.mark.parametrize("name", ["tiny", "efficientnet_lite0"])
def test_a_classifier_of_a_stream_is_measured_and_exported(inks, spec, tmp_path, name):
    train, test = inks
    chosen = spec if name == "tiny" else model_spec.get(name)
    model = image_classifier.create(train, chosen, epochs=1, batch_size=1, shuffle=True)
    assert (len(train), len(test)) == (5, 1) and model.index_to_label == list(INKS)
    assert model.evaluate(test)[1] == 1
    top = model.predict_top_k(test, batch_size=4)
    for (best, *_), (_, label) in zip(top, test.gen_dataset().unbatch(), strict=True):
        assert best[0] == model.index_to_label[label] and best[1] > 1 / 3
    model.export(tmp_path, export_format=ExportFormat.LABEL)
    assert (tmp_path / "labels.txt").read_text().split() == list(INKS)
    model.export(tmp_path, "quantized.tflite", export_format=ExportFormat.TFLITE)
    assert Classifier(tmp_path / "quantized.tflite").labels == tuple(INKS)
    model.export(tmp_path, export_format=ExportFormat.TFLITE, quantization_config=None)
    assert model.evaluate_tflite(tmp_path / "model.tflite", test) == {"accuracy": 1.0}


def test_a_classifier_of_a_stream_is_exported_in_tensorflows_formats(inks, spec, tmp_path):
    model = image_classifier.create(inks[0], spec)
    model.export(tmp_path, export_format=[ExportFormat.TFLITE, ExportFormat.TFJS, ExportFormat.SAVED_MODEL])
    assert list((tmp_path / "tfjs").iterdir())
    assert (tmp_path / "saved_model" / "saved_model.pb").is_file()


def test_the_metadata_is_written_as_json(inks, spec, tmp_path):
    model = image_classifier.create(inks[0], spec)
    model.export(tmp_path, "with.tflite", quantization_config=None, with_metadata=True, export_metadata_json_file=True)
    assert not (tmp_path / "labels.txt").exists()
    found = json.loads((tmp_path / "with.json").read_text())
    [part] = found["subgraph_metadata"]
    [image], [scores] = part["input_tensor_metadata"], part["output_tensor_metadata"]
    # Names and nesting as TFLite Support shows them.
    assert image["content"] == {
        "content_properties_type": "ImageProperties",
        "content_properties": {"color_space": "RGB"},
    }
    [unit] = image["process_units"]
    assert unit == {"options_type": "NormalizationOptions", "options": {"mean": [127.0], "std": [128.0]}}
    assert scores["content"] == {"content_properties_type": "FeatureProperties"}
    assert scores["associated_files"][0]["name"] == "labels.txt"
    assert scores["associated_files"][0]["type"] == "TENSOR_AXIS_LABELS"
    assert found["min_parser_version"] and list(found)[0] == "name"


def test_a_stream_need_not_be_trained_at_once(inks, spec):
    model = image_classifier.create(inks[0], spec, do_train=False)
    model.train(inks[0], inks[1])
    assert model.evaluate(inks[1])[1] == 1
