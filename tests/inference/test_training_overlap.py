"""Accuracy on photos that a model learned from is told as such, wherever it is measured."""

import json
import shutil

import numpy as np
import pytest

import model_maker
from model_maker import Classifier, output_folder
from model_maker.benchmark import command_line as benchmark_cli
from model_maker.cli import evaluate_command, parse
from model_maker.data import sources

# drawn_flowers has 12 of each of five kinds; metrics.json of the training counts the parts.
PHOTOS = 60


@pytest.fixture
def folder(trained):
    return trained["uint8"]


@pytest.fixture
def parts(folder):
    return json.loads((folder / "metrics.json").read_text())["photos"]


def by_hand(model, dataset, unseen):
    """(right, of how many) on the photos that the training says it tested on."""
    scores = [Classifier(model).predict(sample.path, top_k=1)[0][0].label for sample in dataset.samples]
    right = [
        found == dataset.classes[sample.label]
        for sample, found in zip(dataset.samples, scores, strict=True)
        if sample.digest in unseen
    ]
    return sum(right), len(right)


def evaluate(*arguments, capsys):
    evaluate_command.run(parse(["model_maker", "evaluate", *map(str, arguments)]))
    return capsys.readouterr().out


def test_the_training_folder_flatters_and_says_so(folder, parts, drawn_flowers, capsys):
    dataset = sources.read(drawn_flowers)
    unseen = {sample.digest for sample in dataset.split().test.samples}
    right, others = by_hand(folder, dataset, unseen)
    found = json.loads(evaluate(folder, "--data", drawn_flowers, "--json", capsys=capsys))["learned_from"]
    assert found["photos"] == parts["train"] + parts["validation"] == PHOTOS - others
    assert found["others"]["photos"] == others == parts["test"]
    assert found["others"]["top1"] == pytest.approx(right / others)
    text = " ".join(evaluate(folder, "--data", drawn_flowers, capsys=capsys).split())
    assert f"{PHOTOS - others} of these {PHOTOS} photos were learned from" in text
    assert f"On the other {others}: top-1 {100 * right / others:.1f} %" in text


def test_the_own_test_part_was_not_learned_from(folder, capsys):
    assert "learned_from" not in json.loads(evaluate(folder, "--json", capsys=capsys))


@pytest.mark.parametrize("kept", ["model.tflite", "model.tflite run.json"])
def test_a_file_without_the_list_divides_its_photos_again(folder, parts, drawn_flowers, tmp_path, kept):
    for name in kept.split():
        shutil.copy(folder / name, tmp_path / name)
    found = Classifier(tmp_path / "model.tflite").evaluate(drawn_flowers).learned_from
    assert (found.photos, found.others) == (parts["train"] + parts["validation"], parts["test"])
    # The bytes alone, too.
    assert Classifier((folder / "model.tflite").read_bytes()).evaluate(drawn_flowers).learned_from == found


def test_some_of_the_photos_under_other_names_are_known_by_their_content(folder, drawn_flowers, tmp_path):
    train = sources.read(drawn_flowers).split().train
    new = tmp_path / "new"
    for index, sample in enumerate(train.samples[:3]):
        place = new / train.classes[sample.label]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample.path, place / f"{index}.jpg")
    found = Classifier(folder).evaluate(new).learned_from
    assert (found.photos, found.others, found.top1) == (3, 0, None)
    assert "All of these photos" in found.describe(3)


def test_a_folder_of_an_earlier_version_has_its_photos_read_again(folder, drawn_flowers, tmp_path):
    for name in ("model.tflite", "run.json"):
        shutil.copy(folder / name, tmp_path / name)
    shutil.copytree(drawn_flowers / "rose", tmp_path / "some" / "rose")
    split = sources.read(drawn_flowers).split()
    unseen = sum(split.test.classes[sample.label] == "rose" for sample in split.test.samples)
    found = Classifier(tmp_path).evaluate(tmp_path / "some").learned_from
    assert (found.photos, found.others) == (12 - unseen, unseen)


def test_what_cannot_be_told_is_said(folder, drawn_flowers, tmp_path):
    shutil.copy(folder / "model.tflite", tmp_path / "alone.tflite")
    some = tmp_path / "some"
    shutil.copytree(drawn_flowers / "rose", some / "rose")
    found = Classifier(tmp_path / "alone.tflite").evaluate(some).learned_from
    assert found.photos is None and found.as_dict() == {"photos": None, "others": None}
    assert "may have learned from these" in found.describe(12)


def test_the_list_of_another_model_tells_nothing(folder, drawn_flowers, tmp_path):
    shutil.copy(folder / "model.tflite", tmp_path)
    content = json.loads((folder / output_folder.SPLIT).read_text())
    (tmp_path / output_folder.SPLIT).write_text(json.dumps(content | {"fingerprint": "0" * 64}))
    shutil.copytree(drawn_flowers / "rose", tmp_path / "some" / "rose")
    assert Classifier(tmp_path).evaluate(tmp_path / "some").learned_from.photos is None


def test_an_export_knows_it_too(folder, parts, drawn_flowers, tmp_path):
    made = model_maker.export(folder, tmp_path / "x", formats=["tflite-float16", "c_header"])
    for entry in made.entries:
        found = Classifier(entry.path).evaluate(drawn_flowers).learned_from
        assert (found.photos, found.others) == (parts["train"] + parts["validation"], parts["test"])


def test_models_of_others_have_no_note(make_tiny_model, make_photos, tmp_path):
    (tmp_path / "m.tflite").write_bytes(make_tiny_model(labels=("a", "b", "c")))
    make_photos(tmp_path / "photos", {"a": 2, "b": 2})
    assert Classifier(tmp_path / "m.tflite").evaluate(tmp_path / "photos").learned_from is None


def test_benchmark_notes_it(folder, drawn_flowers, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(drawn_flowers, tmp_path / "copy")
    shutil.copytree(folder, tmp_path / "model")
    flags = ["--data", "copy", "--threads", "1", "--runs", "2", "--rounds", "1", "--json"]
    assert benchmark_cli.main(benchmark_cli.parse(["benchmark", "model", *flags])) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert any(f"of these {PHOTOS} photos were learned from" in note for note in model["notes"])


@pytest.mark.parametrize("flat", [False, True])
def test_parts_without_a_labelled_test_part_are_told(drawn_flowers, tmp_path, flat):
    """Only `train` and `val` have class folders; photos to submit lie in `test` without any."""
    for name in ("rose", "tulip"):
        photos = sorted((drawn_flowers / name).iterdir())
        for part, some in (("train", photos[:8]), ("val", photos[8:])):
            (tmp_path / "data" / part / name).mkdir(parents=True)
            for photo in some:
                shutil.copy(photo, tmp_path / "data" / part / name)
    if flat:
        (tmp_path / "data" / "test").mkdir()
        for photo in sorted((drawn_flowers / "daisy").iterdir())[:5]:
            shutil.copy(photo, tmp_path / "data" / "test")
    dataset, notes = sources.read_to_judge(tmp_path / "data")
    assert len(dataset) == 24
    assert notes[-1].endswith(
        "states no test part with labels: 16 of its train part and 8 of its validation part are used, which a model "
        "may have learned from."
    )
    assert any("5 photos directly in" in note for note in notes) == flat


def test_hashes_are_kept_by_part(folder, drawn_flowers):
    content = json.loads((folder / output_folder.SPLIT).read_text())
    dataset = sources.read(drawn_flowers)
    assert content["fingerprint"] == dataset.fingerprint
    listed = sum((content[part] for part in ("train", "validation", "test")), [])
    assert sorted(listed) == sorted(sample.digest[:16] for sample in dataset.samples)
    assert np.isin([sample.digest[:16] for sample in dataset.split().test.samples], content["test"]).all()
