import logging
import warnings

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tiny_network import TinyNetwork

from model_maker.errors import ModelError
from model_maker.normalization import Normalization
from model_maker.system import suppressed_output
from model_maker.tflite import graph, inspection, quantize
from model_maker.tflite.interpreter import KERNELS, LiteRTRunner
from model_maker.tflite.quantize import Calibration

PIXELS = Normalization(127.0, 128.0)


def constants(content):
    """{name: (tensor, its numbers)} of a file, read with the plain schema."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    types = {
        schema.TensorType.INT8: np.int8,
        schema.TensorType.INT32: np.int32,
        schema.TensorType.INT64: np.int64,
        schema.TensorType.FLOAT16: np.float16,
        schema.TensorType.FLOAT32: np.float32,
    }
    found = {}
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data):
            numbers = np.frombuffer(bytes(data), types[tensor.type]).reshape(tensor.shape)
            found[tensor.name.decode()] = tensor, numbers
    return found


def test_ranges_are_those_of_every_activation(tiny_embedder):
    kernel, bias = np.array([[1.0, 0, 0], [0, -2, 0]]), np.array([0.5, 0])
    calibrator = quantize.Calibrator(graph.attach_head(tiny_embedder, kernel, bias))
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    mean = image[0].mean(axis=(0, 1))
    logits = mean[0] + 0.5, -2 * mean[1]
    scores = np.exp(logits) / np.exp(logits).sum()
    found = calibrator.observe(image).ranges
    assert set(found) == {"embedding", "logits", "probabilities"}
    for name, values in {"embedding": mean, "logits": logits, "probabilities": scores}.items():
        assert found[name] == pytest.approx((min(values), max(values)), abs=1e-5)


def test_photos_are_combined_by_the_least_and_the_greatest_value():
    observed = [Calibration({"a": (-1, 3), "b": (0, 1)}), Calibration({"a": (-3, 2), "b": (0.5, 4)})]
    assert quantize.combine(observed).ranges == {"a": (-3, 3), "b": (0, 4)}
    assert quantize.combine(observed[::-1]) == quantize.combine(observed)
    assert quantize.combine(observed[:1]) == observed[0]


def test_photos_are_combined_with_the_samples_of_all():
    observed = [Calibration({}, {"a": np.full((1, count, 2), count)}) for count in (1, 2)]
    np.testing.assert_array_equal(quantize.combine(observed).samples["a"], [[[1, 1], [2, 2], [2, 2]]])


def test_int8_weights_lie_within_half_a_step_of_the_float_ones(float_classifier, calibrated):
    # Without samples; with them they are rounded together, and may lie on either side.
    told = Calibration(calibrated.ranges)
    real = constants(float_classifier)
    small = constants(quantize.quantize(float_classifier, "int8", normalization=PIXELS, calibration=told))
    for name in ("kernel", "head/kernel"):
        tensor, numbers = small[name]
        scale = tensor.quantization.scale.reshape(-1, *[1] * (numbers.ndim - 1))
        assert numbers.dtype == np.int8 and len(scale) == len(numbers)  # one step size a channel
        assert tensor.quantization.zeroPoint.any() == 0
        error = np.abs(numbers * scale - real[name][1])
        assert (error <= scale / 2 * (1 + 1e-4)).all()  # and float32 rounding of scale and product


@settings(max_examples=15, deadline=None)
@given(arrays.arrays(np.float32, (4, 3, 3, 3), elements=st.floats(-1000, 1000, width=32), fill=st.nothing()))
def test_any_weights_survive_within_half_a_step(make_embedder, kernel):
    embedder = make_embedder(8, kernel)
    content = quantize.quantize(
        graph.attach_head(embedder, np.eye(2, 4), np.zeros(2)),
        "int8",
        normalization=PIXELS,
        calibration=Calibration(
            {"features": (-1, 1), "embedding": (-1, 1), "logits": (-1, 1), "probabilities": (0, 1)}
        ),
    )
    tensor, numbers = constants(content)["kernel"]
    scale = tensor.quantization.scale.reshape(-1, 1, 1, 1)
    assert (np.abs(numbers * scale.astype(float) - kernel) <= scale / 2 * (1 + 1e-4)).all()


def test_int8_is_int8_from_edge_to_edge(float_classifier, calibrated):
    content = quantize.quantize(float_classifier, "int8", normalization=PIXELS, calibration=calibrated)
    facts = inspection.inspect(content)
    assert (facts.inputs[0].dtype, facts.outputs[0].dtype) == ("int8", "int8")
    # The range of pixels is known, not measured: 0 to 255 are (0 - 127) / 128 to (255 - 127) / 128.
    assert (facts.inputs[0].scale, facts.inputs[0].zero_point) == (1 / 128, -1)
    # Probabilities have a range of their own, too, or a score near 1 could not be told.
    assert (facts.outputs[0].scale, facts.outputs[0].zero_point) == (1 / 256, -128)


def test_int8_steps_cover_the_measured_range(float_classifier, calibrated):
    content = quantize.quantize(float_classifier, "int8", normalization=PIXELS, calibration=calibrated)
    tensors = {t.name.decode(): t for t in graph.parse(content).subgraphs[0].tensors}
    for name in ("features", "logits"):
        scale, zero = float(tensors[name].quantization.scale[0]), int(tensors[name].quantization.zeroPoint[0])
        low, high = (min(calibrated.ranges[name][0], 0), max(calibrated.ranges[name][1], 0))
        # 256 steps over the range; zero itself must be one of them, which moves both ends by up to a step.
        assert scale == pytest.approx((high - low) / 255, rel=1e-3)
        assert (-128 - zero) * scale == pytest.approx(low, abs=scale)
        assert (127 - zero) * scale == pytest.approx(high, abs=scale)


def test_float16_weights_are_the_rounded_ones(float_classifier):
    real = constants(float_classifier)
    small = constants(quantize.quantize(float_classifier, "float16", normalization=PIXELS))
    for name in ("kernel", "head/kernel"):
        np.testing.assert_array_equal(small[name][1], real[name][1].astype(np.float16))


def test_dynamic_has_int8_weights_and_float_activations(float_classifier):
    content = quantize.quantize(float_classifier, "dynamic", normalization=PIXELS)
    numbers = constants(content)
    assert numbers["kernel"][1].dtype == numbers["head/kernel"][1].dtype == np.int8
    assert {line.split(" (")[0] for line in inspection.inspect(content).float_operators} >= {
        "CONV_2D",
        "FULLY_CONNECTED",
    }


def test_none_leaves_the_model_alone(float_classifier):
    assert quantize.quantize(float_classifier, "none", normalization=PIXELS) is float_classifier


# Twice the largest difference of a score seen on any kernel: 0.011, 0.0018, 0.079, 0.0044, 0.00018; float32 rounding
# for "none".
TOLERANCE = {"int8": 0.022, "int16x8": 0.0036, "int4": 0.16, "dynamic": 0.009, "float16": 0.0004, "none": 1e-6}


@pytest.mark.parametrize("io", graph.IO_TYPES)
@pytest.mark.parametrize("kind", quantize.FORMATS)
@pytest.mark.parametrize("kernels", KERNELS)
def test_every_format_scores_like_the_float_model_on_every_kernel(
    make_tiny_model, float_classifier, noise_photos, kind, io, kernels
):
    runner, real = LiteRTRunner(make_tiny_model(kind, io), kernels=kernels), LiteRTRunner(float_classifier)
    for photo in noise_photos:
        image = (photo.astype(np.float32) - 127) / 128
        found = runner.run(photo if io == "uint8" else image)
        # A uint8 output rounds once more, by half a step.
        np.testing.assert_allclose(found, real.run(image), atol=TOLERANCE[kind] + (io == "uint8") * 0.51 / 256)


def test_int16x8_has_int16_activations_and_int8_weights(float_classifier, calibrated):
    content = quantize.quantize(float_classifier, "int16x8", normalization=PIXELS, calibration=calibrated)
    numbers = {name: values for name, (_, values) in constants(content).items()}
    assert numbers["kernel"].dtype == numbers["head/kernel"].dtype == np.int8
    assert numbers["bias"].dtype == np.int64  # int16 times int8, summed, is beyond int32
    tensors = {t.name.decode(): t for t in graph.parse(content).subgraphs[0].tensors}
    for name in ("features", "embedding", "logits"):
        assert tensors[name].type == schema.TensorType.INT16
        # Symmetric: 32767 steps to the end that lies further from zero.
        farthest = max(map(abs, calibrated.ranges[name]))
        assert float(tensors[name].quantization.scale[0]) == pytest.approx(farthest / 32767, rel=1e-4)


def test_int4_halves_the_weights(conv_embedder):
    random = np.random.default_rng(0)
    model = graph.attach_head(conv_embedder, random.normal(size=(500, 16)), random.normal(size=500))
    sizes = {kind: len(quantize.quantize(model, kind, normalization=PIXELS)) for kind in ("none", "dynamic", "int4")}
    weights = 16 * 27 + 500 * 16
    # "dynamic" has one scale for the whole head, "int4" one for each of 500 classes; a scale, its zero point and the
    # growth of the tables around them are 4, 8 and some bytes.
    assert sizes["dynamic"] - sizes["int4"] == pytest.approx(weights / 2 - 500 * 12, abs=100)
    assert sizes["none"] - sizes["dynamic"] == pytest.approx(3 * weights, abs=700)


def test_int4_weights_are_few_steps_of_a_scale_a_channel(float_classifier):
    model = graph.parse(quantize.quantize(float_classifier, "int4", normalization=PIXELS))
    tensors = {t.name.decode(): t for t in model.subgraphs[0].tensors}
    real = constants(float_classifier)
    for name in ("kernel", "head/kernel"):
        numbers = graph.constant(model, tensors[name])
        scale = np.asarray(tensors[name].quantization.scale).reshape(-1, *[1] * (numbers.ndim - 1))
        assert (tensors[name].type, len(scale)) == (schema.TensorType.INT4, len(numbers))
        assert np.abs(numbers).max() <= 7
        assert (np.abs(numbers * scale - real[name][1]) <= scale / 2 * (1 + 1e-4)).all()


@pytest.mark.parametrize(("kind", "other"), [(k, o) for k, others in quantize.MIXES.items() for o in others])
def test_a_kept_operator_is_what_it_was_kept_as_and_others_are_not(float_classifier, calibrated, kind, other):
    content = quantize.quantize(
        float_classifier, kind, normalization=PIXELS, calibration=calibrated, kept={"features": other}
    )
    tensors = {t.name.decode(): t.type for t in graph.parse(content).subgraphs[0].tensors}
    types = schema.TensorType
    activation = {"int8": types.INT8, "int16x8": types.INT16}
    weights = {"int4": types.INT4, "float": types.FLOAT32}
    assert tensors["features"] == activation.get(other, types.FLOAT32)
    assert tensors["logits"] == activation.get(kind, types.FLOAT32)
    assert tensors["kernel"] == weights.get(other, types.INT8)
    assert tensors["head/kernel"] == weights.get(kind, types.INT8)


@pytest.mark.parametrize(
    ("kind", "kept", "text"),
    [
        ("int8", {"nowhere": "float"}, "No operator has the output nowhere, which was to be kept as float"),
        ("int8", {"features": "int4"}, "cannot be kept as int4 in a model of int8, which mixes with int16x8, float"),
        ("float16", {"features": "float"}, "of float16, which mixes with nothing else"),
    ],
)
def test_what_cannot_be_kept_is_refused(float_classifier, calibrated, kind, kept, text):
    with pytest.raises(ModelError, match=text) as caught:
        quantize.quantize(float_classifier, kind, normalization=PIXELS, calibration=calibrated, kept=kept)
    assert "\n" not in str(caught.value)


def test_an_operator_without_int16_is_refused_not_passed_over():
    model = TinyNetwork(8)
    model.operator("HARD_SWISH", schema.HardSwishOptionsT(), [], model.shape)
    content = graph.attach_head(model.mean().content(), np.eye(3), np.zeros(3))
    calibration = quantize.Calibrator(content).observe(np.zeros((1, 8, 8, 3), np.float32))
    [name] = [name for name in calibration.ranges if name.startswith("hard_swish")]
    with pytest.raises(ModelError, match=f"cannot keep the operator with output {name} as int16x8"):
        quantize.quantize(content, "int8", normalization=PIXELS, calibration=calibration, kept={name: "int16x8"})


def test_rules_for_ranges():
    ranges = [{"a": (-float(n), 2.0 * n)} for n in range(11)]
    assert quantize.combine_ranges(ranges) == {"a": (-10, 20)}
    assert quantize.combine_ranges(ranges, rule="mean") == {"a": (-5, 10)}
    assert quantize.combine_ranges(ranges, rule="percentile") == {"a": (-9, 18)}  # the second largest of eleven


@pytest.mark.parametrize("kind", quantize.FORMATS)
def test_equal_inputs_give_equal_bytes(float_classifier, calibrated, kind):
    first, second = (
        quantize.quantize(float_classifier, kind, normalization=PIXELS, calibration=calibrated) for _ in range(2)
    )
    assert first == second


def test_int8_without_calibration_is_refused_in_one_line(float_classifier):
    with pytest.raises(ModelError, match="cannot make int8") as caught:
        quantize.quantize(float_classifier, "int8", normalization=PIXELS)
    assert "\n" not in str(caught.value)


def test_rounding_weights_together_reports_each_layer(float_classifier, calibrated):
    """It takes most of the time, after the photos are done. The small network has these layers with weights."""
    heard = []
    options = {"normalization": PIXELS, "calibration": calibrated, "progress": lambda *call: heard.append(call)}
    quantize.quantize(float_classifier, "dynamic", **options)
    main = schema.ModelT.InitFromObj(schema.Model.GetRootAs(float_classifier, 0)).subgraphs[0]
    layers = sum(len(operator.inputs) == 3 for operator in main.operators)  # input, weights, bias
    assert layers > 1 and heard == [(done, layers) for done in range(layers)]


@pytest.mark.parametrize("kind", quantize.FORMATS)
def test_quantizing_is_silent(float_classifier, calibrated, kind, capfd, monkeypatch):
    monkeypatch.setattr(suppressed_output, "may_redirect", lambda: True)  # no thread of ours writes
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quantize.quantize(float_classifier, kind, normalization=PIXELS, calibration=calibrated)
    assert capfd.readouterr() == ("", "")


def test_logging_works_as_before(float_classifier, calibrated, monkeypatch, capsys):
    monkeypatch.setattr(suppressed_output, "may_redirect", lambda: True)
    # As in a script that has not set it up: the first who logs does, with the stderr of that moment.
    monkeypatch.setattr(logging.root, "handlers", [])
    for kind in quantize.FORMATS:
        quantize.quantize(float_classifier, kind, normalization=PIXELS, calibration=calibrated)
    logging.warning("a word of the script's own")
    assert "a word of the script's own" in capsys.readouterr().err


def as_before_2020(content):
    """States operators as TensorFlow before 2.4 did: in the narrow field only."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    for code in model.operatorCodes:
        code.deprecatedBuiltinCode, code.builtinCode = min(code.builtinCode, 127), 0
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("kind", ["int8", "int16x8", "int4", "dynamic", "float16"])
def test_old_files_are_quantized_as_new_ones_are(float_classifier, calibrated, kind):
    old = as_before_2020(float_classifier)
    expected, found = (
        quantize.quantize(content, kind, normalization=PIXELS, calibration=calibrated)
        for content in (float_classifier, old)
    )
    assert len(found) < len(float_classifier)
    assert found == expected


@pytest.mark.parametrize("kind", ["int8", "int16x8", "int4", "dynamic", "float16"])
def test_a_quantization_that_did_not_happen_is_refused(float_classifier, calibrated, monkeypatch, kind):
    class Idle:
        """A quantizer that gives back what it gets, as the real one does where it knows no operator."""

        def __init__(self, model, recipe):
            self.quantized_model = model

        def quantize(self, *_, **__):
            return self

    monkeypatch.setattr("litert_quantizer.quantizer.Quantizer", Idle)
    with pytest.raises(ModelError, match=rf"weights of 2 operators.*not {kind}: CONV_2D \("):
        quantize.quantize(float_classifier, kind, normalization=PIXELS, calibration=calibrated)
