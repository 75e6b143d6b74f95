import dataclasses

import numpy as np
import pytest

from model_maker.data import images
from model_maker.data.sources import read
from model_maker.embeddings import computing
from model_maker.errors import ModelError
from model_maker.learning import heads
from model_maker.learning.features import FeatureTable
from model_maker.packaging import quantized_file
from model_maker.tflite import graph, inspection, integer_heads, network_layers
from model_maker.tflite.interpreter import KERNELS, LiteRTRunner

# Rounding is half a step; the runtime's multipliers, whole numbers of 31 bits and shifts that round again, add to it.
HALF = 0.5 + 0.1


@pytest.fixture(scope="module")
def pixels(tiny_photos):
    """The photos of the tiny network, int8 [40, 1, 16, 16, 3], as its int8 form takes pixels: 127 less and one more."""
    return np.stack([images.load(photo, 16) for photo in tiny_photos])[:, None].astype(np.int16) - 128


@pytest.fixture(scope="module")
def integers(tiny_int8, pixels):
    runner = LiteRTRunner(tiny_int8.content)
    return np.concatenate([runner.run_all(picture.astype(np.int8))[0] for picture in pixels])


def drawn(classes, size, *, seed=0):
    """A head of random numbers: kernel [C, D] and bias [C]."""
    random = np.random.default_rng(seed)
    return random.normal(size=(classes, size)), random.normal(size=classes)


@pytest.fixture(scope="module")
def head(tiny_int8, integers):
    kernel, bias = drawn(3, 44)
    return integer_heads.quantize(2 * kernel, bias, integers, tiny_int8.step)


@pytest.fixture(scope="module")
def whole(tiny_int8, head):
    return head.attach(tiny_int8.content)


def softmax(logits):
    scores = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return scores / scores.sum(axis=-1, keepdims=True)


def check_arithmetic(content, form, head, pixels, kernels="xnnpack"):
    """Holds what each operator behind the network gives against numpy, from the integers that it is given.

    Steps come from what form and head say, not from the file; only that of a block's map is the network's own.
    """
    exposed, names = graph.expose_activations(content)
    runner, main = LiteRTRunner(exposed, kernels=kernels), graph.parse(content).subgraphs[0]
    stated = {tensor.name.decode(): tensor.quantization for tensor in main.tensors}
    for picture in pixels:
        values = dict(zip(names, runner.run_all(picture.astype(np.int8)), strict=True))
        for layer in form.layers[:-1]:
            unit, zero = stated[layer.name].scale[0], stated[layer.name].zeroPoint[0]
            means = (values[layer.name].astype(float) - zero).mean(axis=(1, 2)) * unit
            near(values[layer.mean], means / (form.step / layer.factor), HALF)
            np.testing.assert_array_equal(values[layer.output], values[layer.mean])
        parts = [values[layer.output] for layer in form.layers]
        np.testing.assert_array_equal(values["layers"], np.concatenate(parts, axis=1))
        sums = values["layers"].astype(int) @ head.kernel.astype(int).T + head.bias
        logits = sums * head.feature_step * head.steps.astype(float)
        near(values["logits"], logits / head.logit_step + head.logit_zero, HALF)
        given = (values["logits"].astype(float) - head.logit_zero) * head.logit_step
        near(values["probabilities"], 256 * softmax(given) - 128, HALF)


def near(integers, expected, tolerance):
    np.testing.assert_allclose(integers, np.clip(expected, -128, 127), rtol=0, atol=tolerance)


@pytest.mark.parametrize("kernels", KERNELS)
def test_each_operator_computes_what_it_says(tiny_int8, head, whole, pixels, kernels):
    check_arithmetic(whole, tiny_int8, head, pixels, kernels)
    assert inspection.inspect(whole).outputs[0].shape == (1, 3)
    assert inspection.wider_operators(graph.parse(whole), "int8") == []


@pytest.mark.parametrize("name", ["mean", "scaled", "kernel", "logits"])
def test_a_wrong_step_is_found(tiny_int8, head, whole, pixels, name):
    model = graph.parse(whole)
    third = tiny_int8.layers[2]
    tensor = {"mean": third.mean, "scaled": f"{third.name}_factor", "kernel": "head/kernel", "logits": "logits"}[name]
    index = next(n for n, one in enumerate(model.subgraphs[0].tensors) if one.name.decode().startswith(tensor))
    stated = model.subgraphs[0].tensors[index].quantization
    stated.scale = [*stated.scale[:-1], 1.1 * stated.scale[-1]]  # of the last class alone, where there are several
    with pytest.raises(AssertionError, match="Not equal to tolerance|Arrays are not equal"):
        check_arithmetic(graph.pack(model), tiny_int8, head, pixels)


@pytest.mark.parametrize("name", network_layers.SETS)
def test_scores_of_features_are_those_of_the_file_from_pixels(tiny_int8, tiny_photos, integers, name):
    chosen = network_layers.choose(tiny_int8.layers, name)
    columns = network_layers.features(tiny_int8.layers, chosen)
    head = integer_heads.quantize(*drawn(7, len(columns)), integers[:, columns], tiny_int8.step)
    content = head.attach(network_layers.select(tiny_int8.content, chosen))
    for io in graph.IO_TYPES:
        runner = LiteRTRunner(quantized_file.with_io_types(graph.parse(content), tiny_int8.normalization, io))
        photos = np.stack([images.load(photo, 16) for photo in tiny_photos])[:, None]
        given = photos if io == "uint8" else tiny_int8.normalization(photos)
        found = np.concatenate([runner.run(photo) for photo in given])
        np.testing.assert_array_equal(found, head.scores(integers[:, columns]))
    assert found.std() > 0.1


@pytest.mark.parametrize("name", network_layers.SETS)
def test_edits_of_one_object_tree_give_the_file_that_they_give_one_by_one(tiny_int8, integers, name):
    chosen = network_layers.choose(tiny_int8.layers, name)
    columns = network_layers.features(tiny_int8.layers, chosen)
    head = integer_heads.quantize(*drawn(7, len(columns)), integers[:, columns], tiny_int8.step)
    model = graph.parse(tiny_int8.content)
    network_layers.keep(model, chosen)
    head.append(model)
    mean, std = tiny_int8.normalization.mean, tiny_int8.normalization.std
    whole = head.attach(network_layers.select(tiny_int8.content, chosen))
    single = graph.set_io(whole, "uint8", mean=mean, std=std)
    assert quantized_file.with_io_types(model, tiny_int8.normalization, "uint8") == single


def test_scores_of_cached_embeddings_are_those_of_real_photos(int8_lite0, drawn_flowers, empty_cache):
    dataset = read(drawn_flowers)
    maps, _ = computing.feature_maps(dataset, int8_lite0.embedder, None)
    labels = np.array(dataset.labels)
    fit = heads.fit(FeatureTable(maps, int8_lite0.layers), labels, classes=5, layers="top")
    columns = network_layers.features(int8_lite0.layers, fit.layers)
    features = maps[:][:, columns]
    head = integer_heads.quantize(fit.head.kernel, fit.head.bias, features, maps.step)
    file = head.attach(network_layers.select(int8_lite0.content, fit.layers))
    runner = LiteRTRunner(quantized_file.with_io_types(graph.parse(file), int8_lite0.normalization, "uint8"))
    found = np.concatenate([runner.run(images.load(s.path, 224)[None]) for s in dataset.samples[::7]])
    np.testing.assert_array_equal(found, head.scores(features[::7]))
    assert len(found) == 9 and (found.argmax(axis=1) == labels[::7]).mean() > 0.8


# --- rounding ---


def rounded_logits(head, features):
    """The logits of integers, before they are rounded themselves."""
    return (features.astype(float) @ head.kernel.T.astype(float) + head.bias) * head.feature_step * head.steps


def real_logits(kernel, bias, features, step):
    """Less their mean over the classes, which changes no score."""
    logits = features.astype(float) * step @ kernel.T + bias
    return logits - logits.mean(axis=1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 3, 40])
def test_rounding_changes_logits_by_less_than_their_step(tiny_int8, integers, classes):
    kernel, bias = drawn(classes, 44, seed=classes)
    seen, fresh = integers[:30], integers[30:]
    head = integer_heads.quantize(kernel, bias, seen, tiny_int8.step)
    for features in (seen, fresh):
        expected = real_logits(kernel, bias, features, tiny_int8.step)
        assert np.abs(rounded_logits(head, features) - expected).max() < head.logit_step
    # The step is that of the photos: 255 of them from the least to the greatest logit.
    found = rounded_logits(head, seen)
    assert head.logit_step == pytest.approx((max(0, found.max()) - min(0, found.min())) / 255)


def test_logits_stay_right_in_the_mean(tiny_int8, integers):
    kernel, bias = drawn(3, 44)
    head = integer_heads.quantize(kernel, bias, integers, tiny_int8.step)
    errors = rounded_logits(head, integers) - real_logits(kernel, bias, integers, tiny_int8.step)
    # What rounding adds to all photos alike the bias takes back, to half a unit of its own.
    units = head.feature_step * head.steps
    assert (np.abs(errors.mean(axis=0)) < 0.51 * units).all() and errors.std() > units.max()


def test_rounding_together_is_nearer_than_one_by_one():
    # 400 features that follow from 10 causes, which is what the rounding makes use of.
    random = np.random.default_rng(5)
    causes = random.normal(size=(300, 10)) @ random.normal(size=(10, 400))
    features = np.clip(np.rint(30 * causes / causes.std()), -128, 127).astype(np.int8)
    kernel, bias = drawn(4, 400)
    head = integer_heads.quantize(kernel, bias, features, 0.02)
    expected = real_logits(kernel, bias, features, 0.02)
    centred = kernel - kernel.mean(axis=0)
    one_by_one = np.rint(centred / head.steps[:, None]) * head.steps[:, None]
    errors = [
        np.abs(logits - expected).std()
        for logits in (features * 0.02 @ one_by_one.T + bias - bias.mean(), rounded_logits(head, features))
    ]
    assert errors[1] < 0.5 * errors[0]  # seen: a third


def test_what_all_classes_have_in_common_is_left_out(tiny_int8, integers):
    kernel, bias = drawn(3, 44)
    # Powers of two, whose sums float64 keeps but for its last bits.
    common = 64 * np.random.default_rng(1).normal(size=44)
    plain = integer_heads.quantize(kernel, bias, integers, tiny_int8.step)
    shifted = integer_heads.quantize(kernel + common, bias + 1024, integers, tiny_int8.step)
    assert shifted.logit_step == pytest.approx(plain.logit_step, rel=1e-6)
    np.testing.assert_array_equal(shifted.scores(integers), plain.scores(integers))
    # Kernels of all classes add up to nothing, but for half a step of each and what rounding together passed on.
    total = (plain.kernel * plain.steps[:, None].astype(float)).sum(axis=0)
    assert np.abs(total).max() < 4 * plain.steps.max()


def test_classes_have_steps_of_their_own(tiny_int8, integers):
    kernel, bias = drawn(4, 44)
    kernel -= kernel.mean(axis=0)
    head = integer_heads.quantize(kernel, bias, integers, tiny_int8.step)
    np.testing.assert_allclose(head.steps, np.abs(kernel).max(axis=1) / 127, rtol=1e-6)
    assert (head.kernel.dtype, head.steps.dtype, head.bias.dtype) == (np.int8, np.float32, np.int32)


# --- refusals ---


@pytest.mark.parametrize("change", ["step", "size", "type"])
def test_another_embedder_is_refused(tiny_int8, tiny_base, head, change):
    if change == "step":
        wrong, message = dataclasses.replace(head, feature_step=1.001 * head.feature_step), "another quantization step"
        content = tiny_int8.content
    elif change == "size":
        wrong, message = dataclasses.replace(head, kernel=head.kernel[:, :43]), r"expects 43 int8 .* gives \[1, 44\]"
        content = tiny_int8.content
    else:
        wrong, message = head, "expects 44 int8 features"
        content = network_layers.join(tiny_base.content, tiny_int8.layers)
    with pytest.raises(ModelError, match=message) as caught:
        wrong.attach(content)
    assert "\n" not in str(caught.value)


def test_features_whose_zero_is_not_nought_are_refused(tiny_int8, head):
    model = graph.parse(tiny_int8.content)
    main = model.subgraphs[0]
    main.tensors[main.outputs[0]].quantization.zeroPoint = [1]
    with pytest.raises(ModelError, match="another quantization step"):
        head.attach(graph.pack(model))


# --- heads that are hardly ones ---


def scores_on_all_kernels(head, form, pixels):
    content = head.attach(form.content)
    for kernels in KERNELS:
        runner = LiteRTRunner(content, kernels=kernels)
        yield np.concatenate([runner.run(picture.astype(np.int8)) for picture in pixels])


def test_a_kernel_of_zeros_leaves_the_bias(tiny_int8, integers, pixels):
    head = integer_heads.quantize(np.zeros((3, 44)), np.log([0.5, 0.25, 0.25]), integers, tiny_int8.step)
    for found in scores_on_all_kernels(head, tiny_int8, pixels[:3]):
        # Logits of 255 steps over 0.7, scores of 256.
        np.testing.assert_allclose(found, [[0.5, 0.25, 0.25]] * 3, atol=1 / 128)


def test_one_class_of_a_kernel_of_zeros_keeps_its_bias(tiny_int8, integers, pixels):
    kernel = np.zeros((3, 44))
    kernel[0, 4], kernel[1, 4] = 0.5, -0.5  # centred as it is
    head = integer_heads.quantize(kernel, np.array([0.0, -2.0, 2.0]), integers, tiny_int8.step)
    expected = softmax(integers[:3] * tiny_int8.step @ kernel.T + [0.0, -2.0, 2.0])
    for found in scores_on_all_kernels(head, tiny_int8, pixels[:3]):
        np.testing.assert_allclose(found, expected, atol=0.02)


def test_nothing_at_all_gives_every_class_its_share(tiny_int8, integers, pixels):
    head = integer_heads.quantize(np.zeros((4, 44)), np.zeros(4), integers, tiny_int8.step)
    for found in scores_on_all_kernels(head, tiny_int8, pixels[:3]):
        np.testing.assert_array_equal(found, np.full((3, 4), 0.25))


def test_a_huge_class_drowns_no_other_class_alone(tiny_int8, integers, pixels):
    kernel, bias = drawn(3, 44)
    kernel[0] *= 1e6
    head = integer_heads.quantize(kernel, bias, integers, tiny_int8.step)
    expected = softmax(real_logits(kernel, bias, integers, tiny_int8.step)).argmax(axis=1)
    # Logits of some millions in 255 steps: which side of the huge class a photo is on remains, the rest does not.
    for found in scores_on_all_kernels(head, tiny_int8, pixels):
        assert np.isfinite(found).all()
        np.testing.assert_array_equal(found.argmax(axis=1) == 0, expected == 0)


@pytest.mark.parametrize("classes", [2, 300])
def test_few_and_many_classes(tiny_int8, integers, pixels, classes):
    kernel, bias = drawn(classes, 44)
    head = integer_heads.quantize(kernel, bias, integers, tiny_int8.step)
    expected = softmax(real_logits(kernel, bias, integers, tiny_int8.step))
    content = head.attach(tiny_int8.content)
    assert inspection.inspect(content).outputs[0].shape == (1, classes)
    found = head.scores(integers)
    # Three roundings of a logit, of a step at most each, and half of 1 / 256.
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=3 * head.logit_step * 0.25 + 1 / 256)
    for other in scores_on_all_kernels(head, tiny_int8, pixels[:3]):
        np.testing.assert_allclose(other, expected[:3], atol=3 * head.logit_step * 0.25 + 3 / 256)


def test_scores_of_no_photo_have_their_shape(head):
    assert head.scores(np.empty((0, 44), np.int8)).shape == (0, 3)


class InBlocks:
    """Features in a store: remembers how many photos were in memory at a time."""

    def __init__(self, features):
        self.features, self.most = features, 0

    def __len__(self):
        return len(self.features)

    def __getitem__(self, rows):
        found = self.features[rows]
        self.most = max(self.most, len(found))
        return found


def test_many_photos_are_read_in_blocks(tiny_int8):
    many = np.random.default_rng(3).integers(-128, 128, (10_000, 44), np.int8)
    stored, (kernel, bias) = InBlocks(many), drawn(3, 44)
    head = integer_heads.quantize(kernel, bias, stored, tiny_int8.step)
    found = head.scores(stored)
    assert stored.most <= 4096
    whole = integer_heads.quantize(kernel, bias, many, tiny_int8.step)
    assert head.logit_step == whole.logit_step
    expected = real_logits(kernel, bias, many, tiny_int8.step)
    # The step spans all logits, of the last block, too, and no more.
    assert head.logit_step == pytest.approx((expected.max() - expected.min()) / 255, rel=0.01)
    np.testing.assert_array_equal(found[::1000], head.scores(many[::1000]))
