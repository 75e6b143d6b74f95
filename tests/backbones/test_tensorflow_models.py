import hashlib
import io
import json
import tarfile

import numpy as np
import pytest
from heard import Heard
from loopback_files import serve

from model_maker import Classifier
from model_maker.backbones import embedder, tensorflow_models
from model_maker.errors import BackboneError, ModelError
from model_maker.normalization import Normalization
from model_maker.tflite.interpreter import LiteRTRunner

PICTURE = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), np.uint8)
STATED = "127.5,127.5"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """{kind: (path, features of PICTURE as TensorFlow computes them)}: a small network saved in every form."""
    import keras
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("tensorflow")
    keras.utils.set_random_seed(0)
    photo = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(photo)
    x = keras.layers.RandomFlip()(x)
    x = keras.layers.Conv2D(8, 3, activation="relu")(x)
    features = keras.layers.GlobalAveragePooling2D()(x)
    scores = keras.layers.Dense(4, activation="softmax")(keras.layers.Dropout(0.5)(features))
    classifier, whole = keras.Model(photo, scores), keras.Model(photo, features)
    expected = np.asarray(whole(PICTURE.astype(np.float32), training=False))
    classifier.save(folder / "network.keras")
    classifier.save(folder / "network.h5")

    class FeatureVector(tf.Module):
        """As TF Hub's: called with pictures from 0 to 1, of any size."""

        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(np.random.default_rng(1).normal(size=(3, 3, 3, 8)).astype(np.float32))

        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3))])
        def __call__(self, image):
            return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(image, self.kernel, 1, "SAME")), (1, 2))

    vector = FeatureVector()
    tf.saved_model.save(vector, folder / "feature_vector")
    spec = tf.TensorSpec((None, 16, 16, 3))
    network = tf.Module()
    network.variables_of = classifier.variables
    signature = tf.function(lambda image: {"logits": classifier(image, training=False)}, input_signature=[spec])
    tf.saved_model.save(network, folder / "classifier", signatures=signature)
    unit = np.asarray(vector(PICTURE.astype(np.float32) / 255))
    return {
        "keras": (folder / "network.keras", expected),
        "h5": (folder / "network.h5", expected),
        "feature_vector": (folder / "feature_vector", unit),
        "classifier": (folder / "classifier", expected),
    }


def features(model, **options):
    heard = Heard()
    base = embedder.embedder(embedder.choose(str(model), **options), progress=heard)
    return LiteRTRunner(base.content).run(base.normalization(PICTURE)), base, heard.notes


@pytest.mark.tensorflow
@pytest.mark.parametrize("form", ["keras", "h5", "classifier"])
def test_a_classifier_gives_the_features_before_its_classifier(made, form):
    path, expected = made[form]
    # Keras' Rescaling inside tells that the network takes raw pixels; a SavedModel has no such layer to show.
    found, base, notes = features(path, normalization="0,1" if form == "classifier" else None)
    assert base.normalization == Normalization(0, 1) and base.image_size == 16
    assert "cut before its classifier of 4 classes, 8 features" in notes[-1]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.tensorflow
def test_a_feature_vector_of_any_size_is_told_which(made):
    path, expected = made["feature_vector"]
    with pytest.raises(BackboneError, match="images of any size. Choose one with `image_size`"):
        features(path, normalization="0,255")
    found, base, _ = features(path, normalization="0,255", image_size=16)
    assert base.image_size == 16
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.fixture
def hub(made, monkeypatch, empty_cache):
    """A server that hands out the feature vector as TF Hub does."""
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(made["feature_vector"][0], ".")
    with serve() as server:
        server.files["/google/vector/1?tf-hub-format=compressed"] = packed.getvalue()
        yield server


@pytest.mark.tensorflow
def test_a_hub_address_is_fetched_once(made, hub):
    address = f"{hub.address}/google/vector/1"
    # Without another word, pictures of TF Hub go from 0 to 1.
    found, base, notes = features(address, image_size=16)
    assert base.normalization == Normalization(0, 255)
    np.testing.assert_allclose(found, made["feature_vector"][1], atol=1e-4)
    assert notes[0] == f"Downloading {address} through tensorflow-hub."
    requests = len(hub.requests)
    features(address, image_size=16)
    assert len(hub.requests) == requests


@pytest.mark.tensorflow
def test_an_archive_that_leaves_its_folder_is_refused(hub, empty_cache):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("../../../escaped")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"evil"))
    hub.files["/google/evil/1?tf-hub-format=compressed"] = packed.getvalue()
    with pytest.raises(BackboneError, match="evil") as caught:
        features(f"{hub.address}/google/evil/1", image_size=16)
    assert "\n" not in str(caught.value)
    assert not list(empty_cache.parent.rglob("escaped"))


@pytest.mark.tensorflow
def test_without_a_network_the_address_and_the_way_out_are_named(empty_cache, monkeypatch):
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    with pytest.raises(BackboneError, match="cannot be reached") as caught:
        features("http://127.0.0.1:1/google/vector/1")
    assert "TFHUB_CACHE_DIR" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.tensorflow
def test_the_users_own_hub_cache_is_honoured(monkeypatch, tmp_path):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    assert tensorflow_models.hub_cache() == str(tmp_path)
    monkeypatch.setattr(tensorflow_models.downloads, "reachable", lambda _: False)
    address = "https://example.invalid/google/vector/1"
    (tmp_path / hashlib.sha1(address.encode()).hexdigest()).mkdir()
    # It is in the cache, so nobody asks for a network; that the folder is empty is found out in the child.
    with pytest.raises(BackboneError) as caught:
        tensorflow_models.convert(address, 16)
    assert "cannot be reached" not in str(caught.value)


def test_weights_without_a_network_are_told_from_models(tmp_path):
    (tmp_path / "network.weights.h5").write_bytes(b"")
    with pytest.raises(BackboneError, match="holds weights without a network. Pass it as `weights`"):
        embedder.choose(str(tmp_path / "network.weights.h5"))


@pytest.mark.tensorflow
def test_python_code_in_a_model_is_not_run(tmp_path, made):
    import keras

    trap = tmp_path / "trap"
    for name in ("lambda.keras", "lambda.h5"):
        model = keras.Sequential([
            keras.Input((16, 16, 3)),
            keras.layers.Lambda(lambda x, place=str(trap): (open(place, "w").close(), x)[1]),
            keras.layers.GlobalAveragePooling2D(),
        ])  # fmt: skip
        model.save(tmp_path / name)
        trap.unlink(missing_ok=True)
        with pytest.raises(BackboneError, match="Lambda") as caught:
            features(tmp_path / name, normalization=STATED)
        assert "\n" not in str(caught.value)
        assert not trap.exists()


@pytest.mark.tensorflow
def test_a_graph_that_touches_files_is_not_run(tmp_path, made):
    import tensorflow as tf

    class Spy(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 16, 16, 3))])
        def __call__(self, image):
            tf.io.write_file(str(tmp_path / "trap"), "x")
            return tf.reduce_mean(image, (1, 2))

    spy = Spy()
    tf.saved_model.save(spy, tmp_path / "spy")
    with pytest.raises(BackboneError, match="contains the operation WriteFile"):
        features(tmp_path / "spy", normalization=STATED)
    assert not (tmp_path / "trap").exists()


def _web_model(folder, graph, *, paths=("weights.bin",)):
    """Writes a TensorFlow.js graph of one input and one output of its name, with one weight."""
    from google.protobuf import json_format

    ends = {kind: {name: {"name": f"{name}:0"}} for kind, name in (("inputs", "image"), ("outputs", "scores"))}
    manifest = [{"paths": list(paths), "weights": [{"name": "name", "shape": [], "dtype": "float32"}]}]
    content = {
        "format": "graph-model",
        "modelTopology": json_format.MessageToDict(graph.as_graph_def()),
        "signature": ends,
        "weightsManifest": manifest,
    }
    folder.mkdir()
    (folder / "model.json").write_text(json.dumps(content))
    (folder / "weights.bin").write_bytes(bytes(4))
    (folder / "labels.txt").write_text("a\nb")


@pytest.mark.tensorflow
def test_a_web_graph_that_touches_files_is_not_run(tmp_path):
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, (1, 16, 16, 3), name="image")
        trap = tf.io.write_file(str(tmp_path / "trap"), "x")
        with tf.control_dependencies([trap]):
            tf.identity(tf.reduce_mean(image, (1, 2))[:, :2], name="scores")
    _web_model(tmp_path / "spy", graph)
    with pytest.raises(ModelError, match="contains the operation WriteFile"):
        Classifier(tmp_path / "spy/model.json")
    assert not (tmp_path / "trap").exists()


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["../secret.bin", "/dev/zero", "none.bin"])
def test_weights_of_a_web_graph_lie_beside_it(tmp_path, name):
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, (1, 16, 16, 3), name="image")
        tf.identity(tf.reduce_mean(image, (1, 2))[:, :2], name="scores")
    (tmp_path / "secret.bin").write_bytes(bytes(4))
    _web_model(tmp_path / "web", graph, paths=[name])
    with pytest.raises(ModelError, match="not a file in that folder"):
        Classifier(tmp_path / "web/model.json")


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["text.keras", "text.h5", "folder/saved_model.pb"])
def test_what_is_no_model_is_refused_in_one_line(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / name).write_bytes(b"this is not a model")
    path = tmp_path / name.split("/saved")[0]
    with pytest.raises(BackboneError, match="cannot be opened as a TensorFlow model") as caught:
        features(path, normalization=STATED)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.tensorflow
def test_a_model_that_takes_for_ever_is_given_up(made, monkeypatch, empty_cache):
    monkeypatch.setattr(tensorflow_models, "LIMIT_S", 0.01)
    with pytest.raises(BackboneError, match="could not be opened within"):
        features(made["keras"][0])


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("x.keras", "keras"),
        ("x.h5", "keras"),
        ("https://tfhub.dev/google/x/1", "hub"),
        ("google/mobilenet-v2/tensorFlow2/100-224-feature-vector/1", "hub"),
        ("photos/model.tflite", None),
        ("./a/b/c/d", None),
        ("efficientnet_lite0", None),
    ],
)
def test_addresses_are_told_apart(address, expected):
    assert tensorflow_models.kind(address) == expected
