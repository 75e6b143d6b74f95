"""Facts of a file that are read in place, against LiteRT and the object tree."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from model_maker.errors import ModelError
from model_maker.tflite import graph, in_place
from model_maker.tflite.interpreter import LiteRTRunner


def test_ends_are_those_that_litert_finds(tiny_int8, tiny_base):
    for content in (tiny_int8.content, tiny_int8.embedder, tiny_base.content):
        found, runner = in_place.ends(content), LiteRTRunner(content)
        assert (found.input_shape, found.output_shape) == (runner.input_shape, runner.output_shape)
        assert (found.output_dtype, found.output_step) == (runner.output_dtype, runner.output_step)
    assert in_place.output_shapes(tiny_base.content) == [LiteRTRunner(tiny_base.content).output_shape]


def test_operators_are_those_of_the_object_tree(tiny_int8):
    model = graph.parse(tiny_int8.content)
    names = [graph.operator_name(model, operator) for operator in model.subgraphs[0].operators]
    found = list(in_place.operators(tiny_int8.content))
    assert [name for name, _ in found] == names and len(set(names)) > 3
    first = model.subgraphs[0].operators[0]
    weights = graph.constant(model, model.subgraphs[0].tensors[first.inputs[1]])
    assert found[0][1][0] == weights.tobytes()


def test_a_metadata_buffer_is_found_by_its_name(tiny_int8):
    model = graph.parse(tiny_int8.content)
    model.metadata = []
    assert in_place.metadata_entry(graph.pack(model), b"NOTE") is None
    entry = schema.MetadataT()
    entry.name, entry.buffer = b"NOTE", graph.add_buffer(model, np.frombuffer(b"some bytes", "u1"))
    model.metadata.append(entry)
    assert in_place.metadata_entry(graph.pack(model), b"NOTE") == b"some bytes"


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\xff" * 4 + b"TFL3" + b"\xff" * 99])
def test_what_is_no_model_is_refused(content):
    with pytest.raises(ModelError, match="not a .tflite|damaged"):
        in_place.ends(content)
