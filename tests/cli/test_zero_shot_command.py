"""zero-shot, predict --candidate-labels, search and organize as a person types them."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image


def model_maker(*arguments, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "model_maker", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        env=os.environ | {"COLUMNS": "120"},
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture(scope="module")
def desk(tmp_path_factory, lite0, shared_data):
    """A folder with a pile of photos."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "pile" / "old").mkdir(parents=True)
    shutil.copy(shared_data / "photos" / "parrot.jpg", folder / "pile")
    shutil.copy(shared_data / "photos" / "cat_720p.jpg", folder / "pile" / "old")
    return folder


def test_zero_shot_tells_tier_meanings_and_what_is_not_known(desk):
    code, out, _ = model_maker("zero-shot", "--labels", "cats,bird", "--output", "made", "--json", cwd=desk)
    told = json.loads(out)
    assert code == 0 and (told["tier"], told["source"]) == ("known", "WordNet 3.0")
    assert told["accuracy"] == "not measured: pass --data DIR with photos to measure"
    assert told["model_bytes"] == (desk / "made" / "model.tflite").stat().st_size <= 4_100_000
    assert "59 ImageNet classes" in told["labels"]["bird"]
    code, out, _ = model_maker("zero-shot", "--labels", "cats,bird", "--output", "made", "--overwrite", cwd=desk)
    assert code == 0 and "tier known (WordNet 3.0)" in out and "accuracy not measured" in out


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("cat", "There is one label, 'cat'"),
        ("cat,Cat", "the same word: cat, Cat"),
        ("cat,gryphonn", "Other words need a text tower: --tier words, or --tier pictures."),
        ('cat,"dog', "open quotation mark"),
        ('cat,"dog, barking"', "dog, barking"),
        (",".join(f"thing {number}" for number in range(1000)), "and 997 more"),
    ],
)
def test_labels_that_cannot_be_are_one_line(desk, labels, said):
    code, out, error = model_maker("zero-shot", "--labels", labels, "--output", "none", cwd=desk)
    assert code == 1 and out == "" and said in error
    assert len(error.strip().splitlines()) == 1 and "Traceback" not in error
    assert not (desk / "none").exists()


def test_predict_takes_labels_in_the_place_of_a_model(desk):
    code, out, _ = model_maker("predict", "--candidate-labels", "bird,cat", "pile", "--json", cwd=desk)
    rows = {row["photo"].rpartition("/")[2]: row for row in json.loads(out)}
    assert code == 0 and {row["tier"] for row in rows.values()} == {"known"}
    assert rows["parrot.jpg"]["predictions"][0]["label"] == "bird"
    assert rows["cat_720p.jpg"]["predictions"][0]["label"] == "cat"
    code, out, error = model_maker("predict", "--candidate-labels", "bird,cat", "pile/parrot.jpg", cwd=desk)
    assert code == 0 and "bird" in out and "The tier known answers (WordNet 3.0)." in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tier", "known", "made", "pile/parrot.jpg"), "--tier belongs to --candidate-labels"),
        (("--candidate-labels", "a,b", "--labels", "x.txt", "pile/parrot.jpg"), "candidate labels need none"),
        (("--candidate-labels", "bird,cat", "--hypothesis-template", "a photo", "pile/parrot.jpg"), "one {}"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(desk, words, said):
    code, _, error = model_maker("predict", *words, cwd=desk)
    assert code == 1 and said in error and "Traceback" not in error


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "--candidate-labels", "bird,cat", "--tier", "pictures", "pile/parrot.jpg"),
        ("zero-shot", "--labels", "bird,cat", "--tier", "words", "--output", "none"),
        ("search", "pile", "bird", "--tier", "pictures"),
        ("organize", "pile", "--labels", "bird,cat", "--tier", "pictures", "--output", "none"),
        ("organize", "pile", "--keywords", "--labels", "bird,cat", "--tier", "words", "--output", "none"),
    ],
)
def test_a_licence_that_was_not_accepted_is_shown_in_one_line(desk, words):
    code, out, error = model_maker(*words, "--tower", "mobileclip2_s0", cwd=desk)
    assert code == 1 and out == "" and not (desk / "none").exists()
    assert error.strip() == (
        "model_maker: The weights of mobileclip2_s0 are for research only, under Apple's licence "
        "(https://github.com/apple/ml-mobileclip/blob/main/LICENSE_MODELS). Nothing was downloaded. To accept this "
        "licence, pass --accept-licence apple-amlr, or choose other towers."
    )


def test_search_prints_a_table_json_a_sheet_and_a_page(desk):
    words = ("search", "pile", "bird", "--sheet", "sheet.png", "--page", "page.html", "--overwrite")
    code, out, _ = model_maker(*words, "--json", cwd=desk)
    found = json.loads(out)
    assert code == 0 and (found["tier"], found["kind"]) == ("known", "words")
    assert [match["photo"] for match in found["matches"]] == ["pile/parrot.jpg", "pile/old/cat_720p.jpg"]
    with Image.open(desk / "sheet.png") as sheet:
        assert sheet.width > 224
    page = (desk / "page.html").read_text(encoding="utf-8")
    assert "old/cat_720p.jpg" in page and page.count("data:image/jpeg;base64,") == 2
    code, out, _ = model_maker("search", "pile", "pile/old/cat_720p.jpg", "--top-k", 1, cwd=desk)
    assert code == 0 and "old/cat_720p.jpg" in out and "1.000" in out


def test_search_refuses_what_nothing_knows(desk):
    code, out, error = model_maker("search", "pile", "gryphon", cwd=desk)
    assert code == 1 and out == "" and "gryphon is not a photo" in error and "--tier words" in error


def test_organize_tells_what_went_where(desk):
    code, out, _ = model_maker("organize", "pile", "--output", "sorted", "--labels", "bird,cat", "--json", cwd=desk)
    told = json.loads(out)
    assert code == 0 and told["tier"] == "known" and told["folders"] == {"bird": 1, "cat": 1}
    assert (desk / "sorted" / "cat" / "cat_720p.jpg").is_file() and (desk / "pile" / "old" / "cat_720p.jpg").is_file()
    code, out, _ = model_maker("organize", "pile", "--output", "sorted", "--groups", 2, "--overwrite", cwd=desk)
    assert code == 0 and "group_1" in out and "by groups (efficientnet_lite0)" in out


def test_organize_writes_keywords(desk):
    code, out, _ = model_maker("organize", "pile", "--output", "words", "--keywords", "--xmp", "--json", cwd=desk)
    assert code == 0 and "bird" in json.loads(out)["photos"]["parrot.jpg"]
    assert (desk / "words" / "parrot.jpg.xmp").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give one of --labels, --model and --groups"),
        (("--xmp", "--groups", "2"), "--xmp writes keywords"),
        (("--keywords", "--groups", "2"), "--groups sorts photos into folders"),
        (("--groups", "9"), "--groups must be 2 or fewer"),
    ],
)
def test_organize_refuses_what_does_not_go_together(desk, words, said):
    code, _, error = model_maker("organize", "pile", "--output", "none", *words, cwd=desk)
    assert code == 1 and said in error and "Traceback" not in error
    assert not (desk / "none").exists()
