import numpy as np
import pytest
from heard import Heard
from PIL import Image
from tiny_network import TinyNetwork

from model_maker.backbones import embedder, importers
from model_maker.errors import BackboneError
from model_maker.normalization import Normalization
from model_maker.system import limited_process
from model_maker.tflite import metadata
from model_maker.tflite.interpreter import LiteRTRunner

KERNEL = np.random.default_rng(0).normal(size=(6, 3, 3, 3)).astype(np.float32)
CENTRED = "127.5,127.5"


@pytest.fixture
def classifier(tmp_path):
    """A float classifier of four classes without metadata."""
    path = tmp_path / "theirs.tflite"
    head = np.random.default_rng(1).normal(size=(4, 6))
    path.write_bytes(TinyNetwork().conv(KERNEL).mean().dense(head).softmax().content())
    return path


def imported(path, **options):
    heard = Heard()
    made = embedder.embedder(embedder.choose(str(path), **options), progress=heard)
    return made, heard.notes


def test_a_classifier_becomes_an_embedder(classifier, empty_cache):
    made, notes = imported(classifier, normalization=CENTRED)
    assert (made.name, made.image_size, made.licence) == ("theirs", 8, "")
    assert made.normalization == Normalization(127.5, 127.5)
    image = np.random.default_rng(2).normal(size=(1, 8, 8, 3)).astype(np.float32)
    padded = np.pad(image[0], ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    expected = np.einsum("yxchw,ohwc->o", windows, KERNEL) / 64
    np.testing.assert_allclose(LiteRTRunner(made.content).run(image)[0], expected, atol=1e-5)
    [note] = notes
    assert (
        note == "theirs: cut before its classifier of 4 classes, 6 features, input (pixel - 127.5) / 127.5, as stated."
    )


def test_what_is_known_of_a_model_is_kept_in_the_cache(classifier, empty_cache, monkeypatch):
    first, _ = imported(classifier, normalization=CENTRED)

    def never(*_, **__):
        raise AssertionError("it is in the cache")

    monkeypatch.setattr(limited_process, "run", never)
    second, _ = imported(classifier, normalization=CENTRED)
    assert second == first
    # Another normalization or another content under the same name is another backbone.
    with pytest.raises(AssertionError):
        imported(classifier, normalization="0,255")
    classifier.write_bytes(classifier.read_bytes() + b"\0")
    with pytest.raises(AssertionError):
        imported(classifier, normalization=CENTRED)


def test_metadata_states_normalization_and_licence(tmp_path, empty_cache):
    content = TinyNetwork().conv(KERNEL).mean().dense(np.ones((2, 6))).softmax().content()
    info = metadata.ModelInfo(("a", "b"), Normalization(120, 60), name="theirs", licence="CC0")
    (tmp_path / "told.tflite").write_bytes(metadata.write(content, info))
    made, _ = imported(tmp_path / "told.tflite")
    assert (made.normalization, made.licence) == (Normalization(120, 60), "CC0")


def test_our_own_int8_model_is_a_backbone_too(tmp_path, make_tiny_model, empty_cache):
    (tmp_path / "ours.tflite").write_bytes(make_tiny_model("int8", "uint8"))
    made, notes = imported(tmp_path / "ours.tflite")
    assert made.normalization == Normalization(127, 128)
    assert LiteRTRunner(made.content).output_shape == (1, 16)
    assert "from the input's quantization" in notes[0]


# By file: normalization, size, features, classes; read off the files' metadata and quantization with another tool.
PUBLISHED = {
    "automl_labeler_model": (128, 127, 224, 1280, 5),
    "mobilenet_v1_0.25_128_quant": (128, 128, 128, 256, 1001),
    "mobilenet_v1_0.25_224_1_metadata_1": (127.5, 127.5, 224, 256, 1001),
    "mobilenet_v1_0.25_224_float": (127.5, 127.5, 224, 256, 1001),
    "mobilenet_v1_1.0_224_quant_embedding_extractor": (128, 128, 224, 1024, 0),
    "mobilenet_v2_035_96_embedder_with_metadata": (127.5, 127.5, 96, 1280, 0),
    "mobilenet_v2_1.0_224_quant": (128, 128, 224, 1280, 1001),
    "tf2_mobilenet_v2_1.0_224_ptq": (127, 127.5, 224, 1280, 1001),
    "tflite_support_mobilenet_v2_1.0_224_quant": (128, 128, 224, 1280, 1001),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_are_backbones(shared_weights, shared_data, name):
    mean, std, size, features, classes = PUBLISHED[name]
    # One of them is float and says nothing of its input.
    told = CENTRED if name == "mobilenet_v1_0.25_224_float" else None
    path = shared_weights / "tflite" / f"{name}.tflite"
    made, [note] = imported(path, normalization=told)
    # Scales are float32: 0.0078125 and 0.007874016 are 1 / 128 and 1 / 127.
    assert (made.normalization.mean, made.normalization.std) == (mean, pytest.approx(std, rel=1e-4))
    assert (made.image_size, f"{features} features" in note) == (size, True)
    assert (f"classifier of {classes} classes" in note) == bool(classes)

    def embed(photo):
        picture = Image.open(shared_data / "photos" / photo).convert("RGB").resize((size, size), Image.BILINEAR)
        [vector] = LiteRTRunner(made.content).run(made.normalization(np.asarray(picture)[None]))
        return vector / np.linalg.norm(vector)

    parrot, cat, cats = embed("parrot.jpg"), embed("cat_720p.jpg"), embed("cats_and_dogs.jpg")
    # What is wrongly scaled or cut sees all pictures alike; a network that learned flowers knows no cats.
    assert cat @ parrot < 0.9
    assert cat @ cats > cat @ parrot or name == "automl_labeler_model"


def test_float_input_without_a_word_is_asked_for(classifier, empty_cache):
    with pytest.raises(
        BackboneError, match=r"theirs.tflite cannot be a backbone. It takes float input .*`normalization=MEAN,STD`"
    ):
        imported(classifier)
    assert not list(empty_cache.rglob("*.tflite"))


def bad_files():
    content = TinyNetwork().conv(KERNEL).mean().content()
    yield "text", b"this is not a model", "TFL3"
    yield "nothing", b"", "TFL3"
    yield "truncated", content[: len(content) // 2], "damaged"
    yield "no pooling", TinyNetwork().conv(KERNEL).content(), "no global pooling"
    gray = TinyNetwork().conv(KERNEL).mean()
    gray.main.tensors[0].shape = [1, 8, 8, 1]
    yield "gray", gray.content(), r"\[1, 8, 8, 1\]"
    yield "dead", TinyNetwork().conv(0 * KERNEL).mean().content(), "not finite, varied numbers"
    yield "endless", TinyNetwork().conv(np.inf * KERNEL).mean().content(), "not finite, varied numbers"


@pytest.mark.parametrize(("content", "says"), [bad[1:] for bad in bad_files()], ids=[bad[0] for bad in bad_files()])
def test_bad_files_are_refused_in_one_line(tmp_path, empty_cache, content, says):
    path = tmp_path / "bad.tflite"
    path.write_bytes(content)
    with pytest.raises(BackboneError, match=says) as caught:
        imported(path, normalization=CENTRED)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert not list(empty_cache.rglob("*.tflite"))


def test_a_file_that_takes_for_ever_is_given_up(classifier, empty_cache, monkeypatch):
    monkeypatch.setattr(importers, "LIMIT_S", 0.01)
    with pytest.raises(BackboneError, match="could not be opened within"):
        imported(classifier, normalization=CENTRED)


def test_another_size_than_the_files_own_is_refused(classifier, empty_cache):
    with pytest.raises(BackboneError, match="takes 8 pixels, not 16"):
        imported(classifier, normalization=CENTRED, image_size=16)


@pytest.mark.parametrize("name", ["missing.tflite", "folder/missing", "setup.cfg", "tests"])
def test_what_is_no_model_is_refused_before_any_work(name):
    with pytest.raises(BackboneError) as caught:
        embedder.choose(name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_options_that_do_not_fit_are_refused(classifier):
    with pytest.raises(BackboneError, match="`weights` belongs to"):
        embedder.choose(str(classifier), weights_file="weights.h5")
    with pytest.raises(BackboneError, match="`normalization` is for imported models"):
        embedder.choose("efficientnet_lite0", normalization=CENTRED)
