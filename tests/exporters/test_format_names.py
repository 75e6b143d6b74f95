"""Names that other tools have for formats, and the way to formats that are not written here."""

import pytest

import model_maker
from model_maker.errors import DataError
from model_maker.exporters import format_names
from model_maker.exporters.export import EXPORTERS

KNOWN = tuple(EXPORTERS)


@pytest.mark.parametrize(
    ("name", "flags", "meant"),
    [
        ("tflite", {}, "tflite-int8"),
        ("tflite", {"half": True}, "tflite-float16"),
        ("TFLite", {"int8": True}, "tflite-int8"),
        ("litert", {"half": True}, "tflite-float16"),
        ("coreml", {"half": True}, "coreml"),
        ("edgetpu", {"int8": True}, "edgetpu"),
        ("mlpackage", {}, "coreml"),
        ("onnx", {}, "onnx"),
    ],
)
def test_names_of_other_tools(name, flags, meant):
    assert format_names.resolve(name, KNOWN, **flags) == meant


def test_every_name_leads_somewhere():
    assert set(format_names.ALIASES.values()) <= set(KNOWN) | set(format_names.ELSEWHERE)
    assert not set(KNOWN) & (set(format_names.ELSEWHERE) | set(format_names.ALIASES))


# Formats of Ultralytics' export table that this package does not write.
@pytest.mark.parametrize(
    "name",
    [
        "torchscript",
        "engine",
        "TensorRT",
        "ncnn",
        "paddle",
        "graphdef",
        "pb",
        "executorch",
        "mnn",
        "rknn",
        "qnn",
        "imx",
    ],
)
def test_what_is_not_written_says_why_and_the_way(name, tmp_path):
    with pytest.raises(DataError, match=f"`formats={name!r}` is not written here: .*") as caught:
        model_maker.export("nothing_is_read_before", tmp_path / "x", formats=name)
    text = str(caught.value)
    assert "\n" not in text and ("model.onnx" in text or "`formats='saved_model'`" in text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": "onnx", "half": True}, "`half=True` has no effect on `formats='onnx'`. It selects tflite-float16"),
        ({"formats": "all", "int8": True}, "`formats='all'`: choose from"),
        ({"formats": "tflite", "int8": True, "half": True}, "ask for different files"),
        ({"formats": "tflite", "opset": 15}, "`opset=15` belongs to `formats='onnx'`"),
        ({"formats": "onnx", "opset": 7}, "`opset=7`: give 13 to 18"),
    ],
)
def test_options_that_mean_nothing_are_refused_before_any_work(options, message, tmp_path):
    with pytest.raises(DataError, match=message):
        model_maker.export("nothing_is_read_before", tmp_path / "x", **options)


def test_half_and_int8_make_those_files(trained, tmp_path):
    [entry] = model_maker.export(trained["uint8"], tmp_path / "half", formats="tflite", half=True).entries
    assert entry.format == "tflite-float16" and entry.path.is_file()
    [entry] = model_maker.export(trained["uint8"], tmp_path / "int8", formats="tflite", int8=True).entries
    assert entry.path.read_bytes() == (trained["uint8"] / "model.tflite").read_bytes()


@pytest.mark.onnx
@pytest.mark.tensorflow
def test_the_opset_is_what_was_asked_for(trained, tmp_path):
    import onnx

    [entry] = model_maker.export(trained["uint8"], tmp_path / "x", formats="onnx", opset=17).entries
    model = onnx.load(entry.path)
    assert [each.version for each in model.opset_import if each.domain == ""] == [17]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
