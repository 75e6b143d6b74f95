"""Parts of a data set under any names: told by flags, and found by doctor where they are taken for classes."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from model_maker import cli
from model_maker.data import sources, split_folders
from model_maker.data.dataset import Dataset, Sample
from model_maker.doctor.checks import CHECKS
from model_maker.doctor.diagnosis import diagnose
from model_maker.errors import DataError

KINDS = ("rose", "tulip")
# From each class of twelve drawings.
SHARES = {"eins": slice(0, 7), "zwei": slice(7, 9), "drei": slice(9, 12)}


@pytest.fixture
def home(drawn_flowers, tmp_path):
    """eins/, zwei/ and drei/ with the same classes, of which nothing says what they are."""
    for name, some in SHARES.items():
        for kind in KINDS:
            place = tmp_path / "data" / name / kind
            place.mkdir(parents=True)
            for photo in sorted((drawn_flowers / kind).iterdir())[some]:
                shutil.copy(photo, place)
    return tmp_path / "data"


def flags(home, **parts):
    return [word for part, name in parts.items() for word in (f"--{part}-dir", str(home / name))]


def run(*words):
    return cli.main(cli.parse(["model_maker", *map(str, words)]))


def test_photos_are_of_the_part_that_was_told(home):
    address = split_folders.address(home / "eins", validation=home / "zwei", test=home / "drei")
    dataset = sources.read(address)
    assert dataset.classes == KINDS
    found = {(Path(sample.path).parent.parent.name, sample.part) for sample in dataset.samples}
    assert found == {("eins", "train"), ("zwei", "validation"), ("drei", "test")}
    split = dataset.split()
    assert [len(part) for part in (split.train, split.validation, split.test)] == [14, 4, 6]
    # The same as under the usual names.
    for name, part in (("eins", "train"), ("zwei", "val"), ("drei", "test")):
        (home / name).rename(home / part)
    assert sources.read(home).fingerprint == dataset.fingerprint
    assert sources.title(address) == "data"


def test_training_goes_through_and_finds_its_photos_again(home, lite0, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = flags(Path("data"), train="eins", val="zwei", test="drei")
    assert run("train", *words, "--layers", "last", "--quantize", "float16", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["photos"] == {"train": 14, "validation": 4, "test": 6}
    assert report["output"] == "data_model"
    monkeypatch.chdir("/")
    assert run("evaluate", tmp_path / "data_model", "--json") == 0
    assert json.loads(capsys.readouterr().out)["photos"] == 6
    assert run("train", "--config", tmp_path / "data_model" / "run.json", "--output", tmp_path / "again", "--json") == 0
    assert json.loads(capsys.readouterr().out)["fingerprint"] == report["fingerprint"]


def test_parts_that_are_not_told_are_taken_from_those_to_learn_from(home):
    split = sources.read(split_folders.address(home / "eins", test=home / "drei")).split()
    assert len(split.test) == 6 and len(split.train) + len(split.validation) == 14


def test_folders_in_folders_of_the_same_name_are_passed_through(home):
    (home / "eins").rename(home / "inner")
    (home / "seg_train").mkdir()
    (home / "inner").rename(home / "seg_train" / "seg_train")
    dataset = sources.read(split_folders.address(home / "seg_train", test=home / "drei"))
    assert dataset.classes == KINDS and len(dataset.stated("train")) == 14


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--data", "{home}", "--train-dir", "{home}/eins"], "give one or the other"),
        (["--test-dir", "{home}/drei"], "--test-dir without --train-dir"),
        (["--train-dir", "{home}/none"], "--train-dir {home}/none is no folder"),
        (["--train-dir", "{home}/eins", "--test-dir", "{home}/eins"], "or is the same"),
        (["--train-dir", "{home}", "--test-dir", "{home}/eins"], "--test-dir {home}/eins lies in --train-dir {home}"),
        (
            ["--train-dir", "{home}/eins", "--test-dir", "{home}/flat"],
            "{home}/flat holds no photos in class folders",
        ),
        (["--train-dir", "{home}/parts", "--test-dir", "{home}/drei"], "holds parts of its own (test)"),
        (["--train-dir", "{home}/eins", "--output", "{home}/eins/model"], "lies in the data"),
        (["--data", "parts://?test=x"], "names no part folders"),
    ],
)
def test_what_does_not_fit_together_is_one_line(home, words, text, capsys):
    shutil.copytree(home / "drei" / "rose", home / "flat")
    shutil.copytree(home / "eins", home / "parts" / "train")
    shutil.copytree(home / "drei", home / "parts" / "test")
    assert run("train", *(word.format(home=home) for word in words)) == 1
    [line] = capsys.readouterr().err.strip().splitlines()[-1:]
    assert text.format(home=home) in line


def test_folders_that_may_be_parts_are_refused_with_the_flags(home):
    with pytest.raises(DataError, match="Name them by `train_dir`, `val_dir` and `test_dir`"):
        sources.read(home)


def test_doctor_takes_part_folders(home, lite0, capsys):
    """Copies across parts are leaks."""
    copied = next((home / "eins" / "rose").iterdir())
    shutil.copy(copied, home / "drei" / "rose" / "copy.jpg")
    assert run("doctor", *flags(home, train="eins", test="drei"), "--json") == 0
    assert "leaks" in json.loads(capsys.readouterr().out)["findings"]
    assert run("doctor") == 1
    assert "doctor needs photos" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("classes", "found"),
    [
        (("test_set", "training_set"), True),
        (("daisy", "rose", "train"), True),
        (("daisy", "seg_test", "seg_train"), True),
        (("blood test", "drug test"), False),
        (("control", "test"), False),
        (("daisy", "rose"), False),
    ],
)
def test_doctor_finds_parts_that_are_taken_for_classes(classes, found):
    evidence = SimpleNamespace(dataset=Dataset((Sample(Path("x"), 0, "0"),), classes))
    findings = list(CHECKS["parts"].find(evidence))
    assert bool(findings) == found
    if found:
        assert "learned as classes" in findings[0].text and not findings[0].removable


def test_doctor_finds_them_in_a_folder(drawn_flowers, tmp_path, lite0):
    """train/ and test/ with photos of no class folder in common, beside another class."""
    for name, kind in (("train", "rose"), ("test", "tulip"), ("daisy", "daisy")):
        shutil.copytree(drawn_flowers / kind, tmp_path / name)
    found = diagnose(tmp_path, model="efficientnet_lite0")
    assert [finding.text for finding in found.findings["parts"]] == [
        "test and train: named as parts of a data set, and learned as classes"
    ]
