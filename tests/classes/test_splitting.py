"""A backbone and a head: the same file for all, heads that say whose they are, and one arithmetic in every language."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import syntax
from checkout import ROOT
from kotlin_compiler import compile_kotlin, run_kotlin
from taught_head import FEATURES, TAUGHT, by_hand, small_head

import model_maker
from model_maker import Classifier, cli
from model_maker.errors import OutputError


def run_cli(*arguments):
    return cli.main(cli.parse(["model_maker", *map(str, arguments)]))


@pytest.fixture(scope="module")
def parts(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts") / "parts"
    model_maker.split_model(trained["uint8"], folder)
    return folder


@pytest.fixture(scope="module")
def written(parts):
    """The generated Python, as a module's names."""
    names = {"__name__": "written"}
    exec(model_maker.codegen(parts, "python"), names)
    return names


@pytest.fixture(scope="module")
def small(parts):
    """The content of a head.json that can be worked out by hand."""
    return small_head(hashlib.sha256((parts / "backbone.tflite").read_bytes()).hexdigest())


def test_the_parts_score_as_the_file(trained, parts, written, drawn_flowers):
    classifier = written["Classifier"](parts / "backbone.tflite", parts / "head.json")
    for photo in sorted(drawn_flowers.rglob("*.jpg"))[::11]:
        expected = next(Classifier(trained["uint8"]).scores([photo]))
        found = classifier.head.scores(classifier.features(photo))
        # int8 logits have steps of some hundredths, scores of 1/256.
        np.testing.assert_allclose(found, expected, atol=0.02)


def test_models_on_one_backbone_share_it_to_the_byte(parts, drawn_flowers, trained, tmp_path):
    layers = json.loads((trained["uint8"] / "metrics.json").read_text())["cross_validation"]["layers"]
    shutil.copytree(drawn_flowers, tmp_path / "pair", ignore=shutil.ignore_patterns("daisy", "tulip", "sunflower"))
    other = model_maker.train(tmp_path / "pair", tmp_path / "model", layers=layers).directory
    model_maker.split_model(other, tmp_path / "parts")
    assert (tmp_path / "parts" / "backbone.tflite").read_bytes() == (parts / "backbone.tflite").read_bytes()


def test_python_teaches_by_the_stated_arithmetic(written, small):
    head = written["Head"](small)
    for features in TAUGHT:
        head.teach("c", features)
    np.testing.assert_allclose(head.scores(FEATURES), by_hand(), rtol=1e-6)
    assert head.labels == ["a", "b", "c"] and head.taught == {"c": 2}
    again = written["Head"](small, head.save())
    np.testing.assert_array_equal(again.scores(FEATURES), head.scores(FEATURES))
    again.forget("c")
    assert again.labels == ["a", "b"] and head.labels == ["a", "b", "c"]


def test_javascript_teaches_by_the_same_arithmetic(parts, small, written, tmp_path):
    if shutil.which("node") is None or not (ROOT / "node_modules").exists():
        pytest.skip("node or node_modules is missing")
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    (tmp_path / "head.mjs").write_text(model_maker.codegen(parts, "js"), encoding="utf-8")
    (tmp_path / "head.json").write_text(small)
    (tmp_path / "run.mjs").write_text(
        "import fs from 'node:fs'; import {Head} from './head.mjs';"
        "const text = fs.readFileSync('head.json', 'utf8'), head = new Head(text);"
        f"for (const features of {TAUGHT}) head.teach('c', features);"
        "const again = new Head(text, head.save()), refused = [];"
        "for (const wrong of [() => head.teach('a', [1, 2, 3]), () => head.forget('z'),"
        " () => new Head(text.replace(/[0-9a-f]{64}/, 'f'.repeat(64)))])"
        " try { wrong(); } catch (error) { refused.push(error.message); }"
        f"const scores = head.scores({FEATURES}), same = again.scores({FEATURES}), saved = head.save();"
        "again.forget('c');"
        "console.log(JSON.stringify({scores, same, saved, refused, labels: head.labels, left: again.labels}))"
    )
    ran = subprocess.run(["node", "run.mjs"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    np.testing.assert_allclose(told["scores"], by_hand(), rtol=1e-6)
    assert told["same"] == told["scores"]
    assert (told["labels"], told["left"]) == (["a", "b", "c"], ["a", "b"])
    assert told["refused"] == [
        "'a' is not a name for a new class.", "'z' was not taught.", "This head is for another backbone.",
    ]  # fmt: skip
    # What one language saved, another reads.
    np.testing.assert_allclose(written["Head"](small, told["saved"]).scores(FEATURES), by_hand(), rtol=1e-6)


def test_photos_are_taught_and_kept(parts, written, photos_of_hats, drawn_flowers, tmp_path):
    classifier = written["Classifier"](parts / "backbone.tflite", parts / "head.json", tmp_path / "taught.json")
    for photo in photos_of_hats[:5]:
        classifier.teach("hat", photo)
    again = written["Classifier"](parts / "backbone.tflite", parts / "head.json", tmp_path / "taught.json")
    answers = [again.classify(photo)[0].label for photo in photos_of_hats[5:15]]
    assert answers.count("hat") >= 8
    again.forget("hat")
    assert (
        "hat"
        not in written["Classifier"](
            parts / "backbone.tflite", parts / "head.json", tmp_path / "taught.json"
        ).head.labels
    )


@pytest.fixture(scope="module")
def photos_of_hats(shared_data):
    return sorted((shared_data / "clothing/hat").iterdir())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"backbone_sha256": "0" * 64}, "for another backbone"),
        ({"format": "another"}, "no head of model_maker"),
    ],
)
def test_python_refuses_other_heads(written, small, change, words):
    with pytest.raises(ValueError, match=words):
        written["Head"](json.dumps(json.loads(small) | change))


def test_python_refuses_another_backbone(written, trained, parts):
    with pytest.raises(ValueError, match="is not the backbone"):
        written["Classifier"](trained["uint8"] / "model.tflite", parts / "head.json")


def test_the_command_writes_both_and_refuses_what_has_no_meaning(trained, tmp_path, capsys):
    assert run_cli("export", trained["uint8"], "--split", "--output", tmp_path / "parts", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert sorted(os.listdir(tmp_path / "parts")) == ["backbone.tflite", "head.json"]
    assert told["backbone_sha256"] == hashlib.sha256((tmp_path / "parts/backbone.tflite").read_bytes()).hexdigest()
    for flag in (("--io", "uint8"), ("--self-test",)):
        assert run_cli("export", trained["uint8"], "--split", "--output", tmp_path / "other", *flag) == 1
        assert f"{flag[0]} has no meaning beside --split" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    with pytest.raises(OutputError, match=r"holds no head.json"):
        model_maker.split_model(trained["uint8"], Path(trained["float32"]), overwrite=True)


@pytest.mark.parametrize("language", ["kotlin", "swift"])
def test_kotlin_and_swift_parse(parts, language):
    code = model_maker.codegen(parts, language)
    assert syntax.errors(language, code) == []
    assert hashlib.sha256((parts / "backbone.tflite").read_bytes()).hexdigest() in code


KOTLIN = """
import modelmaker.Head
fun main() {
    val head = Head(
        listOf("a", "b"), byteArrayOf(1, 2, 3, -4, 0, 2), doubleArrayOf(0.5, 0.25), doubleArrayOf(0.25, 1.0),
        floatArrayOf(1f, 2f, 0f), floatArrayOf(2f, 1f, 4f), 2.0, 0.5, "f",
    )
    head.teach("c", floatArrayOf(2f, 4f, 0f))
    head.teach("c", floatArrayOf(4f, 4f, 0f))
    println(head.scores(floatArrayOf(1f, 2f, -1f)).joinToString(","))
    println(head.labels.joinToString(",") + " " + head.taught["c"])
    head.forget("c")
    println(head.labels.joinToString(","))
    try { head.teach("a", floatArrayOf(1f, 2f, 3f)) } catch (error: IllegalArgumentException) { println(error.message) }
}
"""


@pytest.mark.slow
def test_kotlin_teaches_by_the_same_arithmetic(parts, tmp_path):
    (tmp_path / "Head.kt").write_text(model_maker.codegen(parts, "kotlin"))
    (tmp_path / "Main.kt").write_text(KOTLIN)
    sources = [tmp_path / "Head.kt", tmp_path / "Main.kt"]
    assert compile_kotlin(sources, tmp_path / "classes") == []
    scores, *told = run_kotlin(tmp_path / "classes", "MainKt").splitlines()
    np.testing.assert_allclose([float(score) for score in scores.split(",")], by_hand(), rtol=1e-6)
    assert told == ["a,b,c 2", "a,b", "'a' is not a name for a new class."]
