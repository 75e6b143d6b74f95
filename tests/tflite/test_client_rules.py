"""Each rule of phone clients, with a file that breaks just this one; the clients have the last word on it."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as model_schema
from needs import marks
from PIL import Image

import model_maker
from model_maker.errors import ModelError
from model_maker.tflite import client_rules, graph, io_types, metadata, metadata_schema, zip_files
from model_maker.verification import clients

LABELS = "a\nb\nü".encode()
FILES = {metadata.LABELS: LABELS, metadata.LABELS_AGAIN: LABELS}


def with_files(content, files, compression=zipfile.ZIP_STORED):
    """The same model with another zip behind it."""
    whole = io.BytesIO(graph.pack(graph.parse(content)))
    whole.seek(0, io.SEEK_END)
    with zipfile.ZipFile(whole, "a", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return whole.getvalue()


def with_tables(content, change):
    """The same model, its metadata changed."""
    model = graph.parse(content)
    tables = metadata.tables(model)
    change(tables.subgraph_metadata[0])
    [entry] = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    model.buffers[entry.buffer].data = np.frombuffer(metadata_schema.pack(tables), np.uint8)
    return with_files(graph.pack(model), FILES)


def with_graph(content, change):
    """The same model, its network changed."""
    model = graph.parse(content)
    change(model)
    return with_files(graph.pack(model), FILES)


def normalized(mean, std):
    def change(part):
        part.input_tensor_metadata[0].process_units[0].options.mean = mean
        part.input_tensor_metadata[0].process_units[0].options.std = std

    return change


def without_normalization(part):
    part.input_tensor_metadata[0].process_units = []


def without_input(part):
    part.input_tensor_metadata = []


def with_two_inputs(part):
    part.input_tensor_metadata *= 2


def without_labels(part):
    part.output_tensor_metadata[0].associated_files = []


def with_other_labels(part):
    part.output_tensor_metadata[0].associated_files[0].name = b"other.txt"


def with_two_outputs(model):
    model.subgraphs[0].outputs = [*model.subgraphs[0].outputs] * 2


def of_two_photos(model):
    main = model.subgraphs[0]
    main.tensors[main.inputs[0]].shape = [2, 8, 8, 3]


def int8_input(content):
    """uint8 scores of an int8 photo."""
    model = graph.parse(io_types.bare_int8(content))
    main = model.subgraphs[0]
    main.operators += graph.edge_operators(
        model, main.outputs, "out", "uint8", graph.quantization(1 / 256, 0), entering=False
    )
    info = replace(metadata.read(content), provenance={})
    return metadata.write(graph.pack(model), info)


def int8_output(content):
    """int8 scores of a uint8 photo."""
    model = graph.parse(io_types.bare_int8(content))
    main = model.subgraphs[0]
    main.operators = [
        *graph.edge_operators(model, main.inputs, "in", "uint8", graph.quantization(1 / 128, 127), entering=True),
        *main.operators,
    ]
    return metadata.write(graph.pack(model), metadata.read(content))


CLIENTS = pytest.mark.parametrize(
    "client", [pytest.param(name, marks=marks(*modules)) for name, modules in clients.PACKAGES.items()]
)
TASKS, BOTH, NONE = {"TFLite Task Library"}, set(clients.CLIENTS), set()
MEDIAPIPE = BOTH - TASKS


def labeled(lines):
    return lambda content: with_files(content, FILES | {metadata.LABELS: lines})


def described(change):
    return lambda content: with_tables(content, change)


def built(change):
    return lambda content: with_graph(content, change)


def compressed(content):
    return with_files(content, FILES, zipfile.ZIP_DEFLATED)


# What is done to a model of which edges, the rule that it breaks, what is said of it, and who refuses it.
BROKEN = {
    "two photos": ("uint8", built(of_two_photos), "one input [1, H, W, 3]", "shape [2, 8, 8, 3]", BOTH),
    "int8 input": ("uint8", int8_input, "input uint8 or float32", "int8", BOTH),
    "two outputs": ("uint8", built(with_two_outputs), "one output [1, N]", "[[1, 3], [1, 3]]", BOTH),
    "int8 output": ("uint8", int8_output, "output uint8 or float32", "int8", BOTH),
    "no input": ("uint8", described(without_input), "of exactly one input", "of 0 inputs", BOTH),
    "two inputs": ("uint8", described(with_two_inputs), "of exactly one input", "of 2 inputs", TASKS),
    "no mean": ("float32", described(without_normalization), "one mean and one std", "no NormalizationOptions", BOTH),
    "three means": ("float32", described(normalized([1, 2, 3], [9] * 3)), "one mean", "[1.0, 2.0, 3.0]", MEDIAPIPE),
    "std 0": ("float32", described(normalized([127], [0])), "one mean and one std", "std [0.0]", BOTH),
    "no labels": ("uint8", described(without_labels), "a file of labels", "no file of labels", NONE),
    "lost labels": ("uint8", described(with_other_labels), "a file of labels", "other.txt, which is not", BOTH),
    "compressed": ("uint8", compressed, "stored, not compressed", "labels.txt", BOTH),
    "CR LF": ("uint8", labeled(b"a\r\nb\r\nc"), "lines that end in LF", "CR LF", NONE),
    "blank line": ("uint8", labeled(LABELS + b"\n\n"), "as many labels", "4 labels for 3 scores", TASKS),
    "two of three": ("uint8", labeled(b"a\nb"), "as many labels", "2 labels for 3 scores", BOTH),
}


@pytest.fixture(scope="module")
def broken(make_tiny_model, tmp_path_factory):
    """{name: file that breaks one rule}, and those that break none by their io."""
    folder = tmp_path_factory.mktemp("broken")
    contents = {io: make_tiny_model("int8", io) for io in graph.IO_TYPES}
    contents |= {name: change(contents[io]) for name, (io, change, *_) in BROKEN.items()}
    paths = {name: folder / f"{name}.tflite" for name in contents}
    for name, path in paths.items():
        path.write_bytes(contents[name])
    return paths


@pytest.fixture(scope="module")
def answers(broken, noise_photos, tmp_path_factory):
    """answers(client): {name: its answer}; each client starts once."""
    photo = tmp_path_factory.mktemp("photo") / "noise.png"
    Image.fromarray(noise_photos[0, 0]).save(photo)
    known = {}

    def ask(client):
        if client not in known:
            try:
                known[client] = clients.ask(client, list(broken.values()), [photo])
            except clients.NotHere as reason:
                known[client] = reason
        if isinstance(known[client], clients.NotHere):
            pytest.skip(str(known[client]))
        return dict(zip(broken, known[client], strict=True))

    return ask


@pytest.mark.parametrize("io", graph.IO_TYPES)
def test_our_files_keep_all_rules(broken, io):
    assert [entry for entry in client_rules.check(broken[io].read_bytes()) if not entry.passed] == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_found_and_no_other(broken, name):
    _, _, demand, received, _ = BROKEN[name]
    found = [entry for entry in client_rules.check(broken[name].read_bytes()) if not entry.passed]
    assert [demand in entry.rule.demand for entry in found] == [True]
    assert received in found[0].received
    assert found[0].rule.binding


@CLIENTS
@pytest.mark.parametrize("io", graph.IO_TYPES)
def test_clients_take_what_keeps_the_rules(answers, client, io):
    answer = answers(client)[io]
    assert (answer.refusal, len(answer.photos)) == ("", 1)


@CLIENTS
@pytest.mark.parametrize("name", BROKEN)
def test_clients_refuse_what_breaks_a_rule(answers, client, name):
    *_, refusers = BROKEN[name]
    assert bool(answers(client)[name].refusal) == (client in refusers)


@CLIENTS
def test_without_a_file_of_labels_no_class_has_a_name(answers, client):
    assert {category.label for category in answers(client)["no labels"].photos[0]} == {""}


@pytest.mark.verify("tflite_support", "libusb_package")
def test_cr_stays_in_the_names_of_classes(answers):
    assert {category.label for category in answers("TFLite Task Library")["CR LF"].photos[0]} == {"a\r", "b\r", "c"}


@pytest.mark.parametrize("name", ["compressed", "CR LF", "two inputs"])
def test_export_mends_metadata(broken, make_photos, tmp_path, name):
    make_photos(tmp_path / "data", {"a": 3, "b": 3, "c": 3, "ü": 3})
    made = model_maker.export(broken[name], tmp_path / "out", formats=["tflite-int8"], data=tmp_path / "data")
    content = made.entries[0].path.read_bytes()
    assert [entry.received for entry in client_rules.check(content) if not entry.passed] == []
    # The network itself is the same: so are its scores, and the sizes of all its tensors.
    whole, repaired = (graph.parse(data).subgraphs[0] for data in (broken[name].read_bytes(), content))
    assert [list(tensor.shape) for tensor in whole.tensors] == [list(tensor.shape) for tensor in repaired.tensors]


def test_labels_under_their_second_name_are_missed_and_not_refused(make_tiny_model):
    content = with_files(make_tiny_model(), {metadata.LABELS: LABELS})
    [entry] = [entry for entry in client_rules.check(content) if not entry.passed]
    assert (metadata.LABELS_AGAIN in entry.rule.demand, entry.rule.binding) == (True, False)


def test_a_file_without_metadata_breaks_what_needs_it(float_classifier):
    broken = {
        entry.received for entry in client_rules.check(float_classifier) if not entry.passed and entry.rule.binding
    }
    assert broken == {"float input, and no NormalizationOptions", "no file of labels"}


def test_a_damaged_file_is_refused_in_a_line():
    with pytest.raises(ModelError, match="damaged") as caught:
        client_rules.check(b"\x1c\0\0\0TFL3" + bytes(100))
    assert "\n" not in str(caught.value)


def test_published_classifiers_keep_the_rules(shared_weights):
    for name in ("automl_labeler_model", "mobilenet_v2_1.0_224_quant", "mobilenet_v1_0.25_224_1_metadata_1"):
        content = (shared_weights / "tflite" / f"{name}.tflite").read_bytes()
        assert [entry.received for entry in client_rules.check(content) if not entry.passed] == ["not in the zip"]


def test_a_published_classifier_without_metadata_lacks_names_alone(shared_weights):
    content = (shared_weights / "tflite/tflite_support_mobilenet_v2_1.0_224_quant.tflite").read_bytes()
    broken = [entry.received for entry in client_rules.check(content) if not entry.passed and entry.rule.binding]
    assert broken == ["no file of labels"]


@pytest.mark.parametrize(
    ("shape", "kept"), [((1, 5), True), ((1, 1, 1, 5), True), ((1, 2, 1, 5), False), ((5,), False), ((2, 5), False)]
)
def test_scores_may_have_leading_dimensions_of_one(shape, kept):
    tensor = model_schema.TensorT()
    tensor.shape = list(shape)
    [rule] = [rule for rule in client_rules.RULES if rule.demand == "one output [1, N]"]
    found = rule.broken(client_rules.Contents((), (tensor,), False, (), (), {}, None))
    assert (found == "") == kept


def test_several_described_outputs_are_the_heads_of_one_classifier(make_tiny_model):
    content = make_tiny_model()
    info = metadata.read(content)
    model = graph.parse(content)
    main = model.subgraphs[0]
    # The same scores twice: what counts here is how many outputs there are, and what is said of them.
    main.outputs = [main.outputs[0], main.outputs[0]]
    undescribed = zip_files.append(graph.pack(model), {})
    described = metadata.write_heads(graph.pack(model), {"one": info, "two": info})
    broken = [{e.rule.demand for e in client_rules.check(each) if not e.passed} for each in (undescribed, described)]
    assert "one output [1, N]" in broken[0] and "one output [1, N]" not in broken[1]
