"""Several classifiers in one file: each head scores as its own file, to the bit, and clients find them by name."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import model_maker
from model_maker import Classifier, cli
from model_maker.errors import DataError, ModelError
from model_maker.tflite import inspection, metadata


def run_cli(*arguments):
    return cli.main(cli.parse(["model_maker", *map(str, arguments)]))


@pytest.fixture(scope="module")
def models(trained, drawn_flowers, tmp_path_factory):
    """A model of all five flowers, and one of two of them."""
    home = tmp_path_factory.mktemp("models")
    shutil.copytree(drawn_flowers, home / "pair", ignore=shutil.ignore_patterns("daisy", "tulip", "sunflower"))
    return [trained["uint8"], model_maker.train(home / "pair", home / "pair_model").directory]


@pytest.fixture(scope="module")
def both(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("both") / "both"
    model_maker.combine(models, folder)
    return folder


@pytest.fixture(scope="module")
def some(drawn_flowers):
    return sorted(drawn_flowers.rglob("*.jpg"))[::7]


def scores(model, pictures, **options):
    return np.stack(list(Classifier(model, **options).scores(pictures)))


def test_each_head_scores_as_its_own_file(models, both, some):
    for model, head in zip(models, ("flowers", "pair"), strict=True):
        np.testing.assert_array_equal(scores(both, some, head=head), scores(model, some))
    np.testing.assert_array_equal(scores(both, some), scores(models[0], some))


def test_the_file_is_hardly_larger_than_one(models, both):
    sizes = [(folder / "model.tflite").stat().st_size for folder in (*models, both)]
    assert sizes[2] <= sizes[0] + 40_000


def test_the_backbone_is_there_once(models, both):
    one, two = (inspection.inspect((folder / "model.tflite").read_bytes()) for folder in (models[0], both))
    assert one.operators["CONV_2D"] == two.operators["CONV_2D"]
    assert (two.operators["FULLY_CONNECTED"], two.operators["SOFTMAX"]) == (2, 2)
    assert [output.name for output in two.outputs] == ["flowers", "pair"]


def test_the_metadata_names_each_head_and_its_labels(both):
    heads = metadata.read_heads((both / "model.tflite").read_bytes())
    assert {name: info.labels for name, info in heads.items()} == {
        "flowers": ("daisy", "dandelion", "rose", "sunflower", "tulip"),
        "pair": ("dandelion", "rose"),
    }


@pytest.mark.verify("mediapipe")
def test_mediapipe_gives_both_heads(both, some):
    import mediapipe
    from mediapipe.tasks.python import vision
    from mediapipe.tasks.python.core.base_options import BaseOptions

    options = vision.ImageClassifierOptions(BaseOptions(model_asset_path=str(both / "model.tflite")))
    pixels = np.asarray(Image.open(some[0]).convert("RGB").resize((224, 224)))
    with vision.ImageClassifier.create_from_options(options) as classifier:
        found = classifier.classify(mediapipe.Image(mediapipe.ImageFormat.SRGB, pixels)).classifications
    assert [(one.head_index, one.head_name) for one in found] == [(0, "flowers"), (1, "pair")]
    assert {entry.category_name for entry in found[1].categories} == {"dandelion", "rose"}


def test_commands_read_a_head(both, some, drawn_flowers, tmp_path, capsys):
    assert run_cli("predict", both, some[0], "--head", "pair", "--json") == 0
    [row] = json.loads(capsys.readouterr().out)
    assert {entry["label"] for entry in row["predictions"]} == {"dandelion", "rose"}
    assert run_cli("inspect", both, "--json") == 0
    assert json.loads(capsys.readouterr().out)["heads"]["pair"] == ["dandelion", "rose"]
    assert run_cli("evaluate", both, "--data", drawn_flowers, "--head", "flowers", "--json") == 0
    assert json.loads(capsys.readouterr().out)["photos"] == 60


def test_generated_python_reads_a_head(both, some):
    module = {}
    exec(model_maker.codegen(both, "python", head="pair", name="Pair"), module)
    found = module["Pair"](both / "model.tflite").scores(some[0])
    np.testing.assert_allclose(found, scores(both, some[:1], head="pair")[0], atol=1e-6)


def test_other_backbones_sizes_and_heads_are_refused_with_the_reason(models, trained, tmp_path):
    with pytest.raises(
        ModelError, match=r"their inputs differ: \[1, 224, 224, 3\] uint8 and \[1, 224, 224, 3\] float32"
    ):
        model_maker.combine([trained["uint8"], trained["float32"]], tmp_path / "new")
    with pytest.raises(ModelError, match="they are the same classifier"):
        model_maker.combine([models[0], models[0]], tmp_path / "new")
    with pytest.raises(DataError, match="Only one model was passed"):
        model_maker.combine([models[0]], tmp_path / "new")
    with pytest.raises(DataError, match="names=a,b,c"):
        model_maker.combine(models, tmp_path / "new", names=["a", "b", "c"])
    assert not (tmp_path / "new").exists()


def test_a_network_of_another_kind_is_refused(models, shared_weights, tmp_path):
    other = shared_weights / "tflite/mobilenet_v2_1.0_224_quant.tflite"
    with pytest.raises(ModelError, match="they are on different backbones"):
        model_maker.combine([models[0], other], tmp_path / "new")


def test_a_head_that_is_not_there_is_refused(models, both):
    with pytest.raises(ModelError, match="no head of that name; it has flowers, pair"):
        Classifier(both, head="oaks")
    with pytest.raises(ModelError, match="it has one output, which needs no name"):
        Classifier(models[0], head="oaks")
