"""A head averaged with an older one: by hand, and from photos to the file."""

import json

import numpy as np
import pytest

import model_maker
from model_maker.errors import DataError
from model_maker.inference.training_report import Changes
from model_maker.learning.heads import Head
from model_maker.options import Options, check
from model_maker.training import answer_keeping
from model_maker.training.answer_keeping import OldHead


def test_an_average_is_between_both_and_leaves_new_classes_alone():
    new, old = np.array([[3.0, -1.0, 5.0]]), np.array([[0.0, 2.0, 0.0]])
    known = np.array([True, True, False])
    # Both known logits have the mean 1, so nothing is shifted.
    np.testing.assert_allclose(answer_keeping.average(new, old, known, 0.5), [[1.5, 0.5, 5.0]])
    np.testing.assert_allclose(answer_keeping.average(new, old, known, 0.0), new)
    np.testing.assert_allclose(answer_keeping.average(new, old + 7, known, 0.5), [[1.5, 0.5, 5.0]])


def test_averaging_heads_is_averaging_their_logits():
    random = np.random.default_rng(0)
    head = Head(random.normal(size=(3, 4)).astype(np.float32), random.normal(size=3).astype(np.float32))
    known = np.array([True, False, True])
    old = OldHead("m", (), random.normal(size=(3, 4)), random.normal(size=3), known, frozenset())
    features = random.normal(size=(6, 4)).astype(np.float32)
    found = answer_keeping.averaged(head, old, 0.3, 2.0).logits(features)
    logits = answer_keeping.average(head.logits(features), features @ old.kernel.T + old.bias, known, 0.3)
    np.testing.assert_allclose(found, logits / 2, atol=1e-5)


def logits_of(answers, classes=2):
    return np.eye(classes)[answers]


def test_the_weight_that_turns_fewest_photos_wrong_is_taken_if_it_costs_nothing():
    truth = np.zeros(400, int)
    new, middle, far = np.zeros(400, int), np.zeros(400, int), np.zeros(400, int)
    old = np.zeros(400, int)
    new[:10] = 1  # ten photos turn wrong
    middle[:4], middle[396:] = 1, 0  # four
    far[300:] = 1  # a quarter is lost
    found = {0.0: logits_of(new), 0.4: logits_of(middle), 0.9: logits_of(far)}
    assert answer_keeping.choose(found, old, truth) == 0.4
    assert answer_keeping.changes(found[0.0], found[0.4], old, truth) == Changes(
        photos=400, top1_alone=390 / 400, top1=396 / 400, turned_wrong_alone=10, turned_wrong=4
    )


def test_a_loss_of_more_than_a_point_is_not_permitted_however_few_photos_there_are():
    truth = np.zeros(40, int)
    new, kept = np.zeros(40, int), np.zeros(40, int)
    new[0], kept[[1, 2]] = 1, 1  # one photo more is lost: 2.5 points, within one standard error
    old = np.zeros(40, int)
    old[[1, 2]] = 1
    assert answer_keeping.choose({0.0: logits_of(new), 0.9: logits_of(kept)}, old, truth) == 0.0


def test_train_says_what_it_kept_and_the_file_is_on_the_layers_of_the_old_one(trained, drawn_flowers, tmp_path):
    old = trained["uint8"]
    result = model_maker.train(drawn_flowers, tmp_path / "m", keep_answers=str(old))
    kept = result.report["kept_answers"]
    assert kept["old"] == str(old) and 0 <= kept["weight"] <= 0.9
    assert kept["test"]["photos"] == result.metrics.photos
    assert kept["held_out"]["turned_wrong"] <= kept["held_out"]["turned_wrong_alone"]
    record = json.loads((old / "metrics.json").read_text())
    assert (
        result.report["cross_validation"]["candidates"]["all"]["features"]
        == [
            entry["features"]
            for name, entry in record["cross_validation"]["candidates"].items()
            if name == record["cross_validation"]["layers"]
        ][0]
    )
    # The same photos, the same network: nothing turns wrong that was right.
    assert not model_maker.compare_models(old, tmp_path / "m").turned_wrong


def test_models_on_another_backbone_and_options_that_do_not_fit_are_refused(drawn_flowers, make_tiny_model, tmp_path):
    (tmp_path / "tiny.tflite").write_bytes(make_tiny_model())
    with pytest.raises(DataError, match="another backbone"):
        model_maker.train(drawn_flowers, tmp_path / "m", keep_answers=str(tmp_path / "tiny.tflite"))
    assert not (tmp_path / "m").exists()
    with pytest.raises(DataError, match="cannot be combined with `layers=all`"):
        check(Options(keep_answers="m", layers="all"))
