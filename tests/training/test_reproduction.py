"""A trained file records its training: `reproduce` returns an identical file, or the differences are listed."""

import dataclasses
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_network import residual_network

import model_maker
from model_maker import cli, options
from model_maker.errors import DataError, ModelError, OutputError
from model_maker.tflite import metadata


def run_cli(*arguments):
    return cli.main(cli.parse(["model_maker", "reproduce", *map(str, arguments)]))


@pytest.fixture
def told(trained, tmp_path):
    """told(provenance): the trained file with other provenance."""

    def write(provenance):
        content = (trained["uint8"] / "model.tflite").read_bytes()
        path = tmp_path / "told.tflite"
        path.write_bytes(metadata.write(content, replace(metadata.read(content), provenance=provenance)))
        return path

    return write


def test_the_same_photos_under_another_name_make_the_same_bytes(trained, drawn_flowers, tmp_path, capsys):
    moved = shutil.copytree(drawn_flowers, tmp_path / "moved photos")
    again = tmp_path / "again"
    assert run_cli(trained["uint8"], "--data", moved, "--output", again, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["equal"] and found["differences"] == []
    assert (again / "model.tflite").read_bytes() == (trained["uint8"] / "model.tflite").read_bytes()
    assert found["size_bytes"] == [(again / "model.tflite").stat().st_size] * 2


def test_what_other_photos_change_is_reported(trained, drawn_flowers, tmp_path, capsys):
    fewer = shutil.copytree(drawn_flowers, tmp_path / "fewer")
    for path in sorted((fewer / "rose").iterdir())[:3]:
        path.unlink()
    assert run_cli(trained["uint8"] / "model.tflite", "--data", fewer) == 1
    said = capsys.readouterr().out
    assert "fingerprint" in said and "photos train" in said and "weights" in said and "different: " in said


@pytest.mark.parametrize(
    ("provenance", "words"),
    [
        ({}, "it has no training record"),
        ({"options": "all"}, "it has no training record"),
        ({"exported_as": "tflite-float16", "from": {}}, r"it is an export \(tflite-float16\)"),
        ({"options": {"seed": "many"}}, "seed = 'many': train expects a whole number. Use the version"),
        ({"options": {"sharpness": 3}}, "sharpness = 3: train has no such option."),
    ],
)
def test_a_file_that_does_not_say_how_is_refused(told, drawn_flowers, provenance, words):
    path = told(provenance)
    with pytest.raises(ModelError, match=f"told.tflite: .*{words}"):
        model_maker.reproduce(path, drawn_flowers)


@pytest.mark.parametrize("stated", [{"max_drop": 1}, {"dropout": 0, "fine_tune": "tail"}, {"validation": 0.25}])
def test_whole_numbers_stand_for_fractions(stated):
    """So does JSON write them, and so do callers in Python."""
    assert dataclasses.asdict(options.from_record(stated)).items() >= stated.items()


@pytest.mark.parametrize(
    ("stated", "wanted"),
    [
        ({"seed": 0.5}, "a whole number"),
        ({"threads": "three"}, "a whole number"),
        ({"folds": True}, "a whole number"),
        ({"max_drop": True}, "a number"),
        ({"max_drop": "1"}, "a number"),
        ({"model": None}, "text"),
        ({"weights": 3}, "text"),
    ],
)
def test_other_types_are_refused(stated, wanted):
    with pytest.raises(DataError, match=f"train expects {wanted}"):
        options.from_record(stated)
    with pytest.raises(DataError, match=f"train expects {wanted}"):
        options.Options(**stated)


def test_paths_and_numpy_numbers_become_what_json_can_hold():
    found = options.Options(weights=Path("w.safetensors"), seed=np.int64(3), max_drop=np.float32(0.5), test=np.int8(0))
    assert json.loads(json.dumps(dataclasses.asdict(found))) == dataclasses.asdict(found)
    assert (found.weights, found.seed, found.max_drop, found.test) == ("w.safetensors", 3, 0.5, 0)


def test_the_model_itself_is_never_replaced(trained, drawn_flowers):
    with pytest.raises(OutputError, match="contains the model to reproduce"):
        model_maker.reproduce(trained["uint8"], drawn_flowers, output=trained["uint8"], overwrite=True)


@pytest.mark.slow
@pytest.mark.parametrize("io", ["uint8", "float32"])
@pytest.mark.parametrize("mean", ["127,128", "127.5,127.5"])
def test_a_backbone_that_other_photos_calibrated_is_taken_from_the_file(
    make_photos, tmp_path, empty_cache, monkeypatch, io, mean
):
    (tmp_path / "network.tflite").write_bytes(residual_network())
    make_photos(tmp_path / "first", {"grey": 20, "pale": 20}, side=16, seed=1)
    make_photos(tmp_path / "photos", {"red": 20, "green": 20}, side=16)
    told = {"model": str(tmp_path / "network.tflite"), "normalization": mean, "io": io, "layers": "all"}
    model_maker.train(tmp_path / "first", tmp_path / "other", **told)
    model_maker.train(tmp_path / "photos", tmp_path / "made", **told)
    # Another machine, where these photos are the first that the backbone meets.
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(tmp_path / "elsewhere"))
    calibrated = model_maker.train(tmp_path / "photos", tmp_path / "calibrated", **told)
    before = (tmp_path / "made" / "model.tflite").read_bytes()
    assert (calibrated.directory / "model.tflite").read_bytes() != before
    again = model_maker.reproduce(tmp_path / "made", tmp_path / "photos")
    assert again.differences == () and again.equal
