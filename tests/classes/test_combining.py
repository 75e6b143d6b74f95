"""Several classifiers in one file: each head scores as its own file, to the bit, and clients find them by name."""

import json
import shutil
import subprocess
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from PIL import Image

import model_maker
from model_maker import Classifier, cli
from model_maker.errors import DataError, ModelError
from model_maker.normalization import Normalization
from model_maker.progress import Progress
from model_maker.tflite import graph, inspection, metadata
from model_maker.tflite.label_sets import LabelSets


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


@pytest.fixture
def ruled(conv_embedder, tmp_path):
    """A file with thresholds of its labels and label sets, one with a threshold for all, one with neither; combined."""
    random, names = np.random.default_rng(5), ("letters", "light", "plain")
    labels = (("a", "b", "ü"), ("day", "night"), ("x", "y", "z"))
    rules = (
        {
            "threshold": 0.3,
            "label_thresholds": (0.3, 0.55, 0.45),
            "label_sets": LabelSets(0.9, (0.2, 0.35, 0.3), (40, 41, 42), (True, True, False)),
            "display_names": {"de": ("A", "B", "Ü")},
        },
        {"threshold": 0.6, "label_sets": LabelSets(0.8, (0.4, 0.45), (9, 9), (False, False))},
        {},
    )
    infos, paths = [], []
    for name, own, more in zip(names, labels, rules, strict=True):
        info = metadata.ModelInfo(own, Normalization(127, 128), name=name, **more)
        kernel = random.normal(size=(len(own), 16)) * 0.02
        content = metadata.write(graph.attach_head(conv_embedder, kernel, np.zeros(len(own))), info)
        (path := tmp_path / f"{name}.tflite").write_bytes(content)
        infos.append(info)
        paths.append(path)
    return infos, paths, model_maker.combine(paths, tmp_path / "all").directory


def test_a_head_keeps_what_is_shown_of_its_scores(ruled):
    infos, paths, combined = ruled
    heads = metadata.read_heads((combined / "model.tflite").read_bytes())
    for info, path in zip(infos, paths, strict=True):
        single, head = metadata.read(path.read_bytes()), heads[info.name]
        for rule in ("threshold", "label_thresholds", "label_sets", "display_names"):
            assert getattr(head, rule) == getattr(single, rule)
        np.testing.assert_array_equal(head.limits, single.limits)
    assert heads["letters"].label_sets == infos[0].label_sets and heads["light"].label_sets == infos[1].label_sets
    assert heads["plain"].label_sets is None and heads["plain"].display_names == {}


def test_a_head_answers_as_its_own_file_also_that_it_does_not_know(ruled):
    infos, paths, combined = ruled
    pictures = list(np.random.default_rng(1).integers(0, 256, (40, 8, 8, 3), np.uint8))
    unknown = 0
    for info, path in zip(infos, paths, strict=True):
        single, head = Classifier(path), Classifier(combined, head=info.name)
        for one, other in zip(single.scores(pictures), head.scores(pictures), strict=True):
            assert head.rank(other) == single.rank(one)
            assert (single.info.label_sets is None) or head.label_set(other) == single.label_set(one)
            unknown += single.rank(one)[0].label == "unknown"
    assert 0 < unknown < 120
    first = Classifier(combined)  # without a name
    assert (first.info.label_thresholds, first.info.label_sets) == (infos[0].label_thresholds, infos[0].label_sets)


def test_commands_and_generated_code_take_a_heads_rules(ruled, tmp_path, capsys):
    infos, paths, combined = ruled
    noise = np.random.default_rng(2).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(noise).save(photo := tmp_path / "photo.png")
    for info, path in zip(infos, paths, strict=True):
        answers = []
        for words in ((path,), (combined, "--head", info.name)):
            assert run_cli("predict", words[0], photo, *words[1:], "--json") == 0
            answers.append(json.loads(capsys.readouterr().out))
        assert answers[0] == answers[1]
        codes = [
            model_maker.codegen(path, "python", name="Made"),
            model_maker.codegen(combined, "python", name="Made", head=info.name),
        ]
        made = []
        for code, file in zip(codes, (path, combined / "model.tflite"), strict=True):
            exec(code, module := {})
            made.append(module["Made"](file).classify(photo))
        assert made[0] == made[1]
    assert run_cli("inspect", combined, "--json") == 0
    rules = json.loads(capsys.readouterr().out)["rules"]
    assert rules["letters"]["label_thresholds"] == pytest.approx(infos[0].label_thresholds)
    assert rules["light"] == {
        "threshold": pytest.approx(0.6),
        "label_thresholds": [],
        "label_sets": {"coverage": 0.8, "limits": [0.4, 0.45], "photos": [9, 9], "by_class": [False, False]},
    }
    assert run_cli("inspect", combined) == 0
    said = capsys.readouterr().out
    assert "0.3 to 0.55, by label" in said and "80 % promised" in said


@pytest.mark.skipif(which("node") is None, reason="no node")
def test_the_demo_page_reads_the_thresholds_of_each_head(ruled):
    infos, _, combined = ruled
    page = Path(model_maker.__file__).parent / "demo/page/metadata.js"
    program = (
        "const [page, file] = process.argv.slice(2); const {read} = await import(page);"
        "const {readFileSync} = await import('node:fs');"
        "const {heads} = await read(new Uint8Array(readFileSync(file)));"
        "console.log(JSON.stringify(heads.map(({name, limits}) => [name, limits])));"
    )
    command = ["node", "--input-type=module", "-e", program, "-", page.as_uri(), combined / "model.tflite"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for info, (name, limits) in zip(infos, json.loads(done.stdout), strict=True):
        assert name == info.name
        np.testing.assert_allclose(limits, info.limits, rtol=1e-6)


def test_what_stays_in_the_single_files_is_noted(models, tmp_path):
    heard = Progress()
    model_maker.combine(models, tmp_path / "new", progress=heard)
    [note] = [note for note in heard.notes if "memory of classes" in note]
    assert all(str(folder) in note for folder in models)


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
