import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_network import FUSED, SAME, VALID, TinyNetwork

from model_maker.normalization import Normalization
from model_maker.tflite import dequantize, graph, quantize, rounding
from model_maker.tflite.interpreter import LiteRTRunner

PIXELS = Normalization(mean=127.0, std=128.0)


def test_inputs_that_rise_together_share_an_error():
    # Two equal inputs: 0.4 and 0.4 weigh 0.8 together. One by one they round to 0 and 0; together to 0 and 1.
    together = np.array([[[1.0, 1.0], [1.0, 1.0]]])
    rounded = rounding.round_together(np.array([[[0.4], [0.4]]]), np.ones((1, 1)), together)
    assert rounded.ravel().tolist() == [0, 1]


def test_inputs_that_are_opposed_round_against_each_other():
    # x and -x: 0.4 and 0.4 weigh nothing together, and 0 and 0 keep it so; 0.4 and -0.4 weigh 0.8, as 0 and -1
    # nearly do.
    opposed = np.array([[[1.0, -1.0], [-1.0, 1.0]]])
    rounded = rounding.round_together(np.array([[[0.4, 0.4], [0.4, -0.4]]]), np.ones((1, 2)), opposed)
    assert rounded[0].T.tolist() == [[0, 0], [0, -1]]


@given(st.integers(0, 2**32 - 1))
def test_inputs_that_have_nothing_in_common_are_rounded_one_by_one(seed):
    random = np.random.default_rng(seed)
    weights, steps = random.normal(size=(2, 5, 3)), random.uniform(0.1, 1, (2, 3))
    unrelated = np.stack([np.diag(random.uniform(0.5, 2, 5)) for _ in range(2)])
    rounded = rounding.round_together(weights, steps, unrelated)
    np.testing.assert_array_equal(rounded, np.clip(np.rint(weights / steps[:, None]), -127, 127))


@given(st.integers(0, 2**32 - 1))
def test_outputs_come_nearer_than_by_rounding_one_by_one(seed):
    # More inputs than one block, all of them mixtures of ten causes: the errors have much room to cancel.
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(400, 10)) @ random.normal(size=(10, 150))
    weights = random.normal(size=(1, 150, 4))
    steps = np.abs(weights[0]).max(0)[None] / 7
    second = (inputs.T @ inputs)[None]
    one_by_one = np.rint(weights / steps[:, None]) * steps[:, None]
    together = rounding.round_together(weights, steps, second) * steps[:, None]
    errors = [np.linalg.norm(inputs @ (weights - rounded)[0]) for rounded in (one_by_one, together)]
    # Seen: 0.1 to 0.3 of the error.
    assert errors[1] < 0.5 * errors[0]


def test_an_input_that_is_always_zero_is_rounded_by_itself():
    second = np.array([[[0.0, 0.0], [0.0, 2.0]]])
    rounded = rounding.round_together(np.array([[[3.4], [1.6]]]), np.ones((1, 1)), second)
    assert rounded.ravel().tolist() == [3, 2]


CONVOLUTIONS = {
    "same": {"stride": 1, "padding": SAME},
    "stride 2": {"stride": 2, "padding": SAME},
    "valid": {"stride": 2, "padding": VALID},
    "dilated": {"dilation": 2, "padding": SAME},
}


@pytest.mark.parametrize("options", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
@pytest.mark.parametrize("kind", ["conv", "depthwise"])
def test_samples_times_weights_are_what_the_runtime_computes(monkeypatch, kind, options):
    monkeypatch.setattr(rounding, "POSITIONS", 10_000)
    monkeypatch.setattr(rounding, "DEPTHWISE_POSITIONS", 10_000)
    random = np.random.default_rng(0)
    # Not square, and a depthwise kernel with two outputs to each channel.
    kernel = random.normal(size=(5, 3, 2, 3) if kind == "conv" else (1, 3, 2, 6)).astype(np.float32)
    network = TinyNetwork(9)
    content = getattr(network, kind)(kernel, **options).content() if options["padding"] == SAME else None
    if content is None:
        kernel = kernel[:, :, [0, 1, 1]]  # a square one, for the builder's own arithmetic of sizes
        content = getattr(network, kind)(kernel, **options).content()
    image = random.normal(size=(1, 9, 9, 3)).astype(np.float32)
    [name] = (samples := rounding.RoundableLayers(content).observe({"image_0": image}))
    [inputs] = samples.values()
    if kind == "conv":
        expected = np.einsum("ni,oi->no", inputs[0], kernel.reshape(5, -1))
    else:
        weights = kernel.reshape(-1, 3, 2)
        expected = np.einsum("cni,icm->ncm", inputs, weights).reshape(-1, 6)
    found = LiteRTRunner(content).run(image)
    assert name == graph.parse(content).subgraphs[0].tensors[network.last].name.decode()
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-4)  # float32 sums in another order


@pytest.fixture(scope="module")
def narrow_network():
    """Differences of large, nearly equal terms, as narrow layers of MobileNets give."""
    random = np.random.default_rng(5)
    wide = 0.1 + random.normal(size=(96, 3, 3, 3)) / 20
    narrow = random.normal(size=(6, 1, 1, 96)) * 3
    narrow -= narrow.mean(axis=3, keepdims=True)
    depthwise = 0.1 + random.normal(size=(1, 3, 3, 96)) / 20
    network = TinyNetwork(12).conv(wide, 2 * np.ones(96), fused=FUSED.RELU6)
    return network.depthwise(depthwise, stride=2, fused=FUSED.RELU6).conv(narrow).content()


@pytest.fixture(scope="module")
def pictures():
    """Smooth pictures, uint8 [30, 1, 12, 12, 3]: neighbouring pixels rise and fall together, as in photos."""
    coarse = np.random.default_rng(6).integers(0, 256, (30, 1, 3, 3, 3), np.uint8)
    return coarse.repeat(4, 2).repeat(4, 3)


def test_rounded_weights_come_nearer_to_float(narrow_network, pictures):
    calibrator = quantize.Calibrator(narrow_network)
    calibration = quantize.combine([calibrator.observe(PIXELS(picture)) for picture in pictures[:20]])
    errors = []
    for told in (quantize.Calibration(calibration.ranges), calibration):
        model = graph.parse(quantize.quantize(narrow_network, "int8", normalization=PIXELS, calibration=told))
        dequantize.dequantize(model)  # so that weights are the rounded ones and nothing else is
        rounded, real = LiteRTRunner(graph.pack(model)), LiteRTRunner(narrow_network)
        # Other pictures than those of the calibration tell.
        others = [PIXELS(picture) for picture in pictures[20:]]
        errors.append(np.mean([np.abs(rounded.run(picture) - real.run(picture)).mean() for picture in others]))
    # Seen: a quarter of the error.
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("kind", ["int16x8", "int4", "dynamic"])
def test_weights_of_other_formats_are_rounded_together_too(narrow_network, pictures, kind):
    calibrator = quantize.Calibrator(narrow_network)
    calibration = quantize.combine([calibrator.observe(PIXELS(picture)) for picture in pictures[:20]])
    errors = []
    for told in (quantize.Calibration(calibration.ranges), calibration):
        content = quantize.quantize(narrow_network, kind, normalization=PIXELS, calibration=told)
        runner, real = LiteRTRunner(graph.set_io(content, "float32", mean=127, std=128)), LiteRTRunner(narrow_network)
        others = [PIXELS(picture) for picture in pictures[20:]]
        errors.append(np.mean([np.abs(runner.run(picture) - real.run(picture)).mean() for picture in others]))
    # Seen: 0.64 of the error (dynamic, which rounds activations coarsely while it runs) and less.
    assert errors[1] < 0.8 * errors[0]


def test_only_weights_and_biases_change(narrow_network, pictures):
    calibrator = quantize.Calibrator(narrow_network)
    calibration = quantize.combine([calibrator.observe(PIXELS(picture)) for picture in pictures])
    one_by_one, together = (
        graph.parse(quantize.quantize(narrow_network, "int8", normalization=PIXELS, calibration=told))
        for told in (quantize.Calibration(calibration.ranges), calibration)
    )
    changed = set()
    for before, after in zip(one_by_one.subgraphs[0].tensors, together.subgraphs[0].tensors, strict=True):
        assert (before.name, before.type, list(before.shape)) == (after.name, after.type, list(after.shape))
        if before.quantization is not None:
            np.testing.assert_array_equal(before.quantization.scale, after.quantization.scale)
        data = one_by_one.buffers[before.buffer].data, together.buffers[after.buffer].data
        if data[0] is not None and bytes(data[0]) != bytes(data[1]):
            changed.add(before.name.decode().split("_")[0])
    assert changed <= {"kernel", "bias"} and "kernel" in changed
    assert len(one_by_one.buffers) == len(together.buffers)
