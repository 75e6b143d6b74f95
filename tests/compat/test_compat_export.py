"""What the compatible API exports: formats, quantization, names."""

import dataclasses

import numpy as np
import pytest

from model_maker import Classifier
from model_maker.compat.config import ExportFormat, QuantizationConfig
from model_maker.compat.image_classifier import DataLoader
from model_maker.errors import DataError, OutputError
from model_maker.tflite import inspection, metadata


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
def test_a_file_is_quantized_as_requested(loaders, model, tmp_path, make, quantization, edges):
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
        ({"inference_input_type": "uint8"}, "input uint8 and output float32 are not supported"),
        ({"inference_input_type": "int8", "inference_output_type": "int8"}, "int8 input and output need an int8 model"),
        ({"inference_input_type": "int64", "inference_output_type": "int64"}, "pass the same for both: float32, uint8"),
    ],
)
def test_edges_that_cannot_be_had_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        QuantizationConfig(**arguments)


@pytest.mark.tensorflow
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


@pytest.mark.tensorflow
def test_only_a_model_is_replaced_by_a_model(model, tmp_path):
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "letter.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not replaced"):
        model.export(tmp_path, export_format=ExportFormat.SAVED_MODEL)
    assert (tmp_path / "saved_model" / "letter.txt").read_text() == "mine"


@pytest.mark.parametrize("wrong", [ExportFormat.VOCAB, "TFLITE", [ExportFormat.TFLITE, "onnx"]])
def test_a_format_that_is_not_allowed_is_refused_before_any_work(model, tmp_path, wrong):
    with pytest.raises(DataError, match="choose from ExportFormat.TFLITE, LABEL, SAVED_MODEL, TFJS"):
        model.export(tmp_path, export_format=wrong)
    assert not any(tmp_path.iterdir())
