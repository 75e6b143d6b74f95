import h5py
import numpy as np
import pytest

from model_maker.backbones import BACKBONES, get, mobilenet
from model_maker.data import images
from model_maker.errors import BackboneError
from model_maker.tflite import graph
from model_maker.tflite.interpreter import LiteRTRunner

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
    # Published are 1001 classes, in two or three digits; for V1 0.25 at 224 it is 0.47 million (0.464).
    assert trainable == pytest.approx(backbone.parameters, rel=0.025)
    assert macs == pytest.approx(backbone.macs, rel=0.03, abs=600_000)


# One of each architecture, at the widths where rounding matters.
ARCHITECTURES = [
    "mobilenet_v1_0.25",
    "mobilenet_v1",
    "mobilenet_v2_0.35",
    "mobilenet_v2_1.4",
    "mobilenet_v3_small",
    "mobilenet_v3_small_minimalistic",
    "mobilenet_v3_large_0.75",
    "mobilenet_v3_large_minimalistic",
]


def embed(content, photos):
    runner = LiteRTRunner(content)
    return np.concatenate([runner.run(photo[None]) for photo in photos])


@pytest.mark.tensorflow
@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_embedding_is_what_the_classifier_of_keras_sees(keras, tmp_path, name, suffix):
    backbone = get(name, image_size=96)
    theirs = network(keras, backbone, top=True, image_size=96)
    scatter(theirs)
    path = tmp_path / f"w{suffix}"
    save_as_keras_2(theirs, path) if suffix == ".h5" else theirs.save_weights(path)
    # The classifier's input, whatever layers lie between it and the last feature map.
    last = next(layer for layer in reversed(theirs.layers) if layer.weights)
    features = keras.Model(theirs.input, last.input)
    photos = np.random.default_rng(1).normal(size=(2, 96, 96, 3)).astype(np.float32)
    expected = np.asarray(features(photos, training=False)).reshape(2, -1)
    ours = embed(backbone.build(path), photos)
    assert ours.shape == (2, backbone.embedding_size) and expected.std() > 0.1
    # Float32 sums in another order.
    assert np.abs(ours - expected).max() <= 1e-5 * np.abs(expected).max()
    kernel, bias = mobilenet.classifier(path)
    logits = ours @ kernel.T + bias
    scores = np.exp(logits - logits.max(1, keepdims=True))
    scores /= scores.sum(1, keepdims=True)
    # Random weights give logits of hundreds, so 1e-5 of one is some thousandths of a score.
    np.testing.assert_allclose(scores, np.asarray(theirs(photos, training=False)), rtol=1e-2, atol=1e-6)
    # One weight changed, and it is another network.
    first = next(layer for layer in theirs.layers if layer.weights)
    first.set_weights([first.get_weights()[0] * np.float32(1.05), *first.get_weights()[1:]])
    changed = np.asarray(features(photos, training=False)).reshape(2, -1)
    assert np.abs(ours - changed).max() > 1e-3 * np.abs(expected).max()


def save_as_keras_2(model, path):
    """The layout of Keras 2, in which Keras Applications publishes: layers by name, in the order of the network."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group, names = file.create_group(layer.name), []
            for number, array in enumerate(layer.get_weights()):
                names.append(f"{layer.name}/weight_{number}:0".encode())
                group[names[-1].decode()] = array
            group.attrs["weight_names"] = names


def test_real_weights_know_imagenet(shared_weights, shared_data):
    backbone, path = BACKBONES["mobilenet_v1_0.25"], shared_weights / "keras" / "mobilenet_0.25_224.weights.h5"
    kernel, bias = mobilenet.classifier(path)
    photos = sorted((shared_data / "imagenet_samples").glob("*.jpg"))
    pixels = np.stack([images.load(photo, 224) for photo in photos])
    logits = embed(backbone.build(path), backbone.normalization(pixels)) @ kernel.T + bias
    right = sum(int(photo.name.split("_")[0]) == guess for photo, guess in zip(photos, logits.argmax(1), strict=True))
    # Published: 49.8 % top-1, so 18 of 36; below 10 has a chance of one in two hundred.
    assert 10 <= right <= 36


def test_weights_without_a_classifier_serve_training_only(shared_weights):
    path = shared_weights / "keras" / "mobilenet_v2_0.35_224_no_top.weights.h5"
    model = graph.parse(BACKBONES["mobilenet_v2_0.35"].build(path))
    with h5py.File(path) as file:
        stem = file["layers/conv2d/vars/0"][()]
        gamma, _, _, variance = (file[f"layers/batch_normalization/vars/{number}"][()] for number in range(4))
    found = graph.constant(model, model.subgraphs[0].tensors[graph.find_tensor(model, "Conv1_kernel")])
    # The batch normalization behind it is folded in.
    np.testing.assert_allclose(found.transpose(1, 2, 3, 0), stem * gamma / np.sqrt(variance + 1e-3), rtol=1e-5)
    with pytest.raises(BackboneError, match="holds no classifier of 1000 classes"):
        mobilenet.classifier(path)


@pytest.mark.parametrize("name", ["mobilenet_v1_0.25", "mobilenet_v3_small"])
def test_weights_of_another_network_are_refused(shared_weights, name):
    path = shared_weights / "keras" / "mobilenet_v2_0.35_224_no_top.weights.h5"
    with pytest.raises(BackboneError, match="does not hold the weights of MobileNet") as caught:
        BACKBONES[name].build(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"text", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_no_hdf5_is_refused(tmp_path, content):
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
