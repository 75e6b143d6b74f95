import numpy as np
import pytest
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tiny_network import TinyNetwork

from model_maker.errors import ModelError
from model_maker.normalization import Normalization
from model_maker.tflite import graph, quantize
from model_maker.tflite.interpreter import LiteRTRunner


def softmax(logits):
    scores = np.exp(logits - logits.max())
    return scores / scores.sum()


def photos(count, size=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 1, size, size, 3), np.uint8)


def tensors(content):
    """The tensors of a file by name, read with the plain schema."""
    main = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0)).subgraphs[0]
    return {tensor.name.decode(): tensor for tensor in main.tensors}, main


@pytest.mark.parametrize("classes", [2, 3, 100])
def test_attached_head_is_matmul_and_softmax_of_the_embedding(conv_embedder, classes):
    random = np.random.default_rng(classes)
    kernel, bias = random.normal(size=(classes, 16)), random.normal(size=classes)
    classifier = LiteRTRunner(graph.attach_head(conv_embedder, kernel, bias))
    embedder = LiteRTRunner(conv_embedder)
    assert classifier.output_shape == (1, classes)
    for photo in photos(3):
        image = (photo.astype(np.float32) - 127) / 128
        expected = softmax(kernel @ embedder.run(image)[0].astype(float) + bias)
        np.testing.assert_allclose(classifier.run(image)[0], expected, atol=1e-5)  # float32 against float64


def test_attached_head_must_fit_the_embedding(conv_embedder):
    with pytest.raises(ModelError, match="The head expects 15 features, the embedder gives 16"):
        graph.attach_head(conv_embedder, np.zeros((3, 15)), np.zeros(3))


def test_a_classifier_has_a_signature_that_litert_runs(float_classifier):
    interpreter = litert.Interpreter(model_content=float_classifier)
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["probabilities"]}}
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    signed = interpreter.get_signature_runner("serving_default")(image=image)["probabilities"]
    np.testing.assert_array_equal(signed, LiteRTRunner(float_classifier).run(image))


@pytest.mark.parametrize("io", graph.IO_TYPES)
def test_the_signature_follows_the_edges(float_classifier, io):
    content = graph.set_io(float_classifier, io, mean=127, std=128)
    interpreter = litert.Interpreter(model_content=content)
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["probabilities"]}}
    runner = interpreter.get_signature_runner("serving_default")
    assert runner.get_input_details()["image"]["dtype"] == np.dtype(io)
    assert runner.get_output_details()["probabilities"]["dtype"] == np.dtype(io)


def test_equal_inputs_give_equal_bytes(conv_embedder):
    kernel, bias = np.arange(48).reshape(3, 16), np.arange(3)
    first, second = (graph.attach_head(conv_embedder, kernel, bias) for _ in range(2))
    assert first == second
    assert graph.set_io(first, "uint8", mean=127, std=128) == graph.set_io(second, "uint8", mean=127, std=128)


def test_parsing_and_packing_changes_nothing(float_classifier):
    assert graph.pack(graph.parse(float_classifier)) == float_classifier


@pytest.mark.parametrize("kind", quantize.FORMATS)
@pytest.mark.parametrize("io", graph.IO_TYPES)
def test_edges_have_the_type_asked_for(make_tiny_model, kind, io):
    found, main = tensors(make_tiny_model(kind, io))
    [image], [scores] = main.inputs, main.outputs
    expected = {"uint8": schema.TensorType.UINT8, "float32": schema.TensorType.FLOAT32}[io]
    assert (main.tensors[image].type, main.tensors[scores].type) == (expected, expected)
    assert (main.tensors[image].shape.tolist(), main.tensors[scores].shape.tolist()) == ([1, 8, 8, 3], [1, 3])
    assert len(found) == len(main.tensors)  # no name twice


@pytest.mark.parametrize("kind", quantize.FORMATS)
def test_uint8_input_states_the_normalization_exactly(make_tiny_model, kind):
    _, main = tensors(make_tiny_model(kind, "uint8"))
    image, scores = main.tensors[main.inputs[0]].quantization, main.tensors[main.outputs[0]].quantization
    assert (image.scale.tolist(), image.zeroPoint.tolist()) == ([1 / 128], [127])
    assert (scores.scale.tolist(), scores.zeroPoint.tolist()) == ([1 / 256], [0])


def test_int8_input_inside_is_the_same_normalization_one_bit_apart(make_tiny_model):
    found, main = tensors(make_tiny_model("int8", "uint8"))
    first = main.operators[0]
    inside = main.tensors[first.outputs[0]]
    assert inside.type == schema.TensorType.INT8
    # uint8 to int8 is minus 128 and nothing else, so no pixel is rounded.
    assert inside.quantization.scale.tolist() == [1 / 128]
    assert inside.quantization.zeroPoint.tolist() == [127 - 128]


def test_raw_pixels_give_what_normalized_pixels_give(float_classifier):
    raw = LiteRTRunner(graph.set_io(float_classifier, "uint8", mean=127, std=128))
    normalized = LiteRTRunner(float_classifier)
    for photo in photos(5):
        expected = normalized.run((photo.astype(np.float32) - 127) / 128)[0]
        # The output has 256 steps: half a step of rounding; 1.0 is out of reach by one.
        np.testing.assert_allclose(raw.run(photo)[0], np.minimum(expected, 255 / 256), atol=0.5 / 256 + 1e-6)


@pytest.fixture(scope="module")
def int8_runners(make_tiny_model):
    return {io: LiteRTRunner(make_tiny_model("int8", io)) for io in graph.IO_TYPES}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_uint8_edges_and_float_edges_give_the_same_scores(int8_runners, seed):
    # Both translate the same int8 scores in steps of 1/256 and pixels in steps of 1/128: nothing is rounded anew.
    photo = np.random.default_rng(seed).integers(0, 256, (1, 8, 8, 3), np.uint8)
    raw = int8_runners["uint8"].run(photo)
    np.testing.assert_array_equal(raw, int8_runners["float32"].run((photo.astype(np.float32) - 127) / 128))


def test_edges_that_fit_already_are_left_alone(float_classifier):
    _, before = tensors(float_classifier)
    _, after = tensors(graph.set_io(float_classifier, "float32", mean=127, std=128))
    assert len(after.operators) == len(before.operators)
    assert len(after.tensors) == len(before.tensors)


def test_exposed_activations_show_every_step(float_classifier):
    content, names = graph.expose_activations(float_classifier)
    assert names == ["features", "embedding", "logits", "probabilities"]
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    features, embedding, logits, probabilities = LiteRTRunner(content).run_all(image)
    np.testing.assert_allclose(embedding, features.mean(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(probabilities[0], softmax(logits[0]), atol=1e-6)
    np.testing.assert_allclose(LiteRTRunner(float_classifier).run(image), probabilities, atol=1e-6)


def test_convolution_of_the_test_embedder_is_one(make_embedder):
    # The embedder that these tests stand on, against a convolution written out.
    kernel = np.random.default_rng(3).normal(size=(2, 3, 3, 3)).astype(np.float32)
    image = np.random.default_rng(4).normal(size=(1, 5, 5, 3)).astype(np.float32)
    padded = np.pad(image[0], ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))  # [5, 5, 3, 3, 3]
    expected = np.einsum("yxchw,ohwc->o", windows, kernel) / 25
    np.testing.assert_allclose(LiteRTRunner(make_embedder(5, kernel)).run(image)[0], expected, atol=1e-5)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"plain text, not a model", bytes(1000)])
def test_bytes_that_are_no_model_are_refused(content):
    with pytest.raises(ModelError, match="not a .tflite file") as caught:
        graph.parse(content)
    assert "\n" not in str(caught.value)


def test_a_truncated_model_is_refused(float_classifier):
    with pytest.raises(ModelError, match="damaged") as caught:
        graph.parse(float_classifier[:-100])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("mean", [127.5, 103.94])
def test_a_uint8_input_states_a_mean_that_is_no_whole_number(mean, depthwise):
    # 1x1 layers, so that no border of zeros shifts along.
    random, normalization = np.random.default_rng(0), Normalization(mean, 127.5)
    network = TinyNetwork(8)
    if depthwise:
        network.depthwise(random.normal(size=(1, 1, 1, 3)), random.normal(size=3))
    model = network.conv(random.normal(size=(6, 1, 1, 3)), random.normal(size=6)).mean().content()
    model = graph.attach_head(model, random.normal(size=(3, 6)), random.normal(size=3))
    pictures = [random.integers(low, low + 40, (1, 8, 8, 3), dtype=np.uint8) for low in range(0, 210, 10)]
    calibrator = quantize.Calibrator(model)
    calibration = quantize.combine([calibrator.observe(normalization(picture)) for picture in pictures])
    real = LiteRTRunner(model)
    for kind, tolerance in (("int8", 0.02), ("int16x8", 0.02), ("none", 1e-5)):
        inner = quantize.quantize(model, kind, normalization=normalization, calibration=calibration)
        runner = LiteRTRunner(graph.set_io(inner, "uint8", mean=mean, std=127.5, output_io="float32"))
        found = np.stack([runner.run(picture)[0] for picture in pictures])
        expected = np.stack([real.run(normalization(picture))[0] for picture in pictures])
        np.testing.assert_allclose(found, expected, atol=tolerance)
        if kind == "int16x8":
            # Against the same weights with float pixels: twice what 32767 steps of the input were seen to leave.
            same = LiteRTRunner(graph.set_io(inner, "float32", mean=mean, std=127.5))
            floats = np.stack([same.run(normalization(picture))[0] for picture in pictures])
            np.testing.assert_allclose(found, floats, atol=1.3e-4)
        if kind == "int8":
            # The first layer reads pixels less 128 or so and has to add what is missing to the mean, times its weights.
            before, after = graph.parse(inner), graph.parse(graph.set_io(inner, "uint8", mean=mean, std=127.5))
            first, shifted = before.subgraphs[0].operators[0], after.subgraphs[0].operators[1]
            weights, bias = (graph.constant(before, before.subgraphs[0].tensors[index]) for index in first.inputs[1:])
            [image] = before.subgraphs[0].inputs
            missing = int(before.subgraphs[0].tensors[image].quantization.zeroPoint[0]) + 128 - mean
            axes = (0, 1, 2) if depthwise else (1, 2, 3)
            found = graph.constant(after, after.subgraphs[0].tensors[shifted.inputs[2]])
            assert 0 < abs(missing) < 1
            np.testing.assert_array_equal(found, bias + np.rint(missing * weights.astype(int).sum(axes)))


@given(arrays.arrays(np.int8, st.integers(0, 9), elements=st.integers(-8, 7)))
def test_int4_constants_are_read_as_they_were_written(values):
    model = TinyNetwork(2).model
    index = graph.add_tensor(model, "packed", values.shape, data=values)
    tensor = model.subgraphs[0].tensors[index]
    tensor.type = schema.TensorType.INT4
    graph.set_constant(model, tensor, values)
    assert len(model.buffers[tensor.buffer].data) == (len(values) + 1) // 2
    np.testing.assert_array_equal(graph.constant(model, tensor), values)


def test_int4_lies_two_to_a_byte_the_first_in_the_lower_half():
    # As the flatbuffer schema of LiteRT has it: 1 and -2 are 0x1 and 0xe.
    assert graph.pack_int4(np.array([1, -2, 7], np.int8)).tolist() == [0xE1, 0x07]


def test_a_mean_that_is_no_pixel_is_refused(float_classifier):
    with pytest.raises(ModelError, match="cannot represent the mean 300"):
        graph.set_io(float_classifier, "uint8", mean=300, std=1)
