from dataclasses import replace

import numpy as np
import pytest
from litert_quantizer import qtyping, recipe, recipe_manager
from litert_quantizer.algorithm_manager import AlgorithmName

from model_maker import Classifier
from model_maker.data.sources import read
from model_maker.errors import ModelError
from model_maker.packaging import file_checks
from model_maker.tflite import graph, metadata, quantize, zip_files
from model_maker.tflite.metadata import Normalization


@pytest.fixture(scope="module")
def photos(make_photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    make_photos(folder, {"a": 25, "b": 25, "ü": 25}, side=8)
    return read(folder)


@pytest.fixture(scope="module")
def model(make_tiny_model):
    return make_tiny_model("int8", "uint8")


@pytest.fixture(scope="module")
def scores(model, photos):
    return Classifier(model).score(photos)


@pytest.mark.parametrize("io", graph.IO_TYPES)
def test_an_int8_model_passes_and_not_with_an_operator_in_float(make_tiny_model, io):
    file_checks.check_integers(make_tiny_model("int8", io))
    with pytest.raises(ModelError, match=r"still has \d float operators: .*CONV_2D"):
        file_checks.check_integers(make_tiny_model("int8", io, kept={"features": "float"}))


@pytest.mark.parametrize("io", graph.IO_TYPES)
def test_an_int16_model_passes_as_such_and_not_for_int8(make_tiny_model, io):
    file_checks.check_integers(make_tiny_model("int16x8", io), "int16x8")
    with pytest.raises(ModelError, match="int8 model still has 6 int16 operators: .*CONV_2D"):
        file_checks.check_integers(make_tiny_model("int16x8", io))


@pytest.mark.parametrize("kind", ["int4", "dynamic", "float16", "none"])
def test_other_formats_do_not_pass_for_int8(make_tiny_model, kind):
    with pytest.raises(ModelError, match=r"still has \d float operators: .*Use `quantize='dynamic'`") as caught:
        file_checks.check_integers(make_tiny_model(kind, "uint8"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("operation", "named"),
    [("CONV_2D", "CONV_2D (features"), ("MEAN", "MEAN (embedding"), ("FULLY_CONNECTED", "FULLY_CONNECTED (logits")],
)
def test_a_planted_float_operator_is_caught_and_named(float_classifier, calibrated, monkeypatch, operation, named):
    planted = recipe_manager.RecipeManager()
    planted.load_quantization_recipe(recipe.static_wi8_ai8())
    planted.add_quantization_config(".*", qtyping.TFLOperationName[operation], algorithm_key=AlgorithmName.NO_QUANTIZE)
    monkeypatch.setattr(quantize, "recipe", lambda kind, kept: planted.get_quantization_recipe())
    monkeypatch.setattr(quantize, "check_weights", lambda *_: None)  # which would refuse some of them before
    pixels = Normalization(127.0, 128.0)
    content = quantize.quantize(float_classifier, "int8", normalization=pixels, calibration=calibrated)
    with pytest.raises(ModelError, match="still has [123] float operators") as caught:
        file_checks.check_integers(graph.set_io(content, "uint8", mean=127, std=128))
    assert named in str(caught.value)


def test_many_offenders_are_counted_and_three_named(float_classifier):
    with pytest.raises(ModelError, match=r"4 float operators: CONV_2D .*, MEAN .*, FULLY_CONNECTED .* \.\.\.\."):
        file_checks.check_integers(float_classifier)


def test_other_kernels_agree_on_photos_of_all_classes(model, photos, scores):
    found = file_checks.check_kernels(model, photos, scores, threads=1)
    assert {kernels: entry.photos for kernels, entry in found.items()} == {"none": 16, "reference": 3}
    for entry in found.values():
        assert entry.same_top1 == 1
        # Kernels may round a feature the other way, which moves a score by a few of its steps (3 seen).
        assert entry.largest_difference <= 5 / 256


def test_promises_for_other_kernels_are_proven_on_a_photo(model, photos, scores):
    def promised(kernels, few):
        return Classifier(model, kernels=kernels).score(few)

    plain = file_checks.check_kernels(model, photos, scores, threads=1)
    assert file_checks.check_kernels(model, photos, scores, threads=1, promised=promised) == plain
    with pytest.raises(ModelError, match="differ from those of its embeddings on 1 of 1 photos"):
        file_checks.check_kernels(model, photos, scores, promised=lambda *given: promised(*given) + np.float32(1 / 256))


def test_kernels_that_disagree_are_counted(model, photos, scores):
    turned = np.roll(scores, 1, axis=1)
    found = file_checks.check_kernels(model, photos, turned, threads=1)
    assert found["none"].same_top1 < 0.1
    assert found["none"].largest_difference > 0.05


def test_few_photos_are_enough_for_all_kernels(model, photos, scores):
    few = replace(photos, samples=photos.samples[:3])
    assert file_checks.check_kernels(model, few, scores[:3])["none"].photos == 3


def test_kernels_that_cannot_run_the_file_are_named(model, photos, scores):
    edited = graph.parse(model)
    softmax = edited.subgraphs[0].operators[-2]
    code = edited.operatorCodes[softmax.opcodeIndex]
    code.version = 99
    broken = zip_files.append(graph.pack(edited), {"labels.txt": "a\nb\nü".encode()})
    with pytest.raises(ModelError, match=r"LiteRT cannot run this model \(none\)"):
        file_checks.check_kernels(broken, photos, scores)


def test_the_same_file_gives_the_same_scores_to_the_last_step(model, photos, scores):
    file_checks.check_same_scores(model, photos, scores)
    with pytest.raises(ModelError, match="differ from those that were measured"):
        file_checks.check_same_scores(model, photos, scores + np.float32(1 / 256))


def test_another_file_does_not_ship(make_tiny_model, photos, scores):
    with pytest.raises(ModelError, match="differ from those that were measured") as caught:
        file_checks.check_same_scores(make_tiny_model("dynamic", "uint8"), photos, scores + 0.01)
    assert "\n" not in str(caught.value)


def test_tolerance_is_kept(model, photos, scores):
    file_checks.check_same_scores(model, photos, scores + np.float32(0.015), tolerance=0.02)
    with pytest.raises(ModelError, match=r"difference 0\.025, allowed 0\.02"):
        file_checks.check_same_scores(model, photos, scores + np.float32(0.025), tolerance=0.02)


def test_scores_that_are_no_numbers_do_not_ship(conv_embedder, photos):
    kernel = np.full((3, 16), np.nan)
    content = graph.attach_head(conv_embedder, kernel, np.zeros(3))
    content = metadata.write(content, metadata.ModelInfo(("a", "b", "ü"), Normalization(127.0, 128.0)))
    with pytest.raises(ModelError, match="one finite score for each"):
        Classifier(content).score(photos)
    with pytest.raises(ModelError, match="one finite score for each"):
        file_checks.check_promise(content, photos, np.full((75, 3), 1 / 3, np.float32))


def test_a_wrongly_attached_head_breaks_the_promise(conv_embedder, photos):
    random = np.random.default_rng(1)
    kernel, bias = random.normal(size=(3, 16)), random.normal(size=3)
    info = metadata.ModelInfo(("a", "b", "ü"), Normalization(127.0, 128.0))
    right = metadata.write(graph.attach_head(conv_embedder, kernel, bias), info)
    wrong = metadata.write(graph.attach_head(conv_embedder, kernel[:, ::-1], bias), info)
    promised = Classifier(right).score(photos)
    file_checks.check_promise(right, photos, promised)
    with pytest.raises(ModelError, match="allowed 0.02"):
        file_checks.check_promise(wrong, photos, promised)


def test_int8_scores_are_promised_to_the_bit(scores):
    file_checks.check_equal(scores, scores.copy())
    moved = scores.copy()
    moved[3, 1] += np.float32(1 / 256)
    with pytest.raises(ModelError, match="differ from those of its embeddings on 1 of 75 photos"):
        file_checks.check_equal(moved, scores)
