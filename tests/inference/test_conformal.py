"""Label sets: limits by hand, coverage on unseen photos, and the promise from training to generated code."""

import json
import subprocess
from dataclasses import replace
from shutil import which

import kotlin_runs
import numpy as np
import pytest
import syntax
from checkout import HELPERS
from kotlin_compiler import compile_kotlin
from scipy.stats import betabinom

import model_maker
from model_maker import Classifier
from model_maker.apps import codegen
from model_maker.errors import DataError, ModelError
from model_maker.inference import conformal
from model_maker.tflite import label_sets, metadata
from model_maker.tflite.label_sets import LabelSets

SETS = LabelSets(0.9, (0.25, 0.125, 0.5), (40, 40, 120), (True, True, False))
# Best first by hand: the best one always, others from their limits on.
SCORES = ([0.5, 0.125, 0.375], [0.25, 0.25, 0.5], [0.125, 0.0625, 0.8125], [0.3125, 0.375, 0.3125])
EXPECTED = ([0, 1], [2, 0, 1], [2], [1, 0])


def two_labels(own):
    """Photos of the first label, with that score for it."""
    own = np.asarray(own, np.float64)
    return np.stack([own, 1 - own], axis=1), np.zeros(len(own), int)


def test_the_limit_is_the_quantile_with_one_photo_more():
    # 39 photos and one more: 5 % of 40 are 2, so the second lowest score is the limit; with 38 photos it is the lowest.
    own = np.arange(1, 40) / 64
    assert conformal.choose(*two_labels(own), 0.95).limits[0] == 2 / 64
    assert conformal.choose(*two_labels(own[:-1]), 0.95).limits[0] == 1 / 64


def test_with_too_few_photos_for_any_promise_all_labels_are_shown():
    sets = conformal.choose(*two_labels([0.9] * 18), 0.95)
    assert sets.limits == (0, 0) and sets.members(np.array([[0.99, 0.01]], np.float32)).all()


def test_a_class_has_a_limit_of_its_own_from_two_photos_below_it_on():
    assert conformal.fewest(0.95) == 39 and conformal.fewest(0.9) == 19
    labels = np.repeat([0, 1], (39, 38))
    own = np.where(labels == 0, 0.75, 0.5)
    scores = np.stack([np.where(labels == 0, own, 1 - own), np.where(labels == 1, own, 1 - own)], axis=1)
    sets = conformal.choose(scores, labels, 0.95)
    assert sets.by_class == (True, False) and sets.photos == (39, 77) and sets.limits == (0.75, 0.5)


def test_which_labels_are_shown():
    for scores, expected in zip(np.array(SCORES, np.float32), EXPECTED, strict=True):
        assert SETS.indices(scores) == expected


def test_new_photos_are_covered_as_often_as_theory_says():
    """The number covered of m new photos, with n for calibration, is beta-binomial: Vovk 2012, proposition 2a."""
    random, calibrated, new = np.random.default_rng(0), 99, 200
    covered = []
    for _ in range(400):
        scores, labels = two_labels(random.uniform(0, 0.5, calibrated + new))
        sets = conformal.choose(scores[:calibrated], labels[:calibrated], 0.9)
        covered.append(int((scores[calibrated:, 0] >= sets.limits[0]).sum()))
    law = betabinom(new, calibrated + 1 - 10, 10)
    # The mean of 400 draws is within four standard errors of its expectation; so is the spread, roughly.
    assert abs(np.mean(covered) - law.mean()) < 4 * law.std() / 20
    assert np.std(covered) == pytest.approx(law.std(), rel=0.2)


def test_measured_coverage_and_size_are_those_counted_by_hand():
    held = conformal.measure(SETS, np.array(SCORES, np.float32), np.array([1, 0, 0, 2]), ("a", "b", "c"))
    assert (held.whole.photos, held.whole.coverage, held.whole.size, held.single) == (4, 0.5, 2.0, 0.25)
    assert [(entry.label, entry.coverage, entry.size) for entry in held.per_class] == [
        ("a", 0.5, 2.0),
        ("b", 1.0, 2.0),
        ("c", 0.0, 2.0),
    ]


def test_a_file_carries_its_label_sets(make_tiny_model):
    content = make_tiny_model()
    info = replace(metadata.read(content), label_sets=SETS)
    assert metadata.read(content).label_sets is None
    assert metadata.read(metadata.write(content, info)).label_sets == SETS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "cannot be read"),
        (b"0.9\n0.5,3,class\n0.5,3,class", "2 rows, and the model 3"),
        (b"0.9\n0.5,3\n", "cannot be read"),
        (b"0.9\nnan,3,all\n0.5,3,all\n0.5,3,all", "not a share"),
        (b"1.5\n0.5,3,all\n0.5,3,all\n0.5,3,all", "not a share"),
        (b"0.9\n0.5,3,own\n0.5,3,all\n0.5,3,all", "cannot be read"),
        (b"\xff", "cannot be read"),
    ],
)
def test_damaged_label_sets_are_one_clear_line(text, message):
    with pytest.raises(ModelError, match=f"label_sets.csv is damaged: .*{message}"):
        label_sets.unpack(text, labels=3)


@pytest.fixture(scope="module")
def promised(drawn_flowers, lite0, tmp_path_factory):
    """A training of drawings that promises a coverage."""
    return model_maker.train(drawn_flowers, tmp_path_factory.mktemp("promised") / "model", coverage=0.9)


def test_training_promises_and_measures(promised, drawn_flowers):
    found = promised.report["label_sets"]
    classifier = Classifier(promised.directory)
    sets = classifier.info.label_sets
    assert (sets.coverage, found["coverage"], found["test"]["promised"]) == (0.9, 0.9, 0.9)
    # Eight or nine drawings of each class are for learning, and 19 would be needed.
    assert (
        not any(sets.by_class)
        and sum(promised.report["photos"][part] for part in ("train", "validation")) == (sets.photos[0])
    )
    assert classifier.measure(promised.scored).label_sets.as_dict() == found["test"]
    assert "How many labels to show" in (promised.directory / "report.html").read_text(encoding="utf-8")
    assert "label_sets.csv" in (promised.directory / "README.md").read_text(encoding="utf-8")
    photo = drawn_flowers / "rose" / "rose_000.jpg"
    [one], [scores] = classifier.label_sets(photo), list(classifier.scores([photo]))
    assert [entry.index for entry in one] == sets.indices(scores)


def test_a_model_without_a_promise_says_so(trained, drawn_flowers):
    with pytest.raises(ModelError, match="promises no coverage"):
        Classifier(trained["uint8"]).label_sets(drawn_flowers / "rose" / "rose_000.jpg")
    with pytest.raises(DataError, match="coverage=1.5"):
        model_maker.train(drawn_flowers, coverage=1.5)


@pytest.fixture(scope="module")
def models(make_tiny_model, tmp_path_factory):
    """{whether it promises: path}."""
    folder, content = tmp_path_factory.mktemp("sets"), make_tiny_model(labels=("a", "b", "c"))
    made = {True: folder / "promising.tflite", False: folder / "plain.tflite"}
    made[False].write_bytes(content)
    made[True].write_bytes(metadata.write(content, replace(metadata.read(content), label_sets=SETS)))
    return made


@pytest.mark.parametrize("promises", [True, False])
def test_generated_python_shows_the_same_sets(models, promises):
    module = {"__name__": "generated"}
    exec(compile(codegen.codegen(models[promises], "python"), "generated.py", "exec"), module)
    assert module["COVERAGE"] == (0.9 if promises else 0)
    for scores, expected in zip(np.array(SCORES, np.float32), EXPECTED, strict=True):
        shown = [int(one.label) for one in module["label_set"](scores)]
        assert shown == (expected if promises else expected[:1])


@pytest.mark.parametrize("promises", [True, False])
@pytest.mark.skipif(which("node") is None, reason="no node")
def test_generated_javascript_shows_the_same_sets(models, promises, tmp_path):
    """Ranking needs no runtime, so names in its place suffice."""
    package = tmp_path / "node_modules/@litertjs/core"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"type": "module", "exports": "./index.js"}')
    (package / "index.js").write_text("export const loadAndCompile = 0, Tensor = 0;")
    (tmp_path / "made.mjs").write_text(codegen.codegen(models[promises], "js"), encoding="utf-8")
    (tmp_path / "run.mjs").write_text(
        "import {labelSet} from './made.mjs';"
        f"console.log(JSON.stringify({json.dumps(SCORES)}.map((s) => labelSet(s).map((one) => one.index))))"
    )
    told = subprocess.run(["node", "run.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert json.loads(told) == [list(one) if promises else one[:1] for one in EXPECTED]


@pytest.mark.parametrize("language", ["kotlin", "swift", "dart"])
def test_generated_code_with_label_sets_parses(models, language):
    text = codegen.codegen(models[True], language)
    assert "0.25, 0.125, 0.5" in text and "labelSet" in text and syntax.errors(language, text) == []


@pytest.mark.slow
def test_generated_kotlin_shows_the_same_sets(models, tmp_path):
    harness = (HELPERS / "kotlin/WrapperHarness.kt").read_text(encoding="utf-8")
    texts = {
        "Tiny": codegen.codegen(models[True], "kotlin", name="Tiny", package="generated"),
        "Main": harness.replace("PACKAGE", "generated").replace("CLASS", "Tiny"),
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.kt").write_text(text, encoding="utf-8")
    sources = [tmp_path / f"{name}.kt" for name in texts]
    assert compile_kotlin(sources, tmp_path / "classes") == []
    kotlin_runs.prepare(tmp_path / "run", models[True].read_bytes(), np.zeros((2, 2, 4), np.uint8))
    told, _ = kotlin_runs.run(tmp_path / "classes", "harness.generated.MainKt", tmp_path / "run")
    # The harness asks for the set of the last of SCORES.
    assert told[-2:] == ["B", "A"] and EXPECTED[-1] == [1, 0]
