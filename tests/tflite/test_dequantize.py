import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from PIL import Image
from tiny_network import FUSED, TinyNetwork

from model_maker.errors import ModelError
from model_maker.tflite import dequantize, graph, quantize
from model_maker.tflite.interpreter import LiteRTRunner


def floated(content):
    model = graph.parse(content)
    dequantize.dequantize(model)
    return graph.pack(model)


@pytest.mark.parametrize("io", graph.IO_TYPES)
@pytest.mark.parametrize(("kind", "tolerance"), [("int8", 0.022), ("dynamic", 0.009), ("float16", 0.0004)])
def test_a_quantized_model_becomes_the_float_one_again(
    make_tiny_model, float_classifier, noise_photos, kind, io, tolerance
):
    # Tolerances as in test_quantize: what the rounding of weights may do to a score.
    found, real = LiteRTRunner(floated(make_tiny_model(kind, io))), LiteRTRunner(float_classifier)
    assert found.input_dtype == np.float32
    for photo in noise_photos:
        image = (photo.astype(np.float32) - 127) / 128
        np.testing.assert_allclose(found.run(image), real.run(image), atol=tolerance)


def quantized(tensor, kind, scale, zero_point=None):
    tensor.type = kind
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = np.atleast_1d(np.float32(scale))
    tensor.quantization.zeroPoint = zero_point if zero_point is None else np.atleast_1d(zero_point)
    tensor.quantization.quantizedDimension = 0


def legacy(steps, zero_point, *, bias_scale, fused=FUSED.NONE, kind=schema.TensorType.UINT8):
    """One uint8 convolution 1x1 as TensorFlow 1 wrote them: one scale and zero point for all weights."""
    network = TinyNetwork(2).conv(np.zeros((2, 1, 1, 3)), fused=fused)
    image, kernel, bias, output = network.main.tensors
    quantized(image, kind, 0.5, 10)
    quantized(kernel, kind, 0.25, zero_point)
    graph.set_constant(network.model, kernel, np.array(steps, np.uint8).reshape(2, 1, 1, 3))
    bias.type = schema.TensorType.INT32
    graph.set_constant(network.model, bias, np.array([8, -16], np.int32))
    if bias_scale:
        quantized(bias, schema.TensorType.INT32, bias_scale)
    quantized(output, kind, 6 / 255, 0)
    return network


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e38, np.inf, np.nan])
def test_weights_that_are_no_numbers_are_refused(scale):
    network = legacy([[130, 128, 126], [129, 129, 255]], 128, bias_scale=None)
    network.main.tensors[1].quantization.scale = np.array([scale], np.float32)
    with pytest.raises(ModelError, match="weights are not finite numbers"):
        floated(network.content())


@pytest.mark.parametrize("bias_scale", [0.125, None])
def test_legacy_uint8_weights_and_biases(bias_scale):
    content = legacy([[130, 128, 126], [129, 129, 129]], 128, bias_scale=bias_scale).content()
    # Weights (q - 128) / 4; biases 8 and -16 in steps of 0.5 x 0.25, also where the file does not say so.
    kernel, bias = np.array([[0.5, 0, -0.5], [0.25, 0.25, 0.25]]), np.array([1.0, -2.0])
    image = np.random.default_rng(0).normal(size=(1, 2, 2, 3)).astype(np.float32)
    expected = np.clip(image @ kernel.T + bias, 0, 6)
    np.testing.assert_allclose(LiteRTRunner(floated(content)).run(image), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("scale", "zero_point", "low", "high"),
    [
        (6 / 255, 0, 0, 6),  # 0 to 6: a ReLU6 that was dropped because the range says it
        (6.0003 / 255, 0, 0, 6),
        (9 / 255, 0, 0, np.inf),  # from 0 on: a ReLU
        (9 / 255, 100, -np.inf, np.inf),  # on both sides: none
    ],
)
def test_an_activation_that_the_range_implies_is_put_back(scale, zero_point, low, high):
    network = legacy([[255, 0, 255], [0, 255, 0]], 128, bias_scale=0.125)
    quantized(network.main.tensors[-1], schema.TensorType.UINT8, scale, zero_point)
    image = 5 * np.random.default_rng(0).normal(size=(1, 2, 2, 3)).astype(np.float32)
    kernel = (np.array([[255, 0, 255], [0, 255, 0]]) - 128) / 4
    expected = np.clip(image @ kernel.T + [1, -2], low, high)
    np.testing.assert_allclose(LiteRTRunner(floated(network.content())).run(image), expected, rtol=1e-5, atol=1e-4)


def test_sparse_weights_are_refused():
    network = TinyNetwork(2).conv(np.ones((2, 1, 1, 3)))
    network.main.tensors[1].sparsity = schema.SparsityParametersT()
    with pytest.raises(ModelError, match="sparse"):
        dequantize.dequantize(network.model)


@pytest.mark.parametrize("kind", quantize.FORMATS)
def test_our_own_formats_become_the_float_model_that_they_approximate(make_tiny_model, noise_photos, kind):
    quantized = LiteRTRunner(make_tiny_model(kind, "float32"))
    real = LiteRTRunner(floated(make_tiny_model(kind, "float32")))
    for photo in noise_photos[:5]:
        image = (photo.astype(np.float32) - 127) / 128
        # Activations are rounded in one and not in the other; a wrong bias or weight moves a score by 0.1 and more.
        np.testing.assert_allclose(real.run(image), quantized.run(image), atol=0.02)


def test_a_published_int8_model_still_knows_its_classes(shared_weights, shared_data):
    content = floated((shared_weights / "tflite" / "tf2_mobilenet_v2_1.0_224_ptq.tflite").read_bytes())
    picture = Image.open(shared_data / "photos" / "parrot.jpg").convert("RGB").resize((224, 224), Image.BILINEAR)
    scores = LiteRTRunner(content).run((np.asarray(picture, np.float32)[None] - 127) / 127.5)[0]
    labels = (shared_data / "photos" / "imagenet_labels.txt").read_text().splitlines()
    # Another conversion of this file said 0.926.
    assert labels[scores.argmax()] == "macaw"
    assert scores.max() == pytest.approx(0.926, abs=0.05)
