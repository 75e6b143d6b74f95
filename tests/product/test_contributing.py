"""The diffs in CONTRIBUTING.md, applied to a copy of the package: each addition takes what they show, and no more."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from checkout import ROOT

BLOCKS = dict(
    re.findall(r'```diff title="(.*?)"\n(.*?)```', (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.S)
)


@pytest.fixture
def changed(tmp_path):
    """changed(title, *more): a copy of the package with a diff applied."""

    def apply(title, *more):
        ignored = shutil.ignore_patterns("__pycache__", "runtime")
        shutil.copytree(ROOT / "model_maker", tmp_path / "model_maker", ignore=ignored)
        command = ["git", "apply", *more, "-"]
        subprocess.run(command, input=BLOCKS[title].encode(), cwd=tmp_path, check=True, capture_output=True)
        return tmp_path

    return apply


def run(home, *words):
    environment = os.environ | {"PYTHONPATH": str(home)}
    command = [sys.executable, "-m", "model_maker", *map(str, words)]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def names(home):
    return {row["name"] for row in json.loads(run(home, "models", "--json"))}


def test_every_kind_of_addition_is_shown():
    assert set(BLOCKS) == {"A backbone", "An export format", "A dataset format", "A command", "An option of train"}


def test_a_backbone_is_one_record(changed):
    """The diff has been applied to this checkout, so it is taken back."""
    assert names(ROOT) - names(changed("A backbone", "--reverse")) == {"efficientnet_lite4"}


@pytest.mark.slow
def test_an_export_format_is_one_function_and_its_record(changed, trained):
    home = changed("An export format")
    run(home, "export", trained["uint8"], "--format", "data_url", "--output", "made")
    assert (home / "made/data_url/model.txt").read_text().startswith("data:application/octet-stream;base64,")


@pytest.mark.slow
def test_a_dataset_format_is_one_module_and_its_record(changed, make_photos):
    home = changed("A dataset format")
    make_photos(home / "photos", {"red": 6, "blue": 6})
    files = sorted((home / "photos").rglob("*.*"))
    lines = [f"{index}\t{file.parent.name}\t{file.relative_to(home).as_posix()}\n" for index, file in enumerate(files)]
    (home / "photos.lst").write_text("".join(lines), encoding="utf-8")
    found = json.loads(run(home, "doctor", "photos.lst", "--json"))
    assert found["photos"] == {"blue": 6, "red": 6}


def test_a_command_is_one_file_and_its_name(changed, trained):
    assert run(changed("A command"), "labels", trained["uint8"]).split() == [
        "daisy",
        "dandelion",
        "rose",
        "sunflower",
        "tulip",
    ]


@pytest.mark.slow
def test_an_option_is_one_field(changed, make_photos):
    home = changed("An option of train")
    make_photos(home / "photos", {"red": 10, "blue": 10})
    assert "--comment TEXT" in run(home, "train", "--help")
    run(home, "train", "--data", "photos", "--comment", "first try", "--output", "made")
    assert json.loads((home / "made/run.json").read_text(encoding="utf-8"))["options"]["comment"] == "first try"
