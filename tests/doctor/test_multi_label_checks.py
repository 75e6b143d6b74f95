"""Problems of photos with several labels, put into pairs of drawn flowers."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from benchmarks import several_labels
from model_maker import cli, diagnose
from model_maker.doctor import doctor_page, label_errors


@pytest.fixture(scope="module")
def faulty(drawn_flowers, tmp_path_factory, lite0):
    """Pairs of drawings; each fault lies in a photo that is named after it."""
    home = tmp_path_factory.mktemp("doctor") / "pairs"
    several, _ = several_labels.make(drawn_flowers, home, side=112)
    with open(several, encoding="utf-8") as file:
        rows = {row["path"]: set(row["labels"].split("|")) for row in csv.DictReader(file)}
    names = sorted(rows)
    first = Image.open(home / names[0])
    first.resize((first.width * 9 // 10, first.height * 9 // 10)).save(home / "recoded.jpg", quality=60)
    rows["recoded.jpg"] = {"daisy"} if rows[names[0]] != {"daisy"} else {"rose"}
    for labels in rows.values():
        if "rose" in labels:
            labels.add("thorny")
        labels.add("flower")
    several_labels.write(several, [(name, "|".join(sorted(labels))) for name, labels in sorted(rows.items())])
    return several


@pytest.fixture(scope="module")
def found(faulty):
    return diagnose(faulty, multi_label=True, threads=2)


def test_near_copies_with_other_labels_are_found(found):
    (finding,) = found.findings["label-sets"]
    assert {path.name for path in finding.photos} == {"0000.jpg", "recoded.jpg"} and len(finding.removable) == 2
    assert "conflicts" not in found.findings and "labels" not in found.findings


def test_doubtful_labels_come_with_the_clearest_first(found):
    doubtful = found.findings["doubtful-labels"]
    scores = [finding.score for finding in doubtful]
    assert scores == sorted(scores, reverse=True) and scores[-1] > 0
    for finding in doubtful:  # a label that a photo lacks is suggested, one that it has is not
        assert finding.text.startswith(f"lacks {finding.suggestion}" if finding.suggestion else "has ")


def test_wrong_labels_are_told_from_right_ones():
    random = np.random.default_rng(4)
    vectors = random.normal(size=(400, 12))
    true = vectors @ random.normal(size=(12, 3)) > 1.5
    given = true.copy()
    # Far from the border a flipped label is surely wrong.
    sure = np.argwhere(np.abs(vectors @ np.linalg.lstsq(vectors, true, rcond=None)[0] - 0.3) > 0.35)
    wrong = sure[random.permutation(len(sure))[:15]]
    given[tuple(wrong.T)] ^= True
    judged = label_errors.find_several(vectors, given, np.arange(400))
    doubted = np.argwhere(judged.confident & (judged.margins < -np.log(1.5)))
    found = {tuple(pair) for pair in wrong.tolist()} & {tuple(pair) for pair in doubted.tolist()}
    assert len(found) >= 12 and len(doubted) <= 3 * len(wrong)  # of 1200 labels


def test_a_label_of_few_photos_is_not_judged():
    vectors, targets = np.random.default_rng(0).normal(size=(40, 4)), np.zeros((40, 2), bool)
    targets[::2, 0], targets[:3, 1] = True, True
    judged = label_errors.find_several(vectors, targets, np.arange(40))
    assert not np.isnan(judged.scores[:, 0]).any() and np.isnan(judged.scores[:, 1]).all()
    assert not judged.confident[:, 1].any()


def test_labels_that_nothing_tells_apart_are_found(found):
    texts = [finding.text for finding in found.findings["inseparable"]]
    assert any(text.startswith("flower is on 31 of 31 photos; 0 are without it") for text in texts)
    assert any("rose and thorny are on the same" in text for text in texts)


def test_photos_count_once(found, faulty, capsys):
    assert found.readable == 31 and found.photos["flower"] == 31
    assert cli.main(cli.parse(["model_maker", "doctor", str(faulty), "--multi-label", "--json"])) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["photos"]["flower"] == 31 and "doubtful-labels" in shown["findings"]
    assert "31 readable photos" in doctor_page.render(found)


def test_a_photo_in_two_folders_is_no_conflict(drawn_flowers, tmp_path, lite0):
    for name in ("daisy", "rose"):
        (tmp_path / name).mkdir()
        for photo in sorted((drawn_flowers / name).iterdir())[:5]:
            (tmp_path / name / photo.name).write_bytes(photo.read_bytes())
    both = sorted((drawn_flowers / "daisy").iterdir())[0]
    (tmp_path / "rose" / "both.png").write_bytes(both.read_bytes())
    assert "conflicts" in diagnose(tmp_path).findings
    several = diagnose(tmp_path, multi_label=True)
    assert several.facts is None
    assert not {"conflicts", "label-sets", "duplicates"} & several.findings.keys()
    assert several.photos == {"daisy": 5, "rose": 6}
