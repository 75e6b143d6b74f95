import h5py
import numpy as np
import pytest

from model_maker.backbones import BACKBONES, conversion, get, mobilenet
from model_maker.data import images
from model_maker.errors import BackboneError
from model_maker.tflite.interpreter import Runner

NAMES = [name for name, backbone in BACKBONES.items() if backbone.family is mobilenet]


# Keras tells of containers of layers in a file that it does not find in itself; their weights come by another path.
pytestmark = pytest.mark.filterwarnings("ignore:Skipping nested container")


@pytest.fixture(scope="module")
def keras():
    import keras

    return keras


def network(keras, backbone, *, top, image_size=None, weights=None):
    """The same network, made by Keras Applications without us."""
    variant, size = dict(backbone.variant), image_size or backbone.image_size
    kinds = {"v1": "MobileNet", "v2": "MobileNetV2", "v3_l": "MobileNetV3Large", "v3_s": "MobileNetV3Small"}
    make = getattr(keras.applications, kinds[variant["architecture"][:4]])
    more = {}
    if "v3" in variant["architecture"]:
        more = {"minimalistic": "minimalistic" in variant["architecture"], "include_preprocessing": False}
    return make(input_shape=(size, size, 3), alpha=variant["alpha"], weights=weights, include_top=top, **more)


def scatter(model):
    """Random weights under which activations keep their spread."""
    random = np.random.default_rng(0)
    for layer in model.layers:
        values = []
        for weight in layer.weights:
            shape = weight.shape
            if "kernel" in weight.path and len(shape) > 1:
                inputs = np.prod(shape[:2]) if "depthwise" in layer.__class__.__name__.lower() else np.prod(shape[:-1])
                values.append(random.normal(size=shape) * np.sqrt(2 / inputs))
            elif "variance" in weight.path or "gamma" in weight.path:
                values.append(random.uniform(0.8, 1.2, shape))
            else:
                values.append(random.normal(size=shape) * 0.1)
        layer.set_weights(values)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", NAMES)
def test_weights_parameters_and_macs_are_the_published_ones(keras, monkeypatch, name):
    # Keras Applications is asked for its published model; what it would fetch is noted.
    asked = []
    for module in ("mobilenet", "mobilenet_v2", "mobilenet_v3"):
        source = __import__(f"keras.src.applications.{module}", fromlist=["file_utils"])
        monkeypatch.setattr(source.file_utils, "get_file", lambda name, url, **_: asked.append(url))
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_: None)
    backbone = BACKBONES[name]
    model = network(keras, backbone, top=True, weights="imagenet")
    assert asked == [backbone.weights.url]
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    macs = 0
    for layer in model.layers:
        if "Conv2D" in type(layer).__name__ or type(layer).__name__ == "Dense":
            positions = int(np.prod(layer.output.shape[1:-1]))
            kernel = int(np.prod(layer.weights[0].shape))
            macs += positions * kernel
    # Published are 1001 classes, in two or three digits; V1 0.25 at 224 is published as 0.47 million of 0.464.
    assert trainable == pytest.approx(backbone.parameters, rel=0.025)
    assert macs == pytest.approx(backbone.macs, rel=0.03, abs=600_000)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["mobilenet_v1_0.25", "mobilenet_v2_0.35", "mobilenet_v3_small"])
def test_the_embedding_is_what_the_classifier_of_keras_sees(keras, tmp_path, name):
    backbone = get(name, image_size=96)
    theirs = network(keras, backbone, top=True, image_size=96)
    scatter(theirs)
    theirs.save_weights(tmp_path / "w.weights.h5")
    ours = backbone.build(tmp_path / "w.weights.h5")
    photo = np.random.default_rng(1).normal(size=(2, 96, 96, 3)).astype(np.float32)
    embedding = np.asarray(ours(photo, training=False))
    assert embedding.shape == (2, backbone.embedding_size)
    kernel, bias = mobilenet.classifier(tmp_path / "w.weights.h5")
    logits = embedding @ kernel.T + bias
    expected = np.asarray(theirs(photo, training=False))
    scores = np.exp(logits - logits.max(1, keepdims=True))
    scores /= scores.sum(1, keepdims=True)
    assert embedding.std() > 0.1 * np.abs(embedding).mean() and expected.max() > 2 / 1000
    np.testing.assert_allclose(scores, expected, rtol=2e-3, atol=1e-6)
    # One weight changed, and it is another network.
    layer = next(layer for layer in ours.layers if layer.weights)
    layer.set_weights([layer.get_weights()[0] * np.float32(1.05), *layer.get_weights()[1:]])
    assert np.abs(np.asarray(ours(photo, training=False)) - embedding).max() > 1e-3 * np.abs(embedding).max()


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["mobilenet_v3_small"])
def test_conversion_changes_nothing(keras, tmp_path, name):
    backbone = get(name, image_size=96)
    theirs = network(keras, backbone, top=True, image_size=96)
    scatter(theirs)
    theirs.save_weights(tmp_path / "w.weights.h5")
    ours = backbone.build(tmp_path / "w.weights.h5")
    photo = np.random.default_rng(1).normal(size=(1, 96, 96, 3)).astype(np.float32)
    expected = np.asarray(ours(photo, training=False))
    found = Runner(conversion.convert(ours)).run(photo)
    assert expected.std() > 0.1
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.tensorflow
def test_real_weights_know_imagenet(keras, shared_weights, shared_data):
    backbone, path = BACKBONES["mobilenet_v1_0.25"], shared_weights / "keras" / "mobilenet_0.25_224.weights.h5"
    model, (kernel, bias) = backbone.build(path), mobilenet.classifier(path)
    photos = sorted((shared_data / "imagenet_samples").glob("*.jpg"))
    pixels = np.stack([images.load(photo, 224) for photo in photos])
    logits = np.asarray(model(backbone.normalization(pixels), training=False)) @ kernel.T + bias
    right = sum(int(photo.name.split("_")[0]) == guess for photo, guess in zip(photos, logits.argmax(1), strict=True))
    # Published: 49.8 % top-1, so 18 of 36; below 10 has a chance of one in two hundred.
    assert 10 <= right <= 36


@pytest.mark.tensorflow
def test_weights_without_a_classifier_serve_training_only(keras, shared_weights):
    path = shared_weights / "keras" / "mobilenet_v2_0.35_224_no_top.weights.h5"
    model = BACKBONES["mobilenet_v2_0.35"].build(path)
    with h5py.File(path) as file:
        stem = file["layers/conv2d/vars/0"][()]
    np.testing.assert_array_equal(model.get_layer("Conv1").get_weights()[0], stem)
    with pytest.raises(BackboneError, match="holds no classifier of 1000 classes"):
        mobilenet.classifier(path)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["mobilenet_v1_0.25", "mobilenet_v3_small"])
def test_weights_of_another_network_are_refused(keras, shared_weights, name):
    path = shared_weights / "keras" / "mobilenet_v2_0.35_224_no_top.weights.h5"
    with pytest.raises(BackboneError, match="does not hold the weights of MobileNet") as caught:
        BACKBONES[name].build(path)
    assert "\n" not in str(caught.value)


@pytest.mark.tensorflow
@pytest.mark.parametrize("content", [b"text", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_no_hdf5_is_refused(keras, tmp_path, content):
    (tmp_path / "w.weights.h5").write_bytes(content)
    with pytest.raises(BackboneError, match="does not hold the weights"):
        BACKBONES["mobilenet_v1_0.25"].build(tmp_path / "w.weights.h5")
    with pytest.raises(BackboneError, match="cannot be read as HDF5"):
        mobilenet.classifier(tmp_path / "w.weights.h5")


def test_the_weights_of_the_nearest_published_size_are_used():
    for asked, published in ((96, 96), (100, 96), (150, 160), (224, 224), (300, 224)):
        backbone = get("mobilenet_v2_0.35", image_size=asked)
        assert backbone.image_size == asked
        assert backbone.weights.url.endswith(f"_0.35_{published}.h5")
    assert (get("mobilenet_v2", image_size=96).top1, get("mobilenet_v2", image_size=96).macs) == (60.3, 56_000_000)
