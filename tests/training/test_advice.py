"""advise(): kinds that are planted, a model's folder, the command and its page."""

import json
import shutil

import numpy as np
import pytest

import model_maker
from model_maker import cli
from model_maker.data.photo_facts import PhotoFacts
from model_maker.errors import DataError, ModelError
from model_maker.training import advice
from model_maker.training.learning_curve import Curve


def run_cli(*arguments):
    return cli.main(cli.parse(["model_maker", "advise", *map(str, arguments)]))


def facts(random, count, camera=""):
    return [
        PhotoFacts(random.uniform(20, 230), random.normal(), random.uniform(0.1, 12), 4 / 3, "JPEG", camera)
        for _ in range(count)
    ]


def judged(wrong, labels):
    return Curve(labels, 1.0 - np.asarray(wrong, float)[:, None], 0.1, {})


def test_a_planted_kind_is_found_and_named():
    random = np.random.default_rng(0)
    found, labels = facts(random, 200), np.arange(200) % 2
    dark = np.array([one.brightness for one in found]) < np.quantile([one.brightness for one in found], 0.25)
    wrong = dark & (labels == 1)
    kinds = advice.missing_kinds(judged(wrong, labels), ("rose", "tulip"), found)
    [best, *_] = [kind for kind in kinds if kind.label == "tulip"]
    assert best.text.startswith("dark photos (brightness up to ") and best.wrong == wrong.sum()
    assert (best.photos, best.others, best.others_wrong) == (int(wrong.sum()), 100 - int(wrong.sum()), 0)


def test_a_camera_that_is_wrong_more_often_is_found():
    random = np.random.default_rng(0)
    found = facts(random, 60, "Acme One") + facts(random, 60)
    wrong = np.arange(120) % 3 == 0
    wrong[60:] = False
    kinds = advice.missing_kinds(judged(wrong, np.zeros(120, int)), ("rose", "tulip"), found)
    assert kinds[0].text == "photos with camera Acme One" and (kinds[0].photos, kinds[0].wrong) == (60, 20)


def test_chance_is_seldom_taken_for_a_kind():
    """At most one dataset in twenty by the correction; 100 of them, and the tests are exact, so mostly fewer."""
    named = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        wrong, labels = random.uniform(size=120) < 0.15, np.arange(120) % 3
        named += bool(advice.missing_kinds(judged(wrong, labels), ("a", "b", "c"), facts(random, 120)))
    assert named <= 10  # 5 expected at most; twice as many have a chance of 3 %


def test_unreadable_photos_are_left_out():
    random = np.random.default_rng(0)
    found = [*facts(random, 30), DataError("gone")]
    assert advice.missing_kinds(judged(np.zeros(31), np.zeros(31, int)), ("a",), found) == ()


def test_a_model_is_advised_on(trained):
    report = json.loads((trained["uint8"] / "metrics.json").read_text(encoding="utf-8"))
    found = model_maker.advise(trained["uint8"])
    assert found.now == report["test"]["top1"] and found.test_photos == report["test"]["photos"]
    assert found.photos == report["photos"]["train"] + report["photos"]["validation"] == 5 * found.per_class
    assert list(found.forecasts) == [1.5, 2.0] and found.kinds is not None
    assert all(found.now <= one.value <= 1 and one.low <= one.value <= one.high for one in found.forecasts.values())
    assert {one.label for one in found.classes} == set(report["test"]["per_class"])
    assert all(one.more == round(one.photos / 2) for one in found.classes)
    assert report["advice"]["forecasts"][0]["factor"] == 1.5 and report["advice"]["kinds"] is None
    assert "Which photos next" in (trained["uint8"] / "report.html").read_text(encoding="utf-8")


def test_the_command_prints_and_writes(trained, tmp_path, capsys):
    page = tmp_path / "advice.html"
    assert run_cli(trained["uint8"], "--report", page) in (0, None)
    said = capsys.readouterr().out
    assert "of each class" in said and "alone" in said and "No kind of photo" in said
    assert "Missing kinds of photos" in page.read_text(encoding="utf-8")
    run_cli(trained["uint8"], "--json")
    assert json.loads(capsys.readouterr().out)["curve"][-1]["per_class"] > 0
    assert run_cli(trained["uint8"], "--report", page) == 1 and "already exists" in capsys.readouterr().err


def test_photos_that_have_moved_are_passed(trained, drawn_flowers, tmp_path):
    folder, photos = shutil.copytree(trained["uint8"], tmp_path / "model"), tmp_path / "moved"
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps(record | {"data": str(photos)}))
    with pytest.raises(DataError, match="training photos are not in .*moved"):
        model_maker.advise(folder)
    assert model_maker.advise(folder, drawn_flowers).photos == model_maker.advise(trained["uint8"]).photos


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"fine_tune": "tail"}, ModelError, "was fine-tuned, and a learning curve would fine-tune it dozens of times"),
        ({"seed": "many"}, DataError, "seed = 'many'"),
    ],
)
def test_what_cannot_be_advised_on_is_one_clear_line(trained, tmp_path, options, error, message):
    folder = shutil.copytree(trained["uint8"], tmp_path / "model")
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps(record | {"options": record["options"] | options}))
    with pytest.raises(error, match=message):
        model_maker.advise(folder)
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(DataError, match="is not as `train` wrote it"):
        model_maker.advise(folder)
