"""Names, constants, parameters and defaults are those of TFLite Model Maker 0.4.2, or a line says what to use."""

import inspect

import pytest
from checkout import ROOT

from model_maker import compat
from model_maker.compat import config, image_classifier, model_spec
from model_maker.compat.absent import NOT_OFFERED
from model_maker.compat.config import ExportFormat, QuantizationConfig
from model_maker.compat.image_classifier import DataLoader, ImageClassifier, ModelSpec
from model_maker.compat.notices import MEANINGLESS
from model_maker.errors import ModelMakerError

# Parameters and defaults as version 0.4.2 documents them. TensorFlow's types and operator sets are names here,
# since importing TensorFlow for a name takes seconds.
PUBLISHED = {
    image_classifier.create: {
        "train_data": ...,
        "model_spec": "efficientnet_lite0",
        "validation_data": None,
        "batch_size": None,
        "epochs": None,
        "steps_per_epoch": None,
        "train_whole_model": None,
        "dropout_rate": None,
        "learning_rate": None,
        "momentum": None,
        "shuffle": False,
        "use_augmentation": False,
        "use_hub_library": True,
        "warmup_steps": None,
        "model_dir": None,
        "do_train": True,
    },
    ImageClassifier: {
        "model_spec": ...,
        "index_to_label": ...,
        "shuffle": True,
        "hparams": None,  # there the defaults of make_image_classifier_lib
        "use_augmentation": False,
        "representative_data": None,
    },
    ImageClassifier.train: {
        "self": ...,
        "train_data": ...,
        "validation_data": None,
        "hparams": None,
        "steps_per_epoch": None,
    },
    ImageClassifier.summary: {"self": ...},
    ImageClassifier.evaluate: {"self": ..., "data": ..., "batch_size": 32},
    ImageClassifier.evaluate_tflite: {"self": ..., "tflite_filepath": ..., "data": ..., "postprocess_fn": None},
    ImageClassifier.predict_top_k: {"self": ..., "data": ..., "k": 1, "batch_size": 32},
    ImageClassifier.export: {
        "self": ...,
        "export_dir": ...,
        "tflite_filename": "model.tflite",
        "label_filename": "labels.txt",
        "vocab_filename": "vocab.txt",
        "saved_model_filename": "saved_model",
        "tfjs_folder_name": "tfjs",
        "export_format": None,
        "kwargs": ...,
    },
    DataLoader: {"dataset": ..., "size": None, "index_to_label": None},  # both required there
    DataLoader.from_folder: {"filename": ..., "shuffle": True},
    DataLoader.from_tfds: {"name": ...},
    DataLoader.gen_dataset: {
        "self": ...,
        "batch_size": 1,
        "is_training": False,
        "shuffle": False,
        "input_pipeline_context": None,
        "preprocess": None,
        "drop_remainder": False,
    },
    DataLoader.split: {"self": ..., "fraction": ...},
    ModelSpec: {"uri": ..., "compat_tf_versions": None, "input_image_shape": None, "name": ""},
    ModelSpec.get_default_quantization_config: {"self": ..., "representative_data": ...},
    model_spec.get: {"spec_or_str": ..., "args": ..., "kwargs": ...},
    QuantizationConfig: {
        "optimizations": None,
        "representative_data": None,
        "quantization_steps": None,
        "inference_input_type": None,
        "inference_output_type": None,
        "supported_ops": None,
        "supported_types": None,
        "experimental_new_quantizer": None,
    },
    QuantizationConfig.for_dynamic: {},
    QuantizationConfig.for_float16: {},
    QuantizationConfig.for_int8: {
        "representative_data": ...,
        "quantization_steps": 2000,
        "inference_input_type": "uint8",  # tf.uint8
        "inference_output_type": "uint8",
        "supported_ops": None,  # TFLITE_BUILTINS_INT8
    },
}

# Public names as version 0.4.2 documents them.
LITES = {f"EfficientNetLite{number}Spec" for number in range(5)}
OTHER_MODELS = ("AUDIO_CLASSIFICATION", "OBJECT_DETECTION", "QUESTION_ANSWER", "RECOMMENDATION", "TEXT_CLASSIFICATION")
NAMES = {
    config: {"ExportFormat", "QuantizationConfig"},
    image_classifier: LITES
    | {"DataLoader", "ImageClassifier", "MobileNetV2Spec", "ModelSpec", "Resnet50Spec", "create"},
    model_spec: {"get", "IMAGE_CLASSIFICATION_MODELS"} | {f"{task}_MODELS" for task in OTHER_MODELS},
    DataLoader: {"from_folder", "from_tfds", "gen_dataset", "num_classes", "size", "split"},
    ModelSpec: {"get_default_quantization_config", "mean_rgb", "stddev_rgb"},
    QuantizationConfig: {"for_dynamic", "for_float16", "for_int8", "get_converter_with_quantization"},
    ImageClassifier: {"ALLOWED_EXPORT_FORMAT", "DEFAULT_EXPORT_FORMAT", "create", "create_model", "evaluate"}
    | {"create_serving_model", "evaluate_tflite", "export", "predict_top_k", "summary", "train", "model", "preprocess"},
}
TASKS = ("audio_classifier", "object_detector", "question_answer", "recommendation", "searcher", "text_classifier")
COMPAT = ROOT / "docs/COMPAT.md"


@pytest.mark.parametrize("function", PUBLISHED, ids=lambda function: function.__qualname__)
def test_signatures_are_the_published_ones(function):
    found = inspect.signature(function).parameters.values()
    required = inspect.Parameter.empty
    assert {entry.name: ... if entry.default is required else entry.default for entry in found} == PUBLISHED[function]


def test_names_and_constants_are_the_published_ones():
    lites = [f"efficientnet_lite{number}" for number in range(5)]
    assert [*lites, "mobilenet_v2", "resnet_50"] == model_spec.IMAGE_CLASSIFICATION_MODELS
    assert [entry.value for entry in ExportFormat] == ["TFLITE", "SAVED_MODEL", "LABEL", "VOCAB", "TFJS"]
    allowed = (ExportFormat.TFLITE, ExportFormat.LABEL, ExportFormat.SAVED_MODEL, ExportFormat.TFJS)
    assert allowed == ImageClassifier.ALLOWED_EXPORT_FORMAT
    assert (ExportFormat.TFLITE, ExportFormat.LABEL) == ImageClassifier.DEFAULT_EXPORT_FORMAT
    assert (ModelSpec.mean_rgb, ModelSpec.stddev_rgb) == ([0.0], [255.0])
    sizes = [224, 240, 260, 280, 300]
    made = [getattr(image_classifier, f"EfficientNetLite{number}Spec")() for number in range(5)]
    assert [(spec.name, spec.input_image_shape) for spec in made] == [
        (name, [size, size]) for name, size in zip(lites, sizes, strict=True)
    ]
    assert image_classifier.MobileNetV2Spec().input_image_shape == [224, 224]


def test_a_model_spec_has_both_names_in_both_modules():
    for module in (image_classifier, model_spec):
        assert module.ImageClassifierSpec is module.ModelSpec is ModelSpec


def said_of(owner, name):
    """What reaching for a name says; empty where it is there."""
    try:
        getattr(owner, name)
    except AttributeError as error:
        assert isinstance(error, ModelMakerError), f"{name} is neither offered nor spoken of"
        return str(error)
    return ""


def test_every_published_name_is_there_or_says_what_to_use():
    absent = {}
    for owner, names in NAMES.items():
        for name in names:
            assert hasattr(owner, name) == (not (text := said_of(owner, name)))
            if text:
                absent[name] = text
    assert set(absent) == {
        *(f"{task}_MODELS" for task in OTHER_MODELS),
        *("get_converter_with_quantization", "model", "preprocess", "create_model", "create_serving_model"),
    }
    for name, text in absent.items():
        assert f".{name} is not offered: " in text and "\n" not in text and text.endswith(".")
    assert "export(quantization_config=...)" in absent["get_converter_with_quantization"]
    for name in ("model", "create_serving_model"):
        assert "export(export_format=ExportFormat.SAVED_MODEL)" in absent[name]


def test_of_an_instance_the_same_is_said():
    given = QuantizationConfig.for_float16()
    assert not hasattr(given, "get_converter_with_quantization")
    assert said_of(given, "get_converter_with_quantization").startswith("QuantizationConfig.get_converter_with")
    classifier = ImageClassifier("efficientnet_lite0", ["a", "b"])
    assert getattr(classifier, "model", None) is None
    assert "do_train=False" in said_of(classifier, "create_model")


@pytest.mark.parametrize("task", TASKS)
def test_another_task_says_so_where_it_is_imported(task):
    with pytest.raises(
        ImportError, match=f"compat.{task} is not offered: .* Keep tflite-model-maker, on Python 3.9"
    ) as caught:
        exec(f"from model_maker.compat import {task}", {})
    assert isinstance(caught.value, ModelMakerError) and "\n" not in str(caught.value)


@pytest.mark.parametrize("owner", [compat, model_spec, QuantizationConfig, ImageClassifier])
def test_a_name_that_nobody_published_is_missing_as_usual(owner):
    with pytest.raises(AttributeError, match="has no attribute 'tuna'") as caught:
        owner.tuna  # noqa: B018
    assert not isinstance(caught.value, ModelMakerError)


def test_the_page_names_all_that_is_not_offered():
    section = COMPAT.read_text(encoding="utf-8").partition("### Not offered")[2].partition("\n###")[0]
    names = {name for names in NOT_OFFERED.values() for name in names}
    assert {name for name in names if f"`{name}`" not in section} == set()


@pytest.mark.parametrize(
    ("where", "function"),
    [
        ("create", image_classifier.create),
        ("ImageClassifier", ImageClassifier),
        ("train", ImageClassifier.train),
        ("evaluate", ImageClassifier.evaluate),
        ("predict_top_k", ImageClassifier.predict_top_k),
        ("gen_dataset", DataLoader.gen_dataset),
        ("ModelSpec", ModelSpec),
        ("QuantizationConfig", QuantizationConfig),
    ],
)
def test_nothing_is_said_at_the_published_default(where, function):
    assert {name: default for name, (default, _) in MEANINGLESS[where].items()} == {
        name: PUBLISHED[function][name] for name in MEANINGLESS[where]
    }
