"""TFLite Model Maker's way from photos to figures."""

import copy
import dataclasses
import functools
import runpy
import sys

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from checkout import HELPERS
from compat_models import provenance, tiny
from PIL import Image

from model_maker import Classifier
from model_maker.compat import image_classifier, model_spec
from model_maker.compat.config import ExportFormat, QuantizationConfig
from model_maker.compat.image_classifier import DataLoader, ImageClassifier, ModelSpec
from model_maker.data import images
from model_maker.errors import BackboneError, DataError, ModelError
from model_maker.normalization import Normalization
from model_maker.tflite import inspection, metadata

TUTORIAL = HELPERS / "compat_tutorial.py"


@pytest.mark.tensorflow
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
        pytest.param(
            lambda model, data: data.gen_dataset(input_pipeline_context=1),
            "input_pipeline_context means nothing here: ",
            marks=pytest.mark.tensorflow,
        ),
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


@pytest.mark.tensorflow
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
