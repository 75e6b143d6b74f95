"""Graphs that would do more than compute, hidden in every place that a file has."""

import json
import zipfile

import numpy as np
import pytest

from model_maker import Classifier
from model_maker.errors import BackboneError, ModelError
from model_maker.tensorflow_files import allowed_operators, keras_files, saved_models

tf = pytest.importorskip("tensorflow")
SHAPE = (1, 16, 16, 3)
PICTURE = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)


@pytest.fixture
def canary(tmp_path):
    """A path that a hostile graph would write to; nothing may ever be there."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists() and not list(tmp_path.glob("canary*"))


def write_file(path):
    return tf.io.write_file(str(path), "x")


def write_summary(path):
    writer = tf.raw_ops.SummaryWriter(shared_name="w", container="")
    with tf.control_dependencies(
        [
            tf.raw_ops.CreateSummaryFileWriter(
                writer=writer, logdir=str(path), max_queue=1, flush_millis=1, filename_suffix="x"
            )
        ]
    ):
        step = tf.constant(1, tf.int64)
        return tf.raw_ops.WriteScalarSummary(writer=writer, step=step, tag="a", value=1.0)


def read_table(path):
    table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
    return tf.raw_ops.InitializeTableFromTextFileV2(
        table_handle=table, filename=str(path), key_index=-2, value_index=-1, vocab_size=1, delimiter=" ", offset=0
    )


def print_file(path):
    return tf.raw_ops.PrintV2(input="x", output_stream=f"file://{path}", end="\n")


ATTACKS = {"WriteFile": write_file, "SummaryWriter": write_summary, "HashTableV2": read_table, "PrintV2": print_file}


def saved(folder, attack):
    """A SavedModel whose signature attacks and then answers."""

    class Spy(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec(SHAPE)])
        def __call__(self, image):
            with tf.control_dependencies([attack()]):
                return {"scores": tf.nn.softmax(tf.reduce_mean(image, (1, 2))[:, :2])}

    spy = Spy()
    tf.saved_model.save(spy, str(folder), signatures={"serving_default": spy.__call__})
    (folder / "labels.txt").write_text("a\nb")
    return folder


def refused(folder, operator):
    with pytest.raises(ModelError, match=f"contains the operation {operator}") as caught:
        list(Classifier(folder).scores([PICTURE[0]]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("operator", ATTACKS)
def test_a_saved_model_that_touches_files_is_refused(tmp_path, canary, operator):
    folder = saved(tmp_path / "spy", lambda: ATTACKS[operator](canary))
    with pytest.raises(BackboneError, match=f"contains the operation {operator}"):
        saved_models.load(str(folder), str(folder))


def test_a_function_that_is_called_as_savers_are_is_checked_too(tmp_path, canary):
    from google.protobuf import text_format
    from tensorflow.core.protobuf import saved_model_pb2

    folder = saved(tmp_path / "spy", lambda: write_file(canary))
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    functions = model.meta_graphs[0].graph_def.library.function
    [inner] = [f.signature.name for f in functions if any(node.op == "WriteFile" for node in f.node_def)]
    for entry in [f for f in functions if "traced_save" in f.signature.name]:
        functions.remove(entry)
    text = text_format.MessageToString(model).replace(f'"{inner}"', '"__inference__traced_save_90"')
    renamed = text_format.Parse(text, saved_model_pb2.SavedModel())
    (folder / "saved_model.pb").write_bytes(renamed.SerializeToString())
    refused(folder, "WriteFile")


def test_what_a_model_does_when_it_is_loaded_is_checked_too(tmp_path, canary):
    class Table(tf.saved_model.experimental.TrackableResource):
        def _create_resource(self):
            return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=(), shared_name="r")

        @tf.function(input_signature=[])
        def _initialize(self):
            write_file(canary)

    class Spy(tf.Module):
        def __init__(self):
            super().__init__()
            self.table = Table()

        @tf.function(input_signature=[tf.TensorSpec(SHAPE)])
        def __call__(self, image):
            with tf.control_dependencies([tf.identity(self.table.resource_handle)]):
                return {"scores": tf.reduce_mean(image, (1, 2))[:, :2]}

    spy = Spy()
    tf.saved_model.save(spy, str(tmp_path / "spy"), signatures={"serving_default": spy.__call__})
    canary.unlink(missing_ok=True)
    with pytest.raises(BackboneError, match="contains the operation WriteFile"):
        saved_models.load(str(tmp_path / "spy"), "spy")


def old_model(folder, canary):
    """A SavedModel of TensorFlow 1: two variables, and an initializer that writes a file."""
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        image = v1.placeholder(tf.float32, SHAPE, name="image")
        old = v1.get_variable("old", initializer=np.float32([1, 2, 3]), use_resource=False)
        new = v1.get_variable("new", initializer=np.float32([5, 7, 9]), use_resource=True)
        scores = tf.identity(tf.reduce_mean(image, (1, 2)) * old + new, name="scores")
        hostile = v1.group(write_file(canary))
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.predict_signature_def({"image": image}, {"scores": scores})
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, main_op=hostile)
        builder.save()


def test_a_model_of_tensorflow_1_answers_and_its_initializers_do_not_run(tmp_path, canary):
    old_model(tmp_path / "old", canary)
    loaded = saved_models.load(str(tmp_path / "old"), "old")
    [scores] = loaded.signatures["serving_default"](image=tf.constant(PICTURE, tf.float32)).values()
    expected = PICTURE.astype(np.float64).mean((1, 2)) * [1, 2, 3] + [5, 7, 9]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["save/Assign", "saver_filename", "__inference__traced_restore_1", "node"])
def test_no_name_is_exempt(name):
    with tf.Graph().as_default() as graph:
        write_file("nowhere")
    definition = graph.as_graph_def()
    definition.node[-1].name = name
    with pytest.raises(BackboneError, match="contains the operation WriteFile"):
        allowed_operators.check_graph(definition, "it")


def test_what_reaches_out_is_not_among_the_allowed():
    # Names that TensorFlow itself registers, picked by what they say they do.
    words = (
        "File Dataset Reader Summary Save Restore Checkpoint PyFunc Rpc Send Recv Print Script Socket Iterator Table"
    )
    words = [*words.split(), "Queue", "Stage", "Barrier", "Decode", "Xla", "TPU", "Remote", "Collective", "Sql"]
    assert not [name for name in allowed_operators.ALLOWED if any(word in name for word in words)]
    # And each is one that TensorFlow has, so that no spelling is there in vain.
    from tensorflow.python.framework import op_def_registry

    unknown = {name for name in allowed_operators.ALLOWED if op_def_registry.get(name) is None}
    assert not unknown


def keras_file(path, entry):
    layers = [{"class_name": "InputLayer", "module": "keras.layers", "config": {"batch_shape": list(SHAPE)}}, entry]
    config = {"class_name": "Sequential", "module": "keras", "config": {"layers": layers}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", "{}")
    return path


@pytest.mark.parametrize(
    ("module", "name", "config"),
    [
        ("keras.layers", "Lambda", {}),
        ("keras.layers", "TorchModuleWrapper", {}),
        ("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}),
        ("keras.layers", "TFSMLayer", {"filepath": "elsewhere"}),
        ("builtins", "function", "get_file"),
        ("keras.utils", "get_file", {}),
        ("os", "Dense", {}),
        ("keras", "__lambda__", {"value": "4wEAAAA="}),
    ],
)
def test_a_keras_file_builds_layers_of_images_and_nothing_else(tmp_path, module, name, config):
    dense = {"units": 2, "activation": {"class_name": name, "module": module, "config": config}}
    inner = {"class_name": "Dense", "module": "keras.layers", "config": dense}
    for entry in (inner, {"class_name": name, "module": module, "config": config}):
        with pytest.raises(BackboneError, match=f"names {name} of {module}"):
            keras_files.check(keras_file(tmp_path / "m.keras", entry))
