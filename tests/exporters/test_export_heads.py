"""A combined model in other formats and in apps: one head at a time, chosen by name."""

from dataclasses import replace

import numpy as np
import pytest

import model_maker
from model_maker import Classifier, cli
from model_maker.apps import put_in_app
from model_maker.errors import ModelError
from model_maker.normalization import Normalization
from model_maker.tflite import graph, metadata, output_heads

HEADS = {"letters": ("a", "b", "ü"), "light": ("day", "night")}


@pytest.fixture(scope="module")
def both(conv_embedder, tmp_path_factory):
    random = np.random.default_rng(5)
    single = [
        graph.attach_head(conv_embedder, random.normal(size=(len(own), 16)), np.zeros(len(own)))
        for own in HEADS.values()
    ]
    info = metadata.ModelInfo(normalization=Normalization(127, 128))
    infos = {name: replace(info, labels=own) for name, own in HEADS.items()}
    path = tmp_path_factory.mktemp("both") / "both.tflite"
    path.write_bytes(metadata.write_heads(output_heads.combine(single, list(HEADS)), infos))
    return path


@pytest.fixture(scope="module")
def pictures():
    return list(np.random.default_rng(2).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", HEADS)
def test_one_head_is_exported_and_scores_as_in_the_combined_file(both, pictures, tmp_path, name):
    found = model_maker.export(both, tmp_path / "out", formats=["tflite-float32"], head=name)
    [entry] = found.entries
    exported = Classifier(entry.path)
    assert exported.labels == HEADS[name]
    expected = list(Classifier(both, head=name).scores(pictures))
    # The same float operators.
    np.testing.assert_allclose(list(exported.scores(pictures)), expected, atol=1e-6)


@pytest.mark.parametrize("name", HEADS)
def test_one_head_is_split_off(both, tmp_path, name):
    parts = model_maker.split_model(both, tmp_path / "parts", head=name)
    assert parts.labels == HEADS[name]


def test_without_a_name_the_choice_is_stated_and_nothing_is_written(both, tmp_path, capsys):
    def run(*words):
        return cli.main(cli.parse(["model_maker", "export", str(both), *map(str, words)]))

    for words in (("--output", tmp_path / "out"), ("--output", tmp_path / "out", "--split")):
        assert run(*words) == 1
        error = capsys.readouterr().err
        assert "has several heads (letters, light)" in error and "Choose it: --head letters." in error
        assert error.count("\n") == 1
    assert run("--output", tmp_path / "out", "--head", "smell") == 1
    assert "--head smell: the model has no head of that name; it has letters, light." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_our_app_takes_all_heads_or_one(both, tmp_path):
    whole = put_in_app.put_in_app(both, tmp_path / "whole", "android")
    assert whole.path.read_bytes() == both.read_bytes()
    one = put_in_app.put_in_app(both, tmp_path / "one", "ios", head="light")
    assert Classifier(one.path).labels == HEADS["light"]


def test_classes_of_a_combined_model_are_edited_in_its_parts(both, tmp_path):
    with pytest.raises(ModelError, match="it has several heads. Edit the files that it was made of"):
        model_maker.edit_classes(both, tmp_path / "out", rename={"a": "c"})
    assert not (tmp_path / "out").exists()
