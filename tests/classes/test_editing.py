"""Classes of finished files, edited without their photos: what is promised of the new file, and what is refused."""

import json
import shutil

import numpy as np
import pytest

import model_maker
from model_maker import Classifier, cli
from model_maker.errors import DataError, ModelError, OutputError
from model_maker.tflite import class_memory, metadata, zip_files


def run_cli(*arguments):
    return cli.main(cli.parse(["model_maker", "classes", *map(str, arguments)]))


@pytest.fixture(scope="module")
def photos(drawn_flowers):
    return {folder.name: sorted(folder.iterdir()) for folder in sorted(drawn_flowers.iterdir())}


@pytest.fixture(scope="module")
def four(drawn_flowers, lite0, tmp_path_factory):
    """A model of four of the five flowers; tulips are left out."""
    home = tmp_path_factory.mktemp("four")
    shutil.copytree(drawn_flowers, home / "photos", ignore=shutil.ignore_patterns("tulip"))
    return model_maker.train(home / "photos", home / "model").directory


@pytest.fixture(scope="module")
def tulips(photos, tmp_path_factory):
    """Five tulips to learn from, in a folder."""
    folder = tmp_path_factory.mktemp("tulips")
    for photo in photos["tulip"][:5]:
        shutil.copy(photo, folder)
    return folder


def scores(model, pictures):
    return np.stack(list(Classifier(model).scores(pictures)))


def test_a_class_is_added_from_five_photos(four, tulips, photos, drawn_flowers, tmp_path):
    found = model_maker.edit_classes(four, tmp_path / "five", add={"tulip": tulips}, data=drawn_flowers)
    assert found.labels == ("daisy", "dandelion", "rose", "sunflower", "tulip") and found.memory
    [new] = found.new
    assert (new.label, new.photos, new.known_before) == ("tulip", 5, None) and 0 <= new.found <= 5
    others = scores(tmp_path / "five", photos["tulip"][5:]).argmax(axis=1)
    assert (others == 4).mean() >= 0.8  # drawn tulips are unlike the other flowers
    old = [photo for name in found.labels[:4] for photo in photos[name]]
    before, after = scores(four, old).argmax(axis=1), scores(tmp_path / "five", old).argmax(axis=1)
    truth = np.repeat(range(4), 12)
    assert found.old.photos == 48
    assert found.old.before == (before == truth).mean() and found.old.after == (after == truth).mean()
    assert found.old.before - found.old.after <= 0.04
    # Nothing changes between old classes: who is not taken for a tulip keeps its answer.
    assert (after[after < 4] == before[after < 4]).all()


def test_the_folder_holds_the_file_and_what_is_known_of_it(four, tulips, tmp_path):
    model_maker.edit_classes(four, tmp_path / "five", add={"tulip": tulips})
    folder = tmp_path / "five"
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "classes.json", "labels.txt", "model.tflite", "split.json",
    ]  # fmt: skip
    record = json.loads((folder / "classes.json").read_text())
    assert record["edits"]["add"] == ["tulip"] and record["old"] is None
    assert (folder / "labels.txt").read_text().split() == record["labels"]
    assert "not measured" in (folder / "README.md").read_text()
    # Photos it learned from, old and new, are known to `evaluate`.
    learned = json.loads((folder / "split.json").read_text())["train"]
    assert len(learned) == len(json.loads((four / "split.json").read_text())["train"]) + 5


def test_the_same_edit_gives_the_same_bytes(four, tulips, tmp_path):
    for name in ("first", "second"):
        model_maker.edit_classes(four, tmp_path / name, add={"tulip": tulips})
    assert len({(tmp_path / name / "model.tflite").read_bytes() for name in ("first", "second")}) == 1


def test_one_photo_is_enough_and_its_accuracy_is_not_invented(four, photos, tmp_path, capsys):
    assert run_cli(four, "--output", tmp_path / "one", "--add", "tulip", photos["tulip"][0]) == 0
    assert "accuracy is not known" in capsys.readouterr().out
    assert scores(tmp_path / "one", photos["tulip"][:1]).argmax() == 4


def test_a_new_class_can_be_edited_again(four, tulips, photos, tmp_path):
    model_maker.edit_classes(four, tmp_path / "five", add={"tulip": tulips})
    found = model_maker.edit_classes(tmp_path / "five", tmp_path / "more", more={"tulip": photos["tulip"][5]})
    assert found.new[0].known_before in (0, 1)
    memory = class_memory.get((tmp_path / "more" / "model.tflite").read_bytes())
    np.testing.assert_array_equal(memory.counts[-1], 6)


def test_a_rename_changes_labels_alone(four, photos, tmp_path):
    found = model_maker.edit_classes(four, tmp_path / "new", rename={"rose": "garden rose"})
    assert found.labels == ("daisy", "dandelion", "garden rose", "sunflower")
    some = [photos[name][0] for name in photos]
    np.testing.assert_array_equal(scores(tmp_path / "new", some), scores(four, some))
    assert class_memory.get((tmp_path / "new" / "model.tflite").read_bytes()) is not None


def test_removed_classes_leave_their_probability_to_the_others(four, photos, tmp_path):
    model_maker.edit_classes(four, tmp_path / "two", remove=["rose", "daisy"])
    some = [photos[name][0] for name in photos]
    expected = scores(four, some)[:, [1, 3]]
    sums = expected.sum(axis=1, keepdims=True)
    clear = sums[:, 0] > 0.2  # of less, steps of 1/256 leave little
    assert clear.any()
    np.testing.assert_allclose(scores(tmp_path / "two", some)[clear], expected[clear] / sums[clear], atol=0.03)


def test_merged_classes_answer_for_the_photos_of_both(four, photos, tmp_path):
    found = model_maker.edit_classes(four, tmp_path / "three", merge={"other": ["daisy", "sunflower"]})
    assert found.labels == ("other", "dandelion", "rose")
    pictures = [*photos["daisy"], *photos["sunflower"], *photos["dandelion"], *photos["rose"]]
    answers = scores(tmp_path / "three", pictures).argmax(axis=1)
    assert (answers == np.repeat([0, 0, 1, 2], 12)).mean() >= 0.9


def test_several_edits_at_once(four, tulips, tmp_path, capsys):
    arguments = ["--remove", "daisy", "--rename", "rose=red", "--add", "tulip", tulips, "--json"]
    assert run_cli(four, "--output", tmp_path / "new", *arguments) == 0
    assert json.loads(capsys.readouterr().out)["labels"] == ["dandelion", "red", "sunflower", "tulip"]


def test_a_file_without_memory_gets_an_imprint(four, tulips, photos, tmp_path):
    content = (four / "model.tflite").read_bytes()
    plain = tmp_path / "plain.tflite"
    plain.write_bytes(metadata.write(content, metadata.read(content)))
    found = model_maker.edit_classes(plain, tmp_path / "five", add={"tulip": tulips})
    assert not found.memory
    assert (scores(tmp_path / "five", photos["tulip"][5:]).argmax(axis=1) == 4).mean() >= 0.6


def test_a_class_is_added_to_a_published_classifier(shared_data, shared_weights, tmp_path):
    model = shared_weights / "tflite/mobilenet_v2_1.0_224_quant.tflite"
    hats = sorted((shared_data / "clothing/hat").iterdir())
    folder = tmp_path / "hats"
    folder.mkdir()
    for photo in hats[:5]:
        shutil.copy(photo, folder)
    model_maker.edit_classes(model, tmp_path / "new", add={"my hat": folder})
    assert (scores(tmp_path / "new", hats[5:25]).argmax(axis=1) == 1001).mean() >= 0.8
    samples = sorted((shared_data / "imagenet_samples").iterdir())
    same = scores(tmp_path / "new", samples).argmax(axis=1) == scores(model, samples).argmax(axis=1)
    assert same.sum() >= 33


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({}, "pass at least one edit"),
        ({"add": {"rose": "."}}, "`add=rose`: the model has a class of that name already"),
        ({"add": {" ": "."}}, "a label is one line of text that is not empty"),
        ({"add": {"a\nb": "."}}, "a label is one line of text"),
        ({"remove": ["tulip"]}, "`remove=tulip`: the model has no class of that name. It has daisy, dandelion"),
        ({"remove": ["rose", "daisy", "sunflower"]}, "1 class would be left; a classifier needs two"),
        ({"rename": {"rose": "daisy"}}, "`rename=daisy`: the model has a class of that name already"),
        ({"merge": {"both": ["rose"]}}, "give two or more different classes to merge"),
        ({"more": {"oak": "."}}, "`more=oak`: the model has no class"),
        ({"add": {"oak": "nowhere"}}, "none of 1 photos of oak can be read"),
    ],
)
def test_edits_that_cannot_be_made_leave_nothing(four, tmp_path, edit, words):
    with pytest.raises(DataError, match=words):
        model_maker.edit_classes(four, tmp_path / "new", **edit)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_another_command_made_is_not_replaced(four, tulips, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match=r"holds no classes.json"):
        model_maker.edit_classes(four, tmp_path / "mine", add={"tulip": tulips}, overwrite=True)
    with pytest.raises(OutputError, match="holds the model itself"):
        model_maker.edit_classes(four, four, add={"tulip": tulips}, overwrite=True)


def test_a_tampered_memory_is_refused(four, tulips, tmp_path):
    content = (four / "model.tflite").read_bytes()
    info = metadata.read(content)
    plain = metadata.write(content, info)
    parts = ("counts", "center", "means", "mean_steps", "basis", "basis_steps", "spread", "spread_step", "fits")
    files = {f"class_memory_{part}.npy": zip_files.read(content, f"class_memory_{part}.npy") for part in parts}
    files["class_memory_fits.npy"] = files["class_memory_fits.npy"][:-1] + b"?"
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(zip_files.append(plain, files))
    with pytest.raises(ModelError, match=r"bad.tflite: Its class memory does not fit it"):
        model_maker.edit_classes(bad, tmp_path / "new", add={"tulip": tulips})
    assert not (tmp_path / "new").exists()
    Classifier(bad)  # which has no use for it


def test_without_memory_nothing_is_kept(drawn_flowers, lite0, tmp_path):
    folder = model_maker.train(drawn_flowers, tmp_path / "model", memory=False).directory
    assert class_memory.get((folder / "model.tflite").read_bytes()) is None
