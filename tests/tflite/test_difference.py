"""What two files differ in: each thing changed on purpose is named, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from model_maker.tflite import graph, metadata
from model_maker.tflite.difference import Difference, differences


@pytest.fixture(scope="module")
def content(make_tiny_model):
    content = make_tiny_model()
    provenance = {"options": {"seed": 0, "name": "tiny"}, "metrics": {"top1": 0.5}, "packages": None}
    return metadata.write(content, replace(metadata.read(content), provenance=provenance))


def changed(content, change):
    model = graph.parse(content)
    change(model)
    return metadata.write(graph.pack(model), metadata.read(content))


def weights(model):
    """The int8 weights of the head, [classes, D]."""
    return next(
        tensor
        for tensor in model.subgraphs[0].tensors
        if model.buffers[tensor.buffer].data is not None and list(tensor.shape)[0] == 3
    )


def test_a_file_is_like_itself(content):
    assert differences(content, content) == []
    # Written anew the flatbuffer may be arranged otherwise; the model is the same.
    assert differences(content, changed(content, lambda model: None)) == []


def test_weights_are_counted_and_measured(content):
    def change(model):
        values = graph.constant(model, weights(model)).copy()
        values.flat[0] += 3 if values.flat[0] < 100 else -3
        values.flat[5] += 1 if values.flat[5] < 100 else -1
        graph.set_constant(model, weights(model), values)

    [found] = differences(content, changed(content, change))
    assert (found.what, found.after) == ("weights", "2 are others, by 3 at most")


def test_scales_are_told_apart_from_weights(content):
    def change(model):
        weights(model).quantization.scale = np.float32([1, *weights(model).quantization.scale[1:]])

    [found] = differences(content, changed(content, change))
    assert (found.what, found.after) == ("scales", "1 are others")


def test_another_network_is_told_by_its_parts(content, make_tiny_model):
    float_file = make_tiny_model("float16", "float32")
    found = {entry.what: entry for entry in differences(content, float_file)}
    assert {"operators", "tensors"} <= set(found)
    assert found["operators"].before == str(len(graph.parse(content).subgraphs[0].operators))
    assert "weights" not in found  # of what is arranged otherwise nothing can be compared


def test_metadata_and_provenance_are_compared_leaf_by_leaf(content):
    info = metadata.read(content)
    provenance = {"options": {"seed": 1, "name": "tiny"}, "metrics": {"top1": 0.75}, "packages": {"numpy": "2.1"}}
    other = replace(info, labels=("a", "b", "c"), threshold=0.25, provenance=provenance)
    assert differences(content, metadata.write(content, other)) == [
        Difference("metrics top1", "0.5", "0.75"),
        Difference("options seed", "0", "1"),
        Difference("packages numpy", "none", "2.1"),
        Difference("labels", "a, b, ü", "a, b, c"),
        Difference("threshold", "0", "0.25"),
    ]
