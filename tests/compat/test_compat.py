import copy
import dataclasses
import functools
import hashlib
import io
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from tiny_network import FUSED, TinyNetwork

from model_maker import Classifier
from model_maker.compat import image_classifier, model_spec, notices
from model_maker.compat.config import ExportFormat, QuantizationConfig
from model_maker.compat.image_classifier import DataLoader, ImageClassifier, ModelSpec
from model_maker.data import images
from model_maker.data.images import Normalization
from model_maker.data.sources import read
from model_maker.errors import BackboneError, DataError, ModelError, OutputError
from model_maker.tflite import inspection, metadata

TUTORIAL = Path(__file__).with_name("compat_tutorial.py")


def tiny(size):
    """Two halvings of the picture, 16 features; what its input expects is told nowhere."""
    random = np.random.default_rng(0)
    chain = TinyNetwork(size).conv(0.3 * random.normal(size=(8, 3, 3, 3)), stride=2, fused=FUSED.RELU6)
    chain.depthwise(0.3 * random.normal(size=(1, 3, 3, 8)), stride=2)
    return chain.conv(random.normal(size=(16, 1, 1, 8)), fused=FUSED.RELU6).mean().content()


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    """A network of 8 pixels as a file from elsewhere: what these tests train on instead of EfficientNet-Lite0."""
    file = tmp_path_factory.mktemp("foreign") / "tiny.tflite"
    file.write_bytes(tiny(8))
    spec = ModelSpec(uri=str(file))
    spec.mean_rgb, spec.stddev_rgb = [127.0], [128.0]
    return spec


@pytest.fixture(autouse=True)
def said(monkeypatch, caplog):
    """said(): what was logged so far in this test, which begins as a process does."""
    monkeypatch.setattr(notices, "_said", set())
    caplog.set_level("WARNING", "absl")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "absl"]


@pytest.fixture(scope="module")
def loaders(drawn_flowers):
    """48 photos to learn from, 6 to choose by, 6 to test on."""
    train, rest = DataLoader.from_folder(drawn_flowers).split(0.8)
    return train, *rest.split(0.5)


@pytest.fixture(scope="module")
def model(loaders, spec):
    train, validation, _ = loaders
    return image_classifier.create(train, spec, validation)


def test_the_tutorial_runs_with_its_imports_changed(spec, drawn_flowers, tmp_path, monkeypatch, capsys):
    # EfficientNet-Lite0 stands for itself in the test below; here it would take 12 seconds to quantize. MobileNetV2 is
    # downloaded, and Inception V3, too.
    for name in ("efficientnet_lite0", "mobilenet_v2"):
        stand_in = functools.partial(ModelSpec, uri=spec.uri, name=f"for {name}")
        monkeypatch.setitem(model_spec.MODEL_SPECS, name, stand_in)
    (tmp_path / "inception_v3.tflite").write_bytes(tiny(299))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(sys, "argv", [TUTORIAL.name, str(drawn_flowers), str(tmp_path / "inception_v3.tflite")])
    found = runpy.run_path(str(TUTORIAL))
    printed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.strip())
    assert (len(found["train_data"]), len(found["validation_data"]), len(found["test_data"])) == (48, 6, 6)
    assert sorted(path.name for path in work.iterdir()) == ["labels.txt", "model.tflite", "model_fp16.tflite"]
    names = ["daisy", "dandelion", "rose", "sunflower", "tulip"]
    assert (work / "labels.txt").read_text().splitlines() == found["data"].index_to_label == names
    # Its figures are those that Classifier gives of the same file and photos.
    measured = Classifier("model.tflite").evaluate(found["test_data"].photos).top1
    assert float(printed["tflite"]) == float(printed["detailed"].split()[1]) == measured
    right, count = map(int, printed["right"].split())
    assert right / count == measured
    assert float(printed["float16"]) == Classifier("model_fp16.tflite").evaluate(found["test_data"].photos).top1
    assert printed["Model:"] == "for efficientnet_lite0" and "image" in printed
    # Ten epochs mean nothing to a head that is fitted to its optimum.
    assert printed["mobilenet_v2"] == printed["detailed"] == printed["epochs"]
    assert found["model"].model_spec.name == "for efficientnet_lite0"
    assert printed["inception_v3"] != printed["detailed"]


def test_a_range_that_nothing_tells_is_the_documented_one_with_one_line(loaders, spec, said, tmp_path):
    """The original's ModelSpec has mean_rgb [0.0] and stddev_rgb [255.0]."""
    train, *_ = loaders
    told, untold = ModelSpec(spec.uri), ModelSpec(spec.uri)
    told.mean_rgb, told.stddev_rgb = [0.0], [255.0]
    for _ in range(2):
        model = image_classifier.create(train, untold)
    model.export(tmp_path, "untold.tflite", quantization_config=None)
    assert metadata.read((tmp_path / "untold.tflite").read_bytes()).normalization == Normalization(0, 255)
    assert len([text for text in said() if "(pixel - 0) / 255, which is assumed: nothing in it tells" in text]) == 1
    image_classifier.create(train, told).export(tmp_path, "told.tflite", quantization_config=None)
    scores = [
        np.array(list(Classifier(tmp_path / f"{name}.tflite").scores(paths(train)))) for name in ("untold", "told")
    ]
    np.testing.assert_array_equal(*scores)
    # Stated in a class of one's own it holds, too.
    own = type("Own", (ModelSpec,), {"mean_rgb": [127.0], "stddev_rgb": [128.0]})
    assert (own(spec.uri).normalization, untold.normalization) == ("127,128", None)


def paths(loader):
    return [sample.path for sample in loader.photos.samples]


def test_the_default_backbone_learns_the_flowers(loaders, lite0, tmp_path):
    train, validation, test = loaders
    model = image_classifier.create(train, validation_data=validation)
    model.export(tmp_path, quantization_config=None)
    # Drawings of flowers are told apart by a network that knows ImageNet; a class at random is right on every fifth.
    assert model.evaluate_tflite(tmp_path / "model.tflite", test)["accuracy"] >= 5 / 6
    assert inspection.inspect((tmp_path / "model.tflite").read_bytes()).inputs[0].shape == (1, 224, 224, 3)


def provenance(model, folder):
    """What the float file says of its making."""
    model.export(folder, "told.tflite", quantization_config=None)
    return metadata.read((folder / "told.tflite").read_bytes()).provenance


def test_a_division_is_the_callers_own(loaders, model, tmp_path):
    parts = [{sample.digest for sample in loader.photos.samples} for loader in loaders]
    assert [len(part) for part in parts] == [48, 6, 6] and len(set.union(*parts)) == 60
    # What the model learned from stands in it: names and contents of exactly these photos.
    lines = []
    for loader in loaders[:2]:
        for sample in loader.photos.samples:
            digest = hashlib.sha256(Path(sample.path).read_bytes()).hexdigest()
            lines.append(f"{Path(sample.path).parent.name}\0{digest}\0")
    told = provenance(model, tmp_path)
    assert told["fingerprint"] == hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    assert told["photos"] == {"train": 48, "validation": 6}


def test_a_loader_counts_and_divides_as_the_original(drawn_flowers):
    data = DataLoader.from_folder(drawn_flowers)
    assert (len(data), data.size, data.num_classes) == (60, 60, 5)
    first, rest = data.split(0.33)
    assert (len(first), len(rest)) == (int(60 * 0.33), 60 - int(60 * 0.33))
    assert first.photos.samples + rest.photos.samples == data.photos.samples
    # Shuffled, but alike every time.
    assert DataLoader.from_folder(drawn_flowers).photos.samples == data.photos.samples
    assert data.photos.labels != sorted(data.photos.labels)
    assert DataLoader.from_folder(drawn_flowers, shuffle=False).photos.labels == sorted(data.photos.labels)
    with pytest.raises(DataError, match=r"split\(1.5\): give a fraction"):
        data.split(1.5)


def test_copies_lie_side_by_side_so_a_division_parts_one_at_most(make_photos, tmp_path):
    paths = make_photos(tmp_path, {"red": 10, "blue": 10})
    for path in paths:
        path.with_name(f"copy_{path.name}").write_bytes(path.read_bytes())
    first, rest = DataLoader.from_folder(tmp_path).split(0.5)
    shared = {sample.digest for sample in first.photos.samples} & {sample.digest for sample in rest.photos.samples}
    assert len(shared) <= 1


def test_gen_dataset_gives_pixels_and_labels_in_the_order_of_predictions(loaders, model, drawn_flowers):
    *_, test = loaders
    rows = list(test.gen_dataset().unbatch().as_numpy_iterator())
    assert len(test.gen_dataset(batch_size=1)) == len(rows) == 6
    for (pixels, label), sample in zip(rows, test.photos.samples, strict=True):
        assert test.index_to_label[label] == Path(sample.path).parent.name
        np.testing.assert_array_equal(pixels, np.asarray(Image.open(sample.path).convert("RGB")))
    assert model.predict_top_k([pixels for pixels, _ in rows]) == model.predict_top_k(test)


def test_gen_dataset_prepares_and_batches(loaders):
    import tensorflow as tf

    def prepare(image, label, is_training):
        return tf.image.resize(image, [4, 4]), tf.one_hot(label, 5) * (1.0 + is_training)

    sizes, sums = [], set()
    for pictures, labels in loaders[2].gen_dataset(4, is_training=True, shuffle=True, preprocess=prepare):
        assert pictures.shape[1:] == (4, 4, 3)
        sizes.append(len(pictures))
        sums |= set(labels.numpy().sum(1))
    assert sizes == [4, 2] and sums == {2.0}
    assert len(list(loaders[2].gen_dataset(4, preprocess=prepare, drop_remainder=True))) == 1


def scores_by_hand(file, loader):
    """What LiteRT makes of each photo, uint8 in and out, without any of our runtime."""
    interpreter = Interpreter(str(file))
    interpreter.allocate_tensors()
    [image], [output] = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = output["quantization"]
    rows = []
    for sample in loader.photos.samples:
        interpreter.set_tensor(image["index"], images.resize(Image.open(sample.path).convert("RGB"), 8)[None])
        interpreter.invoke()
        rows.append((interpreter.get_tensor(output["index"])[0].astype(float) - zero) * scale)
    return np.array(rows)


def test_figures_are_those_of_the_file_that_ships(loaders, model, tmp_path):
    train, *_ = loaders  # the most photos, and among them mistakes
    model.export(tmp_path)
    scores = scores_by_hand(tmp_path / "model.tflite", train)
    labels = np.array(train.photos.labels)
    accuracy = (scores.argmax(1) == labels).mean()
    loss, found = model.evaluate(train)
    assert found == pytest.approx(accuracy) and 0.2 < accuracy < 1
    # A score of 0 counts as half a step of 1/256.
    truth = np.maximum(scores[np.arange(len(labels)), labels], 1 / 512)
    assert loss == pytest.approx(-np.log(truth).mean(), rel=1e-5)
    metrics = Classifier(tmp_path / "model.tflite").evaluate(train.photos)
    assert model.evaluate_tflite(tmp_path / "model.tflite", train) == {"accuracy": metrics.top1}
    assert metrics.top1 == found


def test_a_postprocessing_has_the_last_word(loaders, model, tmp_path):
    train, *_ = loaders
    model.export(tmp_path)
    first = np.eye(5)[0]
    found = model.evaluate_tflite(tmp_path / "model.tflite", train, postprocess_fn=lambda scores: 0 * scores + first)
    assert found["accuracy"] == pytest.approx(train.photos.labels.count(0) / 48)


@pytest.mark.parametrize("k", [0, 1, 3, 9])
def test_top_k_are_labels_with_probabilities(loaders, model, k):
    rows = model.predict_top_k(loaders[2], k=k)
    assert len(rows) == 6
    for row in rows:
        assert len(row) == min(k, 5)
        assert [score for _, score in row] == sorted((score for _, score in row), reverse=True)
        assert {label for label, _ in row} <= set(model.index_to_label)


def test_less_than_no_labels_are_refused(loaders, model):
    with pytest.raises(DataError, match="k=-1"):
        model.predict_top_k(loaders[2], k=-1)


@dataclasses.dataclass
class Type:
    """A type as TensorFlow has them."""

    as_numpy_dtype: type


@pytest.mark.parametrize(
    "make, quantization, edges",
    [
        (lambda data: "default", "int8", "uint8"),
        (lambda data: None, "none", "float32"),
        (lambda data: QuantizationConfig.for_dynamic(), "dynamic", "float32"),
        (lambda data: QuantizationConfig.for_float16(), "float16", "float32"),
        (lambda data: QuantizationConfig(supported_types=[Type(np.float16)]), "float16", "float32"),
        (QuantizationConfig.for_int8, "int8", "uint8"),
        (lambda data: QuantizationConfig(representative_data=data), "int8", "float32"),
        (
            lambda data: QuantizationConfig.for_int8(
                data, inference_input_type=Type(np.int8), inference_output_type=np.int8
            ),
            "int8",
            "int8",
        ),
    ],
)
def test_a_file_is_quantized_as_it_was_told(loaders, model, tmp_path, make, quantization, edges):
    train, _, test = loaders
    model.export(tmp_path, tflite_filename="other.tflite", quantization_config=make(train))
    facts = inspection.inspect((tmp_path / "other.tflite").read_bytes())
    assert facts.quantization == quantization
    assert {facts.inputs[0].dtype, facts.outputs[0].dtype} == {edges}
    measured = Classifier(tmp_path / "other.tflite").evaluate(test.photos).top1
    assert model.evaluate_tflite(tmp_path / "other.tflite", test) == {"accuracy": measured}
    assert metadata.read((tmp_path / "other.tflite").read_bytes()).labels == tuple(test.index_to_label)


def test_the_callers_photos_calibrate(loaders, model, tmp_path, make_photos):
    make_photos(tmp_path / "photos", dict.fromkeys(model.index_to_label, 4))
    other = DataLoader.from_folder(tmp_path / "photos")
    configs = {"own": "default", "other": QuantizationConfig.for_int8(other)}
    configs["one"] = QuantizationConfig.for_int8(other, quantization_steps=1)
    for name, entry in configs.items():
        model.export(tmp_path, tflite_filename=name, quantization_config=entry)
    assert len({(tmp_path / name).read_bytes() for name in configs}) == 3


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"inference_input_type": "uint8"}, "input uint8 and output float32 cannot be had"),
        ({"inference_input_type": "int8", "inference_output_type": "int8"}, "int8 edges belong to int8 models"),
        ({"inference_input_type": "int64", "inference_output_type": "int64"}, "give both as one of float32, uint8"),
    ],
)
def test_edges_that_cannot_be_had_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        QuantizationConfig(**arguments)


def test_formats_are_written_where_the_caller_says(loaders, model, tmp_path):
    everything = [ExportFormat.TFLITE, ExportFormat.LABEL, ExportFormat.SAVED_MODEL]
    # Over what stands there, as the original does.
    (tmp_path / "c").mkdir()
    for name in ("a.tflite", "b.txt", "c/saved_model.pb", "c/old"):
        (tmp_path / name).write_text("an earlier one")
    model.export(tmp_path, "a.tflite", "b.txt", saved_model_filename="c", export_format=everything)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tflite", "b.txt", "c"]
    assert not (tmp_path / "c/old").exists()
    assert (tmp_path / "b.txt").read_text() == "daisy\ndandelion\nrose\nsunflower\ntulip"
    photos = [sample.path for sample in loaders[2].photos.samples]
    saved, shipped = (np.array(list(Classifier(tmp_path / name).scores(photos))) for name in ("c", "a.tflite"))
    # Of int8: it rounds, by some hundredths of a probability in so small a network.
    np.testing.assert_allclose(saved, shipped, atol=0.1)


def test_only_a_model_is_replaced_by_a_model(model, tmp_path):
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "letter.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds other things"):
        model.export(tmp_path, export_format=ExportFormat.SAVED_MODEL)
    assert (tmp_path / "saved_model" / "letter.txt").read_text() == "mine"


@pytest.mark.parametrize("wrong", [ExportFormat.VOCAB, "TFLITE", [ExportFormat.TFLITE, "onnx"]])
def test_a_format_that_is_not_allowed_is_refused_before_any_work(model, tmp_path, wrong):
    with pytest.raises(DataError, match="choose among ExportFormat.TFLITE, LABEL, SAVED_MODEL, TFJS"):
        model.export(tmp_path, export_format=wrong)
    assert not any(tmp_path.iterdir())


def test_what_means_nothing_is_said_once(loaders, spec, said, tmp_path):
    train, validation, _ = loaders
    given = {"steps_per_epoch": 3, "learning_rate": 0.1, "momentum": 0.9, "shuffle": True, "use_hub_library": False}
    given |= {"warmup_steps": 5, "model_dir": tmp_path, "epochs": 3, "batch_size": 8, "dropout_rate": 0.3}
    for _ in range(2):
        model = image_classifier.create(train, spec, validation, **given)
    written = {"with_metadata": False, "colour": "red", "vocab_filename": "words"}
    for _ in range(2):
        model.export(tmp_path, **written, export_format=ExportFormat.LABEL)
    text = "\n".join(said())
    for name in [*given, *written]:
        assert text.count(f"{name} means nothing here: ") == 1
    assert len(set(said())) == len(said())


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda model, data: model.evaluate(data, batch_size=8), "evaluate: batch_size means nothing here: "),
        (lambda model, data: model.predict_top_k(data, batch_size=8), "predict_top_k: batch_size means nothing here: "),
        (
            lambda model, data: ImageClassifier(model.model_spec, "ab", shuffle=False),
            "ImageClassifier: shuffle means nothing here: ",
        ),
        (
            lambda model, data: ImageClassifier(model.model_spec, "ab", representative_data=data),
            "ImageClassifier: representative_data means nothing here: ",
        ),
        (lambda model, data: model.train(data, steps_per_epoch=3), "train: steps_per_epoch means nothing here: "),
        (lambda model, data: DataLoader(data.photos, size=5), "DataLoader: size means nothing here: "),
        (lambda model, data: data.gen_dataset(input_pipeline_context=1), "input_pipeline_context means nothing here: "),
        (lambda model, data: ModelSpec("a.tflite", [1, 2]), "ModelSpec: compat_tf_versions means nothing here: "),
        (lambda model, data: QuantizationConfig(optimizations=[1]), "optimizations means nothing here: "),
        (lambda model, data: QuantizationConfig(quantization_steps=9), "quantization_steps means nothing here: "),
        (lambda model, data: QuantizationConfig.for_int8(data, 500), "of quantization_steps=500 the first 50 are made"),
    ],
)
def test_each_argument_without_a_meaning_is_told_once(loaders, model, said, call, line):
    model = copy.copy(model)
    for _ in range(2):
        call(model, loaders[0])
    assert [text for text in said() if "means nothing" in text or "are made" in text] == [
        text for text in said() if line in text
    ]
    assert len([text for text in said() if line in text]) == 1


def test_nothing_is_said_of_what_was_not_given(loaders, spec, said, tmp_path):
    train, validation, _ = loaders
    DataLoader(train.photos, len(train), train.index_to_label)
    model = image_classifier.create(train, spec, validation)
    assert (model.shuffle, model.representative_data) == (False, train)
    model.evaluate(validation, batch_size=32)
    model.predict_top_k(validation, batch_size=32)
    for config in (QuantizationConfig.for_int8(train), QuantizationConfig.for_int8(train, 50)):
        model.export(tmp_path, vocab_filename="vocab.txt", with_metadata=True, quantization_config=config)
    assert not [text for text in said() if "means nothing" in text or "are made" in text]


def test_every_layer_learns_where_that_is_asked_for(loaders, spec, said, tmp_path):
    train, validation, test = loaders
    model = image_classifier.create(train, spec, epochs=1, batch_size=16, train_whole_model=True, use_augmentation=True)
    told = provenance(model, tmp_path)
    assert (
        told["learned_with"]
        | {"fine_tune": "all", "epochs": 1, "batch_size": 16, "augment": "standard", "dropout": None}
        == told["learned_with"]
    )
    # No validation photos were given, so an eighth of the 48 is set aside: of each class 1 to 2.
    assert told["photos"]["train"] + told["photos"]["validation"] == 48 and 5 <= told["photos"]["validation"] <= 10
    assert [entry["phase"] for entry in model.history][:2] == ["frozen", "tail"]
    assert not [text for text in said() if "means nothing" in text]
    model.export(tmp_path)
    assert model.evaluate(test)[1] == Classifier(tmp_path / "model.tflite").evaluate(test.photos).top1


def test_no_photo_and_other_types_are_refused(loaders, spec, tmp_path):
    train, _, test = loaders
    model = image_classifier.create(train, spec)
    model.export(tmp_path)
    nothing = DataLoader(dataclasses.replace(test.photos, samples=()))
    for arguments in ({}, {"postprocess_fn": lambda scores: scores}):
        with pytest.raises(DataError, match="no photo"):
            model.evaluate_tflite(tmp_path / "model.tflite", nothing, **arguments)
    with pytest.raises(DataError, match="epochs = 'three': train takes a whole number"):
        image_classifier.create(train, spec, epochs="three", train_whole_model=True)


def test_a_model_is_trained_later(loaders, spec):
    train, validation, test = loaders
    model = image_classifier.create(train, spec, do_train=False)
    with pytest.raises(ModelError, match="not trained: call its train"):
        model.evaluate(test)
    assert model.train(train, validation) is None
    assert model.evaluate(test) == image_classifier.create(train, spec, validation).evaluate(test)


def test_validation_photos_may_lack_a_class(loaders, spec, make_photos, tmp_path):
    make_photos(tmp_path / "train", {"red": 6, "green": 6, "blue": 6})
    make_photos(tmp_path / "validation", {"red": 2, "blue": 2}, seed=1)
    train, validation = (DataLoader.from_folder(tmp_path / part) for part in ("train", "validation"))
    model = image_classifier.create(train, spec, validation)
    assert model.index_to_label == ["blue", "green", "red"]
    # Labels are matched by name: with "red" as number 1 these two would be learned as green.
    assert model.evaluate(validation)[1] == 1
    with pytest.raises(DataError, match="photos of daisy, dandelion"):
        image_classifier.create(train, spec, loaders[1])


def test_broken_photos_are_left_out_and_named(spec, make_photos, tmp_path, said):
    make_photos(tmp_path, {"red": 5, "blue": 5})
    (tmp_path / "red" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    model = image_classifier.create(DataLoader.from_folder(tmp_path), spec)
    assert provenance(model, tmp_path)["photos"] == {"train": 10, "validation": 0}
    assert [text for text in said() if "broken.png" in text and "left out" in text]


@pytest.mark.parametrize(
    "name, message",
    [
        ("resnet_50", r"The nearest is efficientnet_lite1 \(76.7 % on ImageNet.*ModelSpec\(uri=...\)"),
        ("bert_qa", "belongs to another task"),
        ("efficientdet_lite0", "belongs to another task"),
        ("efficientnet_lite9", "Did you mean efficientnet_lite"),
        (7, "7 is no model_spec"),
    ],
)
def test_a_backbone_that_is_not_here_is_told_with_the_nearest(name, message):
    with pytest.raises(BackboneError, match=message) as caught:
        model_spec.get(name)
    assert "\n" not in str(caught.value)


def test_specs_are_had_by_name_class_or_as_they_are():
    own = model_spec.get("mobilenet_v3_large")
    assert model_spec.get(own) is own and own.uri == "mobilenet_v3_large"
    made = model_spec.get("efficientnet_lite0", input_image_shape=[192, 192])
    assert (made.uri, made.image_size) == ("efficientnet_lite0", 192)
    assert model_spec.get(image_classifier.EfficientNetLite2Spec).image_size == 260
    # As the original's, for networks that take any size.
    assert ModelSpec(uri="https://tfhub.dev/google/imagenet/inception_v3/feature_vector/1").image_size == 224
    with pytest.raises(BackboneError, match=r"\[224, 192\]: models here take squares"):
        _ = ModelSpec(uri="a.tflite", input_image_shape=[224, 192]).image_size
    uneven = ModelSpec(uri="a.tflite")
    uneven.mean_rgb = [123.7, 116.3, 103.5]
    with pytest.raises(BackboneError, match="one number for all channels"):
        _ = uneven.normalization


def test_what_tensorflow_datasets_prepared_is_read(tmp_path, monkeypatch):
    import tensorflow as tf

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match=r"Run tensorflow_datasets.load\('colours'\) once"):
        DataLoader.from_tfds("colours")
    for version, parts in {"1.2.0": {"train": 2}, "1.10.0": {"train": 6, "test": 4}}.items():
        home = tmp_path / "colours" / version
        home.mkdir(parents=True)
        (home / "dataset_info.json").write_text("{}")
        (home / "label.labels.txt").write_text("red\nblue\n")
        for part, count in parts.items():
            with tf.io.TFRecordWriter(str(home / f"colours-{part}.tfrecord-00000-of-00001")) as writer:
                for number in range(count):
                    writer.write(example(tf, number % 2, (part, number)))
    train, validation, test = DataLoader.from_tfds("colours")
    assert (len(train), validation, len(test)) == (6, None, 4)
    assert train.index_to_label == ["blue", "red"]
    [(pixels, label)] = train.gen_dataset().unbatch().take(1).as_numpy_iterator()
    assert pixels.shape == (8, 8, 3) and train.index_to_label[label] == "red"


def example(tf, label, seed):
    file = io.BytesIO()
    colour = tuple(hashlib.sha256(str(seed).encode()).digest()[:3])
    Image.new("RGB", (8, 8), colour).save(file, "PNG")
    image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[file.getvalue()]))
    number = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
    return tf.train.Example(features=tf.train.Features(feature={"image": image, "label": number})).SerializeToString()


def test_a_class_without_photos_to_learn_from_is_named(spec, drawn_flowers):
    train, _ = DataLoader.from_folder(drawn_flowers, shuffle=False).split(0.5)
    with pytest.raises(DataError, match="sunflower has no photo to learn from"):
        image_classifier.create(train, spec)


def test_photos_come_from_a_loader(loaders, model, drawn_flowers):
    for call in (image_classifier.create, model.evaluate, QuantizationConfig.for_int8):
        with pytest.raises(DataError, match=r"is no DataLoader: give DataLoader.from_folder\(...\)"):
            call(str(drawn_flowers))
    with pytest.raises(DataError, match="give a dict of train_whole_model, epochs, batch_size, dropout_rate"):
        model.train(loaders[0], hparams={"l2_regularizer": 1e-4})


def test_a_stream_of_tensors_is_no_data_set():
    with pytest.raises(DataError, match="Use DataLoader.from_folder"):
        DataLoader([(np.zeros((8, 8, 3), np.uint8), 0)], 1, ["a"])


def test_a_folder_that_divides_itself_is_told_of(make_photos, tmp_path, said):
    for part in ("train", "test"):
        make_photos(tmp_path / part, {"red": 3, "blue": 3}, seed=part)
    assert len(DataLoader.from_folder(tmp_path)) == 12
    assert [text for text in said() if "divides its photos itself" in text]
    assert len(DataLoader.from_folder(tmp_path / "train")) == 6
    assert read(tmp_path).stated("test").samples
