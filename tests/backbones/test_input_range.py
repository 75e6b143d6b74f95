import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_network import TinyNetwork

from model_maker.backbones import input_range
from model_maker.errors import BackboneError, ModelError
from model_maker.normalization import Normalization
from model_maker.tflite import graph
from model_maker.tflite.interpreter import LiteRTRunner

UNIT, PIXELS, CENTRED = Normalization(0, 255), Normalization(0, 1), Normalization(127.5, 127.5)
KERNEL = np.random.default_rng(0).normal(size=(4, 3, 3, 3))


def behind(*steps):
    """A network that begins with these steps."""
    network = TinyNetwork()
    for name, constant in steps:
        network.arithmetic(name, constant)
    return graph.parse(network.conv(KERNEL).mean().content())


def inferred(model, *, stated=None, measured=None, described=None, kind="", assumed=None):
    return input_range.infer(model, stated, measured, described, kind, assumed)[0]


def test_what_is_stated_comes_first():
    model = behind(("MUL", 2), ("SUB", 1))
    assert inferred(model, stated=CENTRED, measured=UNIT, described=UNIT) == CENTRED


def test_the_quantization_of_the_input_comes_second():
    assert inferred(behind(), measured=UNIT, described=CENTRED) == UNIT


def test_metadata_comes_third():
    assert inferred(behind(), described=CENTRED) == CENTRED


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("MUL", 2), ("SUB", 1)], UNIT),  # 0..1 to -1..1
        ([("SUB", 0.5), ("DIV", 0.5)], UNIT),
        ([("SUB", [0.485, 0.456, 0.406]), ("DIV", [0.229, 0.224, 0.225])], UNIT),  # ImageNet's, by channel
        ([("MUL", 1 / 127.5), ("ADD", -1)], PIXELS),  # Keras' Rescaling
        ([("SUB", [123.7, 116.3, 103.5]), ("MUL", [0.0171, 0.0175, 0.0174])], PIXELS),
    ],
)
@pytest.mark.parametrize("described", [None, CENTRED])
def test_scaling_inside_states_what_the_input_is(steps, expected, described):
    # Metadata that feeds the scaling something lopsided is wrong, as published embedders' is.
    assert inferred(behind(*steps), described=described) == expected


def test_metadata_that_agrees_with_the_scaling_stays():
    assert inferred(behind(("MUL", 2), ("SUB", 1)), described=UNIT) == UNIT


def test_a_hub_model_takes_zero_to_one():
    assert inferred(behind(), kind="hub") == UNIT


def test_an_assumption_holds_only_where_is_unknown():
    assert inferred(behind(), assumed=CENTRED) == CENTRED
    assert inferred(behind(), described=UNIT, assumed=CENTRED) == UNIT
    assert inferred(behind(), kind="hub", assumed=CENTRED) == UNIT
    assert inferred(behind(("MUL", 2), ("SUB", 1)), assumed=CENTRED) == UNIT


def test_where_is_unknown_the_user_is_asked():
    with pytest.raises(ModelError, match="`normalization=MEAN,STD`") as caught:
        inferred(behind())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "scale", "zero_point", "expected"),
    [
        ("UINT8", 0.0078125, 128, Normalization(128, 128)),
        ("UINT8", 0.007843138, 127, Normalization(127, 127.5)),
        ("INT8", 0.0078125, -1, Normalization(127, 128)),
        ("INT8", 0.003921569, None, Normalization(128, 255)),
        ("FLOAT32", 0.5, 0, None),
    ],
)
def test_a_quantized_input_states_its_normalization(kind, scale, zero_point, expected):
    image = graph.schema.TensorT()
    image.type = getattr(graph.schema.TensorType, kind)
    image.quantization = graph.schema.QuantizationParametersT()
    image.quantization.scale = np.array([scale], np.float32)
    image.quantization.zeroPoint = None if zero_point is None else np.array([zero_point])
    found = input_range.from_quantization(image)
    assert found == (expected and Normalization(expected.mean, pytest.approx(expected.std, rel=1e-5)))


STEPS = st.lists(
    st.tuples(st.sampled_from(["MUL", "DIV", "ADD", "SUB"]), st.floats(0.25, 4, width=16)), min_size=1, max_size=4
)


@given(STEPS)
def test_absorbed_scaling_computes_the_same(steps):
    whole, short = behind(*steps), behind(*steps)
    normalization = input_range.absorb(short, CENTRED)
    assert len(short.subgraphs[0].operators) == 2
    picture = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    expected = LiteRTRunner(graph.pack(whole)).run(CENTRED(picture))
    found = LiteRTRunner(graph.pack(short)).run(normalization(picture))
    # Four steps by up to 4 make values of up to 1000, and six digits are kept of mean and std.
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max() + 1e-4)


def test_zero_to_one_becomes_minus_one_to_one():
    assert input_range.absorb(behind(("MUL", 2), ("SUB", 1)), UNIT) == CENTRED


def test_channels_that_differ_stay_in_the_graph():
    model = behind(("MUL", 1 / 255), ("SUB", [0.485, 0.456, 0.406]), ("DIV", [0.229, 0.224, 0.225]))
    assert input_range.absorb(model, PIXELS) == UNIT
    assert len(model.subgraphs[0].operators) == 4


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "1,0", "1,-2", "nan,1", "1,inf"])
def test_a_normalization_that_means_nothing_is_refused(text):
    with pytest.raises(BackboneError, match="pass MEAN,STD") as caught:
        input_range.parse(text)
    assert text in str(caught.value)


def test_a_normalization_is_read():
    assert input_range.parse("127.5, 128") == Normalization(127.5, 128.0)
    assert input_range.parse(None) is None
