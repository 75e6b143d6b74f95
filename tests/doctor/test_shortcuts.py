"""Shortcuts: planted ones of each fact are found, chance is not, and doctor says so in words."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from model_maker import diagnose
from model_maker.data.dataset import Sample
from model_maker.data.multi_label import NO_LABEL, MultiLabelDataset
from model_maker.data.photo_facts import PhotoFacts
from model_maker.doctor import diagnosis, shortcut_findings, shortcuts
from model_maker.doctor.examination import Examination


def photos(random, count):
    """Facts that say nothing."""
    return [
        PhotoFacts(
            random.uniform(20, 230),
            random.normal(),
            random.uniform(0.1, 12),
            random.choice([0.75, 4 / 3]),
            str(random.choice(["JPEG", "PNG"])),
            str(random.choice(["", "Acme One", "Acme Two"])),
        )
        for _ in range(count)
    ]


def found(facts, member):
    folds = shortcuts.folds(member.astype(int), np.arange(len(member)))
    return list(shortcuts.find(facts, member, folds, tried=3))


PLANTED = {
    "brightness": lambda one: replace(one, brightness=one.brightness / 3 + 160),
    "sharpness": lambda one: replace(one, sharpness=one.sharpness - 5),
    "megapixels": lambda one: replace(one, megapixels=one.megapixels + 20),
    "aspect": lambda one: replace(one, aspect=2.0),
    "format": lambda one: replace(one, format="WEBP"),
    "camera": lambda one: replace(one, camera="Other Brand"),
}


@pytest.mark.parametrize("fact", shortcuts.FACTS)
def test_a_planted_shortcut_is_found_and_no_other(fact):
    random = np.random.default_rng(1)
    facts, member = photos(random, 150), np.arange(150) % 3 == 0
    facts = [PLANTED[fact](one) if inside else one for one, inside in zip(facts, member, strict=True)]
    [one] = found(facts, member)
    assert one.fact == fact and one.share > 0.8 and one.interval[0] <= one.share <= one.interval[1]


def test_a_perfect_shortcut_is_right_for_all_and_says_how():
    random = np.random.default_rng(1)
    member = np.arange(60) < 30
    facts = [
        replace(one, format="PNG" if inside else "JPEG") for one, inside in zip(photos(random, 60), member, strict=True)
    ]
    [one] = found(facts, member)
    assert (one.share, one.interval[1]) == (1.0, 1.0)
    assert one.how == "JPEG in 0 % of them and 100 % of the others"
    # Both shares of 30 by Agresti and Coull: 32 of 34, by hand.
    p = 32 / 34
    assert one.interval[0] == pytest.approx(1 - 1.96 * np.sqrt(2 * p * (1 - p) / 34) / 2, abs=1e-4)


def test_chance_is_not_reported():
    """Chance would have to exceed 65 % beyond doubt, not only 50 %: of 200 datasets none does."""
    assert not any(found(photos(np.random.default_rng(seed), 90), np.arange(90) % 3 == 0) for seed in range(200))


def test_all_facts_together_are_compared_with_chance():
    random = np.random.default_rng(2)
    facts, labels = photos(random, 400), np.arange(400) % 4
    folds = shortcuts.folds(labels, np.arange(400))
    plain = shortcuts.together(facts, labels, folds)
    # By chance 25 %, and a standard error of 2.2 points.
    assert plain.chance == 0.25 and abs(plain.share - 0.25) < 0.09
    assert plain.interval[1] - plain.interval[0] == pytest.approx(2 * 1.96 * np.sqrt(0.25 * 0.75 / 400), rel=0.15)
    marked = [replace(one, camera=f"Camera {label}") for one, label in zip(facts, labels, strict=True)]
    assert shortcuts.together(marked, labels, folds).share > 0.95
    assert shortcuts.together(facts, np.zeros(400, int), folds) is None


def test_a_label_beside_others_is_told_by_its_shortcut_alone():
    random = np.random.default_rng(1)
    samples = tuple(Sample(f"{index}.jpg", NO_LABEL, f"{index:064x}") for index in range(150))
    # Every photo has the first label or none, every third one the second.
    sets = {s.digest: frozenset([0] * (index % 5 > 0) + [1] * (index % 3 == 0)) for index, s in enumerate(samples)}
    facts = [
        replace(one, format="WEBP") if 1 in sets[sample.digest] else one
        for one, sample in zip(photos(random, 150), samples, strict=True)
    ]
    dataset = MultiLabelDataset(samples, ("flower", "rose"), sets=sets)
    files = tuple(SimpleNamespace(facts=one) for one in facts)
    examination = Examination(dataset, files, None, np.arange(150), None, (), {})
    [finding] = shortcut_findings.shortcuts_of(examination)
    assert finding.text.startswith("rose differs from the other classes by file format, which alone is right for 100 %")


def test_too_few_photos_prove_nothing():
    random = np.random.default_rng(1)
    facts = [replace(one, format="PNG") for one in photos(random, 7)] + photos(random, 40)
    assert found(facts, np.arange(47) < 7) == []


@pytest.fixture(scope="module")
def betrayed(drawn_flowers, tmp_path_factory):
    """Drawings in stated splits: all roses are blurred, all test photos are PNG, and one test tulip is left."""
    home = tmp_path_factory.mktemp("betrayed") / "flowers"
    for path in sorted(drawn_flowers.glob("*/*.jpg")):
        number, name = int(path.stem.split("_")[1]), path.parent.name
        part = "test" if number >= 6 else "train"
        if (part, name) == ("test", "tulip") and number > 6:
            continue
        target = home / part / name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name == "rose" or part == "test":
            image = Image.open(path).convert("RGB")
            blurred = image.filter(ImageFilter.GaussianBlur(4)) if name == "rose" else image
            blurred.save(target.with_suffix(".png") if part == "test" else target)
        else:
            shutil.copy(path, target)
    return home


@pytest.mark.slow
def test_doctor_says_what_betrays_a_class_and_the_test_split(betrayed, lite0):
    found = diagnose(betrayed)
    texts = [finding.text for finding in found.findings["shortcuts"]]
    assert any(
        text.startswith("rose differs from the other classes by sharpness, which alone is right for ") for text in texts
    )
    assert any(
        text.startswith("The test split differs from the others by file format, which alone is right for 100 %")
        for text in texts
    )
    assert len([text for text in texts if not text.startswith(("rose", "The test"))]) == 0
    assert [finding.text for finding in found.findings["thin-splits"]] == [
        "tulip has 1 test photo and 6 training photos"
    ]
    plain = diagnosis.as_dict(found)
    assert plain["facts"]["chance"] == 0.2 and "by chance" not in diagnosis.of_facts(found.facts)
    assert diagnosis.of_facts(found.facts).startswith(
        "Brightness, sharpness, size, aspect, format and camera alone put "
    )
