"""Names, constants, parameters and defaults are those of TFLite Model Maker 0.4.2."""

import inspect

import pytest

from model_maker.compat import image_classifier, model_spec
from model_maker.compat.config import ExportFormat, QuantizationConfig
from model_maker.compat.image_classifier import DataLoader, ImageClassifier, ModelSpec

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
