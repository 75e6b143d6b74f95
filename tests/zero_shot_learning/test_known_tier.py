"""Labels with published kernels: which they get, and the file that ships with them."""

import json

import numpy as np
import pytest

import model_maker
from model_maker import Classifier
from model_maker.backbones import BACKBONES
from model_maker.data import calibration_pictures, imagenet, images, wordnet
from model_maker.errors import BackboneError, DataError, OutputError
from model_maker.progress import Progress
from model_maker.tflite import graph, inspection, metadata, network_layers
from model_maker.tflite.interpreter import LiteRTRunner
from model_maker.zero_shot_learning import head, int8_model, known
from model_maker.zero_shot_learning.phone_file import zero_shot_file

LABELS = ["cat", "dogs", "broccoli", "minibus"]


@pytest.fixture(scope="module")
def made(lite0):
    return int8_model.build(LABELS, model="efficientnet_lite0", progress=Progress())


def test_a_label_gets_the_mean_kernel_of_the_classes_of_its_kind(lite0, made):
    kernel, bias = BACKBONES["efficientnet_lite0"].classifier()
    classes = [[281, 282, 283, 284, 285, 286, 287], list(range(151, 269)), [937], [654]]  # cats to cougar and lynx
    rows = np.array([kernel[some].mean(axis=0) for some in classes])
    np.testing.assert_allclose(made.head.kernel, rows - rows.mean(axis=0), atol=1e-6)
    level = np.array([bias[some].mean() for some in classes])
    np.testing.assert_allclose(made.head.bias, level - level.mean(), atol=1e-6)


def test_all_of_imagenet_is_the_published_classifier():
    published = head.published("efficientnet_lite0")
    labels = tuple(f"{index}" for index in range(3))
    found = head.centered(labels, published.kernel[:3], published.bias[:3], tier="known", meanings=labels, source="")
    # A softmax does not change when the same is added to all of its logits.
    feature = np.random.default_rng(0).random(1280)
    expected = np.exp(published.kernel[:3] @ feature + published.bias[:3])
    logits = np.exp(found.kernel @ feature + found.bias)
    np.testing.assert_allclose(logits / logits.sum(), expected / expected.sum(), rtol=1e-4)


def test_the_file_scores_as_its_integer_head_within_one_step(made, int8_lite0):
    classifier = Classifier(made.file())
    pictures = list(calibration_pictures.pictures(4))
    embedder = network_layers.select(int8_lite0.content, int8_lite0.layers[-1:])
    mean, std = int8_lite0.normalization.mean, int8_lite0.normalization.std
    runner = LiteRTRunner(graph.set_io(embedder, "uint8", mean=mean, std=std, output_io="int8"))
    features = np.concatenate([runner.run_all(images.load(picture, 224)[None])[0] for picture in pictures])
    expected = made.integers.scores(features)
    found = np.stack(list(classifier.scores(pictures)))
    assert np.abs(found - expected).max() <= 1 / 256


def test_the_file_is_int8_and_says_which_tier_made_it(made):
    content = made.file()
    facts, info = inspection.inspect(content), metadata.read(content)
    assert facts.quantization == "int8" and facts.float_operators == () and len(content) <= 4_100_000
    assert [(tensor.shape, tensor.dtype) for tensor in (*facts.inputs, *facts.outputs)] == [
        ((1, 224, 224, 3), "uint8"),
        ((1, 4), "uint8"),
    ]
    assert info.labels == tuple(LABELS) and info.licence == "Apache-2.0"
    stated = info.provenance["zero_shot"]
    assert (stated["tier"], stated["source"], stated["backbone"]) == ("known", "WordNet 3.0", "efficientnet_lite0")
    assert "118 ImageNet classes" in stated["labels"]["dogs"]
    assert "Tier: known" in info.description


def test_photos_of_imagenet_are_told_apart_by_their_names(lite0, shared_data):
    photos = sorted((shared_data / "imagenet_samples").glob("*.jpg"))
    names = [photo.stem.split("_", 2)[2].replace("_", " ") for photo in photos]
    model = int8_model.build(names, model="efficientnet_lite0", progress=Progress())
    right = {}
    for kind, content in (("int8", model.file()), ("float", model.float_file())):
        answers = Classifier(content).predict(photos, top_k=1)
        right[kind] = sum(row[0].index == index for index, row in enumerate(answers))
    # Published top-1 among all 1000 classes is 75.1 %, 27 of 36; among 36 names it has to be better.
    assert right["float"] >= 30 and right["int8"] >= 30 and right["int8"] >= right["float"] - 1


def test_rounding_moves_no_score_far(lite0, shared_data):
    photos = sorted((shared_data / "imagenet_samples").glob("*.jpg"))
    names = [photo.stem.split("_", 2)[2].replace("_", " ") for photo in photos]
    model = int8_model.build(names, model="efficientnet_lite0", progress=Progress())
    floats = np.stack(list(Classifier(model.float_file()).scores(photos)))
    integers = np.stack(list(Classifier(model.file()).scores(photos)))
    # Logits that are cut off at the top of int8, as those of a range from drawn pictures are, move scores by 0.7.
    assert np.abs(integers - floats).mean() < 0.01 and np.abs(integers - floats).max() < 0.35


def test_unknown_labels_are_refused_with_the_nearest_names():
    with pytest.raises(DataError, match=r"daissy \(nearest: daisy") as caught:
        int8_model.build(["cat", "daissy"], model="efficientnet_lite0", progress=Progress())
    assert "tier=words" in str(caught.value) and "\n" not in str(caught.value)


def test_a_thousand_unknown_labels_are_one_line():
    names = [f"thing {number}" for number in range(1000)]
    with pytest.raises(DataError, match="and 997 more") as caught:
        int8_model.build(names, model="efficientnet_lite0", progress=Progress())
    assert len(str(caught.value)) < 800


def test_a_thousand_known_labels_make_a_file(lite0):
    model = int8_model.build(imagenet.labels(), model="efficientnet_lite0", progress=Progress())
    assert metadata.read(model.file()).labels == imagenet.labels()
    kernel, _ = BACKBONES["efficientnet_lite0"].classifier()
    skunk, polecat = imagenet.labels().index("skunk"), imagenet.labels().index("polecat")
    # A skunk is the most common polecat, but not beside a skunk.
    difference = model.head.kernel[polecat] - model.head.kernel[skunk]
    np.testing.assert_allclose(difference, kernel[polecat] - kernel[skunk], atol=1e-6)


def test_two_words_for_one_thing_are_refused(lite0):
    with pytest.raises(DataError, match="cat and true cat mean the same"):
        int8_model.build(["cat", "true cat"], model="efficientnet_lite0", progress=Progress())


def test_models_without_published_kernels_are_refused(shared_weights, empty_cache):
    with pytest.raises(BackboneError, match="imported model without published kernels"):
        int8_model.build(
            LABELS, model=str(shared_weights / "tflite/mobilenet_v1_0.25_224_float.tflite"), progress=Progress()
        )
    weights = str(shared_weights / "keras/mobilenet_v2_0.35_224_no_top.weights.h5")
    with pytest.raises(BackboneError, match="holds no classifier"):
        int8_model.build(LABELS, model="mobilenet_v2_0.35", weights=weights, progress=Progress())


def test_a_backbone_without_a_packaged_recipe_works_too(shared_weights):
    weights = str(shared_weights / "keras/mobilenet_0.25_224.weights.h5")
    model = int8_model.build(LABELS, model="mobilenet_v1_0.25", weights=weights, progress=Progress())
    assert inspection.inspect(model.file()).quantization == "int8"


def test_the_folder_says_what_is_not_known_of_its_accuracy(lite0, tmp_path):
    made = zero_shot_file(LABELS, tmp_path / "model")
    assert sorted(path.name for path in made.directory.iterdir()) == [
        "README.md",
        "float.tflite",
        "labels.txt",
        "model.tflite",
    ]
    card = (made.directory / "README.md").read_text(encoding="utf-8")
    assert "known (WordNet 3.0)" in card and "not measured: pass `--data DIR`" in card
    assert made.metrics is None and made.as_dict()["accuracy"].startswith("not measured")
    assert Classifier(made.directory).labels == tuple(LABELS)


def test_photos_measure_it(lite0, tmp_path, shared_data):
    for name, photo in (("broccoli", "0937_n07714990_broccoli"), ("minibus", "0654_n03769881_minibus")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        content = (shared_data / "imagenet_samples" / f"{photo}.jpg").read_bytes()
        (tmp_path / "photos" / name / "one.jpg").write_bytes(content)
    made = zero_shot_file(LABELS, tmp_path / "model", data=tmp_path / "photos")
    assert (made.metrics.photos, made.metrics.top1) == (2, 1.0)
    assert json.loads((made.directory / "metrics.json").read_text())["test"]["photos"] == 2
    assert (made.directory / "report.html").exists()
    assert "top-1 on 2 photos | 100.0 %" in (made.directory / "README.md").read_text()
    assert metadata.read((made.directory / "model.tflite").read_bytes()).provenance["metrics"]["photos"] == 2


def test_photos_of_other_classes_leave_nothing_behind(lite0, tmp_path, drawn_flowers):
    with pytest.raises(DataError, match="does not know"):
        zero_shot_file(LABELS, tmp_path / "model", data=drawn_flowers)
    assert not (tmp_path / "model").exists()


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"")
    with pytest.raises(OutputError):
        zero_shot_file(LABELS, tmp_path / "photos", overwrite=True)


def test_equal_input_gives_equal_bytes(made):
    again = int8_model.build(LABELS, model="efficientnet_lite0", progress=Progress())
    assert again.file() == made.file()


def test_answers_have_the_shape_of_a_pipeline(lite0, shared_data):
    cat, parrot = shared_data / "photos" / "cat_720p.jpg", shared_data / "photos" / "parrot.jpg"
    one = model_maker.zero_shot(cat, candidate_labels=["dog", "cat", "broccoli"])
    assert [set(answer) for answer in one] == [{"label", "score"}] * 3
    assert one[0]["label"] == "cat" and one == sorted(one, key=lambda answer: -answer["score"])
    # Three scores in steps of 1 / 256.
    assert sum(answer["score"] for answer in one) == pytest.approx(1, abs=3 / 256)
    both = model_maker.zero_shot([cat, parrot], candidate_labels="bird,cat")
    assert [answers[0]["label"] for answers in both] == ["cat", "bird"]


def test_a_template_without_a_place_for_the_label_is_refused():
    with pytest.raises(DataError, match="one {} for the label"):
        model_maker.zero_shot("photo.jpg", ["cat", "dog"], hypothesis_template="a photo")


def test_the_tier_is_told(lite0, shared_data):
    progress = Progress()
    model_maker.zero_shot(shared_data / "photos" / "cat_720p.jpg", ["cat", "dog"], progress=progress)
    assert "The tier known answers (WordNet 3.0)." in progress.notes


def test_known_describes_rare_meanings():
    assert "not the most common meaning of file" in known.describe("file", wordnet.find("file"))
    assert "carpenter's plane" in known.describe("plane", wordnet.find("plane"))


def test_a_backbone_of_more_classes_knows_their_names():
    model, classes = "mobilenetv3_large_100.miil_in21k", 11221
    assert head.classes_of(model) == classes and head.classes_of("efficientnet_lite0") == 1000
    kernel = np.arange(classes * 2, dtype=np.float32).reshape(classes, 2)
    published = head.PublishedHead(BACKBONES[model], kernel, np.zeros(classes, np.float32))
    found = known.fit(("peonies", "crown daisy"), published)
    rows = [imagenet.labels(classes).index(name) for name in ("peony", "crown daisy")]
    np.testing.assert_allclose(found.kernel, kernel[rows] - kernel[rows].mean(axis=0))
    assert found.meanings[0] == "ImageNet's class peony"
    with pytest.raises(DataError, match="gryphon.*the classes of ImageNet-21K"):
        known.fit(("peony", "gryphon"), published)
