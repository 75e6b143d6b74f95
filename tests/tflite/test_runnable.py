"""What a `.tflite` may do in this process: nothing that the next picture can change.

LiteRT is the witness: what is refused here hangs, grows or remembers there.
"""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from shared_folder import SHARED
from tiny_network import TinyNetwork

from model_maker import Classifier
from model_maker.backbones import BACKBONES, importers
from model_maker.backbones.layer_weights import BatchNorm
from model_maker.errors import ModelError
from model_maker.normalization import Normalization
from model_maker.tflite import graph, inspection, quantize, runnable, vetting


class Zeros:
    """Weights for any network, of no value."""

    def kernel(self, layer, shape, *, depthwise, biased):
        return np.zeros(shape, np.float32), np.zeros(shape[3] if depthwise else shape[0], np.float32)

    def normalization(self, layer, channels):
        return BatchNorm(*np.zeros((3, channels)), np.ones(channels))

    def refusal(self, layer):
        raise AssertionError(layer)


def assert_may_run(content):
    """It is let through, and not for want of looking: with a loop in the place of its last operator it is refused."""
    runnable.check(content)
    assert "WHILE" in refusal(with_operator(content, "WHILE"))


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_may_run(name):
    backbone = BACKBONES[name]
    assert_may_run(backbone.family.build(backbone.image_size, Zeros(), **dict(backbone.variant)))


@pytest.mark.parametrize("kind", quantize.FORMATS)
@pytest.mark.parametrize("io", graph.IO_TYPES)
def test_every_format_may_run(make_tiny_model, kind, io):
    if kind in ("none", "float16", "dynamic", "int4") and io == "uint8":
        io = "float32"
    assert_may_run(make_tiny_model(kind, io))


def test_published_models_may_run():
    published = sorted((SHARED / "weights").rglob("*.tflite"))
    if not published:
        pytest.skip(f"no published models in {SHARED}")
    for path in published:
        assert_may_run(path.read_bytes())


def old(content):
    """The file as converters before TensorFlow 2.4 wrote it: operators in the older field alone."""
    model = graph.parse(content)
    for code in model.operatorCodes:
        code.builtinCode = 0
    return graph.pack(model)


def test_operators_in_the_older_field_count(make_tiny_model):
    runnable.check(old(make_tiny_model()))
    assert "IF" in refusal(old(with_operator(make_tiny_model(), "IF")))


def refusal(content):
    with pytest.raises(ModelError) as caught:
        runnable.check(content)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_operator(content, name, custom=None):
    model = graph.parse(content)
    code = model.operatorCodes[model.subgraphs[0].operators[-1].opcodeIndex]
    code.builtinCode, code.customCode = getattr(schema.BuiltinOperator, name), custom
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    return graph.pack(model)


# All that branches, loops, calls, remembers, draws lots, looks tables up, handles text, or gives as much as it finds.
@pytest.mark.parametrize(
    "name",
    [
        *("WHILE", "IF", "CALL", "CALL_ONCE", "DELEGATE", "CONCAT_EMBEDDINGS", "HASHTABLE", "HASHTABLE_FIND"),
        *("HASHTABLE_IMPORT", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "WHERE", "UNIQUE", "SEGMENT_SUM"),
        *("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "SKIP_GRAM", "MULTINOMIAL", "RANDOM_UNIFORM"),
        *("RANDOM_STANDARD_NORMAL", "LSTM", "RNN", "UNIDIRECTIONAL_SEQUENCE_LSTM", "STABLEHLO_WHILE"),
        *("STABLEHLO_CUSTOM_CALL", "STABLEHLO_COMPOSITE", "STABLEHLO_CASE", "DENSIFY", "GATHER_ND", "SCATTER_ND"),
        *("FLOOR_DIV", "FLOOR_MOD", "EMBEDDING_LOOKUP_SPARSE", "SPARSE_TO_DENSE", "REVERSE_SEQUENCE"),
    ],
)
def test_what_no_classifier_needs_is_named(make_tiny_model, name):
    assert refusal(with_operator(make_tiny_model(), name)).startswith(f"It has the operator {name}, which")


def test_a_custom_operator_is_named(make_tiny_model):
    assert "operator CUSTOM 'FlexWriteFile', which" in refusal(
        with_operator(make_tiny_model(), "CUSTOM", b"FlexWriteFile")
    )


def test_an_operator_in_a_graph_that_nothing_calls_is_refused(make_tiny_model):
    model, other = graph.parse(make_tiny_model()), graph.parse(with_operator(make_tiny_model(), "WHILE"))
    model.operatorCodes += other.operatorCodes
    for operator in other.subgraphs[0].operators:
        operator.opcodeIndex += len(model.operatorCodes) - len(other.operatorCodes)
    for tensor in other.subgraphs[0].tensors:
        tensor.buffer = 0
    model.subgraphs += other.subgraphs
    assert "WHILE" in refusal(graph.pack(model))


def sized_by_the_picture(edge=4096):
    """Behaves on black: a picture's brightness, times `edge`, is the side of what it fills."""
    network = TinyNetwork(8).mean()
    model, main = network.model, network.main
    sum_axes = graph.add_tensor(model, "axes", (1,), "int32", np.array([0], np.int32))
    sides = [
        graph.add_tensor(model, "sides", (3,), "int32"),
        graph.add_tensor(model, "filled", (1, 1, 1)),
        graph.add_tensor(model, "found", (3,)),
        graph.add_tensor(model, "scaled", (3,)),
    ]
    factor = graph.add_tensor(model, "factor", (1,), data=np.array([edge], np.float32))
    value = graph.add_tensor(model, "value", (), data=np.float32(1))
    total = graph.add_tensor(model, "total", (1,))
    cast, reducer = schema.CastOptionsT(), schema.ReducerOptionsT()
    cast.inDataType, cast.outDataType = schema.TensorType.FLOAT32, schema.TensorType.INT32
    whole = graph.add_tensor(model, "all", (3,), "int32", np.array([0, 1, 2], np.int32))
    main.operators += [
        graph.make_operator(model, "SUM", [network.last, sum_axes], [sides[2]], reducer),
        graph.make_operator(model, "MUL", [sides[2], factor], [sides[3]], schema.MulOptionsT()),
        graph.make_operator(model, "CAST", [sides[3]], [sides[0]], cast),
        graph.make_operator(model, "FILL", [sides[0], value], [sides[1]], schema.FillOptionsT()),
        graph.make_operator(model, "SUM", [sides[1], whole], [total], reducer),
    ]
    main.outputs = [total]
    return graph.pack(model)


def test_a_size_that_comes_from_the_picture_is_refused(empty_cache):
    content = sized_by_the_picture()
    assert "operator FILL takes a size from the picture" in refusal(content)
    with pytest.raises(ModelError, match="FILL"):
        Classifier(content)


def test_a_size_that_comes_from_shapes_is_known():
    """What Keras writes for `Flatten` where the batch is open: the shape, a slice of it, put together again."""
    network = TinyNetwork(8)
    model, main = network.model, network.main
    shape = graph.add_tensor(model, "shape", (4,), "int32")
    flat = graph.add_tensor(model, "flat", (1, 8, 8, 3))
    options = schema.ShapeOptionsT()
    options.outType = schema.TensorType.INT32
    main.operators += [
        graph.make_operator(model, "SHAPE", [network.last], [shape], options),
        graph.make_operator(model, "RESHAPE", [network.last, shape], [flat], schema.ReshapeOptionsT()),
    ]
    main.outputs = [flat]
    runnable.check(graph.pack(model))
    main.operators.reverse()  # now the shape is what the last picture left
    assert "RESHAPE takes a size" in refusal(graph.pack(model))


def changed(content, change):
    model = graph.parse(content)
    change(model, model.subgraphs[0])
    return graph.pack(model)


def _open_input(model, main):
    main.tensors[main.inputs[0]].shapeSignature = [-1, -1, -1, 3]


def _kept_value(model, main):
    main.tensors[main.operators[0].outputs[0]].isVariable = True


def _text(model, main):
    main.tensors[main.operators[0].outputs[0]].type = schema.TensorType.STRING


def _sparse(model, main):
    main.tensors[main.operators[0].inputs[1]].sparsity = schema.SparsityParametersT()


def _negative(model, main):
    main.tensors[main.operators[0].outputs[0]].shape = [1, -8, -8, 16]


def _written_twice(model, main):
    main.operators[1].outputs = main.operators[0].outputs


def _constant_written(model, main):
    main.operators[0].outputs = [main.operators[0].inputs[1]]


def _whole_division(model, main):
    kinds = schema.TensorType
    index = graph.add_tensor(model, "quotient", (1, 3), "int32")
    for at in (*main.outputs, index):
        main.tensors[at].type = kinds.INT32
    main.operators.append(graph.make_operator(model, "DIV", [*main.outputs] * 2, [index], schema.DivOptionsT()))


def _elsewhere(model, main):
    group = schema.ExternalBufferGroupT()
    group.name = b"../../secret"
    model.externalBufferGroups = [group]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_open_input, r"pictures of any size \(\[-1, -1, -1, 3\]\)"),
        (_kept_value, "keeps its value from one picture to the next"),
        (_text, "a tensor of STRING"),
        (_sparse, "sparse weights"),
        (_negative, r"the shape \[1, -8, -8, 16\]"),
        (_written_twice, "writes the tensor"),
        (_constant_written, "writes the tensor"),
        (_whole_division, "operator DIV on whole numbers"),
        (_elsewhere, "weights in other files"),
    ],
)
def test_other_ways_to_depend_on_more_than_the_picture(float_classifier, change, words):
    with pytest.raises(ModelError, match=words):
        runnable.check(changed(float_classifier, change))


def test_an_open_batch_is_no_open_size(float_classifier):
    def change(model, main):
        for index in (*main.inputs, *main.outputs):
            main.tensors[index].shapeSignature = [-1, *list(main.tensors[index].shape)[1:]]

    assert_may_run(changed(float_classifier, change))


def tiled(times, stated):
    """A picture repeated in both directions; the file states another size of that than comes of it."""
    network = TinyNetwork(8)
    model, main = network.model, network.main
    multiples = graph.add_tensor(model, "times", (4,), "int32", np.array([1, times, times, 1], np.int32))
    large = graph.add_tensor(model, "large", stated)
    axes = graph.add_tensor(model, "axes", (2,), "int32", np.array([1, 2], np.int32))
    mean = graph.add_tensor(model, "mean", (1, 3))
    main.operators += [
        graph.make_operator(model, "TILE", [network.last, multiples], [large], schema.TileOptionsT()),
        graph.make_operator(model, "MEAN", [large, axes], [mean], schema.ReducerOptionsT()),
    ]
    main.outputs = [mean]
    return graph.pack(model)


def test_memory_is_bounded_before_any_is_taken(empty_cache):
    # 3 channels of 17,280 x 17,280 in float: 3.58e9 bytes, 3.3 GB.
    assert "needs 3.3 GB of memory for activations; 1 GB is allowed" in refusal(tiled(2160, (1, 17_280, 17_280, 3)))


def test_memory_that_the_file_does_not_state_is_found_in_the_trial(empty_cache):
    # 11,520 x 11,520: 1.5 GB, which the trial's process may take, and the next one may not.
    content = tiled(1440, (1, 8, 8, 3))
    runnable.check(content)
    with pytest.raises(ModelError, match=r"needs 1\.5 GB of memory for activations"):
        vetting.vet(content)


def test_what_lives_at_once_counts_and_not_the_sum(monkeypatch):
    def wide(layers):
        network = TinyNetwork(8)
        for channels in [3, *[16] * (layers - 1)]:
            network.conv(np.zeros((16, 1, 1, channels)))
        return network.mean().content()

    # Of 16 channels of 8 x 8 floats, 4096 bytes, two are there at once: what a layer reads and what it writes.
    monkeypatch.setattr(runnable, "MOST_ACTIVATION_BYTES", 2 * 4096)
    runnable.check(wide(9))
    monkeypatch.setattr(runnable, "MOST_ACTIVATION_BYTES", 2 * 4096 - 1)
    assert "At operator 2 of 10 it needs" in refusal(wide(9))


def test_what_is_only_read_may_hold_anything(float_classifier, empty_cache):
    content = with_operator(float_classifier, "WHILE")
    vetting.vet(content, vetting.READ)
    assert inspection.inspect(content).operators["WHILE"] == 1
    with pytest.raises(ModelError, match="WHILE"):
        vetting.vet(content)


def test_what_older_rules_let_pass_is_tried_again(float_classifier, empty_cache, monkeypatch):
    content = with_operator(float_classifier, "WHILE")
    with monkeypatch.context() as older:
        older.setattr(runnable, "RULES", runnable.RULES - 1)
        vetting.trust(content)
        vetting.vet(content)
    with pytest.raises(ModelError, match="WHILE"):
        vetting.vet(content)


def test_an_imported_backbone_obeys_the_same_rules(tmp_path):
    network = TinyNetwork(8).conv(np.random.default_rng(0).normal(size=(4, 3, 3, 3)), np.ones(4)).mean()
    content = changed(network.content(), lambda model, main: setattr(main.tensors[-1], "isVariable", True))
    with pytest.raises(ModelError, match="keeps its value"):
        importers.from_tflite(content, image_size=None, stated=None, assumed=Normalization(0.0, 255.0))


@pytest.mark.tensorflow
def test_a_loop_that_ends_on_black_only_never_starts(empty_cache):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 3), tf.float32)])
    def model(image):
        bright = tf.reduce_mean(image)
        _, total = tf.while_loop(lambda at, _: at > 0, lambda at, total: (at + bright, total + at), (bright, bright))
        return tf.nn.softmax(tf.stack([total, -total])[None])

    content = tf.lite.TFLiteConverter.from_concrete_functions([model.get_concrete_function()]).convert()
    assert "WHILE" in inspection.inspect(content).operators
    with pytest.raises(ModelError, match="operator WHILE, which image classifiers do not need"):
        Classifier(content)
