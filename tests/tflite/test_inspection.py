import random

import numpy as np
import pytest

from model_maker import backbones
from model_maker.errors import ModelError, ModelMakerError
from model_maker.tflite import graph, inspection, metadata, quantize

# From the tables of the papers' repositories: million multiply-accumulates, million parameters.
PUBLISHED = {
    "mobilenet_v1_0.25_128_quant.tflite": (14, 0.47),
    "mobilenet_v1_0.25_224_float.tflite": (41, 0.47),
    "mobilenet_v1_0.25_224_1_metadata_1.tflite": (41, 0.47),
    "mobilenet_v2_1.0_224_quant.tflite": (300, 3.47),
    "tf2_mobilenet_v2_1.0_224_ptq.tflite": (300, 3.47),
    "tflite_support_mobilenet_v2_1.0_224_quant.tflite": (300, 3.47),
}
QUANTIZATION = {
    "automl_labeler_model.tflite": "int8",
    "mobilenet_v1_0.25_128_quant.tflite": "int8",
    "mobilenet_v1_0.25_224_1_metadata_1.tflite": "none",
    "mobilenet_v1_0.25_224_float.tflite": "none",
    "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite": "int8",
    "mobilenet_v2_035_96_embedder_with_metadata.tflite": "dynamic",
    "mobilenet_v2_1.0_224_quant.tflite": "int8",
    "tf2_mobilenet_v2_1.0_224_ptq.tflite": "int8",
    "tflite_support_mobilenet_v2_1.0_224_quant.tflite": "int8",
}


@pytest.mark.parametrize("scale", [np.nan, np.inf])
def test_a_scale_that_is_no_number_is_none(make_tiny_model, scale):
    # JSON has no word for it.
    model = graph.parse(make_tiny_model())
    model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].quantization.scale = [scale]
    [image] = inspection.inspect(graph.pack(model)).inputs
    assert (image.dtype, image.scale, image.zero_point) == ("uint8", None, None)


def test_facts_of_a_small_classifier_counted_by_hand(float_classifier):
    facts = inspection.inspect(float_classifier)
    assert facts.size_bytes == len(float_classifier)
    assert facts.inputs == (inspection.TensorFacts("image", (1, 8, 8, 3), "float32", None, None),)
    assert facts.outputs == (inspection.TensorFacts("probabilities", (1, 3), "float32", None, None),)
    assert facts.operators == {"CONV_2D": 1, "FULLY_CONNECTED": 1, "MEAN": 1, "SOFTMAX": 1}
    # 16 filters of 3 x 3 x 3 and their biases; 3 x 16 and 3; the two axes of the mean.
    assert facts.parameters == 16 * 27 + 16 + 3 * 16 + 3 + 2
    assert facts.macs == 8 * 8 * 16 * 27 + 3 * 16
    assert facts.quantization == "none"


def test_edges_of_an_int8_model_carry_scale_and_zero_point(make_tiny_model):
    facts = inspection.inspect(make_tiny_model("int8", "uint8"))
    assert facts.inputs == (inspection.TensorFacts("image", (1, 8, 8, 3), "uint8", 1 / 128, 127),)
    assert facts.outputs == (inspection.TensorFacts("probabilities", (1, 3), "uint8", 1 / 256, 0),)


@pytest.mark.parametrize("io", graph.IO_TYPES)
@pytest.mark.parametrize("kind", quantize.FORMATS)
def test_format_is_recognized_whatever_the_edges(make_tiny_model, kind, io):
    facts = inspection.inspect(make_tiny_model(kind, io))
    assert facts.quantization == kind
    assert facts.macs == 8 * 8 * 16 * 27 + 3 * 16  # quantization costs no multiplication
    assert (facts.float_operators == ()) == (kind in ("int8", "int16x8"))


def test_most_frequent_operators_come_first(shared_weights):
    content = (shared_weights / "tflite" / "mobilenet_v2_1.0_224_quant.tflite").read_bytes()
    counts = list(inspection.inspect(content).operators.values())
    assert counts == sorted(counts, reverse=True) and counts[0] == 36


def test_float_operators_are_named_with_their_output(float_classifier):
    assert inspection.inspect(float_classifier).float_operators == (
        "CONV_2D (features)",
        "MEAN (embedding)",
        "FULLY_CONNECTED (logits)",
        "SOFTMAX (probabilities)",
    )


def test_a_dequantize_inside_is_a_float_operator(make_tiny_model):
    # At the edge it is the contract; in the middle, float computation begins there.
    model = graph.parse(make_tiny_model("int8", "float32"))
    main = model.subgraphs[0]
    inside = [int(index) for operator in main.operators[1:-1] for index in operator.outputs][0]
    real = graph.add_tensor(model, "planted", main.tensors[inside].shape)
    options = graph.schema.DequantizeOptionsT()
    main.operators.insert(2, graph.make_operator(model, "DEQUANTIZE", [inside], [real], options))
    assert inspection.inspect(graph.pack(model)).float_operators == ("DEQUANTIZE (planted)",)


# Published stage table of Lite0: kernel, expansion, channels in and out, repeats, stride.
LITE0 = [
    (3, 1, 32, 16, 1, 1),
    (3, 6, 16, 24, 2, 2),
    (5, 6, 24, 40, 2, 2),
    (3, 6, 40, 80, 3, 2),
    (5, 6, 80, 112, 3, 1),
    (5, 6, 112, 192, 4, 2),
    (3, 6, 192, 320, 1, 1),
]


def test_macs_and_parameters_of_lite0_are_the_published_ones(lite0):
    backbone = backbones.get("efficientnet_lite0")
    facts = inspection.inspect(graph.attach_head(lite0, *backbone.classifier()))
    side, numbers, channels = 112, 112 * 112 * 32, 32
    macs = numbers * 27
    for kernel, expand, inputs, outputs, repeats, stride in LITE0:
        for repeat in range(repeats):
            inner = inputs * expand
            if expand > 1:
                macs, numbers, channels = macs + side**2 * inputs * inner, numbers + side**2 * inner, channels + inner
            side //= stride if repeat == 0 else 1
            macs += side**2 * inner * (kernel**2 + outputs)
            numbers, channels = numbers + side**2 * (inner + outputs), channels + inner + outputs
            inputs = outputs
    macs += side**2 * 320 * 1280 + 1280 * 1000
    numbers, channels = numbers + side**2 * 1280, channels + 1280
    assert facts.macs == macs
    # Published are 407 million, which count about three for each number that a convolution gives (batch normalization
    # and activation) as well.
    assert macs + 3 * numbers == pytest.approx(407e6, rel=0.01)
    # 4,652,008 parameters with a scale and an offset for each channel of the batch normalizations; conversion folds the
    # scales into the convolutions, and the mean brings its two axes.
    assert facts.parameters == 4_652_008 - channels + 2


@pytest.mark.parametrize("name", QUANTIZATION)
def test_published_models_are_understood(shared_weights, name):
    facts = inspection.inspect((shared_weights / "tflite" / name).read_bytes())
    assert facts.quantization == QUANTIZATION[name]
    assert (facts.float_operators == ()) == (facts.quantization == "int8")
    assert len(facts.inputs) == len(facts.outputs) == 1
    assert facts.inputs[0].dtype == ("uint8" if facts.quantization == "int8" else "float32")
    assert "CUSTOM" not in facts.operators
    if name in PUBLISHED:
        macs, parameters = PUBLISHED[name]
        assert facts.macs / 1e6 == pytest.approx(macs, abs=0.8)  # published without decimals
        # Published with the batch normalizations' scales, which are folded away here: up to one percent.
        assert facts.parameters / 1e6 == pytest.approx(parameters, rel=0.015)


def test_sparse_but_valid_files_are_read(float_classifier):
    # Names, a zero point of 0 and the shape of a single number may be left out of a flatbuffer.
    model = graph.parse(float_classifier)
    main = model.subgraphs[0]
    image, scores = main.tensors[main.inputs[0]], main.tensors[main.outputs[0]]
    image.name = None
    image.quantization = graph.quantization(0.5, 0)
    image.quantization.zeroPoint = None
    scores.shape = None
    facts = inspection.inspect(graph.pack(model))
    assert facts.inputs[0] == inspection.TensorFacts("", (1, 8, 8, 3), "float32", 0.5, 0)
    assert facts.outputs[0].shape == ()


@pytest.mark.parametrize("content", [b"", b"TFL3", b"plain text, not a model", bytes(range(256)) * 8])
def test_what_is_no_model_is_refused(content):
    for read in (inspection.inspect, metadata.read):
        with pytest.raises(ModelError, match="not a .tflite file") as caught:
            read(content)
        assert "\n" not in str(caught.value)


def damaged(content):
    """Truncations all along the file, and single flipped bits all over it, seeded."""
    choose = random.Random(0)
    yield from (content[:end] for end in range(8, len(content), 31))
    for index in range(8, len(content), 3):
        flipped = bytearray(content)
        flipped[index] ^= 1 << choose.randrange(8)
        yield bytes(flipped)


def test_damaged_files_raise_nothing_but_one_clear_line(tiny_embedder):
    content = graph.attach_head(tiny_embedder, np.eye(2, 3), np.zeros(2))
    content = graph.set_io(content, "uint8", mean=127, std=128)
    content = metadata.write(content, metadata.ModelInfo(("a", "b"), metadata.Normalization(127, 128), name="n"))
    refused = 0
    for broken in damaged(content):
        for read in (inspection.inspect, metadata.read):
            try:
                read(broken)
            except ModelMakerError as error:
                refused += 1
                assert str(error) and "\n" not in str(error), broken
    assert refused > 100  # a flipped bit in a number or a text is no damage that anyone could see
