"""Rows of the last layer come, go and move; what stays keeps its scores, in every kind of numbers."""

import numpy as np
import pytest

from model_maker.errors import ModelError
from model_maker.tflite import class_rows, graph
from model_maker.tflite.interpreter import LiteRTRunner


def softmax(logits):
    scores = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return scores / scores.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module", params=["uint8/model", "float32/model", "uint8/float"])
def classifier(request, trained):
    edges, name = request.param.split("/")
    return (trained[edges] / f"{name}.tflite").read_bytes()


def run(content, pixels):
    runner = LiteRTRunner(content)
    given = pixels if runner.input_dtype == np.uint8 else (pixels.astype(np.float32) - 127) / 128
    return runner.run(given)[0]


@pytest.fixture(scope="module")
def pixels(classifier):
    return np.random.default_rng(0).integers(0, 255, LiteRTRunner(classifier).input_shape, dtype=np.uint8)


def test_a_class_that_is_left_out_leaves_its_share_to_the_others(classifier, pixels):
    before = run(classifier, pixels)
    best = int(before.argmax())  # so that what is left is no rounding alone
    chosen = [(best + 1) % len(before), best]
    after = run(class_rows.replace(classifier, chosen, np.empty((0, 0))), pixels)
    expected = before[chosen] / before[chosen].sum()
    # A step of 1/256 in each of the three scores that this is made of.
    np.testing.assert_allclose(after, expected, atol=3 / 256 / before[chosen].sum())


def test_a_new_class_has_the_logit_that_its_row_gives(classifier, pixels):
    rows = class_rows.read(classifier)
    features = run(class_rows.embedder(classifier), pixels).ravel()
    kernel = rows.kernel[0] * 0.5 + rows.kernel[1] * 0.5
    new = class_rows.replace(classifier, [*range(len(rows.bias)), (kernel, float(rows.bias[0]) + 0.5)], features[None])
    logits = np.append(rows.logits(features), features @ kernel + rows.bias[0] + 0.5)
    # int8 logits have steps of some hundredths, scores of 1/256.
    np.testing.assert_allclose(run(new, pixels), softmax(logits), atol=0.03)


def test_logits_beyond_the_old_range_are_not_cut_off(trained, pixels):
    content = (trained["uint8"] / "model.tflite").read_bytes()
    rows = class_rows.read(content)
    features = run(class_rows.embedder(content), np.ascontiguousarray(pixels)).ravel()
    high = rows.logits(features).max() + 100
    flat = np.zeros_like(rows.kernel[0])
    new = class_rows.replace(content, [0, 1, (flat, high), (flat, high + 20)], features[None])
    scores = run(new, pixels)
    assert scores.argmax() == 3 and scores[3] > 0.9  # cut off, both would have the same score


def test_a_network_without_classes_is_refused(tiny_base):
    with pytest.raises(ModelError, match="no last layer of classes"):
        class_rows.read(tiny_base.content)


def test_the_file_keeps_its_network(classifier):
    before, after = (
        graph.parse(each).subgraphs[0]
        for each in (classifier, class_rows.replace(classifier, [1, 0], np.empty((0, 0))))
    )
    assert len(before.operators) == len(after.operators)
