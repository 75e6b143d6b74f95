import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from model_maker import Classifier, ModelMakerError, Prediction
from model_maker.data.sources import read
from model_maker.errors import DataError, ModelError
from model_maker.inference import classifier as classifiers
from model_maker.normalization import Normalization
from model_maker.tflite import graph, metadata, metadata_schema, quantize, zip_files

LABELS = ("red", "green", "blue")
INFO = metadata.ModelInfo(labels=LABELS, normalization=Normalization(127.0, 128.0))
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


@pytest.fixture(scope="module")
def make_colour_model(tiny_embedder):
    """make_colour_model(io): scores red, green and blue by a softmax of twice the normalized mean colour."""

    def make(io="float32"):
        content = graph.attach_head(tiny_embedder, 2 * np.eye(3), np.zeros(3))
        return metadata.write(graph.set_io(content, io, mean=127, std=128), INFO)

    return make


@pytest.fixture(scope="module")
def colours(make_colour_model):
    return Classifier(make_colour_model())


def image(colour, size=8):
    return Image.new("RGB", (size, size), colour)


def score_of(colour):
    """By hand: softmax of twice the normalized colour."""
    e = np.exp(2 * (np.array(colour, float) - 127) / 128)
    return e / e.sum()


def test_scores_worked_by_hand(colours):
    colour = (200, 100, 50)
    [found] = colours.predict(image(colour))
    assert [prediction.label for prediction in found] == ["red", "green", "blue"]
    assert [prediction.index for prediction in found] == [0, 1, 2]
    assert [prediction.score for prediction in found] == pytest.approx(score_of(colour), abs=1e-6)


def test_raw_pixels_and_normalized_ones_score_alike(make_colour_model):
    # A uint8 output rounds by half of 1/256.
    for colour in ((200, 100, 50), (0, 0, 0), (3, 250, 120)):
        [scores] = Classifier(make_colour_model("uint8")).scores([image(colour)])
        np.testing.assert_allclose(scores, score_of(colour), atol=0.51 / 256)


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "pillow", "array", "list", "arrays"])
def test_one_photo_or_many_of_any_kind(colours, tmp_path, kind):
    picture = image((10, 20, 240), 8)
    picture.save(tmp_path / "photo.png")
    stored = io.BytesIO()
    picture.save(stored, "png")
    photos = {
        "path": tmp_path / "photo.png",
        "str": str(tmp_path / "photo.png"),
        "bytes": stored.getvalue(),
        "pillow": picture,
        "array": np.asarray(picture),
        "list": [picture, tmp_path / "photo.png"],
        "arrays": np.stack([np.asarray(picture)] * 2),
    }[kind]
    found = colours.predict(photos)
    assert len(found) == (2 if kind in ("list", "arrays") else 1)
    for predictions in found:
        assert predictions[0].label == "blue"
        assert predictions[0].score == pytest.approx(score_of((10, 20, 240))[2], abs=1e-6)


@pytest.mark.parametrize("model", [None, 3, "", open])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(ModelError, match="is not a model. Pass a .tflite file"):
        Classifier(model)


def test_a_picture_without_channels_is_told_with_its_shape(colours):
    for ask in (colours, colours.predict):
        with pytest.raises(DataError, match=r"received uint8 \[10, 12, 2\]"):
            ask(np.zeros((10, 12, 2), np.uint8))


def test_no_photos_give_no_predictions(colours):
    assert colours.predict([]) == []


def test_many_photos_keep_their_order(colours):
    random = np.random.default_rng(0)
    chosen = random.integers(0, 256, (60, 3))
    found = list(colours.scores(image(tuple(map(int, colour))) for colour in chosen))
    np.testing.assert_allclose(found, [score_of(colour) for colour in chosen], atol=1e-5)


@pytest.mark.parametrize(("top_k", "labels"), [(1, 1), (2, 2), (5, 3), (None, 3)])
def test_top_k_limits_the_labels(colours, top_k, labels):
    [found] = colours.predict(image((0, 255, 0)), top_k=top_k)
    assert len(found) == labels and found[0].label == "green"


def test_ties_are_ranked_by_index(colours):
    assert [p.index for p in colours.rank(np.array([0.25, 0.5, 0.25], np.float32))] == [1, 0, 2]
    assert colours.rank(np.array([0.5, 0, 0.5], np.float32), top_k=1) == [Prediction("red", 0.5, 0)]


def test_states_labels_and_size(colours):
    assert (colours.labels, colours.image_size) == (LABELS, 8)


def test_an_unreadable_photo_is_an_error_in_predict_and_an_entry_in_scores(colours, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    with pytest.raises(DataError, match="bad.jpg"):
        colours.predict([tmp_path / "bad.jpg"])
    first, second = colours.scores([tmp_path / "bad.jpg", image((255, 0, 0))])
    assert isinstance(first, DataError) and second.argmax() == 0


def folder_of(tmp_path, counts):
    """Photos of pure colours in class folders; {"red": "rrg"} puts two red and a green one into red/."""
    for name, letters in counts.items():
        (tmp_path / name).mkdir(parents=True)
        for number, letter in enumerate(letters):
            colour = next(np.array(COLOURS[colour]) for colour in COLOURS if colour[0] == letter)
            Image.fromarray(np.full((8, 8, 3), np.maximum(colour, number), np.uint8)).save(
                tmp_path / name / f"{number}.png"
            )
    return tmp_path


def test_evaluate_matches_classes_by_name(colours, tmp_path):
    # Sorted folders are blue, green, red; the model's order is red, green, blue.
    data = read(folder_of(tmp_path, {"red": "rrg", "green": "gg", "blue": "bbbr"}))
    calls = []
    found = colours.evaluate(data, progress=lambda done, total: calls.append((done, total)))
    assert found.photos == 9 and found.top1 == pytest.approx(7 / 9)
    assert found.confusion.tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 3]]
    assert [entry.label for entry in found.per_class] == list(LABELS)
    assert calls == [(done, 9) for done in range(1, 10)]


def test_evaluate_takes_some_of_the_classes(colours, tmp_path):
    found = colours.evaluate(read(folder_of(tmp_path, {"green": "gr", "blue": "bb"})))
    assert found.confusion.tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 2]]


def test_evaluate_takes_a_folder_and_of_it_the_test_part_that_it_states(colours, tmp_path):
    folder_of(tmp_path / "plain", {"green": "gr", "blue": "bb"})
    assert colours.evaluate(str(tmp_path / "plain")).confusion.tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 2]]
    folder_of(tmp_path / "parts/train", {"green": "rrr", "blue": "rrr"})
    folder_of(tmp_path / "parts/test", {"green": "g", "blue": "b"})
    assert colours.evaluate(tmp_path / "parts").confusion.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 1]]
    with pytest.raises(DataError, match="nowhere"):
        colours.evaluate(tmp_path / "nowhere")


def test_evaluate_refuses_unknown_classes_and_names_both_sides(colours, tmp_path):
    data = read(folder_of(tmp_path, {"red": "rr", "violet": "bb"}))
    with pytest.raises(DataError, match="violet.*red, green, blue") as caught:
        colours.evaluate(data)
    assert "\n" not in str(caught.value)


def test_evaluate_leaves_out_unreadable_photos(colours, tmp_path):
    folder = folder_of(tmp_path, {"red": "rr", "green": "gg"})
    (folder / "red" / "bad.png").write_bytes(b"no photo")
    assert colours.evaluate(read(folder)).photos == 4


def test_evaluate_stops_when_most_photos_are_unreadable(colours, tmp_path):
    folder = folder_of(tmp_path, {"red": "r", "green": "g"})
    for number in range(3):
        (folder / "red" / f"bad{number}.png").write_bytes(b"no photo %d" % number)
    with pytest.raises(DataError, match="3 of 5 files cannot be read") as caught:
        colours.evaluate(read(folder))
    assert str(caught.value).count("bad0.png") == 1  # named once, with its reason


def test_score_is_one_row_a_photo(colours, tmp_path):
    data = read(folder_of(tmp_path, {"red": "rr", "green": "g"}))
    scores = colours.score(data)
    assert (scores.shape, scores.dtype) == ((3, 3), np.float32)
    assert scores.argmax(1).tolist() == [1, 0, 0]
    (tmp_path / "red" / "0.png").unlink()
    with pytest.raises(DataError, match="0.png"):
        colours.score(data)


def test_a_trained_folder_and_the_file_in_it_are_the_same_model(trained, drawn_flowers):
    photo = next(drawn_flowers.rglob("tulip*.jpg"))
    by_folder, by_file = Classifier(trained["uint8"]), Classifier(str(trained["uint8"] / "model.tflite"))
    assert by_folder.labels == ("daisy", "dandelion", "rose", "sunflower", "tulip")
    assert by_folder.image_size == 224
    assert by_folder.predict(photo) == by_file.predict(photo)
    assert by_folder.predict(photo, top_k=1) == Classifier(trained["uint8"], threads=1).predict(photo, top_k=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a .tflite file"),
        (b"hello, this is text", "not a .tflite file"),
        (bytes(range(256)) * 20, "not a .tflite file"),
    ],
)
def test_a_file_that_is_no_model_is_one_clear_line(tmp_path, content, message):
    (tmp_path / "foreign.tflite").write_bytes(content)
    with pytest.raises(ModelError, match=f"foreign.tflite is {message}") as caught:
        Classifier(tmp_path / "foreign.tflite")
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError) as caught:
        Classifier(content)
    assert str(caught.value) and "\n" not in str(caught.value)


def test_a_truncated_model_is_one_clear_line(make_colour_model):
    with pytest.raises(ModelError) as caught:
        Classifier(make_colour_model()[:600])
    assert "\n" not in str(caught.value)


def test_paths_that_hold_no_model_are_named(tmp_path):
    with pytest.raises(ModelError, match="nowhere does not exist"):
        Classifier(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="holds no model.tflite"):
        Classifier(tmp_path)
    (tmp_path / "model.tflite").write_bytes(b"anything")
    assert classifiers.model_file(str(tmp_path)) == classifiers.model_file(tmp_path / "model.tflite")


def test_a_model_without_labels_is_refused(tiny_embedder):
    bare = graph.attach_head(tiny_embedder, np.eye(3), np.zeros(3))
    with pytest.raises(ModelError, match="no labels in its metadata"):
        Classifier(bare)


def test_a_label_count_that_does_not_fit_is_refused(make_colour_model):
    content = zip_files.append(graph.pack(graph.parse(make_colour_model())), {"labels.txt": b"red\ngreen"})
    with pytest.raises(ModelError, match="3 scores but carries 2 labels"):
        Classifier(content)


def test_scores_that_are_no_numbers_are_refused(tiny_embedder):
    kernel = np.full((2, 3), np.nan, np.float32)
    content = graph.attach_head(tiny_embedder, kernel, np.zeros(2, np.float32))
    content = metadata.write(content, metadata.ModelInfo(("a", "b"), Normalization(127.0, 128.0)))
    with pytest.raises(ModelError, match="does not give one finite score for each of its 2 labels"):
        Classifier(content).predict(image((0, 0, 0)))


def test_int8_input_is_the_pixel_less_128(float_classifier, calibrated):
    pixels, picture = Normalization(127.0, 128.0), np.random.default_rng(3).integers(0, 256, (8, 8, 3), np.uint8)
    inner = quantize.quantize(float_classifier, "int8", normalization=pixels, calibration=calibrated)
    outer = graph.set_io(inner, "uint8", mean=127, std=128)
    assert Classifier(metadata.write(inner, INFO)).predict(picture) == Classifier(metadata.write(outer, INFO)).predict(
        picture
    )


def test_int16_input_is_refused(make_colour_model):
    model = graph.parse(make_colour_model())
    model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].type = graph.schema.TensorType.INT16
    with pytest.raises(ModelError):
        Classifier(metadata.write(graph.pack(model), INFO))


def test_float_input_without_normalization_is_refused(make_colour_model):
    # Another tool's file: labeled, but silent about what its pixels should be.
    content = make_colour_model()
    model = graph.parse(content)
    [entry] = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    found = metadata.tables(model)
    found.subgraph_metadata[0].input_tensor_metadata[0].process_units = []
    model.buffers[entry.buffer].data = np.frombuffer(metadata_schema.pack(found), np.uint8)
    silent = zip_files.append(graph.pack(model), {"labels.txt": b"red\ngreen\nblue"})
    with pytest.raises(ModelError, match="does not state one normalization"):
        Classifier(silent)


PUBLISHED = {
    "automl_labeler_model.tflite": None,
    "mobilenet_v1_0.25_128_quant.tflite": None,
    "mobilenet_v1_0.25_224_1_metadata_1.tflite": None,
    "mobilenet_v1_0.25_224_float.tflite": "no labels",
    "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite": "no labels",
    "mobilenet_v2_035_96_embedder_with_metadata.tflite": "no labels",
    "mobilenet_v2_1.0_224_quant.tflite": None,
    "tf2_mobilenet_v2_1.0_224_ptq.tflite": None,
    "tflite_support_mobilenet_v2_1.0_224_quant.tflite": "no labels",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_see_a_macaw_or_say_why_not(shared_weights, shared_data, name):
    path = shared_weights / "tflite" / name
    if PUBLISHED[name]:
        with pytest.raises(ModelMakerError, match=PUBLISHED[name]):
            Classifier(path)
        return
    [found] = Classifier(path).predict(shared_data / "photos" / "parrot.jpg", top_k=3)
    if name.startswith("automl"):
        assert {prediction.label for prediction in found} <= {"daisy", "dandelion", "roses", "sunflowers", "tulips"}
    elif name != "mobilenet_v1_0.25_128_quant.tflite":  # ImageNet top-1 of 40 %: it need not know this parrot
        assert found[0].label.startswith("macaw")


@pytest.fixture(scope="module")
def careful(make_colour_model):
    """The colour model with thresholds: 0.6, and 0.9 for blue."""
    info = dataclasses.replace(INFO, threshold=0.6, label_thresholds=(0.6, 0.6, 0.9))
    return Classifier(metadata.write(make_colour_model(), info))


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 0, 255), (160, 127, 100), (60, 60, 200)])
def test_a_label_below_its_threshold_is_unknown(careful, colours, colour):
    [found], scores = careful.predict(image(colour)), score_of(colour)
    limits = np.array([0.6, 0.6, 0.9])
    np.testing.assert_allclose(careful.thresholds, limits, atol=1e-7)  # float32 in the metadata
    expected = [LABELS[index] for index in np.argsort(-scores) if scores[index] >= limits[index]]
    if scores.max() >= limits[scores.argmax()]:
        assert [entry.label for entry in found] == expected
    else:
        [unknown] = found
        assert (unknown.label, unknown.index) == ("unknown", -1) and unknown.score == pytest.approx(
            scores.max(), abs=1e-6
        )
    assert careful.predict(image(colour), threshold=0) == colours.predict(image(colour))
    [none] = colours.predict(image(colour), threshold=1)
    assert [entry.label for entry in none] == ["unknown"]


def test_evaluation_states_what_comes_of_the_thresholds(careful, colours, tmp_path):
    data = read(folder_of(tmp_path, {"red": "rrg", "green": "gg", "blue": "bbbr"}))
    assert colours.evaluate(data).answered is None
    found = careful.evaluate(data)
    # Pure colours score 0.96 or more, so all nine are answered and seven of them are right.
    assert (found.answered.answered, found.answered.precision) == (9, pytest.approx(7 / 9))
    assert found.as_dict()["answered"]["coverage"] == 1
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1 + 3 / 4) / 3)
